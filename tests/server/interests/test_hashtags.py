"""Hashtags are split into the words that their author meant, and never changed."""

import csv
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkling_server.interests.text.hashtags import split_hashtag


@pytest.mark.parametrize(
    ("hashtag", "words"),
    [
        ("#foodielife", "foodie life"),
        ("throwbackthursday", "throwback thursday"),
        ("blacklivesmatter", "black lives matter"),
        ("sunset", "sunset"),
        # Case is a hint, not a rule.
        ("GameOfThrones", "Game Of Thrones"),
        ("NYCmarathon2024", "NYC marathon 2024"),
        ("BTSArmy", "BTS Army"),
        ("NSAplz", "NSA plz"),
        ("iPhone", "iPhone"),
        ("YouTube", "YouTube"),
        ("bringbackthesummerforStefan", "bring back the summer for Stefan"),
        # Digits.
        ("season1episode2", "season 1 episode 2"),
        ("top10", "top 10"),
        ("90sMusic", "90s Music"),
        ("PS5games", "PS5 games"),
        # Names and other languages.
        ("PriyankaChopra", "Priyanka Chopra"),
        ("narendramodi", "narendra modi"),
        ("buenosdias", "buenos dias"),
        ("cafédelmar", "café del mar"),
        ("東京", "東京"),
        # Stretched, separated, strange.
        ("sooogood", "sooo good"),
        ("guten_morgen", "guten morgen"),
        ("real-time", "real time"),
        ("#", ""),
        ("___", ""),
        ("7", "7"),
    ],
)
def test_split(hashtag: str, words: str) -> None:
    assert " ".join(split_hashtag(hashtag)) == words


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_letters_are_never_changed(hashtag: str) -> None:
    kept = "".join(letter for letter in hashtag if letter.isalnum())
    joined = "".join("".join(split_hashtag(hashtag)))
    assert "".join(letter for letter in joined if letter.isalnum()) == kept


def test_numbers_are_not_torn() -> None:
    assert "2024" in split_hashtag("abcxyz2024qwr")
    assert split_hashtag("1234567890") == ("1234567890",)


def test_endless_hashtag_takes_no_time() -> None:
    start = time.process_time()
    assert split_hashtag("ab" * 5_000) == ("ab" * 5_000,)
    split_hashtag("thequickbrownfox" * 5)
    assert time.process_time() - start < 1


def test_at_least_85_percent_of_gold_splits_are_exact(sample_data: Path) -> None:
    gold: dict[tuple[str, str], set[str]] = {}
    with (sample_data / "eval" / "hashtags_gold.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            key = (row["set"], row["hashtag"])
            gold.setdefault(key, set()).add(row["segmentation"].lower())
    exact = [
        " ".join(split_hashtag(hashtag)).lower() in splits for (_, hashtag), splits in gold.items()
    ]
    assert sum(exact) >= 0.85 * len(exact)
