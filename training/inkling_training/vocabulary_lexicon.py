"""Finds candidate interests in documents, however they are spelled there.

This module knows no corpus, no WordNet and no thresholds: it only says which document names what.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from inkling_training import vocabulary_names as names
from inkling_training.vocabulary_corpus import Document

# Words of a name that people write apart; shorter ones are mostly accidents.
_SPLIT_PART = re.compile("[a-z]{3,}")

Candidate = tuple[str, tuple[str, ...]]


@dataclass(slots=True)
class Entry:
    """An interest in the making.

    Attributes:
        phrase: what a person will read.
        editorial: other names that it was given.
        seen: forms that documents used, with their number; filled by who counts.
    """

    phrase: str
    editorial: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)


class Lexicon:
    """Finds interests in documents, by any of their forms.

    Args:
        tiers: candidates (phrase, aliases), the most trusted tier first: who comes first owns a
            name.
        british: American word -> British word.
    """

    def __init__(
        self, tiers: Sequence[Sequence[Candidate]], british: Mapping[str, str] | None = None
    ) -> None:
        self.entries: list[Entry] = []
        self._owner: dict[str, int] = {}  # by key
        self._forms: set[str] = set()
        for tier in tiers:
            rows = [self._claim_phrase(phrase) for phrase, _ in tier]
            for row, (_, aliases) in zip(rows, tier, strict=True):
                entry = self.entries[row]
                entry.editorial += [alias for alias in aliases if self._claim(row, alias)]
                for form in (entry.phrase, *entry.editorial):
                    for variant in (names.plural(form), _respelled(form, british or {})):
                        if variant is not None:
                            self._claim(row, variant)

    def row(self, name: str) -> int | None:
        """The entry that owns the name, or None."""
        return self._owner.get(names.key(name))

    def find(self, document: Document, unclear: names.UnclearWords) -> dict[int, set[str]]:
        """The entries that a document names, with the forms used.

        In a text the longest name at a place wins: a hot dog is no dog.
        """
        found: dict[int, set[str]] = defaultdict(set)
        for name in document.names:
            row = self.row(name)
            if row is not None and names.key(name) not in unclear.in_tags:
                found[row].add(names.key(name) if " " not in name else " ".join(names.words(name)))
        for text in document.texts:
            parts = names.words(text)
            start = 0
            while start < len(parts):
                step = 1
                for length in range(min(names.MAX_WORDS, len(parts) - start), 0, -1):
                    form = " ".join(parts[start : start + length])
                    row = self._spoken(form)
                    if row is not None and form not in unclear.in_text:
                        found[row].add(form)
                        step = length
                        break
                start += step
        return found

    def _spoken(self, form: str) -> int | None:
        """The entry that running text means: "bath tub" is a bathtub, but "her on" is no heron."""
        row = self._owner.get(form.replace(" ", ""))
        if row is None or form in self._forms or all(map(_SPLIT_PART.fullmatch, form.split())):
            return row
        return None

    def _claim_phrase(self, phrase: str) -> int:
        more = names.plural(phrase)
        row = self.row(phrase)
        if row is None and more is not None:
            row = self.row(more)  # "cloud", where "clouds" is an interest already
        if row is None:
            row = len(self.entries)
            self.entries.append(Entry(phrase))
        self._claim(row, phrase)
        if more is not None:
            self._claim(row, more)
        return row

    def _claim(self, row: int, name: str) -> bool:
        key = names.key(name)
        if self._owner.setdefault(key, row) != row:
            return False
        self._forms.add(" ".join(names.words(name)))
        return True


def _respelled(name: str, british: Mapping[str, str]) -> str | None:
    other = " ".join(british.get(word, word) for word in name.split(" "))
    return other if other != name else None
