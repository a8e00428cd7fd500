"""Parts of speech of English words: our own small tagger, and NLTK's where its data is installed.

`LexiconTagger` gives each word its most frequent tag (Brill's lexicon; by its ending where the
lexicon does not know it) and then mends tags by Brill's contextual rules: "after `to`, a noun is a
verb". Penn Treebank tags throughout. It is fast (no model) and good enough to tell noun phrases.

It does not know phrases: `candidates` reads them off the tags.
"""

import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from inkling_server.interests.phrases.tag_lexicon import RULES, guess_tag, load_lexicon
from inkling_server.interests.text.document import Token, TokenKind

# What a rule looks at: places relative to the word; 0: both neighbours.
_PLACES: dict[str, tuple[int, ...]] = {
    "PREVTAG": (-1,),
    "PREV1OR2TAG": (-1, -2),
    "PREV1OR2OR3TAG": (-1, -2, -3),
    "NEXTTAG": (1,),
    "NEXT1OR2TAG": (1, 2),
    "SURROUNDTAG": (0,),
    "PREVWD": (-1,),
    "PREV1OR2WD": (-1, -2),
    "NEXTWD": (1,),
}
_NLTK_DATA = Path("taggers") / "averaged_perceptron_tagger_eng"
# Share of capitalised words beyond which a sentence is a headline.
_HEADLINE = 0.7

# A place and the tag or word there; and the rules of one tag: number (the lower wins) and new tag.
_Sight = tuple[int, str]
_Rules = dict[_Sight, tuple[int, str]]


class Tagger(Protocol):
    """Tells parts of speech."""

    def tag(self, tokens: Sequence[Token]) -> list[str]:
        """The Penn Treebank tag of every token of one sentence."""


class LexiconTagger:
    """Our own tagger; see the module."""

    def tag(self, tokens: Sequence[Token]) -> list[str]:
        """The Penn Treebank tag of every token of one sentence."""
        lexicon, rules = load_lexicon(), _load_rules()
        words = [token.text.lower() for token in tokens]
        trust_case = not _is_headline(tokens)
        tags = [
            _first_tag(token, word, lexicon, is_first=i == 0 or not trust_case)
            for i, (token, word) in enumerate(zip(tokens, words, strict=True))
        ]
        for i, tag in enumerate(tags):
            if tag in rules:
                tags[i] = _mended(tags, words, i, rules[tag])
        return tags


class NltkTagger:
    """NLTK's averaged perceptron.

    Raises:
        ImportError: NLTK is not installed.
        LookupError: its data (`averaged_perceptron_tagger_eng`) is not.
    """

    def __init__(self) -> None:
        from nltk.tag.perceptron import PerceptronTagger

        self._tagger: Any = PerceptronTagger()

    def tag(self, tokens: Sequence[Token]) -> list[str]:
        """The Penn Treebank tag of every token of one sentence."""
        return [tag for _, tag in self._tagger.tag([token.text for token in tokens])]


def installed_tagger() -> Tagger:
    """NLTK's tagger where its data is installed, else our own."""
    if not any((folder / _NLTK_DATA).exists() for folder in _nltk_folders()):
        return LexiconTagger()  # without importing NLTK, which takes most of a second
    try:
        return NltkTagger()
    except (ImportError, LookupError):
        return LexiconTagger()


def _nltk_folders() -> Iterator[Path]:
    """Where NLTK looks for its data: its own list, once somebody has imported it."""
    if "nltk.data" in sys.modules:
        yield from map(Path, sys.modules["nltk.data"].path)
        return
    yield from map(Path, filter(None, os.environ.get("NLTK_DATA", "").split(os.pathsep)))
    yield Path.home() / "nltk_data"
    for root in (sys.prefix, "/usr", "/usr/local"):
        yield from (Path(root) / part / "nltk_data" for part in ("", "share", "lib"))


def _first_tag(token: Token, word: str, lexicon: dict[str, str], *, is_first: bool) -> str:
    if token.kind is not TokenKind.WORD:
        return "CD" if token.kind is TokenKind.NUMBER else "."
    known = lexicon.get(word)
    if token.text[0].isupper() and not is_first and not token.is_stop:
        return "NNPS" if known == "NNS" else "NNP"
    if known is not None:
        return known
    if not word.isalpha() and any(character.isdigit() for character in word):
        return "NN"
    return guess_tag(word)


def _is_headline(tokens: Sequence[Token]) -> bool:
    """Most Words Are Capitalised, or ALL ARE: then a capital tells no name."""
    words = [token for token in tokens if token.is_word and not token.is_stop]
    return len(words) >= 4 and sum(t.text[0].isupper() for t in words) > _HEADLINE * len(words)


def _mended(tags: list[str], words: list[str], i: int, rules: _Rules) -> str:
    """The tag of word i by the first rule that fits, else as it is."""
    found = [rules[sight] for sight in _sights(tags, words, i) if sight in rules]
    tag = min(found)[1] if found else tags[i]
    # "new to gardening": no verb's base form ends so.
    return tags[i] if tag in ("VB", "VBP") and words[i].endswith("ing") else tag


def _sights(tags: list[str], words: list[str], i: int) -> Iterator[_Sight]:
    """All that a rule about word i may look at."""
    before, after = i > 0, i + 1 < len(tags)
    if before:
        yield -1, tags[i - 1]
        yield -1, words[i - 1]
    if after:
        yield 1, tags[i + 1]
        yield 1, words[i + 1]
        if before:
            yield 0, f"{tags[i - 1]} {tags[i + 1]}"
    if i > 1:
        yield -2, tags[i - 2]
        yield -2, words[i - 2]
        if i > 2:
            yield -3, tags[i - 3]
    if i + 2 < len(tags):
        yield 2, tags[i + 2]


@cache
def _load_rules() -> dict[str, _Rules]:
    """Rules by the tag that they change."""
    rules: dict[str, _Rules] = defaultdict(dict)
    for number, line in enumerate(RULES.read_text(encoding="utf-8").splitlines()):
        old, new, kind, *wanted = line.split()
        # Words are lower case and tags upper case, so that one table holds both.
        sought = " ".join(wanted) if kind.endswith("TAG") else wanted[0].lower()
        for place in _PLACES[kind]:
            rules[old].setdefault((place, sought), (number, new))
    return rules
