"""Words become tokens; spellings and inflections of one noun share a normal form."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkling_server.interests.text.document import Field, TokenKind
from inkling_server.interests.text.elongations import shorten, shorten_elongations
from inkling_server.interests.text.emoji_words import emoji_name, replace_emoji
from inkling_server.interests.text.slang import expand_slang, slang
from inkling_server.interests.text.tokens import sentences, token, tokens


@pytest.mark.parametrize(
    ("form", "normal"),
    [
        ("Colours", "color"),
        ("jewellery", "jewelry"),
        ("travellers", "traveler"),
        ("cats", "cat"),
        ("buses", "bus"),
        ("houses", "house"),
        ("cities", "city"),
        ("selfies", "selfie"),
        ("movies", "movie"),
        ("knives", "knife"),
        ("children", "child"),
        ("women", "woman"),
        ("potatoes", "potato"),
        ("quizzes", "quiz"),
        ("matrices", "matrix"),
        ("NFTs", "nft"),
        ("hot-dogs", "hot-dog"),
        ("U.S.", "us"),
    ],
)
def test_spellings_and_plurals_merge(form: str, normal: str) -> None:
    assert token(form).normal == normal


@pytest.mark.parametrize(
    "form",
    [
        *(
            "Paris",
            "Texas",
            "Beatles",
            "Starbucks",
            "Mercedes",
            "jeans",
            "pants",
            "news",
            "physics",
        ),
        *("tennis", "chess", "boss", "lens", "data", "media", "series", "basis", "princess", "gas"),
    ],
)
def test_what_is_no_plural_stays(form: str) -> None:
    assert token(form).normal == form.lower()


@pytest.mark.parametrize(
    ("form", "root"),
    [
        ("running", "run"),
        ("hoping", "hope"),
        ("hopping", "hop"),
        ("adding", "add"),
        ("studied", "study"),
        ("ate", "eat"),
        ("travelling", "travel"),
        ("wedding", "wedding"),
        ("clothing", "clothing"),
        ("bed", "bed"),
        ("king", "king"),
    ],
)
def test_verb_endings_come_off_the_root_only(form: str, root: str) -> None:
    assert token(form).root == root


def test_stop_words_numbers_and_punctuation_are_told_apart() -> None:
    kinds = [(t.text, t.kind, t.is_stop) for t in tokens("The 3.5 cats don't!")]
    assert kinds == [
        ("The", TokenKind.WORD, True),
        ("3.5", TokenKind.NUMBER, False),
        ("cats", TokenKind.WORD, False),
        ("don't", TokenKind.WORD, True),
        ("!", TokenKind.PUNCTUATION, False),
    ]


def test_words_keep_what_belongs_to_them() -> None:
    text = "AT&T’s real-time node.js, C++ and the U.S. in the 80s: Amsterdam's x-ray"
    assert [t.text for t in tokens(text)] == [
        *("AT&T", "real-time", "node.js", ",", "C++", "and", "the", "U.S.", "in", "the", "80s"),
        *(":", "Amsterdam", "x-ray"),
    ]


def test_equal_forms_share_one_token() -> None:
    first, second = tokens("sea sea")
    assert first is second


def test_sentences_end_at_marks_and_lines_but_not_at_abbreviations() -> None:
    text = 'Mr. Smith of St. Ives met Dr. No. "Great!" he said. Costs 3.5 now... Then\nmore'
    assert [s.text for s in sentences(text, Field.CAPTION)] == [
        "Mr. Smith of St. Ives met Dr. No.",
        '"Great!" he said.',
        "Costs 3.5 now...",
        "Then",
        "more",
    ]
    assert [s.text for s in sentences("one\ntwo\n\nthree", line_breaks=False)] == [
        "one\ntwo",
        "three",
    ]


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read(text: str) -> None:
    for sentence in sentences(text):
        assert sentence.tokens
        assert all(t.text and t.normal for t in sentence.tokens)


@pytest.mark.parametrize(
    ("stretched", "word"),
    [
        ("sooooo", "so"),
        ("goooood", "good"),
        ("YESSSS", "YES"),
        ("cooool", "cool"),
        ("www", "www"),
        ("balloon", "balloon"),
        ("zzxqqqqv", "zzxqqv"),
    ],
)
def test_stretched_words_become_words(stretched: str, word: str) -> None:
    assert shorten(stretched) == word


def test_only_stretched_words_of_a_text_change() -> None:
    assert shorten_elongations("Sooooo good, balloon!!!") == "So good, balloon!!!"


@pytest.mark.parametrize(
    ("symbol", "words"),
    [
        ("🍕", "pizza"),
        ("🏄🏽‍♂️", "surfing"),
        ("🇫🇷", "france"),
        ("🐶", "dog"),
        ("🎄", "christmas tree"),
        ("👩‍🍳", "cook"),
        ("😂", ""),
        ("❤️", ""),
        ("👍🏽", ""),
        ("➡️", ""),
    ],
)
def test_emoji_of_things_have_names_and_moods_have_none(symbol: str, words: str) -> None:
    assert emoji_name(symbol).lower() == words


def test_repeated_emoji_are_said_once_and_set_off() -> None:
    assert replace_emoji("good 🍕🍕🍕 day").split() == ["good", ",", "pizza", ",", "day"]


def test_slang_is_expanded_as_whole_words_only() -> None:
    assert expand_slang("grwm 4 my bday w/ u") == "get ready with me 4 my birthday with you"
    assert expand_slang("u.s. @u #u w.ur/x") == "u.s. @u #u w.ur/x"
    assert 200 <= len(slang()) <= 400
