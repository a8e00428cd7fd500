"""Rows of a graph: made once, then mapped; one process embeds while the others wait."""

import asyncio
import fcntl
from pathlib import Path

import numpy as np
import pytest

from inkling_server.embedding_cache import CacheKey
from inkling_server.encoders import Embeddings
from inkling_server.tag_index import SearchThread
from inkling_server.tag_rows import open_rows, rows_digest
from tests.serving import make_graph

KEY = CacheKey("f" * 16, "{}", 32, 8)
GRAPH = make_graph(counts={f"word{i}": i for i in range(20)})
SHIFTS_N = np.linspace(-1, 1, 20)


class Embedder:
    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self) -> Embeddings:
        self.calls += 1
        rows_ND = np.random.default_rng(0).standard_normal((20, 8)).astype(np.float32)
        unit_ND: Embeddings = rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True)
        return unit_ND


async def test_second_opening_maps_what_the_first_stored(tmp_path: Path) -> None:
    embed = Embedder()
    with SearchThread() as thread:
        first = await open_rows(GRAPH, KEY, SHIFTS_N, embed, tmp_path, thread)
        second = await open_rows(GRAPH, KEY, SHIFTS_N, embed, tmp_path, thread)
        assert embed.calls == 1
        assert first.mapping is not None
        assert second.mapping is not None
        assert np.array_equal(first.rows_NE, second.rows_NE)
        assert np.allclose(first.rows_NE[:, -1], SHIFTS_N)
        other = await open_rows(GRAPH, KEY, SHIFTS_N + 1, embed, tmp_path, thread)
        assert embed.calls == 2
        assert np.allclose(other.rows_NE[:, -1], SHIFTS_N + 1)
        in_memory = await open_rows(GRAPH, KEY, SHIFTS_N, embed, None, thread)
        assert in_memory.mapping is None


async def test_waits_for_whoever_embeds_already(tmp_path: Path) -> None:
    embed = Embedder()
    with SearchThread() as thread, (tmp_path / ".rows.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        task = asyncio.create_task(open_rows(GRAPH, KEY, SHIFTS_N, embed, tmp_path, thread))
        done, _ = await asyncio.wait({task}, timeout=0.3)
        assert not done
        assert embed.calls == 0
        fcntl.flock(other, fcntl.LOCK_UN)
        await task
        assert embed.calls == 1


async def test_failed_embedding_frees_the_lock(tmp_path: Path) -> None:
    async def fail() -> Embeddings:
        raise RuntimeError("the encoder is down")

    with SearchThread() as thread:
        with pytest.raises(RuntimeError, match="down"):
            await open_rows(GRAPH, KEY, SHIFTS_N, fail, tmp_path, thread)
        rows = await open_rows(GRAPH, KEY, SHIFTS_N, Embedder(), tmp_path, thread)
    assert rows.mapping is not None


def test_digest_covers_phrases_model_and_priors() -> None:
    other_graph = make_graph(counts={f"word{i}": i for i in range(1, 21)})
    digests = {
        rows_digest(GRAPH, KEY, SHIFTS_N),
        rows_digest(other_graph, KEY, SHIFTS_N),
        rows_digest(GRAPH, CacheKey("e" * 16, "{}", 32, 8), SHIFTS_N),
        rows_digest(GRAPH, KEY, SHIFTS_N + 1),
    }
    assert len(digests) == 4
