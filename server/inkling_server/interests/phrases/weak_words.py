"""Words that say little: English words that a key phrase does not begin with, or is not made of.

Lists of our own, for any domain. They are no function words (those end a phrase anywhere, see
`text.stop_words`): "large number" is no key phrase, "prime number" and "number theory" are.
"""

from pathlib import Path

_DATA = Path(__file__).resolve().parent / "data"


def _read_words(name: str) -> frozenset[str]:
    lines = (_DATA / name).read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


# Never first in a phrase.
WEAK_MODIFIERS = _read_words("weak_modifiers.txt")
# Never a phrase by themselves.
WEAK_NOUNS = WEAK_MODIFIERS | _read_words("weak_nouns.txt")
