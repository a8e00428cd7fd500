"""The versions that can be asked about: the current one from memory, older ones from disk."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from inkling_server.errors import GraphVersionNotServed
from inkling_server.interests import library as module
from inkling_server.interests.graph import GraphSnapshot, make_snapshot
from inkling_server.interests.library import GraphLibrary, VersionFacts
from inkling_server.interests.snapshot import load_snapshot, save_snapshot
from tests.server.interests.graph_kit import CREATED, plain

VERSIONS = [
    make_snapshot(plain("dog", f"phrase {day}"), CREATED + timedelta(days=day), document_count=day)
    for day in range(7)
]
CURRENT, OLDER = VERSIONS[6], VERSIONS[2]


class Serving:
    """What serves, and what was read from disk."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.current = CURRENT
        self.read: list[str] = []
        self.root = root
        self.library = GraphLibrary(lambda: self.current, (root / "graphs", root / "shipped"))

        def load(folder: Path) -> GraphSnapshot:
            self.read.append(folder.name)
            return load_snapshot(folder)

        monkeypatch.setattr(module, "load_snapshot", load)

    def save(self, *snapshots: GraphSnapshot, root: str = "graphs") -> None:
        for snapshot in snapshots:
            save_snapshot(snapshot, self.root / root)


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serving:
    return Serving(tmp_path, monkeypatch)


async def test_current_version_is_not_read_from_disk(serving: Serving) -> None:
    serving.save(CURRENT)
    for version in ("", CURRENT.version):
        assert (await serving.library.view(version)).snapshot is CURRENT
    assert serving.library.current_version == CURRENT.version
    assert serving.read == []


async def test_older_version_is_read_once(serving: Serving) -> None:
    serving.save(OLDER)
    for _ in range(2):
        assert (await serving.library.view(OLDER.version)).snapshot == OLDER
    assert serving.read == [OLDER.version]


async def test_shipped_version_is_found_too(serving: Serving) -> None:
    serving.save(OLDER, root="shipped")
    assert (await serving.library.view(OLDER.version)).snapshot == OLDER


async def test_swap_is_followed_and_the_version_before_stays(serving: Serving) -> None:
    await serving.library.view("")
    serving.current = OLDER
    assert (await serving.library.view("")).snapshot is OLDER
    assert (await serving.library.view(CURRENT.version)).snapshot is CURRENT
    assert serving.read == []


@pytest.mark.parametrize(
    "version", ["2026-01-01-00000000", "../shipped", "..", "a/b", ".hidden", "x" * 5_000, "a\0"]
)
async def test_unknown_version_is_not_served(serving: Serving, version: str) -> None:
    serving.save(OLDER, root="shipped")
    (serving.root / "graphs" / ".hidden").mkdir(parents=True)
    with pytest.raises(GraphVersionNotServed) as refused:
        await serving.library.view(version)
    assert refused.value.served == CURRENT.version
    assert serving.read == []


async def test_damaged_version_is_not_served_unless_another_copy_is_sound(
    serving: Serving,
) -> None:
    serving.save(OLDER)
    (serving.root / "graphs" / OLDER.version / "interests.parquet").write_bytes(b"")
    with pytest.raises(GraphVersionNotServed):
        await serving.library.view(OLDER.version)
    serving.save(OLDER, root="shipped")
    assert (await serving.library.view(OLDER.version)).snapshot == OLDER


async def test_only_the_last_few_are_kept_in_memory(serving: Serving) -> None:
    serving.save(*VERSIONS[:6])
    for version in VERSIONS[:6]:
        await serving.library.view(version.version)
    assert len(serving.read) == 6
    await serving.library.view(VERSIONS[5].version)
    await serving.library.view(VERSIONS[2].version)  # the fourth last
    assert len(serving.read) == 6
    await serving.library.view(VERSIONS[0].version)
    assert len(serving.read) == 7
    await serving.library.view(VERSIONS[3].version)  # was used least recently
    assert len(serving.read) == 8


async def test_many_who_ask_at_once_read_once(serving: Serving) -> None:
    serving.save(OLDER)
    views = await asyncio.gather(*(serving.library.view(OLDER.version) for _ in range(8)))
    assert len({id(view) for view in views}) == 1
    assert serving.read == [OLDER.version]


async def test_known_version_does_not_wait_for_one_that_is_being_read(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    await serving.library.view("")
    begun, end = asyncio.Event(), asyncio.Event()

    async def slow(*_: object) -> None:
        begun.set()
        await end.wait()

    monkeypatch.setattr(asyncio, "to_thread", slow)
    reading = asyncio.create_task(serving.library.view(OLDER.version))
    await begun.wait()
    async with asyncio.timeout(5):
        assert (await serving.library.view("")).snapshot is CURRENT
    end.set()
    await reading


async def test_versions_are_listed_newest_first(serving: Serving) -> None:
    serving.save(VERSIONS[3], VERSIONS[0])
    serving.save(VERSIONS[1], VERSIONS[3], root="shipped")
    facts = await serving.library.versions()
    assert [f.version for f in facts] == [VERSIONS[i].version for i in (6, 3, 1, 0)]
    assert [f.is_current for f in facts] == [True, False, False, False]
    assert facts[0] == VersionFacts.of(CURRENT, is_current=True)
    assert facts[1] == VersionFacts.of(VERSIONS[3], is_current=False)
    assert facts[1].document_count == 3
    assert serving.read == []  # their manifests say it all


async def test_listing_skips_damaged_and_foreign_folders(serving: Serving) -> None:
    serving.save(CURRENT, *VERSIONS[:3])
    graphs = serving.root / "graphs"
    (graphs / VERSIONS[1].version / "manifest.json").write_text("{")
    (graphs / VERSIONS[2].version).rename(graphs / "renamed")
    (graphs / "empty").mkdir()
    save_snapshot(VERSIONS[4], graphs).rename(graphs / ".draft-x")
    facts = await serving.library.versions()
    assert [f.version for f in facts] == [CURRENT.version, VERSIONS[0].version]


async def test_without_a_folder_only_the_current_one_is_listed(serving: Serving) -> None:
    assert [f.version for f in await serving.library.versions()] == [CURRENT.version]
