"""A statistical extractor after the YAKE paper, written from its formulas (Campos et al. 2020).

A word matters when it is often capitalised, stands early, is frequent, keeps the same neighbours
and is spread over sentences; no corpus is needed. The paper's score of a word (lower is better):

    relatedness * position / (casing + frequency / relatedness + spread / relatedness)

and of a phrase: the product of its words' scores / (occurrences * (1 + their sum)). Ours differs
in what it ranks (noun phrases), in relatedness (1 + share of distinct neighbours * relative
frequency, in which neighbours across punctuation do not count), and gives occurrences the power
1.5; the score is turned over so that higher is better.
"""

from collections import Counter, defaultdict
from math import log, prod
from statistics import fmean, median, pstdev

from inkling_server.interests.phrases.candidates import ReadDocument, Word
from inkling_server.interests.phrases.extractor import ScoredPhrase, ranked

_COUNT_POWER = 1.5


class Statistical:
    """Ranks by statistics of the document's own words."""

    name = "statistical"

    def rank(self, document: ReadDocument) -> list[ScoredPhrase]:
        """The document's phrases, best first; ties in order of first occurrence."""
        word_scores = _word_scores(document.words)
        scores = []
        for candidate in document.whole:
            own = [word_scores[word] for word in candidate.key]
            scores.append(candidate.count**_COUNT_POWER * (1 + sum(own)) / prod(own))
        return ranked(document.whole, scores)


def _word_scores(words: tuple[Word, ...]) -> dict[str, float]:
    """Score of each normal form, > 0: lower is better."""
    frequencies: Counter[str] = Counter()
    acronyms: Counter[str] = Counter()
    capitals: Counter[str] = Counter()
    sentences: dict[str, list[int]] = defaultdict(list)
    before: dict[str, Counter[str]] = defaultdict(Counter)
    after: dict[str, Counter[str]] = defaultdict(Counter)
    content: set[str] = set()
    last: Word | None = None
    for word in words:
        normal, text = word.token.normal, word.token.text
        frequencies[normal] += 1
        if not word.token.is_stop:
            content.add(normal)
        if len(text) > 1 and text.isupper():
            acronyms[normal] += 1
        elif text[0].isupper() and last is not None and last.sentence == word.sentence:
            capitals[normal] += 1
        if not sentences[normal] or sentences[normal][-1] != word.sentence:
            sentences[normal].append(word.sentence)
        if last is not None and last.piece == word.piece:
            before[normal][last.token.normal] += 1
            after[last.token.normal][normal] += 1
        last = word
    if not content:
        return {}
    typical = fmean(frequencies[w] for w in content) + pstdev(frequencies[w] for w in content)
    highest, sentence_count = max(frequencies.values()), words[-1].sentence + 1
    scores = {}
    for normal in content:
        count = frequencies[normal]
        casing = max(acronyms[normal], capitals[normal]) / (1 + log(count))
        position = log(log(3 + median(sentences[normal])))
        neighbours = _distinct(before[normal]) + _distinct(after[normal])
        relatedness = 1 + neighbours * count / highest
        spread = len(sentences[normal]) / sentence_count
        scores[normal] = (
            relatedness * position / (casing + (count / typical + spread) / relatedness)
        )
    return scores


def _distinct(neighbours: Counter[str]) -> float:
    """Share of distinct words among the neighbours on one side."""
    total = neighbours.total()
    return len(neighbours) / total if total else 0.0
