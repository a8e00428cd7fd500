"""The interests' embeddings beside a snapshot: `embeddings.safetensors`, float32 [N, D].

They let a refresh embed new phrases only, and a gateway serve a version without embedding anything.
The file says whose vectors these are; rows are those of the snapshot's interests.

Shapes: N interests, D dimensions.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from inkling_server.interests.snapshot import SnapshotDamaged, read_manifest, verify_files

VECTORS_FILE = "embeddings.safetensors"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """Embeddings of one snapshot's interests, and how its semantic edges were made of them.

    Attributes:
        fingerprint: of the embedder.
        embeddings_ND: float32; rows of length 1, or of zeros where there is no vector.
        neighbor_count: nearest interests that each was joined with; 0: not known.
        min_cosine: and only with those that are so near.
    """

    fingerprint: str
    embeddings_ND: NDArray[np.float32]
    neighbor_count: int = 0
    min_cosine: float = 0.0


def save_vectors(vectors: Vectors, folder: Path) -> None:
    """Writes them into a draft."""
    save_file(
        {"embeddings": np.ascontiguousarray(vectors.embeddings_ND)},
        folder / VECTORS_FILE,
        metadata={
            "fingerprint": vectors.fingerprint,
            "neighbor_count": str(vectors.neighbor_count),
            "min_cosine": repr(vectors.min_cosine),
        },
    )


def load_sound_vectors(folder: Path, count: int) -> Vectors | None:
    """As `load_vectors`, for who can do without: None also where they are damaged."""
    try:
        return load_vectors(folder, count)
    except SnapshotDamaged as error:
        _log.error("embeddings are computed anew: %s", error)
        return None


def load_vectors(folder: Path, count: int) -> Vectors | None:
    """Reads and verifies the vectors of a snapshot, or a draft; None: it has none.

    Args:
        folder: the snapshot's.
        count: interests that it has.

    Raises:
        SnapshotDamaged: they do not match the snapshot or their checksum.
    """
    path = folder / VECTORS_FILE
    if not path.exists():
        return None
    try:
        manifest = read_manifest(folder)
        verify_files(folder, manifest, (VECTORS_FILE,))
        with safe_open(path, framework="numpy") as file:
            facts = file.metadata() or {}
            embeddings_ND = file.get_tensor("embeddings")
        vectors = Vectors(
            facts["fingerprint"],
            embeddings_ND,
            int(facts["neighbor_count"]),
            float(facts["min_cosine"]),
        )
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise SnapshotDamaged(f"{folder.name}: {VECTORS_FILE}: {error}") from error
    if embeddings_ND.dtype != np.float32 or embeddings_ND.ndim != 2 or len(embeddings_ND) != count:
        raise SnapshotDamaged(f"{folder.name}: {VECTORS_FILE} holds no row for each interest")
    return vectors
