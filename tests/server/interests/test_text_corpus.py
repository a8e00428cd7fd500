"""A corpus drops near duplicates, sets other languages aside, and counts both."""

import random
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkling_server.interests.content import ContentItem
from inkling_server.interests.text.document import Document, Field, Skipped, SkipReason
from inkling_server.interests.text.language import LanguageFilter
from inkling_server.interests.text.near_duplicates import NearDuplicates
from inkling_server.interests.text.preprocess import Corpus, TextSettings, preprocess

WORDS = [f"word{i}" for i in range(5_000)]
ARTICLE = "The new museum of modern glass opened its doors in the old harbour on Friday"


def test_document_has_sentences_in_the_order_of_fields() -> None:
    created = datetime(2026, 5, 1, tzinfo=UTC)
    item = ContentItem(
        id="a",
        title="Beach days",
        caption="Loving the waves. So warm!",
        hashtags=("summervibes",),
        location="Brooklyn",
        created_time=created,
    )
    document = preprocess(item)
    assert isinstance(document, Document)
    assert (document.id, document.source, document.created_time) == (
        "a",
        "user_generated",
        created,
    )
    assert [(s.field, s.text) for s in document.sentences] == [
        (Field.TITLE, "Beach days"),
        (Field.CAPTION, "Loving the waves."),
        (Field.CAPTION, "So warm!"),
        (Field.HASHTAG, "summer vibes"),
        (Field.LOCATION, "Brooklyn"),
    ]
    assert [t.normal for t in document.tokens()][:2] == ["beach", "day"]


def test_hashtags_alone_are_a_document_in_any_language() -> None:
    item = ContentItem(id="1", hashtags=("wunderbar", "schönertag", "sonnenuntergang"))
    assert isinstance(preprocess(item), Document)


@pytest.mark.parametrize("caption", ["", "  \n", "😂😂", "@jo https://x.y/z", "!!! 123 #fyp"])
def test_item_without_words_is_empty(caption: str) -> None:
    assert preprocess(ContentItem(id="1", caption=caption)) == Skipped("1", SkipReason.EMPTY)


def test_corpus_counts_what_it_leaves_out() -> None:
    captions = [
        ARTICLE,
        ARTICLE + " #museum",
        "Ich habe heute einen sehr schönen Tag am See verbracht",
        "今日はとても天気がいいので公園に行きました",
        "😂",
        "Best noodles in town, and a view of the river",
    ]
    corpus = Corpus()
    items = (ContentItem(id=str(i), caption=caption) for i, caption in enumerate(captions))
    assert [document.id for document in corpus.documents(items)] == ["0", "5"]
    counts = corpus.counts
    assert (counts.read, counts.kept, counts.near_duplicate, counts.empty) == (6, 2, 1, 1)
    assert counts.other_language == {"de": 1, "ja": 1}


def test_configured_languages_are_kept() -> None:
    german = ContentItem(id="1", caption="Ich habe heute einen sehr schönen Tag am See verbracht")
    assert isinstance(preprocess(german, TextSettings(languages=("en", "de"))), Document)
    with pytest.raises(ValueError, match="languages"):
        LanguageFilter(("xx",))
    with pytest.raises(ValueError, match="languages"):
        LanguageFilter(())


@pytest.mark.parametrize(
    "text",
    [
        "cat dog",
        "Cristiano Ronaldo Messi Neymar",
        "omg this is so good lol",
        "cake decorating nyc",
        "Namaste yoga retreat Bali",
        "",
    ],
)
def test_short_text_and_names_are_not_taken_for_another_language(text: str) -> None:
    assert LanguageFilter().foreign(text) is None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("le meilleur restaurant de la ville est ouvert", "fr"),
        ("hoy es un día muy bonito para pasear por la playa", "es"),
        ("Сегодня очень хорошая погода и мы гуляем", "ru"),
    ],
)
def test_other_languages_are_named(text: str, language: str) -> None:
    assert LanguageFilter().foreign(text) == language


def test_near_duplicates_are_found_and_other_texts_are_not() -> None:
    rng = random.Random(5)
    near = NearDuplicates(0.7)
    texts = [rng.sample(WORDS, 30) for _ in range(300)]
    assert not any(near.seen(text) for text in texts)
    assert all(near.seen(text) for text in texts)
    # One word of thirty changed: similarity 0.87.
    assert sum(near.seen([*text[:15], "new", *text[16:]]) for text in texts) >= 295
    # Half of the words are new: similarity 0.33.
    assert not any(near.seen(text[:15] + rng.sample(WORDS, 15)) for text in texts)


def test_short_texts_never_repeat_each_other() -> None:
    near = NearDuplicates()
    assert not near.seen(["sea"] * 50)
    assert not near.seen(["sea"] * 50)


def test_near_duplicates_forget_the_oldest() -> None:
    rng = random.Random(6)
    near = NearDuplicates(0.9, capacity=10)
    texts = [rng.sample(WORDS, 20) for _ in range(11)]
    for text in texts:
        assert not near.seen(text)
    assert near.seen(texts[-1])
    assert not near.seen(texts[0])


def test_near_duplicates_refuse_impossible_settings() -> None:
    for similarity, capacity in ((0.0, 1), (1.1, 1), (0.5, 0)):
        with pytest.raises(ValueError, match="similarity"):
            NearDuplicates(similarity, capacity)


def _texts(count: int, seed: int) -> list[list[str]]:
    rng = random.Random(seed)
    return [rng.sample(WORDS, 20) for _ in range(count)]


def test_restored_near_duplicates_remember_the_same() -> None:
    texts, near = _texts(50, 7), NearDuplicates()
    assert not any(near.seen(text) for text in texts)
    restored = NearDuplicates()
    restored.restore(near.signatures())
    assert np.array_equal(restored.signatures(), near.signatures())
    assert all(restored.seen(text) for text in texts)
    assert not any(restored.seen(text) for text in _texts(50, 8))


@settings(max_examples=20, deadline=None)
@given(count=st.integers(0, 40), cut=st.integers(0, 40))
def test_going_on_in_another_process_changes_no_answer(count: int, cut: int) -> None:
    # More than are remembered, with repeats of recent and of forgotten ones.
    rng = random.Random(count)
    fresh = _texts(count, 9)
    stream = [text for i in range(count) for text in (fresh[i], fresh[rng.randrange(i + 1)])]
    whole, first, second = (NearDuplicates(capacity=12) for _ in range(3))
    expected = [whole.seen(text) for text in stream]
    found = [first.seen(text) for text in stream[:cut]]
    second.restore(first.signatures())
    found += [second.seen(text) for text in stream[cut:]]
    assert found == expected
    assert np.array_equal(second.signatures(), whole.signatures())


def test_signatures_are_of_the_newest_texts_oldest_first() -> None:
    texts, near, few = _texts(25, 10), NearDuplicates(capacity=10), NearDuplicates(capacity=10)
    for text in texts:
        near.seen(text)
    for text in texts[15:]:
        few.seen(text)
    assert near.signatures().shape == (10, 64)
    assert np.array_equal(near.signatures(), few.signatures())


def test_smaller_memory_restores_the_newest() -> None:
    texts, near, smaller = _texts(25, 11), NearDuplicates(), NearDuplicates(capacity=10)
    for text in texts:
        near.seen(text)
    smaller.restore(near.signatures())
    assert [smaller.seen(text) for text in texts[15:]] == [True] * 10
    assert not smaller.seen(texts[14])


def test_signatures_that_are_handed_out_do_not_change() -> None:
    near = NearDuplicates(capacity=3)
    near.seen(_texts(1, 12)[0])
    before = near.signatures()
    copy = before.copy()
    for text in _texts(5, 13):
        near.seen(text)
    assert np.array_equal(before, copy)


@pytest.mark.parametrize("shape", [(3,), (3, 63), (3, 64, 1)])
def test_what_are_no_signatures_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="signatures"):
        NearDuplicates().restore(np.zeros(shape, np.uint32))


def test_corpus_goes_on_where_another_stopped() -> None:
    one = Corpus()
    assert isinstance(one.add(ContentItem(id="1", caption=ARTICLE)), Document)
    other = Corpus(signatures_MH=one.signatures())
    repeat = other.add(ContentItem(id="2", caption=ARTICLE + " #museum"))
    assert repeat == Skipped("2", SkipReason.NEAR_DUPLICATE)
    assert (other.counts.read, other.counts.near_duplicate) == (1, 1)
