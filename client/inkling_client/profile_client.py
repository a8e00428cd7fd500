"""The blocking client of people: `InklingClient.profiles`.

    profiles = client.profiles
    for entry in profiles.get("ann").interests:
        ...
    print(profiles.compare("ann", "ben").max_abs_z)
    profiles.refresh().wait(on_progress=print)

This module does not know the rules of retrying (`retry.py`). The same for asyncio is
`profile_aio.py`.
"""

from collections.abc import Iterable

import grpc
from google.longrunning import operations_pb2_grpc

from inkling.v1 import profile_pb2, profile_pb2_grpc
from inkling_client.comparison_results import Comparison, comparison
from inkling_client.operation_handle import Caller, OperationHandle
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


class ProfileClient:
    """Reads people's profiles on one server, compares and erases them.

    Errors are `InklingClientError`s.
    """

    def __init__(self, channel: grpc.Channel, caller: Caller) -> None:
        self._profiles = profile_pb2_grpc.ProfileServiceStub(channel)
        self._operations = operations_pb2_grpc.OperationsStub(channel)
        self._call = caller

    def get(self, user_id: str, *, limit: int | None = None) -> Profile:
        """One person's profile.

        Args:
            user_id: UnknownUser where nothing of them is stored.
            limit: interests and clusters at most, 1 to 1,000; None: 20.
        """
        request = profile_pb2.GetProfileRequest(user_id=user_id, limit=limit)
        return self._call(lambda s: profile(self._profiles.GetProfile(request, timeout=s)))

    def compare(
        self,
        first_user_id: str,
        second_user_id: str = "",
        *,
        prior_scale: float | None = None,
        variance: LogOddsVariance = "full",
        limit: int | None = None,
    ) -> Comparison:
        """Where two people differ and where they agree.

        Args:
            first_user_id: UnknownUser where nothing of them is stored, ProfileEmpty where no
                picture of theirs counts.
            second_user_id: "": everybody, the general distribution.
            prior_scale: pictures that the prior is worth, above 0; None: the server's setting.
            variance: of the log-odds ratio: "full", or "approximate" (Monroe et al. 2008, eq. 20).
            limit: clusters and interests of each list at most, 1 to 1,000; None: 20.
        """
        request = compare_request(
            first_user_id,
            second_user_id,
            prior_scale=prior_scale,
            variance=variance,
            limit=limit,
        )
        return self._call(lambda s: comparison(self._profiles.CompareProfiles(request, timeout=s)))

    def rank(
        self,
        content_ids: Iterable[str],
        user_ids: Iterable[str] = (),
        *,
        limit: int | None = None,
        hold_out: bool = False,
    ) -> ProfileRanking:
        """Whose collection is it? Orders people by how well their profile explains the items.

        Args:
            content_ids: the collection, 1 to 1,000 items whose pictures are stored.
            user_ids: whom to rank, at most 10,000; none: everybody who has a visual profile.
            limit: people at most, 1 to 1,000; None: 20.
            hold_out: leave the collection's own items out of each person's profile before
                comparing: otherwise whoever kept them wins at once.
        """
        request = rank_request(content_ids, user_ids, limit=limit, hold_out=hold_out)
        return self._call(
            lambda s: profile_ranking(self._profiles.RankProfiles(request, timeout=s)),
            RANK_TIMEOUT_S,
        )

    def delete(self, user_id: str) -> Erased:
        """Erases everything of a person: engagements, profile, and the items that they posted.

        Erasing somebody who is not known is no error. Where an answer was lost and the call sent
        again, what was erased before is not counted.
        """
        request = profile_pb2.DeleteProfileRequest(user_id=user_id)
        answer = self._call(lambda s: self._profiles.DeleteProfile(request, timeout=s))
        return Erased(answer.engagement_count, answer.content_count)

    def clusters(self, *, exemplar_count: int | None = None) -> VisualClusters:
        """The visual clusters that serve; raises NoClusters where there are none.

        Args:
            exemplar_count: exemplars of each at most, 0 to 100; None: 5.
        """
        request = profile_pb2.ListClustersRequest(exemplar_count=exemplar_count)
        return self._call(
            lambda s: visual_clusters(self._profiles.ListClusters(request, timeout=s))
        )

    def refresh(
        self, *, refit_clusters: bool = False, cluster_count: int | None = None
    ) -> "PeopleRefreshHandle":
        """Starts to bring up to date what is computed for all people together.

        That is popularity, co-engagement of items and, where there are none, visual clusters.

        Args:
            refit_clusters: fit clusters anew although there are some.
            cluster_count: how many, 2 to 10,000; None: the server's setting.

        Raises:
            PeopleRefreshRunning: one at a time; `handle(error.metadata["operation"])` is it.
        """
        request = profile_pb2.RefreshPeopleRequest(
            refit_clusters=refit_clusters, cluster_count=cluster_count
        )
        operation = self._call(
            lambda s: self._profiles.RefreshPeople(request, timeout=s), once=True
        )
        return self.handle(operation.name)

    def handle(self, name: str) -> "PeopleRefreshHandle":
        """A refresh that somebody has started."""
        return PeopleRefreshHandle(name, self._operations, self._call)


class PeopleRefreshHandle(OperationHandle[PeopleRefreshProgress, PeopleRefreshResult]):
    """One refresh; `wait` raises PeopleRefreshFailed, PeopleRefreshCancelled."""

    _kind = PEOPLE_REFRESH
