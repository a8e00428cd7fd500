"""Killing, stopping and hanging parts of a real Triton: it serves again by itself, quickly.

The figures are the issue's: at worst EncoderDown, serving again in under 15 seconds, nothing else
restarted, nothing left behind.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

import inkling_server
from inkling_server.errors import EncoderDown
from inkling_server.model_manifest import ModelManifest
from inkling_server.triton import TritonServer
from inkling_server.triton.client import InputTensor, TritonClient
from inkling_server.triton.encoder import TritonEncoder
from inkling_server.triton.leftovers import remove_stale_leftovers
from tests.serving import until
from tests.triton_fixtures import (
    StartTriton,
    is_alive,
    regions_of,
    server_process,
    stub_process,
    triton_processes,
)

pytestmark = pytest.mark.triton

RECOVERY_S = 15.0


class Load:
    """Callers that ask for embeddings again and again, and what they got."""

    def __init__(self, encoder: TritonEncoder) -> None:
        self._encoder = encoder
        self.images_ok = self.images_down = self.texts_ok = self.texts_down = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Load"]:
        tasks = [asyncio.create_task(self._images()) for _ in range(2)]
        tasks.append(asyncio.create_task(self._texts()))
        await until(lambda: self.images_ok > 3 and self.texts_ok > 3)
        yield self
        for task in tasks:
            assert not task.done(), task.exception()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def recovered(self) -> float:
        """Seconds until both kinds of calls succeed again after failures were seen."""
        images, texts = self.images_ok, self.texts_ok
        return await until(
            lambda: self.images_ok > images + 3 and self.texts_ok > texts + 3,
            timeout_s=RECOVERY_S,
        )

    async def _images(self) -> None:
        size = self._encoder.manifest.image.size
        pixels_BHWC = np.full((2, size, size, 3), 127, np.uint8)
        while True:
            try:
                await self._encoder.encode_images(pixels_BHWC, timeout_s=10)
                self.images_ok += 1
            except EncoderDown:
                self.images_down += 1
                await until(lambda: True)

    async def _texts(self) -> None:
        while True:
            try:
                await self._encoder.encode_texts(["a small dog"], timeout_s=10)
                self.texts_ok += 1
            except EncoderDown:
                self.texts_down += 1
                await until(lambda: True)


ConnectLoad = Callable[[TritonServer], Awaitable[tuple[TritonEncoder, Load]]]


@pytest.fixture
def connect_load(model_repository: Path, manifest: ModelManifest) -> ConnectLoad:
    async def connect(server: TritonServer) -> tuple[TritonEncoder, Load]:
        encoder = await TritonEncoder.connect(
            server.address,
            model_repository,
            manifest,
            shared_memory=True,
            on_failure=server.note_failure,
        )
        return encoder, Load(encoder)

    return connect


async def test_killed_tritonserver_is_restarted_under_load(
    start_triton: StartTriton, connect_load: ConnectLoad
) -> None:
    server = await start_triton()
    encoder, load = await connect_load(server)
    states: list[str] = []
    server.on_state_change.append(states.append)
    async with load.running():
        victim = server_process(server)
        victim.kill()
        await until(lambda: load.images_down > 0 and server.state == "repairing")
        took_s = await load.recovered()
        await until(lambda: server.state == "serving")
        # Pictures return to shared memory: the new Triton knows a new region.
        await until(lambda: encoder.uses_shared_memory)
        await encoder.encode_images(np.zeros((1, 224, 224, 3), np.uint8), timeout_s=10)
    assert took_s < RECOVERY_S
    assert states == ["repairing", "serving"]
    assert server_process(server).pid != victim.pid
    await encoder.close()
    regions = regions_of(os.getpid(), server.address.split(":")[1])
    assert len(regions) == 2, "one for each live stub, none of the killed ones"


async def test_killed_stub_is_replaced_while_the_other_model_serves(
    start_triton: StartTriton, connect_load: ConnectLoad
) -> None:
    server = await start_triton()
    encoder, load = await connect_load(server)
    triton = server_process(server)
    other = stub_process(server, "text_encoder")
    async with load.running():
        stub_process(server, "vision_encoder").kill()
        await until(lambda: server.state == "repairing")
        took_s = await load.recovered()
        await until(lambda: server.state == "serving")
    assert took_s < RECOVERY_S
    assert load.texts_down == 0
    assert server_process(server) == triton, "Triton itself kept running"
    assert stub_process(server, "text_encoder") == other
    await encoder.close()
    assert len(regions_of(os.getpid(), server.address.split(":")[1])) == 2


async def test_frozen_stub_is_replaced(
    start_triton: StartTriton, connect_load: ConnectLoad
) -> None:
    server = await start_triton(probe_timeout_s=2.0)
    encoder, load = await connect_load(server)
    frozen = stub_process(server, "vision_encoder")
    async with load.running():
        frozen.suspend()
        await until(lambda: server.state == "repairing")
        await load.recovered()
        await until(lambda: server.state == "serving")
    await until(lambda: not is_alive(frozen))
    await encoder.close()


async def test_hanging_inference_restarts_triton(
    start_triton: StartTriton, toy_repository: Path
) -> None:
    server = await start_triton(
        toy_repository, models=["toy"], check_interval_s=0.1, probe_timeout_s=0.5
    )
    before = server_process(server)
    hang = toy_repository / "toy" / "hang"
    hang.touch()
    await until(lambda: server.state == "repairing")
    hang.unlink()
    await server.wait_ready(timeout_s=RECOVERY_S)
    await until(lambda: not is_alive(before))


async def test_busy_model_is_not_taken_for_a_hanging_one(
    start_triton: StartTriton, toy_repository: Path
) -> None:
    slow = (toy_repository / "toy" / "1" / "model.py").read_text()
    slow = slow.replace("return super().execute", "time.sleep(0.3)\n        return super().execute")
    (toy_repository / "toy" / "1" / "model.py").write_text(slow)
    server = await start_triton(
        toy_repository, models=["toy"], check_interval_s=0.1, probe_timeout_s=0.8
    )
    states: list[str] = []
    server.on_state_change.append(states.append)
    client = TritonClient(server.address)
    tensor = InputTensor.of("x", np.ones((8, 4), np.uint8))
    # Twelve full batches: a probe waits far longer than it is given.
    await asyncio.gather(
        *(client.infer("toy", 1, [tensor], ["embedding"], timeout_s=20) for _ in range(12))
    )
    await client.close()
    assert states == []


async def test_killed_guard_takes_triton_with_it_and_both_return(
    start_triton: StartTriton, toy_repository: Path
) -> None:
    server = await start_triton(toy_repository, models=["toy"])
    states: list[str] = []
    server.on_state_change.append(states.append)
    processes = triton_processes(server)
    processes[0].kill()
    await until(lambda: states == ["repairing", "serving"])
    await until(lambda: not any(map(is_alive, processes)))
    assert len(triton_processes(server)) == 3


async def test_stub_that_waits_for_its_killed_server_is_ended(
    start_triton: StartTriton, toy_repository: Path
) -> None:
    server = await start_triton(toy_repository, models=["toy"])
    stub = stub_process(server, "toy")
    guard = triton_processes(server)[0]
    stub.suspend()  # as good as waiting: it does not notice that its server is gone
    guard.kill()
    await until(lambda: server.state == "repairing")
    await server.wait_ready(timeout_s=RECOVERY_S)
    await until(lambda: not is_alive(stub))


async def test_triton_that_cannot_restart_is_tried_again(
    start_triton: StartTriton, toy_repository: Path
) -> None:
    server = await start_triton(toy_repository, models=["toy"], check_interval_s=0.1)
    refuse = toy_repository / "toy" / "refuse"
    refuse.touch()
    server_process(server).kill()
    await until(lambda: server.state == "repairing")
    log = server._plan.log_path if server._plan else Path()
    await until(lambda: "toy refuses to load" in log.read_text())
    with pytest.raises(EncoderDown, match="repairing"):
        await server.wait_ready(timeout_s=0.1)
    refuse.unlink()
    await server.wait_ready(timeout_s=RECOVERY_S)


GATEWAY = """
import asyncio, os, sys
from pathlib import Path
from inkling_server.triton import TritonServer

async def main():
    server = await TritonServer.start(Path(sys.argv[1]), Path(sys.argv[2]), models=["toy"])
    await asyncio.sleep(0.2)  # a stub that is killed in the middle of a request may stay
    print(server._process.guard_pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("guard_dies_too", [False, True])
async def test_killed_gateway_leaves_nothing(
    toy_repository: Path, tmp_path: Path, guard_dies_too: bool
) -> None:
    gateway = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", GATEWAY, str(toy_repository), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(inkling_server.__file__).parent.parent)},
    )
    try:
        assert gateway.stdout is not None
        guard = psutil.Process(int(await asyncio.to_thread(gateway.stdout.readline)))
        processes = [guard, *guard.children(recursive=True)]
        assert len(processes) == 3
        assert regions_of(gateway.pid)
        started_s = time.monotonic()
        if guard_dies_too:
            guard.send_signal(signal.SIGKILL)
    finally:
        gateway.kill()
        gateway.communicate()
    await until(lambda: not any(map(is_alive, processes)))
    if guard_dies_too:
        remove_stale_leftovers()  # as the next start does
    await until(lambda: not regions_of(gateway.pid))
    assert time.monotonic() - started_s < 5.0
