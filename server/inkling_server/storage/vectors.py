"""Embeddings as pgvector's `halfvec` travels: 16-bit floats, half the room of 32-bit ones.

Rounding to 11 significant bits moves a coordinate by at most 2^-11 of itself, so the inner product
of two unit vectors by less than 2 * 2^-11 = 0.001; measured on 512 random dimensions it moves by
about 0.00002 (`tests/server/storage/test_vectors.py`). What is read is scaled to length 1 again.
This module knows no table.

Shapes: N embeddings, D dimensions.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncConnection
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format
from psycopg.types import TypeInfo

# https://github.com/pgvector/pgvector: dimensions that an HNSW index of halfvec can hold.
MOST_DIMENSIONS = 4_000
_HEADER_BYTES = 4  # int16 dimensions, int16 unused


class HalfVector:
    """One embedding on its way into the database."""

    __slots__ = ("wire",)

    def __init__(self, embedding_D: NDArray[np.float32]) -> None:
        halves = embedding_D.astype(">f2")
        self.wire = np.array([len(halves), 0], ">i2").tobytes() + halves.tobytes()


def to_matrix(rows: Sequence[bytes | None], dimension: int) -> NDArray[np.float32]:
    """Embeddings as they came from the database.

    Args:
        rows: halfvecs on the wire; None where there is no embedding: a row of zeros.
        dimension: D.

    Returns:
        float32 [N, D], rows of length 1.
    """
    empty = bytes(_HEADER_BYTES + 2 * dimension)
    wire = b"".join(empty if row is None else row for row in rows)
    halves = np.frombuffer(wire, ">f2").reshape(len(rows), dimension + _HEADER_BYTES // 2)
    embeddings_ND = halves[:, _HEADER_BYTES // 2 :].astype(np.float32)
    lengths_N1 = np.linalg.norm(embeddings_ND, axis=1, keepdims=True)
    embeddings_ND /= np.where(lengths_N1 > 0, lengths_N1, 1)
    return embeddings_ND


class _Dumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: HalfVector) -> Buffer:
        return obj.wire


class _Loader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


async def register_halfvec(connection: AsyncConnection) -> None:
    """Teaches a connection HalfVector, lists of it, and halfvec in binary results (as bytes)."""
    info = await TypeInfo.fetch(connection, "halfvec")
    if info is None:
        raise LookupError("the database has no type halfvec: it needs pgvector 0.7 or newer")
    info.register(connection)
    dumper = type("HalfVectorDumper", (_Dumper,), {"oid": info.oid})
    connection.adapters.register_dumper(HalfVector, dumper)
    connection.adapters.register_loader(info.oid, _Loader)
