"""What embedders share: phrases in, rows of length 1 out.

    Embedder (protocol)
    ├── EncoderEmbedder                serving                the serving text encoder
    ├── WordVectorEmbedder             word_vectors           word2vec and GloVe files
    ├── TrainedEmbedder                trained                Word2Vec or FastText of the corpus
    └── SentenceTransformerEmbedder    sentence_transformer   BERT and the like

All pass `tests/server/interests/embedders/test_embedder_contract.py`. An embedder is synchronous:
it runs in the process of a refresh, never in the gateway. Nothing here knows the graph: whoever
keeps vectors keeps them under (fingerprint, phrase).

Shapes: P phrases, D dimensions, N rows.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


class EmbedderUnusable(Exception):
    """An embedder cannot be made, or breaks its promise: a file is missing or in a wrong format.

    Args:
        what: the file, folder or package.
        problem: what is wrong with it.
        allowed: what would be accepted, in words.
    """

    def __init__(self, what: str, problem: str, allowed: str) -> None:
        super().__init__(f"{what}: {problem}; allowed: {allowed}")
        self.what, self.problem, self.allowed = what, problem, allowed


class Embedder(Protocol):
    """Turns phrases into vectors. The same phrase gets the same vector, whatever it comes with."""

    @property
    def name(self) -> str:
        """Its kind, such as "word2vec"."""

    @property
    def fingerprint(self) -> str:
        """Hex. Changes whenever the vector of some phrase would: vectors may be kept under it."""

    @property
    def dimension(self) -> int:
        """D."""

    def embed(self, phrases: Sequence[str]) -> Float32:
        """Embeds phrases, in order.

        Args:
            phrases: any number, words parted by spaces.

        Returns:
            float32 [P, D], rows of length 1; zeros for a phrase that there is no vector for, such
            as an empty one. No phrases give [0, D].

        Raises:
            EmbedderUnusable: what computes the vectors gave something else.
        """


def unit_rows(rows: NDArray[Any]) -> Float32:
    """Rows scaled to length 1, float32 [N, D]; rows of zeros stay."""
    rows_ND = np.asarray(rows, np.float32)
    # In float64: squares of float32 under- and overflow early.
    norms_N1 = np.sqrt(np.einsum("nd,nd->n", rows_ND, rows_ND, dtype=np.float64))[:, None]
    scale_N1 = np.divide(1, norms_N1, out=np.zeros_like(norms_N1), where=norms_N1 > 0)
    unit_ND: Float32 = (rows_ND * scale_N1).astype(np.float32)
    return unit_ND


def embed_in_batches(
    phrases: Sequence[str],
    encode: Callable[[Sequence[str]], NDArray[Any]],
    *,
    what: str,
    dimension: int,
    batch_size: int,
) -> Float32:
    """Calls `encode` for all phrases that are not blank, and checks what it gives.

    Args:
        phrases: any number.
        encode: phrases, at most `batch_size` of them, to [P, D].
        what: its name, for errors.
        dimension: D.
        batch_size: >= 1.

    Returns:
        float32 [P, D], rows of length 1; zeros for blank phrases.

    Raises:
        EmbedderUnusable: a wrong shape, or a value that is not finite.
    """
    vectors_PD = np.zeros((len(phrases), dimension), np.float32)
    places = [place for place, phrase in enumerate(phrases) if phrase.strip()]
    for start in range(0, len(places), batch_size):
        batch = places[start : start + batch_size]
        rows_BD = np.asarray(encode([phrases[place] for place in batch]))
        expected = (len(batch), dimension)
        if rows_BD.shape != expected:
            raise EmbedderUnusable(what, f"gave shape {list(rows_BD.shape)}", f"{list(expected)}")
        if not np.isfinite(rows_BD).all():
            raise EmbedderUnusable(what, "gave values that are not finite", "finite numbers")
        vectors_PD[batch] = unit_rows(rows_BD)
    return vectors_PD
