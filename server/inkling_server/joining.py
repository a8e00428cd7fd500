"""Joins what the picture shows with what other sources say, into one ranking of interests.

    score = 1 - (1 - picture score) * product over evidence of (1 - weight)

a noisy-or (Pearl 1988): each source is a witness of its own, and none can take back what another
has seen. Without evidence a score is the picture's, bit by bit; without a picture the picture's
score is 0.

What an item's author posts about is evidence, too, but a weak one that introduces nothing: an
interest must be named by a text, or be scored `AUTHOR_FLOOR` by the picture. Else every item of
somebody who posts cats would be about cats, would be counted as such, and prove the next.

This module does not know pictures, texts, indexes or storage: scores and evidence come by row.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from inkling_server.interests.mentions.evidence import Evidence

AUTHOR = "author"
# All of the author's share: judgements.
AUTHOR_RELIABILITY = 0.25  # of an author who posts about nothing else
AUTHOR_FLOOR = 0.1  # picture score from which an author may strengthen an interest
_AUTHOR_SMOOTHING = 5.0  # items; two of two say little
_MOST_AUTHOR_INTERESTS = 64
_LEAST_WEIGHT = 1e-3

RowEvidence = Mapping[int, tuple[Evidence, ...]]
__all__ = [
    "AUTHOR",
    "AuthorInterest",
    "Evidence",
    "JoinedRow",
    "author_evidence",
    "join",
    "with_author",
]


class AuthorInterest(Protocol):
    """How often an author's items have an interest; what storage counts fits.

    Attributes:
        interest_id: of the graph that tagged them; may be gone from the one that serves.
        mean_score: of the items that have it, in [0, 1].
        item_count: items that have it.
        author_item_count: all of the author's items, >= item_count.
    """

    @property
    def interest_id(self) -> str: ...
    @property
    def mean_score(self) -> float: ...
    @property
    def item_count(self) -> int: ...
    @property
    def author_item_count(self) -> int: ...


@dataclass(frozen=True, slots=True)
class JoinedRow:
    """One interest of the ranking.

    Attributes:
        row: the interest's.
        score: joined, in [0, 1]; a float32 holds it exactly.
        evidence: of sources other than the picture, the heaviest first.
    """

    row: int
    score: float
    evidence: tuple[Evidence, ...] = ()


def join(
    picture_scores: Mapping[int, float], evidence: RowEvidence, *, top_n: int, min_score: float
) -> list[JoinedRow]:
    """Ranks interests by their joined scores, best first, ties by row.

    Args:
        picture_scores: by row: at least of the `top_n` best above `min_score`, and of every row
            with evidence. A row that is missing scores 0.
        evidence: by row.
        top_n: how many at most.
        min_score: only those that score strictly more.
    """
    joined = [
        JoinedRow(row, _joined_score(score, said), said)
        for row in picture_scores.keys() | evidence.keys()
        for score, said in ((picture_scores.get(row, 0.0), evidence.get(row, ())),)
    ]
    joined.sort(key=lambda one: (-one.score, one.row))
    return [one for one in joined[:top_n] if one.score > min_score]


def author_evidence(
    interests: Sequence[AuthorInterest], find_row: Callable[[str], int | None]
) -> dict[int, Evidence]:
    """What an author's items so far say, by row.

        weight = AUTHOR_RELIABILITY * item_count * mean_score / (author_item_count + 5)

    The sum of the scores is the number of items that are really about the interest, as far as
    scores are probabilities.

    Args:
        interests: the author's, the most frequent first; those after the first 64 do not count.
        find_row: the row of an id in the graph that serves, None where it has none.
    """
    found = {}
    for interest in interests[:_MOST_AUTHOR_INTERESTS]:
        row = find_row(interest.interest_id)
        share = interest.item_count * interest.mean_score
        share /= max(interest.author_item_count, interest.item_count) + _AUTHOR_SMOOTHING
        weight = float(np.float32(AUTHOR_RELIABILITY * min(max(share, 0.0), 1.0)))
        if row is not None and weight >= _LEAST_WEIGHT:
            found[row] = Evidence(AUTHOR, weight, interest.item_count)
    return found


def with_author(
    evidence: RowEvidence, author: Mapping[int, Evidence], picture_scores: Mapping[int, float]
) -> RowEvidence:
    """Adds what the author says to the rows that something else shows: see the module."""
    joined = dict(evidence)
    for row, said in author.items():
        if row in evidence or picture_scores.get(row, 0.0) >= AUTHOR_FLOOR:
            joined[row] = _by_weight((*evidence.get(row, ()), said))
    return joined


def _by_weight(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    return tuple(sorted(evidence, key=lambda one: (-one.weight, one.source)))


def _joined_score(picture_score: float, evidence: Sequence[Evidence]) -> float:
    if not evidence:
        return picture_score
    doubt = 1 - picture_score
    for one in evidence:
        doubt *= 1 - one.weight
    return float(np.float32(1 - doubt))
