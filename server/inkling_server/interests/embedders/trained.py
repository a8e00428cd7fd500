"""Word2Vec and FastText, trained on the corpus's own sentences.

    sentences ─► phrases joined ("new_york") ─► gensim ─► vectors ─► safetensors + JSON
                                                              ▲           │ a later refresh
                                                              └───────────┘

Word2Vec (Mikolov et al. 2013) learns the words that it saw often enough. FastText (Bojanowski et
al. 2017) also learns pieces of words, and so has vectors for unseen words that share pieces with
known ones. What is saved (`trained_files`) holds final vectors only: enough to embed, not to train
on.

It does not know where sentences come from. gensim, which is optional, is imported when it is needed
only: to train, and for FastText's hashes of pieces.

Shapes: W words, D dimensions, B buckets of pieces of words, P phrases.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.embedders.base import EmbedderUnusable, Float32, unit_rows
from inkling_server.interests.embedders.composition import COMPOSITION_VERSION, compose
from inkling_server.interests.embedders.joined_sentences import JoinedSentences

TrainedKind: TypeAlias = Literal["word2vec", "fasttext"]

# 210 MB at 100 dimensions, while it trains; gensim's 2,000,000 are 800 MB. A vocabulary of 30,000
# words has about 200,000 pieces: far fewer buckets would be shared by most.
_BUCKET_COUNT = 1 << 19
_SHORTEST_PIECE, _LONGEST_PIECE = 3, 6
_WORDS_TO_READ = 1_000_000
_FEWEST_EPOCHS, _MOST_EPOCHS = 5, 50
_ADVICE = "gensim, of the extra 'embedders': pip install 'inkling[embedders]'"


@dataclass(frozen=True, slots=True)
class Pieces:
    """What FastText knows of pieces of words (character n-grams).

    Attributes:
        shortest: letters.
        longest: letters.
        bucket_count: buckets that pieces are hashed into.
        bucket_ids_B: those that a word of the vocabulary has, ascending: the others hold what
            chance put there before training.
        buckets_BD: their vectors.
    """

    shortest: int
    longest: int
    bucket_count: int
    bucket_ids_B: NDArray[np.int64]
    buckets_BD: Float32


class TrainedEmbedder:
    """Vectors of words of the corpus. Made by `train` or `load_trained`.

    Args:
        kind: what trained it.
        words: the vocabulary; words of one phrase are joined by "_".
        counts_W: how often each was seen.
        unit_WD: float32, rows of length 1.
        pieces: FastText's; None for Word2Vec.
    """

    def __init__(
        self,
        kind: TrainedKind,
        words: Sequence[str],
        counts_W: NDArray[np.int64],
        unit_WD: Float32,
        pieces: Pieces | None,
    ) -> None:
        self.name = kind
        self.words = tuple(words)
        self.counts_W = counts_W
        self.unit_WD = unit_WD
        self.pieces = pieces
        self._places = {word: place for place, word in enumerate(self.words)}
        self._total = int(counts_W.sum())
        self._hash = None if pieces is None else _piece_hasher(pieces)
        self._fingerprint = self._sha256()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of words, counts and vectors: survives saving and loading."""
        return self._fingerprint

    @property
    def dimension(self) -> int:
        """D."""
        return int(self.unit_WD.shape[1])

    def embed(self, phrases: Sequence[str]) -> Float32:
        """See `Embedder.embed`. FastText guesses words that it has not seen."""
        guess = None if self.pieces is None else self._guess
        return compose(phrases, self._vector, self._share, self.dimension, guess=guess)

    def _vector(self, entry: str) -> Float32 | None:
        place = self._places.get(entry)
        return None if place is None else self.unit_WD[place]

    def _share(self, word: str) -> float:
        place = self._places.get(word.lower())
        return 0.0 if place is None else float(self.counts_W[place]) / self._total

    def _guess(self, word: str) -> Float32 | None:
        """The mean of the pieces that the corpus has; None: it has none of them."""
        assert self.pieces is not None
        assert self._hash is not None
        hashes = np.asarray(self._hash(word), np.int64)
        known = hashes[np.isin(hashes, self.pieces.bucket_ids_B)]
        if not len(known):
            return None
        rows = np.searchsorted(self.pieces.bucket_ids_B, known)
        mean_1D = self.pieces.buckets_BD[rows].mean(axis=0, keepdims=True)
        vector_D: Float32 = unit_rows(mean_1D)[0]
        return vector_D

    def _sha256(self) -> str:
        digest = hashlib.sha256(repr((COMPOSITION_VERSION, self.name, self.words)).encode())
        arrays: list[NDArray[Any]] = [self.counts_W, self.unit_WD]
        if self.pieces is not None:
            sizes = (self.pieces.shortest, self.pieces.longest, self.pieces.bucket_count)
            digest.update(repr(sizes).encode())
            arrays += [self.pieces.bucket_ids_B, self.pieces.buckets_BD]
        for values in arrays:
            digest.update(repr((values.dtype.str, values.shape)).encode())
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()


def train(
    kind: TrainedKind,
    sentences: Iterable[Sequence[str]],
    *,
    phrases: Collection[str] = (),
    dimension: int = 100,
    epochs: int | None = None,
    seed: int = 0,
    workers: int = 1,
    window: int = 5,
    min_count: int = 3,
) -> TrainedEmbedder:
    """Trains on a corpus: skip-grams with 5 negative samples.

    Args:
        kind: "word2vec" or "fasttext".
        sentences: words of each, spelt as phrases will be (lower case best). Read several times
            where it can be; a generator is kept in memory.
        phrases: words parted by spaces; each that occurs `min_count` times becomes one token, the
            longest first, with a vector of its own.
        dimension: D.
        epochs: passes over the corpus. None: 5, and more where the corpus is small, up to 50, so
            that a million words are read: with fewer, vectors stay near where chance put them.
        seed: of the start and of the samples.
        workers: threads; with more than one, two runs differ.
        window: words on each side that a word is learned from.
        min_count: rarer words get no vector of their own.

    Raises:
        EmbedderUnusable: gensim is not installed, or no word occurs `min_count` times.
    """
    try:
        from gensim.models import FastText, Word2Vec
    except ImportError as error:
        raise EmbedderUnusable(kind, "gensim is not installed", _ADVICE) from error
    joined = JoinedSentences(sentences, phrases, min_count=min_count)
    if not joined.has_words:
        problem = f"no word of the corpus occurs {min_count} times"
        raise EmbedderUnusable(kind, problem, "a larger corpus, or a smaller min_count")
    options: dict[str, Any] = {
        "sentences": joined,
        "vector_size": dimension,
        "epochs": epochs or _epochs_for(joined.token_count),
        "seed": seed,
        "workers": workers,
        "window": window,
        "min_count": min_count,
        "sg": 1,
        "negative": 5,
        # Python's own hash differs from process to process.
        "hashfxn": _stable_hash,
    }
    if kind == "word2vec":
        model = Word2Vec(**options)
    else:
        model = FastText(
            **options, bucket=_BUCKET_COUNT, min_n=_SHORTEST_PIECE, max_n=_LONGEST_PIECE
        )
    vectors = model.wv
    counts = [vectors.get_vecattr(word, "count") for word in vectors.index_to_key]
    pieces = None
    if kind == "fasttext":
        used = [np.asarray(ids, np.int64) for ids in vectors.buckets_word]
        bucket_ids_B = np.unique(np.concatenate(used))
        buckets_BD = np.asarray(vectors.vectors_ngrams[bucket_ids_B], np.float32)
        pieces = Pieces(_SHORTEST_PIECE, _LONGEST_PIECE, _BUCKET_COUNT, bucket_ids_B, buckets_BD)
    unit_WD = unit_rows(vectors.vectors)
    return TrainedEmbedder(kind, vectors.index_to_key, np.array(counts, np.int64), unit_WD, pieces)


def _epochs_for(token_count: int) -> int:
    enough = -(-_WORDS_TO_READ // max(token_count, 1))
    return min(max(enough, _FEWEST_EPOCHS), _MOST_EPOCHS)


def _stable_hash(text: str) -> int:
    return crc32(text.encode())


def _piece_hasher(pieces: Pieces) -> Callable[[str], list[int]]:
    try:
        from gensim.models.fasttext import ft_ngram_hashes
    except ImportError as error:
        raise EmbedderUnusable("fasttext", "gensim is not installed", _ADVICE) from error
    return lambda word: cast(
        list[int], ft_ngram_hashes(word, pieces.shortest, pieces.longest, pieces.bucket_count)
    )
