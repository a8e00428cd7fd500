"""How far a name's place in its sentence agrees that the item is about the thing.

A factor in (0, 1]: the product of what part of speech, capitals and negation say. The table below
holds judgements, not measurements:

    noun at the end of its noun phrase    1.0    "a brown dog"
    -ing form that is the interest        0.9    "a man surfing"
    several words, not ending in a noun   0.7    "playing guitar loudly"
    noun before another noun              0.6    "dog food": about food
    adjective                             0.4    "an orange cat"
    verb, or anything else                0.2    "I park my car"
    what only counts or frames the rest   0.2    "a group of people", "a picture of a dog"

    common noun written as a name                    x 0.5   "a Jaguar", in the middle of a sentence
    name written without its capital                 x 0.6   "a halifax pub"
    part of a longer name                            x 0.4   "park" in "the Jurassic Park ride"
    initials not written as such                     x 0.2   "us"
    denied                                           x 0.1   "no dogs", "sugar-free"

Tags are the Penn Treebank's. This module finds no names: `matching` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from inkling_server.interests.text.document import Field, Sentence, Token
from inkling_server.interests.text.inflections import verb_base

HEAD, ING_FORM, SEVERAL_WORDS, MODIFIER, ADJECTIVE, OTHER = 1.0, 0.9, 0.7, 0.6, 0.4, 0.2
COMMON_AS_NAME, NAME_AS_COMMON, PART_OF_NAME, NOT_INITIALS, DENIED = 0.5, 0.6, 0.4, 0.2, 0.1
PART_OF_HASHTAG = 0.6

_NAMES = ("NNP", "NNPS")
_NOUNS = ("NN", "NNS", *_NAMES)
_ADJECTIVES = ("JJ", "JJR", "JJS")
# Before "of" they say how much, or that it is a picture, and not what is seen.
_FRAMES = frozenset(
    """
    assortment back bit bunch close-up closeup collection couple front group image kind lot number
    pair part photo photograph picture piece row selection series set shot side sort top type
    variety view
    """.split()  # noqa: SIM905 - a word list
)
_DENIALS = frozenset({"no", "not", "never", "without", "neither", "nor", "cannot"})
_DENIAL_REACH = 3  # tokens
_SHOUTED = 0.6  # share of words in capitals
_LONGEST_INITIALS = 5


@dataclass(frozen=True, slots=True)
class NameKind:
    """How an interest's phrase is written.

    Attributes:
        is_name: has a capital letter: "Halifax".
        is_initials: a few capitals: "UFC".
        is_ing: ends in an -ing form: "surfing".
    """

    is_name: bool
    is_initials: bool
    is_ing: bool

    @classmethod
    def of(cls, phrase: str) -> "NameKind":
        """Reads it off the phrase."""
        letters = [letter for letter in phrase if letter.isalpha()]
        is_initials = 1 < len(letters) <= _LONGEST_INITIALS and phrase.isupper()
        return cls(phrase != phrase.lower(), is_initials, phrase.endswith("ing"))


def is_shouted(tokens: Sequence[Token]) -> bool:
    """Whether a sentence is mostly in capitals: then they say nothing. Asked once a sentence."""
    words = [token.text for token in tokens if token.is_word]
    shouted = sum(word.isupper() for word in words)
    return shouted > 1 and shouted > _SHOUTED * len(words)


def agreement(
    sentence: Sentence,
    tags: Sequence[str],
    start: int,
    end: int,
    kind: NameKind,
    *,
    shouted: bool,
) -> float:
    """The factor of a name in a sentence.

    Args:
        sentence: where it stands.
        tags: of the sentence's tokens.
        start: the name's first token.
        end: the one behind its last.
        kind: of the interest.
        shouted: the sentence is, see `is_shouted`.
    """
    tokens = sentence.tokens
    if sentence.field is Field.HASHTAG:
        # Written without case or grammar; only what fills the whole tag is surely meant.
        return 1.0 if end - start == len(tokens) else PART_OF_HASHTAG
    factor = _role(tokens, tags, start, end, kind)
    factor *= _writing(tokens, tags, start, end, kind, shouted=shouted)
    if _is_denied(tokens, start, end):
        factor *= DENIED
    return factor


def _role(
    tokens: Sequence[Token], tags: Sequence[str], start: int, end: int, kind: NameKind
) -> float:
    last = tags[end - 1]
    followed_by = tokens[end].text.lower() if end < len(tokens) else ""
    if followed_by == "of" and tokens[end - 1].normal in _FRAMES:
        return OTHER
    if last in _NOUNS:
        return MODIFIER if _goes_on(tokens, tags, end) else HEAD
    if last == "VBG" and kind.is_ing:
        return ING_FORM
    if end - start > 1:
        return SEVERAL_WORDS
    if last in _ADJECTIVES:
        # "The orange" may be mistagged; one that stands alone or ends the text is a noun.
        return HEAD if len(tokens) == 1 else ADJECTIVE
    return OTHER


def _goes_on(tokens: Sequence[Token], tags: Sequence[str], end: int) -> bool:
    """Whether the noun phrase has more nouns behind: in "a man surfing" it has not."""
    if end >= len(tokens) or not tokens[end].is_word or tags[end] not in _NOUNS:
        return False
    word = tokens[end].text.lower()
    return not word.endswith("ing") or verb_base(word) == word


def _writing(
    tokens: Sequence[Token],
    tags: Sequence[str],
    start: int,
    end: int,
    kind: NameKind,
    *,
    shouted: bool,
) -> float:
    words = [token.text for token in tokens[start:end]]
    if kind.is_initials:
        return NOT_INITIALS if shouted or not any(word.isupper() for word in words) else 1.0
    if kind.is_name:
        if not any(word[:1].isupper() for word in words):
            return NAME_AS_COMMON
    elif not shouted and all(tag in _NAMES for tag in tags[start:end]):
        before = start > 0 and tags[start - 1] in _NAMES and tokens[start - 1].is_word
        after = end < len(tags) and tags[end] in _NAMES and tokens[end].is_word
        return PART_OF_NAME if before or after else COMMON_AS_NAME
    return 1.0


def _is_denied(tokens: Sequence[Token], start: int, end: int) -> bool:
    if any(token.text.lower().endswith("-free") for token in tokens[start:end]):
        return True
    reach = tokens[max(0, start - _DENIAL_REACH) : start]
    words = [token.text.lower().replace("’", "'") for token in reach]
    return any(word in _DENIALS or word.endswith("n't") for word in words)
