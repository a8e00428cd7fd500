"""Reads files of word vectors, plain or gzipped, of any size.

    word2vec text    "400000 300", then one word a line: "paris 0.12 -0.3 ..."
    GloVe text       the same without the first line
    word2vec binary  the first line, then word, space, float32s, little-endian (.bin, .bin.gz)

The first line tells text formats apart, the name tells binary ones. Words may hold spaces, as in
GloVe's 840B file: a line's last D fields are the vector. Of a word that comes twice the first
counts. It reads values only: nothing in such a file is ever executed.

Shapes: W words, D dimensions.
"""

import gzip
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

import numpy as np

from inkling_server.interests.embedders.base import EmbedderUnusable, Float32

Row: TypeAlias = "array[float]"  # float32

MAX_DIMENSION = 8192
_MAX_WORD_BYTES = 1000  # a longer "word" means that the file is something else
_MAX_LINE_BYTES = _MAX_WORD_BYTES + 40 * MAX_DIMENSION
_BLOCK_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_FORMATS = (
    "word2vec text with a first line 'WORDS DIMENSIONS', GloVe text without one, or word2vec "
    "binary named .bin; each plain or gzipped"
)


@dataclass(frozen=True, slots=True)
class WordVectors:
    """Vectors of words.

    Attributes:
        places: a word's row.
        vectors_WD: float32, finite, as the file has them; whoever gets it may change it.
    """

    places: dict[str, int]
    vectors_WD: Float32


def read_word_vectors(path: Path, *, max_words: int) -> WordVectors:
    """Reads the first `max_words` words of a file.

    Args:
        path: see above.
        max_words: files list frequent words first, so that this bounds memory (4 * D bytes a
            word) at the cost of the rarest.

    Raises:
        EmbedderUnusable: missing, damaged, or another format.
    """
    try:
        with _open(path) as stream:
            return _read(stream, path, max_words)
    except (OSError, EOFError, zlib.error) as error:  # BadGzipFile is an OSError
        problem = "no such file" if isinstance(error, FileNotFoundError) else f"unreadable: {error}"
        raise EmbedderUnusable(str(path), problem, _FORMATS) from error


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as stream:
        is_gzip = stream.read(2) == _GZIP_MAGIC
    return cast(BinaryIO, gzip.open(path, "rb")) if is_gzip else path.open("rb")


def _read(stream: BinaryIO, path: Path, max_words: int) -> WordVectors:
    first = stream.readline(_MAX_LINE_BYTES)
    header = _header(first)
    is_binary = path.name.removesuffix(".gz").endswith(".bin")
    if header is not None:
        count, dimension = header
    elif is_binary:
        raise EmbedderUnusable(str(path), "a .bin file without 'WORDS DIMENSIONS'", _FORMATS)
    else:
        count, dimension = None, _dimension_of(first)
    if not 2 <= dimension <= MAX_DIMENSION:
        problem = "the first line is not that of a file of word vectors"
        raise EmbedderUnusable(str(path), problem, f"2 to {MAX_DIMENSION} dimensions; {_FORMATS}")

    if is_binary:
        rows = _binary_rows(stream, path, count or 0, dimension)
    else:
        rows = _text_rows(stream, path, first if header is None else None, dimension)
    wanted = max_words if count is None else min(count, max_words)
    places: dict[str, int] = {}
    values = array("f")
    row_count = 0
    for word, row in rows:
        if row_count == wanted:
            break
        row_count += 1
        if word not in places:
            places[word] = len(places)
            values.extend(row)
    if count is not None and row_count < wanted:
        problem = f"ends after {row_count:,} of {count:,} words"
        raise EmbedderUnusable(str(path), problem, "a whole file")
    if not places:
        raise EmbedderUnusable(str(path), "holds no word", _FORMATS)
    vectors_WD = np.frombuffer(values, np.float32).reshape(-1, dimension)
    # A row's sum shows a value that is not finite, without a copy of all.
    with np.errstate(invalid="ignore"):
        is_finite = np.isfinite(np.einsum("wd->w", vectors_WD, dtype=np.float64)).all()
    if not is_finite:
        raise EmbedderUnusable(str(path), "holds values that are not finite", "finite numbers")
    return WordVectors(places, vectors_WD)


def _header(line: bytes) -> tuple[int, int] | None:
    """WORDS and DIMENSIONS; None: the line is a word's."""
    fields = line.split()
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        return int(fields[0]), int(fields[1])
    return None


def _dimension_of(line: bytes) -> int:
    """How many numbers end a line; its first field is a word in any case."""
    count = 0
    for field in reversed(line.split()[1:]):
        try:
            float(field)
        except ValueError:
            break
        count += 1
    return count


def _text_rows(
    stream: BinaryIO, path: Path, first: bytes | None, dimension: int
) -> Iterator[tuple[str, Row]]:
    number = 1 if first is not None else 2
    line = first if first is not None else stream.readline(_MAX_LINE_BYTES)
    while line:
        word, *fields = line.rsplit(maxsplit=dimension)
        try:
            row = array("f", map(float, fields))
        except ValueError:
            row = array("f")
        if len(row) != dimension:
            problem = f"line {number} does not end in {dimension} numbers"
            raise EmbedderUnusable(str(path), problem, _FORMATS)
        yield _decoded(word), row
        line = stream.readline(_MAX_LINE_BYTES)
        number += 1


def _binary_rows(
    stream: BinaryIO, path: Path, count: int, dimension: int
) -> Iterator[tuple[str, Row]]:
    size = 4 * dimension
    pending, start = b"", 0
    for _ in range(count):
        while (space := pending.find(b" ", start)) < 0 or len(pending) - space - 1 < size:
            if space < 0 and len(pending) - start > _MAX_WORD_BYTES:
                raise EmbedderUnusable(str(path), "a word without end", _FORMATS)
            more = stream.read(_BLOCK_BYTES)
            if not more:
                return
            pending, start = pending[start:] + more, 0
        # Some writers end each vector with a line break.
        word = pending[start:space].lstrip(b"\n")
        vector = np.frombuffer(pending, "<f4", dimension, offset=space + 1)
        yield _decoded(word), array("f", vector.astype(np.float32).tobytes())
        start = space + 1 + size


def _decoded(word: bytes) -> str:
    """Text; the C tool cuts long words within a letter."""
    return word.decode("utf-8", errors="replace")
