"""ProfileService: reads, compares, ranks and erases people.

It knows no SQL and no formula, and holds no `try` (see `boundary.py`).
"""

from collections.abc import Callable

from google.longrunning import operations_pb2

from inkling.v1 import profile_pb2, profile_pb2_grpc
from inkling_server.errors import NoClusters
from inkling_server.people.service import People
from inkling_server.profiles.clusters import VisualClusters
from inkling_server.rpc import profile_converters as convert
from inkling_server.rpc.boundary import Context
from inkling_server.rpc.people_limits import check_id

# Pictures of a cluster beside its share.
_EXEMPLARS = 3
# What a cluster's pictures are tagged with, and how many of them are asked.
_PHRASES = 5
_NAMING_EXEMPLARS = 10


class ProfileServicer(profile_pb2_grpc.ProfileServiceServicer):
    """All RPCs of people.

    Args:
        people: everything about content and people; raises EncoderDown while there is none yet.
    """

    def __init__(self, people: Callable[[], People]) -> None:
        self._people = people

    async def GetProfile(  # noqa: N802
        self, request: profile_pb2.GetProfileRequest, context: Context
    ) -> profile_pb2.GetProfileResponse:
        del context
        limit = convert.to_limit(request)
        profile = await self._people().profile(check_id("user_id", request.user_id))
        shown = convert.heaviest_clusters(profile, limit)
        exemplars = await self._exemplars(profile.clusters, shown)
        return convert.to_profile(profile, exemplars, limit)

    async def CompareProfiles(  # noqa: N802
        self, request: profile_pb2.CompareProfilesRequest, context: Context
    ) -> profile_pb2.CompareProfilesResponse:
        del context
        comparer = self._people().comparer
        limit = convert.to_limit(request)
        first, second = convert.to_compared_ids(request)
        settings = convert.to_compare_settings(request, comparer.prior_scale)
        compared = await comparer.compare(first, second, settings)
        shown = convert.differing_clusters(compared, limit)
        exemplars = await self._exemplars(compared.clusters, shown)
        return convert.to_comparison(compared, exemplars, limit)

    async def RankProfiles(  # noqa: N802
        self, request: profile_pb2.RankProfilesRequest, context: Context
    ) -> profile_pb2.RankProfilesResponse:
        del context
        query = convert.to_rank_query(request)
        return convert.to_ranking(await self._people().comparer.rank(query))

    async def DeleteProfile(  # noqa: N802
        self, request: profile_pb2.DeleteProfileRequest, context: Context
    ) -> profile_pb2.DeleteProfileResponse:
        del context
        erased = await self._people().erase(check_id("user_id", request.user_id))
        return profile_pb2.DeleteProfileResponse(
            engagement_count=erased.engagement_count, content_count=erased.content_count
        )

    async def ListClusters(  # noqa: N802
        self, request: profile_pb2.ListClustersRequest, context: Context
    ) -> profile_pb2.ListClustersResponse:
        del context
        count = convert.to_exemplar_count(request)
        people = self._people()
        clusters = await people.clusters.current()
        if clusters is None:
            raise NoClusters
        shown = await self._exemplars(clusters, None, max(count, _NAMING_EXEMPLARS))
        phrases = await people.phrases_of_clusters(shown, _PHRASES)
        exemplars = {cluster: ids[:count] for cluster, ids in shown.items()}
        return convert.to_clusters(clusters, exemplars, phrases, people.model_version)

    async def RefreshPeople(  # noqa: N802
        self, request: profile_pb2.RefreshPeopleRequest, context: Context
    ) -> operations_pb2.Operation:
        del context
        order = convert.to_people_order(request)
        return convert.to_people_operation(await self._people().refresher.start(order))

    async def _exemplars(
        self,
        clusters: VisualClusters | None,
        only: list[int] | None,
        count: int = _EXEMPLARS,
    ) -> convert.Exemplars:
        if clusters is None or only == []:
            return {}
        storage = self._people().storage()
        return await storage.clusters.exemplars(clusters.version, count=count, only=only)
