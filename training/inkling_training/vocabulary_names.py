"""Names of interests: how one is written, what else it is called, which must not be.

Two names are the same when their `key` is the same: "T-shirt", "t shirt" and "tshirt". This module
knows no corpus, no counts and no WordNet.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

MAX_WORDS = 4
_RESOURCES = files("inkling_training") / "resources"
_IRREGULAR = {
    "child": "children",
    "foot": "feet",
    "goose": "geese",
    "knife": "knives",
    "leaf": "leaves",
    "loaf": "loaves",
    "mouse": "mice",
    "person": "people",
    "scarf": "scarves",
    "shelf": "shelves",
    "tooth": "teeth",
    "wife": "wives",
    "wolf": "wolves",
}
# Plurals that are not more of the same: glasses are worn, a glass is drunk from; people are a
# subject.
_OWN_MEANING = frozenset(
    {"arms", "glasses", "people", "shorts", "woods", "olympics", "greens", "goods"}
)


def words(text: str) -> list[str]:
    """Lower-case words without accents and apostrophes: "Jack-o'-lantern" -> jack, o, lantern."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    return re.findall(r"[a-z0-9]+", re.sub(r"['’]", "", plain))


def key(name: str) -> str:
    """What makes two names one, as in a hashtag: "hot air balloon" -> "hotairballoon"."""
    return "".join(words(name))


def plural(name: str) -> str | None:
    """The plural of a name, or None where it has none of the same meaning."""
    head, space, last = name.rpartition(" ")
    if last in _IRREGULAR:
        more = _IRREGULAR[last]
    elif last.endswith(("woman", "man")) and not last.endswith(("human", "german", "roman")):
        more = last[:-2] + "en"
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        if last.endswith("s") and not last.endswith("ss"):
            return None  # jeans, sunglasses: plural already
        more = last + "es"
    elif re.search("[^aeiou]y$", last):
        more = last[:-1] + "ies"
    else:
        more = last + "s"
    return None if more in _OWN_MEANING else head + space + more


def _resource(name: str) -> str:
    return (_RESOURCES / name).read_text(encoding="utf-8")


def blocked_words() -> tuple[str, ...]:
    """Words and phrases that no interest may hold."""
    lines = _resource("blocked_words.txt").splitlines()
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))


class Blocklist:
    """Words that no name may hold.

    Args:
        lines: one word or phrase a line; "#" starts a comment.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        entries = [words(line) for line in lines if line.strip() and not line.startswith("#")]
        self._words = {entry[0] for entry in entries if len(entry) == 1}
        self._phrases = [" ".join(entry) for entry in entries if len(entry) > 1]

    @classmethod
    def default(cls) -> "Blocklist":
        """The list that ships with this package."""
        return cls(_resource("blocked_words.txt").splitlines())

    def blocks(self, name: str) -> bool:
        """Whether the name holds a blocked word, also when written as one word or in the plural."""
        parts = words(name)
        singulars = {part.removesuffix("s") for part in parts}
        text = f" {' '.join(parts)} "
        return (
            bool(self._words & ({*parts} | singulars))
            or key(name) in self._words
            or any(f" {phrase} " in text for phrase in self._phrases)
        )


def is_readable(name: str) -> bool:
    """Whether it reads as words: one to four of them, with letters, none overlong."""
    parts = words(name)
    return (
        1 <= len(parts) <= MAX_WORDS
        and any(char.isalpha() for char in name)
        and len(key(name)) >= 2
        and all(len(part) <= 20 for part in parts)
    )


def read_candidates(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Reads "phrase, phrase = alias / alias, ..."; a line that starts with "#" is a comment."""
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    for item in filter(None, (part.strip() for part in ",".join(lines).split(","))):
        phrase, _, aliases = item.partition("=")
        yield phrase.strip(), tuple(a.strip() for a in aliases.split("/") if a.strip())


def everyday_candidates() -> list[tuple[str, tuple[str, ...]]]:
    """The editorial list of candidates that ships with this package."""
    return list(
        read_candidates((_RESOURCES / "everyday_interests.txt").read_text(encoding="utf-8"))
    )


def rejected_words() -> frozenset[str]:
    """Dictionary words that corpora use in another sense than a picture would show, by key."""
    return frozenset(key(word) for word, _ in read_candidates(_resource("rejected_words.txt")))


@dataclass(frozen=True, slots=True)
class UnclearWords:
    """Names that say little of a picture in one place, and much in the other.

    Attributes:
        in_text: in a sentence mostly another part of speech or another sense: "saw", "match",
            "time".
        in_tags: hashtags that go under any picture: "love", "happy"; by key.
    """

    in_text: frozenset[str]
    in_tags: frozenset[str]

    @classmethod
    def default(cls) -> "UnclearWords":
        """The lists that ship with this package."""
        found: dict[str, set[str]] = {"text": set(), "tags": set()}
        for line in _resource("unclear_words.txt").splitlines():
            if not line.startswith("#"):
                where, _, rest = line.partition(":")
                found[where] |= {word.strip() for word in rest.split(",")}
        return cls(frozenset(found["text"]), frozenset(key(word) for word in found["tags"]))


def spellings(varcon: Path) -> dict[str, str]:
    """American word -> British word, from VarCon ("A: color / B: colour"); empty without it."""
    found: dict[str, str] = {}
    if not varcon.exists():
        return found
    for line in varcon.read_text(encoding="iso-8859-1").splitlines():
        american = british = ""
        for part in line.partition("|")[0].split(" / "):
            labels, _, word = part.partition(": ")
            if "A" in labels.split():
                american = american or word.strip()
            if "B" in labels.split():
                british = british or word.strip()
        if american.isalpha() and british.isalpha() and american != british:
            found.setdefault(american, british)
    return found
