"""One ranking of a whole corpus's phrases, each with where it came from.

    documents ─► DocumentFrequencies ─► Combination of each document ─► PhraseRecords ─► ranking

Documents are read in chunks: a chunk is counted before it is ranked, so that every document is
weighed against all that came before and its neighbours, in one pass and in bounded memory. The
records and frequencies of an earlier run go on growing: a refresh adds only what is new.

It knows neither stored snapshots nor which phrases become interests.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from inkling_server.interests.phrases.candidates import CandidateReader, Key, ReadDocument
from inkling_server.interests.phrases.combine import Combination
from inkling_server.interests.phrases.tfidf import DocumentFrequencies
from inkling_server.interests.text.document import Document

_CHUNK = 2_000


@dataclass(slots=True)
class PhraseRecord:
    """A phrase of the corpus and where it came from.

    Attributes:
        key: its identity: normal forms of its words.
        score: sum over documents of its share of the document's best fused score, so at most
            `document_count`.
        count: occurrences, those within longer phrases too.
        document_count: documents that have it.
        document_ids: the first few of them, to look at.
        whole_count: occurrences that are not part of a longer phrase.
        name_count: occurrences as a proper name.
        extractors: how often each extractor had it among a document's best.
        forms: how it is written, and how often.
        first_seen, last_seen: of the documents that say when they were made.
        topic: number of its topic; None until topics are found.
    """

    key: Key
    score: float = 0.0
    count: int = 0
    document_count: int = 0
    document_ids: list[str] = field(default_factory=list)
    whole_count: int = 0
    name_count: int = 0
    extractors: Counter[str] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    topic: int | None = None

    @property
    def text(self) -> str:
        """What a person reads: the form seen most, the first of these."""
        return max(self.forms, key=self.forms.__getitem__)

    @property
    def is_name(self) -> bool:
        """Mostly seen as a proper name."""
        return 2 * self.name_count > self.count

    @property
    def weight(self) -> float:
        """What the corpus is ranked by: less where it mostly stands in longer phrases."""
        return self.score * self.whole_count / self.count


class CorpusRanking:
    """Grows document by document; asks for the ranking at any time.

    Args:
        reader: finds candidates.
        combination: ranks one document; its TF-IDF reads `frequencies`.
        frequencies: of the corpus; grown here.
        max_document_ids: documents that a record names.
    """

    def __init__(
        self,
        reader: CandidateReader,
        combination: Combination,
        frequencies: DocumentFrequencies,
        *,
        max_document_ids: int = 8,
    ) -> None:
        self.records: dict[Key, PhraseRecord] = {}
        self._reader = reader
        self._combination = combination
        self._frequencies = frequencies
        self._max_document_ids = max_document_ids

    def add(self, documents: Iterable[Document]) -> Iterator[ReadDocument]:
        """Reads documents and yields each when it is in the records.

        Whoever wants topics or trends takes them from what is yielded; a document that is not asked
        for is not added.
        """
        stream = iter(documents)
        while chunk := [self._reader.read(document) for document in islice(stream, _CHUNK)]:
            for read in chunk:
                self._frequencies.add(read)
            for read in chunk:
                self._add(read)
                yield read

    def ranking(self, *, min_documents: int = 1) -> list[PhraseRecord]:
        """The corpus's phrases, best first; ties by key.

        Args:
            min_documents: phrases that fewer documents have are left out.
        """
        return sorted(
            (r for r in self.records.values() if r.document_count >= min_documents),
            key=lambda record: (-record.weight, record.key),
        )

    def _add(self, read: ReadDocument) -> None:
        combined = self._combination.combine(read)
        for phrase in combined.phrases:
            record = self.records.get(phrase.key)
            if record is None:
                record = self.records[phrase.key] = PhraseRecord(phrase.key)
            candidate = phrase.candidate
            record.score += phrase.score / combined.phrases[0].score
            record.count += candidate.count
            record.document_count += 1
            if len(record.document_ids) < self._max_document_ids:
                record.document_ids.append(read.id)
            record.whole_count += candidate.whole_count
            record.name_count += candidate.name_count
            record.extractors.update(combined.found_by.get(phrase.key, ()))
            record.forms.update(candidate.forms)
            _see(record, read.created_time)


def _see(record: PhraseRecord, time: datetime | None) -> None:
    if time is not None:
        record.first_seen = min(record.first_seen or time, time)
        record.last_seen = max(record.last_seen or time, time)
