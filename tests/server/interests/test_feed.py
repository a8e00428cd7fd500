"""A feed is read once, from where the last reading stopped; a bad line costs nothing else."""

import gzip
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inkling_server.interests import feed as module
from inkling_server.interests.content import ContentItem
from inkling_server.interests.feed import (
    Engagement,
    Entry,
    FolderFeed,
    InvalidLine,
    Watermark,
)


def line(**values: object) -> bytes:
    return json.dumps(values).encode() + b"\n"


def item(name: str, **values: object) -> bytes:
    return line(id=name, caption=f"about {name}", **values)


def read(folder: Path, watermark: Watermark | None = None) -> tuple[list[Entry], Watermark]:
    reader = FolderFeed(folder).open(watermark or {})
    return list(reader), reader.watermark


def ids(entries: list[Entry]) -> list[str]:
    return [entry.id for entry in entries if isinstance(entry, ContentItem)]


def invalid(entries: list[Entry]) -> int:
    return sum(isinstance(entry, InvalidLine) for entry in entries)


def one(data: bytes, folder: Path) -> Entry:
    """The entry of a line, read with good lines around it."""
    (folder / "a.jsonl").write_bytes(item("before") + data + b"\n" + item("after"))
    (first, entry, last), _ = read(folder)
    assert ids([first, last]) == ["before", "after"]
    return entry


def test_items_and_engagements_are_read_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    (tmp_path / "2026").mkdir()
    (tmp_path / "2026" / "b.jsonl").write_bytes(item("c"))
    (tmp_path / "a.jsonl").write_bytes(
        item("b", source="publisher", created_time="2026-11-20T09:00:00Z")
        + b"\n  \n"
        + line(user_id="u", content_id="b", kind="like", time="2026-11-20T10:00:00+02:00")
    )
    (tmp_path / "notes.txt").write_bytes(item("no feed"))
    entries, watermark = read(tmp_path)
    assert entries == [
        ContentItem(id="c", caption="about c"),
        ContentItem(
            id="b",
            source="publisher",
            caption="about b",
            created_time=datetime(2026, 11, 20, 9, tzinfo=UTC),
        ),
        Engagement("u", "b", "like", datetime(2026, 11, 20, 8, tzinfo=UTC)),
    ]
    assert sorted(watermark) == ["2026/b.jsonl", "a.jsonl"]


def test_missing_or_empty_folder_has_nothing_to_read(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        reader = FolderFeed(folder).open({})
        assert (list(reader), reader.watermark, reader.total_bytes) == ([], {}, 0)


def test_appended_file_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(item("a"))
    entries, mark = read(tmp_path)
    assert ids(entries) == ["a"]
    assert read(tmp_path, mark)[0] == []
    with path.open("ab") as file:
        file.write(item("b"))
    reader = FolderFeed(tmp_path).open(mark)
    assert reader.total_bytes == len(item("b"))
    assert ids(list(reader)) == ["b"]
    assert read(tmp_path, reader.watermark)[0] == []


def test_half_written_last_line_waits(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(item("a") + item("b")[:-9])
    entries, mark = read(tmp_path)
    assert (ids(entries), invalid(entries)) == (["a"], 0)
    assert mark["a.jsonl"].offset == len(item("a"))
    path.write_bytes(item("a") + item("b"))
    entries, mark = read(tmp_path, mark)
    assert (ids(entries), invalid(entries)) == (["b"], 0)
    assert mark["a.jsonl"].offset == path.stat().st_size


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 400), max_size=5))
def test_however_a_file_grows_each_line_is_read_once(tmp_path: Path, cuts: list[int]) -> None:
    path = tmp_path / "a.jsonl"
    names = [f"näme {i}" for i in range(8)]
    data = b"".join(item(name) for name in names)
    found: list[str] = []
    mark: Watermark = {}
    for cut in (*sorted(cuts), len(data)):
        path.write_bytes(data[:cut])
        entries, mark = read(tmp_path, mark)
        assert invalid(entries) == 0
        found += ids(entries)
    assert found == names


@pytest.mark.parametrize("now", [["x", "y", "z"], ["x"], ["a", "y"]])
def test_replaced_or_shorter_file_is_read_from_its_start(tmp_path: Path, now: list[str]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(item("a") + item("b") + item("c"))
    _, mark = read(tmp_path)
    path.write_bytes(b"".join(map(item, now)))
    entries, mark = read(tmp_path, mark)
    assert ids(entries) == now
    assert read(tmp_path, mark)[0] == []


def test_long_file_that_was_cut_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    names = [f"item {i}" for i in range(400)]
    path.write_bytes(b"".join(map(item, names)))
    _, mark = read(tmp_path)
    path.write_bytes(b"".join(map(item, names[:300])))  # its first bytes are the same
    assert ids(read(tmp_path, mark)[0]) == names[:300]


def test_file_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(item("a"))
    _, mark = read(tmp_path)
    (tmp_path / "a.jsonl").unlink()
    assert read(tmp_path, mark) == ([], {})


def test_compressed_file_is_read_whole_and_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(item("a") + item("b").rstrip()))
    reader = FolderFeed(tmp_path).open({})
    assert ids(list(reader)) == ["a", "b"]
    assert reader.done_bytes == reader.total_bytes == path.stat().st_size
    assert read(tmp_path, reader.watermark)[0] == []
    path.write_bytes(gzip.compress(item("a") + item("b") + item("c")))
    assert ids(read(tmp_path, reader.watermark)[0]) == ["a", "b", "c"]


def _cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def _garbled(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(255 - byte for byte in data[middle : middle + 40]) + data[middle:]


def _no_blocks(data: bytes) -> bytes:
    return data[:10] + b"\xff" * 50


def _no_gzip(_: bytes) -> bytes:
    return b"no gzip"


@pytest.mark.parametrize("broken", [_cut, _garbled, _no_blocks, _no_gzip])
def test_broken_compressed_file_costs_only_what_cannot_be_read(
    tmp_path: Path, broken: Callable[[bytes], bytes]
) -> None:
    data = b"".join(item(os.urandom(40).hex()) for _ in range(2_000))
    (tmp_path / "a.jsonl.gz").write_bytes(broken(gzip.compress(data)))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(item("whole")))
    entries, mark = read(tmp_path)
    assert ids(entries)[-1] == "whole"
    # Garbled bytes may unpack to garbled lines before the end is noticed.
    assert invalid(entries) >= 1
    assert read(tmp_path, mark)[0] == []


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"7",
        b"null",
        b'"text"',
        b"\xff\xfe{}",
        b'{"id": "\xff"}',
        b'{"id": "\xed\xa0\x80", "caption": "half a character as bytes"}',
        b"[" * 100_000,
        b"1" * 5_000,
        line(caption="no id"),
        line(id=""),
        line(id=7),
        line(id="a", caption=["list"]),
        line(id="a", hashtags="text"),
        line(id="a", hashtags=[1]),
        line(id="a", source="telegraph"),
        line(id="a", source=["publisher"]),
        line(id="a", created_time=1_700_000_000),
        line(id="a", created_time="yesterday"),
        line(id="a", created_time="9999-12-31T23:59:59-10:00"),
        line(id="a", created_time="0001-01-01T00:00:00+10:00"),
        line(content_id="a"),
        line(content_id="a", user_id=""),
        line(content_id="a", user_id="u" * 501),
        line(content_id={}, user_id="u"),
        line(content_id="a", user_id="u", kind="hate"),
        line(content_id="a", user_id="u", kind=["like"]),
        line(content_id="a", user_id="u", time="soon"),
    ],
    ids=lambda data: data[:40].decode(errors="replace"),
)
def test_bad_line_is_invalid_and_nothing_else_is_lost(tmp_path: Path, data: bytes) -> None:
    assert isinstance(one(data.rstrip(b"\n"), tmp_path), InvalidLine)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=60).filter(lambda data: data.strip() and b"\n" not in data))
def test_any_bytes_are_one_entry(tmp_path: Path, data: bytes) -> None:
    one(data, tmp_path)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
_KEYS = ("id", "source", "caption", "hashtags", "created_time", "content_id", "user_id", "kind")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.dictionaries(st.sampled_from((*_KEYS, "time")), _JSON))
def test_values_of_any_type_are_one_entry(tmp_path: Path, values: dict[str, object]) -> None:
    one(json.dumps(values).encode(), tmp_path)


def test_problem_does_not_repeat_the_line(tmp_path: Path) -> None:
    for data in (line(id="a", source="secret"), line(id="a", created_time="secret"), b"secret"):
        entry = one(data.rstrip(b"\n"), tmp_path)
        assert "secret" not in repr(entry)


def test_half_a_character_is_replaced_so_that_text_can_be_written(tmp_path: Path) -> None:
    entry = one(rb'{"id": "a\ud83d", "caption": "sea \ud83c\udf0a and \ud83c"}', tmp_path)
    assert isinstance(entry, ContentItem)
    assert (entry.id, entry.caption) == ("a?", "sea 🌊 and ?")


def test_nulls_are_as_good_as_missing(tmp_path: Path) -> None:
    entry = one(b'{"id": "a", "source": null, "caption": null, "created_time": null}', tmp_path)
    assert entry == ContentItem(id="a")
    engagement = one(b'{"content_id": "a", "user_id": "u", "kind": null, "time": null}', tmp_path)
    assert engagement == Engagement("u", "a", "view")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20T09:00:00", datetime(2026, 11, 20, 9, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T23:00:00-05:00", datetime(2026, 11, 21, 4, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_time_is_utc_where_it_does_not_say(tmp_path: Path, text: str, expected: datetime) -> None:
    entry = one(item("a", created_time=text).rstrip(), tmp_path)
    assert isinstance(entry, ContentItem)
    assert entry.created_time == expected


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("length", [100, 101, 150, 200, 1_000])
def test_too_long_line_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, packed: bool
) -> None:
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 100)
    long = line(id="long", caption="x" * length)[:length] + b"\n"
    data = item("a") + long + item("b")
    path = tmp_path / ("a.jsonl.gz" if packed else "a.jsonl")
    path.write_bytes(gzip.compress(data) if packed else data)
    entries, mark = read(tmp_path)
    assert ids(entries) == ["a", "b"]
    assert [type(entry) for entry in entries] == [ContentItem, InvalidLine, ContentItem]
    assert read(tmp_path, mark)[0] == []


def test_line_of_just_the_greatest_length_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LINE_BYTES", len(item("a")))
    (tmp_path / "a.jsonl").write_bytes(item("a") + item("b"))
    assert ids(read(tmp_path)[0]) == ["a", "b"]


@pytest.mark.parametrize("length", [99, 100, 150, 300])
def test_too_long_line_without_its_end_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 100)
    (tmp_path / "a.jsonl").write_bytes(item("a") + b"x" * length)
    entries, mark = read(tmp_path)
    assert (ids(entries), invalid(entries)) == (["a"], 0)
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(b"x\n" + item("b"))
    entries, _ = read(tmp_path, mark)
    assert (ids(entries), invalid(entries)) == (["b"], 1)


def test_watermark_moves_at_the_end_of_each_file_only(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(item("a") + item("b"))
    (tmp_path / "b.jsonl").write_bytes(item("c"))
    reader = FolderFeed(tmp_path).open({})
    entries = iter(reader)
    assert ids([next(entries), next(entries)]) == ["a", "b"]
    assert ids(read(tmp_path, reader.watermark)[0]) == ["a", "b", "c"]
    assert ids([next(entries)]) == ["c"]
    assert ids(read(tmp_path, reader.watermark)[0]) == ["c"]
    assert list(entries) == []
    assert read(tmp_path, reader.watermark)[0] == []


def test_what_is_appended_while_it_is_read_waits_for_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(item("a"))
    reader = FolderFeed(tmp_path).open({})
    with path.open("ab") as file:
        file.write(item("b"))
    assert ids(list(reader)) == ["a"]
    assert ids(read(tmp_path, reader.watermark)[0]) == ["b"]


def test_progress_ends_at_the_total(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(item("a") + b'{"half')
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(item("b")))
    reader = FolderFeed(tmp_path).open({})
    seen = [reader.done_bytes for _ in reader]
    assert seen == sorted(seen)
    assert seen[-1] <= reader.total_bytes == reader.done_bytes


def test_folders_and_dangling_links_that_look_like_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "folder.jsonl" / "a.jsonl").write_bytes(item("a"))
    (tmp_path / "gone.jsonl").symlink_to(tmp_path / "nowhere")
    assert ids(read(tmp_path)[0]) == ["a"]


def test_engagement_does_not_show_who_did_it() -> None:
    assert repr(Engagement("alice", "post-7", "like")) == "Engagement(kind='like')"
