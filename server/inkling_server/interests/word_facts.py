"""What is known of one English word, whatever the corpus: is it a word, a noun, a name, English?

From word counts, a dictionary's nouns and a tagger's lexicon. It does not know how a corpus uses a
word, nor what makes an interest: `quality` does.
"""

import re
import unicodedata
from collections import Counter
from functools import cache, lru_cache

from inkling_server.interests.noun_kinds import NounKind, noun_kinds
from inkling_server.interests.phrases.tag_lexicon import guess_tag, load_lexicon
from inkling_server.interests.phrases.weak_words import WEAK_MODIFIERS
from inkling_server.interests.text import frequencies
from inkling_server.interests.text.lexicons import lemmas, read_lines

# Shares of all English words: below the first a word is no word; below the second it needs to be
# written like a name; from the third on an unknown noun is a tagger's slip ("discover").
KNOWN = 5e-8
FAMILIAR = 3e-7
EVERYDAY = 2e-5
# Of a word's uses, as a share.
MOSTLY = 0.5
# This many times more frequent in another language than in English: foreign. A noun that English
# dictionaries list may be shared ("hotel"); names and common ones are ("Portugal", "piano").
_FOREIGN, _FOREIGN_NOUN, _FOREIGN_NAME = 2.0, 8.0, 80.0
_COMMON = 5e-6
# A word that mostly follows one that phrases cannot begin with: "york", "zealand".
_TAIL_SHARE, _TAIL_COUNT = 0.5, 10
NOUN_TAGS = ("NN", "NNS", "NNP", "NNPS")
_MODIFIER_TAGS = (*NOUN_TAGS, "JJ", "VBG", "VBN")
_JOINTS = re.compile(r"[-.&]")


@lru_cache(maxsize=1 << 17)
def is_english(word: str, *, is_name: bool = False) -> bool:
    """Not mainly a word of another language."""
    noun = noun_of(word)
    limit = _FOREIGN if noun is None and not is_name else _FOREIGN_NOUN
    if noun is not None and (noun.is_proper or share_of(word) >= _COMMON):
        limit = _FOREIGN_NAME
    parts = [part for part in _JOINTS.split(word) if part]
    return all(
        frequencies.foreign().get(frequencies.plain(part), 0.0) <= limit * share_of(part)
        for part in parts
    )


@lru_cache(maxsize=1 << 17)
def share_of(word: str) -> float:
    """Share of English words; of a hyphenated word, its rarest part's."""
    known = frequencies.english()
    return min(
        (known.get(frequencies.plain(part), 0.0) for part in _JOINTS.split(word) if part),
        default=0.0,
    )


def _bare(word: str) -> str:
    """Without the plural's ending, where rare plurals keep it."""
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def is_in(word: str, words: frozenset[str]) -> bool:
    """Whether a list holds the word, or its singular."""
    return word in words or _bare(word) in words


def noun_of(word: str) -> NounKind | None:
    """What the word names, as far as dictionaries know."""
    return noun_kinds().get(word) or noun_kinds().get(_bare(word))


def tag_of(word: str) -> str:
    """The part of speech that it mostly is."""
    return load_lexicon().get(word) or guess_tag(word)


def unaccented(word: str) -> str:
    """Without accents."""
    return "".join(
        letter
        for letter in unicodedata.normalize("NFKD", word)
        if not unicodedata.combining(letter)
    )


def is_title(word: str) -> bool:
    """A kind of person: "coach", "president"."""
    noun = noun_of(word)
    return noun is not None and noun.kind == "person" and not noun.is_proper


def is_rare(word: str) -> bool:
    """No common noun or adjective: the beginning of a name."""
    noun = noun_of(word)
    return (noun is None or noun.is_proper) and word not in load_lexicon()


@cache
def tails() -> frozenset[str]:
    """Words that mostly follow a weak modifier, which phrases cannot begin with: what is left of
    "New York" is no phrase. From the packaged counts of word pairs.
    """
    every: Counter[str] = Counter()
    weak: Counter[str] = Counter()
    for line in read_lines("bigrams.txt.gz"):
        first, _, _, *pairs = line.split()
        for second, count in zip(pairs[::2], map(int, pairs[1::2]), strict=True):
            every[second] += count
            if first in WEAK_MODIFIERS:
                weak[second] = max(weak[second], count)
    return frozenset(
        word for word, count in weak.items() if count >= max(_TAIL_COUNT, _TAIL_SHARE * every[word])
    )


def is_noun(word: str) -> bool:
    """Mostly a common noun or a name."""
    noun = noun_of(word)
    return noun is not None and noun.noun_share >= MOSTLY


def is_modifier(word: str) -> bool:
    """May stand before the noun of a phrase."""
    noun = noun_of(word)
    if is_noun(word) or (noun is not None and noun.is_proper):
        return True
    if noun is None and word in lemmas().verbs:
        return False
    return share_of(word) >= KNOWN and tag_of(word) in _MODIFIER_TAGS


def is_unheard(word: str) -> bool:
    """A word that no list has, and that may be new: letters only, not foreign."""
    return share_of(word) < KNOWN and word.isalpha() and is_english(word)


def is_plain_noun(word: str) -> bool:
    """A noun that dictionaries do not list, and neither everyday nor made up."""
    return tag_of(word) in ("NN", "NNS") and KNOWN <= share_of(word) < EVERYDAY
