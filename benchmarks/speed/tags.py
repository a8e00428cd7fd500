"""The tags that the gateway serves, as one matrix for its peers.

Read from the gateway's own files (graph, embeddings, calibration), so that all compare a picture
with the same rows. It starts nothing.

Shapes: N tags, D dimensions, E = D + 1.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inkling_server.embedding_cache import CacheKey, EmbeddingCache
from inkling_server.interests.snapshot import load_snapshot, newest_snapshot
from inkling_server.model_manifest import load_calibration, load_manifest
from inkling_server.refreshing import SHIPPED_GRAPHS
from inkling_server.scoring import offset_logits, prior_logits


@dataclass(frozen=True, slots=True)
class ServedModel:
    """Where the served encoder lies, and the tag matrix beside it."""

    onnx: Path
    tags: Path
    tag_count: int
    dimension: int
    model_version: str


def export_tags(model_repository: Path, embeddings: Path, to: Path) -> ServedModel:
    """Writes `to` (.npz) for `benchmarks.peers.tagger.TagMatrix`.

    Args:
        model_repository: as Triton reads it.
        embeddings: the gateway's folder of cached embeddings, after its first start with the graph
            that ships.
        to: the file.

    Raises:
        LookupError: the cache lacks a phrase of the graph; or the calibration has a curve, which
            the peers do not know.
    """
    manifest = load_manifest(model_repository)
    calibration = load_calibration(model_repository)
    if calibration.curve is not None:
        raise LookupError("the calibration has a curve; allowed: one without")
    graph = load_snapshot(newest_snapshot(SHIPPED_GRAPHS))
    known = EmbeddingCache(embeddings).load(CacheKey.of(manifest))
    ids = [interest.id for interest in graph.interests]
    phrases = [interest.phrase for interest in graph.interests]
    if missing := sum(phrase not in known for phrase in phrases):
        raise LookupError(f"{missing} of {len(phrases)} phrases have no embedding in the cache")
    shifts_N = (
        calibration.bias
        + prior_logits([interest.count for interest in graph.interests], calibration)
        + offset_logits(ids, calibration.tag_offsets)
    )
    rows_NE = np.empty((len(ids), manifest.dimension + 1), np.float32)
    rows_NE[:, :-1] = np.stack([known[phrase] for phrase in phrases])
    rows_NE[:, -1] = shifts_N
    np.savez(
        to,
        rows_NE=rows_NE,
        ids=np.array(ids),
        phrases=np.array(phrases),
        scale=calibration.scale,
        top_n=calibration.recommended.top_n,
        min_score=calibration.recommended.min_score,
    )
    onnx = model_repository / "vision_encoder" / str(manifest.version) / "model.onnx"
    return ServedModel(onnx, to, len(ids), manifest.dimension, manifest.model_version)
