"""Other words for an interest: templates, aliases, WordNet's synonyms, "a poodle, a kind of dog".

    interests ─► names of each: phrase, aliases, synonyms of a sure sense ─┐
              └► a broader word, where the sense is sure ──────────────────┴─► render(row, rng)

Everything is looked up once, when the augmenter is made; `render` only draws, so that any thread
or forked process may call it, and the same rng gives the same text. A name that another interest of
the graph owns never stands for this one: it would be a wrong label. A sense is sure if the noun has
one sense alone, or if its commonest sense is the only one that agrees with a neighbour in the graph
or an alias: is a kind of it, above it, or named by it.

Without WordNet's data there are templates and aliases, and one line in the log says so. It knows no
model and no tokens; what an article is, `articles` knows.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np

from inkling_server.interests.graph import Edges, Interest
from inkling_server.interests.mentions.table import PhraseTable, fold, words_of
from inkling_server.interests.text.document import Field
from inkling_server.interests.text.tokens import sentences
from inkling_training.augment.articles import with_article
from inkling_training.wordnet import Nouns, find_wordnet, open_nouns

# Nothing here claims what the picture may not show: no "outdoors", no "black and white".
DEFAULT_TEMPLATES = (
    "a photo of {}",
    "a picture of {}",
    "an image of {}",
    "a close-up of {}",
    "a snapshot of {}",
    "a post about {}",
    "a photo that shows {}",
    "this is {}",
    "look at this: {}",
    "{}, seen in a photo",
)
AUTO = Path("auto")
_FEWEST_ANCESTORS = 4  # a broader word with fewer above it says nothing: "an instrumentality"
_LONGEST_CAPTION = 300  # characters
_MIN_WEIGHT = 0.3
_log = logging.getLogger(__name__)


class PairLike(Protocol):
    """What `caption` wants of a pair: see `pairs.MinedPair`."""

    @property
    def interest_id(self) -> str: ...
    @property
    def weight(self) -> float: ...


class SampleLike(Protocol):
    """What `caption` wants of a sample: see `pairs.PairSample`."""

    @property
    def captions(self) -> tuple[str, ...]: ...
    @property
    def pairs(self) -> Sequence[PairLike]: ...


class TextAugmenter:
    """Renders interests; thread-safe once made.

    Args:
        interests: of a graph; `row` below means their order.
        templates: each holds one "{}", for the name with its article.
        synonyms: further names, by interest id.
        edges: the graph's, to tell senses apart; None: only nouns of one sense get synonyms.
        wordnet: folder of a WordNet 3.0 database; `AUTO`: look for one; None: none.
        share_plain: of the texts, those that are the phrase alone, as people type it, in [0, 1].
        share_names: of the texts, those that use another name than the phrase, where there is one.
        share_broader: of those with a template, that say the broader word, where there is one.

    Raises:
        ValueError: a template without its one "{}", or a share outside [0, 1].
    """

    def __init__(
        self,
        interests: Sequence[Interest],
        *,
        templates: Sequence[str] = DEFAULT_TEMPLATES,
        synonyms: Mapping[str, Sequence[str]] | None = None,
        edges: Edges | None = None,
        wordnet: Path | None = AUTO,
        share_plain: float = 0.5,
        share_names: float = 0.3,
        share_broader: float = 0.15,
    ) -> None:
        for template in templates:
            if template.count("{}") != 1 or template.count("{") != 1 or template.count("}") != 1:
                raise ValueError(f"a template holds exactly one {{}}: {template!r}")
        if not templates:
            raise ValueError("at least one template is needed")
        for share in (share_plain, share_names, share_broader):
            if not 0 <= share <= 1:
                raise ValueError(f"a share lies in [0, 1], not {share}")
        self._templates = tuple(templates)
        self._plain, self._other, self._broader_share = share_plain, share_names, share_broader
        self._table = PhraseTable(interests)
        self._ids = {interest.id: row for row, interest in enumerate(interests)}
        self._phrases = [interest.phrase for interest in interests]
        given = synonyms or {}
        found: list[list[str]] = [
            [*interest.aliases, *given.get(interest.id, ())] for interest in interests
        ]
        self._broader: list[str | None] = [None] * len(interests)
        nouns = _open(wordnet)
        if nouns is not None:
            neighbours = _neighbours(interests, edges)
            for row, interest in enumerate(interests):
                sense = sure_sense(interest, neighbours[row], nouns)
                if sense is not None:
                    found[row] += _synonyms(interest, sense, nouns)
                    self._broader[row] = _broader_word(interest, sense, nouns)
        self._names = self._owned(found)

    def names(self, row: int) -> tuple[str, ...]:
        """Names that stand for the interest, without its phrase."""
        return self._names[row]

    def broader(self, row: int) -> str | None:
        """What it is a kind of, or None where that is not sure."""
        return self._broader[row]

    def render(self, row: int, rng: np.random.Generator) -> str:
        """A text for the interest.

        Args:
            row: of the interests.
            rng: makes all choices.
        """
        # All numbers are drawn every time: what one interest has does not shift the others' draws.
        other, plain, kind, name_at, template_at = rng.random(5)
        name, names = self._phrases[row], self._names[row]
        if names and other < self._other:
            name = names[int(name_at * len(names))]
        if plain < self._plain:
            return name
        text = with_article(name)
        broader = self._broader[row]
        if broader is not None and kind < self._broader_share:
            text = f"{text}, a kind of {broader}"
        return self._templates[int(template_at * len(self._templates))].format(text)

    def caption(self, sample: SampleLike, rng: np.random.Generator) -> str | None:
        """A sentence of the sample's captions that names one of its interests, or None.

        Args:
            sample: pairs of a weight of at least 0.3 count.
            rng: chooses among the sentences.
        """
        wanted = {
            self._ids[pair.interest_id]
            for pair in sample.pairs
            if pair.weight >= _MIN_WEIGHT and pair.interest_id in self._ids
        }
        draw = rng.random()
        fitting = [
            sentence.text
            for caption in sample.captions
            for sentence in sentences(caption, Field.CAPTION)
            if len(sentence.text) <= _LONGEST_CAPTION
            and wanted & self._table.find_within(sentence.text)
        ]
        return fitting[int(draw * len(fitting))] if fitting else None

    def _owned(self, found: Sequence[Iterable[str]]) -> list[tuple[str, ...]]:
        """Each interest's names without those that are another's, or that two claim."""
        claims = Counter(name for names in found for name in {fold(name) for name in names})
        owned = []
        for row, names in enumerate(found):
            kept = [
                name
                for name in dict.fromkeys(names)
                if words_of(name)
                and name != self._phrases[row]
                and (self._table.find(name) == row or claims[fold(name)] == 1)
                and self._table.find(name) in (row, None)
            ]
            owned.append(tuple(kept))
        return owned


def sure_sense(interest: Interest, neighbours: Sequence[str], nouns: Nouns) -> int | None:
    """The one sense that the interest surely has, or None.

    Args:
        interest: its phrase is looked up.
        neighbours: phrases that the graph joins with it.
        nouns: WordNet.
    """
    senses = [s for s in nouns.senses(interest.phrase) if nouns.is_own_name(interest.phrase, s)]
    if len(senses) <= 1:
        return senses[0] if senses else None
    near = {s for phrase in (*neighbours, *interest.aliases) for s in nouns.senses(phrase)}
    near -= set(senses)
    own_names = {alias.casefold() for alias in interest.aliases}
    agreed = [
        sense
        for sense in senses
        if near & nouns.ancestors(sense)
        or any(sense in nouns.ancestors(other) for other in near)
        or own_names & {word.casefold() for word in nouns.words(sense)}
    ]
    return agreed[0] if agreed == senses[:1] else None


def _synonyms(interest: Interest, sense: int, nouns: Nouns) -> list[str]:
    """Names of the sense that mostly mean it; no Latin, no names of people."""
    has_capital = interest.phrase != interest.phrase.lower()
    return [
        word
        for word in nouns.words(sense)
        if (has_capital or word == word.lower())
        and not any(letter.isdigit() for letter in word)
        and nouns.senses(word)[:1] == (sense,)
        and fold(word) != fold(interest.phrase)
    ]


def _broader_word(interest: Interest, sense: int, nouns: Nouns) -> str | None:
    """The next broader word; None for a name, or where it says too little or repeats the name."""
    if interest.phrase != interest.phrase.lower():
        return None
    for parent in nouns.broader(sense):
        word = nouns.words(parent)[0]
        repeats = set(fold(word).split()) & set(fold(interest.phrase).split())
        if len(nouns.ancestors(parent)) >= _FEWEST_ANCESTORS and not repeats:
            return word if word == word.lower() else None
    return None


def _neighbours(interests: Sequence[Interest], edges: Edges | None) -> list[list[str]]:
    found: list[list[str]] = [[] for _ in interests]
    if edges is not None:
        for (a, b), cosine in zip(edges.ends_E2.tolist(), edges.semantic_E.tolist(), strict=True):
            if cosine > 0:
                found[a].append(interests[b].phrase)
                found[b].append(interests[a].phrase)
    return found


def _open(wordnet: Path | None) -> Nouns | None:
    folder = find_wordnet() if wordnet == AUTO else wordnet
    if folder is None:
        if wordnet is not None:
            _tell_missing()
        return None
    return open_nouns(folder)


@cache
def _tell_missing() -> None:
    """Once per process."""
    _log.warning(
        "no WordNet data: texts have no synonyms and no broader words. Debian's package "
        "wordnet-base or NLTK's corpora/wordnet holds it"
    )
