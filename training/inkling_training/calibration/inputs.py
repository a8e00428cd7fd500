"""What both commands read: model, graph and labelled pictures, as pairs of two halves.

Half 0 of the validation pictures (by a checksum of their keys) fits and tunes, half 1 reports.
"""

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inkling_server.interests.graph import GraphSnapshot
from inkling_server.interests.snapshot import load_snapshot, newest_snapshot
from inkling_server.model_manifest import ModelManifest
from inkling_training.calibration.artifact import folder_of
from inkling_training.calibration.fit_data import FitData, named_in
from inkling_training.data import DEFAULT_GRAPH, load_records, sample_data_dir
from inkling_training.exported import ExportedModel
from inkling_training.held_out import load_held_out


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that a calibration is made of.

    Attributes:
        manifest: of the model version.
        folder: where its calibration lies.
        graph: whose interests are scored.
        fitting: half 0.
        judging: half 1.
    """

    manifest: ModelManifest
    folder: Path
    graph: GraphSnapshot
    fitting: FitData
    judging: FitData


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that name model, graph and pictures."""
    parser.add_argument("--model-repository", type=Path, required=True)
    parser.add_argument(
        "--version", type=int, default=None, help="of the model (default: the greatest)"
    )
    parser.add_argument(
        "--data", type=Path, default=None, help="labelled pictures (default: the sample data)"
    )
    parser.add_argument(
        "--graph", type=Path, default=DEFAULT_GRAPH, help="folder of graph snapshots"
    )
    parser.add_argument(
        "--cache", type=Path, default=None, help="folder for the pictures' embeddings"
    )


def load(arguments: argparse.Namespace) -> Inputs:
    """Reads and embeds it all.

    Raises:
        ValueError: a half has no picture with a tag of the graph.
        FileNotFoundError: there is no such model, graph or data.
    """
    model = ExportedModel(arguments.model_repository, arguments.version)
    graph = load_snapshot(newest_snapshot(arguments.graph))
    data = arguments.data or sample_data_dir()
    whole = load_held_out(model, graph, data, arguments.cache)
    named_V = named_in(
        [record for record in load_records(data) if record.split == "train"], graph.interests
    )
    return Inputs(
        manifest=model.manifest,
        folder=folder_of(arguments.model_repository, model.manifest.version),
        graph=graph,
        fitting=FitData.of(whole.half(0), graph.edges, named_V),
        judging=FitData.of(whole.half(1), graph.edges, named_V),
    )


def description(data: FitData) -> str:
    """How many pictures of which parts, in words."""
    counts = Counter(data.sources)
    parts = ", ".join(f"{counts[part]} {part}" for part in sorted(counts))
    return f"{len(data.keys)} pictures: {parts}"


def fail_clearly(parser: argparse.ArgumentParser, work: Callable[[], None]) -> None:
    """Runs a command; what its user can mend is said in one line, with exit status 2."""
    try:
        work()
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))
