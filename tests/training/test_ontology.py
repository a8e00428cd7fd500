"""The editorial tables load, are consistent, and say what people would say."""

from collections.abc import Mapping

import pytest

from inkling_training import ontology
from inkling_training.ontology import OntologyError, expand, parse_interests


def test_every_class_of_the_teacher_has_interests() -> None:
    targets = ontology.imagenet_targets()
    assert len(targets) == 1_001
    assert targets[0] == {}
    assert min(len(target) for target in targets[1:]) >= 3


def test_strengths_lie_in_range_and_the_class_itself_is_certain() -> None:
    for concept in (*ontology.imagenet_concepts(), *ontology.class_concepts()):
        assert concept.interests[concept.phrase] == 1.0
        assert all(0.0 < strength <= 1.0 for strength in concept.interests.values())


@pytest.mark.parametrize(
    ("tag", "certain", "likely"),
    [
        ("golden retriever", {"retriever", "dog", "animal"}, {"pet", "puppy", "grass"}),
        ("ski", {"ski"}, {"skiing", "snow", "winter sport", "mountain", "person"}),
        ("ballplayer", {"baseball player", "sport", "person"}, {"baseball", "playing", "man"}),
        ("swimming trunks", {"swimsuit"}, {"swimming", "beach", "water", "boy", "summer"}),
        ("seashore", {"sea", "water", "landscape"}, {"beach", "sand", "ocean", "wave"}),
        ("groom", {"person"}, {"wedding", "bride", "couple", "man", "smiling"}),
        ("jean", {"clothing", "jeans"}, {"fashion", "person", "denim"}),
        ("mountain bike", {"bicycle"}, {"cycling", "trail", "outdoors", "forest"}),
        ("boy", {"child", "person"}, set()),
        ("granny smith", {"apple", "fruit", "food"}, {"green"}),
        ("arla standard milk", {"milk", "dairy", "food"}, {"carton"}),
        ("lakeside", {"water", "nature", "landscape"}, {"lake", "tree"}),
    ],
)
def test_tag_implies_what_people_would_say(tag: str, certain: set[str], likely: set[str]) -> None:
    interests = expand(tag)
    assert {phrase for phrase in certain if interests.get(phrase) == 1.0} == certain
    assert {phrase for phrase in likely if 0.0 < interests.get(phrase, 0.0) < 1.0} == likely


@pytest.mark.parametrize(
    "word", ["placental", "carnivore", "artifact", "instrumentality", "vertebrate", "entity"]
)
def test_words_of_taxonomists_are_not_interests(word: str) -> None:
    assert word not in ontology.target_phrases()


def test_everyday_interests_are_taught_by_many_classes() -> None:
    taught = [set(target) for target in ontology.imagenet_targets()]
    for phrase in (
        "person",
        "man",
        "child",
        "playing",
        "running",
        "grass",
        "snow",
        "beach",
        "water",
    ):
        assert sum(phrase in interests for interests in taught) >= 15, phrase
    for phrase in ("street", "city", "crowd", "night", "sport", "party", "people", "woman", "girl"):
        assert sum(phrase in interests for interests in taught) >= 4, phrase


def test_unknown_tag_means_only_itself() -> None:
    assert expand("quux") == {"quux": 1.0}


def test_lookup_ignores_case_and_accepts_aliases() -> None:
    assert expand("Mountain Lion") == expand("cougar")


def test_ambiguous_names_follow_the_gold_tags() -> None:
    assert "construction" in expand("crane")  # not the bird
    assert "clothing" in expand("cardigan")  # not the corgi
    assert "computer" in expand("mouse")  # as in COCO
    assert "flying" in expand("kite")
    assert "bird" not in expand("kite")


def test_certain_interests_are_certain_of_what_they_imply() -> None:
    """What follows by meaning must be transitive, or counts and targets would disagree."""
    implied: Mapping[str, Mapping[str, float]] = ontology.implications()
    for tag in ("puppy", "golden retriever", "skier", "cheeseburger", "little blue heron"):
        for phrase, strength in expand(tag).items():
            for further, certainty in implied.get(phrase, {}).items():
                if strength == certainty == 1.0 and further in {"dog", "bird", "person", "food"}:
                    assert expand(tag).get(further) == 1.0, (tag, phrase, further)


def test_parsing_merges_groups_and_keeps_the_greater_strength() -> None:
    groups = {"dog": {"dog": 1.0, "grass": 0.2}}
    parsed = parse_interests("retriever, @dog, grass 0.5, dog 0.1", groups)
    assert parsed.pop("retriever") == 1.0
    assert parsed.pop("grass") == 0.5
    assert parsed.pop("dog") == 1.0


@pytest.mark.parametrize("cell", ["@cat", "dog 1.5", "dog 0"])
def test_parsing_refuses_unknown_groups_and_strengths(cell: str) -> None:
    with pytest.raises(OntologyError):
        parse_interests(cell, {})
