"""How likely a string is one English word, alone and after another word.

Known words: shares from `frequencies`; foreign ones count for less. Unknown words: a model of
characters (4-grams) learned from the known ones, so that "frauenkloster" beats "frau enk loster".
Pairs: counts in the packaged `bigrams.txt.gz` with absolute discounting, backed off to single
words. Words are lower case; what a hashtag is, `hashtags` knows. All values are natural logarithms.
"""

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from inkling_server.interests.text import frequencies
from inkling_server.interests.text.lexicons import lemmas, read_lines

_ALPHABET = 27  # the border of a word, a to z
_ORDER = 4
_ELONGATED = re.compile(r"([a-z])\1{2,}")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th|s|d|k|am|pm)")
# Model names and the like: ps2, g20, 1d, l4d, gr8; not season1.
_CODE = re.compile(r"[a-z]{1,2}\d{1,4}|\d{1,3}[a-z]{1,2}|[a-z]\d[a-z]\d?|[a-z]{1,2}\d[a-z]{1,2}")
_IMPOSSIBLE = -60.0
_YEAR_DIGITS = 4
_LONG = 6


@dataclass(frozen=True, slots=True)
class Weights:
    """Chosen by random search, then rounded: on the two development sets of gold hashtags and on
    CamelCase hashtags, with their case and without. See `benchmarks/bench_hashtags.py`.
    """

    word: float = -1.8  # each word: fewer words are likelier
    unknown: float = -5.0  # a word that no list has
    foreign: float = -6.6  # a word of another language
    rare: float = -2.0  # a known word below `rare_share`: often two words that were run together
    rare_letter: float = -1.5  # each letter beyond _LONG of such a word
    rare_share: float = 5e-7
    letter: float = -5.3  # one letter that is no word by itself
    elongated: float = -8.0
    number: float = -6.5
    digit: float = 1.4  # each digit up to four: years are common
    ordinal: float = -13.0
    code: float = -14.5
    code_character: float = -0.9
    discount: float = 0.65
    backoff: float = 1.2


class Followers(NamedTuple):
    """What may come after one word.

    Attributes:
        unseen: probability that is left for words never seen after it.
        log_unseen: its logarithm.
        seen: discounted probability of each word seen after it.
    """

    unseen: float
    log_unseen: float
    seen: dict[str, float]

    def score(self, word: str, alone: float) -> float:
        """Log-probability of `word` here; `alone` is the one that it has anywhere."""
        seen = self.seen.get(word)
        if seen is None:
            return alone + self.log_unseen
        return math.log(seen + self.unseen * math.exp(alone))


class WordModel:
    """Immutable after construction, apart from caches. Construction reads word lists: about 1 s."""

    def __init__(self, weights: Weights | None = None) -> None:
        self.weights = weights or Weights()
        self._english = frequencies.english()
        self._foreign = frequencies.foreign()
        self._lemmas = lemmas().nouns | lemmas().verbs
        self._characters = _character_model(list(self._english))
        self._rows = {line.split(" ", 1)[0]: line for line in read_lines("bigrams.txt.gz")}
        # Methods of one long-lived object: the caches live as long as it does.
        self.word = lru_cache(maxsize=1 << 17)(self._word)
        self.followers = lru_cache(maxsize=1 << 13)(self._read_followers)

    def knows(self, word: str, share: float) -> bool:
        """The word makes up at least this share of English text."""
        return self._english.get(word, 0.0) >= share

    def _word(self, word: str) -> float:
        weights = self.weights
        if word.isdigit():
            return weights.number + weights.digit * min(len(word), _YEAR_DIGITS)
        share = self._english.get(word, 0.0)
        if not word.isalpha():
            score = _IMPOSSIBLE
            if _ORDINAL.fullmatch(word):
                score = weights.ordinal
            elif _CODE.fullmatch(word):
                score = weights.code + weights.code_character * len(word)
            return max(score, math.log(share) if share else _IMPOSSIBLE)
        if not word.isascii():
            return weights.unknown - 3.0 * len(word)
        score = weights.unknown + self._spelled(word)
        if share:
            known = math.log(share)
            if share < weights.rare_share and word not in self._lemmas:
                known += weights.rare + weights.rare_letter * max(0, len(word) - _LONG)
            score = max(score, known)
        if len(word) == 1 and word not in "ai":
            score += weights.letter
        share = self._foreign.get(word, 0.0)
        if share:
            score = max(score, weights.foreign + math.log(share))
        if _ELONGATED.search(word):
            for letters in (r"\1", r"\1\1"):
                share = self._english.get(_ELONGATED.sub(letters, word), 0.0)
                if share:
                    score = max(score, weights.elongated + math.log(share))
        return score

    def _read_followers(self, first: str) -> Followers | None:
        line = self._rows.get(first)
        if line is None:
            return None
        _, total_text, kinds_text, *pairs = line.split(" ")
        discount = self.weights.discount
        spread = int(kinds_text) * self.weights.backoff
        total = int(total_text) + spread
        unseen = (spread + discount * int(kinds_text)) / total
        seconds, counts = pairs[::2], pairs[1::2]
        seen = {
            second: (int(count) - discount) / total
            for second, count in zip(seconds, counts, strict=True)
        }
        return Followers(unseen, math.log(unseen), seen)

    def _spelled(self, word: str) -> float:
        table = self._characters
        context = 0
        total = 0.0
        for letter in word.encode():
            position = context * _ALPHABET + letter - 96
            total += table[position]
            context = position % _ALPHABET ** (_ORDER - 1)
        return total + table[context * _ALPHABET]


def _character_model(words: list[str]) -> list[float]:
    """Log-probability of each character after the three before it, flat; 0 is a word's border."""
    spelled = ("{" * (_ORDER - 1)).join(word for word in words if word.isalpha())
    codes = np.frombuffer((spelled + "{").encode(), np.uint8).astype(np.int64) - 96
    codes = np.concatenate([np.zeros(_ORDER - 1, np.int64), codes % _ALPHABET])
    # Inside the padding nothing is predicted.
    real = (codes[_ORDER - 1 :] != 0) | (codes[_ORDER - 2 : -1] != 0)
    probabilities = np.full(_ALPHABET, 1 / _ALPHABET)
    for order in range(1, _ORDER + 1):
        grams = np.zeros(len(codes) - _ORDER + 1, np.int64)
        for back in range(order - 1, -1, -1):
            grams = grams * _ALPHABET + codes[_ORDER - 1 - back : len(codes) - back]
        counts_XA = np.bincount(grams[real], minlength=_ALPHABET**order).reshape(-1, _ALPHABET)
        totals_X1 = counts_XA.sum(axis=1, keepdims=True)
        kinds_X1 = (counts_XA > 0).sum(axis=1, keepdims=True)
        # Witten-Bell, five-fold: contexts repeat the same few words.
        shorter_XA = probabilities.reshape(-1, _ALPHABET)
        fallback_XA = np.tile(shorter_XA, (len(counts_XA) // len(shorter_XA), 1))
        spread_X1 = np.maximum(5 * kinds_X1, 1)
        probabilities = (counts_XA + spread_X1 * fallback_XA) / (totals_X1 + spread_X1)
    logs: list[float] = np.log(probabilities).ravel().tolist()
    return logs
