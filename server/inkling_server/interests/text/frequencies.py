"""How often a word occurs, as a share of all words, in English and in other languages.

The counts come from the package `wordfreq`; this is its only importer. Keys are lower-case ASCII
letters and digits; apostrophes are dropped ("dont" is "don't"), accents too.
"""

import unicodedata
from functools import cache

# The foreign words that people put into English hashtags: widely used languages in Latin letters.
_FOREIGN = ("es", "fr", "de", "it", "pt", "nl", "id", "tr", "pl", "sv", "fil", "ms", "ro", "fi")
_SHORTEST_FOREIGN = 3


@cache
def english() -> dict[str, float]:
    """Shares of English words, down to about 1e-8."""
    # Late, here and below: a gateway that reads no text does without it.
    import wordfreq

    shares: dict[str, float] = {}
    for word, share in wordfreq.get_frequency_dict("en", "large").items():
        key = plain(word)
        if key.isalnum() and key.isascii():
            shares[key] = shares.get(key, 0.0) + share
    return shares


@cache
def foreign() -> dict[str, float]:
    """The greatest share that a word has in any of the other languages, from 1e-6 up."""
    import wordfreq

    shares: dict[str, float] = {}
    for language in _FOREIGN:
        for word, share in wordfreq.get_frequency_dict(language, "small").items():
            key = plain(word)
            if len(key) >= _SHORTEST_FOREIGN and key.isascii() and key.isalpha():
                shares[key] = max(share, shares.get(key, 0.0))
    return shares


def plain(word: str) -> str:
    """Lower case, without accents and apostrophes."""
    if word.isascii():
        return word.lower().replace("'", "")
    return word.translate(_FOLDED)


class _Folding(dict[int, str]):
    """Letters as `plain` wants them, each worked out when it is first seen."""

    def __missing__(self, code: int) -> str:
        folded = unicodedata.normalize("NFKD", chr(code).casefold())
        letters = (c for c in folded if not unicodedata.combining(c) and c not in "'’")
        self[code] = "".join(letters)
        return self[code]


_FOLDED = _Folding()
