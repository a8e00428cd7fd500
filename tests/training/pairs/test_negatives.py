"""A negative is near and wrong; what may fit is never one."""

from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling_server.interests.graph import Interest
from inkling_training.pairs.competing import Competing
from inkling_training.pairs.fitting import MayFit, often_together
from inkling_training.pairs.negatives import NegativeMiner, Negatives
from inkling_training.wordnet import Nouns, find_wordnet, open_nouns
from tests.training.pairs.small_graph import INTERESTS, ROWS, small_graph

pytestmark = pytest.mark.training

ALL = range(len(INTERESTS))


@pytest.fixture(scope="module")
def nouns() -> Nouns:
    folder = find_wordnet()
    if folder is None:
        pytest.skip("no WordNet data")
    return open_nouns(folder)


def choose(
    positives: dict[str, float],
    named: Iterable[str] = (),
    *,
    nouns: Nouns | None = None,
    miner: NegativeMiner | None = None,
) -> list[str]:
    graph = small_graph()
    miner = miner or NegativeMiner(graph, MayFit(graph, nouns), Competing(INTERESTS, nouns))
    rows = {ROWS[name]: weight for name, weight in positives.items()}
    found = miner.choose(rows, {ROWS[name] for name in named} | rows.keys(), Random(1))
    return [INTERESTS[row].id for row in found.hard]


def test_the_nearest_competitors_come_first_without_what_shares_words() -> None:
    assert choose({"dog": 1.0}) == ["cat", "poodle", "wolf"]  # no guide dog, no hot dog


def test_wordnet_leaves_kinds_of_the_thing_out(nouns: Nouns) -> None:
    assert choose({"dog": 1.0}, nouns=nouns) == ["cat", "wolf"]  # a poodle is a dog
    assert "dog" not in choose({"poodle": 1.0}, nouns=nouns)


def test_what_the_item_names_is_no_negative() -> None:
    assert choose({"dog": 1.0}, ["cat"]) == ["poodle", "wolf"]
    # A pair that is too uncertain to be a positive still keeps its name out.
    assert choose({"dog": 1.0, "wolf": 0.11}) == ["cat", "poodle"]


def test_what_goes_together_in_the_items_or_the_engagement_is_no_negative() -> None:
    graph = small_graph((("cat", "dog", 0.6, 0.4), ("dog", "wolf", 0.5, 0.0)))
    together = often_together([[ROWS["dog"], ROWS["wolf"]]] * 3 + [[ROWS["park"]]] * 20)
    miner = NegativeMiner(graph, MayFit(graph, None, together), Competing(INTERESTS, None))
    assert choose({"dog": 1.0}, miner=miner) == []


def test_nearly_the_same_thing_is_no_negative() -> None:
    graph = small_graph((("cat", "dog", 0.7, 0.0),))
    miner = NegativeMiner(graph, MayFit(graph), Competing(INTERESTS, None))
    assert choose({"dog": 1.0}, miner=miner) == []


def test_generic_interests_are_no_negatives() -> None:
    graph = small_graph()
    miner = NegativeMiner(
        graph, MayFit(graph), Competing(INTERESTS, None), generic=frozenset({ROWS["cat"]})
    )
    assert "cat" not in choose({"dog": 1.0}, miner=miner)


def test_food_competes_with_its_siblings_alone(nouns: Nouns) -> None:
    competing = Competing(INTERESTS, nouns)
    assert competing(ROWS["pizza"], ROWS["sandwich"], joined=True)
    assert not Competing(INTERESTS, None)(ROWS["pizza"], ROWS["sandwich"], joined=True)
    assert not competing(ROWS["dog"], ROWS["park"], joined=False)


def test_things_of_a_set_and_roles_compete_with_nothing(nouns: Nouns) -> None:
    words = ("chair", "guitar", "lamb", "pizza", "sheep", "snack", "table", "violin")
    rows = {word: row for row, word in enumerate(words)}
    competing = Competing([Interest(word, word) for word in words], nouns)
    assert competing(rows["guitar"], rows["violin"], joined=True)
    assert not competing(rows["chair"], rows["table"], joined=False)
    assert not competing(rows["pizza"], rows["snack"], joined=False)
    assert not competing(rows["sheep"], rows["lamb"], joined=True)


def test_together_needs_two_items_and_more_than_chance() -> None:
    assert often_together([[1, 2], [3]] + [[4]] * 50) == frozenset()
    assert often_together([[2, 1], [1, 2, 2]] + [[4]] * 50) == {(1, 2)}
    rare = [[1]] * 500 + [[2]] * 500 + [[1, 2]] * 2
    assert often_together(rare) == frozenset()


@given(
    st.dictionaries(st.sampled_from(ALL), st.floats(0.1, 1.0), min_size=1, max_size=4),
    st.sets(st.sampled_from(ALL), max_size=4),
    st.lists(
        st.tuples(
            st.sampled_from(sorted(ROWS)),
            st.sampled_from(sorted(ROWS)),
            st.floats(0.0, 1.0, width=32),
            st.sampled_from([0.0, 0.0, 0.5]),
        ).filter(lambda edge: edge[0] < edge[1] and edge[2] + edge[3] > 0),
        max_size=30,
        unique_by=lambda edge: edge[:2],
    ),
    st.lists(st.sets(st.sampled_from(ALL), max_size=3), max_size=12),
)
def test_no_negative_is_ever_a_false_one(
    positives: dict[int, float],
    named: set[int],
    joined: list[tuple[str, str, float, float]],
    items: list[set[int]],
) -> None:
    graph = small_graph(tuple(joined))
    together = often_together(items)
    miner = NegativeMiner(graph, MayFit(graph, None, together), Competing(INTERESTS, None))
    found = miner.choose(positives, named | positives.keys(), Random(0))
    chosen = found.hard + found.random
    assert len(set(chosen)) == len(chosen)
    for negative in chosen:
        words = set(INTERESTS[negative].phrase.lower().split())
        for other in named | positives.keys():
            theirs = set(INTERESTS[other].phrase.lower().split())
            assert negative != other
            assert not words <= theirs
            assert not theirs <= words
            assert (min(negative, other), max(negative, other)) not in together
        for a, b, semantic, engagement in joined:
            if ROWS[a] == negative and ROWS[b] in named | positives.keys():
                assert semantic < 0.65
                assert engagement == 0
    again = miner.choose(positives, named | positives.keys(), Random(0))
    assert again == found == Negatives(found.hard, found.random)


def test_real_graph_gives_sound_negatives(repository: Path, nouns: Nouns) -> None:
    from inkling_server.interests.snapshot import load_snapshot, newest_snapshot

    folder = repository / "server" / "inkling_server" / "interests" / "default_graph"
    graph = load_snapshot(newest_snapshot(folder))
    rows = {interest.phrase: row for row, interest in enumerate(graph.interests)}
    miner = NegativeMiner(graph, MayFit(graph, nouns), Competing(graph.interests, nouns))

    def negatives(phrase: str) -> set[str]:
        found = miner.choose({rows[phrase]: 1.0}, {rows[phrase]}, Random(0))
        return {graph.interests[row].phrase for row in found.hard}

    assert not negatives("dog") & {"puppy", "pet", "animal", "poodle", "hot dog", "guide dog"}
    assert not negatives("car") & {"vehicle", "porsche", "bmw", "driving", "wheel", "sports car"}
    assert not negatives("cat") & {"kitten", "pet", "black cat", "animal"}
    assert all(map(negatives, ("car", "guitar", "dog")))
