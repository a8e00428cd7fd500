"""Phrase embeddings on disk, so that a second start (or a refreshed graph) embeds new phrases only.

    <folder>/<key>.embeddings     one per model and text template: SHA-256 (32 bytes), then an .npz

The checksum is compared before anything is parsed, pickle is off, and a file is replaced by one
atomic rename. A file that is missing, damaged, or of another shape counts as empty: the cache may
always be deleted. It blocks while it reads and writes: call it off the event loop. It does not know
graphs, encoders or the index.

Shapes: P phrases in the file, D dimensions.
"""

import hashlib
import io
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inkling_server.cache_files import mark_used, prune, replace_file
from inkling_server.encoders import Embeddings
from inkling_server.model_manifest import ModelManifest

_log = logging.getLogger(__name__)
_DIGEST_BYTES = hashlib.sha256().digest_size
_SUFFIX = ".embeddings"


@dataclass(frozen=True, slots=True)
class CacheKey:
    """What an embedding depends on besides its phrase."""

    fingerprint: str
    template: str
    max_tokens: int
    dimension: int

    @classmethod
    def of(cls, manifest: ModelManifest) -> "CacheKey":
        """The key of one model version."""
        text = manifest.text
        return cls(manifest.fingerprint, text.template, text.max_tokens, manifest.dimension)

    @property
    def digest(self) -> str:
        """Hex; vectors of equal phrases are equal under an equal one."""
        text = json.dumps([self.fingerprint, self.template, self.max_tokens, self.dimension])
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def file_name(self) -> str:
        return f"{self.digest}{_SUFFIX}"


class EmbeddingCache:
    """A folder of embeddings.

    Args:
        folder: made when something is stored first.
        max_files: models kept; the least recently used go first.
        max_phrases: phrases kept per model; those of the latest graph stay.
    """

    def __init__(self, folder: Path, *, max_files: int = 4, max_phrases: int = 200_000) -> None:
        self._folder = folder
        self._max_files = max_files
        self._max_phrases = max_phrases

    @property
    def folder(self) -> Path:
        """Where it keeps its files; others may keep theirs there, too."""
        return self._folder

    def load(self, key: CacheKey) -> dict[str, NDArray[np.float32]]:
        """Every embedding stored under the key; empty where there is no sound file."""
        path = self._folder / key.file_name
        try:
            phrases, embeddings_PD = _read(path)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError) as error:
            _log.warning("embedding cache: %s is damaged (%s); it is made anew", path.name, error)
            return {}
        if embeddings_PD.shape != (len(phrases), key.dimension) or not _are_unit(embeddings_PD):
            _log.warning("embedding cache: %s holds no unit vectors; it is made anew", path.name)
            return {}
        mark_used(path)
        return dict(zip(phrases, embeddings_PD, strict=True))

    def store(
        self,
        key: CacheKey,
        phrases: Sequence[str],
        embeddings_PD: Embeddings,
        *,
        spare: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> None:
        """Replaces the key's file. A full or read-only disk costs a warning, not the start.

        Args:
            key: names the file.
            phrases: of the current graph.
            embeddings_PD: their vectors.
            spare: what was there before; kept as far as there is room, for a graph that comes back.
        """
        merged = dict(zip(phrases, embeddings_PD, strict=True))
        for phrase, embedding in (spare or {}).items():
            if len(merged) >= self._max_phrases:
                break
            merged.setdefault(phrase, embedding)
        try:
            self._write(key, merged)
            prune(self._folder / key.file_name, _SUFFIX, self._max_files)
        except OSError as error:
            _log.warning("embedding cache: cannot be written (%s); the next start is slower", error)

    def _write(self, key: CacheKey, rows: Mapping[str, NDArray[np.float32]]) -> None:
        names = np.frombuffer(json.dumps(list(rows), ensure_ascii=False).encode(), np.uint8)
        embeddings_PD = np.empty((len(rows), key.dimension), np.float32)
        for i, embedding in enumerate(rows.values()):
            embeddings_PD[i] = embedding
        body = io.BytesIO()
        np.savez(body, phrases=names, embeddings=embeddings_PD)
        checksum = hashlib.sha256(body.getbuffer()).digest()
        replace_file(self._folder / key.file_name, [checksum, body.getbuffer()])


def _read(path: Path) -> tuple[list[str], Embeddings]:
    with path.open("rb") as file:
        digest = file.read(_DIGEST_BYTES)
        body = file.read()
    if hashlib.sha256(body).digest() != digest:
        raise ValueError("its checksum differs")
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        names, embeddings_PD = arrays["phrases"], arrays["embeddings"]
    phrases = json.loads(names.tobytes())
    if not isinstance(phrases, list) or not all(isinstance(phrase, str) for phrase in phrases):
        raise ValueError("phrases are not a list of strings")
    if embeddings_PD.dtype != np.float32 or embeddings_PD.ndim != 2:
        raise ValueError("embeddings are not a float32 matrix")
    return phrases, embeddings_PD


def _are_unit(embeddings_PD: Embeddings) -> bool:
    lengths_P = np.linalg.norm(embeddings_PD, axis=1)
    return bool(np.all(np.abs(lengths_P - 1) < 1e-2))
