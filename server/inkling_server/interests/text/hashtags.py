"""Splits hashtags: "#foodielife" -> foodie life, "#NYCmarathon2024" -> NYC marathon 2024.

A search over all splits for the likeliest words (see `word_model`), in which the author's upper-
case letters count as strong hints, not as rules ("iPhone", "WhatsApp", "thisIsIt"). The letters of
the hashtag are never changed. It does not know meaning or the rest of the text.
"""

import math
import re
from functools import cache, lru_cache
from itertools import pairwise

from inkling_server.interests.text.frequencies import plain
from inkling_server.interests.text.word_model import Followers, WordModel

_SEPARATOR = re.compile(r"[^\w]+|_+")
# Longer runs are no hashtag that a person typed: they stay whole.
_MAX_CHARACTERS = 80
_MAX_WORD = 24
_MAX_ACRONYM = 7
# Best ways to begin that the search keeps at each position.
_BEAM = 6
# A tag this common as one word is one word.
_COMMON_SHARE = 1e-6
# ... and as this common also in spite of upper case within it: iPhone, YouTube.
_NAME_SHARE = 3e-6
# Against the case of a tag that has inner upper-case letters:
_JOINED = -11.0  # a word goes on over an upper-case letter
_CUT = -4.5  # a word ends within a short run of one case
_CUT_LONG = -1.0  # ... within a run longer than _LONG_RUN: only some words were marked
_CUT_BEHIND = -2.5  # ... behind a run of upper case, as in "NSAplz"
_LONG_RUN = 10
_ACRONYM = -10.0
_ACRONYM_LETTER = -2.3

# A way to split the tag up to some position: its score, where its last word starts, the rank of the
# way that it goes on from there, and what may follow its last word.
_Way = tuple[float, int, int, Followers | None]


@lru_cache(maxsize=1 << 17)
def split_hashtag(hashtag: str) -> tuple[str, ...]:
    """The words of a hashtag, with or without '#', as their author wrote them."""
    words: list[str] = []
    for part in _SEPARATOR.split(hashtag):
        if part:
            words += _split(part, _model())
    return tuple(words)


@cache
def _model() -> WordModel:
    return WordModel()


def _split(tag: str, model: WordModel) -> list[str]:
    lower = _letters(tag)
    count = len(tag)
    turns = _case_turns(tag)
    if count > _MAX_CHARACTERS or count == 1:
        return [tag]
    if lower.isalpha() and model.knows(lower, _NAME_SHARE if any(turns) else _COMMON_SHARE):
        return [tag]
    cuts = _cut_costs(tag, turns)
    joins = [0] * (count + 1)
    for i in range(1, count + 1):
        joins[i] = joins[i - 1] + (i < count and turns[i])
    cased = any(turns) or tag.isupper()
    price = model.weights.word
    best: list[list[_Way]] = [[] for _ in range(count + 1)]
    best[0] = [(0.0, 0, 0, None)]
    for end in range(1, count + 1):
        if end < count and lower[end - 1].isdigit() and lower[end].isdigit():
            continue
        ways: list[_Way] = []
        for start in range(max(0, end - _MAX_WORD), end):
            befores = best[start]
            if not befores:
                continue
            word = lower[start:end]
            joined = joins[end - 1] - joins[start]
            # "NSA|plz" is as good as "NS|Aplz".
            if joined and turns[end - 1] and tag[end - 2].isupper():
                joined -= 1
            if joined and model.knows(word, _NAME_SHARE):
                joined = 0
            extra = price + cuts[start] + _JOINED * joined
            alone = model.word(word)
            # NFL: its letters say nothing, its case does.
            acronym = -math.inf
            if cased and 1 < end - start <= _MAX_ACRONYM and tag[start:end].isupper():
                acronym = _ACRONYM + _ACRONYM_LETTER * (end - start)
            score, rank = max(
                (way[0] + max(acronym, way[3].score(word, alone) if way[3] else alone), rank)
                for rank, way in enumerate(befores)
            )
            ways.append((score + extra, start, rank, None))
        ways.sort(key=_score, reverse=True)
        best[end] = [
            (score, start, rank, model.followers(lower[start:end]))
            for score, start, rank, _ in ways[:_BEAM]
        ]
    if not best[count]:
        # A run of digits longer than any word.
        return [tag]
    words = []
    end, rank = count, 0
    while end:
        _, start, rank, _ = best[end][rank]
        words.append(tag[start:end])
        end = start
    return words[::-1]


def _score(way: _Way) -> float:
    return way[0]


def _letters(tag: str) -> str:
    """Lower case without accents, one character for each of the tag's."""
    return "".join((plain(letter) or letter)[0] for letter in tag)


def _case_turns(tag: str) -> list[bool]:
    """Where a new word begins by CamelCase, or the last letter of an acronym's run does."""
    turns = [False] * len(tag)
    for i in range(1, len(tag)):
        upper = tag[i].isupper()
        last_of_run = upper and tag[i - 1].isupper() and tag[i + 1 : i + 2].islower()
        turns[i] = last_of_run or (upper and tag[i - 1].islower())
    return turns


def _cut_costs(tag: str, turns: list[bool]) -> list[float]:
    """What it costs to begin a word at each position, by the tag's case."""
    costs = [0.0] * len(tag)
    if not any(turns):
        return costs
    borders = [0, *(i for i, turn in enumerate(turns) if turn), len(tag)]
    for begin, end in pairwise(borders):
        for i in range(begin + 1, end):
            # "NSAplz": a word may also begin behind the run of upper case.
            behind_run = (
                i > 1 and tag[i].islower() and tag[i - 2].isupper() and tag[i - 1].isupper()
            )
            if behind_run:
                costs[i] = _CUT_BEHIND
            elif tag[i].isalpha() and tag[i - 1].isalpha():
                costs[i] = _CUT if end - begin <= _LONG_RUN else _CUT_LONG
    return costs
