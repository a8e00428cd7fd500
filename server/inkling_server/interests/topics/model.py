"""What topic models share: bags of words in, topics out.

Shapes: D documents, V words of the vocabulary, T topics.

It knows neither how a model finds topics nor where documents come from; `topic_words` says which
words of a preprocessed document count.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.phrases.candidates import ReadDocument
from inkling_server.interests.phrases.weak_words import WEAK_NOUNS

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Float64 = NDArray[np.float64]
Words = Sequence[str]


def topic_words(document: ReadDocument) -> list[str]:
    """Normal forms of the words that can tell a topic, in order."""
    return [
        word.token.normal
        for word in document.words
        if word.is_content and len(word.token.normal) > 2 and word.token.normal not in WEAK_NOUNS
    ]


@dataclass(frozen=True, slots=True)
class Bags:
    """Documents as counts of words.

    Attributes:
        words: the vocabulary.
        counts_DV: sparse; a row without words stays a row.
    """

    words: tuple[str, ...]
    counts_DV: "csr_array"

    @classmethod
    def of(
        cls,
        documents: Iterable[Words],
        *,
        min_documents: int = 2,
        max_share: float = 0.5,
        max_words: int = 20_000,
    ) -> "Bags":
        """Counts words.

        Args:
            documents: words of each.
            min_documents: words that fewer documents have are left out.
            max_share: so are words that a larger share of documents has: they tell no topic.
            max_words: and all but the most frequent.

        Raises:
            ValueError: no word is left.
        """
        # Here: they take a second to import, and most refreshes fit no topics.
        from scipy.sparse import csr_array
        from sklearn.feature_extraction.text import CountVectorizer

        vectorizer = CountVectorizer(
            analyzer=list, min_df=min_documents, max_df=max_share, max_features=max_words
        )
        counts_DV = csr_array(vectorizer.fit_transform(documents))
        return cls(tuple(vectorizer.get_feature_names_out().tolist()), counts_DV)


@dataclass(frozen=True)
class Topics:
    """What a model found.

    Attributes:
        words: the vocabulary.
        words_TV: P(word | topic); rows sum to 1.
        documents_DT: P(topic | document); rows sum to 1, also for documents without a known word.
    """

    words: tuple[str, ...]
    words_TV: Float64
    documents_DT: Float64

    @property
    def count(self) -> int:
        """Number of topics."""
        return len(self.words_TV)

    def top_words(self, count: int = 10) -> list[list[str]]:
        """The likeliest words of each topic."""
        best_TN = np.argsort(-self.words_TV, axis=1, kind="stable")[:, :count]
        return [[self.words[i] for i in row] for row in best_TN.tolist()]

    def topic_of(self, words: Words) -> int | None:
        """The topic that a phrase most likely comes from; None: no word of it is known."""
        known = [self._places[word] for word in words if word in self._places]
        if not known:
            return None
        share_T = self.documents_DT.mean(axis=0)
        logs_T = np.log(share_T + 1e-12) + np.log(self.words_TV[:, known] + 1e-12).sum(axis=1)
        return int(logs_T.argmax())

    @cached_property
    def _places(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words)}


class TopicModel(Protocol):
    """Finds topics. The same bags and seed give the same topics."""

    @property
    def name(self) -> str:
        """Lower case."""

    def fit(self, bags: Bags) -> Topics:
        """Finds the topics of a corpus."""


def shares(values: NDArray[Any]) -> Float64:
    """Rows scaled to sum 1; rows of zeros become uniform."""
    values_RC = np.asarray(values, np.float64)
    sums_R1 = values_RC.sum(axis=1, keepdims=True)
    uniform = 1 / max(values_RC.shape[1], 1)
    even_RC = np.full_like(values_RC, uniform)
    return np.asarray(np.divide(values_RC, sums_R1, out=even_RC, where=sums_R1 > 0))
