"""What the edges say as a whole: how central each interest is, and which belong together.

    Edges ─┬─► PageRank ──────────────────────────► rank of each interest
           └─► Louvain, or what was known before ─► communities, numbered by size, named by their
                                                    most central phrases

PageRank (Brin and Page 1998) is the package's own, over arrays; communities are NetworkX's Louvain
(Blondel et al. 2008), both on the combined weights. It does not know what the weights are made of.

Shapes: N interests, E edges, C interests of a community.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.graph import Community, Edges, Interest
from inkling_server.interests.phrases.pagerank import pagerank

_NAME_PHRASES = 3


@dataclass(frozen=True, slots=True)
class StructureSettings:
    """How interests are grouped.

    Attributes:
        min_interests: of a community; smaller ones are none.
        resolution: of Louvain; above 1: more and smaller communities.
        seed: of Louvain, which visits nodes in a random order.
    """

    min_interests: int = 3
    resolution: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """Ranks and communities of one graph.

    Attributes:
        rank_N: float64, sums to 1.
        community_N: int32, `Community.number`; -1: none.
        communities: by number; 0 is the largest, ties by their lowest row.
    """

    rank_N: NDArray[np.float64]
    community_N: NDArray[np.int32]
    communities: tuple[Community, ...]


def find_structure(
    interests: Sequence[Interest],
    edges: Edges,
    settings: StructureSettings | None = None,
    *,
    before: Mapping[str, int] | None = None,
) -> Structure:
    """Ranks interests and groups them.

    Args:
        interests: the nodes; only their ids, phrases and counts are read.
        edges: between their rows.
        settings: how they are grouped.
        before: number of each interest's community in a version of which this one is little more
            than a continuation, by id. Then its communities stay, and an interest that is new joins
            the one that its edges weigh most in. None: communities are found anew.
    """
    settings = settings or StructureSettings()
    count = len(interests)
    rank_N = edge_pagerank(edges.ends_E2, edges.weight_E, count)
    found = _louvain(edges, settings) if before is None else _continued(interests, edges, before)
    groups = [group for group in found if len(group) >= settings.min_interests]
    groups.sort(key=lambda group: (-len(group), group[0]))
    community_N = np.full(count, -1, np.int32)
    for number, group in enumerate(groups):
        community_N[group] = number
    names = _names(interests, edges, community_N, groups)
    communities = tuple(
        Community(number, name, len(group))
        for number, (name, group) in enumerate(zip(names, groups, strict=True))
    )
    return Structure(rank_N, community_N, communities)


def edge_pagerank(
    ends_E2: NDArray[np.integer], weight_E: NDArray[np.floating], count: int
) -> NDArray[np.float64]:
    """PageRank over undirected weighted edges, [N]; sums to 1."""
    ends = zip(*ends_E2.T.tolist(), strict=True)
    return pagerank(dict(zip(ends, weight_E.tolist(), strict=True)), count)


def _louvain(edges: Edges, settings: StructureSettings) -> Iterator[list[int]]:
    """Groups of rows, each sorted; rows without an edge are in none."""
    # Late: a gateway imports this module and never calls it; only refreshes do.
    import networkx as nx

    graph = nx.Graph()
    # In order of rows, so that the result depends on nothing but the edges and the seed.
    graph.add_nodes_from(np.unique(edges.ends_E2).tolist())
    first, second = edges.ends_E2.T.tolist()
    graph.add_weighted_edges_from(zip(first, second, edges.weight_E.tolist(), strict=True))
    if len(edges):
        groups = nx.community.louvain_communities(
            graph, weight="weight", resolution=settings.resolution, seed=settings.seed
        )
        yield from map(sorted, groups)


def _continued(
    interests: Sequence[Interest], edges: Edges, before: Mapping[str, int]
) -> list[list[int]]:
    """Groups of rows, each sorted; see `find_structure`."""
    numbers = [before.get(interest.id, -1) for interest in interests]
    weights: dict[int, Counter[int]] = {
        row: Counter() for row, number in enumerate(numbers) if number < 0
    }
    for ends, weight in zip(edges.ends_E2.tolist(), edges.weight_E.tolist(), strict=True):
        for row, other in (ends, ends[::-1]):
            if row in weights and numbers[other] >= 0:
                weights[row][numbers[other]] += weight
    for row, near in weights.items():
        if near:
            numbers[row] = max(near, key=lambda number: (near[number], -number))
    groups: dict[int, list[int]] = defaultdict(list)
    for row, number in enumerate(numbers):
        if number >= 0:
            groups[number].append(row)
    return list(groups.values())


def _names(
    interests: Sequence[Interest],
    edges: Edges,
    community_N: NDArray[np.int32],
    groups: Sequence[list[int]],
) -> list[str]:
    """A name for each group, no two alike."""
    first_E, second_E = edges.ends_E2.T
    inside = (community_N[first_E] == community_N[second_E]) & (community_N[first_E] >= 0)
    ends_E2, weight_E = edges.ends_E2[inside], edges.weight_E[inside]
    number_E = community_N[ends_E2[:, 0]]
    by_number = np.argsort(number_E, kind="stable")
    starts = np.searchsorted(number_E[by_number], np.arange(len(groups) + 1))
    taken: set[str] = set()
    names = []
    for number, group in enumerate(groups):
        mine = by_number[starts[number] : starts[number + 1]]
        rows_C = np.array(group)
        rank_C = edge_pagerank(np.searchsorted(rows_C, ends_E2[mine]), weight_E[mine], len(rows_C))
        # Rounded: ranks that differ by rounding only are ties, for the counts to settle.
        central = sorted(
            zip(np.round(rank_C, 9).tolist(), group, strict=True),
            key=lambda entry: (-entry[0], -interests[entry[1]].count, entry[1]),
        )
        name = _name([interests[row].phrase for _, row in central], taken)
        taken.add(name.casefold())
        names.append(name)
    return names


def _name(phrases: Sequence[str], taken: set[str]) -> str:
    """The first phrases that say something new; more of them, at last a number, where taken."""
    chosen: list[str] = []
    said: list[set[str]] = []
    for phrase in phrases:
        words = _plain_words(phrase)
        if any(words <= other or words >= other for other in said):
            continue
        chosen.append(phrase)
        said.append(words)
        if len(chosen) >= _NAME_PHRASES and ", ".join(chosen).casefold() not in taken:
            break
    name, number = ", ".join(chosen), 2
    while name.casefold() in taken:
        name, number = f"{', '.join(chosen)} ({number})", number + 1
    return name


def _plain_words(phrase: str) -> set[str]:
    """Words without case and plural: "dog" after "dogs" says nothing new."""
    return {
        word[:-1] if len(word) > 3 and word.endswith("s") else word
        for word in phrase.casefold().split()
    }
