"""Reads the packaged word lists, once per process, when first needed.

Knows file formats only; what the words are for, `spelling` and `inflections` know.
"""

import gzip
from functools import cache
from importlib.resources import files
from typing import NamedTuple

_PACKAGE = "inkling_server.interests.text"


class Lemmas(NamedTuple):
    """Base forms of English.

    Attributes:
        nouns: single-word nouns.
        verbs: single-word verbs.
        kept: nouns in -ing or -ed that mean more than their verb ("wedding").
        noun_exceptions: irregular plural to singular.
        verb_exceptions: irregular form to base.
    """

    nouns: frozenset[str]
    verbs: frozenset[str]
    kept: frozenset[str]
    noun_exceptions: dict[str, str]
    verb_exceptions: dict[str, str]


def read_bytes(name: str) -> bytes:
    """One data file."""
    return (files(_PACKAGE) / "data" / name).read_bytes()


def read_lines(name: str) -> list[str]:
    """The lines of one data file, unpacked where its name ends in .gz; comments (#) left out."""
    data = read_bytes(name)
    text = (gzip.decompress(data) if name.endswith(".gz") else data).decode()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def read_words(name: str) -> frozenset[str]:
    """The words of one data file."""
    return frozenset(word for line in read_lines(name) for word in line.split())


@cache
def spellings() -> dict[str, str]:
    """British and other variants to the American headword."""
    pairs = (line.partition("\t") for line in read_lines("spellings.tsv.gz"))
    return {variant: head for variant, _, head in pairs}


@cache
def lemmas() -> Lemmas:
    """Nouns, verbs and their irregular forms."""
    flagged: dict[str, list[str]] = {flag: [] for flag in "nvk"}
    exceptions: dict[str, dict[str, str]] = {"N": {}, "V": {}}
    for line in read_lines("lemmas.tsv.gz"):
        word, flags, *base = line.split("\t")
        if base:
            exceptions[flags][word] = base[0]
        else:
            for flag in flags:
                flagged[flag].append(word)
    nouns, verbs, kept = (frozenset(flagged[flag]) for flag in "nvk")
    return Lemmas(nouns, verbs, kept, exceptions["N"], exceptions["V"])
