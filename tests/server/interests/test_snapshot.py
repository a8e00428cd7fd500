"""Snapshots are whole, verified and named by their content."""

import json
import os
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inkling_server.interests import snapshot as module
from inkling_server.interests.graph import GraphSnapshot, Interest, interest_id, make_snapshot
from inkling_server.interests.snapshot import (
    SnapshotDamaged,
    load_snapshot,
    newest_snapshot,
    save_snapshot,
)

CREATED = datetime(2026, 2, 14, 9, 30, tzinfo=UTC)
INTERESTS = [
    Interest("hot-air-balloon", "hot air balloon", ("hotairballoon",), 12),
    Interest("café", "café", (), 0),
    Interest("dog", "dog", ("dogs", "doggo"), 3_393),
]

_WORDS = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=12)
_INTERESTS = st.lists(
    st.builds(
        Interest,
        id=_WORDS,
        phrase=_WORDS,
        aliases=st.lists(_WORDS, max_size=3).map(tuple),
        count=st.integers(0, 2**62),
    ),
    max_size=8,
    unique_by=lambda interest: interest.id,
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_snapshot(make_snapshot(INTERESTS, CREATED), tmp_path)


def test_saved_snapshot_loads_as_it_was(tmp_path: Path) -> None:
    snapshot = make_snapshot(INTERESTS, CREATED)
    folder = save_snapshot(snapshot, tmp_path / "graphs")
    assert folder == tmp_path / "graphs" / snapshot.version
    assert load_snapshot(folder) == snapshot


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(interests=_INTERESTS, created=st.datetimes(timezones=st.just(UTC)))
def test_any_snapshot_survives_a_round_trip(
    tmp_path: Path, interests: list[Interest], created: datetime
) -> None:
    snapshot = make_snapshot(interests, created)
    assert load_snapshot(save_snapshot(snapshot, tmp_path)) == snapshot


@given(interests=_INTERESTS)
def test_version_depends_on_content_and_date_not_on_order(interests: list[Interest]) -> None:
    version = make_snapshot(interests, CREATED).version
    assert make_snapshot(interests[::-1], CREATED).version == version
    assert make_snapshot(interests, CREATED + timedelta(days=1)).version != version
    more = [*interests, Interest("a dog", "a dog")]
    assert make_snapshot(more, CREATED).version != version


def test_version_names_the_day_in_utc() -> None:
    late = datetime(2026, 2, 14, 23, 0, tzinfo=timezone(timedelta(hours=-5)))
    assert make_snapshot(INTERESTS, late).version.startswith("2026-02-15-")


def test_unsorted_or_repeated_ids_are_refused() -> None:
    dog, cat = Interest("dog", "dog"), Interest("cat", "cat")
    with pytest.raises(ValueError, match="sorted"):
        GraphSnapshot("v1", CREATED, (dog, cat))
    with pytest.raises(ValueError, match="unique"):
        make_snapshot([dog, dog], CREATED)


def test_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        GraphSnapshot("v1", datetime(2026, 2, 14), ())


@pytest.mark.parametrize("version", ["", "../v1", "a/b", ".hidden"])
def test_version_that_is_no_folder_name_is_refused(version: str) -> None:
    with pytest.raises(ValueError, match="folder"):
        GraphSnapshot(version, CREATED, ())


@pytest.mark.parametrize("fails", ["rename", "fsync"])
def test_crash_before_publication_leaves_nothing_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    if fails == "rename":
        monkeypatch.setattr(Path, "rename", crash)
    else:
        monkeypatch.setattr(module, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        save_snapshot(make_snapshot(INTERESTS, CREATED), tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SnapshotDamaged):
        newest_snapshot(tmp_path)


def test_draft_of_a_killed_process_is_not_taken_for_a_snapshot(saved: Path) -> None:
    newer = make_snapshot(INTERESTS[:1], CREATED + timedelta(days=1))
    folder = save_snapshot(newer, saved.parent)
    folder.rename(saved.parent / ".draft-abc")
    assert newest_snapshot(saved.parent) == saved


def test_existing_version_stays_as_it_is(saved: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in saved.iterdir()}
    assert save_snapshot(make_snapshot(INTERESTS, CREATED), saved.parent) == saved
    assert {path: path.stat().st_mtime_ns for path in saved.iterdir()} == before


def test_two_processes_may_publish_the_same_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot, rename = make_snapshot(INTERESTS, CREATED), Path.rename

    def lose_the_race(draft: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        save_snapshot(snapshot, tmp_path)
        return rename(draft, target)

    monkeypatch.setattr(Path, "rename", lose_the_race)
    assert load_snapshot(save_snapshot(snapshot, tmp_path)) == snapshot
    assert [path.name for path in tmp_path.iterdir()] == [snapshot.version]


@pytest.mark.parametrize("name", ["interests.parquet", "manifest.json"])
def test_no_flipped_byte_goes_unnoticed(saved: Path, name: str) -> None:
    intact = load_snapshot(saved)
    path = saved / name
    data = path.read_bytes()
    for position in range(0, len(data), max(1, len(data) // 300)):
        path.write_bytes(data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :])
        try:
            loaded = load_snapshot(saved)
        except SnapshotDamaged:
            continue
        assert loaded == intact  # white space of the manifest
        assert name == "manifest.json"


@pytest.mark.parametrize("name", ["interests.parquet", "manifest.json"])
def test_missing_or_truncated_file_is_damage(saved: Path, name: str) -> None:
    path = saved / name
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(SnapshotDamaged):
        load_snapshot(saved)
    path.unlink()
    with pytest.raises(SnapshotDamaged):
        load_snapshot(saved)


def test_foreign_format_and_foreign_folder_are_damage(saved: Path) -> None:
    moved = saved.with_name("another")
    saved.rename(moved)
    with pytest.raises(SnapshotDamaged, match="holds version"):
        load_snapshot(moved)
    manifest = json.loads((moved / "manifest.json").read_text())
    (moved / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(SnapshotDamaged, match="format 99"):
        load_snapshot(moved)


def test_newest_is_by_creation_time_and_not_by_name_or_file_time(tmp_path: Path) -> None:
    dog = (Interest("dog", "dog"),)
    new = save_snapshot(GraphSnapshot("a", CREATED + timedelta(seconds=1), dog), tmp_path)
    old = save_snapshot(GraphSnapshot("b", CREATED, dog), tmp_path)
    os.utime(new / "manifest.json", (0, 0))
    assert newest_snapshot(tmp_path) == new != old


def test_newest_with_unreadable_manifest_is_damage(saved: Path) -> None:
    (saved / "manifest.json").write_text("{")
    with pytest.raises(SnapshotDamaged):
        newest_snapshot(saved.parent)


def test_files_are_readable_by_other_users(saved: Path) -> None:
    assert saved.stat().st_mode & 0o055 == 0o055


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("Hot Air  Balloon", "hot-air-balloon"),
        ("jack-o'-lantern", "jack-o-lantern"),
        ("Straße", "strasse"),
        ("東京", "東京"),
        (unicodedata.normalize("NFD", "Café"), "café"),
    ],
)
def test_interest_id_is_made_of_lower_case_words(phrase: str, expected: str) -> None:
    assert interest_id(phrase) == expected


def test_phrase_without_words_has_no_id() -> None:
    with pytest.raises(ValueError, match="no word"):
        interest_id(" -!- ")


@given(st.text(max_size=40))
def test_interest_id_is_stable(phrase: str) -> None:
    try:
        first = interest_id(phrase)
    except ValueError:
        return
    assert interest_id(first) == first
    assert interest_id(f"  {phrase}!") == first
    assert not any(char.isspace() for char in first)


@given(st.text(max_size=40))
def test_interest_id_does_not_depend_on_unicode_form(phrase: str) -> None:
    try:
        first = interest_id(unicodedata.normalize("NFC", phrase))
    except ValueError:
        return
    assert interest_id(unicodedata.normalize("NFD", phrase)) == first
