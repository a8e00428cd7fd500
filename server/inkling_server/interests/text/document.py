"""What preprocessing makes of a content item: sentences of tokens, ready for phrase extraction.

Pure data. It does not know how text is split or cleaned: `tokens` and `preprocess` do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class TokenKind(StrEnum):
    """What a token is."""

    WORD = "word"  # has a letter
    NUMBER = "number"  # digits, no letter
    PUNCTUATION = "punctuation"


class Token(NamedTuple):
    """One token. Equal surface forms share one object.

    Attributes:
        text: as written (case kept), after the source's cleaning.
        normal: what inflections and spellings of one noun share: lower case, American spelling,
            singular ("Colours" -> "color"); the key of phrases.
        root: like `normal`, with verb endings taken off too ("running" -> "run"); for topics.
        kind: what it is.
        is_stop: a function word: never first or last in a phrase.
    """

    text: str
    normal: str
    root: str
    kind: TokenKind
    is_stop: bool

    @property
    def is_word(self) -> bool:
        """Has a letter."""
        return self.kind is TokenKind.WORD


class Field(StrEnum):
    """The part of an item that a sentence comes from."""

    TITLE = "title"
    CAPTION = "caption"
    HASHTAG = "hashtag"
    OVERLAY = "overlay"
    BODY = "body"
    TRANSCRIPT = "transcript"
    SPEECH = "speech"
    COMMENT = "comment"
    LOCATION = "location"


class Sentence(NamedTuple):
    """A sentence, or one hashtag's words. Phrases do not cross it.

    Attributes:
        field: where it comes from. A hashtag within a running sentence stays in that sentence, as
            its words; one of a list or of a trailing block is a sentence of its own.
        text: the cleaned text.
        tokens: of `text`, in order, with punctuation (phrases do not cross that either).
    """

    field: Field
    text: str
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """One preprocessed item.

    Attributes:
        id: the item's.
        source: the item's.
        sentences: at least one, each with a token: title first, then the order of `Field`.
        created_time: the item's.
    """

    id: str
    source: str
    sentences: tuple[Sentence, ...]
    created_time: datetime | None = None

    def tokens(self) -> Iterator[Token]:
        """Every token, in order."""
        for sentence in self.sentences:
            yield from sentence.tokens


class SkipReason(StrEnum):
    """Why an item gives no document."""

    EMPTY = "empty"  # no word is left
    LANGUAGE = "language"  # in none of the configured languages
    NEAR_DUPLICATE = "near_duplicate"  # nearly the words of an earlier item


@dataclass(frozen=True, slots=True)
class Skipped:
    """An item that was set aside.

    Attributes:
        id: the item's.
        reason: why.
        language: its language (ISO 639-1) where that is why.
    """

    id: str
    reason: SkipReason
    language: str | None = None
