"""TF-IDF: phrases that are frequent here and rare elsewhere (Spärck Jones 1972), early ones first.

score = occurrences * (ln((1 + documents) / (1 + documents with it)) + 1), as scikit-learn smooths
it, times `Candidate.earliness`: KEA's two features (Witten et al. 1999). `DocumentFrequencies`
grows document by document, so that a refresh adds new ones to what is known.
"""

from collections import Counter
from collections.abc import ItemsView
from math import log

from inkling_server.interests.phrases.candidates import Key, ReadDocument
from inkling_server.interests.phrases.extractor import ScoredPhrase, ranked


class DocumentFrequencies:
    """In how many documents of a corpus each phrase occurs."""

    def __init__(self) -> None:
        self.document_count = 0
        self._counts: Counter[Key] = Counter()

    def add(self, document: ReadDocument) -> None:
        """Counts one more document."""
        self.document_count += 1
        self._counts.update(document.candidates.keys())

    def set(self, key: Key, count: int) -> None:
        """Takes over what an earlier run counted."""
        self._counts[key] = count

    def items(self) -> ItemsView[Key, int]:
        """Every phrase that is remembered, with its documents."""
        return self._counts.items()

    def prune(self, min_count: int) -> None:
        """Forgets phrases that fewer documents have, to bound memory."""
        self._counts = Counter(
            {k: count for k, count in self._counts.items() if count >= min_count}
        )

    def __getitem__(self, key: Key) -> int:
        return self._counts[key]

    def __len__(self) -> int:
        return len(self._counts)

    def inverse(self, key: Key) -> float:
        """Smoothed inverse document frequency, > 0."""
        return log((1 + self.document_count) / (1 + self._counts[key])) + 1


class TfIdf:
    """Ranks by TF-IDF against a corpus, whose frequencies are read when a document is ranked."""

    name = "tfidf"

    def __init__(self, frequencies: DocumentFrequencies) -> None:
        self._frequencies = frequencies

    def rank(self, document: ReadDocument) -> list[ScoredPhrase]:
        """The document's phrases, best first; ties in order of first occurrence."""
        inverse = self._frequencies.inverse
        scores = [c.count * inverse(c.key) * c.earliness for c in document.whole]
        return ranked(document.whole, scores)
