"""Writes mined samples as WebDataset shards with a manifest and an index of places.

    <out>/images/pairs-000000.tar   <stem>.webp, <stem>.json, next sample, ... : plain tar
          index.npy                 int64 [N, 6]: shard, picture's offset and bytes, document's
                                    offset and bytes, split (0 train, 1 val)
          manifest.json             what was mined from what, how, and the shards' SHA-256

The folder is written as a hidden draft beside its place and gets its name by one rename: a reader
sees a whole set or none. The same samples, settings and seed give the same bytes: times, owners and
modes in the tars are fixed, and the order is drawn from the seed. Any WebDataset reader reads the
shards without the index. This module mines nothing.
"""

import hashlib
import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from inkling_server.errors import ImageInvalid
from inkling_server.images.header import read_header
from inkling_training.pairs.mining import MinedItem
from inkling_training.pairs.samples import document_of

FORMAT = 1
MANIFEST, INDEX, IMAGES = "manifest.json", "index.npy", "images"
SPLITS = ("train", "val")
MAX_SHARD_BYTES = 256 * 1024 * 1024
MAX_SHARD_SAMPLES = 10_000
DRAFT_PREFIX = ".draft-pairs-"
_SAFE = re.compile(r"[A-Za-z0-9_-]{1,80}")
_BLOCK = 512  # bytes: tar's unit


class OutputOccupied(FileExistsError):
    """The place of the new set holds something else, which is not overwritten."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes:
        folder: the set.
        manifest: as it lies there.
    """

    folder: Path
    manifest: dict[str, Any]


def write_pairs(
    items: Sequence[MinedItem],
    out: Path,
    facts: Mapping[str, Any],
    *,
    seed: int = 0,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    max_shard_samples: int = MAX_SHARD_SAMPLES,
) -> Written:
    """Writes one set, whole or not at all; replaces an older set of pairs at that place.

    Args:
        items: in any order.
        out: the set's folder.
        facts: further entries of the manifest; its "skipped" is added to.
        seed: of the order.
        max_shard_bytes: a shard that holds a sample never grows beyond it.
        max_shard_samples: of one shard.

    Raises:
        OutputOccupied: `out` is there and no set of pairs.
    """
    if out.exists() and not (is_pairs_folder(out) or not any(out.iterdir())):
        raise OutputOccupied(f"{out.name} is there and no set of pairs: choose another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=out.parent))
    try:
        (draft / IMAGES).mkdir()
        writer = _Writer(draft, max_shard_bytes, max_shard_samples)
        ordered = sorted(items, key=lambda mined: mined.item.key)
        Random(seed).shuffle(ordered)
        for mined in ordered:
            writer.add(mined)
        writer.close()
        index_N6 = np.array(writer.rows, dtype=np.int64).reshape(-1, 6)
        np.save(draft / INDEX, index_N6, allow_pickle=False)
        manifest = _manifest(writer, facts, seed) | {"index_sha256": sha256_of(draft / INDEX)}
        text = json.dumps(manifest, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        (draft / MANIFEST).write_text(text, encoding="utf-8")
        draft.chmod(0o755)
        _publish(draft, out)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return Written(out, manifest)


def is_pairs_folder(folder: Path) -> bool:
    """Whether a folder holds a set of pairs, of any format number."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("kind") == "inkling pairs"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Writer:
    def __init__(self, draft: Path, max_bytes: int, max_samples: int) -> None:
        self._draft = draft
        self._max_bytes, self._max_samples = max_bytes, max_samples
        self._tar: tarfile.TarFile | None = None
        self._bytes = self._samples = 0
        self._stems: set[str] = set()
        self.shards: list[dict[str, Any]] = []
        self.rows: list[tuple[int, ...]] = []
        self.items: list[MinedItem] = []
        self.gone = 0

    def add(self, mined: MinedItem) -> None:
        picture = mined.item.read_picture()
        if picture is None:
            self.gone += 1
            return
        text = json.dumps(document_of(mined.sample(picture)), ensure_ascii=False)
        document = text.encode("utf-8", "replace")
        size = sum(_BLOCK + -(-len(body) // _BLOCK) * _BLOCK for body in (picture, document))
        full = self._bytes + size > self._max_bytes or self._samples >= self._max_samples
        if self._tar is None or (full and self._samples):
            self.close()
            self._open()
        stem = self._stem(mined.item.key)
        at = self._put(f"{stem}.{suffix_of(picture)}", picture)
        then = self._put(f"{stem}.json", document)
        split = SPLITS.index(mined.item.split or "train")
        row = (len(self.shards) - 1, at, len(picture), then, len(document), split)
        self.rows.append(row)
        self.items.append(mined)
        self._bytes += size
        self._samples += 1

    def close(self) -> None:
        if self._tar is None:
            return
        self._tar.close()
        self._tar = None
        path = self._draft / IMAGES / self.shards[-1]["name"]
        self.shards[-1] |= {
            "samples": self._samples,
            "bytes": path.stat().st_size,
            "sha256": sha256_of(path),
        }

    def _open(self) -> None:
        name = f"pairs-{len(self.shards):06d}.tar"
        self.shards.append({"name": name})
        path = self._draft / IMAGES / name
        self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        self._bytes = self._samples = 0

    def _put(self, name: str, body: bytes) -> int:
        """Adds a member; returns where its body begins."""
        assert self._tar is not None
        member = tarfile.TarInfo(name)
        member.size = len(body)
        member.mode = 0o644  # the other fields are 0 and "" by default
        start = self._tar.offset + _BLOCK
        self._tar.addfile(member, BytesIO(body))
        return start

    def _stem(self, key: str) -> str:
        """A name without dots, which WebDataset cuts at, that no other sample has."""
        name = key.partition("/")[2] or key
        stem = name
        if not _SAFE.fullmatch(name) or name in self._stems:
            plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:40]
            digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
            stem = f"{plain or 'item'}-{digest[:16]}"
        while stem in self._stems:
            stem += "-"
        self._stems.add(stem)
        return stem


def suffix_of(picture: bytes) -> str:
    """What a reader that goes by names expects: "jpg", "png", "webp", ..."""
    try:
        name = read_header(picture).format.lower()
    except ImageInvalid:
        return "bin"
    return "jpg" if name == "jpeg" else name


def _manifest(writer: _Writer, facts: Mapping[str, Any], seed: int) -> dict[str, Any]:
    counts: dict[str, dict[str, int]] = {}
    interests: set[str] = set()
    pairs = negatives = 0
    for mined in writer.items:
        by_split = counts.setdefault(mined.item.source, dict.fromkeys(SPLITS, 0))
        by_split[mined.item.split or "train"] += 1
        interests.update(pair.interest_id for pair in mined.pairs)
        pairs += len(mined.pairs)
        negatives += len(mined.negatives)
    skipped = dict(facts.get("skipped", {}))
    if writer.gone:
        skipped["picture gone or changed"] = writer.gone
    return {
        **facts,
        "kind": "inkling pairs",
        "format": FORMAT,
        "seed": seed,
        "samples": len(writer.rows),
        "pairs": pairs,
        "negatives": negatives,
        "interests_covered": len(interests),
        "counts": counts,
        "skipped": dict(sorted(skipped.items())),
        "shards": writer.shards,
    }


def _publish(draft: Path, out: Path) -> None:
    """Names the draft; an older set makes way only then."""
    old: Path | None = None
    if out.exists():
        old = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=out.parent))
        out.rename(old)
    try:
        draft.rename(out)
    except BaseException:
        if old is not None:
            old.rename(out)
        raise
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
