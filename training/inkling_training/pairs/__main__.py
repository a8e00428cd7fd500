"""Mines (picture, interest) pairs from content, and writes them as shards.

    python -m inkling_training.pairs --data DIR --out OUT --sources coco-mini --limit-per-class 50
    python -m inkling_training.pairs --content DIR --graph DIR --out OUT
    python -m inkling_training.pairs --verify OUT

`--data` reads tar shards of labelled pictures (DIR/images/*.tar), `--content` a folder of JSON
lines with pictures, see `content_folder`. `--no-gold-tags` keeps gold tags out of the pairs, and
judges what was mined from the texts against them.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inkling_server.interests import snapshot
from inkling_server.interests.mentions.reliability import Reliability
from inkling_training.data import DEFAULT_GRAPH
from inkling_training.pairs.content import ContentRead, limit_per_class, read_records
from inkling_training.pairs.content_folder import read_folder
from inkling_training.pairs.dataset import open_pairs
from inkling_training.pairs.mining import Mined, MiningSettings, mine
from inkling_training.pairs.report import examples, judge, summary
from inkling_training.pairs.samples import PairsDamaged
from inkling_training.pairs.shards import MAX_SHARD_BYTES, OutputOccupied, write_pairs
from inkling_training.pairs.weights import RELIABILITIES
from inkling_training.wordnet import Nouns, find_wordnet, open_nouns

_EXAMPLES = 10
_TELL_EVERY = 5_000


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.verify is not None:
            pairs = open_pairs(options.verify, verify=True)
            print(f"{len(pairs):,} samples in {len(pairs.manifest['shards'])} shards: sound")
            return 0
        if options.out is None:
            raise ValueError("--out is missing: where should the shards go?")
        _mine(options)
    except (
        PairsDamaged,
        OutputOccupied,
        FileNotFoundError,
        ValueError,
        snapshot.SnapshotDamaged,
    ) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _mine(options: argparse.Namespace) -> None:
    graph = snapshot.load_snapshot(snapshot.newest_snapshot(options.graph))
    settings = MiningSettings(
        use_gold_tags=options.use_gold_tags,
        use_extractors=options.extractors,
        min_weight=options.min_weight,
        hard_negatives=options.negatives,
        random_negatives=options.random_negatives,
        reliabilities=_reliabilities(options.reliability),
        languages=tuple(options.languages),
    )
    nouns = _nouns(options.wordnet)
    started = time.process_time()
    content = _read(options)
    items = limit_per_class(content.items, options.limit_per_class, options.seed)
    read_s = time.process_time() - started
    started = time.process_time()
    mined = mine(
        items,
        graph,
        settings,
        seed=options.seed,
        nouns=nouns,
        on_progress=_tell,
    )
    mined_s = time.process_time() - started
    written = write_pairs(
        mined.items,
        options.out,
        _facts(options, settings, graph.version, content, mined),
        seed=options.seed,
        max_shard_bytes=int(options.max_shard_mb * 1e6),
    )
    print("\n".join(summary(written.manifest, len(graph.interests))))
    speed = len(items) / max(mined_s, 1e-9)
    print(f"processor time: read {read_s:.1f} s, mined {mined_s:.1f} s ({speed:,.0f} items/s)")
    print("\n".join(("for example (weights; then hard negatives):", *_first(mined))))
    if not settings.use_gold_tags:
        print("mined phrases of weight >= 0.5 against gold tags:")
        for source, counts in sorted(judge(mined.items, graph.interests).items()):
            print(f"  {source}: {json.dumps(counts.shares())}")


def _read(options: argparse.Namespace) -> ContentRead:
    if options.content is not None:
        sources = None if options.sources is None else frozenset(options.sources)
        return read_folder(options.content, sources)
    return read_records(options.data, options.sources)


def _facts(
    options: argparse.Namespace,
    settings: MiningSettings,
    graph_version: str,
    content: ContentRead,
    mined: Mined,
) -> dict[str, Any]:
    """What the manifest says beside what was written; nothing of this machine, no time."""
    return {
        "graph_version": graph_version,
        "settings": asdict(settings)
        | {"limit_per_class": options.limit_per_class, "wordnet": options.wordnet is not None},
        "skipped": dict(content.skipped + mined.skipped),
        "moved_to_keep_groups_together": dict(mined.moved),
        "generic_interests": mined.generic,
    }


def _first(mined: Mined) -> list[str]:
    return list(examples(mined.items[:_EXAMPLES]))


def _nouns(folder: Path | None) -> Nouns | None:
    if folder is None:
        print("no WordNet: hard negatives may be broader or narrower words of what is shown")
        return None
    return open_nouns(folder)


def _reliabilities(changes: Sequence[str]) -> dict[str, Reliability]:
    """The table with changes such as "comment=0.1" or "caption=0.6,0.9".

    Raises:
        ValueError: an unknown source, or no number.
    """
    table = dict(RELIABILITIES)
    for change in changes:
        source, _, numbers = change.partition("=")
        if source not in table:
            raise ValueError(f"--reliability {source!r}: must be one of {', '.join(table)}")
        once, _, most = numbers.partition(",")
        try:
            one = float(once)
            table[source] = Reliability(one, float(most) if most else max(one, table[source].most))
        except ValueError as error:
            raise ValueError(f"--reliability {change}: {error}") from None
    return table


def _tell(count: int) -> None:
    if count % _TELL_EVERY == 0:
        print(f"{count:,} items read", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inkling_training.pairs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", type=Path, help="folder with images/*.tar of labelled pictures")
    what.add_argument("--content", type=Path, help="folder of JSON lines and pictures")
    what.add_argument("--verify", type=Path, help="only check a set's checksums")
    parser.add_argument("--out", type=Path, help="folder of the new set")
    parser.add_argument("--graph", type=Path, default=DEFAULT_GRAPH, help="folder of snapshots")
    parser.add_argument("--sources", nargs="+", help="parts of the data, or sources of the feed")
    parser.add_argument("--limit-per-class", type=_positive, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    gold = parser.add_mutually_exclusive_group()
    gold.add_argument("--use-gold-tags", dest="use_gold_tags", action="store_true", default=True)
    gold.add_argument("--no-gold-tags", dest="use_gold_tags", action="store_false")
    parser.add_argument("--extractors", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--min-weight", type=float, default=0.1)
    parser.add_argument("--negatives", type=int, default=8, help="hard ones a picture, at most")
    parser.add_argument("--random-negatives", type=int, default=4)
    parser.add_argument(
        "--reliability",
        action="append",
        default=[],
        metavar="SOURCE=ONCE[,MOST]",
        help="changes the table in pairs/weights.py",
    )
    parser.add_argument("--languages", nargs="+", default=["en"], metavar="CODE")
    parser.add_argument("--max-shard-mb", type=float, default=MAX_SHARD_BYTES / 1e6)
    parser.add_argument(
        "--wordnet", type=Path, default=find_wordnet(), help="folder of a WordNet 3.0 database"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
