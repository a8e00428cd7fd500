"""Immutable, versioned, checksummed snapshots of the interest graph on disk.

    <root>/<version>/manifest.json       version, counts, SHA-256 of the table and of the manifest
    itself
                     interests.parquet   one row per interest

A snapshot is written into a hidden sibling folder and published by one atomic rename: a reader sees
a whole snapshot or none. Nothing here knows embeddings, the index, or where interests come from.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FORMAT = 1
_TABLE = "interests.parquet"
_MANIFEST = "manifest.json"
_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("phrase", pa.string(), nullable=False),
        pa.field("aliases", pa.list_(pa.string()), nullable=False),
        pa.field("count", pa.int64(), nullable=False),
    ]
)


class SnapshotDamaged(Exception):
    """A snapshot's files do not match its manifest, or the manifest is missing or unreadable."""


@dataclass(frozen=True, slots=True)
class Interest:
    """One node of the graph.

    Attributes:
        id: stable across refreshes: lower-case words joined by '-'.
        phrase: what a person reads.
        aliases: other spellings and inflections merged into this interest.
        count: documents of the graph's corpus that name it, or something that it follows from by
            meaning (a puppy is a dog), >= 0.
    """

    id: str
    phrase: str
    aliases: tuple[str, ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True)
class GraphSnapshot:
    """One version of the graph. Interests are sorted by id; ids are unique.

    Attributes:
        version: names this snapshot in every answer; also its folder's name.
        created_time: when it was built (UTC).
        interests: the nodes.
    """

    version: str
    created_time: datetime
    interests: tuple[Interest, ...]

    def __post_init__(self) -> None:
        ids = [interest.id for interest in self.interests]
        if ids != sorted(set(ids)):
            raise ValueError("interests must be sorted by id, and ids must be unique")
        if self.created_time.tzinfo is None:
            raise ValueError("created_time must say its time zone")
        if not re.fullmatch(r"\w[\w.-]*", self.version):
            raise ValueError(f"a version names a folder, so it cannot be {self.version!r}")


def interest_id(phrase: str) -> str:
    """The id of a phrase that is new to the graph: its words, lower case, joined by '-'.

    Raises:
        ValueError: the phrase holds no word.
    """
    # Twice: lower-casing may leave letters that only another normalisation joins with their
    # accents.
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", phrase).casefold())
    words = re.findall(r"\w+", plain)
    if not words:
        raise ValueError(f"no word in {phrase!r}")
    return "-".join(words)


def make_snapshot(interests: list[Interest], created_time: datetime) -> GraphSnapshot:
    """Sorts the interests; date (UTC) and content name the version: "2026-11-22-1a2b3c4d"."""
    ordered = tuple(sorted(interests, key=lambda interest: interest.id))
    content = json.dumps([[i.id, i.phrase, i.aliases, i.count] for i in ordered])
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    day = created_time.astimezone(UTC).date()
    return GraphSnapshot(f"{day:%Y-%m-%d}-{digest}", created_time, ordered)


def save_snapshot(snapshot: GraphSnapshot, root: Path) -> Path:
    """Writes and publishes a snapshot below `root`; returns its folder.

    A version that is there already stays as it is, also when another process publishes it
    meanwhile.
    """
    target = root / snapshot.version
    if target.exists():
        return target
    root.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=root))
    try:
        rows = [
            {"id": i.id, "phrase": i.phrase, "aliases": list(i.aliases), "count": i.count}
            for i in snapshot.interests
        ]
        pq.write_table(
            pa.Table.from_pylist(rows, schema=_SCHEMA), draft / _TABLE, compression="zstd"
        )
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "version": snapshot.version,
            "created_time": snapshot.created_time.astimezone(UTC).isoformat(),
            "interest_count": len(snapshot.interests),
            "sha256": {_TABLE: _sha256(draft / _TABLE)},
        }
        manifest["sha256"][_MANIFEST] = _manifest_sha256(manifest)
        (draft / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        draft.chmod(0o755)
        for path in (draft / _TABLE, draft / _MANIFEST, draft):
            _fsync(path)
        try:
            draft.rename(target)
        except OSError:
            if not target.exists():
                raise
            shutil.rmtree(draft)  # another process published the same version first
        _fsync(root)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return target


def load_snapshot(folder: Path) -> GraphSnapshot:
    """Reads and verifies one snapshot.

    Raises:
        SnapshotDamaged: a file is missing, changed, or of another format.
    """
    try:
        manifest = _read_manifest(folder)
        if _sha256(folder / _TABLE) != manifest["sha256"][_TABLE]:
            raise SnapshotDamaged(f"{folder.name}: {_TABLE} does not match its checksum")
        columns = pq.read_table(folder / _TABLE, schema=_SCHEMA).to_pydict()
        interests = tuple(
            Interest(id_, phrase, tuple(aliases), count)
            for id_, phrase, aliases, count in zip(
                columns["id"], columns["phrase"], columns["aliases"], columns["count"], strict=True
            )
        )
        return GraphSnapshot(
            manifest["version"], datetime.fromisoformat(manifest["created_time"]), interests
        )
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise SnapshotDamaged(f"{folder.name}: {error}") from error


def newest_snapshot(root: Path) -> Path:
    """The folder of the latest snapshot below `root`, by creation time.

    Raises:
        SnapshotDamaged: there is none, or the manifest of one cannot be read.
    """
    folders = [path.parent for path in root.glob(f"*/{_MANIFEST}") if path.parent.name[0] != "."]
    if not folders:
        raise SnapshotDamaged(f"no graph snapshot in {root.name}")
    return max(folders, key=lambda folder: (_created_time(folder), folder.name))


def _created_time(folder: Path) -> datetime:
    try:
        return datetime.fromisoformat(_read_manifest(folder)["created_time"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise SnapshotDamaged(f"{folder.name}: {error}") from error


def _read_manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    if manifest["format"] != FORMAT:
        raise SnapshotDamaged(f"{folder.name}: format {manifest['format']}, not {FORMAT}")
    if manifest["version"] != folder.name:
        raise SnapshotDamaged(f"{folder.name}: holds version {manifest['version']}")
    if manifest["sha256"].pop(_MANIFEST) != _manifest_sha256(manifest):
        raise SnapshotDamaged(f"{folder.name}: {_MANIFEST} does not match its checksum")
    return manifest


def _manifest_sha256(manifest: dict[str, Any]) -> str:
    """Of everything but this checksum itself; blind to white space."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    """Makes sure that the rename never publishes names whose bytes are still in flight."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
