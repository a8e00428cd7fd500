"""Pretrained word vectors, in the formats of word2vec and GloVe, as an embedder.

`word_vector_files` reads them, `composition` makes a phrase's vector from its words' and weighs
them by the frequency of English words. It does not know where files come from, and loads nothing
from a network.

Shapes: W words, P phrases, D dimensions.
"""

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from inkling_server.interests.embedders.base import EmbedderUnusable, Float32, unit_rows
from inkling_server.interests.embedders.composition import COMPOSITION_VERSION, compose
from inkling_server.interests.embedders.word_vector_files import read_word_vectors
from inkling_server.interests.text.frequencies import english, plain

DEFAULT_MAX_WORDS = 1_000_000
"""1.2 GB of memory at 300 dimensions, and the words."""

_BLOCK_ROWS = 4096


class WordVectorEmbedder:
    """Vectors of a file.

    Args:
        path: word2vec text, binary (.bin) or GloVe text; plain or gzipped.
        max_words: the most frequent words that are kept; the rest of the file is left out.

    Raises:
        EmbedderUnusable: the file is missing, damaged, or in another format.
    """

    name = "vectors"

    def __init__(self, path: Path, *, max_words: int = DEFAULT_MAX_WORDS) -> None:
        if max_words < 1:
            raise ValueError(f"max_words {max_words}: at least 1")
        words = read_word_vectors(path, max_words=max_words)
        self._places = words.places
        self._unit_WD = words.vectors_WD
        # In place and in pieces: a second matrix would double the memory.
        for start in range(0, len(self._unit_WD), _BLOCK_ROWS):
            block_ND = self._unit_WD[start : start + _BLOCK_ROWS]
            block_ND[:] = unit_rows(block_ND)
        self._fingerprint = _fingerprint(path, max_words)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the file's content, and of what else goes into a phrase's vector."""
        return self._fingerprint

    @property
    def dimension(self) -> int:
        """D."""
        return int(self._unit_WD.shape[1])

    def embed(self, phrases: Sequence[str]) -> Float32:
        """See `Embedder.embed`."""
        return compose(phrases, self._vector, _share, self.dimension)

    def _vector(self, entry: str) -> Float32 | None:
        place = self._places.get(entry)
        return None if place is None else self._unit_WD[place]


def _share(word: str) -> float:
    return english().get(plain(word), 0.0)


def _fingerprint(path: Path, max_words: int) -> str:
    try:
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise EmbedderUnusable(str(path), f"unreadable: {error}", "a readable file") from error
    # The name tells formats apart; wordfreq is where shares come from.
    is_binary = path.name.removesuffix(".gz").endswith(".bin")
    parts = (COMPOSITION_VERSION, content, is_binary, max_words, version("wordfreq"))
    return hashlib.sha256(repr(parts).encode()).hexdigest()
