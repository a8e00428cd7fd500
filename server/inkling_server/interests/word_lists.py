"""The word lists that choosing interests looks into; what each is for stands in its file."""

from functools import cache
from importlib.resources import files

from inkling_server.interests.phrases.weak_words import WEAK_MODIFIERS, WEAK_NOUNS


@cache
def _read(name: str) -> frozenset[str]:
    text = (files("inkling_server.interests") / "data" / name).read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return frozenset(word for line in lines for word in line.split())


def clear_words() -> frozenset[str]:
    """Abstract words that are interests by themselves."""
    return _read("clear_words.txt")


@cache
def vague_words() -> frozenset[str]:
    """Nouns that name nothing in particular."""
    return _read("vague_words.txt") | WEAK_NOUNS


@cache
def vague_modifiers() -> frozenset[str]:
    """Words that an interest does not begin with."""
    return _read("vague_modifiers.txt") | WEAK_MODIFIERS


def platform_words() -> frozenset[str]:
    """Words that no interest holds."""
    return _read("platform_words.txt")


def given_names() -> frozenset[str]:
    """Names that say nobody in particular."""
    return _read("given_names.txt")


def capital_words() -> frozenset[str]:
    """Words that are always written with a capital."""
    return _read("capital_words.txt")


def weak_heads() -> frozenset[str]:
    """Words that no interest ends in, unless it is a name or dictionaries know it."""
    return _read("weak_heads.txt")
