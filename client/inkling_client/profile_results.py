"""What clients hand out about people: plain frozen values, made from messages of `inkling.v1`.

Comparisons are in `comparison_results.py`, refreshes in `people_refresh_results.py`.

This module does not know connections, and nothing in it can fail.
"""

from dataclasses import dataclass, field
from datetime import datetime

from inkling.v1 import profile_pb2
from inkling_client.graph_results import utc


@dataclass(frozen=True, slots=True)
class ClusterShare:
    """How much of a person's pictures a visual cluster has.

    Args:
        cluster: its number within the clusters' version, from 0.
        share: of the person's pictures, in [0, 1]; the shares of all clusters sum to 1.
        general_share: of everybody's.
        exemplar_content_ids: items that show what it is about, the most typical first.
    """

    cluster: int
    share: float
    general_share: float
    exemplar_content_ids: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class VisualProfile:
    """What a person's pictures look like, as a distribution over visual clusters.

    Args:
        clusters_version: whose numbers the clusters have.
        picture_count: pictures that it is made of.
        outdated_picture_count: kept pictures whose embedding is of another model: they count again
            once they are sent again.
        clusters: the largest share first.
    """

    clusters_version: str
    picture_count: int
    outdated_picture_count: int
    clusters: tuple[ClusterShare, ...]


@dataclass(frozen=True, slots=True)
class InterestWeight:
    """How much somebody cares for an interest.

    Args:
        interest_id: stable across refreshes of the graph.
        phrase: what a person reads.
        weight: in [-1, 1]; the sizes of all weights sum to 1. Below 0: the person hides it.
        smoothed_share: part of it that comes from neighbours in the graph, in [0, 1].
    """

    interest_id: str
    phrase: str
    weight: float
    smoothed_share: float


@dataclass(frozen=True, slots=True)
class Taste:
    """Interests that belong together, around one of them, the medoid.

    Args:
        interest_id: the medoid.
        phrase: of the medoid.
        share: of the person's positive weights, in (0, 1].
        interest_ids: the heaviest first, the medoid among them.
    """

    interest_id: str
    phrase: str
    share: float
    interest_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """One person.

    Args:
        visual: None: no picture of theirs has an embedding of the model that serves, or there are
            no clusters.
        interests: the greatest size of weight first: an aversion is an answer, too.
        tastes: several rather than one average, the largest share first.
        engagement_count: engagements that are stored.
        last_engagement_time: of the latest (UTC); None where there is none.
        graph_version: whose interests they are.
        model_version: whose embeddings.
    """

    visual: VisualProfile | None
    interests: tuple[InterestWeight, ...]
    tastes: tuple[Taste, ...]
    engagement_count: int
    last_engagement_time: datetime | None
    graph_version: str
    model_version: str


@dataclass(frozen=True, slots=True)
class RankedProfile:
    """How well somebody's profile explains a collection.

    Args:
        user_id: who.
        score: mean log-likelihood ratio of the collection's pictures against everybody's
            distribution, in nats a picture. Above 0: more like this person than like anybody.
    """

    user_id: str = field(repr=False)
    score: float


@dataclass(frozen=True, slots=True)
class ProfileRanking:
    """Whose collection it is.

    Args:
        profiles: the best first.
        candidate_count: people that were compared.
        picture_count: items of the collection that have an embedding of the model that serves.
        clusters_version: whose profiles.
        model_version: whose embeddings.
    """

    profiles: tuple[RankedProfile, ...]
    candidate_count: int
    picture_count: int
    clusters_version: str
    model_version: str


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased of a person: their engagements, and the items that they had posted."""

    engagement_count: int
    content_count: int


@dataclass(frozen=True, slots=True)
class VisualCluster:
    """A visual cluster.

    Args:
        cluster: its number.
        general_share: of everybody's pictures.
        exemplar_content_ids: items that show what it is about, the most typical first.
        phrases: interests that its exemplars are tagged with most, at most 5.
    """

    cluster: int
    general_share: float
    exemplar_content_ids: tuple[str, ...] = field(repr=False)
    phrases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VisualClusters:
    """The visual clusters that serve.

    Args:
        clusters_version: changes when they are fitted anew.
        model_version: whose embeddings they are of.
        clusters: by number.
        beta: sharpness of the soft assignment.
        background_count: pictures that they were fitted to.
        created_time: in UTC; None where not known.
    """

    clusters_version: str
    model_version: str
    clusters: tuple[VisualCluster, ...]
    beta: float
    background_count: int
    created_time: datetime | None


def profile(response: profile_pb2.GetProfileResponse) -> Profile:
    """The plain value of a GetProfileResponse."""
    last_time = None
    if response.HasField("last_engagement_time"):
        last_time = utc(response.last_engagement_time)
    return Profile(
        visual=_visual(response.visual) if response.HasField("visual") else None,
        interests=tuple(
            InterestWeight(entry.interest_id, entry.phrase, entry.weight, entry.smoothed_share)
            for entry in response.interests.interests
        ),
        tastes=tuple(
            Taste(taste.interest_id, taste.phrase, taste.share, tuple(taste.interest_ids))
            for taste in response.interests.tastes
        ),
        engagement_count=response.engagement_count,
        last_engagement_time=last_time,
        graph_version=response.graph_version,
        model_version=response.model_version,
    )


def _visual(message: profile_pb2.VisualProfile) -> VisualProfile:
    return VisualProfile(
        clusters_version=message.clusters_version,
        picture_count=message.picture_count,
        outdated_picture_count=message.outdated_picture_count,
        clusters=tuple(
            ClusterShare(
                cluster=entry.cluster,
                share=entry.share,
                general_share=entry.general_share,
                exemplar_content_ids=tuple(entry.exemplar_content_ids),
            )
            for entry in message.clusters
        ),
    )


def profile_ranking(response: profile_pb2.RankProfilesResponse) -> ProfileRanking:
    """The plain value of a RankProfilesResponse."""
    return ProfileRanking(
        profiles=tuple(RankedProfile(entry.user_id, entry.score) for entry in response.profiles),
        candidate_count=response.candidate_count,
        picture_count=response.picture_count,
        clusters_version=response.clusters_version,
        model_version=response.model_version,
    )


def visual_clusters(response: profile_pb2.ListClustersResponse) -> VisualClusters:
    """The plain value of a ListClustersResponse."""
    return VisualClusters(
        clusters_version=response.clusters_version,
        model_version=response.model_version,
        clusters=tuple(
            VisualCluster(
                cluster=entry.cluster,
                general_share=entry.general_share,
                exemplar_content_ids=tuple(entry.exemplar_content_ids),
                phrases=tuple(entry.phrases),
            )
            for entry in response.clusters
        ),
        beta=response.beta,
        background_count=response.background_count,
        created_time=utc(response.created_time) if response.HasField("created_time") else None,
    )
