"""The vocabulary that ships: large enough, readable, decent, and fit for the ontology."""

from pathlib import Path

import pytest

from inkling_server.interests.graph import GraphSnapshot, interest_id
from inkling_server.interests.snapshot import load_snapshot, newest_snapshot
from inkling_training import ontology
from inkling_training import vocabulary_names as names

EVERYDAY = """
    man, woman, boy, girl, child, baby, person, people, crowd, group, couple, family, friends,
    dog, puppy, cat, horse, bird, grass, field, water, snow, street, road, building, wall, park,
    playground, ball, bike, bicycle, skateboard, shirt, jacket, hat, dress, jeans, sunglasses,
    beach, ocean, sea, mountain, sky, tree, forest, car, table, chair, running, jumping,
    climbing, sitting, standing, swimming, skiing, surfing, cycling, playing, dancing, singing,
    party, concert, wedding, night, city, sunset, food, pizza, coffee, flower, lake, river
"""


@pytest.fixture(scope="module")
def shipped(repository: Path) -> GraphSnapshot:
    root = repository / "server" / "inkling_server" / "interests" / "default_graph"
    return load_snapshot(newest_snapshot(root))


def test_only_one_snapshot_ships(repository: Path) -> None:
    root = repository / "server" / "inkling_server" / "interests" / "default_graph"
    assert len(list(root.iterdir())) == 1


def test_there_are_thousands_of_readable_interests(shipped: GraphSnapshot) -> None:
    assert len(shipped.interests) >= 5_000
    assert sum(bool(interest.extractors) for interest in shipped.interests) >= 5_000
    for interest in shipped.interests:
        assert names.is_readable(interest.phrase), interest
        assert interest.id == interest_id(interest.phrase)
        assert interest.phrase == interest.phrase.strip()
        assert interest.count >= 0


def test_no_name_belongs_to_two_interests(shipped: GraphSnapshot) -> None:
    owners: dict[str, str] = {}
    for interest in shipped.interests:
        for name in {names.key(name) for name in (interest.phrase, *interest.aliases)}:
            assert owners.setdefault(name, interest.id) == interest.id, name
        assert len(set(interest.aliases)) == len(interest.aliases)
        assert interest.phrase not in interest.aliases


def test_nothing_indecent_ships(shipped: GraphSnapshot) -> None:
    blocklist = names.Blocklist.default()
    for interest in shipped.interests:
        shown = [name for name in (interest.phrase, *interest.aliases) if blocklist.blocks(name)]
        assert not shown


def test_every_phrase_of_the_ontology_is_an_interest(shipped: GraphSnapshot) -> None:
    known = {name for i in shipped.interests for name in (i.phrase, *i.aliases)}
    assert ontology.target_phrases() - known == set()


def test_everyday_words_are_interests(shipped: GraphSnapshot) -> None:
    known = {name for i in shipped.interests for name in (i.phrase, *i.aliases)}
    assert {word.strip() for word in EVERYDAY.split(",")} - known == set()


def test_counts_make_sensible_priors(shipped: GraphSnapshot) -> None:
    counts = {interest.phrase: interest.count for interest in shipped.interests}
    common = [counts[phrase] for phrase in ("person", "dog", "food", "beach", "sky", "water")]
    rare = [counts[phrase] for phrase in ("borzoi", "chiton", "sundial", "gyromitra")]
    assert min(common) > 1_000
    assert max(rare) < 100
