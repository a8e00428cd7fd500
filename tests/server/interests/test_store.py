"""The folder of versions: one is current, whatever crashes; nothing in use is deleted."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from inkling_server.errors import GraphVersionNotServed, RefreshRunning
from inkling_server.interests.graph import GraphSnapshot, make_snapshot
from inkling_server.interests.snapshot import (
    SnapshotDamaged,
    load_snapshot,
    save_snapshot,
    write_draft,
)
from inkling_server.interests.store import GraphStore
from tests.server.interests.graph_kit import CREATED, plain

SHIPPED = make_snapshot(plain("shipped"), CREATED)
ONE, TWO, THREE = (
    make_snapshot(plain("dog", name), CREATED + timedelta(days=day))
    for day, name in enumerate(("one", "two", "three"), 1)
)


@pytest.fixture
def store(tmp_path: Path) -> GraphStore:
    save_snapshot(SHIPPED, tmp_path / "shipped")
    return GraphStore(tmp_path / "graphs", tmp_path / "shipped")


def publish(store: GraphStore, *snapshots: GraphSnapshot) -> None:
    for snapshot in snapshots:
        store.publish(write_draft(snapshot, store.root))


def damage(store: GraphStore, snapshot: GraphSnapshot) -> None:
    path = store.root / snapshot.version / "interests.parquet"
    path.write_bytes(path.read_bytes()[:-7])


def kept(store: GraphStore) -> set[str]:
    return {path.name for path in store.root.iterdir() if path.is_dir()}


def test_without_anything_of_its_own_the_shipped_version_serves(store: GraphStore) -> None:
    assert store.current_version() == ""
    assert store.load_current() == (SHIPPED, store.shipped / SHIPPED.version)
    assert not store.root.exists()


def test_published_version_is_current(store: GraphStore) -> None:
    folder = store.publish(write_draft(ONE, store.root))
    assert folder == store.root / ONE.version == store.folder(ONE.version)
    assert store.current_version() == ONE.version
    assert store.load_current() == (ONE, folder)
    publish(store, TWO)
    assert store.load_current()[0] == TWO
    assert store.folder(ONE.version) == folder
    assert store.folder(SHIPPED.version).parent == store.shipped
    assert sorted(path.name for path in store.root.iterdir()) == [
        ONE.version,
        TWO.version,
        "current",
    ]


@pytest.mark.parametrize("target", [ONE, SHIPPED], ids=["kept", "shipped"])
def test_rollback_serves_an_older_version_also_after_a_restart(
    store: GraphStore, target: GraphSnapshot
) -> None:
    publish(store, ONE, TWO)
    store.make_current(target.version)
    assert GraphStore(store.root, store.shipped).load_current()[0] == target


@pytest.mark.parametrize("published", [[], [ONE]], ids=["first refresh", "later refresh"])
def test_crash_between_name_and_current_leaves_the_old_version_current(
    store: GraphStore, monkeypatch: pytest.MonkeyPatch, published: list[GraphSnapshot]
) -> None:
    publish(store, *published)
    before = store.load_current()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    draft = write_draft(TWO, store.root)
    with monkeypatch.context() as patch:
        patch.setattr(GraphStore, "make_current", crash)
        with pytest.raises(KeyboardInterrupt):
            store.publish(draft)
    assert (store.root / TWO.version).is_dir()
    assert store.load_current() == before
    store.publish(write_draft(TWO, store.root))  # the next refresh makes the same again
    assert store.load_current()[0] == TWO


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_crash_while_current_is_written_leaves_the_old_one(
    store: GraphStore, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    publish(store, ONE, TWO)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        owner: object = os if call == "fsync" else Path
        patch.setattr(owner, call, crash)
        with pytest.raises(KeyboardInterrupt):
            store.make_current(ONE.version)
    assert store.load_current()[0] == TWO
    assert not list(store.root.glob(".draft-*"))


def test_damaged_current_version_falls_back_to_the_newest_sound_one(
    store: GraphStore, caplog: pytest.LogCaptureFixture
) -> None:
    publish(store, ONE, TWO, THREE)
    damage(store, THREE)
    assert store.load_current()[0] == TWO
    assert "unusable" in caplog.text
    damage(store, TWO)
    assert store.load_current()[0] == ONE
    (store.root / ONE.version / "manifest.json").write_text("{")
    assert store.load_current()[0] == SHIPPED
    assert store.current_version() == THREE.version  # for a person to mend


def test_current_version_that_is_gone_falls_back(store: GraphStore) -> None:
    publish(store, ONE, TWO)
    (store.root / TWO.version).rename(store.root.parent / "elsewhere")
    assert store.load_current()[0] == ONE


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\xff\xfe\x00", b"../../etc\n", b"no-such-version", b"a" * 5_000]
)
def test_current_that_names_nothing_falls_back(store: GraphStore, content: bytes) -> None:
    publish(store, ONE, TWO)
    (store.root / "current").write_bytes(content)
    assert store.load_current()[0] == TWO


def test_shipped_version_that_is_damaged_is_an_error(store: GraphStore) -> None:
    (store.shipped / SHIPPED.version / "edges.parquet").unlink()
    with pytest.raises(SnapshotDamaged):
        store.load_current()


@pytest.mark.parametrize(
    "version",
    [
        "",
        ".",
        "..",
        "../shipped",
        "/etc",
        "a/b",
        "a\\b",
        ".draft-x",
        "current\n",
        "a\0",
        "x" * 5_000,
    ],
)
def test_what_is_no_version_is_not_looked_up(store: GraphStore, version: str) -> None:
    publish(store, ONE)
    (store.root / ".draft-x").mkdir()
    with pytest.raises(GraphVersionNotServed) as refused:
        store.folder(version)
    assert refused.value.served == ONE.version
    with pytest.raises(GraphVersionNotServed):
        store.make_current(version)
    assert store.current_version() == ONE.version


def test_file_is_no_version(store: GraphStore) -> None:
    publish(store, ONE)
    with pytest.raises(GraphVersionNotServed):
        store.folder("current")


def test_same_content_mends_a_damaged_version(store: GraphStore) -> None:
    publish(store, ONE)
    damage(store, ONE)
    publish(store, ONE)
    assert load_snapshot(store.root / ONE.version) == ONE
    store.clean(keep_count=5, in_use=())
    assert kept(store) == {ONE.version}


def test_cleaning_keeps_the_newest_the_current_and_those_in_use(store: GraphStore) -> None:
    publish(store, TWO, THREE, ONE)
    store.make_current(ONE.version)
    store.clean(keep_count=1, in_use={TWO.version})
    assert kept(store) == {ONE.version, TWO.version, THREE.version}
    store.clean(keep_count=1, in_use=())
    assert kept(store) == {ONE.version, THREE.version}
    assert load_snapshot(store.root / ONE.version) == ONE
    assert (store.shipped / SHIPPED.version).is_dir()


def test_cleaning_removes_what_a_crash_left_behind_and_nothing_else(store: GraphStore) -> None:
    publish(store, ONE)
    write_draft(TWO, store.root)
    (store.root / ".draft-file").write_text("half")
    (store.root / "embedder-word2vec").mkdir()
    (store.root / "notes.txt").write_text("mine")
    damaged = store.root / "damaged"
    damaged.mkdir()
    (damaged / "manifest.json").write_text("{")
    with store.refresh_lock():
        store.clean(keep_count=1, in_use=())
        assert (store.root / ".refresh.lock").exists()
    names = {path.name for path in store.root.iterdir()} - {".refresh.lock"}
    assert names == {ONE.version, "current", "damaged", "embedder-word2vec", "notes.txt"}


def test_crash_while_cleaning_leaves_no_half_version(
    store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, ONE, TWO)

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", crash)
        with pytest.raises(KeyboardInterrupt):
            store.clean(keep_count=1, in_use=())
    with pytest.raises(GraphVersionNotServed):
        store.folder(ONE.version)
    store.clean(keep_count=1, in_use=())
    assert kept(store) == {TWO.version}


def test_one_refresh_at_a_time(store: GraphStore) -> None:
    with store.refresh_lock():
        with pytest.raises(RefreshRunning), store.refresh_lock():
            pass
        # Still held: the one that was refused must not have let it go.
        with pytest.raises(RefreshRunning), store.refresh_lock():
            pass
    with store.refresh_lock():
        pass


_HOLDER = """
import sys
from pathlib import Path
from inkling_server.interests.store import GraphStore
with GraphStore(Path(sys.argv[1]), Path(sys.argv[1])).refresh_lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("killed", [False, True])
def test_lock_holds_between_processes_and_dies_with_its_holder(
    store: GraphStore, killed: bool
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(store.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(RefreshRunning), store.refresh_lock():
            pass
        if killed:
            process.kill()
        process.communicate(timeout=60)
        with store.refresh_lock():
            pass
    finally:
        process.kill()
        process.communicate()
