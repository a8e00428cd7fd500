"""Content items are typed, bounded, and silent about people."""

from datetime import UTC, datetime

import pytest

from inkling_server.interests.content import (
    MAX_ENTRY_CHARACTERS,
    MAX_FIELD_CHARACTERS,
    MAX_LIST_LENGTH,
    ContentItem,
    content_item,
)


def test_item_needs_an_id_and_a_time_zone() -> None:
    with pytest.raises(ValueError, match="id"):
        ContentItem(id="")
    with pytest.raises(ValueError, match="time zone"):
        ContentItem(id="1", created_time=datetime(2026, 1, 1))


def test_text_that_is_too_long_is_cut() -> None:
    item = ContentItem(
        id="1",
        caption="x" * (MAX_FIELD_CHARACTERS + 1),
        comments=("y" * (MAX_ENTRY_CHARACTERS + 1),) * (MAX_LIST_LENGTH + 1),
    )
    assert len(item.caption) == MAX_FIELD_CHARACTERS
    assert len(item.comments) == MAX_LIST_LENGTH
    assert len(item.comments[0]) == MAX_ENTRY_CHARACTERS


def test_repr_tells_nothing_about_the_author_or_the_text() -> None:
    shown = repr(ContentItem(id="secret-id", author_id="jo", caption="my home", location="Delft"))
    assert "user_generated" in shown
    for private in ("secret-id", "jo'", "my home", "Delft"):
        assert private not in shown


def test_item_of_json_takes_known_fields_only() -> None:
    item = content_item(
        {
            "id": "7",
            "hashtags": ["a", "b"],
            "created_time": "2026-03-01T10:00:00+00:00",
            "title": None,
            "likes": 3,
        }
    )
    assert item.hashtags == ("a", "b")
    assert item.created_time == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert item.title == ""


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"id": 7},
        {"id": "7", "caption": ["a"]},
        {"id": "7", "hashtags": "a"},
        {"id": "7", "hashtags": [1]},
        {"id": "7", "created_time": 5},
        {"id": "7", "created_time": "yesterday"},
    ],
)
def test_wrong_json_is_rejected(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"id|must be|Invalid isoformat"):
        content_item(values)


def test_a_feed_cannot_say_what_a_recogniser_heard() -> None:
    item = content_item({"id": "7", "speech": "a dog", "speech_confidence": 1.0})
    assert item == ContentItem(id="7")
