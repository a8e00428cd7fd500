"""Whether an interest may also fit a picture that shows another one: then it is no negative.

`MayFit(a, b)` errs on the side of yes: a missed negative costs little, a false one teaches a lie.
Yes, if one of these holds for the two:

    they are one interest, or share a name (phrase or alias, whatever the number)
    one's words are among the other's ("dog", "guide dog"), or one word ends in the other
    ("sailboat", "boat")
    their semantic edge is at least `SAME_THING`: the graph takes them for nearly the same
    WordNet, any senses: the same sense, one a kind of the other, or one a part or the substance of
    the other; a compound that WordNet lacks counts as its head
    the ontology says that one follows from the other with a strength above 0.2 (dog -> grass)
    people engage with both: an engagement edge
    the mined items have both often: at least twice, and NPMI >= 0.1 or one in ten of the items of
    either has the other

What it cannot know: that a picture shows something which nobody names and nothing implies.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations

from inkling_server.interests.graph import GraphSnapshot, Interest
from inkling_server.interests.mentions.table import fold
from inkling_training import ontology
from inkling_training.wordnet import Nouns

SAME_THING = 0.65
_POSSIBLE = 0.2  # strength of the ontology
_NPMI, _CONDITIONAL, _FEWEST_TOGETHER = 0.1, 0.1, 2
_SHORTEST_TAIL = 4
# Items that name more say little of what goes together, and cost the square of it.
_MOST_NAMED = 100


class MayFit:
    """Answers for two interests, by rows of the graph. One thread at a time.

    Args:
        graph: interests and edges.
        nouns: WordNet, or None: its rule is left out.
        together: pairs of rows (smaller first) that the mined items often have both, see
            `often_together`.
    """

    def __init__(
        self,
        graph: GraphSnapshot,
        nouns: Nouns | None = None,
        together: frozenset[tuple[int, int]] = frozenset(),
    ) -> None:
        self._interests = graph.interests
        self._nouns = nouns
        self._together = together
        edges = graph.edges
        near = (edges.semantic_E >= SAME_THING) | (edges.engagement_E > 0)
        self._joined = {(int(a), int(b)) for a, b in edges.ends_E2[near]}
        self._names: dict[int, frozenset[tuple[str, ...]]] = {}
        self._implied: dict[int, frozenset[str]] = {}
        self._senses: dict[int, tuple[frozenset[int], frozenset[int]]] = {}
        self._known: dict[tuple[int, int], bool] = {}

    def __call__(self, one: int, other: int) -> bool:
        """Whether a picture of `one` may show `other` as well; symmetric."""
        pair = (one, other) if one <= other else (other, one)
        answer = self._known.get(pair)
        if answer is None:
            answer = self._known[pair] = self._fits(*pair)
        return answer

    def _fits(self, one: int, other: int) -> bool:
        return (
            one == other
            or (one, other) in self._joined
            or (one, other) in self._together
            or self._share_words(one, other)
            or bool(self._folded(one) & self._implied_by(other))
            or bool(self._folded(other) & self._implied_by(one))
            or self._are_kin(one, other)
        )

    def _share_words(self, one: int, other: int) -> bool:
        for mine in self._names_of(one):
            for theirs in self._names_of(other):
                if set(mine) <= set(theirs) or set(theirs) <= set(mine):
                    return True
                short, long = sorted((mine[-1], theirs[-1]), key=len)
                if len(short) >= _SHORTEST_TAIL and long.endswith(short) and short != long:
                    return True
        return False

    def _names_of(self, row: int) -> frozenset[tuple[str, ...]]:
        known = self._names.get(row)
        if known is None:
            known = self._names[row] = _folded_names(self._interests[row])
        return known

    def _folded(self, row: int) -> frozenset[str]:
        return frozenset(" ".join(name) for name in self._names_of(row))

    def _implied_by(self, row: int) -> frozenset[str]:
        known = self._implied.get(row)
        if known is None:
            interest = self._interests[row]
            known = self._implied[row] = frozenset(
                fold(phrase)
                for name in (interest.phrase, *interest.aliases)
                for phrase, strength in ontology.expand(name).items()
                if strength > _POSSIBLE
            )
        return known

    def _are_kin(self, one: int, other: int) -> bool:
        if self._nouns is None:
            return False
        mine, above_mine = self._senses_of(one, self._nouns)
        theirs, above_theirs = self._senses_of(other, self._nouns)
        return bool(mine & theirs or mine & above_theirs or theirs & above_mine)

    def _senses_of(self, row: int, nouns: Nouns) -> tuple[frozenset[int], frozenset[int]]:
        """Senses of all names, and all that is above them: broader, or a whole."""
        known = self._senses.get(row)
        if known is None:
            interest = self._interests[row]
            senses = {
                sense
                for name in (interest.phrase, *interest.aliases)
                for sense in nouns.known_senses(name)
            }
            above = {up for sense in senses for up in nouns.above(sense)}
            known = self._senses[row] = frozenset(senses), frozenset(above)
        return known


def often_together(items: Sequence[Iterable[int]]) -> frozenset[tuple[int, int]]:
    """Pairs of rows, smaller first, that items have both more than by chance, or often at all.

    NPMI (Bouma 2009) of a pair: ln(p(a, b) / (p(a) p(b))) / -ln p(a, b), in [-1, 1].

    Args:
        items: for each item, the rows that its texts and tags name.
    """
    count = len(items)
    single: Counter[int] = Counter()
    both: Counter[tuple[int, int]] = Counter()
    for rows in items:
        unique = sorted(set(rows))
        single.update(unique)
        both.update(combinations(unique[:_MOST_NAMED], 2))
    found = set()
    for (a, b), together in both.items():
        if together < _FEWEST_TOGETHER:
            continue
        share = together / count
        lift = math.log(together * count / (single[a] * single[b]))
        npmi = 1.0 if share == 1 else lift / -math.log(share)
        if npmi >= _NPMI or together >= _CONDITIONAL * min(single[a], single[b]):
            found.add((a, b))
    return frozenset(found)


def _folded_names(interest: Interest) -> frozenset[tuple[str, ...]]:
    names = (tuple(fold(name).split()) for name in (interest.phrase, *interest.aliases))
    return frozenset(name for name in names if name)
