"""Files of items and engagements, read without any server."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from inkling_client import Engagement, GeoPoint, IngestItem
from inkling_client.cli_content_feed import MAX_LINE_BYTES, FeedFile, Line
from inkling_client.errors import InvalidRequest


def read(folder: Path, *lines: dict[str, Any] | str | bytes) -> list[Line]:
    data = b"\n".join(
        line
        if isinstance(line, bytes)
        else (line if isinstance(line, str) else json.dumps(line)).encode()
        for line in lines
    )
    (folder / "feed.jsonl").write_bytes(data)
    return list(FeedFile(folder / "feed.jsonl", folder).lines())


def engagements(lines: list[Line]) -> list[Engagement]:
    return [line.value for line in lines if isinstance(line.value, Engagement)]


def problem(lines: list[Line]) -> str:
    (line,) = lines
    assert isinstance(line.value, InvalidRequest)
    assert line.value.reason == "LINE_INVALID"
    return line.value.message


def test_an_item_has_everything_that_its_line_says(tmp_path: Path) -> None:
    (line,) = read(
        tmp_path,
        {
            "id": "p1",
            "source": "publisher",
            "caption": "a",
            "hashtags": ["#b", "c"],
            "overlay_text": "d",
            "comments": ["e"],
            "title": "f",
            "body": "g",
            "transcript": "h",
            "location": "Lisbon",
            "author_id": "ann",
            "created_time": "2026-11-20T09:00:00+01:00",
            "point": {"latitude_deg": 38, "longitude_deg": -9.1},
            "picture": "photos/p1.jpg",
            "media_uri": "s3://elsewhere",
            "tags": ["not ours"],
        },
    )
    item = line.value
    assert isinstance(item, IngestItem)
    assert (item.content_id, item.author_id) == ("p1", "ann")
    assert item.context.hashtags == ("b", "c")
    assert (item.context.source, item.context.location) == ("publisher", "Lisbon")
    assert item.created_time == datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert item.point == GeoPoint(38.0, -9.1)
    assert item.image == tmp_path / "photos" / "p1.jpg"


def test_an_item_may_have_nothing_but_its_id(tmp_path: Path) -> None:
    (line,) = read(tmp_path, {"id": "p1", "caption": None, "picture": None})
    assert line.value == IngestItem(content_id="p1")


def test_an_engagement_without_kind_is_a_view_and_without_zone_utc(tmp_path: Path) -> None:
    lines = read(tmp_path, {"user_id": "u", "content_id": "p", "time": "2026-11-20 10:00:00"})
    (found,) = engagements(lines)
    assert (found.user_id, found.content_id, found.kind) == ("u", "p", "view")
    assert found.time == datetime(2026, 11, 20, 10, tzinfo=UTC)


def test_request_ids_follow_from_what_is_said(tmp_path: Path) -> None:
    like = {"user_id": "u", "content_id": "p", "kind": "like", "time": "2026-11-20T10:00:00Z"}
    backwards = json.dumps(dict(reversed(like.items())), indent=None, separators=(" , ", " : "))
    first, same, later, given = engagements(
        read(
            tmp_path,
            like,
            backwards,
            {**like, "time": "2026-11-20T10:00:01Z"},
            {**like, "request_id": "mine"},
        )
    )
    assert first.request_id == same.request_id
    assert later.request_id != first.request_id
    assert given.request_id == "mine"
    assert 1 <= len(first.request_id) <= 200


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    lines = read(tmp_path, {"id": "a"}, "", "  ", {"id": "b"})
    assert [line.number for line in lines] == [1, 4]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{broken", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        ("[1]", "not a JSON object"),
        ("[" * 100_000, "not JSON"),
        ({"caption": "no id"}, "neither an item"),
        ({"id": 7}, "neither an item"),
        ({"id": "a", "caption": 7}, "caption must be a string"),
        ({"id": "a", "hashtags": "b"}, "hashtags must be a list"),
        ({"id": "a", "created_time": "soon"}, "ISO-8601"),
        ({"id": "a", "created_time": 7}, "ISO-8601"),
        ({"id": "a", "created_time": "0001-01-01T00:00:00+05:00"}, "out of range"),
        ({"id": "a", "point": [1, 2]}, "latitude_deg"),
        ({"id": "a", "point": {"latitude_deg": "1", "longitude_deg": 2}}, "latitude_deg"),
        ({"id": "a", "picture": "../secret.jpg"}, "below the folder"),
        ({"id": "a", "picture": "/etc/hostname"}, "below the folder"),
        ({"id": "a", "picture": "a\0.jpg"}, "below the folder"),
        ({"id": "a", "picture": 7}, "picture must be"),
        ({"content_id": "p"}, "user_id must be"),
        ({"content_id": "", "user_id": "u"}, "content_id must be"),
        ({"content_id": "p", "user_id": "u", "kind": "love"}, "kind must be one of"),
        ({"content_id": "p", "user_id": "u", "kind": 1}, "kind must be a string"),
        ({"content_id": "p", "user_id": "u", "request_id": 1}, "request_id must be a string"),
    ],
)
def test_bad_lines_say_what_is_wrong(
    tmp_path: Path, line: dict[str, Any] | str | bytes, why: str
) -> None:
    assert why in problem(read(tmp_path, line))


def test_a_line_that_is_too_long_costs_only_itself(tmp_path: Path) -> None:
    long = {"id": "a", "body": "x" * (2 * MAX_LINE_BYTES)}
    first, second = read(tmp_path, long, {"id": "b"})
    assert isinstance(first.value, InvalidRequest)
    assert second == Line(2, IngestItem(content_id="b"))


def test_half_an_emoji_is_replaced(tmp_path: Path) -> None:
    (line,) = read(tmp_path, '{"id": "a", "caption": "\\ud83d!"}')
    assert isinstance(line.value, IngestItem)
    assert line.value.context.caption == "?!"


def test_compressed_files_are_read_and_damaged_ones_said(tmp_path: Path) -> None:
    path = tmp_path / "feed.jsonl.gz"
    whole = gzip.compress(b'{"id": "a"}\n' * 5_000)
    path.write_bytes(whole)
    feed = FeedFile(path, tmp_path)
    assert len(list(feed.lines())) == 5_000
    assert feed.done_bytes == feed.total_bytes == len(whole)
    path.write_bytes(whole[:-20])
    *_, last = FeedFile(path, tmp_path).lines()
    assert isinstance(last.value, InvalidRequest)


def test_no_repr_tells_what_a_line_says(tmp_path: Path) -> None:
    lines = read(tmp_path, {"id": "secret"}, {"user_id": "secret", "content_id": "secret"})
    assert "secret" not in repr(lines)
