"""What embeddings are worth without any graph or calibration: captions, classes, look-alikes.

    pictures <─ cosine ─> captions      retrieval, both ways
    pictures <─ cosine ─> class names   zero-shot accuracy
    pictures <─ cosine ─> pictures      does a class lie together?

Figures come with one number a picture, so that they can be compared picture by picture. Nothing
here knows how embeddings are made, or cut to fewer dimensions: texts are embedded by a function.

Legend: B pictures, T texts, C classes, D dimensions.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkling_training.data import Record
from inkling_training.evaluation.bootstrap import Ratio
from inkling_training.evaluation.clustering import average_precisions
from inkling_training.exported import Embeddings
from inkling_training.metrics import Scores, worst_ranks

EncodeTexts = Callable[[Sequence[str]], Embeddings]
RANKS = (1, 5, 10)
# A part is told by its classes when it has this many pictures a class: fewer is no classification.
LEAST_PER_CLASS = 2.0
_CHUNK = 512


@dataclass(frozen=True, slots=True)
class Ranks:
    """Places of the right answers, from 1.

    Attributes:
        of_pictures_B: place of a picture's first right caption.
        of_texts_T: place of a caption's first right picture.
        owners_TB: whose caption it is.
    """

    of_pictures_B: NDArray[np.int64]
    of_texts_T: NDArray[np.int64]
    owners_TB: NDArray[np.bool_]

    def figures(self) -> dict[str, float]:
        """R@K both ways."""
        found: dict[str, float] = {
            "pictures": len(self.of_pictures_B),
            "captions": len(self.of_texts_T),
        }
        for k in RANKS:
            found[f"image->text R@{k}"] = float((self.of_pictures_B <= k).mean())
            found[f"text->image R@{k}"] = float((self.of_texts_T <= k).mean())
        return found

    def ratios(self) -> dict[str, Ratio]:
        """The same as ratios over pictures; a caption of several pictures is shared out."""
        shares_TB = self.owners_TB / self.owners_TB.sum(axis=1, keepdims=True)
        ones_B = np.ones(len(self.of_pictures_B))
        found = {}
        for k in RANKS:
            found[f"image->text R@{k}"] = Ratio((self.of_pictures_B <= k).astype(float), ones_B)
            hits_B = (shares_TB * (self.of_texts_T <= k)[:, None]).sum(axis=0)
            found[f"text->image R@{k}"] = Ratio(hits_B, shares_TB.sum(axis=0))
        return found


def retrieval(
    pictures_BD: Embeddings, captions: Sequence[Sequence[str]], encode_texts: EncodeTexts
) -> Ranks:
    """Captions and pictures find each other; a text that several pictures have is one text.

    Args:
        pictures_BD: rows of length 1.
        captions: of each picture, at least one.
        encode_texts: texts -> [T, D], rows of length 1.
    """
    texts = list(dict.fromkeys(text for said in captions for text in said))
    texts_TD = encode_texts(texts)
    column = {text: number for number, text in enumerate(texts)}
    owners_TB = np.zeros((len(texts), len(captions)), dtype=bool)
    for row, said in enumerate(captions):
        owners_TB[[column[text] for text in said], row] = True
    return Ranks(
        _ranks(pictures_BD, texts_TD, owners_TB.T),
        _ranks(texts_TD, pictures_BD, owners_TB),
        owners_TB,
    )


def _ranks(
    queries_QD: Embeddings, answers_AD: Embeddings, right_QA: NDArray[np.bool_]
) -> NDArray[np.int64]:
    return np.concatenate(
        [
            worst_ranks(
                (queries_QD[start : start + _CHUNK] @ answers_AD.T).astype(np.float64),
                right_QA[start : start + _CHUNK],
            )
            for start in range(0, len(queries_QD), _CHUNK)
        ]
    )


def classed_sources(records: Sequence[Record]) -> dict[str, NDArray[np.bool_]]:
    """The parts that are told by one class a picture, each with flags of its pictures, [B]."""
    classes: dict[str, set[str]] = defaultdict(set)
    sizes: dict[str, int] = defaultdict(int)
    unclassed = set()
    for record in records:
        sizes[record.source] += 1
        classes[record.source].add(class_name(record))
        if record.label is None:
            unclassed.add(record.source)
    return {
        source: np.array([record.source == source for record in records])
        for source in sorted(sizes)
        if source not in unclassed and 2 <= len(classes[source]) <= sizes[source] / LEAST_PER_CLASS
    }


def class_name(record: Record) -> str:
    """What a picture's class is called: its most specific tag, else the label."""
    return record.tags[0] if record.tags else record.label or ""


def class_hits(
    pictures_BD: Embeddings, records: Sequence[Record], encode_texts: EncodeTexts
) -> tuple[list[str], NDArray[np.bool_]]:
    """The classes of one part, and whether each picture is nearest to the name of its own."""
    names = [class_name(record) for record in records]
    classes = sorted(set(names))
    nearest = (pictures_BD @ encode_texts(classes).T).argmax(axis=1)
    hits_B = np.array([classes[guess] == name for guess, name in zip(nearest, names, strict=True)])
    return classes, hits_B


def class_accuracy(
    pictures_BD: Embeddings, records: Sequence[Record], encode_texts: EncodeTexts
) -> tuple[dict[str, Any], Ratio | None]:
    """Top-1 among each part's own classes by name, and the mean over parts."""
    figures: dict[str, Any] = {}
    by_source: dict[str, tuple[NDArray[np.bool_], Scores]] = {}
    for source, chosen_B in classed_sources(records).items():
        own = [record for record, keep in zip(records, chosen_B, strict=True) if keep]
        classes, hits_B = class_hits(pictures_BD[chosen_B], own, encode_texts)
        by_source[source] = (chosen_B, hits_B.astype(float))
        top1 = float(np.mean(hits_B))
        figures[source] = {"classes": len(classes), "pictures": len(own), "top1": top1}
    return figures, _mean_over_parts(by_source)


def clustering(
    pictures_BD: Embeddings, records: Sequence[Record]
) -> tuple[dict[str, Any], Ratio | None]:
    """Mean average precision of finding the pictures of one class by another of its pictures."""
    figures: dict[str, Any] = {}
    by_source: dict[str, tuple[NDArray[np.bool_], Scores]] = {}
    for source, chosen_B in classed_sources(records).items():
        labels = [class_name(r) for r, keep in zip(records, chosen_B, strict=True) if keep]
        _, which, sizes = np.unique(labels, return_inverse=True, return_counts=True)
        if sizes.max() < 2:
            continue
        precisions = average_precisions(pictures_BD[chosen_B], np.array(labels), "cosine")
        asked_B = chosen_B.copy()
        asked_B[chosen_B] = sizes[which] > 1
        by_source[source] = (asked_B, precisions)
        figures[source] = {
            "classes": len(sizes),
            "pictures": len(precisions),
            "mAP": float(precisions.mean()),
        }
    return figures, _mean_over_parts(by_source)


def _mean_over_parts(by_source: dict[str, tuple[NDArray[np.bool_], Scores]]) -> Ratio | None:
    """The mean of the parts' means: each part weighs the same, however many pictures it has."""
    if not by_source:
        return None
    pictures = len(next(iter(by_source.values()))[0])
    upper_B, lower_B = np.zeros(pictures), np.zeros(pictures)
    for chosen_B, values in by_source.values():
        lower_B[chosen_B] = 1 / len(values) / len(by_source)
        upper_B[chosen_B] = values * lower_B[chosen_B]
    return Ratio(upper_B, lower_B)


def unseen_classes(
    records: Sequence[Record],
    chosen: set[str],
    encode_pictures: Callable[[Sequence[bytes]], Embeddings],
    encode_texts: EncodeTexts,
) -> dict[str, dict[str, float]]:
    """Classes that a training run held out: top-1 among all classes of their part, and among the
    unseen.

    Args:
        records: of all splits: the model saw none of the chosen classes' pictures.
        chosen: the names of the classes, see `class_name`.
        encode_pictures: encoded pictures -> rows of length 1.
        encode_texts: texts -> rows of length 1.
    """
    figures: dict[str, dict[str, float]] = {}
    for source in classed_sources(records):
        own = [record for record in records if record.source == source and record.tags]
        classes = sorted({class_name(record) for record in own})
        shown = [record for record in own if class_name(record) in chosen]
        if not shown:
            continue
        pictures_BD = encode_pictures([record.picture for record in shown])
        figures[source] = {"pictures": len(shown)}
        for title, names in (("all", classes), ("unseen", [n for n in classes if n in chosen])):
            nearest = (pictures_BD @ encode_texts(names).T).argmax(axis=1)
            right = [names[g] == class_name(r) for g, r in zip(nearest, shown, strict=True)]
            figures[source] |= {
                f"{title} classes": len(names),
                f"top1 of {title}": float(np.mean(right)),
            }
    return figures
