"""Finds interests by name: in a tag, or inside a sentence. Knows English plurals, and nothing
else.
"""

import re
from collections.abc import Sequence

from inkling_server.interests.graph import Interest

_LONGEST_PHRASE = 4  # words


class PhraseTable:
    """Finds interests by phrase or alias, singular or plural, alone or inside a sentence."""

    def __init__(self, interests: Sequence[Interest]) -> None:
        self._interests = tuple(interests)
        self._rows: dict[str, int] = {}
        for row, interest in enumerate(interests):
            for name in (*interest.aliases, interest.phrase):
                self._rows[fold(name)] = row
        for row, interest in enumerate(interests):
            self._rows[fold(interest.phrase)] = row

    def find(self, phrase: str) -> int | None:
        """The row of the interest called so, or None."""
        return self._rows.get(fold(phrase))

    def phrase(self, row: int) -> str:
        """What the interest of a row is called."""
        return self._interests[row].phrase

    def find_within(self, sentence: str) -> set[int]:
        """Rows of all interests that the sentence names; the longest name at a place wins."""
        words = fold(sentence).split()
        found: set[int] = set()
        start = 0
        while start < len(words):
            for length in range(min(_LONGEST_PHRASE, len(words) - start), 0, -1):
                row = self._rows.get(" ".join(words[start : start + length]))
                if row is not None:
                    found.add(row)
                    start += length - 1
                    break
            start += 1
        return found


def fold(phrase: str) -> str:
    """Lower case, words apart, each in the singular: equal for names that mean the same."""
    words = re.findall(r"[a-z0-9]+", phrase.casefold())
    return " ".join(_singular(word) for word in words)


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is", "mas")):
        return word[:-1]
    return word
