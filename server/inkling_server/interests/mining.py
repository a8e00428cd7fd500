"""Reads what is new in the feed and adds it to the corpus's state.

    feeds ─► items ─► Corpus (clean, language, near duplicates) ─► CorpusRanking ─► records, days
      └───► engagements ───────────────────────────────────────► items ─► people

It does not know graphs: what the counts mean is decided later, in `build`.
"""

import random
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

import numpy as np

from inkling_server.interests.content import ContentItem
from inkling_server.interests.corpus_state import MAX_PENDING, MAX_SAMPLE, CorpusState, phrase_hash
from inkling_server.interests.feed import Engagement, InvalidLine
from inkling_server.interests.feeds import Reader, Stored
from inkling_server.interests.phrases.candidates import CandidateReader, ReadDocument
from inkling_server.interests.phrases.combine import Combination, all_extractors
from inkling_server.interests.phrases.corpus import CorpusRanking, day_of
from inkling_server.interests.phrases.pos import installed_tagger
from inkling_server.interests.text.document import Document
from inkling_server.interests.text.preprocess import Corpus, TextSettings
from inkling_server.interests.topics.model import topic_words

_PHRASES_OF_ITEM = 24
_SAMPLED_WORDS = 100
_MAX_BUFFERED_ENGAGEMENTS = 5_000_000
_TELL_EVERY = 100
_HIDE = "hide"


@dataclass(slots=True)
class MiningCounts:
    """What became of the feed's lines.

    Attributes:
        item_count: content items: the sum of the next four.
        kept_count: mined.
        near_duplicate_count: repeat an earlier text, or an earlier id.
        other_language_count: set aside.
        empty_count: without a word.
        invalid_count: lines that are neither item nor engagement.
        engagement_count: engagements, known items or not.
    """

    item_count: int = 0
    kept_count: int = 0
    near_duplicate_count: int = 0
    other_language_count: int = 0
    empty_count: int = 0
    invalid_count: int = 0
    engagement_count: int = 0


def mine(
    reader: Reader,
    state: CorpusState,
    *,
    text: TextSettings,
    read_time: datetime,
    max_records: int = 200_000,
    on_progress: Callable[[int, int], None],
) -> MiningCounts:
    """Adds everything that `reader` has to `state`, its watermark too.

    Args:
        reader: what is new.
        state: grown in place.
        text: how documents are read.
        read_time: now; items without a time count on this day, and none counts later.
        max_records: see `CorpusRanking`.
        on_progress: told bytes done and in all.
    """
    return _Miner(reader, state, text, read_time, max_records, on_progress).run()


class _Miner:
    def __init__(
        self,
        reader: Reader,
        state: CorpusState,
        text: TextSettings,
        read_time: datetime,
        max_records: int,
        on_progress: Callable[[int, int], None],
    ) -> None:
        self._reader = reader
        self._state = state
        self._read_time = read_time
        self._on_progress = on_progress
        self._corpus = Corpus(text, state.signatures_MH)
        combination = Combination(all_extractors(state.frequencies))
        self._ranking = CorpusRanking(
            CandidateReader(installed_tagger(), weak_names=True),
            combination,
            state.frequencies,
            records=state.records,
            read_day=day_of(read_time),
            max_document_ids=0,
            max_records=max_records,
        )
        self._counts = MiningCounts()
        self._authors: dict[str, int] = {}
        self._engaged = (array("Q"), array("Q"))  # person, item
        self._stored_people = (array("Q"), array("Q"))  # hash, key
        self._stored_items = (array("Q"), array("Q"))
        # Seeded by how much was read: the same feed gives the same sample.
        self._random = random.Random(state.sampled_from)  # noqa: S311 - no secret

    def run(self) -> MiningCounts:
        for read in self._ranking.add(self._documents()):
            self._note(read)
        self._settle_engagements()
        self._state.note_stored(
            zip(*self._stored_people, strict=True), zip(*self._stored_items, strict=True)
        )
        self._state.forget_old_days()
        self._state.signatures_MH = self._corpus.signatures()
        self._state.watermark = dict(self._reader.watermark)
        self._tell()
        return self._counts

    def _documents(self) -> Iterator[Document]:
        counts, state = self._counts, self._state
        for line_count, entry in enumerate(self._reader):
            if line_count % _TELL_EVERY == 0:
                self._tell()
            if isinstance(entry, Stored):
                self._note_keys(entry)
                entry = entry.entry
            if isinstance(entry, InvalidLine):
                counts.invalid_count += 1
            elif isinstance(entry, Engagement):
                self._engage(entry)
            else:
                counts.item_count += 1
                if state.item_hash(entry.id) in state.items or entry.id in self._authors:
                    counts.near_duplicate_count += 1
                    continue
                document = self._corpus.add(self._dated(entry))
                self._count_skips()
                if isinstance(document, Document):
                    self._authors[entry.id] = self._author(entry)
                    yield document

    def _engage(self, engagement: Engagement) -> None:
        self._counts.engagement_count += 1
        persons, items = self._engaged
        if self._is_kept(engagement):
            persons.append(self._state.person_hash(engagement.user_id))
            items.append(self._state.item_hash(engagement.content_id))

    def _note_keys(self, stored: Stored) -> None:
        """Notes whose and what a database's entry is; see `CorpusState.note_stored`."""
        entry, state = stored.entry, self._state
        if isinstance(entry, Engagement):
            if not self._is_kept(entry):
                return
            person: str | None = entry.user_id
        else:
            person = entry.author_id
            self._stored_items[0].append(state.item_hash(entry.id))
            self._stored_items[1].append(stored.item_key)
        if person:
            self._stored_people[0].append(state.person_hash(person))
            self._stored_people[1].append(stored.person_key)

    def _is_kept(self, engagement: Engagement) -> bool:
        return engagement.kind != _HIDE and len(self._engaged[0]) < _MAX_BUFFERED_ENGAGEMENTS

    def _dated(self, item: ContentItem) -> ContentItem:
        """Nothing was posted after now, whatever it says: it would be the latest for ever."""
        if item.created_time is None or item.created_time <= self._read_time:
            return item
        return replace(item, created_time=self._read_time)

    def _settle_engagements(self) -> None:
        """Adds engagements to people; keeps those whose item has not come yet."""
        state = self._state
        pairs = chain(state.pending, zip(*self._engaged, strict=True))
        waiting = deque(
            (pair for pair in pairs if not state.note_engagement(*pair)), maxlen=MAX_PENDING
        )
        state.pending = list(waiting)

    def _author(self, item: ContentItem) -> int:
        """Who posts something cares for it; 0: not known."""
        return self._state.person_hash(item.author_id) if item.author_id else 0

    def _count_skips(self) -> None:
        seen, counts = self._corpus.counts, self._counts
        counts.kept_count = seen.kept
        counts.empty_count = seen.empty
        counts.other_language_count = seen.other_language.total()
        counts.near_duplicate_count = (
            counts.item_count - seen.kept - seen.empty - counts.other_language_count
        )

    def _note(self, read: ReadDocument) -> None:
        state = self._state
        state.note_document(self._ranking.day_of(read.created_time), len(read.whole))
        item = state.item_hash(read.id)
        keys = sorted(read.candidates.values(), key=lambda c: c.starts[0])[:_PHRASES_OF_ITEM]
        state.note_item(item, np.array([phrase_hash(c.key) for c in keys], np.uint64))
        author = self._authors.pop(read.id)
        if author:
            state.note_engagement(author, item)
        self._sample(topic_words(read)[:_SAMPLED_WORDS], item)

    def _sample(self, words: list[str], item: int) -> None:
        """Reservoir sampling (Vitter 1985): each document is kept with the same probability."""
        state = self._state
        state.sampled_from += 1
        if len(state.sample) < MAX_SAMPLE:
            state.sample.append(words)
            state.sample_items.append(item)
        elif (place := self._random.randrange(state.sampled_from)) < MAX_SAMPLE:
            state.sample[place] = words
            state.sample_items[place] = item

    def _tell(self) -> None:
        self._on_progress(self._reader.done_bytes, self._reader.total_bytes)
