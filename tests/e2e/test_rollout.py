"""Rolling models out on a real server (real Triton, real models): steady load, sudden deaths.

The full-size version is `benchmarks/bench_rollout.py`.
"""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import skimage.data

from inkling.v1 import model_pb2
from tests.model_versions import ENCODERS, add_version, copy_repository, small_graph
from tests.refresh_client import PHOTOS
from tests.refresh_load import StreamLoad
from tests.rollout_client import RolloutClient, Scores
from tests.rollout_load import TagLoad, mixed
from tests.server_process import ServerProcess, command_line, wait_until

pytestmark = pytest.mark.triton

QUICK = "--rollout-pause-ratio=0"


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    return [(Path(skimage.data.data_dir) / name).read_bytes() for name in PHOTOS]


@pytest.fixture(scope="module")
def versions(model_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1; 2 is as good, in another space; 3 works and talks nonsense; 4 does not load."""
    root = copy_repository(model_repository, tmp_path_factory.mktemp("versions") / "models")
    add_version(root, 2, "rotated", bias_change=-1.0)
    add_version(root, 3, "misfitted")
    add_version(root, 4, "same")
    (root / "text_encoder" / "4" / "model.onnx").write_bytes(b"no model")
    return root


@pytest.fixture(scope="module")
def photos_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("canaries")
    for name in (*PHOTOS, "motorcycle_left.png", "brick.png", "grass.png"):
        if (Path(skimage.data.data_dir) / name).is_file():
            shutil.copy(Path(skimage.data.data_dir) / name, folder)
    return folder


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    small_graph(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def flags(versions: Path, photos_folder: Path) -> list[str]:
    return [f"--model-repository={versions}", f"--canary-dir={photos_folder}", QUICK]


@pytest.fixture
def server(data_dir: Path, flags: list[str]) -> Iterator[ServerProcess]:
    """Serves version 1."""
    start_with_version_1(data_dir)
    with ServerProcess(data_dir, *flags) as process:
        process.wait_serving()
        yield process


def start_with_version_1(data_dir: Path) -> None:
    """As if it had been deployed: without it, the first start takes the greatest version."""
    (data_dir / "model.json").write_text(json.dumps({"version": 1, "fingerprint": ""}))


def alone(client: RolloutClient, pictures: list[bytes]) -> dict[int, Scores]:
    """What the model that serves now says of each picture."""
    return {number: client.tag(picture)[1] for number, picture in enumerate(pictures)}


def tags(client: RolloutClient, picture: bytes) -> bool:
    """The server tags again."""
    try:
        return bool(client.tag(picture))
    except grpc.RpcError:
        return False


def stubs(server: ServerProcess) -> dict[str, int]:
    """Process by model and version folder."""
    found = {}
    for process in server.family():
        words = command_line(process)
        if words and "stub" in words[0]:
            folder = Path(words[1]).parent
            found[f"{folder.parent.name}/{folder.name}"] = process.pid
    return found


def wait_for_stubs(server: ServerProcess, version: int) -> None:
    """Nothing but this version is in memory (Triton answers before a stub has ended)."""
    only = {f"{encoder}/{version}" for encoder in ENCODERS}
    wait_until(f"only version {version} is loaded", lambda: set(stubs(server)) == only, 20)


@pytest.mark.timeout(240)
async def test_load_notices_nothing_of_rollouts_and_never_sees_two_models_mixed(
    server: ServerProcess, data_dir: Path, flags: list[str], pictures: list[bytes]
) -> None:
    client = RolloutClient(server.channel)
    first = client.status().model_version
    expected = {first: alone(client, pictures)}
    before = stubs(server)
    assert set(before) == {"vision_encoder/1", "text_encoder/1"}
    load = StreamLoad(server.address, pictures, rate=8.0)
    stop = asyncio.Event()
    running = asyncio.create_task(load.run(stop))
    with TagLoad(server.channel, pictures) as callers:
        deployed = await asyncio.to_thread(client.deploy, 2)
        wait_for_stubs(server, 2)
        back = await asyncio.to_thread(client.roll_back)
        refused = await asyncio.to_thread(client.wait, client.start(3))
        broken = await asyncio.to_thread(client.wait, client.start(4))
        assert client.status().version == 1
        wait_for_stubs(server, 1)
        await asyncio.to_thread(client.deploy, 2)
        expected[deployed.model_version] = await asyncio.to_thread(alone, client, pictures)
        stop.set()
        await running

    assert (deployed.version, deployed.previous_model_version) == (2, first)
    assert deployed.report.decision == model_pb2.CANARY_DECISION_ACCEPTED
    assert deployed.report.folder_count > 0
    assert deployed.report.live_count > 0
    assert deployed.report.top1_kept > 0.9  # the same cosines, in another space
    assert (back.version, back.model_version) == (1, first)
    assert "ROLLOUT_REFUSED" in str(refused.error.details)
    assert "min_overlap" in refused.error.message
    assert "ROLLOUT_FAILED" in str(broken.error.details)

    assert load.failures == []
    assert callers.failures == []
    scores = [expected[model] for model in (first, deployed.model_version)]
    highest = [max(found[0].values()) for found in scores]
    assert abs(highest[0] - highest[1]) > 0.05, "the models cannot be told apart"
    streamed = [
        (answer.picture, answer.model, {tag[0]: tag[2] for tag in answer.tags})
        for answer in load.answers
    ]
    assert mixed(streamed, expected) == []
    assert mixed(callers.answers, expected) == []
    assert {model for _, model, _ in streamed} == set(expected)

    server.stop()
    with ServerProcess(data_dir, *flags) as again:
        again.wait_serving()
        client = RolloutClient(again.channel)
        assert client.status().version == 2
        assert client.status().previous_version == 1
        assert mixed([(0, *client.tag(pictures[0]))], expected) == []
        wait_for_stubs(again, 2)


@pytest.mark.timeout(240)
def test_triton_killed_while_it_loads_costs_the_rollout_and_not_the_server(
    server: ServerProcess, pictures: list[bytes]
) -> None:
    client = RolloutClient(server.channel)
    expected = {client.status().model_version: alone(client, pictures)}
    name = client.start(2)
    server.child("tritonserver").kill()
    ended = client.wait(name)
    assert "ROLLOUT_FAILED" in str(ended.error.details)
    # Health may not have noticed yet.
    wait_until("it tags again", lambda: tags(client, pictures[0]), 30)
    assert client.status().version == 1
    assert mixed([(0, *client.tag(pictures[0]))], expected) == []
    wait_for_stubs(server, 1)
    assert client.deploy(2).version == 2


@pytest.mark.timeout(300)
def test_server_killed_at_any_stage_starts_with_the_whole_old_version(
    data_dir: Path, flags: list[str], pictures: list[bytes]
) -> None:
    start_with_version_1(data_dir)
    expected: dict[str, dict[int, Scores]] = {}
    for stage in ("LOADING", "EMBEDDING", "CANARY", ""):
        # Slowly, so that there is time to kill it in each.
        with ServerProcess(data_dir, *flags, "--rollout-pause-ratio=1") as server:
            server.wait_serving()
            client = RolloutClient(server.channel)
            status = client.status()
            expected = expected or {status.model_version: alone(client, pictures)}
            assert mixed([(0, *client.tag(pictures[0]))], expected) == []
            if status.HasField("last_rollout"):
                assert "the server ended" in status.last_rollout.error.message
            if stage:
                client.wait_for_stage(client.start(2), stage)
                server.kill()
