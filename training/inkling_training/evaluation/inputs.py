"""What an evaluation looks at: a model's files, a graph, labelled pictures; and on what machine.

    --model-repository, --version ─► ExportedModel, Calibration ─┐
    --graph ───────────────────────► GraphSnapshot ──────────────┼─► Inputs
    --data ────────────────────────► records, held-out pictures ─┘

It knows no figures.
"""

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inkling_server.interests.graph import GraphSnapshot
from inkling_server.interests.snapshot import load_snapshot, newest_snapshot
from inkling_server.model_manifest import (
    Calibration,
    load_calibration,
    load_manifest,
    require_same_model,
)
from inkling_training.data import Record, load_records
from inkling_training.exported import Embeddings, ExportedModel
from inkling_training.held_out import (
    HeldOut,
    NothingToJudge,
    data_fingerprint,
    embed_held_out,
    gold_fingerprint,
    keys_digest,
    validation,
)

HALVES = {"judged": "the half of the validation pictures that did not calibrate", "all": "all"}


class InputsInvalid(NothingToJudge):
    """Model, graph and data do not make an evaluation."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that is measured, in memory.

    Attributes:
        records: of all splits.
        whole: the validation pictures with a tag that the graph knows.
        judged: those of them whose scores are judged.
        halves: key of `HALVES` that chose `judged`.
        dimensions: nested sizes to measure besides the full one.
        fingerprint: of all validation pictures, whatever the graph.
    """

    model: ExportedModel
    calibration: Calibration
    graph: GraphSnapshot
    records: Sequence[Record]
    whole: HeldOut
    judged: HeldOut
    halves: str
    dimensions: Sequence[int]
    fingerprint: str


class Texts:
    """Embeds texts once, however many figures ask for them; optionally cut to fewer dimensions."""

    def __init__(self, model: ExportedModel) -> None:
        self._model = model
        self._known: dict[str, Embeddings] = {}

    def __call__(self, texts: Sequence[str]) -> Embeddings:
        """Texts -> [T, D], rows of length 1."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known |= dict(zip(new, self._model.encode_texts(new), strict=True))
        return np.stack([self._known[text] for text in texts])


def load_inputs(
    *,
    repository: Path,
    version: int | None,
    graph: Path,
    data: Path,
    cache: Path | None,
    halves: str,
    dimensions: Sequence[int] = (),
) -> Inputs:
    """Reads and embeds everything; a minute or two without a cache.

    Raises:
        InputsInvalid: there is no validation picture in the chosen half, they fitted the
            calibration, or the model has fewer dimensions.
        NothingToJudge: no validation picture has a tag that the graph knows.
        CalibrationUnusable: the calibration is damaged, or another model's.
        FileNotFoundError: no such model version, graph, or data.
    """
    manifest = load_manifest(repository, version)
    calibration = load_calibration(repository, manifest.version)
    require_same_model(calibration, manifest)
    for size in dimensions:
        _check_dimension(size, manifest.dimension)
    model = ExportedModel(repository, manifest.version)
    snapshot = load_snapshot(newest_snapshot(graph))
    records = load_records(data)
    held_out = validation(records)
    if not held_out:
        raise InputsInvalid(
            f"{data} has no pictures of split 'val' below images/*.tar: nothing to judge"
        )
    whole = embed_held_out(model, snapshot, held_out, cache)
    judged = whole.half(1) if halves == "judged" else whole
    if halves == "all" and calibration.fitted_on == keys_digest(
        record.key for record in whole.half(0).records
    ):
        raise InputsInvalid(
            "half of these pictures fitted the calibration: judge the others, --pictures judged"
        )
    if not judged.records:
        raise InputsInvalid(
            "no picture is left in the half that did not calibrate: use --pictures all"
        )
    return Inputs(
        model,
        calibration,
        snapshot,
        records,
        whole,
        judged,
        halves,
        tuple(dimensions),
        data_fingerprint(held_out),
    )


def shorten(embeddings_XD: Embeddings, dimension: int) -> Embeddings:
    """The first `dimension` numbers of each row, at length 1 again.

    Source: Kusupati et al., "Matryoshka Representation Learning" (2022).

    Raises:
        InputsInvalid: the rows are not that long.
    """
    _check_dimension(dimension, embeddings_XD.shape[1])
    cut_XD = embeddings_XD[:, :dimension]
    lengths_X1 = np.linalg.norm(cut_XD, axis=1, keepdims=True)
    shortened: Embeddings = (cut_XD / np.maximum(lengths_X1, 1e-12)).astype(np.float32)
    return shortened


def _check_dimension(wanted: int, known: int) -> None:
    if not 1 <= wanted <= known:
        raise InputsInvalid(f"embeddings have {known} dimensions: cannot be cut to {wanted}")


def hardware() -> str:
    """Processor and usable cores."""
    model, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.exists():
        named = re.search(r"model name\s*:\s*(.+)", info.read_text(encoding="utf-8"))
        model = named[1].strip() if named else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores"


def described(inputs: Inputs) -> dict[str, Any]:
    """The data as the report names it."""
    sources = [record.source for record in inputs.whole.records]
    return {
        "fingerprint": inputs.fingerprint,
        "gold": gold_fingerprint(inputs.whole),
        "pictures": len(sources),
        "pictures judged": len(inputs.judged.records),
        "interests": len(inputs.graph.interests),
        "sources": {source: sources.count(source) for source in sorted(set(sources))},
    }
