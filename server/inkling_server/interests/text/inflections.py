"""Takes the endings off English nouns and verbs: WordNet's exceptions, then rules.

A form is only changed into a base that WordNet or the word counts know, so that names ("Paris",
"Starbucks") and nouns without singular ("jeans") stay. Knows single words in lower case, without
their sentence: "leaves" is always a leaf.
"""

from collections.abc import Iterator

from inkling_server.interests.text.frequencies import english
from inkling_server.interests.text.lexicons import lemmas, read_words

# A base this many times rarer than its form is another word: a jean is not one of two jeans.
_RARER = 4.0
_SHORTEST = 4
# Irregular "plurals" that people use as words of their own.
_OWN_WORDS = frozenset(
    {"agenda", "candelabra", "data", "graffiti", "insignia", "lice", "media", "opera", "stamina"}
)
# Frequent singulars hide that these have none, or mean something else.
_PLURAL_ONLY = read_words("plural_only.txt")
_VOWELS = frozenset("aeiou")


def singular(word: str) -> str:
    """The singular of a lower-case noun, or the word as it is."""
    if word in _OWN_WORDS or word in _PLURAL_ONLY:
        return word
    base = lemmas().noun_exceptions.get(word)
    if base is None and word.endswith("men"):
        base = word[:-2] + "an"
        return base if base in lemmas().nouns else word
    if base is not None and _plausible(base, word):
        return base
    if len(word) < _SHORTEST or word[-1] != "s" or word[-2] == "s":
        return word
    nouns, shares = lemmas().nouns, english()
    candidates = [base for base in _singulars(word) if len(base) > 2]
    known = [base for base in candidates if base in nouns and _plausible(base, word)]
    if known:
        return max(known, key=lambda base: shares.get(base, 0.0))
    if word in nouns:
        return word
    best = max(candidates, key=lambda base: shares.get(base, 0.0), default=word)
    if shares.get(best, 0.0) > 0:
        return best if _plausible(best, word) and not word.endswith(("us", "is")) else word
    if word in shares or word[-2] in "usaio":
        return word
    return candidates[0] if candidates else word


def verb_base(word: str) -> str:
    """The base of a lower-case verb form; nouns in -ing and -ed that mean more stay ("wedding")."""
    known = lemmas()
    if word in known.kept:
        return word
    base = known.verb_exceptions.get(word)
    if base is not None:
        return base
    for base in _verb_bases(word):
        if base in known.verbs:
            return base
    return word


def _plausible(base: str, form: str) -> bool:
    shares = english()
    return _RARER * shares.get(base, 0.0) >= shares.get(form, 0.0)


def _singulars(word: str) -> Iterator[str]:
    if word.endswith("ies"):
        yield word[:-3] + "y"
        yield word[:-1]
    elif word.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
        yield word[:-2]
        yield word[:-1]
    else:
        yield word[:-1]


def _verb_bases(word: str) -> Iterator[str]:
    """Most likely first: "hoping" is of "hope", "hopping" of "hop", "adding" of "add"."""
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < 2 or not _VOWELS.intersection(stem + "y"):
            continue
        if ending == "ed" and stem.endswith("i"):
            yield stem[:-1] + "y"
        doubled = len(stem) > 2 and stem[-1] == stem[-2]
        # "rating": one vowel, one consonant: the silent e is likelier than its absence.
        if not doubled and len(stem) > 2 and stem[-2] in _VOWELS and stem[-3] not in _VOWELS:
            yield stem + "e"
        yield stem
        yield stem + "e"
        if doubled:
            yield stem[:-1]
