"""A real server of two processes (real Triton, real models): deaths, new graphs, new models, ends.

The tests share one server and leave it healthy; the last one ends it.
"""

import json
import os
import queue
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import grpc
import psutil
import pytest
import skimage.data

from inkling.v1 import tagging_pb2, tagging_pb2_grpc
from tests.model_versions import add_version, copy_repository, small_graph
from tests.refresh_client import PHOTOS, RefreshClient
from tests.refresh_content import posts, write_posts
from tests.rollout_client import RolloutClient
from tests.rollout_load import TagLoad, mixed
from tests.server_process import ServerProcess, command_line, wait_until

pytestmark = [pytest.mark.triton, pytest.mark.timeout(120)]

FOLLOWER = "inkling_server.processes.follower"


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    return [(Path(skimage.data.data_dir) / name).read_bytes() for name in PHOTOS]


@pytest.fixture(scope="module")
def flags(model_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two processes; version 2 is as good as 1, in another space."""
    root = tmp_path_factory.mktemp("several")
    versions = copy_repository(model_repository, root / "models")
    add_version(versions, 2, "rotated", bias_change=-1.0)
    return [
        "--processes=2",
        f"--model-repository={versions}",
        f"--content-dir={root / 'content'}",
        *("--rollout-pause-ratio=0", "--refresh-nice=0", "--database-url=off"),
    ]


def start(data_dir: Path, flags: list[str]) -> ServerProcess:
    """A server of which every process serves version 1."""
    small_graph(data_dir)
    (data_dir / "model.json").write_text(json.dumps({"version": 1, "fingerprint": ""}))
    server = ServerProcess(data_dir, *flags)
    wait_until("all serve", lambda: all_serve(server), 60)
    return server


def all_serve(server: ServerProcess) -> bool:
    if server.process.poll() is not None:
        raise RuntimeError(server.output.read_text()[-4000:])
    return '"all_serving"' in server.output.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def server(flags: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with start(tmp_path_factory.mktemp("server") / "data", flags) as process:
        yield process


def follower_of(server: ServerProcess) -> int | None:
    """The process id of its follower, where there is one."""
    for process in server.family():
        if FOLLOWER in command_line(process):
            return process.pid
    return None


def callers_of(server: ServerProcess, pid: int) -> set[int]:
    """Ports of those who are connected to one process."""
    port = int(server.address.rpartition(":")[2])
    connections = psutil.Process(pid).net_connections("tcp")
    return {c.raddr.port for c in connections if c.laddr.port == port and c.raddr}


def connect(server: ServerProcess, pid: int) -> grpc.Channel:
    """A connection to one of its processes. The kernel decides: new ones are made until it is."""
    for _ in range(64):
        before = callers_of(server, pid)
        channel = grpc.insecure_channel(
            server.address, options=[("grpc.use_local_subchannel_pool", 1)]
        )
        grpc.channel_ready_future(channel).result(10)
        with suppress(TimeoutError):
            wait_until("it is accepted", lambda: bool(callers_of(server, pid) - before), 0.2)  # noqa: B023
            return channel
        channel.close()
    raise TimeoutError(f"64 connections, and none to {pid}")


@pytest.fixture
def channels(server: ServerProcess) -> Iterator[list[grpc.Channel]]:
    """One to the owner, one to the follower."""
    wait_until("there is a follower that listens", lambda: listens(server), 30)
    follower = follower_of(server)
    assert follower is not None
    made = [connect(server, pid) for pid in (server.process.pid, follower)]
    yield made
    for channel in made:
        channel.close()


def listens(server: ServerProcess) -> bool:
    port = int(server.address.rpartition(":")[2])
    with suppress(psutil.Error):
        follower = follower_of(server)
        return follower is not None and any(
            c.status == psutil.CONN_LISTEN and c.laddr.port == port
            for c in psutil.Process(follower).net_connections("tcp")
        )
    return False


def test_both_send_pictures_through_shared_memory_and_tag_alike(
    server: ServerProcess, channels: list[grpc.Channel], pictures: list[bytes]
) -> None:
    first, second = (RolloutClient(channel).tag(pictures[2]) for channel in channels)
    assert first[0] == second[0]
    assert first[1] == pytest.approx(second[1], abs=0.02)
    for pid in (server.process.pid, follower_of(server)):
        maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
        assert "inkling_pictures_" in maps, "pictures go by message"


def test_follower_that_is_killed_is_replaced_while_a_stream_of_the_other_goes_on(
    server: ServerProcess, channels: list[grpc.Channel], pictures: list[bytes]
) -> None:
    before = follower_of(server)
    requests: queue.SimpleQueue[tagging_pb2.TagStreamRequest | None] = queue.SimpleQueue()
    replies = tagging_pb2_grpc.TaggingServiceStub(channels[0]).TagStream(iter(requests.get, None))

    def ask(name: str) -> bool:
        request = tagging_pb2.TagRequest(image=pictures[0], min_score=0.0)
        requests.put(tagging_pb2.TagStreamRequest(request_id=name, request=request))
        reply = next(replies)
        return bool(reply.request_id == name and reply.response.tags)

    assert ask("before")
    os.kill(before or 0, signal.SIGKILL)
    assert ask("meanwhile")
    wait_until("there is another", lambda: follower_of(server) not in (None, before), 20)
    wait_until("it listens", lambda: listens(server), 30)
    assert ask("after")
    requests.put(None)
    assert list(replies) == []
    with connect(server, follower_of(server) or 0) as channel:
        assert RolloutClient(channel).tag(pictures[0])[1]


def test_both_tag_again_after_their_triton_was_killed(
    server: ServerProcess, channels: list[grpc.Channel], pictures: list[bytes]
) -> None:
    clients = [RolloutClient(channel) for channel in channels]
    server.child("tritonserver").kill()

    def all_tag() -> bool:
        try:
            return all(client.tag(pictures[1])[1] for client in clients)
        except grpc.RpcError:
            return False

    wait_until("Triton has gone", lambda: not all_tag(), 10)
    wait_until("all tag again", all_tag, 30)


def test_refresh_that_the_follower_was_asked_for_reaches_both(
    server: ServerProcess, channels: list[grpc.Channel], flags: list[str]
) -> None:
    [content] = [flag.partition("=")[2] for flag in flags if flag.startswith("--content-dir=")]
    write_posts(Path(content), "feed", posts("egyptian kitten", 25, seed=1))
    owner, follower = map(RefreshClient, channels)
    version = follower.refresh().graph_version
    assert owner.tag(PHOTOS[2])[0] == version
    took_s = wait_until("it follows", lambda: follower.tag(PHOTOS[2])[0] == version, 10)
    assert took_s < 5


def test_rollout_reaches_both_and_no_answer_mixes_models(
    server: ServerProcess, channels: list[grpc.Channel], pictures: list[bytes]
) -> None:
    clients = [RolloutClient(channel) for channel in channels]
    first = clients[0].status().model_version
    expected = {first: dict(enumerate(clients[0].tag(picture)[1] for picture in pictures))}
    with TagLoad(channels[0], pictures, 1) as one, TagLoad(channels[1], pictures, 1) as other:
        deployed = clients[1].deploy(2)

        def moved() -> bool:
            return all(client.tag(pictures[0])[0] == deployed.model_version for client in clients)

        def heard() -> bool:
            lasts = [load.answers[-1][1] for load in (one, other) if load.answers]
            return lasts == [deployed.model_version] * 2

        wait_until("both have moved", moved, 10)
        wait_until("both callers have heard of it", heard, 10)
        wait_until("the old one is unloaded", lambda: set(loaded(clients[0])) == {2}, 20)
    expected[deployed.model_version] = dict(
        enumerate(clients[1].tag(picture)[1] for picture in pictures)
    )
    for load in (one, other):
        assert load.failures == []
        assert mixed(load.answers, expected) == []
        assert {model for _, model, _ in load.answers} == set(expected)


def loaded(client: RolloutClient) -> list[int]:
    """Versions that Triton holds."""
    return [entry.version for entry in client.status().versions if entry.loaded]


def test_sigterm_leaves_no_process_behind(server: ServerProcess) -> None:
    family = server.family()
    assert follower_of(server) is not None
    assert server.stop() == 0
    gone, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    assert len(gone) == len(family)
    assert "Traceback" not in server.output.read_text(encoding="utf-8")
