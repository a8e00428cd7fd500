"""What names an interest is quoted as it was sent, whatever reading made of it."""

import pytest

from inkling_server.interests.mentions.quoting import MAX_QUOTE_CHARACTERS, Quoter


@pytest.mark.parametrize(
    ("text", "words", "quote"),
    [
        ("Two HOT  Dogs, please", "HOT Dogs", "HOT  Dogs"),
        ("my dog's toy and a dog", "dog", "dog"),
        ("Crème brûlée!", "Crème brûlée", "Crème brûlée"),
        ("so gooooood", "good", "gooooood"),
        ("look at him 🐕 running", "dog", "🐕"),
        ("I love my #guidedog so", "guide dog", "#guidedog"),
        ("a #hot_dog", "hot dog", "#hot_dog"),
        ("<b class='cat'>a cat</b>", "cat", "cat"),
        ("education", "cat", ""),
        ("", "cat", ""),
    ],
)
def test_first_naming_words_are_quoted(text: str, words: str, quote: str) -> None:
    assert Quoter([text]).quote(words) == quote


def test_markup_is_passed_over() -> None:
    text = "<b class='dog'>the small dog</b>"
    quoter = Quoter([text])
    place = quoter._plain(("dog",))
    assert place is not None
    assert place[0] == text.rindex("dog")


def test_the_first_of_several_texts_wins_and_names_do_not_cross_them() -> None:
    quoter = Quoter(["nothing here", "a Dog", "dogs"])
    assert quoter.quote("dog") == "Dog"
    assert quoter.quote("Dog dogs") == ""


def test_listed_hashtags_are_quoted_whole() -> None:
    quoter = Quoter(["a dog and #dogpark"], hashtags=("guidedog", "dogs"))
    assert quoter.quote_hashtag("guide dog") == "guidedog"
    assert quoter.quote_hashtag("park") == "#dogpark"
    assert quoter.quote_hashtag("cat") == ""


def test_a_quote_is_never_long() -> None:
    quoter = Quoter(["a " + "d" + "o" * 500 + "g"])
    assert len(quoter.quote("d" + "o" * 500 + "g")) == MAX_QUOTE_CHARACTERS
