"""What a refresh must remember of everything that was read before, so that the next adds to it.

    phrases ─ records, document frequencies      trends ── days
    items, people ─ who engaged with what        topics ── a sample of documents, the last model
    near duplicates ─ signatures                 feeds ─── watermark, keys of what is stored

It travels in the snapshot that it led to: a rollback rolls the watermark back as well, and what was
read after it is read again. Sizes are bounded, see the limits. People and items are known by keyed
hashes only (BLAKE2b, the key is drawn when the state is first made). Of those that were read from a
database, the database's key is kept too, so that what is erased there can be forgotten here: who
engaged with what, what an item is about, its words in the sample. Counts stay: they are of nobody.
Nothing here reads content or writes files: `mining` and `corpus_state_files` do.

A day is the number of days since 1970-01-01, UTC.
"""

import os
from array import array
from collections import Counter
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.feed import FileMark
from inkling_server.interests.graph import GraphSnapshot
from inkling_server.interests.phrases.candidates import Key
from inkling_server.interests.phrases.corpus import PhraseRecord, day_of
from inkling_server.interests.phrases.tfidf import DocumentFrequencies
from inkling_server.interests.text.near_duplicates import Signature
from inkling_server.interests.text.tokens import tokens
from inkling_server.interests.topics.model import Topics

Pairs = Iterable[tuple[int, int]]
MAX_ITEMS = 200_000
MAX_PEOPLE = 200_000
MAX_INTERESTS_OF_PERSON = 200
MAX_PENDING = 200_000
MAX_SAMPLE = 20_000
MAX_DAYS = 1_000


@dataclass(frozen=True, slots=True)
class TopicState:
    """The topic model in use.

    Attributes:
        model: name of the model that found them.
        topics: what it found; of documents only their mean is kept.
        document_count: documents that the corpus had when they were found.
    """

    model: str
    topics: Topics
    document_count: int


@dataclass(slots=True)
class StoredKeys:
    """What of the state was read from a database, and is still there unless it was erased.

    Attributes:
        people: hash of a person's id -> the database's key of them.
        items: hash of an item's id -> the database's key of it.
    """

    people: dict[int, int] = field(default_factory=dict)
    items: dict[int, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.people or self.items)

    def digest(self) -> str:
        """The same for the same people and items only."""
        pairs = [sorted(self.people.items()), sorted(self.items.items())]
        arrays = [np.array(known, np.uint64).tobytes() for known in pairs]
        return blake2b(b"/".join(arrays), digest_size=16).hexdigest()


@dataclass(slots=True)
class CorpusState:
    """What is known of a corpus; grows in place.

    Attributes:
        document_count: documents that were mined.
        records: the corpus's phrases.
        frequencies: for TF-IDF.
        signatures_MH: what near duplicates are told by.
        phrases_by_day: phrases of documents by day, of recent days.
        documents_by_day: documents by day: the clock that interests age by.
        items: hash of an item's id -> hashes of its phrases, as bytes of uint64; newest last.
        people: hash of a person's id -> hashes of phrases of what they engaged with, newest last.
        pending: hashes of person and item of engagements with items that were not read yet, newest
            last.
        sample: words of documents drawn evenly from all, for topics.
        sample_items: hash of the item that each of `sample` is of; 0: not known.
        sampled_from: documents that `sample` was drawn from.
        topics: None until some were found.
        changed_edge_count: edges that came or went since communities were last found.
        watermark: how far the feeds were read.
        stored: people and items above that were read from a database.
        salt: key of the hashes of people and items.
    """

    document_count: int = 0
    records: dict[Key, PhraseRecord] = field(default_factory=dict)
    frequencies: DocumentFrequencies = field(default_factory=DocumentFrequencies)
    signatures_MH: Signature = field(default_factory=lambda: np.empty((0, 64), np.uint32))
    phrases_by_day: dict[int, int] = field(default_factory=dict)
    documents_by_day: dict[int, int] = field(default_factory=dict)
    items: dict[int, bytes] = field(default_factory=dict)
    people: dict[int, "array[int]"] = field(default_factory=dict)
    pending: list[tuple[int, int]] = field(default_factory=list)
    sample: list[list[str]] = field(default_factory=list)
    sample_items: list[int] = field(default_factory=list)
    sampled_from: int = 0
    topics: TopicState | None = None
    changed_edge_count: int = 0
    watermark: dict[str, FileMark] = field(default_factory=dict)
    stored: StoredKeys = field(default_factory=StoredKeys)
    salt: bytes = field(default_factory=lambda: os.urandom(16))

    @classmethod
    def of_graph(cls, graph: GraphSnapshot) -> "CorpusState":
        """Begins with a graph whose corpus is not known: its interests and their counts.

        They count as named on the day on which the graph was made: older content that is read now
        does not age them.
        """
        state = cls(document_count=graph.document_count)
        state.frequencies.document_count = graph.document_count
        for interest in graph.interests:
            key = key_of(interest.phrase)
            if not key or interest.count <= 0:
                continue
            count = interest.count
            state.records[key] = PhraseRecord(
                key,
                score=float(count),
                count=count,
                document_count=count,
                whole_count=count,
                extractors=Counter(dict.fromkeys(interest.extractors, 1)),
                forms=Counter({interest.phrase: count}),
                first_seen=interest.first_seen,
                last_seen=interest.last_seen,
                last_day=day_of(graph.created_time),
            )
            state.frequencies.set(key, count)
        return state

    def item_hash(self, item_id: str) -> int:
        """What an item is remembered as."""
        return item_hash(item_id, self.salt)

    def person_hash(self, user_id: str) -> int:
        """What a person is remembered as."""
        return person_hash(user_id, self.salt)

    def note_document(self, day: int, phrase_count: int) -> None:
        """Counts one more document on its day."""
        self.document_count += 1
        self.documents_by_day[day] = self.documents_by_day.get(day, 0) + 1
        self.phrases_by_day[day] = self.phrases_by_day.get(day, 0) + phrase_count

    def note_item(self, item_hash: int, phrases: NDArray[np.uint64]) -> None:
        """Remembers the phrases of an item."""
        self.items[item_hash] = phrases.tobytes()
        while len(self.items) > MAX_ITEMS:
            del self.items[next(iter(self.items))]

    def note_engagement(self, person_hash: int, item_hash: int) -> bool:
        """Adds an item's phrases to a person's; False where the item is not known."""
        phrases = self.items.get(item_hash)
        if phrases is None:
            return False
        known = self.people.pop(person_hash, None) or array("Q")
        known.extend(set(np.frombuffer(phrases, np.uint64).tolist()).difference(known))
        self.people[person_hash] = known[-MAX_INTERESTS_OF_PERSON:]
        while len(self.people) > MAX_PEOPLE:
            del self.people[next(iter(self.people))]
        return True

    def note_stored(self, people: Pairs, items: Pairs) -> None:
        """Remembers which of its people and items are a database's, and no others.

        Args:
            people: hashes and keys of people that were read, the later of two counts.
            items: hashes and keys of items that were read.
        """
        kept = self.people.keys() | {person for person, _ in self.pending}
        self.stored.people = _kept(self.stored.people, people, kept)
        kept = self.items.keys() | {item for _, item in self.pending} | set(self.sample_items)
        self.stored.items = _kept(self.stored.items, items, kept)

    def forget(self, gone: StoredKeys) -> None:
        """Drops people and items that were erased, with all that is known of each of them."""
        people, items = gone.people.keys(), gone.items.keys()
        for person in people:
            self.people.pop(person, None)
            self.stored.people.pop(person, None)
        for item in items:
            self.items.pop(item, None)
            self.stored.items.pop(item, None)
        self.pending = [(p, i) for p, i in self.pending if p not in people and i not in items]
        pairs = zip(self.sample, self.sample_items, strict=True)
        # The next documents take their places, so the sample leans to them a little.
        kept = [(words, item) for words, item in pairs if item not in items]
        self.sample, self.sample_items = [w for w, _ in kept], [i for _, i in kept]

    def forget_old_days(self) -> None:
        """Drops the days that nothing asks for any more."""
        for days in (self.phrases_by_day, self.documents_by_day):
            for day in sorted(days)[:-MAX_DAYS]:
                del days[day]


def key_of(phrase: str) -> Key:
    """A phrase's identity, as documents that name it give it; () where it holds no word."""
    return tuple(token.normal for token in tokens(phrase) if token.is_word)


@lru_cache(maxsize=1 << 18)
def phrase_hash(key: Key) -> int:
    """What a phrase is remembered as in items and people."""
    return int.from_bytes(blake2b(" ".join(key).encode(), digest_size=8).digest(), "little")


def item_hash(item_id: str, salt: bytes) -> int:
    """What an item is remembered as by the state of this salt."""
    return _keyed_hash(item_id, salt, b"item")


def person_hash(user_id: str, salt: bytes) -> int:
    """What a person is remembered as by the state of this salt."""
    return _keyed_hash(user_id, salt, b"person")


def _kept(known: dict[int, int], read: Pairs, kept: Set[int]) -> dict[int, int]:
    return {name: key for name, key in chain(known.items(), read) if name in kept}


def _keyed_hash(text: str, salt: bytes, person: bytes) -> int:
    digest = blake2b(text.encode(), digest_size=8, key=salt, person=person).digest()
    return int.from_bytes(digest, "little")
