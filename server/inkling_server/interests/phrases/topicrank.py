"""TopicRank: ranks topics, groups of phrases that share words (Bougouin, Boudin and Daille 2013).

Phrases are clustered by the words that they share; topics are joined by how near their phrases
stand, and ranked by PageRank. Where the paper takes the first phrase of each topic, ours scores
every phrase, by the root of its topic's rank times its own weight (occurrences, how early it
stands, a little by length), so that a topic with two good phrases gives both.
"""

from math import log

import numpy as np

from inkling_server.interests.phrases.candidates import Candidate, ReadDocument
from inkling_server.interests.phrases.extractor import ScoredPhrase, ranked
from inkling_server.interests.phrases.pagerank import Float64, dense_pagerank


class TopicRank:
    """Ranks by PageRank on the graph of topics.

    Args:
        min_overlap: share of words (Jaccard) from which phrases fall together, on average.
        max_phrases: of one document; clustering takes their square. A long document's early and
            frequent ones are kept.
        max_places: occurrences that count for nearness, from the document's start.
    """

    name = "topicrank"

    def __init__(
        self, *, min_overlap: float = 0.25, max_phrases: int = 200, max_places: int = 1500
    ) -> None:
        self._min_overlap = min_overlap
        self._max_phrases = max_phrases
        self._max_places = max_places

    def rank(self, document: ReadDocument) -> list[ScoredPhrase]:
        """The document's phrases, best first; ties in order of first occurrence."""
        phrases = document.whole
        if len(phrases) > self._max_phrases:
            kept = sorted(phrases, key=lambda c: -c.count * c.earliness)
            phrases = tuple(sorted(kept[: self._max_phrases], key=lambda c: c.starts[0]))
        if not phrases:
            return []
        topics_P = self._topics(phrases)
        ranks_T = dense_pagerank(self._nearness(phrases, topics_P))
        weights_P = np.array([_weight(phrase) for phrase in phrases])
        return ranked(phrases, (np.sqrt(ranks_T)[topics_P] * weights_P).tolist())

    def _topics(self, phrases: tuple[Candidate, ...]) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        """Number of each phrase's topic, [P]."""
        words: dict[str, int] = {}
        for phrase in phrases:
            for word in phrase.key:
                words.setdefault(word, len(words))
        # Most short posts: each phrase is a topic, and setting up the clustering would cost more
        # than all the rest.
        if len(phrases) == 1 or len(words) == sum(len(phrase.key) for phrase in phrases):
            return np.arange(len(phrases))
        has_PW = np.zeros((len(phrases), len(words)))
        for i, phrase in enumerate(phrases):
            has_PW[i, [words[word] for word in phrase.key]] = 1
        shared_PP = has_PW @ has_PW.T
        sizes_P = has_PW.sum(axis=1)
        overlap_PP = shared_PP / (sizes_P[:, None] + sizes_P[None, :] - shared_PP)
        # Late: a gateway imports this module and never calls it; only refreshes do.
        from scipy.cluster.hierarchy import fcluster, linkage

        distances = 1 - overlap_PP[np.triu_indices(len(phrases), 1)]
        tree = linkage(distances, "average")
        numbers_P = fcluster(tree, 1 - self._min_overlap, "distance") - 1
        return np.asarray(numbers_P, np.intp)

    def _nearness(
        self, phrases: tuple[Candidate, ...], topics_P: np.ndarray[tuple[int], np.dtype[np.intp]]
    ) -> Float64:
        """Sum of 1 / distance over the occurrences of every two topics, [T, T]."""
        places = sorted(
            (start, topic)
            for phrase, topic in zip(phrases, topics_P.tolist(), strict=True)
            for start in phrase.starts
        )[: self._max_places]
        starts_O, topics_O = np.array(places, dtype=np.intp).T
        distances_OO = np.abs(starts_O[:, None] - starts_O[None, :]).astype(np.float64)
        nearness_OO = np.divide(
            1, distances_OO, out=np.zeros_like(distances_OO), where=distances_OO > 0
        )
        member_OT = np.zeros((len(places), int(topics_P.max()) + 1))
        member_OT[np.arange(len(places)), topics_O] = 1
        nearness_TT = member_OT.T @ nearness_OO @ member_OT
        np.fill_diagonal(nearness_TT, 0)
        return np.asarray(nearness_TT)


def _weight(phrase: Candidate) -> float:
    return float(len(phrase.key) ** 0.25 * (1 + log(phrase.count)) * phrase.earliness)
