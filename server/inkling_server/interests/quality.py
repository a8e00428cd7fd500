"""Whether a phrase of a corpus can be an interest: readable, and saying what someone likes.

    phrase ─► one word:  a thing, a being, a place, a name, or one of the clear abstract words
           └► several:   a compound that dictionaries know, a name, or a noun whose words belong
                         together in this corpus

Everything else (verbs and adjectives that the tagger took for nouns, numbers, handles, slang,
platforms' words, foreign words, "favorite thing") is not one. Unsupervised: word lists, what nouns
name, how frequent words are in English and elsewhere, how people write the phrase, and how much
more often its words meet than by chance (normalised pointwise mutual information, Bouma 2009).

It knows one phrase at a time, no graph, and no embeddings.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from inkling_server.interests import word_lists
from inkling_server.interests.noun_kinds import CONCRETE, MEASURES, NounKind, noun_kinds
from inkling_server.interests.phrases.candidates import Key
from inkling_server.interests.phrases.corpus import PhraseRecord
from inkling_server.interests.phrases.tag_lexicon import load_lexicon
from inkling_server.interests.text import frequencies
from inkling_server.interests.text.lexicons import lemmas
from inkling_server.interests.text.slang import slang
from inkling_server.interests.text.stop_words import STOP_WORDS

# Shares of all English words: below the first a word is no word; below the second it needs to be
# written like a name; from the third on an unknown noun is a tagger's slip ("discover").
_KNOWN = 5e-8
_FAMILIAR = 3e-7
_EVERYDAY = 2e-5
# This many times more frequent in another language than in English: foreign. A noun that English
# dictionaries list may be shared ("hotel").
_FOREIGN, _FOREIGN_NOUN = 2.0, 8.0
_NAME_SHARE = 0.6
_LONGEST_WORD = 18
_WORD = re.compile(r"[a-z][a-z.&'-]*[a-z0-9]\+*")
_NOUN_TAGS = ("NN", "NNS", "NNP", "NNPS")
_MODIFIER_TAGS = (*_NOUN_TAGS, "JJ", "VBG", "VBN")


@dataclass(frozen=True, slots=True)
class QualitySettings:
    """What it takes to be an interest.

    Attributes:
        min_association: of the words of a phrase that no dictionary knows, NPMI in [-1, 1].
        min_person_documents: documents that must name a person: someone who is talked about
            by many, not someone's friend.
        blocked: words that no interest holds.
    """

    min_association: float = 0.35
    min_person_documents: int = 8
    blocked: frozenset[str] = frozenset()


class Associations:
    """How much the words of a phrase belong together, by the records of a corpus."""

    def __init__(self, records: Iterable[PhraseRecord]) -> None:
        self._words: Counter[str] = Counter()
        self._pairs: Counter[tuple[str, str]] = Counter()
        for record in records:
            for word in record.key:
                self._words[word] += record.document_count
            for pair in pairwise(record.key):
                self._pairs[pair] += record.document_count
        self._total = max(1, self._words.total())

    def weakest(self, key: Key) -> float:
        """The least NPMI of two neighbouring words, in [-1, 1]; 1 for a single word."""
        return min((self._npmi(first, second) for first, second in pairwise(key)), default=1.0)

    def _npmi(self, first: str, second: str) -> float:
        together = self._pairs[first, second] / self._total
        if not 0 < together < 1:
            return -1.0
        apart = self._words[first] * self._words[second] / self._total**2
        return math.log(together / apart) / -math.log(together)


class QualityJudge:
    """Judges phrases of one corpus.

    Args:
        associations: of that corpus.
        settings: see there.
    """

    def __init__(self, associations: Associations, settings: QualitySettings) -> None:
        self._associations = associations
        self._settings = settings
        blocked = {word.lower() for word in settings.blocked}
        self._refused = word_lists.platform_words() | blocked

    def is_interest(self, record: PhraseRecord) -> bool:
        """Whether the phrase can be an interest."""
        words = record.key
        if not all(map(self._is_allowed, words)) or self.is_blocked(record):
            return False
        if len(words) == 1:
            return _is_clear_word(words[0], record)
        return self._is_clear_phrase(record)

    def is_blocked(self, record: PhraseRecord) -> bool:
        """Whether the phrase holds a blocked word, also one of several words or a run-in one."""
        forms = {form.lower() for form in record.forms}
        forms.add(" ".join(record.key))
        return any(_holds(form, entry) for form in forms for entry in self._settings.blocked)

    def _is_allowed(self, word: str) -> bool:
        return (
            word not in self._refused
            and word not in STOP_WORDS
            and len(word) <= _LONGEST_WORD
            and (word in word_lists.clear_words() or _WORD.fullmatch(frequencies.plain(word)) is not None)
        )

    def _is_clear_phrase(self, record: PhraseRecord) -> bool:
        words = record.key
        known = _noun(" ".join(words)) or _noun(record.text.lower())
        starts_vague = words[0] in word_lists.vague_modifiers()
        if known is not None and known.kind not in MEASURES:
            if not starts_vague or known.is_proper:
                return True
            if known.kind in CONCRETE and known.kind not in ("person", "location"):
                return True
        if starts_vague or any(word in word_lists.vague_modifiers() for word in words[1:-1]):
            return False
        if not all(_is_english(word) for word in words):
            return is_name(record) and all(_share(word) >= _KNOWN for word in words) and self._belongs(record)
        if is_name(record):
            return self._is_clear_name(record)
        return _is_compound(words) and self._belongs(record)

    def _belongs(self, record: PhraseRecord) -> bool:
        return self._associations.weakest(record.key) >= self._settings.min_association

    def _is_clear_name(self, record: PhraseRecord) -> bool:
        words = record.key
        kinds = [_noun(word) for word in words]
        if words[0] in word_lists.given_names():
            return record.document_count >= self._settings.min_person_documents
        # "coach Andy Robinson", "President Putin": the name alone is the interest.
        is_titled = kinds[0] is not None and kinds[0].kind == "person" and not kinds[0].is_proper
        if is_titled and any(kind is None or kind.is_proper for kind in kinds[1:]):
            return False
        return words[-1] not in word_lists.vague_words() and self._belongs(record)


def capital_share(record: PhraseRecord) -> float:
    """Of its occurrences, those whose every word begins with a capital, in [0, 1]."""
    total = record.forms.total()
    capital = sum(
        count
        for form, count in record.forms.items()
        if all(word[:1].isupper() for word in form.split())
    )
    return capital / total if total else 0.0


def is_name(record: PhraseRecord) -> bool:
    """Whether people mostly write it as a name."""
    if not record.count:
        return False
    return max(record.name_count / record.count, capital_share(record)) >= _NAME_SHARE


def _holds(form: str, entry: str) -> bool:
    if " " in entry:
        return f" {entry} " in f" {form} "
    return entry in form.split() or form.replace(" ", "") == entry


def _is_clear_word(word: str, record: PhraseRecord) -> bool:
    if word in word_lists.clear_words():
        return True
    if word in word_lists.vague_words() or word in word_lists.vague_modifiers() or len(word) < 3:
        return False
    noun = _noun(word)
    named = is_name(record)
    if word in word_lists.given_names() and (named or noun is None or noun.is_proper):
        return False
    if noun is None:
        return _is_new_word(word, record, named)
    if not _is_english(word):
        return False
    if noun.is_proper:
        return named or (noun.kind in ("location", "object") and _share(word) >= _FAMILIAR)
    if _tag(word) not in (None, *_NOUN_TAGS):
        return False
    return noun.kind in CONCRETE and noun.noun_share >= 0.5


def _is_new_word(word: str, record: PhraseRecord, named: bool) -> bool:
    """A word that the dictionary does not list: a name, or a noun younger than it."""
    share = _share(word)
    tag = _tag(word)
    if tag not in (None, "NN", "NNS") or word in slang() or not _is_english(word):
        return False
    if named:
        return share >= _FAMILIAR and (tag is None or share < _EVERYDAY)
    if word in lemmas().verbs or word.endswith(("ed", "ly", "est", "ing")):
        return False
    return _KNOWN <= share < _EVERYDAY


def _is_compound(words: Key) -> bool:
    """Modifiers and a noun that says something."""
    head = _noun(words[-1])
    if words[-1] in word_lists.vague_words():
        return False
    if words[-1] not in word_lists.clear_words():
        if head is None:
            if not _is_plain_noun(words[-1]):
                return False
        elif head.noun_share < 0.5 or head.kind not in CONCRETE | {"group", "event", "act"}:
            return False
    return all(_is_modifier(word) for word in words[:-1])


def _is_modifier(word: str) -> bool:
    noun = _noun(word)
    if noun is not None and (noun.noun_share >= 0.5 or noun.is_proper):
        return True
    tag = _tag(word)
    return (tag is None and _share(word) >= _KNOWN) or tag in _MODIFIER_TAGS


def _is_plain_noun(word: str) -> bool:
    return _tag(word) in (None, "NN", "NNS") and _KNOWN <= _share(word) < _EVERYDAY


@lru_cache(maxsize=1 << 17)
def _is_english(word: str) -> bool:
    """Not mainly a word of another language."""
    limit = _FOREIGN if _noun(word) is None else _FOREIGN_NOUN
    parts = [part for part in re.split(r"[-.&]", word) if part]
    return all(
        frequencies.foreign().get(frequencies.plain(part), 0.0) <= limit * _share(part)
        for part in parts
    )


@lru_cache(maxsize=1 << 17)
def _share(word: str) -> float:
    """Share of English words; of a hyphenated word, its rarest part's."""
    known = frequencies.english()
    return min(
        (known.get(frequencies.plain(part), 0.0) for part in re.split(r"[-.&]", word) if part),
        default=0.0,
    )


def _noun(word: str) -> NounKind | None:
    return noun_kinds().get(word)


def _tag(word: str) -> str | None:
    return load_lexicon().get(word)
