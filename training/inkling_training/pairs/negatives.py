"""Interests that a picture does not show: hard ones near its own in the graph, and random ones.

    positives ─► neighbours, and theirs, that compete with them ─► nearest first ─┐
              └► WordNet's siblings, where that is too few ──────────────────────┤
    any interest, by seed ────────────────────────────────────────────────────────┴─► none may fit

A candidate must compete with a positive (see `competing`): what merely goes along with it may be in
the picture, too. It is dropped if the item names it anywhere, in a comment or as a verb too, if a
repost of the same picture does, if very many items have it, or if it may fit together with anything
that is named (see `fitting`). What is left is near and yet wrong: an otter for a beaver.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from random import Random

from inkling_server.interests.graph import GraphSnapshot
from inkling_training.pairs.competing import Competing
from inkling_training.pairs.fitting import MayFit

# Neighbours of neighbours count a little less than the product of both cosines says.
_SECOND_STEP = 0.9
_MIN_WEIGHT = 0.3  # a positive that is less certain has no hard negatives of its own
_RANDOM_TRIES = 20
_FAMILY = 0.1  # the score of a sibling that is no neighbour: behind all that are


@dataclass(frozen=True, slots=True)
class Negatives:
    """Rows of the graph.

    Attributes:
        hard: hardest first.
        random: in the order of drawing.
    """

    hard: tuple[int, ...] = ()
    random: tuple[int, ...] = ()


class NegativeMiner:
    """Chooses negatives. One thread at a time.

    Args:
        graph: interests and edges.
        may_fit: tells what is no negative.
        competing: tells which neighbours compete.
        generic: rows that very many items have: never negatives.
        hard_count, random_count: at most so many for one item.
    """

    def __init__(
        self,
        graph: GraphSnapshot,
        may_fit: MayFit,
        competing: Competing,
        *,
        generic: Set[int] = frozenset(),
        hard_count: int = 8,
        random_count: int = 4,
    ) -> None:
        self._count = len(graph.interests)
        self._may_fit, self._competing = may_fit, competing
        self._generic = generic
        self._hard_count, self._random_count = hard_count, random_count
        neighbours: dict[int, list[tuple[int, float]]] = defaultdict(list)
        edges = graph.edges
        for (a, b), cosine in zip(edges.ends_E2.tolist(), edges.semantic_E.tolist(), strict=True):
            if cosine > 0:
                neighbours[a].append((b, cosine))
                neighbours[b].append((a, cosine))
        self._neighbours = dict(neighbours)
        self._candidates: dict[int, Sequence[tuple[int, float]]] = {}

    def choose(self, positives: Mapping[int, float], named: Set[int], rng: Random) -> Negatives:
        """Negatives of one item.

        Args:
            positives: weights by row.
            named: rows that the item, or another with the same picture, names anywhere.
            rng: seeded by the item, so that the others do not matter.
        """
        blocked = named | positives.keys()

        def is_negative(row: int) -> bool:
            return row not in self._generic and not any(self._may_fit(row, b) for b in blocked)

        hard = _first(filter(is_negative, self._near(positives)), self._hard_count)
        drawn = (rng.randrange(self._count) for _ in range(_RANDOM_TRIES * self._random_count))
        chosen = dict.fromkeys(row for row in drawn if row not in hard and is_negative(row))
        return Negatives(tuple(hard), tuple(chosen)[: self._random_count])

    def _near(self, positives: Mapping[int, float]) -> list[int]:
        """Candidates, the nearest first; ties by row."""
        scores: dict[int, float] = defaultdict(float)
        for row, weight in positives.items():
            if weight >= _MIN_WEIGHT:
                for candidate, nearness in self._candidates_of(row):
                    scores[candidate] = max(scores[candidate], weight * nearness)
        return sorted(scores, key=lambda row: (-scores[row], row))

    def _candidates_of(self, row: int) -> Sequence[tuple[int, float]]:
        """What competes with one interest and cannot fit together with it, with nearness."""
        known = self._candidates.get(row)
        if known is None:
            near: dict[int, float] = dict.fromkeys(self._competing.family(row), _FAMILY)
            joined = dict(self._neighbours.get(row, ()))
            for first, cosine in joined.items():
                near[first] = max(near.get(first, 0.0), cosine)
                for second, further in self._neighbours.get(first, ()):
                    score = cosine * further * _SECOND_STEP
                    near[second] = max(near.get(second, 0.0), score)
            known = self._candidates[row] = [
                (candidate, nearness)
                for candidate, nearness in near.items()
                if candidate != row
                and self._competing(row, candidate, joined=candidate in joined)
                and not self._may_fit(row, candidate)
            ]
        return known


def _first(rows: Iterable[int], count: int) -> list[int]:
    iterator: Iterator[int] = iter(rows)
    return [row for row, _ in zip(iterator, range(count), strict=False)]
