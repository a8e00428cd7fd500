"""What English nouns name: a dog is an animal, a hammer an artifact, accuracy an attribute.

From WordNet 3.0 (see `data/README.md`), built by `inkling_training.noun_kinds`. Knows single nouns
and compounds of two or three words, by their commonest sense. It does not know what a word means in
its sentence.
"""

import gzip
from functools import cache
from importlib.resources import files
from typing import NamedTuple

# Kinds whose nouns name what can be pointed at. Of the others ("act", "state", "cognition", ...)
# few words by themselves say what someone likes.
CONCRETE = frozenset(
    {
        "animal",
        "artifact",
        "body",
        "food",
        "location",
        "object",
        "person",
        "plant",
        "substance",
    }
)
# Kinds whose compounds are no interests either: "last night", "square mile".
MEASURES = frozenset({"motive", "quantity", "relation", "time"})


class NounKind(NamedTuple):
    """What a noun names.

    Attributes:
        kind: WordNet's lexicographer file: "animal", "food", ...
        is_proper: names one thing: Paris.
        noun_share: of the word's uses, those as a noun, in [0, 1].
    """

    kind: str
    is_proper: bool
    noun_share: float


@cache
def noun_kinds() -> dict[str, NounKind]:
    """Every known noun, lower case, words of a compound with spaces between."""
    data = (files("inkling_server.interests") / "data" / "noun_kinds.txt.gz").read_bytes()
    kinds: dict[str, NounKind] = {}
    for line in gzip.decompress(data).decode().splitlines():
        kind, is_proper, tenths, *words = line.split()
        found = NounKind(kind, is_proper == "1", int(tenths) / 10)
        kinds.update((word.replace("_", " "), found) for word in words)
    return kinds
