"""What clients hand out about the comparison of two people: plain frozen values.

This module does not know connections, and nothing in it can fail.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from inkling.v1 import profile_pb2


@dataclass(frozen=True, slots=True)
class ClusterDifference:
    """How two people differ in one visual cluster.

    Args:
        cluster: its number within the clusters' version.
        z: of the log-odds ratio; above 0: more of the first person's.
        log_odds_ratio: with an informative Dirichlet prior.
        variance: of the ratio.
        first_share: of the first person's pictures, in [0, 1].
        second_share: of the second's.
        exemplar_content_ids: items that show what the cluster is about.
    """

    cluster: int
    z: float
    log_odds_ratio: float
    variance: float
    first_share: float
    second_share: float
    exemplar_content_ids: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class InterestDifference:
    """How much two people care for one interest; weights as in `InterestWeight`."""

    interest_id: str
    phrase: str
    first_weight: float
    second_weight: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Where two people differ and where they agree.

    Args:
        max_abs_z: the largest |z| over all clusters.
        differs_at_95: it is beyond 1.96, the two-sided quantile of *one* comparison.
        differs_at_99: it is beyond 2.58.
        differs_at_95_corrected: the same with the level shared out among the clusters
            (Bonferroni): the largest of many |z| is large by chance more often than one.
        differs_at_99_corrected: the same at 99 %.
        clusters: the greatest |z| first.
        differing_interests: weights whose difference is greatest in size.
        common_interests: weights of the same sign, the greater common part first.
        clusters_version: whose numbers the clusters have.
        graph_version: whose interests they are.
        model_version: whose embeddings.
    """

    max_abs_z: float
    differs_at_95: bool
    differs_at_99: bool
    differs_at_95_corrected: bool
    differs_at_99_corrected: bool
    clusters: tuple[ClusterDifference, ...]
    differing_interests: tuple[InterestDifference, ...]
    common_interests: tuple[InterestDifference, ...]
    clusters_version: str
    graph_version: str
    model_version: str


def comparison(response: profile_pb2.CompareProfilesResponse) -> Comparison:
    """The plain value of a CompareProfilesResponse."""
    return Comparison(
        max_abs_z=response.max_abs_z,
        differs_at_95=response.differs_at_95,
        differs_at_99=response.differs_at_99,
        differs_at_95_corrected=response.differs_at_95_corrected,
        differs_at_99_corrected=response.differs_at_99_corrected,
        clusters=tuple(
            ClusterDifference(
                cluster=entry.cluster,
                z=entry.z,
                log_odds_ratio=entry.log_odds_ratio,
                variance=entry.variance,
                first_share=entry.first_share,
                second_share=entry.second_share,
                exemplar_content_ids=tuple(entry.exemplar_content_ids),
            )
            for entry in response.clusters
        ),
        differing_interests=_interests(response.differing_interests),
        common_interests=_interests(response.common_interests),
        clusters_version=response.clusters_version,
        graph_version=response.graph_version,
        model_version=response.model_version,
    )


def _interests(
    messages: Iterable[profile_pb2.InterestDifference],
) -> tuple[InterestDifference, ...]:
    return tuple(
        InterestDifference(
            interest_id=message.interest_id,
            phrase=message.phrase,
            first_weight=message.first_weight,
            second_weight=message.second_weight,
        )
        for message in messages
    )
