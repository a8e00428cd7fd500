"""Asks a WordNet 3.0 database what a word names: "dog" an animal, "run" mostly no thing at all.

Reads the plain database files (index.*, data.noun, noun.exc, cntlist.rev), as Debian's package
wordnet-base and NLTK's corpora/wordnet both hold them; needed to build the vocabulary, never to use
it. WordNet 3.0 is (c) 2006 by Princeton University. This module knows no corpus and no picture.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

# The lexicographer files that hold nouns, by number, as lexnames(5WN) lists them from 03 on.
NOUN_KINDS = [
    "tops",
    "act",
    "animal",
    "artifact",
    "attribute",
    "body",
    "cognition",
    "communication",
    "event",
    "feeling",
    "food",
    "group",
    "location",
    "motive",
    "object",
    "person",
    "phenomenon",
    "plant",
    "possession",
    "process",
    "quantity",
    "relation",
    "shape",
    "state",
    "substance",
    "time",
]
_FIRST_NOUN_FILE = 3
_NOUN_ENDINGS = (
    ("ses", "s"),
    ("ves", "f"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
)
_MORE_ENDINGS = (("men", "man"), ("ies", "y"), ("s", ""))


@dataclass(frozen=True, slots=True)
class Noun:
    """What WordNet says of a word as a noun.

    Attributes:
        kind: one of NOUN_KINDS, of the most frequent sense.
        share: of the word's uses in tagged text, the part that are nouns, 0..1 (smoothed by
            senses).
        proper: the most frequent sense names one thing: Paris, Einstein.
    """

    kind: str
    share: float
    proper: bool


class WordNet:
    """Looks words up; words are lower case, with spaces.

    Args:
        folder: holds the database files.

    Raises:
        FileNotFoundError: a database file is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._senses = {
            pos: _index(folder / f"index.{pos}") for pos in ("noun", "verb", "adj", "adv")
        }
        self._uses = _uses(folder / "cntlist.rev")
        self._kinds, self._proper = _noun_synsets(folder / "data.noun")
        self._irregular = _exceptions(folder / "noun.exc")

    def noun(self, word: str) -> Noun | None:
        """What the word names, or None if it is no noun."""
        senses = self._senses["noun"].get(word)
        if senses is None:
            return None
        weights = {
            pos: self._uses[word, pos] + 0.1 * len(index.get(word, ()))
            for pos, index in self._senses.items()
        }
        first = senses[0]
        share = weights["noun"] / sum(weights.values())
        return Noun(self._kinds[first], share, first in self._proper)

    def singular(self, words: str) -> str | None:
        """The dictionary form of a noun ("dogs" -> "dog", "glasses" -> itself), or None."""
        head, space, last = words.rpartition(" ")
        nouns = self._senses["noun"]
        if words in nouns:
            return words
        for form in (*self._irregular.get(last, ()), *_regular_forms(last)):
            if head + space + form in nouns:
                return head + space + form
        return None

    def nouns(self) -> list[str]:
        """All nouns, compounds too."""
        return list(self._senses["noun"])

    def compounds(self) -> list[str]:
        """All nouns of two or three words."""
        return [word for word in self._senses["noun"] if 1 <= word.count(" ") <= 2]


def _regular_forms(word: str) -> list[str]:
    return [
        word[: -len(ending)] + instead
        for ending, instead in (*_NOUN_ENDINGS, *_MORE_ENDINGS)
        if word.endswith(ending) and len(word) > len(ending) + 1 and not word.endswith("ss")
    ]


def _index(path: Path) -> dict[str, tuple[int, ...]]:
    """Word -> offsets of its synsets, most frequent sense first."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith(" "):
            cells = line.split()
            found[_plain(cells[0])] = tuple(int(cell) for cell in cells[-int(cells[2]) :])
    return found


def _noun_synsets(path: Path) -> tuple[dict[int, str], frozenset[int]]:
    """Offset -> kind; and the offsets of synsets that are instances ("@i")."""
    kinds, proper = {}, set()
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith(" "):
            offset, number, _ = line.split(" ", 2)
            kinds[int(offset)] = NOUN_KINDS[int(number) - _FIRST_NOUN_FILE]
            if " @i " in line.partition(" | ")[0]:
                proper.add(int(offset))
    return kinds, frozenset(proper)


def _uses(path: Path) -> Counter[tuple[str, str]]:
    """(word, part of speech) -> how often it was used so in WordNet's tagged texts."""
    parts = {"1": "noun", "2": "verb", "3": "adj", "4": "adv", "5": "adj"}
    found: Counter[tuple[str, str]] = Counter()
    for line in path.read_text(encoding="utf-8").splitlines():
        sense, _, count = line.split()
        word, _, rest = sense.partition("%")
        found[_plain(word), parts[rest[0]]] += int(count)
    return found


def _exceptions(path: Path) -> dict[str, tuple[str, ...]]:
    rows = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return {_plain(form): tuple(_plain(word) for word in words) for form, *words in rows}


def _plain(word: str) -> str:
    return word.replace("_", " ").casefold()
