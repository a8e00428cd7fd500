"""What tagging answers, and how it is made of the index's hits and of evidence from texts.

    hits ──────────────┐
                       ├─► join ─► scored tags, each with an explanation where it is asked for
    evidence by row ───┘

Pure values and functions; an explanation goes to JSON and back, for whoever stores it. This module
does not know where hits and evidence come from.

Shapes: D dimensions.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.graph import Interest
from inkling_server.interests.mentions.evidence import Evidence
from inkling_server.joining import RowEvidence, join, with_author
from inkling_server.tag_index import Hit, Selection


@dataclass(frozen=True, slots=True)
class Explanation:
    """picture score = sigmoid(calibrated_logit), picture_logit = scale * cosine + bias;
    score = 1 - (1 - picture score) * product over evidence of (1 - weight).

    calibrated_logit is the calibration's curve at picture_logit + prior_logit + tag_logit; None:
    there is no curve, it is that sum itself. Of an item without a picture all numbers are 0, and
    so is its picture score.
    """

    cosine: float
    picture_logit: float
    prior_logit: float
    tag_logit: float = 0.0
    calibrated_logit: float | None = None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoredTag:
    """One interest that the picture is about. float32 holds `score`, a probability, exactly."""

    interest_id: str
    phrase: str
    score: float
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True)
class TagResult:
    """Tags in descending order, ties by interest_id, and the versions that produced all of them."""

    tags: tuple[ScoredTag, ...]
    graph_version: str
    model_version: str


@dataclass(frozen=True, slots=True, eq=False)
class ContentTags:
    """What an item is about, for storage.

    Attributes:
        tags: as in `TagResult`, always explained.
        graph_version, model_version: that produced them.
        fingerprint: of the model; embeddings of equal fingerprints can be compared.
        embedding_D: the picture's, float32, of length 1; None without a picture.
        overlay_text: what its author gave and what was read in the picture.
    """

    tags: tuple[ScoredTag, ...]
    graph_version: str
    model_version: str
    fingerprint: str
    embedding_D: NDArray[np.float32] | None = field(default=None, repr=False)
    overlay_text: str = field(default="", repr=False)


def picture_tags(
    hits: Sequence[Hit], interests: Sequence[Interest], *, explain: bool
) -> tuple[ScoredTag, ...]:
    """Tags of a picture about which nothing else is known.

    Args:
        hits: best first.
        interests: the graph's.
        explain: add explanations.
    """
    return tuple(
        ScoredTag(
            interests[hit.row].id,
            interests[hit.row].phrase,
            hit.score,
            _explanation(hit) if explain else None,
        )
        for hit in hits
    )


def joined_tags(
    hits: Sequence[Hit],
    evidence: RowEvidence,
    author: Mapping[int, Evidence],
    interests: Sequence[Interest],
    selection: Selection,
    *,
    explain: bool,
) -> tuple[ScoredTag, ...]:
    """Tags of a picture, of texts, or of both.

    Args:
        hits: the best of the picture, and those of every row with evidence; () without a picture.
        evidence: what the texts say.
        author: what the author says, see `joining`.
        interests: the graph's.
        selection: which tags are wanted, by their joined score.
        explain: add explanations.
    """
    by_row = {hit.row: hit for hit in hits}
    scores = {hit.row: hit.score for hit in hits}
    ranking = join(
        scores,
        with_author(evidence, author, scores),
        top_n=selection.top_n,
        min_score=selection.min_score,
    )
    return tuple(
        ScoredTag(
            interests[one.row].id,
            interests[one.row].phrase,
            one.score,
            _explanation(by_row.get(one.row), one.evidence) if explain else None,
        )
        for one in ranking
    )


def find_row(interests: Sequence[Interest], interest_id: str) -> int | None:
    """The row of an id in a graph's interests, which are sorted by id; None: it has none."""
    row = bisect_left(interests, interest_id, key=lambda interest: interest.id)
    return row if row < len(interests) and interests[row].id == interest_id else None


def explanation_fields(explanation: Explanation) -> dict[str, Any]:
    """The explanation in JSON's types; `explanation_of` is the inverse."""
    return asdict(explanation) | {"evidence": [asdict(one) for one in explanation.evidence]}


def explanation_of(fields: Mapping[str, Any]) -> Explanation:
    """Makes an explanation of what `explanation_fields` gave."""
    evidence = tuple(Evidence(**one) for one in fields.get("evidence", ()))
    return Explanation(**{**fields, "evidence": evidence})


def _explanation(hit: Hit | None, evidence: tuple[Evidence, ...] = ()) -> Explanation:
    if hit is None:
        return Explanation(0.0, 0.0, 0.0, evidence=evidence)
    return Explanation(
        hit.cosine,
        hit.picture_logit,
        hit.prior_logit,
        hit.tag_logit,
        hit.calibrated_logit,
        evidence,
    )
