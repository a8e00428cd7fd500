"""A statistical extractor after the YAKE paper, written from its formulas (Campos et al. 2020).

A word matters when it is often capitalised, stands early, is frequent, keeps the same neighbours
and is spread over sentences; no corpus is needed. The paper's score of a word (lower is better):

    relatedness * position / (casing + frequency / relatedness + spread / relatedness)

and of a phrase: the product of its words' scores / (occurrences * (1 + their sum)). Ours differs
in what it ranks (noun phrases), in relatedness (1 + share of distinct neighbours * relative
frequency, in which neighbours across punctuation do not count), gives occurrences the power 1.5,
and looks at where a phrase first stands too (`Candidate.earliness`; the paper's position is that
of words); the score is turned over so that higher is better.
"""

from collections import Counter
from math import log, prod, sqrt

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
            weight = candidate.count**_COUNT_POWER * candidate.earliness
            scores.append(weight * (1 + sum(own)) / prod(own))
        return ranked(document.whole, scores)


def _word_scores(words: tuple[Word, ...]) -> dict[str, float]:
    """Score of each normal form, > 0: lower is better."""
    frequencies: Counter[str] = Counter()
    acronyms: Counter[str] = Counter()
    capitals: Counter[str] = Counter()
    sentences: dict[str, list[int]] = {}  # without repeats, ascending
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    content: set[str] = set()
    last_normal, last_sentence, last_piece = "", -1, -1
    for (text, normal, _, _, is_stop), _, sentence, piece in words:
        frequencies[normal] += 1
        seen_in = sentences.setdefault(normal, [])
        if not seen_in or seen_in[-1] != sentence:
            seen_in.append(sentence)
        if not is_stop:
            content.add(normal)
        if len(text) > 1 and text.isupper():
            acronyms[normal] += 1
        elif text[0].isupper() and last_sentence == sentence:
            capitals[normal] += 1
        if last_piece == piece:
            before.setdefault(normal, []).append(last_normal)
            after.setdefault(last_normal, []).append(normal)
        last_normal, last_sentence, last_piece = normal, sentence, piece
    if not content:
        return {}
    typical = _typical([frequencies[normal] for normal in content])
    highest, sentence_count = max(frequencies.values()), words[-1].sentence + 1
    scores = {}
    for normal in content:
        count, seen_in = frequencies[normal], sentences[normal]
        casing = max(acronyms[normal], capitals[normal]) / (1 + log(count))
        middle = len(seen_in) // 2
        median = (seen_in[middle] + seen_in[~middle]) / 2
        position = log(log(3 + median))
        neighbours = _distinct(before.get(normal)) + _distinct(after.get(normal))
        relatedness = 1 + neighbours * count / highest
        spread = len(seen_in) / sentence_count
        scores[normal] = (
            relatedness * position / (casing + (count / typical + spread) / relatedness)
        )
    return scores


def _typical(counts: list[int]) -> float:
    """Mean and standard deviation, summed; the sums are of integers, thus exact."""
    total = sum(counts)
    squares = sum(count * count for count in counts)
    return (total + sqrt(len(counts) * squares - total * total)) / len(counts)


def _distinct(neighbours: list[str] | None) -> float:
    """Share of distinct words among the neighbours on one side."""
    return len(set(neighbours)) / len(neighbours) if neighbours else 0.0
