"""Rebuilds the default graph: mines the sample corpora with the server's own pipeline.

    python -m inkling_training.default_graph --model-repository model_repository \\
        --out server/inkling_server/interests/default_graph --work /tmp/default-graph

    corpora ─► feed ─► mine (minutes) ─► corpus state, kept in --work
    seeds: pinned interests of --seeds ──────────┬─► build_graph ─► snapshot below --out
    text encoder of --model-repository ──────────┘

Seeds are the interests that the shipped model was taught to see (`inkling_training.vocabulary`);
they stay whatever the corpora say. The corpora were collected at different times: their dates say
nothing about what people turn to, so nothing trends, fades or retires here. Same data, same seeds,
same model: same snapshot. The corpus's state is not part of it: a server's own content is what
counts from then on.

A second run with the same --work takes the state of the first: seconds, to try other rules of
`selection`.
"""

import argparse
import json
import logging
import random
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from inkling_server.interests.activity import ActivitySettings
from inkling_server.interests.build import BuildSettings, build_graph
from inkling_server.interests.content import ContentItem
from inkling_server.interests.corpus_state import CorpusState
from inkling_server.interests.corpus_state_files import STATE_FOLDER, load_state, save_state
from inkling_server.interests.embedders.serving import EncoderEmbedder
from inkling_server.interests.feed import FolderFeed
from inkling_server.interests.graph import GraphSnapshot, make_snapshot
from inkling_server.interests.mining import mine
from inkling_server.interests.selection import SelectionSettings
from inkling_server.interests.snapshot import load_snapshot, newest_snapshot, save_snapshot
from inkling_server.interests.stages import Stage
from inkling_server.interests.text.preprocess import TextSettings
from inkling_training.data import DEFAULT_GRAPH, sample_data_dir
from inkling_training.default_corpus import content_items
from inkling_training.exported import ExportedModel
from inkling_training.vocabulary_names import blocked_words

_log = logging.getLogger(__name__)
# More than the corpora hold: nothing is forgotten while they are read.
_MAX_RECORDS = 1_000_000
# Days that never come: see the module.
_NEVER = 10**9


def mined_state(data: Path, work: Path | None, created: datetime) -> CorpusState:
    """What the corpora say; read from `work` where an earlier run left it there."""
    if work is not None and (work / STATE_FOLDER).is_dir():
        return load_state(work)
    state = CorpusState()
    with tempfile.TemporaryDirectory() as folder:
        write_feed(content_items(data), Path(folder) / "items.jsonl")
        counts = mine(
            FolderFeed(Path(folder)).open({}),
            state,
            text=TextSettings(),
            read_time=created,
            max_records=_MAX_RECORDS,
            on_progress=lambda done, total: _tell(Stage.READING, done, total),
        )
    _log.info("%s", counts)
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
        save_state(state, work)
    return state


def write_feed(items: Iterable[ContentItem], path: Path) -> None:
    """Writes items as a server's feed holds them: one JSON object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for item in items:
            values = {name: value for name, value in asdict(item).items() if value}
            if item.created_time is not None:
                values["created_time"] = item.created_time.isoformat()
            file.write(json.dumps(values, ensure_ascii=False) + "\n")


def seed_graph(folder: Path, created: datetime) -> GraphSnapshot:
    """The pinned interests of the newest snapshot in a folder."""
    graph = load_snapshot(newest_snapshot(folder))
    return make_snapshot([i for i in graph.interests if i.pinned], created)


def default_settings() -> BuildSettings:
    """How the default graph is made of the corpora's state."""
    return BuildSettings(
        selection=SelectionSettings(blocked=frozenset(blocked_words())),
        activity=ActivitySettings(past_days=0, half_life_days=_NEVER, retire_after_days=_NEVER),
    )


def encoder_embedder(model: ExportedModel) -> EncoderEmbedder:
    """The exported text encoder as the pipeline asks for it."""
    return EncoderEmbedder(
        lambda phrases: model.encode_texts(phrases).astype(np.float32),
        model.manifest.fingerprint,
        model.manifest.dimension,
    )


def _tell(stage: Stage, done: int, total: int) -> None:
    if done in (0, total):
        _log.info("%s %s of %s", stage, done, total)


def main() -> None:
    """Reads the command line and builds the snapshot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="sample data (default: found by itself)")
    parser.add_argument("--model-repository", type=Path, required=True)
    parser.add_argument(
        "--seeds", type=Path, default=DEFAULT_GRAPH, help="graphs; the newest's pinned interests"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of graph snapshots")
    parser.add_argument("--work", type=Path, help="folder that keeps what was mined")
    parser.add_argument(
        "--created", type=date.fromisoformat, help="date of the snapshot (default: the seeds')"
    )
    parser.add_argument(
        "--show", type=int, default=0, metavar="SEED", help="print 200 random mined interests"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    data = arguments.data or sample_data_dir()
    created = load_snapshot(newest_snapshot(arguments.seeds)).created_time
    if arguments.created:
        created = datetime.combine(arguments.created, datetime.min.time(), UTC)
    built = build_graph(
        mined_state(data, arguments.work, created),
        seed_graph(arguments.seeds, created),
        None,
        encoder_embedder(ExportedModel(arguments.model_repository)),
        settings=default_settings(),
        created_time=created,
        on_progress=_tell,
    )
    interests = built.snapshot.interests
    found = [i for i in interests if i.extractors]
    _log.info(
        "%d interests: %d seeds, of which the corpora name %d, and %d that only they have; "
        "%d edges, %d communities",
        len(interests),
        sum(i.pinned for i in interests),
        sum(i.pinned for i in found),
        sum(not i.pinned for i in interests),
        len(built.snapshot.edges),
        len(built.snapshot.communities),
    )
    if arguments.show:
        mined = sorted(i.phrase for i in interests if not i.pinned)
        chosen = random.Random(arguments.show).sample(mined, min(200, len(mined)))
        _log.info("%s", "; ".join(chosen))
    _log.info("-> %s", save_snapshot(built.snapshot, arguments.out))


if __name__ == "__main__":
    main()
