"""The interest graph as a value: interests, the edges between them, topics and communities.

    Interest ──< Edges (semantic, co-engagement, combined) >── Interest
        └─ topic, community: numbers of a Topic and a Community

Everything is immutable; `GraphView` (view.py) answers questions about it, `snapshot` writes it to
disk, `build` makes the next one. Nothing here knows embeddings, documents or pictures.

Shapes: N interests, E edges.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

# File systems end at 255.
_MAX_VERSION_BYTES = 200


@dataclass(frozen=True, slots=True)
class Interest:
    """One node of the graph.

    Attributes:
        id: stable across refreshes: lower-case words joined by '-'.
        phrase: what a person reads; a refresh may change it to the form that people now use.
        aliases: other spellings and inflections merged into this interest.
        count: documents of the graph's corpus that name it, or something that it follows from by
            meaning (a puppy is a dog), >= 0.
        pinned: was not mined: someone wants it in every version. Refreshes never retire it.
        trend_z: z-score of its share of the recent window against the past, see `trends`.
        is_trending: by the settings of the refresh that made this version.
        rank: PageRank over the combined edges; the ranks of a graph sum to 1. 0: not computed.
        topic: `Topic.number` of its likeliest topic.
        community: `Community.number` of its community.
        first_seen: time of the earliest document that names it, where documents say.
        last_seen: of the latest.
        extractors: names of those that found it, sorted; empty where it was not mined.
    """

    id: str
    phrase: str
    aliases: tuple[str, ...] = ()
    count: int = 0
    pinned: bool = False
    trend_z: float = 0.0
    is_trending: bool = False
    rank: float = 0.0
    topic: int | None = None
    community: int | None = None
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    extractors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of the corpus.

    Attributes:
        number: names it within this version.
        words: the likeliest first.
    """

    number: int
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Community:
    """Interests that are densely joined.

    Attributes:
        number: names it within this version; 0 is the largest.
        name: what a person reads, made of its most central interests.
        interest_count: how many interests it has.
    """

    number: int
    name: str
    interest_count: int


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Undirected edges, each once, sorted by their ends.

    Attributes:
        ends_E2: int32 rows of `GraphSnapshot.interests`, the smaller first.
        semantic_E: float32 in [0, 1]: cosine of the phrases' embeddings; 0: not among the nearest.
        engagement_E: float32 in [0, 1]: NPMI of the people who engage with both; 0: too few, or no
            more than by chance.
        weight_E: float32 in (0, 1], combined: see `edges.combine`.
    """

    ends_E2: NDArray[np.int32]
    semantic_E: NDArray[np.float32]
    engagement_E: NDArray[np.float32]
    weight_E: NDArray[np.float32]

    def __post_init__(self) -> None:
        count = len(self.ends_E2)
        if self.ends_E2.shape != (count, 2) or self.ends_E2.dtype != np.int32:
            raise ValueError("ends_E2 must be int32 [E, 2]")
        for values_E in (self.semantic_E, self.engagement_E, self.weight_E):
            if values_E.shape != (count,) or values_E.dtype != np.float32:
                raise ValueError("weights of edges must be float32 [E]")
        first_E, second_E = self.ends_E2.T.astype(np.int64)
        keys_E = (first_E << 32) | second_E
        if not ((first_E >= 0) & (first_E < second_E)).all() or not (np.diff(keys_E) > 0).all():
            raise ValueError("edges must be sorted, unique, and begin at their smaller row")
        for array in (self.ends_E2, self.semantic_E, self.engagement_E, self.weight_E):
            array.setflags(write=False)

    @classmethod
    def none(cls) -> "Edges":
        """A graph's edges before any is known."""
        empty = np.empty(0, np.float32)
        return cls(np.empty((0, 2), np.int32), empty, empty.copy(), empty.copy())

    def __len__(self) -> int:
        return len(self.ends_E2)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Edges) and all(
            np.array_equal(mine, theirs)
            for mine, theirs in (
                (self.ends_E2, other.ends_E2),
                (self.semantic_E, other.semantic_E),
                (self.engagement_E, other.engagement_E),
                (self.weight_E, other.weight_E),
            )
        )

    __hash__ = None  # type: ignore[assignment]  # arrays have none


@dataclass(frozen=True, slots=True)
class GraphSnapshot:
    """One version of the graph. Interests are sorted by id; ids are unique.

    Attributes:
        version: names this snapshot in every answer; also its folder's name.
        created_time: when it was built (UTC).
        interests: the nodes.
        edges: between rows of `interests`.
        topics: by number.
        communities: by number.
        document_count: documents that were read for it, all refreshes together.
    """

    version: str
    created_time: datetime
    interests: tuple[Interest, ...]
    edges: Edges = field(default_factory=Edges.none)
    topics: tuple[Topic, ...] = ()
    communities: tuple[Community, ...] = ()
    document_count: int = 0

    def __post_init__(self) -> None:
        ids = [interest.id for interest in self.interests]
        if ids != sorted(set(ids)):
            raise ValueError("interests must be sorted by id, and ids must be unique")
        if self.created_time.tzinfo is None:
            raise ValueError("created_time must say its time zone")
        if not is_version(self.version):
            raise ValueError(f"a version names a folder, so it cannot be {self.version!r}")
        if len(self.edges) and int(self.edges.ends_E2.max()) >= len(ids):
            raise ValueError("an edge ends at an interest that is not there")


def is_version(text: str) -> bool:
    """Whether the text can name a version: a folder's name that is not hidden, nor too long."""
    is_name = re.fullmatch(r"\w[\w.-]*", text) is not None
    return is_name and len(text.encode()) <= _MAX_VERSION_BYTES


def interest_id(phrase: str) -> str:
    """The id of a phrase that is new to the graph: its words, lower case, joined by '-'.

    Raises:
        ValueError: the phrase holds no word.
    """
    # Twice: lower-casing may leave letters that only another normalisation joins with their
    # accents.
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", phrase).casefold())
    words = re.findall(r"\w+", plain)
    if not words:
        raise ValueError(f"no word in {phrase!r}")
    return "-".join(words)


def make_snapshot(
    interests: Sequence[Interest],
    created_time: datetime,
    *,
    edges: Edges | None = None,
    topics: Sequence[Topic] = (),
    communities: Sequence[Community] = (),
    document_count: int = 0,
    origin: str = "",
) -> GraphSnapshot:
    """Sorts the interests; date (UTC) and content name the version: "2026-11-22-1a2b3c4d".

    Args:
        interests: in any order, unless there are edges: their rows mean the sorted order.
        created_time: when the graph was built.
        edges: between rows of the sorted interests.
        topics: by number.
        communities: by number.
        document_count: documents that were read for it.
        origin: what else tells this version from others that say the same, such as how far the
            feed was read for it.

    Raises:
        ValueError: ids are not unique, or interests with edges are not sorted by id.
    """
    ordered = tuple(sorted(interests, key=lambda interest: interest.id))
    if edges is not None and len(edges) and ordered != tuple(interests):
        raise ValueError("edges name rows of sorted interests, and these are not sorted")
    edges = edges or Edges.none()
    groups = tuple(topics), tuple(communities)
    digest = _digest(ordered, edges, *groups, document_count, origin)
    day = created_time.astimezone(UTC).date()
    return GraphSnapshot(
        f"{day:%Y-%m-%d}-{digest}",
        created_time,
        ordered,
        edges,
        *groups,
        document_count,
    )


def _digest(
    interests: tuple[Interest, ...],
    edges: Edges,
    topics: tuple[Topic, ...],
    communities: tuple[Community, ...],
    document_count: int,
    origin: str,
) -> str:
    """Eight hex digits of everything that a version says."""
    digest = hashlib.sha256()
    nodes = [
        [
            i.id,
            i.phrase,
            i.aliases,
            i.count,
            i.pinned,
            i.trend_z,
            i.is_trending,
            i.rank,
            i.topic,
            i.community,
            _stamp(i.first_seen),
            _stamp(i.last_seen),
            i.extractors,
        ]
        for i in interests
    ]
    groups = [[t.number, t.words] for t in topics]
    clubs = [[c.number, c.name, c.interest_count] for c in communities]
    digest.update(json.dumps([nodes, groups, clubs, document_count, origin]).encode())
    for array in (edges.ends_E2, edges.semantic_E, edges.engagement_E, edges.weight_E):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:8]


def _stamp(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()
