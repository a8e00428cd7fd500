"""Worlds to refresh in."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from inkling_server.fake_encoder import FakeEncoder
from inkling_server.tag_index import SearchThread
from tests.server.refresh.manager_kit import World
from tests.serving import make_manifest


@pytest.fixture
def thread() -> Iterator[SearchThread]:
    """The one owner of FAISS."""
    with SearchThread() as thread:
        yield thread


@pytest.fixture
async def encoder() -> FakeEncoder:
    """A model of small pictures."""
    return FakeEncoder(make_manifest())


@pytest.fixture
async def world(tmp_path: Path, thread: SearchThread, encoder: FakeEncoder) -> AsyncIterator[World]:
    """A gateway that serves g1, and whose next refresh builds g2."""
    world = World(tmp_path / "one", thread, encoder)
    await world.open()
    yield world
    await world.states.close()
