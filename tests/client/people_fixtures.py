"""Fixtures of everything about content and people: one server with both services, both clients."""

from collections.abc import AsyncIterator, Iterator

import grpc
import pytest

from tests.client.fake_content import FakeContent
from tests.client.fake_profiles import FakeProfiles
from tests.client.fake_server import RunningServer
from tests.client.people_face import AsyncPeopleFace, PeopleFace, SyncPeopleFace


@pytest.fixture
def content() -> FakeContent:
    """The script and memory of the server's ContentService."""
    return FakeContent()


@pytest.fixture
def profiles() -> FakeProfiles:
    """The script and memory of the server's ProfileService."""
    return FakeProfiles()


@pytest.fixture
def people_server(content: FakeContent, profiles: FakeProfiles) -> Iterator[RunningServer]:
    """A scripted server that knows content and people."""

    def add(server: grpc.Server) -> None:
        content.add_to(server)
        profiles.add_to(server)

    running = RunningServer(add_more=add)
    yield running
    content.release()
    running.stop()


@pytest.fixture(params=[SyncPeopleFace, AsyncPeopleFace], ids=["sync", "async"])
async def people(
    request: pytest.FixtureRequest, people_server: RunningServer
) -> AsyncIterator[PeopleFace]:
    """The blocking client, then the asyncio one."""
    face: PeopleFace = request.param(people_server.target)
    yield face
    await face.close()
