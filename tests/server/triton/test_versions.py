"""Versions side by side in a real Triton, of a toy model: loading, serving, unloading, repair."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from inkling_server.errors import EncoderDown
from inkling_server.triton import TritonServer
from inkling_server.triton.client import InputTensor, TritonCallFailed, TritonClient
from inkling_server.triton.versions import TritonVersions
from tests.server_process import command_line
from tests.serving import until
from tests.triton_fixtures import (
    TOY_MODEL,
    StartTriton,
    server_process,
    stub_process,
    triton_processes,
)

pytestmark = pytest.mark.triton

BROKEN = "raise RuntimeError('this version is broken')"


def add(repository: Path, version: int, text: str = TOY_MODEL) -> None:
    folder = repository / "toy" / str(version)
    folder.mkdir(exist_ok=True)
    (folder / "model.py").write_text(text, encoding="utf-8")


@pytest.fixture
def toys(toy_repository: Path) -> Path:
    add(toy_repository, 2)
    add(toy_repository, 3, BROKEN)
    return toy_repository


def versions_of(server: TritonServer) -> TritonVersions:
    assert server.versions is not None
    return server.versions


def stub_pids(server: TritonServer) -> dict[int, int]:
    """Process by version."""
    found = {}
    for process in triton_processes(server):
        words = command_line(process)
        # Between fork and exec it has another's command line, or none.
        if len(words) > 1 and "stub" in words[0]:
            found[int(Path(words[1]).parent.name)] = process.pid
    return found


class Asking:
    """Asks one version again and again while the block lasts."""

    def __init__(self, server: TritonServer, version: int) -> None:
        self._client = TritonClient(server.address)
        self._version = version
        self.answers = 0
        self.failures: list[str] = []

    async def _run(self) -> None:
        tensor = InputTensor.of("x", np.zeros((1, 4), np.uint8))
        while True:
            try:
                await self._client.infer(
                    "toy", self._version, [tensor], ["embedding"], timeout_s=10
                )
                self.answers += 1
            except TritonCallFailed as failure:
                self.failures.append(failure.detail)

    async def __aenter__(self) -> "Asking":
        self._task = asyncio.create_task(self._run())
        await until(lambda: self.answers > 3)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        await self._client.close()


async def start(
    start_triton: StartTriton, toys: Path, *, check_interval_s: float = 0.1
) -> TritonServer:
    return await start_triton(toys, models=["toy"], version=1, check_interval_s=check_interval_s)


async def test_only_the_version_that_serves_is_loaded(
    start_triton: StartTriton, toys: Path
) -> None:
    server = await start(start_triton, toys)
    assert await versions_of(server).loaded() == {1}
    assert set(stub_pids(server)) == {1}


async def test_swap_costs_no_request_and_loads_nothing_anew(
    start_triton: StartTriton, toys: Path
) -> None:
    server = await start(start_triton, toys)
    versions = versions_of(server)
    first = stub_pids(server)[1]
    async with Asking(server, 1) as old:
        await versions.add(2, timeout_s=30)
        assert await versions.loaded() == {1, 2}
        assert stub_pids(server)[1] == first, "the version that serves was loaded anew"
        async with Asking(server, 2) as new:
            versions.serve(2)
            await old.__aexit__()
            second = stub_pids(server)[2]
            await versions.remove(1)
            await until(lambda: set(stub_pids(server)) == {2})
            count = new.answers
            await until(lambda: new.answers > count + 10)
    assert old.failures == []
    assert new.failures == []
    assert stub_pids(server) == {2: second}
    assert versions.serving == 2
    assert versions.others == set()
    assert server.state == "serving"


async def test_version_that_does_not_load_leaves_the_old_one_alone(
    start_triton: StartTriton, toys: Path
) -> None:
    server = await start(start_triton, toys)
    versions = versions_of(server)
    first = stub_pids(server)
    async with Asking(server, 1) as old:
        with pytest.raises(EncoderDown, match="this version is broken"):
            await versions.add(3, timeout_s=30)
        with pytest.raises(EncoderDown, match="no such version"):
            await versions.add(7, timeout_s=30)
        assert await versions.loaded() == {1}
    assert old.failures == []
    assert stub_pids(server) == first
    assert server.state == "serving"


async def test_restart_brings_back_what_serves_and_nothing_on_trial(
    start_triton: StartTriton, toys: Path
) -> None:
    server = await start(start_triton, toys)
    versions = versions_of(server)
    await versions.add(2, timeout_s=30)
    server_process(server).kill()
    await until(lambda: server.state == "repairing")
    await server.wait_ready(timeout_s=15)
    assert await versions.loaded() == {1}
    await versions.remove(2)  # whoever had it on trial gives it back
    await versions.add(2, timeout_s=30)
    versions.serve(2)
    server_process(server).kill()
    await until(lambda: server.state == "repairing")
    await server.wait_ready(timeout_s=15)
    assert await versions.loaded() == {2}


async def test_triton_killed_while_it_loads_fails_the_load_alone(
    start_triton: StartTriton, toys: Path
) -> None:
    add(toys, 4, f"import time\ntime.sleep(60)\n{TOY_MODEL}")
    server = await start(start_triton, toys)
    states: list[str] = []
    server.on_state_change.append(states.append)
    loading = asyncio.create_task(versions_of(server).add(4, timeout_s=60))
    await until(lambda: 4 in stub_pids(server))
    server_process(server).kill()
    with pytest.raises(EncoderDown):
        await loading
    await until(lambda: states == ["repairing", "serving"])
    assert await versions_of(server).loaded() == {1}


async def test_cancelled_load_leaves_nothing_behind(start_triton: StartTriton, toys: Path) -> None:
    add(toys, 4, f"import time\ntime.sleep(2)\n{TOY_MODEL}")
    server = await start(start_triton, toys)
    async with Asking(server, 1) as old:
        loading = asyncio.create_task(versions_of(server).add(4, timeout_s=60))
        await until(lambda: 4 in stub_pids(server))
        loading.cancel()
        await asyncio.wait({loading})
        assert loading.cancelled()
        await until(lambda: set(stub_pids(server)) == {1})
        assert await versions_of(server).loaded() == {1}
        await versions_of(server).add(2, timeout_s=30)
    assert old.failures == []


async def test_dead_stub_of_what_serves_is_replaced_in_its_version(
    start_triton: StartTriton, toys: Path
) -> None:
    server = await start(start_triton, toys)
    stub_process(server, "toy").kill()
    await until(lambda: server.state == "repairing")
    await server.wait_ready(timeout_s=15)
    assert await versions_of(server).loaded() == {1}


async def test_dead_stub_of_a_version_on_trial_is_nobodys_business(
    start_triton: StartTriton, toys: Path
) -> None:
    server = await start(start_triton, toys)
    await versions_of(server).add(2, timeout_s=30)
    states: list[str] = []
    server.on_state_change.append(states.append)
    triton = next(p for p in triton_processes(server) if p.pid == stub_pids(server)[2])
    triton.kill()
    async with Asking(server, 1) as old:
        await until(lambda: old.answers > 30)
    assert states == []
    assert old.failures == []


async def test_version_is_added_to_a_triton_elsewhere_and_stays(
    start_triton: StartTriton, toys: Path
) -> None:
    elsewhere = await start(start_triton, toys, check_interval_s=60.0)
    async with await TritonServer.connect(
        elsewhere.address, models=["toy"], version=1, check_interval_s=0.1
    ) as remote:
        versions = versions_of(remote)
        await versions.add(2, timeout_s=30)
        assert await versions.loaded() == {1, 2}
        versions.serve(2)
        await versions.remove(1)
        assert await versions.loaded() == {1, 2}, "other gateways may use it"
        await remote.wait_ready(timeout_s=5)


async def test_version_leaves_a_triton_elsewhere_where_that_is_allowed(
    start_triton: StartTriton, toys: Path
) -> None:
    elsewhere = await start(start_triton, toys, check_interval_s=60.0)
    async with await TritonServer.connect(
        elsewhere.address, models=["toy"], version=1, may_unload=True, check_interval_s=0.1
    ) as remote:
        versions = versions_of(remote)
        await versions.add(2, timeout_s=30)
        versions.serve(2)
        await versions.remove(1)
        assert await versions.loaded() == {2}
