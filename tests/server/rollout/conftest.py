"""Worlds to roll models out in."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from inkling_server.tag_index import SearchThread
from tests.server.rollout.rollout_kit import World


@pytest.fixture
def thread() -> Iterator[SearchThread]:
    """The one owner of FAISS."""
    with SearchThread() as thread:
        yield thread


@pytest.fixture
async def world(tmp_path: Path, thread: SearchThread) -> AsyncIterator[World]:
    """A gateway that serves version 1 of three."""
    world = World(tmp_path / "one", thread)
    await world.start()
    yield world
    world.open_gate.set()
    for encoder in world.encoders:
        encoder.gate.set()
    await world.manager.close()
    await world.states.close()
