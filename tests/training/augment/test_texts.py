"""Texts for an interest say it in other words, and never say another interest."""

import logging
from pathlib import Path
from random import Random

import numpy as np
import pytest

from inkling_server.interests.graph import Edges, Interest
from inkling_server.interests.mentions.table import PhraseTable
from inkling_training.augment import texts
from inkling_training.augment.articles import with_article
from inkling_training.augment.texts import TextAugmenter
from inkling_training.pairs.samples import MinedPair, PairSample
from inkling_training.wordnet import find_wordnet

pytestmark = pytest.mark.training

INTERESTS = (
    Interest("bat", "bat"),
    Interest("cat", "cat", ("cats", "kitty")),
    Interest("dog", "dog", ("dogs",)),
    Interest("halifax", "Halifax"),
    Interest("hedge", "hedge"),
    Interest("jeans", "jeans"),
    Interest("kitten", "kitten", ("kitty",)),
    Interest("poodle", "poodle"),
    Interest("umbrella", "umbrella"),
)
ROWS = {interest.id: row for row, interest in enumerate(INTERESTS)}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def wordnet() -> Path:
    folder = find_wordnet()
    if folder is None:
        pytest.skip("no WordNet data")
    return folder


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("dog", "a dog"),
        ("umbrella", "an umbrella"),
        ("unicorn", "a unicorn"),
        ("university", "a university"),
        ("apple pie", "an apple pie"),
        ("cup of coffee", "a cup of coffee"),
        ("guide dog", "a guide dog"),
        ("dogs", "dogs"),
        ("children", "children"),
        ("jeans", "jeans"),
        ("glasses", "glasses"),
        ("people", "people"),
        ("rice", "rice"),
        ("snow", "snow"),
        ("surfing", "surfing"),
        ("playing guitar", "playing guitar"),
        ("rocking horse", "a rocking horse"),
        ("building", "a building"),
        ("wedding", "a wedding"),
        ("yoga", "yoga"),
        ("vintage", "vintage"),
        ("Halifax", "Halifax"),
        ("paris", "paris"),
        ("UFC", "UFC"),
        ("xyzzy", "xyzzy"),
        ("", ""),
    ],
)
def test_articles_are_right(phrase: str, expected: str) -> None:
    assert with_article(phrase) == expected


def test_the_same_rng_gives_the_same_texts() -> None:
    one, other = (TextAugmenter(INTERESTS, wordnet=None) for _ in range(2))
    rows = [Random(1).randrange(len(INTERESTS)) for _ in range(200)]
    first, second = rng(5), rng(5)
    assert [one.render(r, first) for r in rows] == [other.render(r, second) for r in rows]


def test_shares_are_kept() -> None:
    augmenter = TextAugmenter(INTERESTS, wordnet=None, share_plain=0.5, share_names=0.2)
    generator = rng()
    found = [augmenter.render(ROWS["dog"], generator) for _ in range(4_000)]
    assert sum(text in ("dog", "dogs") for text in found) == pytest.approx(2_000, rel=0.1)
    assert sum("dogs" in text for text in found) == pytest.approx(800, rel=0.15)
    assert "a photo of a dog" in found
    assert "a photo of dogs" in found


def test_share_plain_of_one_gives_bare_phrases() -> None:
    augmenter = TextAugmenter(INTERESTS, wordnet=None, share_plain=1.0, share_names=0.0)
    assert {augmenter.render(ROWS["cat"], rng(n)) for n in range(50)} == {"cat"}


def test_a_name_that_another_interest_has_is_never_used() -> None:
    augmenter = TextAugmenter(INTERESTS, wordnet=None, synonyms={"dog": ("kitten", "pooch")})
    assert "kitten" not in augmenter.names(ROWS["dog"])
    assert "pooch" in augmenter.names(ROWS["dog"])
    # Two claim "kitty": it belongs to one of them at most.
    owners = [row for row in range(len(INTERESTS)) if "kitty" in augmenter.names(row)]
    assert len(owners) <= 1


def test_wordnet_adds_synonyms_and_broader_words_of_sure_senses(wordnet: Path) -> None:
    augmenter = TextAugmenter(INTERESTS, wordnet=wordnet, share_plain=0.0, share_broader=1.0)
    assert augmenter.names(ROWS["hedge"]) == ()  # a bush, or a way to be careful
    assert augmenter.names(ROWS["bat"]) == ()
    assert augmenter.broader(ROWS["poodle"]) == "dog"
    assert augmenter.broader(ROWS["halifax"]) is None
    found = {augmenter.render(ROWS["poodle"], rng(n)) for n in range(40)}
    assert any("a poodle, a kind of dog" in text for text in found)


def test_a_graph_neighbour_makes_a_sense_sure(wordnet: Path) -> None:
    edges = Edges(
        np.array([[ROWS["dog"], ROWS["poodle"]]], np.int32),
        np.array([0.6], np.float32),
        np.zeros(1, np.float32),
        np.array([0.6], np.float32),
    )
    alone = TextAugmenter(INTERESTS, wordnet=wordnet)
    joined = TextAugmenter(INTERESTS, edges=edges, wordnet=wordnet)
    assert "domestic dog" not in alone.names(ROWS["dog"])
    assert "domestic dog" in joined.names(ROWS["dog"])


def test_no_name_of_the_real_graph_belongs_to_another(repository: Path) -> None:
    from inkling_server.interests.snapshot import load_snapshot, newest_snapshot

    folder = repository / "server" / "inkling_server" / "interests" / "default_graph"
    graph = load_snapshot(newest_snapshot(folder))
    augmenter = TextAugmenter(graph.interests, edges=graph.edges)
    table = PhraseTable(graph.interests)
    for row in range(len(graph.interests)):
        assert {table.find(name) for name in augmenter.names(row)} <= {row, None}


def test_without_wordnet_it_says_so_once_and_works(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(texts, "find_wordnet", lambda: None)
    texts._tell_missing.cache_clear()
    with caplog.at_level(logging.WARNING):
        augmenters = [TextAugmenter(INTERESTS) for _ in range(2)]
    assert [record.message[:15] for record in caplog.records] == ["no WordNet data"]
    assert augmenters[0].render(ROWS["dog"], rng())
    caplog.clear()
    TextAugmenter(INTERESTS, wordnet=None)
    assert not caplog.records


@pytest.mark.parametrize("template", ["a photo", "{} and {}", "a {name}", "a {} {0}", "{"])
def test_bad_templates_are_refused(template: str) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        TextAugmenter(INTERESTS, templates=(template,), wordnet=None)


def test_bad_shares_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        TextAugmenter(INTERESTS, wordnet=None, share_plain=1.5)
    with pytest.raises(ValueError, match="at least one"):
        TextAugmenter(INTERESTS, wordnet=None, templates=())


def _sample(*captions: str) -> PairSample:
    pairs = (MinedPair("dog", "dog", 0.9), MinedPair("cat", "cat", 0.1), MinedPair("x", "x", 1.0))
    return PairSample("a/b", "a", "train", b"", pairs, captions=captions)


def test_a_caption_is_a_sentence_that_names_a_positive() -> None:
    augmenter = TextAugmenter(INTERESTS, wordnet=None)
    sample = _sample("What a day! Two dogs ran. It rained.", "A cat.", "My dog", "dog " * 200)
    found = {augmenter.caption(sample, rng(n)) for n in range(60)}
    assert found == {"Two dogs ran.", "My dog"}
    assert augmenter.caption(_sample("A cat sat."), rng()) is None
    assert augmenter.caption(_sample(), rng()) is None
