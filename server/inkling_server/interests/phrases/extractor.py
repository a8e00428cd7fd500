"""The one interface of keyphrase extractors.

It knows neither documents' sources nor how any extractor scores.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from inkling_server.interests.phrases.candidates import Candidate, Key, ReadDocument


class ScoredPhrase(NamedTuple):
    """A phrase of one document.

    Attributes:
        key: its identity: normal forms of its words.
        text: what a person reads: the form seen most in the document.
        score: the higher the better, > 0; scales differ between extractors.
        candidate: where it stands in the document.
    """

    key: Key
    text: str
    score: float
    candidate: Candidate


class Extractor(Protocol):
    """Ranks the phrases of one document."""

    @property
    def name(self) -> str:
        """Lower case; goes into provenance."""

    def rank(self, document: ReadDocument) -> list[ScoredPhrase]:
        """The document's phrases, best first; ties in order of first occurrence."""


def ranked(candidates: Sequence[Candidate], scores: Sequence[float]) -> list[ScoredPhrase]:
    """Candidates with a score above zero, best first; ties keep their order."""
    order = sorted(range(len(candidates)), key=lambda i: -scores[i])
    return [
        ScoredPhrase(candidates[i].key, candidates[i].text, scores[i], candidates[i])
        for i in order
        if scores[i] > 0
    ]
