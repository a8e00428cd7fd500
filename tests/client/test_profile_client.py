"""Both clients of people against a scripted server on a real socket."""

from datetime import UTC, datetime

import grpc
import pytest

from inkling.v1 import profile_pb2
from inkling_client import (
    DeadlineExceeded,
    Erased,
    NoClusters,
    PeopleRefreshCancelled,
    PeopleRefreshFailed,
    PeopleRefreshProgress,
    PeopleRefreshRunning,
    ProfileEmpty,
    StorageDown,
    UnknownUser,
)
from tests.client.fake_content import CLUSTERS, STORAGE_DOWN
from tests.client.fake_profiles import OPERATION, TIME, FakeProfiles
from tests.client.fake_server import GRAPH, MODEL, status
from tests.client.people_face import QUICK, PeopleFace

RUNNING = status(grpc.StatusCode.ABORTED, "PEOPLE_REFRESH_RUNNING", metadata={"operation": "o"})


async def test_a_profile_has_taste_and_interests(people: PeopleFace) -> None:
    found = await people.call(people.client.profiles, "get", "ann")
    assert found.visual.clusters_version == CLUSTERS
    assert (found.visual.picture_count, found.visual.outdated_picture_count) == (40, 3)
    first = found.visual.clusters[0]
    assert (first.cluster, first.share, first.general_share) == (17, 0.5, 0.25)
    assert first.exemplar_content_ids == ("pin-1", "pin-2")
    assert [entry.weight for entry in found.interests] == [0.5, -0.25]
    assert found.interests[0].smoothed_share == 0.25
    assert found.tastes[0].interest_ids == ("i1", "i3")
    assert found.engagement_count == 1_234
    assert found.last_engagement_time == TIME
    assert (found.graph_version, found.model_version) == (GRAPH, MODEL)


async def test_somebody_new_has_no_visual_profile(people: PeopleFace) -> None:
    found = await people.call(people.client.profiles, "get", "new")
    assert found.visual is None
    assert (found.interests, found.tastes) == ((), ())


async def test_limits_are_sent_only_where_they_are_given(
    people: PeopleFace, profiles: FakeProfiles
) -> None:
    await people.call(people.client.profiles, "get", "ann")
    await people.call(people.client.profiles, "get", "ann", limit=5)
    plain, limited = profiles.seen(profile_pb2.GetProfileRequest)
    assert not plain.HasField("limit")
    assert limited.limit == 5


async def test_a_comparison_has_z_and_its_significance(
    people: PeopleFace, profiles: FakeProfiles
) -> None:
    found = await people.call(people.client.profiles, "compare", "ann", "ben")
    assert found.max_abs_z == 3.5
    assert (found.differs_at_99, found.differs_at_95_corrected) == (True, True)
    assert not found.differs_at_99_corrected
    assert [entry.z for entry in found.clusters] == [3.5, -2.0, 0.5]
    assert found.clusters[0].log_odds_ratio == 0.875
    assert found.differing_interests[0].second_weight == 0.5
    assert found.common_interests[0].phrase == "latte art"
    (request,) = profiles.seen(profile_pb2.CompareProfilesRequest)
    assert request.variance == profile_pb2.LOG_ODDS_VARIANCE_FULL
    assert not request.HasField("prior_scale")


async def test_a_comparison_with_everybody_by_the_approximation(
    people: PeopleFace, profiles: FakeProfiles
) -> None:
    await people.call(
        people.client.profiles, "compare", "ann", prior_scale=10.5, variance="approximate", limit=3
    )
    (request,) = profiles.seen(profile_pb2.CompareProfilesRequest)
    assert (request.second_user_id, request.prior_scale, request.limit) == ("", 10.5, 3)
    assert request.variance == profile_pb2.LOG_ODDS_VARIANCE_APPROXIMATE
    with pytest.raises(ValueError, match="full, approximate"):
        await people.call(people.client.profiles, "compare", "ann", variance="exact")


async def test_ranking_sends_collection_and_people(
    people: PeopleFace, profiles: FakeProfiles
) -> None:
    found = await people.call(
        people.client.profiles, "rank", ["a", "b"], ("ann", "ben"), limit=2, hold_out=True
    )
    assert [(entry.user_id, entry.score) for entry in found.profiles] == [
        ("ann", 1.5),
        ("ben", -0.5),
    ]
    assert (found.candidate_count, found.picture_count) == (2, 1)
    (request,) = profiles.seen(profile_pb2.RankProfilesRequest)
    assert list(request.content_ids) == ["a", "b"]
    assert list(request.user_ids) == ["ann", "ben"]
    assert (request.limit, request.hold_out) == (2, True)


async def test_erasing_counts_what_is_gone(people: PeopleFace) -> None:
    assert await people.call(people.client.profiles, "delete", "ann") == Erased(1_234, 1)
    assert await people.call(people.client.profiles, "delete", "nobody") == Erased(0, 0)


async def test_clusters_have_pictures_and_phrases(
    people: PeopleFace, profiles: FakeProfiles
) -> None:
    found = await people.call(people.client.profiles, "clusters", exemplar_count=0)
    assert (found.clusters_version, found.beta, found.background_count) == (CLUSTERS, 12.5, 5_000)
    assert found.created_time == datetime(2026, 11, 2, 10, tzinfo=UTC)
    assert [entry.general_share for entry in found.clusters] == [0.25, 0.75]
    assert found.clusters[0].phrases == ("latte art", "coffee")
    (request,) = profiles.seen(profile_pb2.ListClustersRequest)
    assert request.HasField("exemplar_count")


@pytest.mark.parametrize(
    ("reason", "code", "kind"),
    [
        ("UNKNOWN_USER", grpc.StatusCode.NOT_FOUND, UnknownUser),
        ("PROFILE_EMPTY", grpc.StatusCode.FAILED_PRECONDITION, ProfileEmpty),
        ("NO_CLUSTERS", grpc.StatusCode.FAILED_PRECONDITION, NoClusters),
    ],
)
async def test_refusals_are_typed(
    people: PeopleFace,
    profiles: FakeProfiles,
    reason: str,
    code: grpc.StatusCode,
    kind: type[Exception],
) -> None:
    profiles.refuse["CompareProfiles"] = [status(code, reason)]
    with pytest.raises(kind):
        await people.call(people.client.profiles, "compare", "ann", "ben")


async def test_reading_is_tried_again_as_long_as_it_may_help(
    people: PeopleFace, profiles: FakeProfiles
) -> None:
    profiles.refuse["GetProfile"] = [STORAGE_DOWN, STORAGE_DOWN]
    assert (await people.call(people.client.profiles, "get", "ann")).engagement_count
    profiles.refuse["GetProfile"] = [STORAGE_DOWN] * QUICK.max_attempts
    with pytest.raises(StorageDown):
        await people.call(people.client.profiles, "get", "ann")


async def test_a_refresh_is_watched_to_its_end(people: PeopleFace, profiles: FakeProfiles) -> None:
    handle = await people.call(
        people.client.profiles, "refresh", refit_clusters=True, cluster_count=50
    )
    assert handle.name == OPERATION
    (request,) = profiles.seen(profile_pb2.RefreshPeopleRequest)
    assert (request.refit_clusters, request.cluster_count) == (True, 50)
    seen: list[PeopleRefreshProgress] = []

    def on_progress(progress: PeopleRefreshProgress) -> None:
        seen.append(progress)
        if len(seen) == 1:
            profiles.move("popularity")
        elif not progress.done:
            profiles.succeed()

    result = await people.call(handle, "wait", on_progress)
    assert (result.clusters_version, result.clusters_refitted) == (CLUSTERS, True)
    assert (result.co_engaged_content_count, result.popular_content_count) == (120, 400)
    assert result.expired_engagement_count == 7
    assert [progress.stage for progress in seen] == ["clusters", "popularity", "retention"]
    assert seen[0].create_time == TIME
    assert seen[0].end_time is None
    assert seen[-1].done


@pytest.mark.parametrize(
    ("why", "kind"),
    [
        (status(grpc.StatusCode.INTERNAL, "PEOPLE_REFRESH_FAILED", "why"), PeopleRefreshFailed),
        (STORAGE_DOWN, PeopleRefreshFailed),
        (status(grpc.StatusCode.CANCELLED, "ANYTHING", "why"), PeopleRefreshCancelled),
    ],
)
async def test_a_refresh_that_fails_says_why(
    people: PeopleFace, profiles: FakeProfiles, why: object, kind: type[Exception]
) -> None:
    handle = await people.call(people.client.profiles, "refresh")
    profiles.fail(why)
    with pytest.raises(kind):
        await people.call(handle, "wait")


async def test_cancelling_and_waiting_have_an_end(people: PeopleFace) -> None:
    handle = await people.call(people.client.profiles, "refresh")
    with pytest.raises(DeadlineExceeded, match="it goes on"):
        await people.call(handle, "wait", timeout_s=0.05)
    await people.call(handle, "cancel")
    with pytest.raises(PeopleRefreshCancelled):
        await people.call(handle, "wait")


async def test_one_that_runs_is_named_and_starting_is_never_tried_twice(
    people: PeopleFace, profiles: FakeProfiles
) -> None:
    profiles.refuse["RefreshPeople"] = [RUNNING]
    with pytest.raises(PeopleRefreshRunning) as caught:
        await people.call(people.client.profiles, "refresh")
    assert caught.value.metadata == {"operation": "o"}
    profiles.refuse["RefreshPeople"] = [STORAGE_DOWN]
    with pytest.raises(StorageDown):
        await people.call(people.client.profiles, "refresh")
    assert len(profiles.seen(profile_pb2.RefreshPeopleRequest)) == 2
