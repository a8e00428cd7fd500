"""Tells whether a text is in one of the wanted languages.

Short texts get the benefit of the doubt: a text is only set aside when it is long enough and the
evidence is strong. Text that is plainly English never reaches the model. The model is the package
`py3langid` (naive Bayes over byte n-grams, about a hundred languages), imported here only.
"""

import re
from collections.abc import Sequence
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from inkling_server.interests.text.frequencies import english
from inkling_server.interests.text.stop_words import STOP_WORDS

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_MAX_CHARACTERS = 1_000
_FEWEST_WORDS = 4
_FEWEST_LETTERS = 12
# Shares of words that are English function words, and that are common in English.
_ENOUGH_STOP_WORDS = 0.25
_ENOUGH_COMMON_WORDS = 0.8
_COMMON_SHARE = 3e-6
# The model must give the wanted languages less than this, and another one more than that.
_DOUBT = 0.15
_CONFIDENCE = 0.5
# Relatives that the model confuses with English on short texts.
_LIKE_ENGLISH = ("pcm", "sco", "jam")


class LanguageFilter:
    """Looks for languages that are not wanted.

    Args:
        languages: ISO 639-1 codes of the wanted ones.

    Raises:
        ValueError: no language, or one that the model does not know.
    """

    def __init__(self, languages: Sequence[str] = ("en",)) -> None:
        known = set(_model().labels)
        if not languages or not known.issuperset(languages):
            raise ValueError(f"languages must be some of {sorted(known)}")
        self._english = "en" in languages
        self._wanted = {*languages, *(_LIKE_ENGLISH if self._english else ())}

    def foreign(self, text: str) -> str | None:
        """The language of a text that is in none of the wanted ones; else None."""
        text = text[:_MAX_CHARACTERS]
        words = _WORD.findall(text)
        # Scripts without spaces: a few "words" are a whole sentence.
        if len(words) < _FEWEST_WORDS and (
            text.isascii() or sum(map(len, words)) < _FEWEST_LETTERS
        ):
            return None
        if self._english and words and _plainly_english(words):
            return None
        ranking = _model().rank(text)
        language, confidence = ranking[0]
        wanted = sum(share for name, share in ranking if name in self._wanted)
        if language in self._wanted or confidence < _CONFIDENCE or wanted > _DOUBT:
            return None
        return str(language)


@cache
def _model() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _plainly_english(words: Sequence[str]) -> bool:
    lower = [word.lower().replace("’", "'") for word in words]
    if sum(word in STOP_WORDS for word in lower) >= _ENOUGH_STOP_WORDS * len(words):
        return True
    shares = english()
    common = sum(shares.get(word.replace("'", ""), 0.0) >= _COMMON_SHARE for word in lower)
    return common >= _ENOUGH_COMMON_WORDS * len(words)
