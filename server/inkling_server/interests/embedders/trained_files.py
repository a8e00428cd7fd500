"""Saves and loads trained embedders.

    <folder>/vectors.safetensors    vectors, and FastText's buckets
             vocabulary.json        words, counts, sizes, SHA-256 of the other file

No pickle: loading runs nothing. A folder is written aside and named last, so that it is whole or
not there. Nothing here trains.
"""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from inkling_server.interests.embedders.base import EmbedderUnusable
from inkling_server.interests.embedders.trained import Pieces, TrainedEmbedder

_FORMAT = 1
_VECTORS = "vectors.safetensors"
_VOCABULARY = "vocabulary.json"
_ALLOWED = (
    f"a folder with {_VECTORS} and {_VOCABULARY}, as save_trained writes it; without the folder, "
    "the embedder is trained anew"
)


def save_trained(embedder: TrainedEmbedder, folder: Path) -> None:
    """Writes a trained embedder into `folder`, in place of what is there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))
    try:
        tensors: dict[str, np.ndarray[Any, Any]] = {
            "counts_W": embedder.counts_W,
            "unit_WD": embedder.unit_WD,
        }
        about: dict[str, Any] = {"format": _FORMAT, "kind": embedder.name}
        pieces = embedder.pieces
        if pieces is not None:
            tensors |= {"bucket_ids_B": pieces.bucket_ids_B, "buckets_BD": pieces.buckets_BD}
            about |= {
                "shortest_piece": pieces.shortest,
                "longest_piece": pieces.longest,
                "bucket_count": pieces.bucket_count,
            }
        save_file(tensors, draft / _VECTORS)
        about |= {"sha256": _sha256(draft / _VECTORS), "words": embedder.words}
        text = json.dumps(about, ensure_ascii=False)
        (draft / _VOCABULARY).write_text(text + "\n", encoding="utf-8")
        draft.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def load_trained(folder: Path) -> TrainedEmbedder:
    """Reads what `save_trained` wrote.

    Raises:
        EmbedderUnusable: a file is missing or damaged; or it is FastText's and gensim is not there.
    """
    try:
        about = json.loads((folder / _VOCABULARY).read_text(encoding="utf-8"))
        if about["format"] != _FORMAT:
            raise ValueError(f"format {about['format']!r}")
        if about["sha256"] != _sha256(folder / _VECTORS):
            raise ValueError(f"{_VECTORS} is damaged")
        tensors = load_file(folder / _VECTORS)
        pieces = None
        if about["kind"] == "fasttext":
            pieces = Pieces(
                shortest=about["shortest_piece"],
                longest=about["longest_piece"],
                bucket_count=about["bucket_count"],
                bucket_ids_B=tensors["bucket_ids_B"],
                buckets_BD=tensors["buckets_BD"],
            )
        elif about["kind"] != "word2vec":
            raise ValueError(f"kind {about['kind']!r}")
        if not len(about["words"]) == len(tensors["counts_W"]) == len(tensors["unit_WD"]):
            raise ValueError("as many words as vectors are needed")
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise EmbedderUnusable(str(folder), f"unreadable: {error!r}", _ALLOWED) from error
    return TrainedEmbedder(
        about["kind"], about["words"], tensors["counts_W"], tensors["unit_WD"], pieces
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
