"""Content and people through the whole gateway: real gRPC, a real PostgreSQL, a fake encoder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from inkling.v1 import content_pb2, profile_pb2
from tests.server.people.people_kit import (
    HIDE,
    LIKE,
    SAVE,
    SHARE,
    VIEW,
    Site,
    did,
    people_with_clusters,
    picture,
    site,
)
from tests.server.rpc.rpc_kit import decode, refusal


@pytest_asyncio.fixture
async def here(tmp_path: Path, database_url: str) -> AsyncIterator[Site]:
    async with site(tmp_path, database_url) as opened:
        yield opened


async def test_an_item_is_tagged_stored_and_read_back(here: Site) -> None:
    request = picture("p1", "red", caption="Something blue", hashtags=["sky"], location="Lisbon")
    request.item.author_id = "ann"
    request.item.point.latitude_deg = 38.7
    replies = await here.ingest([request])
    content = replies["p1"].content
    assert content.created
    assert content.content_id == "p1"
    assert content.tags[0].phrase == "red"
    assert content.graph_version
    assert content.model_version
    stored = await here.content.GetContent(content_pb2.GetContentRequest(content_id="p1"))
    assert stored.item.context.caption == "Something blue"
    assert list(stored.item.context.hashtags) == ["sky"]
    assert stored.item.context.location == "Lisbon"
    assert stored.item.author_id == "ann"
    assert stored.item.point.latitude_deg == 38.7
    assert stored.has_embedding
    assert [tag.interest_id for tag in stored.tags] == [tag.interest_id for tag in content.tags]
    assert stored.tags[0].explanation.cosine > 0.3


async def test_texts_join_the_pictures_tags_with_their_evidence(here: Site) -> None:
    replies = await here.ingest(
        [picture("p1", "red", caption="A blue balloon"), picture("p2", "red")]
    )
    joined = {tag.phrase: tag for tag in replies["p1"].content.tags}
    alone = {tag.phrase: tag.score for tag in replies["p2"].content.tags}
    assert joined["blue"].score > alone.get("blue", 0) + 0.2
    assert joined["blue"].explanation.evidence[0].source == "caption"
    assert joined["blue"].explanation.evidence[0].text == "blue"
    assert joined["red"].score == pytest.approx(alone["red"])


async def test_an_item_of_texts_alone_has_no_embedding(here: Site) -> None:
    request = picture("t1", "red", caption="yellow flowers")
    request.image = b""
    replies = await here.ingest([request])
    assert [tag.phrase for tag in replies["t1"].content.tags] == ["yellow"]
    stored = await here.content.GetContent(content_pb2.GetContentRequest(content_id="t1"))
    assert not stored.has_embedding


async def test_sending_an_item_again_replaces_it(here: Site) -> None:
    await here.ingest([picture("p1", "red", caption="old")])
    again = await here.ingest([picture("p1", "green", caption="new")])
    assert not again["p1"].content.created
    stored = await here.content.GetContent(content_pb2.GetContentRequest(content_id="p1"))
    assert stored.item.context.caption == "new"
    assert stored.tags[0].phrase == "green"


async def test_a_bad_item_costs_the_others_nothing(here: Site) -> None:
    broken = picture("broken", "red")
    broken.image = b"no picture"
    nameless = picture("", "red")
    nameless.request_id = "nameless"
    nul = picture("nul\0", "red")
    nul.request_id = "nul"
    source = picture("source", "red", source="telepathy")
    long = picture("long", "red", caption="x" * 4_001)
    sent = [picture("a", "red"), broken, nameless, nul, source, long, picture("b", "blue")]
    replies = await here.ingest(sent)
    assert len(replies) == 7
    assert {key for key, reply in replies.items() if reply.HasField("content")} == {"a", "b"}
    reasons = {key: decode(r.error).reason for key, r in replies.items() if r.HasField("error")}
    assert reasons.pop("broken") == "IMAGE_INVALID"
    assert set(reasons.values()) == {"ARGUMENT_OUT_OF_RANGE"}
    assert decode(replies["nameless"].error).metadata["field"] == "item.content_id"
    assert decode(replies["source"].error).metadata["field"] == "item.context.source"


async def test_texts_that_postgresql_cannot_hold_are_stored_without_what_it_cannot(
    here: Site,
) -> None:
    request = picture("p1", "red", caption="a\0b")
    replies = await here.ingest([request])
    assert replies["p1"].HasField("content"), replies
    stored = await here.content.GetContent(content_pb2.GetContentRequest(content_id="p1"))
    assert stored.item.context.caption == "ab"


async def test_engagements_are_recorded_once(here: Site) -> None:
    await here.ingest_colours(["red", "green"])
    entries = [did("ann", LIKE, "p0"), did("ann", SAVE, "p1"), did("bob", LIKE, "p0")]
    first = await here.record(*entries)
    assert (first.recorded_count, first.duplicate_count) == (3, 0)
    again = await here.record(*entries, did("bob", SHARE, "p1"))
    assert (again.recorded_count, again.duplicate_count) == (1, 3)
    assert (await here.profile("ann")).engagement_count == 2


async def test_bad_engagements_are_named_and_the_others_kept(here: Site) -> None:
    await here.ingest_colours(["red"])
    late = did("ann", LIKE, "p0", request_id="late", days_ago=-4_000)
    reply = await here.record(
        did("ann", LIKE, "p0"),
        did("ann", LIKE, "nowhere"),
        did("ann", 0, "p0"),
        did("", LIKE, "p0", request_id="x"),
        late,
    )
    assert reply.recorded_count == 1
    found = {error.index: decode(error.error) for error in reply.errors}
    assert {index: refused.reason for index, refused in found.items()} == {
        1: "UNKNOWN_CONTENT",
        2: "ARGUMENT_OUT_OF_RANGE",
        3: "ARGUMENT_OUT_OF_RANGE",
        4: "ARGUMENT_OUT_OF_RANGE",
    }
    assert found[2].metadata["field"] == "engagements.kind"
    assert "SAVE" in found[2].metadata["allowed"]
    assert "nowhere" not in found[1].message


async def test_too_many_or_no_engagements_are_refused(here: Site) -> None:
    refused = await refusal(here.record())
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "ARGUMENT_OUT_OF_RANGE")


async def test_a_profile_shows_interests_and_aversions(here: Site) -> None:
    await here.ingest_colours(["red", "red", "green"])
    await here.record(did("ann", SAVE, "p0"), did("ann", LIKE, "p1"), did("ann", HIDE, "p2"))
    profile = await here.profile("ann")
    weights = {interest.phrase: interest.weight for interest in profile.interests.interests}
    assert weights["red"] > 0
    assert weights["green"] < 0
    assert sum(map(abs, weights.values())) == pytest.approx(1, abs=1e-3)
    assert profile.interests.tastes[0].phrase == "red"
    assert not profile.HasField("visual")  # no clusters yet


async def test_nobody_has_no_profile(here: Site) -> None:
    refused = await refusal(here.profile("nobody"))
    assert (refused.code, refused.reason) == ("NOT_FOUND", "UNKNOWN_USER")
    assert "nobody" not in refused.message


async def test_comparing_needs_pictures_and_clusters(here: Site) -> None:
    await here.ingest_colours(["red"])
    await here.record(did("ann", LIKE, "p0"), did("dan", VIEW, "p0"))
    request = profile_pb2.CompareProfilesRequest(first_user_id="ann", second_user_id="dan")
    refused = await refusal(here.profiles.CompareProfiles(request))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "NO_CLUSTERS")
    await people_with_clusters(here)
    refused = await refusal(here.profiles.CompareProfiles(request))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "PROFILE_EMPTY")


async def test_recommendations_fit_and_never_repeat(here: Site) -> None:
    await people_with_clusters(here)
    await here.record(did("ann", HIDE, "p48"))
    answer = await here.recommend("ann", limit=4, diversity=0.0, explain=True)
    assert not answer.cold_start
    stored = [
        await here.content.GetContent(content_pb2.GetContentRequest(content_id=r.content_id))
        for r in answer.recommendations
    ]
    assert stored[0].tags[0].phrase == "red"
    seen = {f"p{n}" for n in range(0, 48, 6)} | {"p48"}
    assert not seen & {r.content_id for r in answer.recommendations}
    for recommended in answer.recommendations:
        parts = sum(reason.contribution for reason in recommended.reasons)
        assert parts == pytest.approx(recommended.score, abs=1e-4)
    assert any(r.HasField("interest") for r in answer.recommendations[0].reasons)


async def test_deleted_items_are_gone_with_their_traces(here: Site) -> None:
    await people_with_clusters(here)
    request = content_pb2.DeleteContentRequest(content_ids=["p0", "p6", "nowhere"])
    assert (await here.content.DeleteContent(request)).deleted_count == 2
    assert (await here.profile("ann")).visual.picture_count == 6
    clusters = await here.profiles.ListClusters(profile_pb2.ListClustersRequest(exemplar_count=100))
    shown = {name for c in clusters.clusters for name in c.exemplar_content_ids}
    assert not shown & {"p0", "p6"}


async def test_an_erased_person_is_not_known_any_more(here: Site) -> None:
    await people_with_clusters(here)
    posted = picture("by-ann", "blue")
    posted.item.author_id = "ann"
    await here.ingest([posted])
    request = profile_pb2.DeleteProfileRequest(user_id="ann")
    erased = await here.profiles.DeleteProfile(request)
    assert (erased.engagement_count, erased.content_count) == (8, 1)
    assert (await refusal(here.profile("ann"))).reason == "UNKNOWN_USER"
    gone = content_pb2.GetContentRequest(content_id="by-ann")
    assert (await refusal(here.content.GetContent(gone))).reason == "UNKNOWN_CONTENT"
    again = await here.profiles.DeleteProfile(request)
    assert (again.engagement_count, again.content_count) == (0, 0)


async def test_one_refresh_at_a_time_and_a_cancelled_one_says_so(here: Site) -> None:
    started = await here.profiles.RefreshPeople(profile_pb2.RefreshPeopleRequest())
    running = await refusal(here.profiles.RefreshPeople(profile_pb2.RefreshPeopleRequest()))
    assert (running.code, running.reason) == ("ABORTED", "PEOPLE_REFRESH_RUNNING")
    assert running.metadata["operation"] == started.name


async def test_too_few_pictures_fit_no_clusters(here: Site) -> None:
    await here.ingest_colours(["red", "green"])
    operation = await here.refresh_people(refit_clusters=True)
    assert decode(operation.error).reason == "PEOPLE_REFRESH_FAILED"
    assert not (await here.refresh_people()).HasField("error")


async def test_without_a_database_tagging_goes_on(tmp_path: Path) -> None:
    async with site(tmp_path, "off") as opened:
        refused = await refusal(opened.profile("ann"))
        assert (refused.code, refused.reason) == ("UNAVAILABLE", "STORAGE_DOWN")
        replies = await opened.ingest([picture("p1", "red")])
        assert decode(replies["p1"].error).reason == "STORAGE_DOWN"
