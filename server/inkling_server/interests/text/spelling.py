"""Merges spellings of one word into the American one ("colour", "COLOURS" -> "color", "colors").

Knows single words. Inflections are merged by `inflections`, after this.
"""

from inkling_server.interests.text.lexicons import spellings


def american(word: str) -> str:
    """The American spelling of a lower-case word; the word itself where none is known."""
    return spellings().get(word, word)
