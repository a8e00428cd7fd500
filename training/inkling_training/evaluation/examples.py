"""Pictures to look at: figures say how often the model is wrong, examples say how.

Chosen by chance and seed alone, the same number from every source, before anybody looks at the
answers. Thumbnails are small JPEGs, as data URIs, so that the page needs no other file. It knows no
HTML.

Legend: B pictures, K best interests kept.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from inkling_server.model_manifest import OperatingPoint
from inkling_training.evaluation.judged import PictureRows
from inkling_training.held_out import HeldOut

PER_SOURCE = 4
MOST = 40  # pictures in all
MOST_MISSED = 6  # names of missed tags a picture
_SIDE = 192  # pixels of the longer side
Kind = Literal["right", "wrong", "unjudged"]


@dataclass(frozen=True, slots=True)
class ExampleTag:
    """One given tag; "unjudged" where nobody can say whether it is right."""

    phrase: str
    score: float
    kind: Kind


@dataclass(frozen=True, slots=True)
class Example:
    """One picture with its answer.

    Attributes:
        source: the part it is from.
        picture: data URI of a thumbnail.
        width, height: of the thumbnail, in pixels.
        given: at the operating point, best first.
        missed: phrases of its own tags that were not given, without what only follows from them.
    """

    source: str
    picture: str
    width: int
    height: int
    given: tuple[ExampleTag, ...]
    missed: tuple[str, ...]


def choose_examples(
    part: HeldOut, rows: PictureRows, point: OperatingPoint, seed: int = 0
) -> list[Example]:
    """`PER_SOURCE` pictures of each source, fewer where there are many sources.

    Args:
        part: the judged pictures.
        rows: their answers.
        point: which tags count as given.
        seed: equal seeds choose equal pictures, whatever the model.
    """
    random = np.random.default_rng(seed)
    sources = [record.source for record in part.records]
    names = sorted(set(sources))
    each = max(1, min(PER_SOURCE, MOST // len(names)))
    examples: list[Example] = []
    for name in names[:MOST]:
        own = [row for row, source in enumerate(sources) if source == name]
        rows_chosen = random.choice(own, size=min(each, len(own)), replace=False).tolist()
        examples += [_example(part, rows, point, row) for row in sorted(rows_chosen)]
    return examples


def _example(part: HeldOut, rows: PictureRows, point: OperatingPoint, row: int) -> Example:
    given = [
        (int(interest), float(score), bool(right), bool(counted))
        for interest, score, right, counted in zip(
            rows.best_BK[row],
            rows.best_scores_BK[row],
            rows.best_right_BK[row],
            rows.best_counted_BK[row],
            strict=True,
        )
        if score > point.min_score
    ][: point.top_n]
    shown = {interest for interest, *_ in given}
    missed = [int(v) for v in np.flatnonzero(part.gold.strict_BV[row]) if int(v) not in shown]
    picture, width, height = thumbnail(part.records[row].picture)
    return Example(
        part.records[row].source,
        picture,
        width,
        height,
        tuple(
            ExampleTag(part.interests[interest].phrase, score, _kind(right, counted))
            for interest, score, right, counted in given
        ),
        tuple(part.interests[interest].phrase for interest in missed[:MOST_MISSED]),
    )


def _kind(right: bool, counted: bool) -> Kind:
    if not counted:
        return "unjudged"
    return "right" if right else "wrong"


def thumbnail(picture: bytes, side: int = _SIDE) -> tuple[str, int, int]:
    """A data URI with the picture no larger than `side`, without metadata; its width and height."""
    with Image.open(io.BytesIO(picture)) as opened:
        small = opened.convert("RGB")
    small.thumbnail((side, side))
    out = io.BytesIO()
    small.save(out, "jpeg", quality=80)
    text = base64.b64encode(out.getvalue()).decode("ascii")
    return f"data:image/jpeg;base64,{text}", small.width, small.height


def counts(examples: Sequence[Example]) -> dict[str, int]:
    """Tags of each kind among the examples."""
    kinds = [tag.kind for example in examples for tag in example.given]
    return {kind: kinds.count(kind) for kind in ("right", "wrong", "unjudged")}
