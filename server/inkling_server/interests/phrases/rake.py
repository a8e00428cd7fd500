"""RAKE: words that keep company with many others make key phrases (Rose et al. 2010).

A word's score is its degree (words that it shares phrases with, itself included) over its
frequency; a phrase's, the sum of its words', times 1 + ln(occurrences), since in a long text the
longest runs of words would win by length alone.
"""

from collections import Counter
from math import log

from inkling_server.interests.phrases.candidates import ReadDocument
from inkling_server.interests.phrases.extractor import ScoredPhrase, ranked


class Rake:
    """Ranks by degree over frequency of words."""

    name = "rake"

    def rank(self, document: ReadDocument) -> list[ScoredPhrase]:
        """The document's phrases, best first; ties in order of first occurrence."""
        degrees: Counter[str] = Counter()
        frequencies: Counter[str] = Counter()
        for run in _content_runs(document):
            frequencies.update(run)
            for word in run:
                degrees[word] += len(run)
        scores = [
            sum(degrees[word] / frequencies[word] for word in candidate.key)
            * (1 + log(candidate.count))
            for candidate in document.whole
        ]
        return ranked(document.whole, scores)


def _content_runs(document: ReadDocument) -> list[list[str]]:
    """Normal forms of each run of content words without anything between."""
    runs: list[list[str]] = []
    last_piece = -1
    for word in document.words:
        if not word.is_content:
            last_piece = -1
        elif word.piece == last_piece:
            runs[-1].append(word.token.normal)
        else:
            runs.append([word.token.normal])
            last_piece = word.piece
    return runs
