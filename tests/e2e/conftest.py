"""A real server (real Triton, real model) as its own process, shared by the end-to-end tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server_process import ServerProcess


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One healthy server for the whole session. Tests that hurt it start their own."""
    with ServerProcess(tmp_path_factory.mktemp("server")) as process:
        process.wait_serving()
        yield process


@pytest.fixture
def warm_data_dir(server: ServerProcess, tmp_path: Path) -> Path:
    """A data folder of its own that has the tag embeddings of `server`, to start quickly."""
    shutil.copytree(server.data_dir / "embeddings", tmp_path / "data" / "embeddings")
    return tmp_path / "data"


@pytest.fixture
def own_server(warm_data_dir: Path) -> Iterator[ServerProcess]:
    """A healthy server that a test may kill."""
    with ServerProcess(warm_data_dir) as process:
        process.wait_serving()
        yield process
