"""Expands slang of short posts by an editorial table ("grwm" -> get ready with me).

The table, `data/slang.tsv`, is our own; only entries with one usual reading are in it. Knows words
without their sentence.
"""

import re
from functools import cache

from inkling_server.interests.text.lexicons import read_lines

_WORD = re.compile(
    r"(?<![\w@#/.-])(?:[Ww]/(?=\s)|[A-Za-z0-9]+(?:[/&'’][A-Za-z0-9]+)*(?![\w@/-]|\.\w))"
)


@cache
def slang() -> dict[str, str]:
    """Lower-case form to its expansion; an empty expansion: the form says nothing."""
    table = {}
    for line in read_lines("slang.tsv"):
        form, _, meaning = line.partition("\t")
        table[form] = meaning
    return table


def expand_slang(text: str) -> str:
    """Replaces every known form, in any case."""
    table = slang()

    def expansion(found: re.Match[str]) -> str:
        word = found[0]
        return table.get(word.lower().replace("’", "'"), word)

    return _WORD.sub(expansion, text)
