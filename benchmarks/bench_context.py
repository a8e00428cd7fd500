"""Do texts tell what an item is about as often as they claim, and what does asking them cost?

    python -m benchmarks.bench_context                            tables, JSON as the last line
    python -m benchmarks.bench_context --out benchmarks/results   and both as files

Needs the sample data (INKLING_SAMPLE_DATA, else ../shared/data beside the repository) and the model
that ships. Three questions:

1. Of the interests that a text names, how many does the item's gold have? By source and by how far
   the name's place agrees. A part's gold only speaks about the interests that it labels somewhere,
   so only those count. Right: the gold tag, or what it nearly always implies (0.7 in the ontology);
   what it only makes likely counts neither way. Gold is partial: these are lower bounds. All
   splits: nothing is trained on texts, and the table of reliabilities is judgement.
2. Are joined scores calibrated? Pictures of the validation split, shipped model, the same pairs for
   the picture alone and for both: expected calibration error (15 bins) of pairs that score over
   0.05, log-loss, and the tags that a client would get by default (top 5 over the model's
   recommended score): how many, and how many of the counted ones are right. Each caption of a photo
   that has several is an item of its own.
3. Milliseconds to read an item's texts on one core, nothing cached between items but words.

Hashtags, comments, overlays, transcripts and places have no gold here: not measured. Recipes' tags
are by their authors and name courses and cuisines; groceries' captions are 81 product descriptions,
one for each class, written without the photo.
"""

import argparse
import json
import math
import random
import statistics
import tarfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import hardware, versions, write_report
from inkling_server.interests.content import ContentItem
from inkling_server.interests.graph import Interest
from inkling_server.interests.mentions.evidence import SOURCE_RELIABILITIES
from inkling_server.interests.mentions.item_reader import ItemReader
from inkling_server.interests.mentions.matching import InterestMatcher
from inkling_server.interests.mentions.table import PhraseTable
from inkling_server.interests.store import GraphStore
from inkling_server.joining import join
from inkling_server.model_manifest import load_calibration
from inkling_training import ontology
from inkling_training.data import DEFAULT_GRAPH, REPOSITORY, sample_data_dir
from inkling_training.exported import ExportedModel, scores
from inkling_training.gold import POSSIBLE, SURE

PARTS = ("coco-mini", "public-domain-recipes", "grocery-store")
LIKELY = 0.05
BINS = 15
TOP_N = 5
# Lower ends: a noun that heads its phrase, then what `agreement` discounts.
AGREEMENTS = (1.0, 0.5, 0.3, 0.0)
CONTEXT_COUNT = 300


@dataclass(frozen=True, slots=True)
class Labelled:
    """One item with its gold: rows that are right, and rows that count neither way."""

    part: str
    split: str
    picture: bytes
    item: ContentItem
    right: frozenset[int]
    unsure: frozenset[int]


def read_part(folder: Path, part: str, table: PhraseTable) -> Iterator[Labelled]:
    """The items of one part; one for each caption where a photo has several."""
    for path in sorted(folder.glob(f"{part}-*.tar*")):
        with tarfile.open(path) as shard:
            picture = b""
            for member in shard:
                file = shard.extractfile(member)
                if file is None:
                    continue
                if not member.name.endswith(".json"):
                    picture = file.read()
                    continue
                record = json.load(file)
                right, unsure = judge(record["tags"], table)
                for caption in record.get("captions") or [record["caption"]]:
                    item = ContentItem(id="x", caption=caption, title=record["title"])
                    yield Labelled(part, record["split"], picture, item, right, unsure)


def judge(tags: Sequence[str], table: PhraseTable) -> tuple[frozenset[int], frozenset[int]]:
    """Rows that gold tags name or imply, and rows that they only make likely."""
    strengths: dict[int, float] = {}
    for tag in tags:
        for phrase, strength in {**ontology.expand(tag), tag: 1.0}.items():
            row = table.find(phrase)
            if row is not None:
                strengths[row] = max(strength, strengths.get(row, 0.0))
    right = frozenset(row for row, strength in strengths.items() if strength >= SURE)
    likely = frozenset(row for row, strength in strengths.items() if strength > POSSIBLE)
    return right, likely - right


def vocabularies(items: Sequence[Labelled]) -> dict[str, frozenset[int]]:
    """The rows that each part labels somewhere."""
    rows: dict[str, set[int]] = defaultdict(set)
    for item in items:
        rows[item.part] |= item.right
    return {part: frozenset(found) for part, found in rows.items()}


def precision_table(
    items: Sequence[Labelled], interests: Sequence[Interest], known: Mapping[str, frozenset[int]]
) -> list[dict[str, Any]]:
    """Question 1: how often a source is right, by part, source and agreement."""
    matcher = InterestMatcher(interests)
    right: dict[tuple[str, str, float], list[bool]] = defaultdict(list)
    outside: dict[tuple[str, str, float], int] = defaultdict(int)
    for item in items:
        best: dict[tuple[int, str], float] = {}
        for mention in matcher.read(item.item).mentions:
            key = mention.row, mention.field.value
            best[key] = max(mention.agreement, best.get(key, 0.0))
        for (row, source), agreement in best.items():
            bucket = next(floor for floor in AGREEMENTS if agreement >= floor)
            if row not in known[item.part]:
                outside[item.part, source, bucket] += 1
            elif row not in item.unsure:
                right[item.part, source, bucket].append(row in item.right)
    return [
        {
            "part": part,
            "source": source,
            "agreement_from": bucket,
            "judged_count": len(found),
            "right_share": round(statistics.mean(found), 3),
            "half_width_95": round(
                1.96 * math.sqrt(max(statistics.pvariance(found), 1e-9) / len(found)), 3
            ),
            "not_judged_count": outside[part, source, bucket],
        }
        for (part, source, bucket), found in sorted(
            right.items(), key=lambda entry: (entry[0][1], entry[0][0], -entry[0][2])
        )
    ]


def calibration_table(
    items: Sequence[Labelled], interests: Sequence[Interest], known: Mapping[str, frozenset[int]]
) -> list[dict[str, Any]]:
    """Question 2: the picture's scores and the joined ones, on the same pairs."""
    model = ExportedModel(REPOSITORY / "model_repository")
    calibration = load_calibration(REPOSITORY / "model_repository", model.manifest.version)
    phrases_VD = model.encode_texts([interest.phrase for interest in interests])
    reader = ItemReader(interests)
    rows = []
    for part in PARTS:
        chosen = [item for item in items if item.part == part and item.split == "val"]
        pictures = list(dict.fromkeys(item.picture for item in chosen))
        places = {picture: place for place, picture in enumerate(pictures)}
        cosines_BV = model.encode_pictures(pictures).astype(np.float64) @ phrases_VD.T.astype(float)
        picture_BV = scores(cosines_BV, interests, calibration)
        vocabulary = sorted(known[part])
        told: dict[str, list[tuple[float, bool]]] = defaultdict(list)
        tops: dict[str, list[bool]] = defaultdict(list)
        counts: dict[str, int] = defaultdict(int)
        for item in chosen:
            shown_V = picture_BV[places[item.picture]]
            evidence = reader.read(item.item)
            everything = dict(enumerate(shown_V.tolist()))
            for name, said in (("picture", {}), ("joined", evidence)):
                ranking = join(everything, said, top_n=len(everything), min_score=0.0)
                by_row = {one.row: one.score for one in ranking}
                told[name] += [
                    (by_row.get(row, 0.0), row in item.right)
                    for row in vocabulary
                    if row not in item.unsure
                ]
                top = [
                    one.row
                    for one in ranking[:TOP_N]
                    if one.score > calibration.recommended.min_score
                ]
                counts[name] += len(top)
                tops[name] += [row in item.right for row in top if row in known[part] - item.unsure]
        for name, pairs in told.items():
            score_P = np.array([score for score, _ in pairs])
            right_P = np.array([right for _, right in pairs])
            rows.append(
                {
                    "part": part,
                    "scores": name,
                    "item_count": len(chosen),
                    **calibration_figures(score_P, right_P),
                    "tags_per_item": round(counts[name] / len(chosen), 2),
                    "judged_tag_count": len(tops[name]),
                    "right_share_of_judged": round(statistics.mean(tops[name] or [0]), 3),
                    "recall": round(sum(tops[name]) / sum(len(i.right) for i in chosen), 3),
                }
            )
    return rows


def calibration_figures(
    score_P: NDArray[np.float64], right_P: NDArray[np.bool_]
) -> dict[str, float]:
    """ECE of the likely pairs, and log-loss of all in nats a pair."""
    likely_P = score_P > LIKELY
    bins_L = np.minimum((score_P[likely_P] * BINS).astype(int), BINS - 1)
    gaps = [
        abs(score_P[likely_P][bins_L == b].sum() - right_P[likely_P][bins_L == b].sum())
        for b in range(BINS)
    ]
    clipped_P = np.clip(score_P, 1e-6, 1 - 1e-6)
    losses_P = -np.where(right_P, np.log(clipped_P), np.log1p(-clipped_P))
    return {
        "likely_pair_count": int(likely_P.sum()),
        "mean_likely_score": round(float(score_P[likely_P].mean()), 3),
        "right_share_of_likely": round(float(right_P[likely_P].mean()), 3),
        "ece_likely": round(float(sum(gaps) / max(likely_P.sum(), 1)), 4),
        "log_loss": round(float(losses_P.mean()), 4),
    }


def cost_table(interests: Sequence[Interest]) -> list[dict[str, Any]]:
    """Question 3: what reading costs."""
    start = time.perf_counter()
    reader = ItemReader(interests)
    made_s = time.perf_counter() - start
    start = time.perf_counter()
    reader.read(ContentItem(id="x", caption="A cat on a mat, somewhere.", hashtags=("catsofx",)))
    first_s = time.perf_counter() - start
    rows = [
        {"what": "make the reader of a graph", "ms": round(1e3 * made_s, 1)},
        {"what": "the first text: loads word lists", "ms": round(1e3 * first_s, 1)},
    ]
    choose = random.Random(0)
    cases: dict[str, Callable[[int], ContentItem]] = {
        "caption, 5 hashtags, 3 comments": _post,
        "100,000 characters of words": lambda n: ContentItem(
            id="x", transcript=" ".join(_post(n * 1000 + i).caption for i in range(2_000))[:100_000]
        ),
        "100,000 characters of emoji": lambda _: ContentItem(id="x", transcript="🐕🎉" * 50_000),
        "100,000 characters of hashtags that are no words": lambda _: ContentItem(
            id="x", transcript=" ".join("#" + _letters(choose, 70) for _ in range(1_400))
        ),
        "64 hashtags of 40 letters that are no words": lambda _: ContentItem(
            id="x", hashtags=tuple(_letters(choose, 40) for _ in range(64))
        ),
    }
    for quoting in (False, True):
        for what, make in cases.items():
            items = [make(n) for n in range(CONTEXT_COUNT if make is _post else 5)]
            took_s = []
            for item in items:
                start = time.perf_counter()
                reader.read(item, quoting=quoting)
                took_s.append(time.perf_counter() - start)
            rows.append(
                {
                    "what": what + (", quoted" if quoting else ""),
                    "ms": round(1e3 * statistics.median(took_s), 2),
                    "worst_ms": round(1e3 * max(took_s), 2),
                }
            )
    return rows


def _post(number: int) -> ContentItem:
    return ContentItem(
        id="x",
        caption=f"Sunday morning at the beach with my two dogs, then a picnic, day {number} 🐕",
        hashtags=("surf", "doglover", "sundayvibes", "california", f"oceanview{number}"),
        comments=("so cute!!", f"what a nice beach, {number}", "I love your dog, where is this?"),
    )


def _letters(choose: random.Random, count: int) -> str:
    return "".join(choose.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(count))


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return lines + ["| " + " | ".join(str(row.get(n, "")) for n in names) + " |" for row in rows]


def main(arguments: list[str] | None = None) -> None:
    """Measures and prints; see the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for the result files")
    options = parser.parse_args(arguments)

    data = sample_data_dir()
    graph, _ = GraphStore(Path("/nonexistent"), DEFAULT_GRAPH).load_current()
    interests = graph.interests
    cost = cost_table(interests)
    table = PhraseTable(interests)
    items = [item for part in PARTS for item in read_part(data / "images", part, table)]
    known = vocabularies(items)
    report: dict[str, Any] = {
        "question": "do texts tell what an item is about as often as they claim, at what cost",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "hardware": hardware(),
        "versions": versions(("wordfreq", "py3langid", "emoji", "onnxruntime", "numpy")),
        "graph": graph.version,
        "interest_count": len(interests),
        "labelled_interest_counts": {part: len(rows) for part, rows in known.items()},
        "reliabilities": {name: [one.once, one.most] for name, one in SOURCE_RELIABILITIES.items()},
        "precision": precision_table(items, interests, known),
        "calibration": calibration_table(items, interests, known),
        "cost": cost,
    }
    lines = [
        f"# Texts as evidence, {report['date']}, {report['hardware']}",
        "",
        f"Graph {graph.version}, {len(interests):,} interests. What is asked, and on what, is in",
        "`benchmarks/bench_context.py`.",
        "",
        "## How often a source that names an interest is right",
        "",
        *_table(report["precision"]),
        "",
        "## The picture's scores and the joined ones, validation split",
        "",
        *_table(report["calibration"]),
        "",
        "## Time to read one item's texts",
        "",
        *_table(cost),
    ]
    print("\n".join(lines))
    if options.out:
        write_report(options.out, "context", lines, report)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
