"""One ranking of a whole corpus's phrases, each with where it came from.

    documents ─► DocumentFrequencies ─► Combination of each document ─► PhraseRecords ─► ranking

Documents are read in chunks: a chunk is counted before it is ranked, so that every document is
weighed against all that came before and its neighbours, in one pass. The records and frequencies of
an earlier run go on growing: a refresh adds only what is new. Memory is bounded by forgetting
phrases that few documents have and that were not seen lately, as in lossy counting (Manku and
Motwani 2002): what is frequent is never forgotten.

It knows neither stored snapshots nor which phrases become interests.

A day is the number of days since 1970-01-01, UTC.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from inkling_server.interests.phrases.candidates import CandidateReader, Key, ReadDocument
from inkling_server.interests.phrases.combine import Combination
from inkling_server.interests.phrases.tfidf import DocumentFrequencies
from inkling_server.interests.text.document import Document

_CHUNK = 2_000
# Days that a record tells apart: the recent window and the past that it is held against.
RECENT_DAYS = 70
# Pruning goes down to this share of what is allowed, so that it is rare.
_PRUNED_SHARE = 0.75


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
        days: documents by day, of the latest `RECENT_DAYS` before `last_day`.
        last_day: the latest day that it was seen on; a document that does not say when it was made
            counts on the day on which it was read.
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
    days: dict[int, int] = field(default_factory=dict)
    last_day: int = 0

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
        records: of an earlier run; grown here.
        read_day: today: documents without a time count on it, and none counts later.
        max_document_ids: documents that a record names.
        max_records: phrases that are remembered, each about a kilobyte; frequencies, four times as
            many, a fifth of that each.
    """

    def __init__(
        self,
        reader: CandidateReader,
        combination: Combination,
        frequencies: DocumentFrequencies,
        *,
        records: dict[Key, PhraseRecord] | None = None,
        read_day: int | None = None,
        max_document_ids: int = 8,
        max_records: int = 200_000,
    ) -> None:
        self.records: dict[Key, PhraseRecord] = {} if records is None else records
        self._reader = reader
        self._combination = combination
        self._frequencies = frequencies
        self._read_day = day_of(datetime.now(UTC)) if read_day is None else read_day
        self._max_document_ids = max_document_ids
        self._max_records = max_records

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
            self._prune()

    def ranking(self, *, min_documents: int = 1) -> list[PhraseRecord]:
        """The corpus's phrases, best first; ties by key.

        Args:
            min_documents: phrases that fewer documents have are left out.
        """
        return sorted(
            (r for r in self.records.values() if r.document_count >= min_documents),
            key=lambda record: (-record.weight, record.key),
        )

    def day_of(self, time: datetime | None) -> int:
        """The day that a document counts on: its own, and never a later one than today."""
        return self._read_day if time is None else min(day_of(time), self._read_day)

    def _prune(self) -> None:
        if len(self.records) > self._max_records:
            order = sorted(self.records.values(), key=lambda r: (r.document_count, r.last_day))
            surplus = len(self.records) - int(_PRUNED_SHARE * self._max_records)
            for record in order[:surplus]:
                del self.records[record.key]
        min_count = 2
        while len(self._frequencies) > 4 * self._max_records:
            self._frequencies.prune(min_count)
            min_count += 1

    def _add(self, read: ReadDocument) -> None:
        day = self.day_of(read.created_time)
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
            _see(record, read.created_time, day)


def day_of(time: datetime) -> int:
    """Days since 1970-01-01, UTC."""
    return int(time.timestamp() // 86_400)


def _see(record: PhraseRecord, time: datetime | None, day: int) -> None:
    record.days[day] = record.days.get(day, 0) + 1
    record.last_day = max(record.last_day, day)
    if len(record.days) > RECENT_DAYS or day < record.last_day - RECENT_DAYS:
        horizon = record.last_day - RECENT_DAYS
        record.days = {d: count for d, count in record.days.items() if d > horizon}
    if time is not None:
        record.first_seen = min(record.first_seen or time, time)
        record.last_seen = max(record.last_seen or time, time)
