"""Starting, stopping, and telling what is wrong: on a real Triton with a toy model."""

import asyncio
import ipaddress
import os
from pathlib import Path

import numpy as np
import pytest

from inkling_server.errors import EncoderDown
from inkling_server.triton import TritonServer
from inkling_server.triton.client import InputTensor, TritonCallFailed, TritonClient
from inkling_server.triton.process import TritonStartFailed
from tests.serving import until
from tests.triton_fixtures import (
    StartTriton,
    is_alive,
    regions_of,
    stub_process,
    triton_processes,
)

pytestmark = pytest.mark.triton


async def test_start_serves_and_stop_leaves_nothing(
    toy_repository: Path, triton_data_dir: Path
) -> None:
    server = await TritonServer.start(toy_repository, triton_data_dir, models=["toy"])
    assert server.local
    assert server.runtimes == {("toy", 1): "toy runtime"}
    await server.wait_ready(timeout_s=0.1)
    processes = triton_processes(server)
    port = server.address.split(":")[1]
    assert len(regions_of(os.getpid(), port)) == 1

    await server.stop()
    await server.stop()
    assert not any(map(is_alive, processes))
    assert not regions_of(os.getpid(), port)
    with pytest.raises(EncoderDown, match="stopped"):
        await server.wait_ready(timeout_s=0.1)


async def test_everything_listens_on_loopback_only(
    start_triton: StartTriton, toy_repository: Path
) -> None:
    server = await start_triton(toy_repository, models=["toy"])
    listening = [
        ipaddress.ip_address(connection.laddr.ip.removeprefix("::ffff:"))
        for process in triton_processes(server)
        for connection in process.net_connections(kind="inet")
        if connection.status == "LISTEN"
    ]
    assert len(listening) == 2
    assert all(address.is_loopback for address in listening)


async def test_two_run_side_by_side(toy_repository: Path, tmp_path: Path) -> None:
    async with (
        await TritonServer.start(toy_repository, tmp_path / "a", models=["toy"]) as first,
        await TritonServer.start(toy_repository, tmp_path / "b", models=["toy"]) as second,
    ):
        assert first.address != second.address
        await first.stop()
        client = TritonClient(second.address)
        tensor = InputTensor.of("x", np.zeros((1, 4), np.uint8))
        (embedding_BD,) = await client.infer("toy", 1, [tensor], ["embedding"], timeout_s=5)
        assert embedding_BD.tolist() == [[0.5] * 4]  # a row of ones, made length 1
        await client.close()


async def test_model_that_does_not_load_fails_the_start_with_tritons_words(
    toy_repository: Path, triton_data_dir: Path
) -> None:
    before = regions_of(os.getpid())
    (toy_repository / "toy" / "refuse").touch()
    with pytest.raises(TritonStartFailed, match="toy refuses to load"):
        await TritonServer.start(toy_repository, triton_data_dir, models=["toy"])
    assert regions_of(os.getpid()) == before


async def test_missing_model_fails_the_start(toy_repository: Path, triton_data_dir: Path) -> None:
    with pytest.raises(TritonStartFailed, match="nobody"):
        await TritonServer.start(toy_repository, triton_data_dir, models=["nobody"])


async def test_numbers_that_change_on_their_way_fail_the_start(
    toy_repository: Path, triton_data_dir: Path
) -> None:
    (toy_repository / "toy" / "lie").touch()
    with pytest.raises(TritonStartFailed, match="DATA_LOSS"):
        await TritonServer.start(
            toy_repository, triton_data_dir, models=["toy"], start_timeout_s=3.0
        )


async def test_one_request_that_fails_does_not_fail_its_batch(
    start_triton: StartTriton, toy_repository: Path
) -> None:
    server = await start_triton(toy_repository, models=["toy"])
    client = TritonClient(server.address)

    async def ask(number: int) -> list[float]:
        tensor = InputTensor.of("x", np.full((1, 4), number, np.uint8))
        (embedding_BD,) = await client.infer("toy", 1, [tensor], ["embedding"], timeout_s=5)
        return [float(value) for value in embedding_BD[0]]

    numbers = [1, 13, 2, 3]
    results = await asyncio.gather(*map(ask, numbers), return_exceptions=True)
    error = results.pop(1)
    assert isinstance(error, TritonCallFailed)
    assert "ValueError" in error.detail
    assert "secret" not in error.detail + str(error)
    assert results == [pytest.approx([0.5] * 4)] * 3
    await client.close()


async def test_remote_triton_is_watched_and_left_alone(
    start_triton: StartTriton, toy_repository: Path
) -> None:
    elsewhere = await start_triton(toy_repository, models=["toy"], check_interval_s=60.0)
    remote = await TritonServer.connect(
        f"grpc://{elsewhere.address}", models=["toy"], check_interval_s=0.1
    )
    assert not remote.local
    assert remote.runtimes == {("toy", 1): "toy runtime"}
    processes = triton_processes(elsewhere)

    # A dead stub is mended through Triton's model control.
    stub_process(elsewhere, "toy").kill()
    await until(lambda: remote.state == "repairing")
    await remote.wait_ready(timeout_s=15)

    await remote.stop()
    assert is_alive(processes[1])

    remote = await TritonServer.connect(elsewhere.address, models=["toy"], check_interval_s=0.1)
    await elsewhere.stop()
    await until(lambda: remote.state == "repairing")
    await remote.stop()


async def test_remote_triton_that_is_not_there_fails_in_time() -> None:
    with pytest.raises(EncoderDown):
        await TritonServer.connect("127.0.0.1:9", start_timeout_s=0.3)


async def test_new_version_is_probed_beside_the_old_one(
    start_triton: StartTriton, toy_repository: Path
) -> None:
    server = await start_triton(toy_repository, models=["toy"], check_interval_s=0.1)
    second = toy_repository / "toy" / "2"
    second.mkdir()
    (second / "model.py").write_text((toy_repository / "toy" / "1" / "model.py").read_text())
    client = TritonClient(server.address)
    await client.load("toy", timeout_s=20)
    await until(lambda: ("toy", 2) in server.runtimes)
    assert await client.ready_versions("toy", timeout_s=5) == [1, 2]
    assert server.state == "serving"
    await client.close()
