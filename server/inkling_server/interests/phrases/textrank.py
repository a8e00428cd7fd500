"""TextRank: words that stand near important words are important (Mihalcea and Tarau 2004).

Nouns and adjectives are nodes; those less than `window` words apart in a sentence are joined. A
phrase's score: the PageRank of its words, summed, over the root of their number, times 1 +
ln(occurrences): the plain sum prefers long phrases, which is wrong for long texts and news. Early
phrases gain (`Candidate.earliness`), to the end of PositionRank (Florescu and Caragea 2017).
"""

from collections import Counter, deque
from math import log, sqrt

from inkling_server.interests.phrases.candidates import ReadDocument
from inkling_server.interests.phrases.extractor import ScoredPhrase, ranked
from inkling_server.interests.phrases.pagerank import pagerank


class TextRank:
    """Ranks by PageRank on the graph of neighbouring words.

    Args:
        window: two words are neighbours when fewer than this many words apart.
    """

    name = "textrank"

    def __init__(self, window: int = 3) -> None:
        self._window = window

    def rank(self, document: ReadDocument) -> list[ScoredPhrase]:
        """The document's phrases, best first; ties in order of first occurrence."""
        ranks = self._word_ranks(document)
        scores = [
            sum(ranks[word] for word in candidate.key)
            / sqrt(len(candidate.key))
            * (1 + log(candidate.count))
            * candidate.earliness
            for candidate in document.whole
        ]
        return ranked(document.whole, scores)

    def _word_ranks(self, document: ReadDocument) -> dict[str, float]:
        nodes: dict[str, int] = {}
        edges: Counter[tuple[int, int]] = Counter()
        near: deque[tuple[int, int, int]] = deque()  # place, sentence, node
        for i, word in enumerate(document.words):
            if not word.is_content:
                continue
            node = nodes.setdefault(word.token.normal, len(nodes))
            while near and (i - near[0][0] >= self._window or near[0][1] != word.sentence):
                near.popleft()
            for _, _, other in near:
                if other != node:
                    edges[min(node, other), max(node, other)] += 1
            near.append((i, word.sentence, node))
        ranks_N = pagerank(edges, len(nodes)).tolist()
        return {word: ranks_N[node] for word, node in nodes.items()}
