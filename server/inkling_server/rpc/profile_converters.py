"""Profiles, comparisons and rankings: domain values -> messages, and checks of requests.

Nothing here awaits or logs.
"""

from collections.abc import Mapping, Sequence

from google.longrunning import operations_pb2

from inkling.v1 import profile_pb2
from inkling_server.errors import ArgumentOutOfRange
from inkling_server.people.comparing import ComparedProfiles, InterestPair, RankedPeople, RankQuery
from inkling_server.people.operation import PeopleOperation, PeopleOrder
from inkling_server.people.profiles import PersonProfile
from inkling_server.profiles.clusters import VisualClusters
from inkling_server.profiles.compare import CompareSettings, LogOddsVariance
from inkling_server.rpc.graph_converters import to_time
from inkling_server.rpc.people_limits import check_count, check_id, check_ids
from inkling_server.rpc.status import to_status

_MAX_LIMIT = 1_000
_DEFAULT_LIMIT = 20
_MAX_PRIOR_SCALE = 1_000_000.0
_MAX_COLLECTION = 1_000
_MAX_CANDIDATES = 10_000
_MAX_EXEMPLARS = 100
_DEFAULT_EXEMPLARS = 5
_MAX_CLUSTERS = 10_000
_VARIANCES = {
    profile_pb2.LOG_ODDS_VARIANCE_UNSPECIFIED: LogOddsVariance.FULL,
    profile_pb2.LOG_ODDS_VARIANCE_FULL: LogOddsVariance.FULL,
    profile_pb2.LOG_ODDS_VARIANCE_APPROXIMATE: LogOddsVariance.APPROXIMATE,
}
Exemplars = Mapping[int, Sequence[str]]


def to_limit(
    request: profile_pb2.GetProfileRequest
    | profile_pb2.CompareProfilesRequest
    | profile_pb2.RankProfilesRequest,
) -> int:
    """How many of each list are wanted. Raises ArgumentOutOfRange."""
    if not request.HasField("limit"):
        return _DEFAULT_LIMIT
    return check_count("limit", request.limit, 1, _MAX_LIMIT)


def to_exemplar_count(request: profile_pb2.ListClustersRequest) -> int:
    """Pictures of each cluster. Raises ArgumentOutOfRange."""
    if not request.HasField("exemplar_count"):
        return _DEFAULT_EXEMPLARS
    return check_count("exemplar_count", request.exemplar_count, 0, _MAX_EXEMPLARS)


def to_compare_settings(
    request: profile_pb2.CompareProfilesRequest, prior_scale: float | None
) -> CompareSettings:
    """How to compare.

    Args:
        request: may name a prior and a variance.
        prior_scale: where it names none.

    Raises:
        ArgumentOutOfRange: it names something else.
    """
    if request.HasField("prior_scale"):
        prior_scale = request.prior_scale
        if not 0 < prior_scale <= _MAX_PRIOR_SCALE:  # NaN fails, too
            raise ArgumentOutOfRange(
                "prior_scale", str(prior_scale), f"above 0, at most {_MAX_PRIOR_SCALE:,.0f}"
            )
    if request.variance not in _VARIANCES:
        raise ArgumentOutOfRange("variance", str(request.variance), "FULL, APPROXIMATE, or unset")
    return CompareSettings(prior_scale=prior_scale, variance=_VARIANCES[request.variance])


def to_rank_query(request: profile_pb2.RankProfilesRequest) -> RankQuery:
    """Whose collection it is. Raises ArgumentOutOfRange."""
    return RankQuery(
        content_ids=check_ids("content_ids", request.content_ids, _MAX_COLLECTION),
        user_ids=check_ids("user_ids", request.user_ids, _MAX_CANDIDATES, least=0),
        limit=to_limit(request),
        hold_out=request.hold_out,
    )


def to_people_order(request: profile_pb2.RefreshPeopleRequest) -> PeopleOrder:
    """What to refresh. Raises ArgumentOutOfRange."""
    count = None
    if request.HasField("cluster_count"):
        count = check_count("cluster_count", request.cluster_count, 2, _MAX_CLUSTERS)
    return PeopleOrder(refit_clusters=request.refit_clusters, cluster_count=count)


def to_compared_ids(request: profile_pb2.CompareProfilesRequest) -> tuple[str, str]:
    """Whom to compare; the second may be "" for everybody. Raises ArgumentOutOfRange."""
    second = request.second_user_id
    return (
        check_id("first_user_id", request.first_user_id),
        check_id("second_user_id", second) if second else "",
    )


def heaviest_clusters(profile: PersonProfile, limit: int) -> list[int]:
    """Clusters with the largest share of a person's pictures, the largest first."""
    if profile.visual is None:
        return []
    order_K = (-profile.visual.sums.sums_K).argsort(kind="stable")
    return [int(cluster) for cluster in order_K[:limit]]


def to_profile(
    profile: PersonProfile, exemplars: Exemplars, limit: int
) -> profile_pb2.GetProfileResponse:
    """One person's profile.

    Args:
        profile: of a known person.
        exemplars: content ids of the clusters that are shown.
        limit: clusters and interests at most.
    """
    response = profile_pb2.GetProfileResponse(
        interests=profile_pb2.InterestProfile(
            interests=[
                profile_pb2.InterestWeight(
                    interest_id=weight.interest_id,
                    phrase=weight.phrase,
                    weight=weight.weight,
                    smoothed_share=weight.smoothed_share,
                )
                for weight in profile.interests.weights[:limit]
            ],
            tastes=[
                profile_pb2.Taste(
                    interest_id=taste.interest_id,
                    phrase=taste.phrase,
                    share=taste.share,
                    interest_ids=taste.interest_ids,
                )
                for taste in profile.interests.tastes[:limit]
            ],
        ),
        graph_version=profile.graph_version,
        model_version=profile.model_version,
    )
    if profile.person is not None:
        response.engagement_count = profile.person.engagement_count
        if profile.person.last_time is not None:
            response.last_engagement_time.CopyFrom(to_time(profile.person.last_time))
    if profile.visual is not None and profile.clusters is not None:
        shares_K = profile.visual.sums.shares_K
        general_K = profile.clusters.general_K
        response.visual.CopyFrom(
            profile_pb2.VisualProfile(
                clusters_version=profile.clusters.version,
                picture_count=profile.picture_count,
                outdated_picture_count=profile.outdated_count,
                clusters=[
                    profile_pb2.ClusterShare(
                        cluster=cluster,
                        share=shares_K[cluster],
                        general_share=general_K[cluster],
                        exemplar_content_ids=exemplars.get(cluster, ()),
                    )
                    for cluster in heaviest_clusters(profile, limit)
                ],
            )
        )
    return response


def differing_clusters(compared: ComparedProfiles, limit: int) -> list[int]:
    """Clusters with the greatest |z|, the greatest first."""
    return [int(cluster) for cluster in compared.comparison.order_K[:limit]]


def to_comparison(
    compared: ComparedProfiles, exemplars: Exemplars, limit: int
) -> profile_pb2.CompareProfilesResponse:
    """Two people side by side; arguments as `to_profile`."""
    found = compared.comparison
    return profile_pb2.CompareProfilesResponse(
        max_abs_z=found.max_abs_z,
        differs_at_95=found.differs(0.95),
        differs_at_99=found.differs(0.99),
        differs_at_95_corrected=found.differs(0.95, corrected=True),
        differs_at_99_corrected=found.differs(0.99, corrected=True),
        clusters=[
            profile_pb2.ClusterDifference(
                cluster=cluster,
                z=found.z_K[cluster],
                log_odds_ratio=found.log_odds_K[cluster],
                variance=found.variance_K[cluster],
                first_share=compared.first_shares_K[cluster],
                second_share=compared.second_shares_K[cluster],
                exemplar_content_ids=exemplars.get(cluster, ()),
            )
            for cluster in differing_clusters(compared, limit)
        ],
        differing_interests=[_difference(pair) for pair in compared.differing[:limit]],
        common_interests=[_difference(pair) for pair in compared.common[:limit]],
        clusters_version=compared.clusters.version,
        graph_version=compared.graph_version,
        model_version=compared.model_version,
    )


def to_ranking(ranked: RankedPeople) -> profile_pb2.RankProfilesResponse:
    """Likeliest owners of a collection."""
    return profile_pb2.RankProfilesResponse(
        profiles=[
            profile_pb2.RankedProfile(user_id=user_id, score=score)
            for user_id, score in ranked.people
        ],
        candidate_count=ranked.candidate_count,
        picture_count=ranked.picture_count,
        clusters_version=ranked.clusters_version,
        model_version=ranked.model_version,
    )


def to_clusters(
    clusters: VisualClusters,
    exemplars: Exemplars,
    phrases: Mapping[int, Sequence[str]],
    model_version: str,
) -> profile_pb2.ListClustersResponse:
    """The clusters that serve.

    Args:
        clusters: that serve.
        exemplars: content ids by cluster.
        phrases: what its exemplars are tagged with, by cluster.
        model_version: that they belong to.
    """
    response = profile_pb2.ListClustersResponse(
        clusters_version=clusters.version,
        model_version=model_version,
        clusters=[
            profile_pb2.VisualCluster(
                cluster=cluster,
                general_share=share,
                exemplar_content_ids=exemplars.get(cluster, ()),
                phrases=phrases.get(cluster, ()),
            )
            for cluster, share in enumerate(clusters.general_K.tolist())
        ],
        beta=clusters.beta,
        background_count=clusters.background_count,
    )
    response.created_time.CopyFrom(to_time(clusters.created_time))
    return response


def to_people_operation(operation: PeopleOperation) -> operations_pb2.Operation:
    """A refresh of people at one moment."""
    message = operations_pb2.Operation(name=operation.name, done=operation.is_done)
    metadata = profile_pb2.RefreshPeopleMetadata(stage=operation.stage)
    metadata.create_time.CopyFrom(to_time(operation.create_time))
    if operation.end_time is not None:
        metadata.end_time.CopyFrom(to_time(operation.end_time))
    message.metadata.Pack(metadata)
    if operation.error is not None:
        message.error.CopyFrom(to_status(operation.error))
    elif operation.summary is not None:
        summary = operation.summary
        message.response.Pack(
            profile_pb2.RefreshPeopleResponse(
                clusters_version=summary.clusters_version,
                clusters_refitted=summary.clusters_refitted,
                co_engaged_content_count=summary.co_engaged_content_count,
                popular_content_count=summary.popular_content_count,
                expired_engagement_count=summary.expired_engagement_count,
                profile_count=summary.profile_count,
            )
        )
    return message


def _difference(pair: InterestPair) -> profile_pb2.InterestDifference:
    return profile_pb2.InterestDifference(
        interest_id=pair.interest_id,
        phrase=pair.phrase,
        first_weight=pair.first_weight,
        second_weight=pair.second_weight,
    )
