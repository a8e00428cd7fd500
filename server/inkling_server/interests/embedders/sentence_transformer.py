"""Any sentence-transformers directory (BERT and the like) as an embedder.

The package `sentence-transformers`, which is optional and brings torch, is imported when an
embedder is made: the server never does so by itself. Only local directories are read, nothing is
fetched from a hub, and no code of a directory is run: modules must be the package's own. Weights
are read from safetensors, or with torch's restricted unpickler.

Shapes: P phrases, D dimensions.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inkling_server.interests.embedders.base import EmbedderUnusable, Float32, embed_in_batches

_MODULES = "modules.json"
_ADVICE = "sentence-transformers, of the extra 'sentence': pip install 'inkling[sentence]'"
_ALLOWED = f"a directory as SentenceTransformer.save writes it, with {_MODULES}"


class SentenceTransformerEmbedder:
    """A model of a directory.

    Args:
        folder: the directory.
        device: where torch computes: "cpu", "cuda". A GPU that serves pictures is best left alone.
        batch_size: phrases at a time, >= 1.

    Raises:
        EmbedderUnusable: the directory is missing or incomplete, it needs code or a base model
            that it does not hold, or the package is not installed.
    """

    name = "sentence-transformers"

    def __init__(self, folder: Path, *, device: str = "cpu", batch_size: int = 64) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size {batch_size}: at least 1")
        if not (folder / _MODULES).is_file():
            problem = f"no {_MODULES} in it" if folder.is_dir() else "no such directory"
            raise EmbedderUnusable(str(folder), problem, _ALLOWED)
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            problem = f"sentence-transformers cannot be imported: {error}"
            raise EmbedderUnusable(str(folder), problem, _ADVICE) from error
        try:
            self._model: Any = SentenceTransformer(
                str(folder), device=device, local_files_only=True, trust_remote_code=False
            )
            dimension = self._model.get_embedding_dimension()
        except Exception as error:  # whatever a broken directory makes of torch and transformers
            problem = f"cannot be loaded: {type(error).__name__}: {error}"
            raise EmbedderUnusable(str(folder), problem, _ALLOWED) from error
        self._dimension = dimension or len(self._encode(["length"])[0])
        self._batch_size = batch_size
        self._fingerprint = _fingerprint(folder)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the directory's files; other versions of torch round differently."""
        return self._fingerprint

    @property
    def dimension(self) -> int:
        """D."""
        return self._dimension

    def embed(self, phrases: Sequence[str]) -> Float32:
        """See `Embedder.embed`."""
        return embed_in_batches(
            phrases,
            self._encode,
            what=self.name,
            dimension=self._dimension,
            batch_size=self._batch_size,
        )

    def _encode(self, phrases: Sequence[str]) -> Float32:
        rows_PD = self._model.encode(
            list(phrases),
            batch_size=len(phrases),
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return np.asarray(rows_PD, np.float32)


def _fingerprint(folder: Path) -> str:
    """SHA-256 of names and contents of all files but hidden ones and the model card."""
    digest = hashlib.sha256()
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    for name, path in sorted(names.items()):
        is_hidden = any(part.startswith(".") for part in name.split("/"))
        if is_hidden or path.suffix == ".md" or not path.is_file():
            continue
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(repr((name, content)).encode())
    return digest.hexdigest()
