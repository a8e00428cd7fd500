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
from inkling_server.interests.graph import (
    Community,
    GraphSnapshot,
    Interest,
    Topic,
    interest_id,
    make_snapshot,
)
from inkling_server.interests.snapshot import (
    SnapshotDamaged,
    load_snapshot,
    name_draft,
    newest_snapshot,
    read_manifest,
    save_snapshot,
    verify_files,
    write_draft,
)
from tests.server.interests.graph_kit import edges_of, plain

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


_WEIGHTS = st.dictionaries(
    st.tuples(st.integers(0, 4), st.integers(0, 4)).filter(lambda ends: ends[0] < ends[1]),
    st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)),
)
_SEEN = datetime(2025, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
# Something else than the default in every field.
FULL = Interest(
    "dog",
    "Dog",
    ("doggo", "dogs"),
    3,
    pinned=True,
    trend_z=3.25,
    is_trending=True,
    rank=0.125,
    topic=2,
    community=0,
    first_seen=_SEEN,
    last_seen=CREATED,
    extractors=("rake", "tfidf"),
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


def test_every_field_of_every_part_is_saved(tmp_path: Path) -> None:
    snapshot = make_snapshot(
        [Interest("cat", "cat"), FULL],
        CREATED,
        edges=edges_of({(0, 1): (0.5, 0.25)}),
        topics=[Topic(0, ("sea", "wave")), Topic(1, ())],
        communities=[Community(0, 'pets, "friends"', 2), Community(1, "", 1)],
        document_count=9,
    )
    loaded = load_snapshot(save_snapshot(snapshot, tmp_path))
    assert loaded == snapshot
    assert loaded.interests[1] == FULL
    assert loaded.edges.weight_E.tolist() == snapshot.edges.weight_E.tolist() != [0.0]
    assert (loaded.topics, loaded.communities) == (snapshot.topics, snapshot.communities)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(weights=_WEIGHTS)
def test_any_edges_survive_a_round_trip(
    tmp_path: Path, weights: dict[tuple[int, int], tuple[float, float]]
) -> None:
    snapshot = make_snapshot(plain("a", "b", "c", "d", "e"), CREATED, edges=edges_of(weights))
    assert load_snapshot(save_snapshot(snapshot, tmp_path)).edges == snapshot.edges


@pytest.mark.parametrize("name", ["edges.parquet", "groups.parquet"])
def test_every_table_is_verified(saved: Path, name: str) -> None:
    (saved / name).write_bytes((saved / name).read_bytes() + b"x")
    with pytest.raises(SnapshotDamaged):
        load_snapshot(saved)


def _add_files(draft: Path) -> None:
    (draft / "notes.bin").write_bytes(b"abc")
    (draft / "notes.bin").chmod(0o600)
    (draft / "more").mkdir()
    (draft / "more" / "deep.bin").write_bytes(b"def")


def test_added_files_are_checksummed_and_readable_by_other_users(tmp_path: Path) -> None:
    snapshot = make_snapshot(INTERESTS, CREATED)
    draft = write_draft(snapshot, tmp_path, _add_files)
    assert draft.name.startswith(".draft-")
    assert load_snapshot(draft) == snapshot
    folder = name_draft(draft, tmp_path)
    assert load_snapshot(folder) == snapshot
    names = ["notes.bin", "more/deep.bin"]
    verify_files(folder, read_manifest(folder), names)
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o044 == 0o044, path.name
    (folder / "more" / "deep.bin").write_bytes(b"xyz")
    with pytest.raises(SnapshotDamaged, match="deep"):
        verify_files(folder, read_manifest(folder), names)
    assert load_snapshot(folder) == snapshot  # whoever reads a file verifies it


def test_everything_is_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[str] = set()

    def fsync(path: Path) -> None:
        synced.add(path.name)

    monkeypatch.setattr(module, "fsync", fsync)
    draft = write_draft(make_snapshot(INTERESTS, CREATED), tmp_path, _add_files)
    assert synced == {draft.name, *(path.name for path in draft.rglob("*"))}


def test_draft_that_cannot_be_finished_is_removed(tmp_path: Path) -> None:
    def full_disk(draft: Path) -> None:
        (draft / "half").write_bytes(b"a")
        raise OSError(28, "no space left on device")

    with pytest.raises(OSError, match="no space"):
        write_draft(make_snapshot(INTERESTS, CREATED), tmp_path, full_disk)
    assert list(tmp_path.iterdir()) == []


def test_sound_version_is_not_replaced_and_a_damaged_one_is(saved: Path) -> None:
    snapshot = make_snapshot(INTERESTS, CREATED)
    inode = saved.stat().st_ino
    assert name_draft(write_draft(snapshot, saved.parent), saved.parent) == saved
    assert saved.stat().st_ino == inode
    (saved / "edges.parquet").write_bytes(b"")
    assert name_draft(write_draft(snapshot, saved.parent), saved.parent) == saved
    assert load_snapshot(saved) == snapshot
    visible = [path.name for path in saved.parent.iterdir() if path.name[0] != "."]
    assert visible == [saved.name]


def test_draft_without_a_sound_manifest_gets_no_name(tmp_path: Path) -> None:
    draft = write_draft(make_snapshot(INTERESTS, CREATED), tmp_path)
    manifest = json.loads((draft / "manifest.json").read_text())
    (draft / "manifest.json").write_text(json.dumps(manifest | {"version": "../../elsewhere"}))
    with pytest.raises(SnapshotDamaged):
        name_draft(draft, tmp_path)
