"""Biterm topic model for short texts (Yan, Guo, Lan and Cheng 2013).

A tweet has too few words to tell its topic; the corpus's pairs of words that stand together have
enough: P(pair) = sum over topics of P(topic) P(word | topic) P(other | topic). The paper samples;
ours maximises the posterior by expectation-maximisation, which is a few matrix products an
iteration. So that words that stand everywhere ("love", "instagood") do not lead every topic, each
word of a pair comes from the whole corpus instead with a fixed probability (Zhai, Velivelli and Yu
2004): a topic keeps what it has more of than that explains.

Shapes: B distinct pairs, T topics, V words, D documents.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.topics.model import Bags, Float64, Topics, shares

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Pairs whose topics are held at a time: bounds memory at 50 bytes * this * topics.
_CHUNK = 1 << 14


@dataclass(frozen=True, slots=True)
class Biterm:
    """Biterm topic model.

    Attributes:
        topic_count: topics.
        iterations: at most.
        word_prior: pseudo-count of each word in each topic.
        topic_prior: pseudo-count of pairs in each topic.
        background: probability, in [0, 1), that a word is the whole corpus's and not its topic's:
            the higher, the more topics differ and the fewer words each has for itself.
        max_words: of one document that form pairs, by TF-IDF: a long text would have the square of
            its length.
        seed: of the start.
    """

    topic_count: int
    iterations: int = 60
    word_prior: float = 0.01
    topic_prior: float = 1.0
    background: float = 0.5
    max_words: int = 40
    seed: int = 0
    name = "biterm"

    def fit(self, bags: Bags) -> Topics:
        """Finds the topics of a corpus."""
        present_DV = _present(bags.counts_DV, self.max_words)
        left_B, right_B, counts_B = _pairs(present_DV)
        word_count = len(bags.words)
        rng = np.random.default_rng(self.seed)
        overall_V = np.bincount(left_B, counts_B, word_count)
        overall_V += np.bincount(right_B, counts_B, word_count)
        overall_V = shares(overall_V[None, :])[0]
        background_V = self.background * overall_V
        # Half random, half what the corpus has: topics start different and near the data.
        start_TV = rng.dirichlet(np.ones(word_count), self.topic_count) + overall_V
        words_TV, topics_T = shares(start_TV), np.full(self.topic_count, 1 / self.topic_count)
        last_likelihood = -np.inf
        for _ in range(self.iterations):
            own_TV = (1 - self.background) * words_TV
            sums_TV, sums_T, likelihood = _step(
                own_TV, background_V, topics_T, left_B, right_B, counts_B
            )
            words_TV = shares(sums_TV + self.word_prior)
            topics_T = shares((sums_T + self.topic_prior)[None, :])[0]
            if likelihood - last_likelihood < 1e-5 * abs(likelihood):
                break
            last_likelihood = likelihood
        either_TV = (1 - self.background) * words_TV + background_V
        return Topics(bags.words, words_TV, _documents(bags.counts_DV, either_TV, topics_T))


def _present(counts_DV: "csr_array", max_words: int) -> "csr_array":
    """1 where a document has a word; of a long document, the words of highest TF-IDF only."""
    # Late: a gateway imports this module and never calls it; only refreshes do.
    from scipy.sparse import csr_array

    present_DV = csr_array(counts_DV, dtype=np.float64, copy=True)
    present_DV.data[:] = 1
    lengths_D = np.diff(present_DV.indptr)
    if lengths_D.size and lengths_D.max() > max_words:
        documents_V = np.asarray(present_DV.sum(axis=0)).ravel()
        inverse_V = np.log((1 + len(lengths_D)) / (1 + documents_V)) + 1
        for row in np.flatnonzero(lengths_D > max_words):
            part = slice(present_DV.indptr[row], present_DV.indptr[row + 1])
            weights = counts_DV.data[part] * inverse_V[present_DV.indices[part]]
            present_DV.data[part][np.argsort(-weights, kind="stable")[max_words:]] = 0
        present_DV.eliminate_zeros()
    return present_DV


def _pairs(present_DV: "csr_array") -> tuple[NDArray[np.intp], NDArray[np.intp], Float64]:
    """Pairs of different words in one document, and in how many documents each stands."""
    from scipy.sparse import triu

    together = triu(present_DV.T @ present_DV, k=1).tocoo()
    return (
        together.row.astype(np.intp),
        together.col.astype(np.intp),
        np.asarray(together.data, np.float64),
    )


def _step(
    own_TV: Float64,
    background_V: Float64,
    topics_T: Float64,
    left_B: NDArray[np.intp],
    right_B: NDArray[np.intp],
    counts_B: Float64,
) -> tuple[Float64, Float64, float]:
    """One E-step: expected counts of words by topic, of topics, and the log-likelihood.

    Args:
        own_TV: P(word, and from the topic itself | topic).
        background_V: P(word, and from the whole corpus).
        topics_T: P(topic).
        left_B: first word of each pair.
        right_B: second word of each pair.
        counts_B: documents that have the pair.
    """
    from scipy.sparse import csr_array

    own_VT = np.ascontiguousarray(own_TV.T)
    topic_count, word_count = own_TV.shape
    sums_VT, sums_T, likelihood = np.zeros((word_count, topic_count)), np.zeros(topic_count), 0.0
    for start in range(0, len(counts_B), _CHUNK):
        part = slice(start, start + _CHUNK)
        ends = (left_B[part], right_B[part])
        own_2BT = [own_VT[end_B] for end_B in ends]
        either_2BT = [
            own_BT + background_V[end_B, None] for own_BT, end_B in zip(own_2BT, ends, strict=True)
        ]
        joint_BT = either_2BT[0] * either_2BT[1] * topics_T
        totals_B = np.maximum(joint_BT.sum(axis=1), 1e-300)
        likelihood += float(counts_B[part] @ np.log(totals_B))
        joint_BT *= (counts_B[part] / totals_B)[:, None]
        sums_T += joint_BT.sum(axis=0)
        size = len(joint_BT)
        for end_B, own_BT, either_BT in zip(ends, own_2BT, either_2BT, strict=True):
            picks_VB = csr_array((np.ones(size), (end_B, np.arange(size))), (word_count, size))
            sums_VT += picks_VB @ (joint_BT * own_BT / np.maximum(either_BT, 1e-300))
    return sums_VT.T, sums_T, likelihood


def _documents(counts_DV: "csr_array", either_TV: Float64, topics_T: Float64) -> Float64:
    """P(topic | document): the mean over its words of P(topic | word)."""
    given_word_VT = shares((either_TV * topics_T[:, None]).T)
    return shares(np.asarray(counts_DV @ given_word_VT))
