"""Interests are found where a text names them, and believed as far as their place allows."""

from typing import Any

import pytest

from inkling_server.interests.content import ContentItem
from inkling_server.interests.mentions.matching import InterestMatcher
from inkling_server.interests.mentions.table import PhraseTable, words_of
from tests.training.pairs.small_graph import INTERESTS

MATCHER = InterestMatcher(INTERESTS)


def agreements(**texts: Any) -> dict[str, float]:
    read = MATCHER.read(ContentItem(id="x", **texts))
    return {INTERESTS[mention.row].id: round(mention.agreement, 3) for mention in read.mentions}


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A brown dog on the beaches.", {"dog": 1.0, "beach": 1.0}),
        ("Two hot dogs.", {"hot-dog": 1.0}),
        ("I park my car.", {"park": 0.2}),
        ("We walked in the park.", {"park": 1.0}),
        ("A cat surfing a wave.", {"cat": 1.0, "surfing": 0.9}),
        ("There is no dog here.", {"dog": 0.1}),
        ("A bag of dog food.", {"dog": 0.6}),
        ("A group of dogs", {"dog": 1.0}),
        ("A DOG IN THE PARK WITH US", {"dog": 1.0, "park": 1.0}),
        ("We went to the Dog Museum in town.", {"dog": 0.24}),
        ("Nice evening in Halifax.", {"halifax": 1.0}),
        ("It was good for us, ufc fans", {"ufc": 0.12}),
        ("UFC was on.", {"ufc": 1.0}),
        ("A hot, dog day", {"dog": 0.6}),
        ("", {}),
    ],
)
def test_place_in_the_sentence_says_how_far_a_name_counts(
    caption: str, expected: dict[str, float]
) -> None:
    assert agreements(caption=caption) == expected


def test_hashtags_are_split_and_whole_ones_count_more() -> None:
    assert agreements(hashtags=("HotDog", "DogPark", "beach")) == {
        "hot-dog": 1.0,
        "dog": 0.6,
        "park": 0.6,
        "beach": 1.0,
    }


def test_links_mentions_and_pages_are_cleaned_first() -> None:
    assert agreements(caption="@dog https://dog.com/pizza look", source="user_generated") == {}
    page = "<html><body><nav>pizza</nav><article><p>" + "The dog slept. " * 30 + "</p></article>"
    assert agreements(body=page, source="publisher") == {"dog": 1.0}


def test_another_language_gives_no_mentions_but_is_remembered() -> None:
    read = MATCHER.read(
        ContentItem(id="x", caption="Le chat et le dog dorment dans le jardin avec la grand-mère")
    )
    assert read.language == "fr"
    assert read.mentions == ()
    assert {INTERESTS[row].id for row in read.named} == {"dog"}


def test_extractors_raise_what_they_pick() -> None:
    matcher = InterestMatcher(INTERESTS, use_extractors=True)
    text = "I love my dog. This dog is old. A dog needs us. My brother saw it at the beach."
    read = matcher.read(ContentItem(id="x", body=text, source="publisher"))
    dog = next(m for m in read.mentions if INTERESTS[m.row].id == "dog")
    assert dog.extractors == ("tfidf", "rake", "textrank", "topicrank", "statistical")
    assert dog.agreement == 1.0
    plain = InterestMatcher(INTERESTS).read(ContentItem(id="x", body=text, source="publisher"))
    assert {mention.row for mention in plain.mentions} == {mention.row for mention in read.mentions}


def test_long_and_strange_texts_are_read() -> None:
    assert agreements(caption="dog " * 20_000)["dog"] > 0
    assert agreements(caption="\u202e\u0000🐕🐕 d\u0301og ﬁ ")
    assert "dog" in agreements(comments=("犬 dog",))


def test_accents_and_other_scripts_are_words() -> None:
    table = PhraseTable(INTERESTS)
    assert words_of("Crème Brûlée") == ("creme", "brulee")
    assert words_of("Кошка's 犬") == ("кошка", "犬")
    assert table.find("ДОГ") is None


def test_an_exact_name_beats_a_folded_one() -> None:
    from inkling_server.interests.graph import Interest

    table = PhraseTable([Interest("glass", "glass"), Interest("glasses", "glasses")])
    assert (table.find("glass"), table.find("glasses")) == (0, 1)
    assert PhraseTable([Interest("shorts", "shorts")]).find("short") is None
    assert PhraseTable([Interest("wolf", "wolf")]).find("wolves") == 0
