"""What goes into the database and comes out of it, as values.

No value shows an id, a text or a place when it is printed: what identifies a person must not reach
a log by way of a repr.

Shapes: N items, D embedding dimensions, M (engagement, interest) entries, T (item, interest)
entries, U people, K clusters, R interactions, E edges between items.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class EngagementKind(IntEnum):
    """What somebody did with an item; numbered as in the API."""

    VIEW = 1
    LIKE = 2
    SAVE = 3
    SHARE = 4
    HIDE = 5


@dataclass(frozen=True, slots=True)
class StoredTag:
    """One interest of an item.

    Attributes:
        interest_id: as in the graph.
        score: in [0, 1].
        explanation: how it came about; JSON that storage does not look into.
    """

    interest_id: str = field(repr=False)
    score: float
    explanation: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class StoredContent:
    """One item.

    Attributes:
        content_id: the caller's.
        source: how its texts are read.
        texts: its texts; JSON that storage does not look into.
        author_id: who posted it, in the same space as user ids; None: nobody is named.
        created_time: when it was posted; with a time zone.
        location: a place's name, or "".
        point: latitude and longitude in degrees, or None.
        tags: the best first.
        graph_version, model_version: which made the tags.
        fingerprint: of the model that made the embedding; set also where there is none.
        embedding_D: float32, length 1; None: there is no picture.
    """

    content_id: str = field(repr=False)
    source: str = field(repr=False)
    texts: Mapping[str, Any] = field(repr=False)
    author_id: str | None = field(repr=False)
    created_time: datetime
    location: str = field(repr=False)
    point: tuple[float, float] | None = field(repr=False)
    tags: tuple[StoredTag, ...] = field(repr=False)
    graph_version: str
    model_version: str
    fingerprint: str
    embedding_D: NDArray[np.float32] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuthorInterest:
    """An interest of what somebody posted.

    Attributes:
        interest_id: as in the graph.
        mean_score: over the items that have it, in [0, 1].
        item_count: items that have it.
        author_item_count: items that were looked at.
    """

    interest_id: str = field(repr=False)
    mean_score: float
    item_count: int
    author_item_count: int


@dataclass(frozen=True, slots=True)
class EngagementRow:
    """What somebody did with an item. `time` has a time zone."""

    request_id: str = field(repr=False)
    user_id: str = field(repr=False)
    content_id: str = field(repr=False)
    kind: EngagementKind
    time: datetime


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of rows.

    Attributes:
        recorded_count: new ones.
        duplicate_count: recorded before, or given twice.
        unknown_content: places of the rows whose item is not stored; they are not recorded.
    """

    recorded_count: int
    duplicate_count: int
    unknown_content: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of whom something is stored.

    Attributes:
        key: stands for them everywhere but in one column.
        engagement_version: rises whenever what is computed from their engagements may have changed.
        engagement_count: stored ones; 0 for somebody who only posts.
        last_time: of the latest engagement.
    """

    key: int
    engagement_version: int
    engagement_count: int
    last_time: datetime | None


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Pictures that somebody likes: distinct, liked, saved or shared, and not hidden; newest first.

    Attributes:
        content_ids: of those with an embedding of the model asked for.
        embeddings_ND: float32, rows of length 1, in the same order.
        outdated_count: kept pictures that have an embedding of other models only.
    """

    content_ids: list[str] = field(repr=False)
    embeddings_ND: NDArray[np.float32] = field(repr=False)
    outdated_count: int


@dataclass(frozen=True, slots=True, eq=False)
class Engaged:
    """The interests of what somebody engaged with: one entry for each engagement and interest.

    Attributes:
        engagement_count: engagements that were looked at, newest first; also those without
            interests.
        item_M: int32; which item: the same number for each engagement with it.
        kinds_M: int8, EngagementKind.
        times_M: float64, Unix seconds.
        interest_M: int32, place in `interest_ids`.
        scores_M: float32 in [0, 1].
        interest_ids: those that occur, each once.
    """

    engagement_count: int
    item_M: NDArray[np.int32] = field(repr=False)
    kinds_M: NDArray[np.int8] = field(repr=False)
    times_M: NDArray[np.float64] = field(repr=False)
    interest_M: NDArray[np.int32] = field(repr=False)
    scores_M: NDArray[np.float32] = field(repr=False)
    interest_ids: list[str] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class StoredProfile:
    """What was computed of somebody.

    Attributes:
        engagement_version: of the person when it was computed.
        stamp: of everything else that it depends on (model, clusters, graph, settings); no ids.
        visual: float32 little-endian [K], and more that storage does not look into; None: no
            pictures.
        picture_count, outdated_count: of the visual profile.
        interests: JSON that storage does not look into.
        computed_time: with a time zone.
    """

    engagement_version: int
    stamp: str
    visual: bytes | None = field(repr=False)
    picture_count: int
    outdated_count: int
    interests: Mapping[str, Any] = field(repr=False)
    computed_time: datetime


@dataclass(frozen=True, slots=True)
class Erased:
    """What was stored of somebody, and is gone."""

    engagement_count: int
    content_count: int


@dataclass(frozen=True, slots=True)
class Exemplar:
    """An item that shows what a cluster is about; place 0 is the most typical."""

    cluster: int
    place: int
    content_id: str = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class ClusterRecord:
    """Visual clusters.

    Attributes:
        version: their name.
        fingerprint: of the model whose embeddings they divide.
        data: centroids and what belongs to them; storage does not look into it. No ids in it: they
            would outlive an erasure. Exemplars are stored beside it.
        created_time: with a time zone.
        background_count: pictures that they were fitted to.
    """

    version: str
    fingerprint: str
    data: bytes = field(repr=False)
    created_time: datetime
    background_count: int


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What is known of items, in the order of `keys_N`; interests as rows of a sparse matrix (CSR).

    Attributes:
        keys_N: int64; those of the keys asked for that exist.
        content_ids: of them.
        created_times_N: float64, Unix seconds.
        popularity_N: float32; 0: none.
        offsets_N1: int32 [N + 1]; the interests of item i are entries offsets[i] to offsets[i + 1].
        interest_T: int32, place in `interest_ids`; the best of each item first.
        scores_T: float32 in [0, 1].
        interest_ids: those that occur, each once.
        embeddings_ND: float32, rows of length 1, or of zeros where there is none.
        has_embedding_N: bool.
    """

    keys_N: NDArray[np.int64] = field(repr=False)
    content_ids: list[str] = field(repr=False)
    created_times_N: NDArray[np.float64] = field(repr=False)
    popularity_N: NDArray[np.float32] = field(repr=False)
    offsets_N1: NDArray[np.int32] = field(repr=False)
    interest_T: NDArray[np.int32] = field(repr=False)
    scores_T: NDArray[np.float32] = field(repr=False)
    interest_ids: list[str] = field(repr=False)
    embeddings_ND: NDArray[np.float32] = field(repr=False)
    has_embedding_N: NDArray[np.bool_] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Interactions:
    """A block of engagements, ordered by person.

    Attributes:
        person_R: int64 keys.
        content_R: int64 keys.
        kind_R: int8, EngagementKind.
        time_R: float64, Unix seconds.
    """

    person_R: NDArray[np.int64] = field(repr=False)
    content_R: NDArray[np.int64] = field(repr=False)
    kind_R: NDArray[np.int8] = field(repr=False)
    time_R: NDArray[np.float64] = field(repr=False)
