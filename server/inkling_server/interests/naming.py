"""What an interest is called: the form a person reads, and the names that mean the same.

Two names are the same when their `name_key` is: "Street Photography", "street-photography" and
"streetphotography". It knows forms and how often people write them; it does not know which phrases
are interests.
"""

import re
import unicodedata
from collections import Counter

from inkling_server.interests.noun_kinds import noun_kinds
from inkling_server.interests.phrases.candidates import Key
from inkling_server.interests.phrases.corpus import PhraseRecord
from inkling_server.interests.quality import capital_share, is_name
from inkling_server.interests.text.tokens import tokens
from inkling_server.interests.word_lists import given_names

_JOINTS = re.compile(r"[\s\-‐‑–_'’.&]+")
# An abbreviation is this short; longer words in capitals are shouted.
_LONGEST_ABBREVIATION = 5
_HALF = 0.5
# A form is an alias when it is seen so often, also as a share of all.
_ALIAS_COUNT = 2
_ALIAS_SHARE = 0.01
_MAX_ALIASES = 8


def name_key(name: str) -> str:
    """What makes two names one: case-folded, without what joins words."""
    return _JOINTS.sub("", unicodedata.normalize("NFKC", name).casefold())


def phrase_key(name: str) -> Key:
    """The key that the corpus gives a phrase."""
    return tuple(token.normal for token in tokens(name) if token.is_word)


def meaning_key(key: Key) -> str:
    """What forms of one meaning share: the normal forms of the words, joined."""
    return name_key("".join(key))


def display_form(record: PhraseRecord) -> str:
    """The form that reads naturally: number and spelling as most people write it, names as names.

    A headline's capitals make no name: common nouns are lower case, whatever the headline says.
    """
    lower = _commonest_lower(record.forms)
    cased = Counter(
        {form: count for form, count in record.forms.items() if form.lower() == lower}
    )
    if _is_proper(record, lower):
        return _name_form(cased, lower)
    return " ".join(
        _word_form(word, position, cased) for position, word in enumerate(lower.split())
    )


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


def _is_proper(record: PhraseRecord, lower: str) -> bool:
    kinds = noun_kinds()
    known = kinds.get(" ".join(record.key)) or kinds.get(lower)
    if known is not None:
        return known.is_proper
    words = record.key
    if len(words) > 1 and words[0] in given_names() and _is_rare_noun(words[-1]):
        return True
    if not is_name(record):
        return False
    # "Short Ribs" in headlines: when every word is a common noun, only running text tells.
    common = all(word in kinds and not kinds[word].is_proper for word in words)
    return not common or 2 * record.name_count > record.count and capital_share(record) > _HALF


def _is_rare_noun(word: str) -> bool:
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
    return " ".join(word[:1].upper() + word[1:] for word in lower.split())


def _word_form(word: str, position: int, cased: Counter[str]) -> str:
    """A common word is lower case; one mostly written otherwise is an abbreviation or a name in
    the phrase ("3D model", "Greek salad", "iPhone case").
    """
    written: Counter[str] = Counter()
    for form, count in cased.items():
        written[form.split()[position]] += count
    kind = noun_kinds().get(word)
    top, count = max(written.items(), key=lambda item: (item[1], item[0]))
    is_abbreviation = top.isupper() and len(word) <= _LONGEST_ABBREVIATION
    is_mixed = top[1:] != top[1:].lower() and not top.isupper()
    if (is_abbreviation and (kind is None or len(word) <= 3)) or is_mixed:
        return top if 2 * count > written.total() else word
    if kind is not None and kind.is_proper:
        return word[:1].upper() + word[1:]
    return word
