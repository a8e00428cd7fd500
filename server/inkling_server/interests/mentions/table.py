"""Finds interests by name: in a tag, inside a sentence, or in a run of words with their places.

Names are compared as plain words: lower case, without accents, punctuation and possessive 's. A
name that is written exactly so wins ("glasses" over "glass"); else both sides are taken to the
singular and to American spelling, by the server's own rules. It knows English inflections, and
nothing of parts of speech or of how far a text is to be believed: `pairs` does.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from inkling_server.interests.graph import Interest
from inkling_server.interests.text.inflections import singular
from inkling_server.interests.text.spelling import american
from inkling_server.interests.word_facts import unaccented

_LONGEST_PHRASE = 8  # words; longer names are not looked for
_SHORT = 80  # characters
_WORD = re.compile(r"[^\W_]+")
_POSSESSIVE = re.compile(r"['’]s\b")
# What a list of irregular Latin plurals takes for one: no cola is two colons.
_NO_PLURALS = frozenset({"cola", "crying", "momi", "roma"})


class Span(NamedTuple):
    """A name within a run of words.

    Attributes:
        start, end: its first word, and the one behind its last.
        row: the interest's.
    """

    start: int
    end: int
    row: int


class PhraseTable:
    """Finds interests by phrase or alias, singular or plural, alone or inside a sentence."""

    def __init__(self, interests: Sequence[Interest]) -> None:
        self._interests = tuple(interests)
        self._exact: dict[tuple[str, ...], int] = {}
        self._folded: dict[tuple[str, ...], int] = {}
        # Longest name by its first word, folded: most words of a text begin none.
        self._lengths: dict[str, int] = {}
        for row, interest in enumerate(interests):
            self._add(row, interest.aliases)
        for row, interest in enumerate(interests):
            self._add(row, (interest.phrase,))  # a phrase beats another's alias

    def __len__(self) -> int:
        return len(self._interests)

    def find(self, phrase: str) -> int | None:
        """The row of the interest called so, or None."""
        return self._row(tuple(words_of(phrase)))

    def phrase(self, row: int) -> str:
        """What the interest of a row is called."""
        return self._interests[row].phrase

    def match(self, words: Sequence[str]) -> list[Span]:
        """All names in a run of words; the longest at a place wins, and none overlap.

        Args:
            words: as `words_of` gives them.
        """
        found: list[Span] = []
        start = 0
        while start < len(words):
            first = words[start]
            most = max(
                self._lengths.get(_folded(first), 0), self._lengths.get(_rule_singular(first), 0)
            )
            for length in range(min(most, len(words) - start), 0, -1):
                row = self._row(tuple(words[start : start + length]))
                if row is not None:
                    found.append(Span(start, start + length, row))
                    start += length - 1
                    break
            start += 1
        return found

    def find_within(self, sentence: str) -> set[int]:
        """Rows of all interests that the sentence names; the longest name at a place wins."""
        return {span.row for span in self.match(words_of(sentence))}

    def _add(self, row: int, names: Iterable[str]) -> None:
        for name in names:
            words = tuple(words_of(name))
            if not 0 < len(words) <= _LONGEST_PHRASE:
                continue
            folded = tuple(map(_folded, words))
            self._exact[words] = self._folded[folded] = row
            self._lengths[folded[0]] = max(len(words), self._lengths.get(folded[0], 0))

    def _row(self, words: tuple[str, ...]) -> int | None:
        row = self._exact.get(words)
        if row is None:
            row = self._folded.get(tuple(map(_folded, words)))
        if row is None and words and words[-1].endswith("s"):
            # A plural that has a meaning of its own is still one: "glasses" where there is only
            # "glass". Never the other way round: "short" names no "shorts".
            row = self._folded.get((*map(_folded, words[:-1]), _rule_singular(words[-1])))
        return row


@lru_cache(maxsize=1 << 16)
def _words_of(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(_POSSESSIVE.sub("", unaccented(text.casefold()))))


def words_of(text: str) -> tuple[str, ...]:
    """The plain words of a name, a token or a sentence; () where there is none."""
    # The memory holds names and tokens, not articles.
    return _words_of(text) if len(text) <= _SHORT else _words_of.__wrapped__(text)


def fold(phrase: str) -> str:
    """Plain words, each in the singular: equal for names that mean the same."""
    return " ".join(map(_folded, words_of(phrase)))


@lru_cache(maxsize=1 << 16)
def _folded(word: str) -> str:
    return word if word in _NO_PLURALS else singular(american(word))


def _rule_singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is", "mas")):
        return word[:-1]
    return word
