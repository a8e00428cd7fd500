"""Interests are found by name, alone and inside sentences."""

import pytest

from inkling_server.interests.graph import Interest
from inkling_server.interests.mentions.table import PhraseTable, fold

TABLE = PhraseTable(
    [
        Interest("dog", "dog", ("doggy",)),
        Interest("hot-dog", "hot dog"),
        Interest("beach", "beach"),
        Interest("glass", "glass"),
    ]
)


@pytest.mark.parametrize(
    ("name", "row"),
    [("Dogs", 0), ("doggy", 0), ("hot-dogs", 1), ("beaches", 2), ("glasses", 3), ("hot", None)],
)
def test_finds_a_name_whatever_its_number_and_case(name: str, row: int | None) -> None:
    assert TABLE.find(name) == row


def test_the_longest_name_at_a_place_wins() -> None:
    assert TABLE.find_within("Two hot dogs on the beach.") == {1, 2}
    assert TABLE.find_within("A dog, hot.") == {0}


def test_words_that_only_look_plural_stay() -> None:
    assert fold("Christmas bus tennis") == "christmas bus tennis"
