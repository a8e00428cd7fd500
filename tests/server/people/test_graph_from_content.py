"""What comes in over the network gets into the interest graph: gateway, process and database."""

import dataclasses
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2

from inkling.v1 import common_pb2, content_pb2, graph_pb2, graph_pb2_grpc, profile_pb2
from inkling_server import refreshing
from inkling_server.data_dir import DataDir
from inkling_server.errors import RefreshFailed
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.interests.corpus_state import CorpusState
from inkling_server.interests.corpus_state_files import load_state
from inkling_server.refresh.orders import from_json, to_json
from inkling_server.refreshing import choose_feeds
from inkling_server.storage import Storage
from tests.refresh_content import posts
from tests.server.gateway_kit import gateway_settings, gateway_with
from tests.server.people.people_kit import LIKE, Site, did, site
from tests.server.refresh.test_worker import Refresh
from tests.server.storage_kit import item

SUBJECT = "magenta kite"


async def ingest(site: Site, subject: str, count: int, *, seed: int) -> list[str]:
    """Takes in posts without pictures; returns their ids."""
    requests = [
        content_pb2.IngestContentRequest(
            request_id=post["id"],
            item=content_pb2.ContentItem(
                content_id=post["id"],
                author_id=post["author_id"],
                context=common_pb2.ContentContext(caption=post["caption"]),
            ),
        )
        for post in posts(subject, count, seed=seed)
    ]
    replies = await site.ingest(requests)
    assert all(reply.HasField("content") for reply in replies.values()), replies
    return list(replies)


async def refresh(site: Site) -> tuple[str, Any]:
    """Refreshes the graph: which feed was read, and what came of it."""
    graph: Any = graph_pb2_grpc.GraphServiceStub(site.channel)
    started = await graph.RefreshGraph(graph_pb2.RefreshGraphRequest(), timeout=20)
    metadata = graph_pb2.RefreshGraphMetadata()
    started.metadata.Unpack(metadata)
    ended = await site.operations.WaitOperation(
        operations_pb2.WaitOperationRequest(name=started.name), timeout=100
    )
    summary = graph_pb2.RefreshGraphResponse()
    assert ended.response.Unpack(summary), ended.error
    return metadata.feed, summary


@pytest.mark.timeout(180)
async def test_subjects_of_ingested_content_become_interests_and_the_erased_are_forgotten(
    tmp_path: Path, database_url: str
) -> None:
    async with site(tmp_path, database_url, refresh_nice=0) as gateway:
        names = await ingest(gateway, SUBJECT, 25, seed=1)
        people = ("ann", "bob")
        await gateway.record(*(did(user, LIKE, name) for user in people for name in names[:9]))

        def state_of(version: str) -> CorpusState:
            return load_state(tmp_path / "data" / "graph" / version)

        feed, first = await refresh(gateway)
        assert feed == "content"
        assert (first.item_count, first.engagement_count) == (25, 18)
        assert first.added_count > 0
        graph: Any = graph_pb2_grpc.GraphServiceStub(gateway.channel)
        found = await graph.ListInterests(graph_pb2.ListInterestsRequest(page_size=1000))
        assert SUBJECT in {interest.phrase for interest in found.interests}
        state = state_of(first.graph_version)
        assert {state.person_hash(user) for user in people} <= state.people.keys()

        _, second = await refresh(gateway)
        assert (second.item_count, second.engagement_count) == (0, 0)
        assert second.graph_version == second.base_version == first.graph_version

        await gateway.profiles.DeleteProfile(profile_pb2.DeleteProfileRequest(user_id="ann"))
        _, third = await refresh(gateway)
        assert third.item_count == 0
        assert third.graph_version != first.graph_version
        state = state_of(third.graph_version)
        assert state.person_hash("ann") not in state.people | state.stored.people
        assert state.person_hash("bob") in state.people


@pytest.mark.timeout(60)
async def test_database_that_is_not_up_is_left_out_and_the_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(refreshing, "_DATABASE_TIMEOUT_S", 0.01)
    url = f"postgresql://ann:hidden-word@/inkling?host={tmp_path / 'hidden-folder'}"
    settings = gateway_settings(tmp_path, database_url=url)
    async with gateway_with(FakeEncoder(), settings) as gateway:
        assert await gateway.wait_until_serving()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel:
            feed, summary = await refresh(Site(gateway, channel))
    assert (feed, summary.item_count) == ("content", 0)
    assert summary.graph_version == summary.base_version
    assert "this refresh reads the content folder alone" in caplog.text
    assert "hidden" not in caplog.text


@pytest.mark.timeout(60)
async def test_database_that_went_away_fails_the_refresh_without_telling_where_it_was(
    tmp_path: Path,
) -> None:
    world = Refresh(tmp_path, FakeEncoder())
    url = f"postgresql://ann:hidden-word@/inkling?host={tmp_path / 'hidden-folder'}"
    with pytest.raises(RefreshFailed, match="the database does not answer") as caught:
        await world.run(database_url=url)
    said = str(caught.value) + repr(dataclasses.replace(world.orders, database_url=url))
    said += world.log.read_text(encoding="utf-8")
    assert "hidden" not in said


def test_orders_that_are_not_understood_are_not_repeated(tmp_path: Path) -> None:
    orders = dataclasses.replace(Refresh(tmp_path, FakeEncoder()).orders, database_url="hidden")
    values = to_json(orders)
    assert from_json(values) == orders
    del values["root"]
    with pytest.raises(ValueError, match="root") as caught:
        from_json(values)
    assert "hidden" not in str(caught.value)


class Database:
    """As the gateway sees it."""

    def __init__(self, url: str | None, *, is_off: bool = False) -> None:
        self.url = url
        self.is_off = is_off

    async def wait_until_up(self) -> None:
        if self.url is None:
            raise TimeoutError


async def test_demo_stands_in_only_while_nothing_was_given_and_nothing_may_have_been(
    tmp_path: Path, storage: Storage, database_url: str
) -> None:
    settings = gateway_settings(tmp_path)
    with DataDir.hold(settings.data_dir) as data_dir:

        async def feeds(database: Database) -> tuple[str, str | None]:
            found = await choose_feeds(settings, data_dir, database)
            assert database_url not in repr(found)
            return found.name, found.database_url

        empty, off, down = Database(database_url), Database(None, is_off=True), Database(None)
        nowhere = Database(f"postgresql:///x?host={tmp_path}")
        assert await feeds(off) == ("demo", None)
        assert await feeds(empty) == ("demo", database_url)
        assert await feeds(down) == ("content", None)
        assert await feeds(nowhere) == ("content", None)
        await storage.content.put([item("a")])
        await storage.content.delete(["a"])
        assert await feeds(empty) == ("content", database_url)
        (data_dir.root / "content").mkdir()
        assert await feeds(off) == ("content", None)
