"""One ranking of a document's phrases out of several extractors', without supervision.

Reciprocal rank fusion (Cormack et al. 2009) makes scales comparable: each extractor adds 1 / (20
+ rank). What extractors see too little of weighs on top: early, frequent, longer phrases and
those that stand for themselves rather than within longer ones gain, by roots, so that no one of
these decides alone. The constants were chosen on half of the documents of four public sets and
are reported on the other half (benchmarks/bench_keyphrases.py).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from inkling_server.interests.phrases.candidates import Candidate, Key, ReadDocument
from inkling_server.interests.phrases.extractor import Extractor, ScoredPhrase, ranked
from inkling_server.interests.phrases.rake import Rake
from inkling_server.interests.phrases.statistical import Statistical
from inkling_server.interests.phrases.textrank import TextRank
from inkling_server.interests.phrases.tfidf import DocumentFrequencies, TfIdf
from inkling_server.interests.phrases.topicrank import TopicRank

_RANK_OFFSET = 20


def all_extractors(frequencies: DocumentFrequencies) -> tuple[Extractor, ...]:
    """One of each kind, with the settings that serve."""
    return (TfIdf(frequencies), Rake(), TextRank(), TopicRank(), Statistical())


@dataclass(frozen=True, slots=True)
class CombinedRanking:
    """A document's phrases in the fused order.

    Attributes:
        phrases: best first; ties in order of first occurrence.
        found_by: by key, the extractors that have the phrase among their own best.
    """

    phrases: list[ScoredPhrase]
    found_by: dict[Key, list[str]]


class Combination:
    """Fuses extractors; is one itself.

    Args:
        extractors: at least one.
        best: how many of an extractor's phrases count as found by it.
    """

    name = "combination"

    def __init__(self, extractors: Sequence[Extractor], *, best: int = 10) -> None:
        if not extractors:
            raise ValueError("a combination needs an extractor")
        self._extractors = tuple(extractors)
        self._best = best

    @property
    def extractor_names(self) -> tuple[str, ...]:
        """Names of what is fused."""
        return tuple(extractor.name for extractor in self._extractors)

    def rank(self, document: ReadDocument) -> list[ScoredPhrase]:
        """The document's phrases, best first; ties in order of first occurrence."""
        return self.combine(document).phrases

    def combine(self, document: ReadDocument) -> CombinedRanking:
        """Like `rank`, with who found what."""
        fused: dict[Key, float] = defaultdict(float)
        found_by: dict[Key, list[str]] = defaultdict(list)
        for extractor in self._extractors:
            for rank, phrase in enumerate(extractor.rank(document), 1):
                fused[phrase.key] += 1 / (_RANK_OFFSET + rank)
                if rank <= self._best:
                    found_by[phrase.key].append(extractor.name)
        scores = [fused.get(c.key, 0.0) * _weight(c) for c in document.whole]
        return CombinedRanking(ranked(document.whole, scores), dict(found_by))


def _weight(candidate: Candidate) -> float:
    """How much a phrase looks like a key phrase, whatever its words."""
    frequency = 1 + log(candidate.count)
    independence = candidate.whole_count / candidate.count
    # Most extractors weigh earliness themselves: less of it here.
    return float(
        candidate.earliness ** (1 / 3)
        * (frequency * independence) ** 0.5
        * len(candidate.key) ** 0.25
    )
