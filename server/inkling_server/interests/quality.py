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
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from inkling_server.interests import word_lists
from inkling_server.interests.noun_kinds import CONCRETE, MEASURES
from inkling_server.interests.phrases.candidates import Key
from inkling_server.interests.phrases.corpus import PhraseRecord
from inkling_server.interests.phrases.tag_lexicon import load_lexicon
from inkling_server.interests.text.hashtags import split_hashtag
from inkling_server.interests.text.lexicons import lemmas
from inkling_server.interests.text.slang import slang
from inkling_server.interests.text.stop_words import STOP_WORDS
from inkling_server.interests.word_facts import (
    EVERYDAY,
    FAMILIAR,
    KNOWN,
    MOSTLY,
    NOUN_TAGS,
    is_english,
    is_in,
    is_modifier,
    is_noun,
    is_plain_noun,
    is_rare,
    is_title,
    is_unheard,
    noun_of,
    share_of,
    tag_of,
    tails,
    unaccented,
)

# Share of a phrase's occurrences with capitals from which it is a name.
_NAME_SHARE, _COINED_NAME_SHARE = 0.6, 0.7
# Kinds of what people do, beside what they point at.
_EVENTFUL = frozenset({"act", "event", "group"})
_THINGS = CONCRETE - {"person", "location"}
_LONGEST_WORD = 18
# An acronym that no dictionary lists is known to many from here on.
_KNOWN_ACRONYM = 1.5e-6
_LONGEST_ACRONYM = 5
_SHORTEST_WORD, _SHORTEST_NEW_WORD = 3, 4
_WORD = re.compile(r"(?:[od]')?[a-z](?:[a-z.&-]*[a-z0-9])?\+*")
_WORDS = re.compile(r"\w+")
_NO_PREFIX = re.compile(r"(?:re|pre|un|non|ex|co|mid|year|month|week|day)-")


@dataclass(frozen=True, slots=True)
class QualitySettings:
    """What it takes to be an interest.

    Attributes:
        min_association: of the words of a phrase that no dictionary knows, NPMI in [-1, 1].
        min_vague_association: the same where the last word says little by itself ("trip").
        min_person_documents: documents that must name a person: someone who is talked about
            by many, not someone's friend.
        min_coined_documents: documents that must name what no word list knows.
        blocked: words that no interest holds.
    """

    min_association: float = 0.3
    min_vague_association: float = 0.45
    min_person_documents: int = 8
    min_coined_documents: int = 15
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
        self._blocked_words = frozenset(entry for entry in blocked if " " not in entry)
        self._blocked_phrases = [f" {entry} " for entry in blocked if " " in entry]

    def is_interest(self, record: PhraseRecord) -> bool:
        """Whether the phrase can be an interest."""
        words = record.key
        if not all(map(self._is_allowed, words)) or self.is_blocked(record):
            return False
        if len(words) == 1:
            return _is_clear_word(words[0], record) or self._is_coined(words[0], record)
        return self._is_clear_phrase(record)

    def is_blocked(self, record: PhraseRecord) -> bool:
        """Whether the phrase holds a blocked word, also one of several words or a run-in one."""
        return any(map(self._is_blocked_form, (*record.forms, " ".join(record.key))))

    def _is_blocked_form(self, form: str) -> bool:
        words = _WORDS.findall(form.lower())
        spoken = f" {' '.join(words)} "
        return any(is_in(word, self._blocked_words) for word in (*words, "".join(words))) or any(
            phrase in spoken for phrase in self._blocked_phrases
        )

    def _is_allowed(self, word: str) -> bool:
        return (
            word not in self._refused
            and _NO_PREFIX.match(word) is None
            and unicodedata.is_normalized("NFKC", word)
            and word not in STOP_WORDS
            and len(word) <= _LONGEST_WORD
            and not _is_run_together(word)
            and (word in word_lists.clear_words() or _WORD.fullmatch(unaccented(word)) is not None)
        )

    def _is_coined(self, word: str, record: PhraseRecord) -> bool:
        """A name that no list can know yet, and that many people write as one: "Hatchimals"."""
        return (
            record.document_count >= self._settings.min_coined_documents
            and is_unheard(word)
            and capital_share(record) >= _COINED_NAME_SHARE
            and not _is_acronym(record)
            and len(split_hashtag(word)) == 1
        )

    def _is_clear_phrase(self, record: PhraseRecord) -> bool:
        words = record.key
        if words[0] in tails() or self._is_titled_person(words):
            return False
        # "table spoon": one vague word that somebody cut in two.
        if "".join(words) in word_lists.vague_words() | self._refused:
            return False
        known = noun_of(" ".join(words)) or noun_of(record.text.lower())
        if known is not None and is_in(words[-1], word_lists.weak_heads()) and not known.is_proper:
            known = known if known.kind in _THINGS else None
        starts_vague = is_in(words[0], word_lists.vague_modifiers())
        if known is not None and known.kind not in MEASURES:
            if not starts_vague or known.is_proper:
                return True
            if known.kind in _THINGS:
                return True
        if starts_vague or any(is_in(word, word_lists.vague_modifiers()) for word in words[1:-1]):
            return False
        if min(map(len, words)) == 1 and not is_name(record):
            return False  # spelt out: "s.k.a.t. e"
        if words[0] in word_lists.given_names() and is_rare(words[-1]):
            return self._is_clear_name(record)
        if not all(is_english(word) for word in words):
            return is_name(record) and self._is_clear_name(record)
        if is_name(record):
            return self._is_clear_name(record)
        return self._is_compound(record)

    def _belongs(self, record: PhraseRecord, least: float) -> bool:
        return self._associations.weakest(record.key) >= least

    def _is_compound(self, record: PhraseRecord) -> bool:
        """Modifiers and a noun that says something, or that they make say something."""
        head = record.key[-1]
        modifiers = record.key[:-1]
        coined = record.document_count >= self._settings.min_coined_documents
        if is_in(head, word_lists.weak_heads()) or not all(
            is_modifier(word) or (coined and is_unheard(word)) for word in modifiers
        ):
            return False
        least = self._settings.min_association
        noun = noun_of(head)
        if head in word_lists.clear_words():
            return self._belongs(record, least)
        if noun is None:
            return is_plain_noun(head) and self._belongs(record, least)
        if noun.noun_share < MOSTLY:
            return False
        if is_in(head, word_lists.vague_words()) or noun.kind not in CONCRETE | _EVENTFUL:
            return all(map(is_noun, modifiers)) and self._belongs(
                record, self._settings.min_vague_association
            )
        return self._belongs(record, least)

    def _is_titled_person(self, words: Key) -> bool:
        """ "coach Andy Robinson", "President Putin": the name alone is the interest."""
        titles = [is_title(word) for word in words]
        return (
            any(
                titled
                and (words[place + 1] in word_lists.given_names() or is_rare(words[place + 1]))
                for place, titled in enumerate(titles[:-1])
            )
            and noun_of(" ".join(words)) is None
        )

    def _is_clear_name(self, record: PhraseRecord) -> bool:
        words = record.key
        if not all(share_of(word) >= KNOWN for word in words):
            return False
        if words[0] in word_lists.given_names():
            return record.document_count >= self._settings.min_person_documents
        least = self._settings.min_association
        is_sentence = noun_of(words[-1]) is None and tag_of(words[-1]) not in NOUN_TAGS
        if is_sentence or len(words[-1]) < _SHORTEST_WORD:
            return False
        if is_in(words[-1], word_lists.weak_heads()) and record.name_count < MOSTLY * record.count:
            return False
        return self._belongs(record, least)


def _is_run_together(word: str) -> bool:
    """Whether a dot joins two words: "dog.lovers" is no "node.js"."""
    parts = word.split(".")
    return len(parts) > 1 and all(len(p) > 2 and share_of(p) >= FAMILIAR for p in parts)


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


def may_be_surname(record: PhraseRecord) -> bool:
    """Whether a single word may be the rest of somebody's whole name."""
    if len(record.key) > 1 or not is_name(record):
        return False
    noun = noun_of(record.key[0])
    return noun is None or (noun.kind == "person" and noun.is_proper)


def _is_clear_word(word: str, record: PhraseRecord) -> bool:
    if word in word_lists.clear_words():
        return True
    if is_in(word, word_lists.vague_words()) or is_in(word, word_lists.vague_modifiers()):
        return False
    if len(word.replace(".", "")) < _SHORTEST_WORD:
        return False
    noun = noun_of(word)
    named = is_name(record)
    if word in tails():
        return False
    if word in word_lists.given_names() and (named or noun is None or noun.is_proper):
        return False
    if noun is None:
        return _is_new_word(word, record, named)
    if not is_english(word):
        return False
    if noun.is_proper:
        return named or (noun.kind in ("location", "object") and share_of(word) >= FAMILIAR)
    if load_lexicon().get(word, "NN") not in NOUN_TAGS:
        return False
    return noun.kind in CONCRETE and noun.noun_share >= MOSTLY


def _is_new_word(word: str, record: PhraseRecord, named: bool) -> bool:
    """A word that the dictionary does not list: a name, or a noun younger than it."""
    share = share_of(word)
    if word in slang() or not is_english(word, is_name=named):
        return False
    if named and _is_acronym(record) and len(word) <= _LONGEST_ACRONYM:
        return share >= (_KNOWN_ACRONYM if len(word) < _SHORTEST_NEW_WORD else FAMILIAR)
    if (
        len(word) < _SHORTEST_NEW_WORD
        or tag_of(word) not in ("NN", "NNS")
        or word in lemmas().verbs
    ):
        return False
    if named:
        return share >= FAMILIAR and (word not in load_lexicon() or share < EVERYDAY)
    return "-" not in word and KNOWN <= share < EVERYDAY


def _is_acronym(record: PhraseRecord) -> bool:
    shouted = sum(count for form, count in record.forms.items() if form.isupper())
    return 2 * shouted > record.forms.total()
