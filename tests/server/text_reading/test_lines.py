"""Lines in reading order, without the doubtful ones, as one text."""

import pytest

from inkling_server.text_reading.lines import (
    MAX_CHARACTERS,
    Box,
    Line,
    joined_overlay,
    read_text,
)


def line(
    text: str, left: float, top: float, *, height: float = 0.05, confidence: float = 0.99
) -> Line:
    return Line(text, confidence, Box(left, top, min(left + 0.3, 1.0), top + height))


def test_rows_come_from_top_to_bottom_and_each_from_left_to_right() -> None:
    lines = [
        line("below", 0.1, 0.6),
        line("right", 0.5, 0.11),
        line("left", 0.1, 0.1),
    ]
    found = read_text(lines, min_confidence=0.5)
    assert [one.text for one in found.lines] == ["left", "right", "below"]
    assert found.text == "left right\nbelow"


def test_a_caption_broken_into_rows_is_one_text() -> None:
    found = read_text(
        [line("balloon ride", 0.12, 0.27), line("Hot air", 0.1, 0.2)], min_confidence=0.5
    )
    assert found.text == "Hot air balloon ride"


@pytest.mark.parametrize(
    "other",
    [
        line("price", 0.1, 0.5),  # far below
        line("price", 0.6, 0.27),  # beside
        line("price", 0.1, 0.27, height=0.2),  # of another size
    ],
)
def test_what_stands_apart_is_a_text_of_its_own(other: Line) -> None:
    assert read_text([line("Hot air", 0.1, 0.2), other], min_confidence=0.5).text == (
        "Hot air\nprice"
    )


def test_doubtful_lines_and_single_signs_are_dropped() -> None:
    lines = [
        line("leaves", 0.1, 0.1, confidence=0.89),
        line("O", 0.1, 0.3),
        line("–.–", 0.1, 0.5),
        line("sure", 0.1, 0.7, confidence=0.9),
    ]
    assert read_text(lines, min_confidence=0.9).text == "sure"


def test_a_page_of_text_is_cut_where_a_request_would_be_refused() -> None:
    lines = [line("word " * 50, 0.1, n / 40, height=0.01) for n in range(40)]
    assert len(read_text(lines, min_confidence=0.5).text) == MAX_CHARACTERS


def test_what_the_author_gave_is_not_there_twice() -> None:
    read = "SUNDAY  brunch!\nat the harbour"
    assert joined_overlay("Sunday brunch", read) == "Sunday brunch\nat the harbour"
    assert joined_overlay("", read) == read
    assert joined_overlay("Sunday brunch", "") == "Sunday brunch"


def test_what_is_written_is_in_no_repr() -> None:
    found = read_text([line("secret", 0.1, 0.1)], min_confidence=0.5)
    assert "secret" not in repr(found)
