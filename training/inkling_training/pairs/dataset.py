"""Reads a set of pairs: any sample at any time, from any thread or process.

    pairs = open_pairs(Path("OUT"))
    pairs[17].pairs[0].phrase, pairs.manifest["graph_version"], pairs.rows("val")

Places of samples come from the set's index; bytes are read with `pread`, which moves no shared file
position: threads and forked processes use one data set at once, and a pickled one opens its files
anew. It knows no model and decodes no picture.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkling_training.pairs.samples import PairSample, PairsDamaged, sample_of
from inkling_training.pairs.shards import FORMAT, IMAGES, INDEX, MANIFEST, SPLITS, sha256_of


def open_pairs(folder: Path, *, verify: bool = False) -> "PairDataset":
    """Opens a set of pairs.

    Args:
        folder: as `python -m inkling_training.pairs --out` made it.
        verify: compare every shard with its checksum, too: reads all bytes once.

    Raises:
        PairsDamaged: no set of pairs, of another format, incomplete, or (with `verify`) changed.
    """
    manifest = _manifest(folder)
    shards = manifest["shards"]
    for shard in shards:
        path = folder / IMAGES / shard["name"]
        if not path.is_file():
            raise PairsDamaged(f"{folder.name}: {shard['name']} is missing")
        if path.stat().st_size != shard["bytes"]:
            raise PairsDamaged(
                f"{folder.name}: {shard['name']} has {path.stat().st_size} bytes, "
                f"and should have {shard['bytes']}"
            )
        if verify and sha256_of(path) != shard["sha256"]:
            raise PairsDamaged(f"{folder.name}: {shard['name']} does not match its checksum")
    index_N6 = _index(folder, manifest)
    return PairDataset(folder, manifest, index_N6)


class PairDataset:
    """A sequence of samples, in the order of the shards; see `open_pairs`.

    Attributes:
        folder: where it lies.
        manifest: what was mined from what, and how.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any], index_N6: NDArray[np.int64]) -> None:
        self.folder = folder
        self.manifest = manifest
        self._index_N6 = index_N6
        self._files: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._index_N6)

    def __getitem__(self, number: int) -> PairSample:
        """One sample; negative numbers count from the end.

        Raises:
            IndexError: there is no such sample.
            PairsDamaged: its bytes are no sample.
        """
        shard, at, size, then, length, _ = self._index_N6[number].tolist()
        picture, document = self._read(shard, at, size), self._read(shard, then, length)
        return sample_of(document, picture, self.manifest["shards"][shard]["name"])

    def __iter__(self) -> Iterator[PairSample]:
        return (self[number] for number in range(len(self)))

    def rows(self, split: str) -> NDArray[np.int64]:
        """Numbers of the samples of a split, ascending, without reading them.

        Raises:
            ValueError: no such split.
        """
        if split not in SPLITS:
            raise ValueError(f"split must be one of: {', '.join(SPLITS)}, not {split!r}")
        return np.flatnonzero(self._index_N6[:, 5] == SPLITS.index(split))

    def __getstate__(self) -> tuple[Path, dict[str, Any], NDArray[np.int64]]:
        return self.folder, self.manifest, self._index_N6

    def __setstate__(self, state: tuple[Path, dict[str, Any], NDArray[np.int64]]) -> None:
        self.folder, self.manifest, self._index_N6 = state
        self._files = {}

    def close(self) -> None:
        """Gives the open files back; reading opens them again."""
        files, self._files = self._files, {}
        for file in files.values():
            os.close(file)

    def __del__(self) -> None:
        for file in getattr(self, "_files", {}).values():
            os.close(file)

    def _read(self, shard: int, offset: int, size: int) -> bytes:
        file = self._files.get(shard)
        if file is None:
            file = self._open(shard)
        data = os.pread(file, size, offset)
        if len(data) != size:
            raise PairsDamaged(f"{self.manifest['shards'][shard]['name']} ends early")
        return data

    def _open(self, shard: int) -> int:
        path = self.folder / IMAGES / self.manifest["shards"][shard]["name"]
        mine = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        # Two threads may come here at once; one dictionary operation decides, without a lock that a
        # fork could leave locked.
        kept = self._files.setdefault(shard, mine)
        if kept != mine:
            os.close(mine)
        return kept


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PairsDamaged(f"{folder.name} has no {MANIFEST}: it is no set of pairs") from None
    except (OSError, ValueError) as error:
        raise PairsDamaged(f"{folder.name}: {MANIFEST} cannot be read: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("kind") != "inkling pairs":
        raise PairsDamaged(f"{folder.name}: {MANIFEST} is not of a set of pairs")
    if manifest.get("format") != FORMAT:
        raise PairsDamaged(
            f"{folder.name}: format {manifest.get('format')}, and this reads format {FORMAT}"
        )
    try:
        for shard in manifest["shards"]:
            name = shard["name"]
            if Path(name).name != name or not isinstance(shard["bytes"], int):
                raise PairsDamaged(f"{folder.name}: {MANIFEST} names no sound shard")
    except (KeyError, TypeError):
        raise PairsDamaged(f"{folder.name}: {MANIFEST} names no sound shards") from None
    return manifest


def _index(folder: Path, manifest: dict[str, Any]) -> NDArray[np.int64]:
    try:
        if sha256_of(folder / INDEX) != manifest["index_sha256"]:
            raise PairsDamaged(f"{folder.name}: {INDEX} does not match its checksum")
        index_N6 = np.load(folder / INDEX, allow_pickle=False)
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, PairsDamaged):
            raise
        raise PairsDamaged(f"{folder.name}: {INDEX} cannot be read: {error}") from None
    if index_N6.dtype != np.int64 or index_N6.shape != (manifest.get("samples"), 6):
        raise PairsDamaged(f"{folder.name}: {INDEX} holds no row for each sample")
    result: NDArray[np.int64] = index_N6
    return result
