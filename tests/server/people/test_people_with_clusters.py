"""What is asked of people whose clusters are fitted: one gateway for all, none of them writes."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from inkling.v1 import content_pb2, profile_pb2
from tests.server.people.people_kit import COLOURS, Site, people_with_clusters, site
from tests.server.rpc.rpc_kit import refusal

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Peopled:
    """A gateway with people, and what the refresh that fitted their clusters said."""

    site: Site
    response: Any


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peopled(
    tmp_path_factory: pytest.TempPathFactory, module_database_url: str
) -> AsyncIterator[Peopled]:
    async with site(tmp_path_factory.mktemp("peopled"), module_database_url) as opened:
        yield Peopled(opened, await people_with_clusters(opened))


async def test_clusters_are_fitted_and_divide_the_pictures(peopled: Peopled) -> None:
    here, response = peopled.site, peopled.response
    assert response.clusters_refitted
    assert response.profile_count == 3
    assert response.popular_content_count == 16
    clusters = await here.profiles.ListClusters(profile_pb2.ListClustersRequest())
    assert clusters.clusters_version == response.clusters_version
    assert clusters.background_count == 60
    assert sum(cluster.general_share for cluster in clusters.clusters) == pytest.approx(1, abs=1e-4)
    assert {cluster.phrases[0] for cluster in clusters.clusters} == set(COLOURS)
    profile = await here.profile("ann")
    assert profile.visual.picture_count == 8
    top = profile.visual.clusters[0]
    assert top.share > 0.5
    assert clusters.clusters[top.cluster].phrases[0] == "red"
    assert top.exemplar_content_ids


async def test_people_are_compared(peopled: Peopled) -> None:
    here = peopled.site
    request = profile_pb2.CompareProfilesRequest(first_user_id="ann", second_user_id="bob")
    compared = await here.profiles.CompareProfiles(request)
    clusters = await here.profiles.ListClusters(profile_pb2.ListClustersRequest())
    by_phrase = {clusters.clusters[c.cluster].phrases[0]: c.z for c in compared.clusters}
    assert by_phrase["red"] > 1 > -1 > by_phrase["green"]
    assert compared.max_abs_z == pytest.approx(max(abs(c.z) for c in compared.clusters))
    phrases = [interest.phrase for interest in compared.differing_interests[:2]]
    assert set(phrases) == {"red", "green"}
    approximate = profile_pb2.CompareProfilesRequest(
        first_user_id="ann",
        second_user_id="bob",
        variance=profile_pb2.LOG_ODDS_VARIANCE_APPROXIMATE,
    )
    greater = (await here.profiles.CompareProfiles(approximate)).max_abs_z
    assert greater > compared.max_abs_z
    same = profile_pb2.CompareProfilesRequest(first_user_id="ann", second_user_id="ann")
    assert (await here.profiles.CompareProfiles(same)).max_abs_z == 0
    everybody = profile_pb2.CompareProfilesRequest(first_user_id="ann", prior_scale=1)
    stands_out = await here.profiles.CompareProfiles(everybody)
    assert clusters.clusters[stands_out.clusters[0].cluster].phrases[0] == "red"
    assert stands_out.clusters[0].z > 0


async def test_a_collection_finds_its_owner(peopled: Peopled) -> None:
    here = peopled.site
    request = profile_pb2.RankProfilesRequest(content_ids=["p0", "p6"], hold_out=True)
    ranked = await here.profiles.RankProfiles(request)
    assert [person.user_id for person in ranked.profiles] == ["ann", "cyd", "bob"]
    assert ranked.candidate_count == 3
    assert ranked.picture_count == 2
    some = profile_pb2.RankProfilesRequest(content_ids=["p0"], user_ids=["bob", "nobody"])
    assert [p.user_id for p in (await here.profiles.RankProfiles(some)).profiles] == ["bob"]
    unknown = profile_pb2.RankProfilesRequest(content_ids=["nowhere"])
    assert (await refusal(here.profiles.RankProfiles(unknown))).reason == "UNKNOWN_CONTENT"


async def test_a_stranger_gets_what_people_keep(peopled: Peopled) -> None:
    here = peopled.site
    answer = await here.recommend("stranger", limit=5)
    assert answer.cold_start
    assert len(answer.recommendations) == 5


async def test_recommendations_keep_to_what_is_asked(peopled: Peopled) -> None:
    here = peopled.site
    answer = await here.recommend("ann", interest_ids=["blue"], excluded_content_ids=["p2"])
    ids = {r.content_id for r in answer.recommendations}
    assert ids
    assert "p2" not in ids
    for content_id in ids:
        request = content_pb2.GetContentRequest(content_id=content_id)
        tags = (await here.content.GetContent(request)).tags
        assert "blue" in {tag.interest_id for tag in tags}
    refused = await refusal(here.recommend("ann", limit=101))
    assert refused.metadata["field"] == "limit"
    assert (await refusal(here.recommend("ann", diversity=float("nan")))).metadata[
        "field"
    ] == "diversity"
