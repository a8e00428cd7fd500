"""Phrases of a document that may be key phrases, and where they stand.

    Document ─► tags ─► words ─► candidates: noun phrases, and the shorter ones within them

A candidate is a run of adjectives and nouns that ends in a noun, at most `max_words` long, within
one sentence; stop words, verbs and punctuation end it, and words that say little neither begin
nor make one (`weak_words`). A hashtag's words are taken at their author's word: they are one
phrase. Inflections that share `Token.normal` are one candidate; the form seen most is what a
person reads.

It scores nothing: extractors do, all from one `ReadDocument`, so that a document is tagged once.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import log
from typing import NamedTuple

from inkling_server.interests.phrases.pos import Tagger
from inkling_server.interests.phrases.weak_words import WEAK_MODIFIERS, WEAK_NOUNS
from inkling_server.interests.text.document import Document, Field, Sentence, Token

_NAMES = frozenset({"NNP", "NNPS"})
_NOUNS = _NAMES | {"NN", "NNS"}
_MODIFIERS = frozenset({"JJ", "JJR", "VBN", "VBG"})

Key = tuple[str, ...]
"""Normal forms of a phrase's words: its identity."""


class Word(NamedTuple):
    """One word of a document; punctuation and numbers are left out.

    Attributes:
        token: the word itself.
        tag: its part of speech.
        sentence: index of its sentence.
        piece: index of its piece: the run of words without punctuation between.
    """

    token: Token
    tag: str
    sentence: int
    piece: int

    @property
    def is_noun(self) -> bool:
        """May end a phrase."""
        return self.tag in _NOUNS

    @property
    def is_content(self) -> bool:
        """May be part of a phrase."""
        return not self.token.is_stop and (self.tag in _NOUNS or self.tag in _MODIFIERS)


@dataclass(slots=True)
class Candidate:
    """A phrase of one document.

    Attributes:
        key: its identity.
        starts: index of its first word at each occurrence, ascending; those within longer
            candidates too.
        whole_count: occurrences that are not part of a longer candidate.
        name_count: occurrences as a proper name.
        forms: how it is written, and how often.
    """

    key: Key
    starts: list[int] = field(default_factory=list)
    whole_count: int = 0
    name_count: int = 0
    forms: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """Occurrences."""
        return len(self.starts)

    @property
    def earliness(self) -> float:
        """How early it first stands, in (0, 1): 1 / ln(3 + words before it).

        People name early what a text is about; titles and first sentences above all (Witten et al.
        1999 and Florescu and Caragea 2017 weigh by position too).
        """
        return 1 / log(3 + self.starts[0])

    @property
    def text(self) -> str:
        """The form that is seen most; the first of these."""
        return max(self.forms, key=self.forms.__getitem__)


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A document as extractors see it.

    Attributes:
        id: the document's.
        created_time: the document's.
        words: in order.
        candidates: by key; every one that the document has, also within longer ones.
        whole: those that occur outside a longer one at least once, by first occurrence: what
            extractors rank.
    """

    id: str
    created_time: datetime | None
    words: tuple[Word, ...]
    candidates: dict[Key, Candidate]
    whole: tuple[Candidate, ...]


class CandidateReader:
    """Reads candidates off documents.

    Args:
        tagger: tells nouns from verbs.
        max_words: longest phrase.
        max_tokens: tokens of one document that are read, so that one long paper cannot stall a
            refresh; what comes later says little about what it is about.
        weak_names: a weak word may begin a name: "New York". For what a corpus is about; what one
            document is about is told better without.
    """

    def __init__(
        self,
        tagger: Tagger,
        *,
        max_words: int = 4,
        max_tokens: int = 10_000,
        weak_names: bool = False,
    ) -> None:
        self._tagger = tagger
        self._max_words = max_words
        self._max_tokens = max_tokens
        self._weak_names = weak_names

    def read(self, document: Document) -> ReadDocument:
        """Tags a document and finds its candidates."""
        words = tuple(self._words(document.sentences))
        candidates: dict[Key, Candidate] = {}
        for start, end in _runs(words, weak_names=self._weak_names):
            whole_start = max(start, end - self._max_words)
            for first in range(start, end):
                for last in range(first, min(first + self._max_words, end)):
                    if words[last].is_noun and _may_begin(
                        words[first : last + 1], weak_names=self._weak_names
                    ):
                        is_whole = last == end - 1 and first == whole_start
                        _note(candidates, words, first, last + 1, is_whole=is_whole)
        whole = sorted(
            (candidate for candidate in candidates.values() if candidate.whole_count),
            key=lambda candidate: candidate.starts[0],
        )
        return ReadDocument(document.id, document.created_time, words, candidates, tuple(whole))

    def _words(self, sentences: Sequence[Sentence]) -> Iterator[Word]:
        tokens_left = self._max_tokens
        piece = 0
        for i, sentence in enumerate(sentences):
            tokens = sentence.tokens[:tokens_left]
            tokens_left -= len(tokens)
            piece += 1
            tags = self._tagger.tag(tokens)
            if sentence.field is Field.HASHTAG:
                tags = _hashtag_tags(tokens, tags)
            for token, tag in zip(tokens, tags, strict=True):
                if token.is_word:
                    yield Word(token, tag, i, piece)
                else:
                    piece += 1
            if tokens_left <= 0:
                return


def _note(
    candidates: dict[Key, Candidate], words: Sequence[Word], start: int, end: int, *, is_whole: bool
) -> None:
    occurrence = words[start:end]
    key = tuple(word.token.normal for word in occurrence)
    candidate = candidates.get(key)
    if candidate is None:
        candidate = candidates[key] = Candidate(key)
    candidate.starts.append(start)
    candidate.forms[" ".join(word.token.text for word in occurrence)] += 1
    candidate.whole_count += is_whole
    candidate.name_count += all(word.tag in _NAMES for word in occurrence)


def _runs(words: Sequence[Word], *, weak_names: bool) -> Iterator[tuple[int, int]]:
    """Start and end of each longest noun phrase."""
    start: int | None = None
    for i, word in enumerate(words):
        if start is not None and (not word.is_content or word.piece != words[start].piece):
            yield from _trimmed(words, start, i, weak_names=weak_names)
            start = None
        if start is None and word.is_content:
            start = i
    if start is not None:
        yield from _trimmed(words, start, len(words), weak_names=weak_names)


def _trimmed(
    words: Sequence[Word], start: int, end: int, *, weak_names: bool
) -> Iterator[tuple[int, int]]:
    """The run without what a phrase cannot begin or end with; nothing where nothing is left."""
    while end > start and not words[end - 1].is_noun:
        end -= 1
    while end > start and not _may_begin(words[start:end], weak_names=weak_names):
        start += 1
    if end > start:
        yield start, end


def _may_begin(phrase: Sequence[Word], *, weak_names: bool) -> bool:
    """Whether a phrase may begin as this one does."""
    first = phrase[0]
    normal = first.token.normal
    if len(phrase) == 1:
        return len(normal) > 1 and normal not in WEAK_NOUNS
    if weak_names and first.tag in _NAMES and phrase[1].tag in _NAMES:
        return len(normal) > 1
    return len(normal) > 1 and normal not in WEAK_MODIFIERS


def _hashtag_tags(tokens: Sequence[Token], tags: list[str]) -> list[str]:
    """Tags that make one phrase of a hashtag: "travel" is no order, "stay wild" is a name."""
    named = ["NN" if tag.startswith("VB") else tag for tag in tags]
    if len(tokens) > 1:
        named = [tag if tag in _NOUNS or tag in _MODIFIERS else "NN" for tag in named[:-1]] + ["NN"]
    return named
