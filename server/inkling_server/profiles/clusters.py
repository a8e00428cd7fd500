"""The visual clusters that pictures are shared out among, as one immutable value, and its file.

    model_repository/vision_encoder/<version>/clusters.safetensors    what a server starts with
    a fit to the platform's own pictures                              takes its place

They belong to the model whose embeddings they were fitted to: `fingerprint`. It does not know how
they are fitted (fit_clusters.py), nor what is done with them (visual.py).

Shapes: K clusters, D dimensions.
"""

import hashlib
import json
import math
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

CLUSTERS_FILE = "clusters.safetensors"
_FORMAT = 1


class ClustersDamaged(Exception):
    """A file of clusters that must not serve: damaged, or made for another model."""


@dataclass(frozen=True, slots=True, eq=False)
class VisualClusters:
    """Where the clusters lie, how soft they are, and what everybody's pictures are like.

    Attributes:
        centroids_KD: float32, in the space of the model's embeddings; not of length 1.
        general_K: float32, the general distribution: mean soft assignment of the background; its
            sum is 1.
        sigma2: mean squared distance of two pictures of the background, > 0.
        beta: sharpness of the soft assignment, > 0; see visual.py.
        fingerprint: of the model.
        background_count: pictures that they were fitted to, >= 1.
        created_time: when (UTC).
        version: names all of it but the time: what a profile depends on.
    """

    centroids_KD: NDArray[np.float32]
    general_K: NDArray[np.float32]
    sigma2: float
    beta: float
    fingerprint: str
    background_count: int
    created_time: datetime
    version: str = field(init=False)

    def __post_init__(self) -> None:
        if self.centroids_KD.ndim != 2 or self.centroids_KD.dtype != np.float32:
            raise ValueError("centroids_KD must be float32 [K, D]")
        count = len(self.centroids_KD)
        if count < 1 or self.general_K.shape != (count,) or self.general_K.dtype != np.float32:
            raise ValueError("general_K must be float32 [K], for at least one cluster")
        if not np.isfinite(self.centroids_KD).all():
            raise ValueError("centroids_KD must be finite")
        # Written so that NaN fails, too. No cluster may be empty: the log-odds of 0 are not finite.
        if not ((self.general_K > 0).all() and abs(float(self.general_K.sum()) - 1) < 1e-3):
            raise ValueError("general_K must be above 0 everywhere and sum to 1")
        if not (0 < self.sigma2 < math.inf and 0 < self.beta < math.inf):
            raise ValueError("sigma2 and beta must be finite and above 0")
        if self.background_count < 1:
            raise ValueError("background_count must be at least 1")
        if self.created_time.tzinfo is None:
            raise ValueError("created_time must say its time zone")
        for array in (self.centroids_KD, self.general_K):
            array.setflags(write=False)
        object.__setattr__(self, "version", self._digest())

    @property
    def count(self) -> int:
        """Clusters, K."""
        return len(self.centroids_KD)

    @property
    def dimension(self) -> int:
        """Numbers of an embedding, D."""
        return int(self.centroids_KD.shape[1])

    def with_beta(self, beta: float, general_K: NDArray[np.float32]) -> "VisualClusters":
        """The same centroids, softer or sharper; the general distribution depends on it."""
        return replace(self, beta=beta, general_K=general_K)

    def to_bytes(self) -> bytes:
        """As a safetensors file has it."""
        facts = {
            "format": _FORMAT,
            "version": self.version,
            "fingerprint": self.fingerprint,
            "sigma2": self.sigma2,
            "beta": self.beta,
            "background_count": self.background_count,
            "created_time": self.created_time.astimezone(UTC).isoformat(),
        }
        tensors = {"centroids": self.centroids_KD, "general": self.general_K}
        return save(
            {name: np.ascontiguousarray(array) for name, array in tensors.items()},
            metadata={"clusters": json.dumps(facts)},
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "VisualClusters":
        """Reads what `to_bytes` wrote, and verifies it.

        Raises:
            ClustersDamaged: these are no clusters, or they were altered.
        """
        try:
            facts = _facts(data)
            tensors = load(data)
            clusters = cls(
                tensors["centroids"],
                tensors["general"],
                sigma2=float(facts["sigma2"]),
                beta=float(facts["beta"]),
                fingerprint=str(facts["fingerprint"]),
                background_count=int(facts["background_count"]),
                created_time=datetime.fromisoformat(facts["created_time"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, SafetensorError) as error:
            # Not the error's text: it may quote the file, and exemplars are ids of content.
            raise ClustersDamaged(f"no visual clusters ({type(error).__name__})") from None
        if facts.get("format") != _FORMAT:
            raise ClustersDamaged(f"format of the clusters is not known; allowed: {_FORMAT}")
        if facts.get("version") != clusters.version:
            raise ClustersDamaged("the clusters are not those that their version names")
        return clusters

    def save(self, path: Path) -> None:
        """Writes the file; at every moment it is whole."""
        draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
        try:
            draft.write_bytes(self.to_bytes())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> "VisualClusters":
        """Reads a file.

        Raises:
            FileNotFoundError: there is none.
            ClustersDamaged: it cannot be used.
        """
        try:
            return cls.from_bytes(path.read_bytes())
        except ClustersDamaged as error:
            raise ClustersDamaged(f"{path.name}: {error}") from None

    def _digest(self) -> str:
        """Sixteen hex digits of what a profile depends on."""
        facts = [_FORMAT, self.fingerprint, self.sigma2, self.beta, self.background_count]
        digest = hashlib.sha256(json.dumps(facts).encode())
        for array in (self.centroids_KD, self.general_K):
            digest.update(json.dumps(array.shape).encode())
            digest.update(np.ascontiguousarray(array, "<f4").tobytes())
        return digest.hexdigest()[:16]


def load_shipped(model_repository: Path, version: int, fingerprint: str) -> VisualClusters | None:
    """The clusters beside a model of a repository; None: it comes without.

    Args:
        model_repository: as Triton reads it.
        version: of the model.
        fingerprint: of the model that serves.

    Raises:
        ClustersDamaged: the file cannot be used with this model.
    """
    path = model_repository / "vision_encoder" / str(version) / CLUSTERS_FILE
    if not path.exists():
        return None
    clusters = VisualClusters.load(path)
    if clusters.fingerprint != fingerprint:
        raise ClustersDamaged(
            f"{CLUSTERS_FILE} of version {version}: fitted to the embeddings of the model with"
            f" fingerprint {clusters.fingerprint}; allowed: {fingerprint}, which is served"
        )
    return clusters


def _facts(data: bytes) -> dict[str, Any]:
    """What the file says beside its tensors: safetensors' header is JSON behind its size."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    facts: dict[str, Any] = json.loads(header["__metadata__"]["clusters"])
    return facts
