"""Names: when two are one, what is their plural, which must never be shown."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling_training import vocabulary_names as names


@pytest.mark.parametrize("name", ["T-shirt", "t shirt", "TShirt", "t'shirt"])
def test_spellings_of_one_name_have_one_key(name: str) -> None:
    assert names.key(name) == "tshirt"


def test_accents_do_not_matter() -> None:
    assert names.words("Crème Brûlée") == ["creme", "brulee"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dog", "dogs"),
        ("puppy", "puppies"),
        ("toy", "toys"),
        ("fox", "foxes"),
        ("beach", "beaches"),
        ("hot air balloon", "hot air balloons"),
        ("snowman", "snowmen"),
        ("woman", "women"),
        ("german", "germans"),
        ("leaf", "leaves"),
        ("earring", "earrings"),
        ("jeans", None),
        ("glass", None),  # glasses are worn
        ("person", None),  # "people" is an interest of its own
    ],
)
def test_plurals(name: str, expected: str | None) -> None:
    assert names.plural(name) == expected


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_key_of_words_is_the_key(text: str) -> None:
    assert names.key(" ".join(names.words(text))) == names.key(text)


def test_blocklist_knows_words_phrases_plurals_and_hashtags() -> None:
    blocklist = names.Blocklist(["# comment", "porn", "bloody hell", ""])
    blocked = ["porn", "food porn", "Porns", "bloody hell no"]
    assert [name for name in blocked if blocklist.blocks(name)] == blocked
    fine = ["popcorn", "bloody mary", "hell", "comment"]
    assert [name for name in fine if blocklist.blocks(name)] == []


def test_default_blocklist_blocks_filler_and_spares_lookalikes() -> None:
    blocklist = names.Blocklist.default()
    assert all(map(blocklist.blocks, ["instagood", "like4like", "sexy", "nude"]))
    assert not any(
        map(blocklist.blocks, ["cockatoo", "glass", "grass", "peacock", "scrap", "class"])
    )


@pytest.mark.parametrize(
    "name", ["", "!!", "42", "a", "garant ecological medium fat milk", "x" * 30]
)
def test_unreadable_names(name: str) -> None:
    assert not names.is_readable(name)


def test_candidates_with_aliases_and_comments() -> None:
    text = "# people, ignored\nman, woman = lady / ladies\n# more\nhot dog,\n"
    assert list(names.read_candidates(text)) == [
        ("man", ()),
        ("woman", ("lady", "ladies")),
        ("hot dog", ()),
    ]


def test_shipped_lists_load() -> None:
    phrases = [phrase for phrase, _ in names.everyday_candidates()]
    assert len(phrases) > 1_500
    assert "skateboarding" in phrases
    assert "throwback" in names.rejected_words()
    unclear = names.UnclearWords.default()
    assert "saw" in unclear.in_text
    assert "love" in unclear.in_tags


def test_british_spellings_come_from_varcon(tmp_path: Path) -> None:
    varcon = tmp_path / "varcon.txt"
    varcon.write_text(
        "# color\nA Cv: color / B C: colour | noun\nA: theater / B C: theatre\nA B: dog\n"
    )
    assert names.spellings(varcon) == {"color": "colour", "theater": "theatre"}
    assert names.spellings(tmp_path / "none.txt") == {}
