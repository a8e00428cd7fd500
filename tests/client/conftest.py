"""Fixtures of the client's tests: a scripted server, and one face for both clients."""

from collections.abc import AsyncIterator, Iterator

import pytest

from inkling_client import RetryPolicy
from tests.client.fake_server import FakeInkling, RunningServer
from tests.client.one_face import AsyncFace, ClientFace, SyncFace
from tests.client.people_fixtures import content, people, people_server, profiles

__all__ = ["content", "people", "people_server", "profiles"]

# Quick, so that tests of retries take milliseconds; patient enough for a server that starts again.
QUICK = RetryPolicy(max_attempts=8, initial_backoff_s=0.01, max_backoff_s=0.5, multiplier=2.0)


@pytest.fixture
def server() -> Iterator[RunningServer]:
    """A scripted server on a free loopback port."""
    running = RunningServer()
    yield running
    running.fake.release()
    running.stop()


@pytest.fixture
def fake(server: RunningServer) -> FakeInkling:
    """The scripted server's script and memory."""
    return server.fake


@pytest.fixture(params=["sync", "async"])
async def client(
    request: pytest.FixtureRequest, server: RunningServer
) -> AsyncIterator[ClientFace]:
    """The blocking client, then the asyncio one: every test that asks for it runs with both."""
    face = (SyncFace if request.param == "sync" else AsyncFace)(
        server.target, timeout_s=5.0, retry=QUICK
    )
    yield face
    await face.close()
