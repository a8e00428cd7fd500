"""The asyncio client of people, `AsyncInklingClient.profiles`: `profile_client.py`, awaited.

    profiles = client.profiles
    found = await profiles.get("ann")
    handle = await profiles.refresh()
    result = await handle.wait(on_progress=print)

This module does not know the rules of retrying (`retry.py`).
"""

from collections.abc import Iterable

from google.longrunning import operations_pb2_grpc
from grpc import aio

from inkling.v1 import profile_pb2, profile_pb2_grpc
from inkling_client.comparison_results import Comparison, comparison
from inkling_client.operation_aio import AsyncCaller, AsyncOperationHandle
from inkling_client.people_refresh_results import (
    PEOPLE_REFRESH,
    PeopleRefreshProgress,
    PeopleRefreshResult,
)
from inkling_client.profile_calls import (
    RANK_TIMEOUT_S,
    LogOddsVariance,
    compare_request,
    rank_request,
)
from inkling_client.profile_results import (
    Erased,
    Profile,
    ProfileRanking,
    VisualClusters,
    profile,
    profile_ranking,
    visual_clusters,
)


class AsyncProfileClient:
    """Reads people's profiles on one server, compares and erases them; see `ProfileClient`."""

    def __init__(self, channel: aio.Channel, caller: AsyncCaller) -> None:
        self._profiles = profile_pb2_grpc.ProfileServiceStub(channel)
        self._operations = operations_pb2_grpc.OperationsStub(channel)
        self._call = caller

    async def get(self, user_id: str, *, limit: int | None = None) -> Profile:
        """One person's profile; see `ProfileClient.get`."""
        request = profile_pb2.GetProfileRequest(user_id=user_id, limit=limit)
        return profile(await self._call(lambda s: self._profiles.GetProfile(request, timeout=s)))

    async def compare(
        self,
        first_user_id: str,
        second_user_id: str = "",
        *,
        prior_scale: float | None = None,
        variance: LogOddsVariance = "full",
        limit: int | None = None,
    ) -> Comparison:
        """Where two people differ and agree; arguments are those of `ProfileClient.compare`."""
        request = compare_request(
            first_user_id,
            second_user_id,
            prior_scale=prior_scale,
            variance=variance,
            limit=limit,
        )
        return comparison(
            await self._call(lambda s: self._profiles.CompareProfiles(request, timeout=s))
        )

    async def rank(
        self,
        content_ids: Iterable[str],
        user_ids: Iterable[str] = (),
        *,
        limit: int | None = None,
        hold_out: bool = False,
    ) -> ProfileRanking:
        """Whose collection it is; arguments are those of `ProfileClient.rank`."""
        request = rank_request(content_ids, user_ids, limit=limit, hold_out=hold_out)
        return profile_ranking(
            await self._call(
                lambda s: self._profiles.RankProfiles(request, timeout=s), RANK_TIMEOUT_S
            )
        )

    async def delete(self, user_id: str) -> Erased:
        """Erases everything of a person; see `ProfileClient.delete`."""
        request = profile_pb2.DeleteProfileRequest(user_id=user_id)
        answer = await self._call(lambda s: self._profiles.DeleteProfile(request, timeout=s))
        return Erased(answer.engagement_count, answer.content_count)

    async def clusters(self, *, exemplar_count: int | None = None) -> VisualClusters:
        """The visual clusters that serve; see `ProfileClient.clusters`."""
        request = profile_pb2.ListClustersRequest(exemplar_count=exemplar_count)
        return visual_clusters(
            await self._call(lambda s: self._profiles.ListClusters(request, timeout=s))
        )

    async def refresh(
        self, *, refit_clusters: bool = False, cluster_count: int | None = None
    ) -> "AsyncPeopleRefreshHandle":
        """Starts a refresh of people; arguments and errors are those of `ProfileClient.refresh`."""
        request = profile_pb2.RefreshPeopleRequest(
            refit_clusters=refit_clusters, cluster_count=cluster_count
        )
        operation = await self._call(
            lambda s: self._profiles.RefreshPeople(request, timeout=s), once=True
        )
        return self.handle(operation.name)

    def handle(self, name: str) -> "AsyncPeopleRefreshHandle":
        """A refresh that somebody has started."""
        return AsyncPeopleRefreshHandle(name, self._operations, self._call)


class AsyncPeopleRefreshHandle(AsyncOperationHandle[PeopleRefreshProgress, PeopleRefreshResult]):
    """One refresh, running or ended; see `PeopleRefreshHandle`."""

    _kind = PEOPLE_REFRESH
