"""Immutable, versioned, checksummed snapshots of the interest graph on disk.

    <root>/<version>/manifest.json        version, counts, SHA-256 of each file and of the manifest
                                          itself
                     interests.parquet    one row per interest
                     edges.parquet        one row per edge
                     groups.parquet       topics and communities
                     ...                  what whoever built it adds: embeddings, the corpus's state

A snapshot is written into a hidden sibling folder, a draft, and gets its name by one atomic rename:
a reader sees a whole snapshot or none. `store` says which version is the current one. Nothing here
knows embeddings, the index, or where interests come from.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inkling_server.interests.graph import Community, Edges, GraphSnapshot, Interest, Topic

FORMAT = 2
DRAFT_PREFIX = ".draft-"
_INTERESTS = "interests.parquet"
_EDGES = "edges.parquet"
_GROUPS = "groups.parquet"
_MANIFEST = "manifest.json"
_ROWS_READ = 8_192
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = pa.timestamp("us", "UTC")
_INTEREST_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("phrase", pa.string(), nullable=False),
        pa.field("aliases", pa.list_(pa.string()), nullable=False),
        pa.field("count", pa.int64(), nullable=False),
        pa.field("pinned", pa.bool_(), nullable=False),
        pa.field("trend_z", pa.float64(), nullable=False),
        pa.field("is_trending", pa.bool_(), nullable=False),
        pa.field("rank", pa.float64(), nullable=False),
        pa.field("topic", pa.int32()),
        pa.field("community", pa.int32()),
        pa.field("first_seen", _TIME),
        pa.field("last_seen", _TIME),
        pa.field("extractors", pa.list_(pa.string()), nullable=False),
    ]
)
_EDGE_SCHEMA = pa.schema(
    [
        pa.field("first", pa.int32(), nullable=False),
        pa.field("second", pa.int32(), nullable=False),
        pa.field("semantic", pa.float32(), nullable=False),
        pa.field("engagement", pa.float32(), nullable=False),
        pa.field("weight", pa.float32(), nullable=False),
    ]
)
_GROUP_SCHEMA = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),  # topic, community
        pa.field("number", pa.int32(), nullable=False),
        pa.field("words", pa.list_(pa.string()), nullable=False),  # of a community: its name
        pa.field("interest_count", pa.int32(), nullable=False),  # of a topic: 0
    ]
)


class SnapshotDamaged(Exception):
    """A snapshot's files do not match its manifest, or the manifest is missing or unreadable."""


def save_snapshot(snapshot: GraphSnapshot, root: Path) -> Path:
    """Writes a snapshot below `root`, whole or not at all; returns its folder.

    A version that is there already stays as it is, also when another process writes it meanwhile.
    """
    target = root / snapshot.version
    if target.exists():
        return target
    return name_draft(write_draft(snapshot, root), root)


def write_draft(
    snapshot: GraphSnapshot, root: Path, add_files: Callable[[Path], None] | None = None
) -> Path:
    """Writes a snapshot into a hidden folder of its own below `root`; returns that folder.

    Args:
        snapshot: what to write.
        root: folder of snapshots; made where needed.
        add_files: writes more files into the folder that it is given; they are checksummed too.
    """
    root.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=root))
    try:
        _write_tables(snapshot, draft)
        if add_files is not None:
            add_files(draft)
        paths = sorted(draft.rglob("*"))
        files = [path for path in paths if path.is_file()]
        for path in files:
            path.chmod(0o644)  # safetensors writes for its owner only
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "version": snapshot.version,
            "created_time": snapshot.created_time.astimezone(UTC).isoformat(),
            "interest_count": len(snapshot.interests),
            "edge_count": len(snapshot.edges),
            "document_count": snapshot.document_count,
            "sha256": {path.relative_to(draft).as_posix(): _sha256(path) for path in files},
        }
        manifest["sha256"][_MANIFEST] = _manifest_sha256(manifest)
        (draft / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        draft.chmod(0o755)
        for path in (*paths, draft / _MANIFEST, draft):
            fsync(path)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return draft


def name_draft(draft: Path, root: Path) -> Path:
    """Gives a draft its version's name, by one rename; returns the folder.

    A damaged folder of that name makes way. The same content always has the same name, so it would
    be in the way for ever.

    Raises:
        SnapshotDamaged: the draft has no sound manifest.
        OSError: it cannot be renamed.
    """
    target = root / str(read_manifest(draft)["version"])
    if target.exists() and not _is_whole(target):
        target.rename(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=root))
    try:
        draft.rename(target)
    except BaseException as error:
        # Another process may have named the same version first: its folder holds the same.
        shutil.rmtree(draft, ignore_errors=True)
        if not (isinstance(error, OSError) and target.exists()):
            raise
    fsync(root)
    return target


def load_snapshot(folder: Path) -> GraphSnapshot:
    """Reads and verifies one snapshot, or a draft of one.

    Files that are not the graph's own are verified by whoever reads them: see `verify_files`.

    Raises:
        SnapshotDamaged: a file is missing, changed, or of another format.
    """
    try:
        manifest = read_manifest(folder)
        verify_files(folder, manifest, (_INTERESTS, _EDGES, _GROUPS))
        topics, communities = _read_groups(folder / _GROUPS)
        return GraphSnapshot(
            manifest["version"],
            datetime.fromisoformat(manifest["created_time"]),
            _read_interests(folder / _INTERESTS),
            _read_edges(folder / _EDGES),
            topics,
            communities,
            manifest["document_count"],
        )
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise SnapshotDamaged(f"{folder.name}: {error}") from error
    finally:
        # Arrow keeps what it has freed for a next time, which in a server comes seldom; and it
        # gives back only what this thread took, so none of the reading is done by others.
        pa.default_memory_pool().release_unused()


def newest_snapshot(root: Path) -> Path:
    """The folder of the latest snapshot below `root`, by creation time.

    Raises:
        SnapshotDamaged: there is none, or the manifest of one cannot be read.
    """
    folders = snapshot_folders(root)
    if not folders:
        raise SnapshotDamaged(f"no graph snapshot in {root.name}")
    return max(folders, key=lambda folder: (created_time(folder), folder.name))


def snapshot_folders(root: Path) -> list[Path]:
    """Every snapshot below `root` that has its name, in no order."""
    return [path.parent for path in root.glob(f"*/{_MANIFEST}") if path.parent.name[0] != "."]


def created_time(folder: Path) -> datetime:
    """When a snapshot was built, by its manifest. Raises SnapshotDamaged."""
    try:
        return datetime.fromisoformat(read_manifest(folder)["created_time"])
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotDamaged(f"{folder.name}: {error}") from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """A snapshot's manifest, verified against its own checksum.

    Args:
        folder: a snapshot's, or a draft's, which does not have its version's name yet.

    Raises:
        SnapshotDamaged: it is missing, changed, of another format or of another version.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise SnapshotDamaged(f"{folder.name}: format {manifest['format']}, not {FORMAT}")
        is_draft = folder.name.startswith(DRAFT_PREFIX)
        if not is_draft and manifest["version"] != folder.name:
            raise SnapshotDamaged(f"{folder.name}: holds version {manifest['version']}")
        if manifest["sha256"].pop(_MANIFEST) != _manifest_sha256(manifest):
            raise SnapshotDamaged(f"{folder.name}: {_MANIFEST} does not match its checksum")
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise SnapshotDamaged(f"{folder.name}: {error}") from error
    return manifest


def verify_files(folder: Path, manifest: dict[str, Any], names: Iterable[str]) -> None:
    """Raises SnapshotDamaged unless these files match the manifest's checksums."""
    for name in names:
        if _sha256(folder / name) != manifest["sha256"][name]:
            raise SnapshotDamaged(f"{folder.name}: {name} does not match its checksum")


def _is_whole(folder: Path) -> bool:
    try:
        manifest = read_manifest(folder)
        verify_files(folder, manifest, manifest["sha256"])
    except (OSError, SnapshotDamaged):
        return False
    return True


def times_of(column: pa.Array | pa.ChunkedArray) -> list[datetime | None]:
    """A column of times, in UTC: as `to_pylist`, ten times as fast; equal times are one object."""
    known: dict[int | None, datetime | None] = {None: None}
    times = []
    for us in column.cast(pa.int64()).to_pylist():
        if us not in known:
            known[us] = _EPOCH + timedelta(microseconds=us)
        times.append(known[us])
    return times


def fsync(path: Path) -> None:
    """Makes sure that a rename never publishes names whose bytes are still in flight."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_tables(snapshot: GraphSnapshot, folder: Path) -> None:
    names = _INTEREST_SCHEMA.names
    rows = [{name: getattr(i, name) for name in names} for i in snapshot.interests]
    edges = snapshot.edges
    edge_columns = [
        edges.ends_E2[:, 0],
        edges.ends_E2[:, 1],
        edges.semantic_E,
        edges.engagement_E,
        edges.weight_E,
    ]
    groups = [
        {"kind": "topic", "number": t.number, "words": t.words, "interest_count": 0}
        for t in snapshot.topics
    ]
    groups += [
        {
            "kind": "community",
            "number": c.number,
            "words": (c.name,),
            "interest_count": c.interest_count,
        }
        for c in snapshot.communities
    ]
    tables = {
        _INTERESTS: pa.Table.from_pylist(rows, schema=_INTEREST_SCHEMA),
        _EDGES: pa.table([pa.array(column) for column in edge_columns], schema=_EDGE_SCHEMA),
        _GROUPS: pa.Table.from_pylist(groups, schema=_GROUP_SCHEMA),
    }
    for name, table in tables.items():
        pq.write_table(table, folder / name, compression="zstd")


def _read_interests(path: Path) -> tuple[Interest, ...]:
    interests: list[Interest] = []
    with pq.ParquetFile(path) as file:
        if not file.schema_arrow.equals(_INTEREST_SCHEMA):
            raise ValueError(f"{path.name} has other columns")
        # In parts, so that the columns of a large graph never stand beside all of its interests.
        for batch in file.iter_batches(_ROWS_READ, use_threads=False):
            interests += _interests_of(pa.Table.from_batches([batch]))
    return tuple(interests)


def _interests_of(table: pa.Table) -> list[Interest]:
    columns = table.drop_columns(["first_seen", "last_seen"]).to_pydict()
    # Equal values as one object: names without capitals are their ids, few extractors found all.
    ids = columns["id"]
    columns["phrase"] = [
        name if name == phrase else phrase
        for name, phrase in zip(ids, columns["phrase"], strict=True)
    ]
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    columns["aliases"] = [tuple(words) for words in columns["aliases"]]
    columns["extractors"] = [
        known.setdefault(words, words) for words in map(tuple, columns["extractors"])
    ]
    for name in ("first_seen", "last_seen"):
        columns[name] = times_of(table[name])
    rows = zip(*(columns[name] for name in _INTEREST_SCHEMA.names), strict=True)
    return [Interest(*row) for row in rows]


def _read_edges(path: Path) -> Edges:
    table = pq.read_table(path, schema=_EDGE_SCHEMA, use_threads=False)
    columns = {name: table[name].to_numpy() for name in _EDGE_SCHEMA.names}
    ends_E2 = np.stack([columns["first"], columns["second"]], axis=1)
    copies = [columns[name].copy() for name in ("semantic", "engagement", "weight")]
    return Edges(ends_E2, *copies)


def _read_groups(path: Path) -> tuple[tuple[Topic, ...], tuple[Community, ...]]:
    rows = pq.read_table(path, schema=_GROUP_SCHEMA, use_threads=False).to_pylist()
    topics = tuple(Topic(r["number"], tuple(r["words"])) for r in rows if r["kind"] == "topic")
    communities = tuple(
        Community(r["number"], r["words"][0], r["interest_count"])
        for r in rows
        if r["kind"] == "community"
    )
    return topics, communities


def _manifest_sha256(manifest: dict[str, Any]) -> str:
    """Of everything but this checksum itself; blind to white space."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
