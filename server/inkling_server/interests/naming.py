"""What an interest is called: the form a person reads, and the names that mean the same.

Two names are the same when their `name_key` is: "Street Photography", "street-photography" and
"streetphotography". It knows forms and how often people write them; it does not know which phrases
are interests.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable

from inkling_server.interests.noun_kinds import noun_kinds
from inkling_server.interests.phrases.candidates import Key
from inkling_server.interests.phrases.corpus import PhraseRecord
from inkling_server.interests.phrases.tag_lexicon import load_lexicon
from inkling_server.interests.quality import capital_share, is_name
from inkling_server.interests.text.tokens import token, tokens
from inkling_server.interests.word_lists import capital_words, given_names

# An abbreviation is this short; longer words in capitals are shouted.
_LONGEST_ABBREVIATION = 5
_INITIALS = 3
# Shares of a word's or phrase's occurrences with capitals.
# Occurrences of a word from which its capitals tell more than where its sentences begin.
_ENOUGH = 20
_MOSTLY_NAMED = 0.6
_MOSTLY_NOUN = 0.5
_SOMETIMES, _CAPITAL, _NEARLY_ALWAYS = 0.3, 0.5, 0.8
# A form is an alias when it is seen so often, also as a share of all.
_ALIAS_COUNT = 2
_ALIAS_SHARE = 0.01
_MAX_ALIASES = 8


def name_key(name: str) -> str:
    """What makes two names one: letters and digits, case-folded, without accents; names without
    any ("❤") as they are.
    """
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return "".join(filter(str.isalnum, plain)) or name


def phrase_key(name: str) -> Key:
    """The key that the corpus gives a phrase."""
    return tuple(token.normal for token in tokens(name) if token.is_word)


def meaning_key(key: Key) -> str:
    """What forms of one meaning share: the normal forms of the words, joined."""
    return name_key("".join(key))


class Writing:
    """How a corpus writes words: with a capital or without."""

    def __init__(self, records: Iterable[PhraseRecord]) -> None:
        self._capital: Counter[str] = Counter()
        self._total: Counter[str] = Counter()
        for record in records:
            for form, count in record.forms.items():
                for word in form.split():
                    lower = word.lower()
                    self._total[lower] += count
                    if word != lower:
                        self._capital[lower] += count

    def is_proper(self, word: str) -> bool:
        """Whether a lower-case word is a name wherever it stands, or part of one."""
        if word in capital_words():
            return True
        kind = noun_kinds().get(word)
        if kind is None and word.endswith("s"):
            if word[:-1] in capital_words():
                return True
            kind = noun_kinds().get(token(word).normal)
        share = self._capital[word] / max(1, self._total[word])
        if kind is None:
            return share >= _CAPITAL and word not in load_lexicon()
        if kind.noun_share < _MOSTLY_NOUN or self._total[word] < _ENOUGH:
            return kind.is_proper and kind.noun_share >= _MOSTLY_NOUN
        # A common noun that headlines like ("Review") is none; one that is also a brand may be.
        return share >= (_SOMETIMES if kind.is_proper else _NEARLY_ALWAYS)

    def display_form(self, record: PhraseRecord) -> str:
        """The form that reads naturally: number and spelling as most people write it, names with
        capitals.

        A headline's capitals make no name: common nouns are lower case, whatever it says.
        """
        lower = _commonest_lower(record.forms)
        cased = Counter({form: n for form, n in record.forms.items() if form.lower() == lower})
        words = lower.split()
        if self._is_whole_name(record, lower):
            return _name_form(cased, lower)
        proper = [self.is_proper(word) for word in words]
        if len(words) == 1:
            proper = [proper[0] and self._is_single_name(record, lower)]
        if all(proper) or (any(proper) and capital_share(record) >= _SOMETIMES):
            return _name_form(cased, lower)
        return " ".join(
            _word_form(word, place, cased, is_proper=proper[place])
            for place, word in enumerate(words)
        )

    def _is_single_name(self, record: PhraseRecord, lower: str) -> bool:
        """Headlines are full of lone capitals: a common noun is a name where sentences say so."""
        kind = noun_kinds().get(record.key[0])
        is_common = kind is not None and not kind.is_proper and lower not in capital_words()
        if not is_common or record.key[0] in capital_words():
            return True
        return record.name_count >= _MOSTLY_NAMED * record.count

    def _is_whole_name(self, record: PhraseRecord, lower: str) -> bool:
        kinds = noun_kinds()
        words = record.key
        known = kinds.get(" ".join(words)) or kinds.get(lower)
        if known is not None:
            return known.is_proper
        if len(words) == 1:
            return False
        if words[0] in given_names() and (
            _is_no_common_noun(words[-1]) or capital_share(record) >= _SOMETIMES
        ):
            return True
        if not is_name(record):
            return all(map(_is_no_common_noun, words)) and not any(
                word in load_lexicon() for word in words
            )
        # "Short Ribs" in headlines: where every word is a common one, only running text tells.
        named = record.name_count >= _NEARLY_ALWAYS * record.count
        return named or any(map(self.is_proper, lower.split()))


def aliases(records: list[PhraseRecord], phrase: str) -> tuple[str, ...]:
    """Other ways in which people write it, the commonest first; without those that differ in case
    alone.
    """
    counts: Counter[str] = Counter()
    for record in records:
        for form, count in record.forms.items():
            counts[form.lower()] += count
    least = max(_ALIAS_COUNT, _ALIAS_SHARE * counts.total())
    spoken = phrase.casefold()
    found = [
        form
        for form, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if count >= least and form.casefold() != spoken
    ]
    return tuple(found[:_MAX_ALIASES])


def _commonest_lower(forms: Counter[str]) -> str:
    counts: Counter[str] = Counter()
    for form, count in forms.items():
        counts[form.lower()] += count
    return min(counts, key=lambda form: (-counts[form], len(form), form))


def _is_no_common_noun(word: str) -> bool:
    kind = noun_kinds().get(word)
    return kind is None or kind.is_proper


def _name_form(cased: Counter[str], lower: str) -> str:
    """The commonest form with capitals, else capitals of our own."""
    shouted = len(lower.replace(" ", "")) > _LONGEST_ABBREVIATION
    fitting = Counter(
        {
            form: count
            for form, count in cased.items()
            if form != lower
            and not (shouted and form.isupper())
            and all(any(letter.isupper() for letter in word) for word in form.split())
        }
    )
    if fitting:
        return min(fitting, key=lambda form: (-fitting[form], form))
    return " ".join(map(_capital, lower.split()))


def _word_form(word: str, place: int, cased: Counter[str], *, is_proper: bool) -> str:
    """A common word is lower case; one mostly written otherwise is an abbreviation or a brand
    ("3D model", "iPhone case").
    """
    written: Counter[str] = Counter()
    for form, count in cased.items():
        # A shouted phrase does not tell which of its words are abbreviations.
        words = form.lower().split() if " " in form and form.isupper() else form.split()
        written[words[place]] += count
    fitting = {form: n for form, n in written.items() if form != word}
    top = max(fitting, key=lambda form: (fitting[form], form), default=word)
    is_short = len(word) <= _LONGEST_ABBREVIATION
    if is_proper:
        return top if top != word and (is_short or not top.isupper()) else _capital(word)
    is_common = noun_kinds().get(word) is not None or word in load_lexicon()
    is_abbreviation = top.isupper() and is_short and (not is_common or len(word) <= _INITIALS)
    is_mixed = top[1:] != top[1:].lower() and not top.isupper() and top[:1].islower()
    is_brand = is_mixed and not is_common
    if is_abbreviation or is_brand:
        return top if 2 * written[top] > written.total() else word
    return word


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]
