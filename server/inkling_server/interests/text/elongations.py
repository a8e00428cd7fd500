"""Shortens stretched words: "soooo gooood" -> so good.

Knows single words and how common they are, not their sentence.
"""

import re
from functools import lru_cache
from itertools import product

from inkling_server.interests.text.frequencies import english

_STRETCHED_WORD = re.compile(r"\b[^\W\d_]*?([^\W\d_])\1\1[^\W\d_]*\b")
_RUN = re.compile(r"([^\W\d_])\1\1+", re.IGNORECASE)
_MAX_RUNS = 4


def shorten_elongations(text: str) -> str:
    """Replaces each word that has three equal letters in a row."""
    return _STRETCHED_WORD.sub(lambda found: shorten(found[0]), text)


@lru_cache(maxsize=1 << 14)
def shorten(word: str) -> str:
    """The most common word that `word` may stretch; else each run cut to two letters."""
    runs = _RUN.findall(word)
    # "www", "III" and "xxx" are meant.
    if not runs or len(word) <= len("www"):
        return word
    pieces = _RUN.split(word)
    fallback = _RUN.sub(r"\1\1", word)
    if len(runs) > _MAX_RUNS:
        return fallback
    shares = english()

    def build(lengths: tuple[int, ...]) -> str:
        letters = iter(lengths)
        return "".join(piece * next(letters) if i % 2 else piece for i, piece in enumerate(pieces))

    candidates = [build(lengths) for lengths in product((1, 2), repeat=len(runs))]
    best = max(candidates, key=lambda candidate: shares.get(candidate.lower(), 0.0))
    return best if best.lower() in shares else fallback
