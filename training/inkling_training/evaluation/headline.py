"""The few figures that say whether a model got better: direction, and what is too little to matter.

    figure                      better   tolerance   picture by picture
    mAP a picture, a tag        higher   .005        the first
    precision, recall, F1, ...  higher   .01         yes
    retrieval R@K               higher   .02         yes
    class top-1, clustering     higher   .01         yes
    Brier score                 lower    2 %         yes
    ECE                         lower    .01         no: an error of bins belongs to no picture

A figure that is a ratio of sums over pictures is stored with its numbers for each picture, so that
two reports on the same pictures can be compared by a paired bootstrap, which sees differences far
smaller than either figure's own interval. Nothing here knows how figures are measured.

Legend: B pictures.
"""

import base64
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from inkling_training.data import Record
from inkling_training.evaluation.bootstrap import Ratio
from inkling_training.metrics import Scores

_WITH_PRIOR = ("tagging, all parts", "with prior")
_EVERYDAY = "everyday photos, retrieval"


@dataclass(frozen=True, slots=True)
class HeadlineFigure:
    """One figure that the gate watches.

    Attributes:
        name: as in the report's "headline".
        better: direction.
        tolerance: change that does not matter, in the figure's unit (or relative to the previous
            value).
        relative: whether it is relative.
        earlier: where reports of before schema 2 have the same figure, () if they have not.
    """

    name: str
    better: Literal["higher", "lower"]
    tolerance: float
    relative: bool = False
    earlier: tuple[str, ...] = ()


HEADLINE = (
    HeadlineFigure("mAP a picture", "higher", 0.005, earlier=(*_WITH_PRIOR, "mean AP a picture")),
    HeadlineFigure("mAP a tag", "higher", 0.005, earlier=(*_WITH_PRIOR, "mean AP a tag")),
    HeadlineFigure("precision", "higher", 0.01, earlier=(*_WITH_PRIOR, "broad", "precision")),
    HeadlineFigure("recall", "higher", 0.01, earlier=(*_WITH_PRIOR, "broad", "recall")),
    HeadlineFigure("F1", "higher", 0.01, earlier=(*_WITH_PRIOR, "broad", "f1")),
    HeadlineFigure("coverage", "higher", 0.01, earlier=(*_WITH_PRIOR, "broad", "coverage")),
    HeadlineFigure(
        "right in first 5 (strict)",
        "higher",
        0.01,
        earlier=(*_WITH_PRIOR, "right in first 5 (strict)"),
    ),
    HeadlineFigure("class top-1, mean of parts", "higher", 0.01, earlier=("class accuracy",)),
    HeadlineFigure("clustering mAP, mean of parts", "higher", 0.01),
    *(
        HeadlineFigure(f"{way} R@{k}", "higher", 0.02, earlier=(_EVERYDAY, f"{way} R@{k}"))
        for way in ("image->text", "text->image")
        for k in (1, 5, 10)
    ),
    HeadlineFigure("Brier score", "lower", 0.02, relative=True),
    HeadlineFigure(
        "ECE pairs above .05", "lower", 0.01, earlier=(*_WITH_PRIOR, "ECE pairs above .05")
    ),
)


def value_of(report: Mapping[str, Any], figure: HeadlineFigure) -> float | None:
    """The figure in a report of any schema; None where it was not measured."""
    if "headline" in report:
        found = report["headline"].get(figure.name, {}).get("value")
        return None if found is None else float(found)
    place: Any = report
    for key in figure.earlier:
        place = place.get(key) if isinstance(place, Mapping) else None
    if figure.earlier == ("class accuracy",) and place:
        return float(np.mean([part["top1"] for part in place.values()]))
    return float(place) if isinstance(place, int | float) and figure.earlier else None


def stored(records: Sequence[Record], figures: Mapping[str, Ratio]) -> dict[str, Any]:
    """Ratios over the same pictures as the report keeps them, for `ratios_of`.

    Each column is float32, compressed, as base64: a tenth of the same numbers in digits. Pictures
    are named by one checksum of all keys: reports are compared only if they have the same ones.
    """
    columns: dict[str, Any] = {}
    ones_B = np.ones(len(records))
    for name, ratio in figures.items():
        columns[name] = {"upper": _packed(ratio.upper_B)}
        if not np.array_equal(ratio.lower_B, ones_B):
            columns[name]["lower"] = _packed(ratio.lower_B)
    keys = hashlib.sha256("\n".join(record.key for record in records).encode()).hexdigest()
    return {"pictures": len(records), "keys": keys[:16], "ratios": columns}


def ratios_of(report: Mapping[str, Any]) -> dict[str, tuple[str, Ratio]]:
    """Stored ratios by figure, each with the checksum of its pictures; {} if none were kept."""
    found: dict[str, tuple[str, Ratio]] = {}
    for group in report.get("per picture", {}).values():
        ones_B = np.ones(group["pictures"])
        for name, columns in group["ratios"].items():
            lower_B = _unpacked(columns["lower"]) if "lower" in columns else ones_B
            found[name] = (group["keys"], Ratio(_unpacked(columns["upper"]), lower_B))
    return found


def _packed(values_B: Scores) -> str:
    return base64.b64encode(zlib.compress(values_B.astype("<f4").tobytes(), 9)).decode("ascii")


def _unpacked(text: str) -> Scores:
    values_B: Scores = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<f4").astype(
        np.float64
    )
    return values_B
