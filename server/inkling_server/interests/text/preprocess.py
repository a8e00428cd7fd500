"""From content items to documents: the source's cleaning, then what all sources share.

    item ─► source ─► language ─► sentences and words ─► document
                          └─ set aside                      └─ near duplicate: dropped

`preprocess` handles one item by itself; `Corpus` streams many and remembers what it has seen.
Nothing here extracts phrases, reads storage, or logs text.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache

from inkling_server.interests.content import ContentItem
from inkling_server.interests.sources import find_source
from inkling_server.interests.text.document import (
    Document,
    Field,
    Sentence,
    Skipped,
    SkipReason,
    Token,
)
from inkling_server.interests.text.elongations import shorten
from inkling_server.interests.text.hashtags import split_hashtag
from inkling_server.interests.text.language import LanguageFilter
from inkling_server.interests.text.near_duplicates import NearDuplicates, Signature
from inkling_server.interests.text.tokens import sentences, tokens

_ORDER = {name: rank for rank, name in enumerate(Field)}


@dataclass(frozen=True, slots=True)
class TextSettings:
    """How a corpus is read.

    Attributes:
        languages: ISO 639-1 codes; documents in others are set aside. Words are normalised by the
            rules of English whatever is wanted here.
        near_duplicate_similarity: share of common words and word pairs, in (0, 1], from which a
            text repeats an earlier one. Lower drops more, also texts that only look alike.
        near_duplicate_memory: the newest texts that are remembered, each about 330 bytes; repeats
            of older ones come through.
    """

    languages: tuple[str, ...] = ("en",)
    near_duplicate_similarity: float = 0.7
    near_duplicate_memory: int = 200_000


@dataclass(slots=True)
class CorpusCounts:
    """What became of the items so far: `read` is the sum of the others.

    Attributes:
        read: items taken in.
        kept: documents given out.
        empty: items without a word.
        near_duplicate: items that repeat an earlier one.
        other_language: items set aside, by language.
    """

    read: int = 0
    kept: int = 0
    empty: int = 0
    near_duplicate: int = 0
    other_language: Counter[str] = field(default_factory=Counter)


class Corpus:
    """Reads a stream of items; one thread at a time. Memory does not grow with the stream.

    Args:
        settings: how to read.
        signatures_MH: texts of an earlier run, from `signatures`, which are not to be repeated.
    """

    def __init__(
        self, settings: TextSettings | None = None, signatures_MH: Signature | None = None
    ) -> None:
        self.settings = settings or TextSettings()
        self.counts = CorpusCounts()
        self._near_duplicates = NearDuplicates(
            self.settings.near_duplicate_similarity, self.settings.near_duplicate_memory
        )
        if signatures_MH is not None:
            self._near_duplicates.restore(signatures_MH)

    def signatures(self) -> Signature:
        """What near duplicates are told by, to go on from in another process."""
        return self._near_duplicates.signatures()

    def documents(self, items: Iterable[ContentItem]) -> Iterator[Document]:
        """Yields what is worth reading, in order.

        Raises:
            UnknownSource: an item's source is not registered.
        """
        for item in items:
            result = self.add(item)
            if isinstance(result, Document):
                yield result

    def add(self, item: ContentItem) -> Document | Skipped:
        """Reads one item.

        Raises:
            UnknownSource: the item's source is not registered.
        """
        result = preprocess(item, self.settings)
        self.counts.read += 1
        if isinstance(result, Document):
            # Comments and places do not make a text new.
            words = [
                token.normal
                for sentence in result.sentences
                if sentence.field not in (Field.COMMENT, Field.LOCATION)
                for token in sentence.tokens
                if token.is_word
            ]
            if self._near_duplicates.seen(words):
                result = Skipped(item.id, SkipReason.NEAR_DUPLICATE)
        self._count(result)
        return result

    def _count(self, result: Document | Skipped) -> None:
        if isinstance(result, Document):
            self.counts.kept += 1
        elif result.reason is SkipReason.EMPTY:
            self.counts.empty += 1
        elif result.reason is SkipReason.LANGUAGE:
            self.counts.other_language[result.language or "und"] += 1
        else:
            self.counts.near_duplicate += 1


def preprocess(item: ContentItem, settings: TextSettings | None = None) -> Document | Skipped:
    """Reads one item; does not look for near duplicates.

    Raises:
        UnknownSource: the item's source is not registered.
    """
    text = find_source(item.source).read(item)
    # Hashtags are too short to tell a language by, and often in another one than the sentence.
    prose = " ".join(
        passage.text
        for passage in text.passages
        if passage.field not in (Field.COMMENT, Field.LOCATION)
    )
    language = _language_filter((settings or TextSettings()).languages).foreign(prose)
    if language is not None:
        return Skipped(item.id, SkipReason.LANGUAGE, language)
    found = [_hashtag_sentence(hashtag) for hashtag in text.hashtags]
    for name, passage in text.passages:
        found += sentences(passage, name)
    found = [sentence for sentence in found if any(map(_is_word, sentence.tokens))]
    if not found:
        return Skipped(item.id, SkipReason.EMPTY)
    found.sort(key=_rank)
    return Document(item.id, item.source, tuple(found), item.created_time)


@cache
def _language_filter(languages: tuple[str, ...]) -> LanguageFilter:
    return LanguageFilter(languages)


@lru_cache(maxsize=1 << 16)
def _hashtag_sentence(hashtag: str) -> Sentence:
    # A source may hand back several words: "get ready with me".
    words = hashtag.split() if " " in hashtag else map(shorten, split_hashtag(hashtag))
    text = " ".join(words)
    return Sentence(Field.HASHTAG, text, tokens(text))


def _is_word(token: Token) -> bool:
    return token.is_word


def _rank(sentence: Sentence) -> int:
    return _ORDER[sentence.field]
