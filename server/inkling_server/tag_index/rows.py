"""The vectors that are searched, with priors and offsets folded in, and their file.

    row   [t, bias + prior_t + offset_t]      query   [scale * x, 1]      row . query = logit

    <folder>/<digest>.rows    a header of 4,096 bytes (JSON, padded: shape, longest row, SHA-256),
                              then float32 [N, E]

The file is mapped, read-only: processes that serve the same tags share its pages, and the kernel
may drop and read them again. The digest in its name covers everything that the numbers follow from,
so a file is never changed, only replaced by an equal one (atomic rename); one that is damaged or
cut short is refused by its checksum when it is opened, and made anew. Unlinking it while it is
mapped harms nobody. It blocks: call it off the event loop. It knows no FAISS, phrases or models.

Shapes: N tags, D dimensions, E = D + 1.
"""

import hashlib
import json
import logging
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inkling_server.cache_files import mark_used, prune, replace_file
from inkling_server.encoders import Embeddings
from inkling_server.scoring import Float64

_log = logging.getLogger(__name__)
_HEADER_BYTES = 4096  # a page: the rows begin at one
_FORMAT = 1
_READ_BYTES = 1 << 20
_SUFFIX = ".rows"
BLOCK_ROWS = 8192


@dataclass(frozen=True, slots=True, eq=False)
class TagRows:
    """Rows to search. `fold_rows` or `RowsFolder.open` makes them.

    Attributes:
        rows_NE: float32, C-contiguous; memory of this process, or a mapped file.
        longest_row: greatest length of a row without its last number.
        mapping: of the file; None: the rows are in memory.
    """

    rows_NE: Embeddings
    longest_row: float
    mapping: mmap.mmap | None = None

    def release_pages(self) -> None:
        """Takes the mapped pages out of this process until they are used again.

        They stay in the kernel's cache. Without a file, or where the system cannot, nothing
        happens.
        """
        if self.mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
            self.mapping.madvise(mmap.MADV_DONTNEED)


def fold_rows(embeddings_ND: Embeddings, shifts_N: Float64) -> TagRows:
    """Copies embeddings and what is added to each tag's logit into rows.

    Raises:
        ValueError: shapes do not fit together, or a number is not finite.
    """
    if embeddings_ND.ndim != 2 or shifts_N.shape != embeddings_ND.shape[:1]:
        raise ValueError("embeddings_ND must be [N, D] and priors_N [N]")
    count, dimension = embeddings_ND.shape
    rows_NE = np.empty((count, dimension + 1), np.float32)
    rows_NE[:, dimension] = shifts_N
    longest = 0.0
    # In blocks: whole temporary copies would be what a process needs most memory for.
    for start in range(0, count, BLOCK_ROWS):
        block_BD = embeddings_ND[start : start + BLOCK_ROWS]
        rows_NE[start : start + len(block_BD), :dimension] = block_BD
        longest = max(longest, float(np.linalg.norm(block_BD, axis=1).max()))
        if not np.isfinite(rows_NE[start : start + len(block_BD)]).all():
            raise ValueError("embeddings, priors and offsets must be finite")
    return TagRows(rows_NE, longest)


def fold_queries(pictures_BD: Embeddings, scale: float) -> Embeddings:
    """Pictures as rows are searched with, float32 [B, E]; `scale` is the calibration's."""
    queries_BE = np.ones((len(pictures_BD), pictures_BD.shape[1] + 1), np.float32)
    np.multiply(pictures_BD, np.float32(scale), out=queries_BE[:, :-1])
    return queries_BE


class RowsFolder:
    """A folder of rows.

    Args:
        folder: made when something is stored first.
        max_files: kept; the least recently used go first.
    """

    def __init__(self, folder: Path, *, max_files: int = 4) -> None:
        self._folder = folder
        self._max_files = max_files

    def path(self, digest: str) -> Path:
        """Where the rows of a digest are."""
        return self._folder / f"{digest}{_SUFFIX}"

    def open(self, digest: str, shape: tuple[int, int]) -> TagRows | None:
        """Verifies and maps rows; None where there is no sound file of this shape."""
        path = self.path(digest)
        try:
            rows = _map(path, shape)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("tag rows: %s is damaged (%s); it is made anew", path.name, error)
            return None
        mark_used(path)
        return rows

    def store(self, digest: str, rows: TagRows) -> TagRows:
        """Writes rows and maps them; on a full or read-only disk, a warning and the same rows."""
        try:
            self._write(digest, rows)
            prune(self.path(digest), _SUFFIX, self._max_files)
        except OSError as error:
            _log.warning("tag rows: cannot be written (%s); every process has its own", error)
            return rows
        shape = rows.rows_NE.shape
        return self.open(digest, (shape[0], shape[1])) or rows

    def _write(self, digest: str, rows: TagRows) -> None:
        header = json.dumps(
            {
                "format": _FORMAT,
                "shape": rows.rows_NE.shape,
                "longest_row": rows.longest_row,
                "sha256": _digest(rows.rows_NE.shape, rows.longest_row, rows.rows_NE.data),
            }
        ).encode()
        replace_file(self.path(digest), [header.ljust(_HEADER_BYTES), rows.rows_NE.data])


def _begun(shape: Sequence[int], longest_row: float) -> "hashlib._Hash":
    return hashlib.sha256(json.dumps([*shape, longest_row]).encode())


def _digest(shape: Sequence[int], longest_row: float, data: memoryview) -> str:
    digest = _begun(shape, longest_row)
    digest.update(data)
    return digest.hexdigest()


def _map(path: Path, shape: tuple[int, int]) -> TagRows:
    size = shape[0] * shape[1] * np.dtype(np.float32).itemsize
    with path.open("rb") as file:
        header = json.loads(file.read(_HEADER_BYTES))
        if header["format"] != _FORMAT or tuple(header["shape"]) != shape:
            raise ValueError(f"it holds {header['shape']} rows, not {list(shape)}")
        if os.fstat(file.fileno()).st_size != _HEADER_BYTES + size:
            raise ValueError("it was cut short")
        # Read, not mapped: what is only verified should not count as this process's memory.
        longest_row = float(header["longest_row"])
        digest = _begun(shape, longest_row)
        while block := file.read(_READ_BYTES):
            digest.update(block)
        if digest.hexdigest() != header["sha256"]:
            raise ValueError("its checksum differs")
        if size == 0:
            return TagRows(np.empty(shape, np.float32), longest_row)
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    rows_NE = np.frombuffer(mapping, np.float32, offset=_HEADER_BYTES).reshape(shape)
    return TagRows(rows_NE, longest_row, mapping)
