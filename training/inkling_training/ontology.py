"""What a class or a plain word implies: golden retriever -> dog, animal, pet 0.8, grass 0.25.

Reads three editorial tables below `resources/`; their headers tell how they were made and under
which licences. They are opinions about typical pictures (they come from judgement, not from
counting), good as weak supervision and nothing else. This module knows no pictures, no vocabulary
and no model.

    tag_groups.tsv      rows that many classes share, named with "@" in the other two
    imagenet_tags.tsv   ImageNet's 1,000 classes after "background"
    class_tags.tsv      gold tags of the sample pictures, COCO objects, everyday words
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

_RESOURCES = files("inkling_training") / "resources"


class OntologyError(ValueError):
    """A table holds a row that cannot be read; the text names the row."""


@dataclass(frozen=True, slots=True)
class Concept:
    """One row of a table.

    Attributes:
        tag: how the data names it: a gold tag, or the first name of an ImageNet class.
        phrase: what a person reads.
        aliases: other names that mean the same.
        interests: phrases with strengths in (0, 1]; holds `phrase` itself with 1. 1 = follows from
            the meaning.
    """

    tag: str
    phrase: str
    aliases: tuple[str, ...]
    interests: Mapping[str, float]


def expand(tag: str) -> Mapping[str, float]:
    """The interests of a tag, itself among them; an unknown tag means only itself."""
    return implications().get(tag.casefold(), {tag: 1.0})


@cache
def implications() -> Mapping[str, Mapping[str, float]]:
    """For every known tag, phrase and alias, lower case, its interests.

    Names that several rows claim: a gold tag beats a phrase, a phrase beats an ImageNet label, a
    label beats an alias; class_tags.tsv beats imagenet_tags.tsv; of two equal ImageNet labels
    ("crane") the later counts.
    """
    classes, imagenet = class_concepts(), imagenet_concepts()[1:]
    found: dict[str, Mapping[str, float]] = {}
    for concept in (*imagenet, *classes):
        found.update((alias.casefold(), concept.interests) for alias in concept.aliases)
    for concept in imagenet:
        found[concept.tag.casefold()] = concept.interests
    for concept in (*imagenet, *reversed(classes)):
        found[concept.phrase.casefold()] = concept.interests
    for concept in classes:
        found[concept.tag.casefold()] = concept.interests
    return MappingProxyType(found)


def imagenet_targets() -> tuple[Mapping[str, float], ...]:
    """The interests of each class of the teacher, by class index; index 0, background, has none."""
    background, *concepts = imagenet_concepts()
    assert background.phrase == "background"
    return (MappingProxyType({}), *(concept.interests for concept in concepts))


def target_phrases() -> frozenset[str]:
    """Every phrase that some row implies."""
    concepts = (*class_concepts(), *imagenet_concepts()[1:])
    return frozenset(phrase for concept in concepts for phrase in concept.interests)


def synonyms() -> Mapping[str, tuple[str, ...]]:
    """For every phrase with other names, those names."""
    found: dict[str, tuple[str, ...]] = {}
    for concept in (*class_concepts(), *imagenet_concepts()[1:]):
        if concept.aliases:
            known = found.get(concept.phrase, ())
            found[concept.phrase] = tuple(dict.fromkeys((*known, *concept.aliases)))
    return found


@cache
def imagenet_concepts() -> tuple[Concept, ...]:
    """The 1,001 classes of the teacher, by class index."""
    concepts = []
    for number, cells in enumerate(_rows("imagenet_tags.tsv", 5)):
        index, *rest = cells
        if index != str(number):
            raise OntologyError(f"imagenet_tags.tsv: row {index} stands where {number} should")
        concepts.append(_concept(rest))
    return tuple(concepts)


@cache
def class_concepts() -> tuple[Concept, ...]:
    """Gold tags of the sample pictures, COCO objects and everyday words."""
    return tuple(_concept(cells) for cells in _rows("class_tags.tsv", 4))


def parse_interests(cell: str, groups: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Reads "retriever, @dog, grass 0.3" with the groups' rows put in; the greater strength wins.

    Raises:
        OntologyError: an unknown group, or a strength outside (0, 1].
    """
    found: dict[str, float] = {}
    for item in filter(None, (part.strip() for part in cell.split(","))):
        if item.startswith("@"):
            if item[1:] not in groups:
                raise OntologyError(f"unknown group {item}")
            pairs = dict(groups[item[1:]])
        else:
            phrase, _, number = item.rpartition(" ")
            if not number.replace(".", "", 1).isdigit() or not phrase:
                phrase, number = item, "1"
            pairs = {phrase: float(number)}
        for phrase, strength in pairs.items():
            if not 0.0 < strength <= 1.0:
                raise OntologyError(f"strength of {item!r} is outside (0, 1]")
            found[phrase] = max(strength, found.get(phrase, 0.0))
    return found


@cache
def _groups() -> Mapping[str, Mapping[str, float]]:
    groups: dict[str, Mapping[str, float]] = {}
    waiting = dict(_rows("tag_groups.tsv", 2))
    while waiting:
        needs = {name: set(_group_names(cell)) for name, cell in waiting.items()}
        ready = [name for name in waiting if not needs[name] & waiting.keys()]
        if not ready:
            raise OntologyError(f"groups that need each other: {sorted(waiting)}")
        for name in ready:
            groups[name] = parse_interests(waiting.pop(name), groups)
    return groups


def _group_names(cell: str) -> Iterator[str]:
    return (part.strip()[1:] for part in cell.split(",") if part.strip().startswith("@"))


def _concept(cells: list[str]) -> Concept:
    tag, phrase, aliases, interests = cells
    others = tuple(alias.strip() for alias in aliases.split(",") if alias.strip())
    try:
        found = parse_interests(interests, _groups())
    except OntologyError as error:
        raise OntologyError(f"{tag}: {error}") from error
    return Concept(tag, phrase, others, MappingProxyType({phrase: 1.0} | found | {phrase: 1.0}))


def _rows(name: str, width: int) -> list[list[str]]:
    """The cells of a table's rows, without comments and the header.

    Raises:
        OntologyError: a row has another number of cells.
    """
    lines = (_RESOURCES / name).read_text(encoding="utf-8").splitlines()
    _header, *body = [line.split("\t") for line in lines if line and not line.startswith("#")]
    for cells in body:
        if len(cells) != width:
            raise OntologyError(f"{name}: {len(cells)} cells instead of {width} in {cells[:2]}")
    return body
