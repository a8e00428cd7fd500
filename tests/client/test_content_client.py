"""Both clients of content against a scripted server on a real socket."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from inkling.v1 import content_pb2
from inkling_client import (
    Context,
    Engagement,
    IngestItem,
    Recorded,
    StorageDown,
    Unavailable,
    UnknownContent,
)
from tests.client.fake_content import STORAGE_DOWN, UNKNOWN_CONTENT, FakeContent
from tests.client.fake_server import RunningServer
from tests.client.people_face import QUICK, PeopleFace

TIME = datetime(2026, 11, 2, 10, 0, tzinfo=timezone(timedelta(hours=1)))


def likes(count: int, content_id: str = "pin-0") -> list[Engagement]:
    return [Engagement(f"user {number}", content_id, "like") for number in range(count)]


async def test_unknown_content_is_an_error_and_deleting_it_is_none(
    people: PeopleFace, content: FakeContent
) -> None:
    with pytest.raises(UnknownContent):
        await people.call(people.client.content, "get", "nothing")
    content.keep("a", "b")
    assert await people.call(people.client.content, "delete", ["a", "nothing"]) == 1
    assert list(content.items) == ["b"]


async def test_any_number_is_deleted_a_thousand_at_a_time(
    people: PeopleFace, content: FakeContent
) -> None:
    names = [str(n) for n in range(2_001)]
    content.keep(*names)
    assert await people.call(people.client.content, "delete", iter(names)) == 2_001
    sizes = [len(request.content_ids) for request in content.seen(content_pb2.DeleteContentRequest)]
    assert sizes == [1_000, 1_000, 1]


async def test_25_000_engagements_are_recorded_in_requests_that_a_server_takes(
    people: PeopleFace, content: FakeContent
) -> None:
    content.keep("pin-0")
    engagements = likes(25_000)
    result = await people.call(people.client.content, "record", iter(engagements))
    assert result == Recorded(25_000, 0)
    requests = content.seen(content_pb2.RecordEngagementsRequest)
    assert [len(request.engagements) for request in requests] == [1_000] * 25
    assert len(content.engagements) == 25_000
    again = await people.call(people.client.content, "record", engagements, batch_size=10_000)
    assert again == Recorded(0, 25_000)


async def test_an_engagement_travels_whole(people: PeopleFace, content: FakeContent) -> None:
    content.keep("pin-0")
    await people.call(
        people.client.content, "record", [Engagement("ann", "pin-0", "hide", TIME, request_id="r1")]
    )
    (sent,) = content.seen(content_pb2.RecordEngagementsRequest)[0].engagements
    assert (sent.request_id, sent.user_id, sent.content_id) == ("r1", "ann", "pin-0")
    assert sent.kind == content_pb2.ENGAGEMENT_KIND_HIDE
    assert sent.time.ToDatetime(tzinfo=UTC) == TIME


async def test_a_lost_answer_and_a_database_away_count_nothing_twice(
    people: PeopleFace, content: FakeContent
) -> None:
    content.keep("pin-0")
    content.refuse["RecordEngagements"] = [STORAGE_DOWN]
    content.lose_answer_of = ["RecordEngagements"]
    result = await people.call(people.client.content, "record", likes(10), retry=QUICK)
    # Done by the attempt whose answer was lost: what the last one found was there already.
    assert result == Recorded(0, 10)
    assert len(content.engagements) == 10
    attempts = content.seen(content_pb2.RecordEngagementsRequest)
    assert len(attempts) == 3
    assert attempts[0] == attempts[1] == attempts[2]  # with the same request ids


async def test_a_database_that_stays_away_ends_recording(
    people: PeopleFace, content: FakeContent
) -> None:
    content.keep("pin-0")
    engagements = likes(30)
    content.refuse["RecordEngagements"] = [STORAGE_DOWN] * QUICK.max_attempts
    with pytest.raises(StorageDown):
        await people.call(people.client.content, "record", engagements, batch_size=10, retry=QUICK)
    result = await people.call(people.client.content, "record", engagements, batch_size=10)
    assert result == Recorded(30, 0)


async def test_bad_engagements_are_told_by_their_place(
    people: PeopleFace, content: FakeContent
) -> None:
    content.keep("pin-0")
    engagements = likes(25)
    for place in (3, 17):
        engagements[place] = Engagement("ann", "nothing", "view")
    result = await people.call(people.client.content, "record", engagements, batch_size=10)
    assert result.recorded_count == 23
    assert [entry.index for entry in result.errors] == [3, 17]
    assert all(isinstance(entry.error, UnknownContent) for entry in result.errors)


async def test_no_request_is_made_for_no_engagement(
    people: PeopleFace, content: FakeContent
) -> None:
    assert await people.call(people.client.content, "record", []) == Recorded(0, 0)
    assert content.requests == []
    with pytest.raises(ValueError, match="1 to 10,000"):
        await people.call(people.client.content, "record", likes(1), batch_size=10_001)


async def test_recommend_sends_what_was_asked_for(people: PeopleFace, content: FakeContent) -> None:
    await people.call(people.client.content, "recommend", "ann")
    (plain,) = content.seen(content_pb2.RecommendRequest)
    assert plain == content_pb2.RecommendRequest(user_id="ann")
    assert not plain.HasField("diversity")
    await people.call(
        people.client.content,
        "recommend",
        "ann",
        limit=5,
        diversity=0.0,
        explain=True,
        interest_ids=["i1"],
        excluded_content_ids=("a", "b"),
    )
    request = content.seen(content_pb2.RecommendRequest)[1]
    assert request.HasField("diversity")
    assert (request.limit, request.diversity, request.explain) == (5, 0.0, True)
    assert (list(request.interest_ids), list(request.excluded_content_ids)) == (["i1"], ["a", "b"])


async def test_recommendations_have_reasons_of_every_kind(people: PeopleFace) -> None:
    found = await people.call(people.client.content, "recommend", "ann", explain=True)
    assert [item.content_id for item in found.items] == ["pin-7", "pin-9"]
    assert not found.cold_start
    reasons = found.items[0].reasons
    assert [reason.kind for reason in reasons] == [
        "interest",
        "visual",
        "co_engagement",
        "popularity",
        "freshness",
    ]
    assert sum(reason.contribution for reason in reasons) == found.items[0].score
    assert reasons[0].phrase == "latte art"
    assert reasons[1].cluster == 17
    assert reasons[2].content_ids == ("pin-1", "pin-2")
    assert found.items[1].reasons == ()


async def test_reading_is_tried_again(people: PeopleFace, content: FakeContent) -> None:
    content.refuse["Recommend"] = [STORAGE_DOWN, STORAGE_DOWN]
    assert (await people.call(people.client.content, "recommend", "ann")).items
    content.refuse["Recommend"] = [UNKNOWN_CONTENT]
    with pytest.raises(UnknownContent):
        await people.call(people.client.content, "recommend", "ann")


async def test_no_server_is_said(people: PeopleFace, people_server: RunningServer) -> None:
    people_server.stop()
    with pytest.raises(Unavailable):
        await people.call(people.client.content, "record", likes(1), retry=QUICK, timeout_s=1.0)


def test_what_cannot_be_meant_is_refused_where_it_is_made() -> None:
    with pytest.raises(ValueError, match="view, like, save, share, hide"):
        Engagement("ann", "pin", "love")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="time zone"):
        Engagement("ann", "pin", "like", datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="user_id must be text"):
        Engagement("\ud83d", "pin", "like")
    with pytest.raises(ValueError, match="created_time must say its time zone"):
        IngestItem(content_id="p", created_time=datetime(2026, 1, 1))


def test_no_repr_tells_who_or_what() -> None:
    item = IngestItem(
        content_id="secret", context=Context(caption="secret"), author_id="secret", image=b"secret"
    )
    assert "secret" not in repr(item)
    assert "secret" not in repr(Engagement("secret", "secret", "like", request_id="secret"))


def test_every_engagement_has_a_name_of_its_own() -> None:
    one, other = likes(2)
    assert one.request_id != other.request_id
    assert 1 <= len(one.request_id) <= 200
