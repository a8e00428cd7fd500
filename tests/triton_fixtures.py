"""A real Triton for tests, and ways to hurt one.

`triton_server` runs once for the whole session, in the session's event loop: modules that use it,
or `encoder`, are marked `triton` and `asyncio(loop_scope="session")`. Tests that break
things start their own with `start_triton`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from inkling_server.model_manifest import ModelManifest, load_manifest
from inkling_server.triton import TritonServer
from inkling_server.triton.encoder import TritonEncoder

StartTriton = Callable[..., Awaitable[TritonServer]]

TOY_CONFIG = """
name: "toy"
backend: "python"
max_batch_size: 8
input { name: "x" data_type: TYPE_UINT8 dims: [ 4 ] }
output { name: "embedding" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "report" data_type: TYPE_UINT8 dims: [ -1 ] }
dynamic_batching { max_queue_delay_microseconds: 50000 }
instance_group { kind: KIND_CPU count: 1 }
version_policy { all { } }
"""

# Our Python backend around a runtime that adds 1, and that misbehaves when a file says so.
TOY_MODEL = """
import time
from pathlib import Path

import numpy as np
from inkling_server import python_backend
from inkling_server.row_batches import start_joined

FOLDER = Path(__file__).parent.parent
if (FOLDER / "refuse").exists():
    raise RuntimeError("toy refuses to load")


class Runtime:
    description = "toy runtime"

    def run(self, inputs):
        x = inputs["x"]
        if (x == 13).any():
            raise ValueError("secret of the picture")
        return x.astype(np.float32) + 1.0

    def start(self, batches):
        start_joined(self.run, batches)


class TritonPythonModel(python_backend.TritonPythonModel):
    def initialize(self, args):
        self._runtime, self._inputs, self._output = Runtime(), ["x"], "embedding"

    def execute(self, requests):
        while (FOLDER / "hang").exists():
            time.sleep(0.05)
        return super().execute(requests)

    def _report(self, batch, embeddings_BD):
        if (FOLDER / "lie").exists():
            batch = {"x": batch["x"] + 1}
        return super()._report(batch, embeddings_BD)
"""


@pytest.fixture(scope="session")
def model_repository(repository: Path) -> Path:
    """The models that ship with the repository."""
    return repository / "model_repository"


@pytest.fixture(scope="session")
def manifest(model_repository: Path) -> ModelManifest:
    """The manifest of the model that ships."""
    return load_manifest(model_repository)


@pytest.fixture(scope="session")
def triton_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by Tritons that run one after the other: the second start finds a warm cache."""
    return tmp_path_factory.mktemp("triton")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def triton_server(
    model_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[TritonServer]:
    """Our own Triton with both encoders, shared by all tests: do not hurt it."""
    data_dir = tmp_path_factory.mktemp("shared_triton")
    async with await TritonServer.start(model_repository, data_dir) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def triton_encoder(
    triton_server: TritonServer, model_repository: Path, manifest: ModelManifest
) -> AsyncIterator[TritonEncoder]:
    """An encoder on the shared Triton, through shared memory."""
    encoder = await TritonEncoder.connect(
        triton_server.address,
        model_repository,
        manifest,
        shared_memory=True,
        on_failure=triton_server.note_failure,
    )
    yield encoder
    await encoder.close()


@pytest_asyncio.fixture
async def start_triton(model_repository: Path, triton_data_dir: Path) -> AsyncIterator[StartTriton]:
    """Starts a Triton for this test alone, and stops it afterwards."""
    async with AsyncExitStack() as stack:

        async def start(repository: Path = model_repository, **options: Any) -> TritonServer:
            server = await TritonServer.start(repository, triton_data_dir, **options)
            return await stack.enter_async_context(server)

        yield start


@pytest.fixture
def toy_repository(tmp_path: Path) -> Path:
    """A model repository with one small model, `toy`; see TOY_MODEL."""
    version = tmp_path / "models" / "toy" / "1"
    version.mkdir(parents=True)
    (version / "model.py").write_text(TOY_MODEL, encoding="utf-8")
    (version.parent / "config.pbtxt").write_text(TOY_CONFIG, encoding="utf-8")
    return tmp_path / "models"


def triton_processes(server: TritonServer) -> list[psutil.Process]:
    """The live processes of one Triton: guard, server, stubs."""
    process = server._process
    assert process is not None
    guard = psutil.Process(process.guard_pid)
    return [child for child in (guard, *guard.children(recursive=True)) if is_alive(child)]


def server_process(server: TritonServer) -> psutil.Process:
    """The tritonserver itself."""
    return next(child for child in triton_processes(server) if child.name() == "tritonserver")


def stub_process(server: TritonServer, model: str) -> psutil.Process:
    """The stub that runs a model."""
    return next(
        child
        for child in triton_processes(server)
        if "stub" in child.cmdline()[0] and f"/{model}/" in child.cmdline()[1]
    )


def is_alive(process: psutil.Process) -> bool:
    """It runs and is not waiting for somebody to take note of its death."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def regions_of(pid: int, port: str = "") -> list[str]:
    """Names of the shared memory regions of one gateway process (and one of its Tritons)."""
    return [path.name for path in Path("/dev/shm").glob(f"inkling_*_{pid}_{port}*")]
