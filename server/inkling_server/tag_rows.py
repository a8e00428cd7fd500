"""The rows of one graph and model: mapped where they are on disk, else made once and kept.

    digest of model, phrases, priors ─► rows file ─► mapped
                                          └─ none: lock the folder ─► look again ─► embed ─► store

Several processes may start at once on one folder: the first that holds the lock embeds, the others
wait and then map what it stored. The lock ends with its process. Nothing here knows FAISS.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TextIO

from inkling_server.embedding_cache import CacheKey
from inkling_server.encoders import Embeddings
from inkling_server.interests.graph import GraphSnapshot
from inkling_server.scoring import Float64
from inkling_server.tag_index import RowsFolder, SearchThread, TagRows, fold_rows

_log = logging.getLogger(__name__)
_LOCK = ".rows.lock"
_LOOK_AGAIN_S = 0.05


async def open_rows(
    graph: GraphSnapshot,
    key: CacheKey,
    shifts_N: Float64,
    embed: Callable[[], Awaitable[Embeddings]],
    folder: Path | None,
    thread: SearchThread,
) -> TagRows:
    """The graph's rows, in the order of its interests.

    Args:
        graph: the interests.
        key: of the model that embeds them.
        shifts_N: from `tag_index.logit_shifts`.
        embed: computes the embeddings, float32 [N, D]; called where no file holds them.
        folder: of the files; None: the rows stay in memory.
        thread: where long work is done.
    """
    shape = len(graph.interests), key.dimension + 1
    if folder is None or not graph.interests:
        return await thread.build(fold_rows, await embed(), shifts_N)
    digest = await asyncio.to_thread(rows_digest, graph, key, shifts_N)
    files = RowsFolder(folder)
    rows = await asyncio.to_thread(files.open, digest, shape)
    if rows is None:
        async with _locked(folder):
            rows = await asyncio.to_thread(files.open, digest, shape)
            if rows is None:
                rows = await thread.build(fold_rows, await embed(), shifts_N)
                return await asyncio.to_thread(files.store, digest, rows)
    _log.info("tag embeddings: 0 computed, %d mapped", len(graph.interests))
    return rows


def rows_digest(graph: GraphSnapshot, key: CacheKey, shifts_N: Float64) -> str:
    """Hex; rows of an equal one are equal."""
    digest = hashlib.sha256(key.digest.encode())
    for interest in graph.interests:
        digest.update(json.dumps(interest.phrase).encode())
    digest.update(shifts_N.astype("<f8").tobytes())
    return digest.hexdigest()[:32]


@contextlib.asynccontextmanager
async def _locked(folder: Path) -> AsyncIterator[None]:
    """Keeps other processes (and other tasks) out; without a lock where the disk has none."""
    try:
        file = await asyncio.to_thread(_lock_file, folder)
    except OSError as error:
        _log.warning("tag rows: no lock (%s); every process embeds for itself", error)
        yield
        return
    with file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_LOOK_AGAIN_S)
        yield


def _lock_file(folder: Path) -> TextIO:
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / _LOCK).open("a")
