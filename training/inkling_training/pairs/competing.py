"""Which interests compete for the same place in a picture: what is one of them is not the other.

What stands near an interest in the graph is of two sorts. Some compete with it: a mandolin for a
guitar, an otter for a beaver. Others go along with it: who plays it, who makes it, where and what
for. Only the first are negatives. Told apart by what a word's commonest sense names (the server's
`noun_kinds`, from WordNet) and by WordNet's broader senses:

    kind of both          compete when
    animal                they are cousins, or the graph does not join them (a lamb and a sheep)
    artifact, food, plant they are siblings: a pizza and a burrito, not a pizza and its cheese
    both are names        the same kind of name: two towns, two bands
    anything else         never: a nurse may be a woman, a beach a coast, and both a holiday

Siblings share a sense right above one of them, and at most two steps above the other; cousins share
one two steps above both. Things that come in sets (furniture, clothes, tableware) and words for a
role (a snack, a toy) compete with nothing: both may be there. Without WordNet nobody's siblings are
known, and of all these only animals and names compete. It does not know pictures; `fitting` has its
own say about every candidate.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

from inkling_server.interests.graph import Interest
from inkling_server.interests.noun_kinds import noun_kinds
from inkling_training.wordnet import Nouns

_ANIMAL = "animal"
_BY_FAMILY = frozenset({"artifact", "food", "plant"})
_SETS = frozenset(
    """
    furniture furnishing clothing garment footwear tableware cutlery kitchenware jewelry
    bedclothes fixture plaything room area way cosmetic building_material beverage vegetable
    condiment
    """.split()  # noqa: SIM905 - a word list
)
_ROLES = frozenset(
    {
        "antique", "appetizer", "breakfast", "brunch", "buffet", "collectible", "comfort food",
        "decoration", "dessert", "dinner", "fast food", "gadget", "gift", "ingredient", "junk food",
        "lunch", "main course", "meal", "ornament", "pet", "picnic", "potluck", "present", "supper",
        "side dish", "snack", "souvenir", "street food", "tool", "toy", "treat", "weed",
    }
)  # fmt: skip
# Senses so broad that two things below them need not exclude each other: a building has a balcony.
_BROAD = frozenset(
    {"artifact", "container", "covering", "creation", "device", "equipment", "structure"}
)
_SENSES = 2  # of a word: rarer ones are seldom meant


class Competing:
    """Answers for two interests, by rows. One thread at a time.

    Args:
        interests: the graph's.
        nouns: WordNet, where there is one.
    """

    def __init__(self, interests: Sequence[Interest], nouns: Nouns | None) -> None:
        self._interests = interests
        self._nouns = nouns
        self._kinds: dict[int, tuple[str, bool]] = {}
        self._above: dict[int, tuple[frozenset[int], frozenset[int]]] = {}
        self._in_set: dict[int, bool] = {}
        self._families: Mapping[int, Sequence[int]] | None = None

    def __call__(self, one: int, other: int, *, joined: bool) -> bool:
        """Whether they compete; symmetric.

        Args:
            one: an interest's row.
            other: another's.
            joined: a semantic edge of the graph joins them.
        """
        kind, is_name = self._kind(one)
        if (kind, is_name) != self._kind(other):
            return False
        if is_name:
            return True
        if self._is_role(one) or self._is_role(other):
            return False
        if kind == _ANIMAL:
            return not joined or self._nouns is None or self._are_cousins(one, other)
        return kind in _BY_FAMILY and self._are_siblings(one, other)

    def family(self, row: int) -> Sequence[int]:
        """Rows right below the same broader sense, wherever the graph has them; by row."""
        if self._nouns is None:
            return ()
        if self._families is None:
            families: dict[int, list[int]] = defaultdict(list)
            for member in range(len(self._interests)):
                for sense in self._parents(member, self._nouns):
                    families[sense].append(member)
            self._families = MappingProxyType(families)
        members = {m for sense in self._parents(row, self._nouns) for m in self._families[sense]}
        return sorted(members - {row})

    def _kind(self, row: int) -> tuple[str, bool]:
        """What the interest names, and whether it is a name."""
        known = self._kinds.get(row)
        if known is None:
            known = self._kinds[row] = _kind_of(self._interests[row].phrase)
        return known

    def _is_role(self, row: int) -> bool:
        known = self._in_set.get(row)
        if known is None:
            phrase = self._interests[row].phrase
            known = phrase in _ROLES
            if self._nouns is not None:
                senses = self._nouns.known_senses(phrase)[:_SENSES]
                above = {up for sense in senses for up in self._nouns.ancestors(sense)}
                words = {word.replace(" ", "_") for s in above for word in self._nouns.words(s)}
                known = known or bool(words & _SETS)
            self._in_set[row] = known
        return known

    def _are_siblings(self, one: int, other: int) -> bool:
        (mine, mine_above), (theirs, theirs_above) = self._near_above(one), self._near_above(other)
        return bool(mine & theirs or mine & theirs_above or theirs & mine_above)

    def _are_cousins(self, one: int, other: int) -> bool:
        (mine, mine_above), (theirs, theirs_above) = self._near_above(one), self._near_above(other)
        return bool((mine | mine_above) & (theirs | theirs_above))

    def _near_above(self, row: int) -> tuple[frozenset[int], frozenset[int]]:
        """Senses one step above, and those two steps above."""
        known = self._above.get(row)
        if known is None:
            parents: set[int] = set()
            grandparents: set[int] = set()
            if self._nouns is not None:
                for sense in self._nouns.known_senses(self._interests[row].phrase)[:_SENSES]:
                    parents.update(self._nouns.broader(sense))
                for parent in parents:
                    grandparents.update(self._nouns.broader(parent))
            known = self._above[row] = self._narrow(parents), self._narrow(grandparents)
        return known

    def _narrow(self, senses: set[int]) -> frozenset[int]:
        return frozenset(s for s in senses if self._nouns and self._nouns.words(s)[0] not in _BROAD)

    def _parents(self, row: int, nouns: Nouns) -> tuple[int, ...]:
        """Above the interest's own commonest sense: a compound's head says too little here."""
        senses = nouns.senses(self._interests[row].phrase)[:1]
        return tuple(parent for sense in senses for parent in nouns.broader(sense))


@cache
def _kind_of(phrase: str) -> tuple[str, bool]:
    words = phrase.casefold().split()
    if phrase != phrase.lower():
        found = noun_kinds().get(" ".join(words))
        return (found.kind if found is not None else "", True)
    while words:
        found = noun_kinds().get(" ".join(words))
        if found is not None:
            return found.kind, found.is_proper
        words = words[1:]
    return "", True  # no dictionary has it: a brand, a band, a town
