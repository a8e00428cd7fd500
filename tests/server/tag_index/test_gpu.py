"""The way to a GPU, with a stand-in for FAISS's GPU index.

Shapes: B pictures, N tags, D dimensions.
"""

import asyncio
import threading
from collections.abc import Iterator

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from inkling_server.encoders import Embeddings
from inkling_server.tag_index import SearchThread, Selection, TagIndex
from tests.server.tag_index.index_kit import BIAS, SCALE, exact, pairs, unit_rows


class FakeGpuResources:
    def __init__(self) -> None:
        self.temp_bytes: int | None = None

    def setTempMemory(self, size: int) -> None:  # noqa: N802 - FAISS's name
        self.temp_bytes = size


class FakeGpuConfig:
    useFloat16 = False


class FakeGpuIndex:
    """A flat GPU index as FAISS documents it: fp16, at most 2,048 candidates, one thread only."""

    made: "list[FakeGpuIndex]" = []  # noqa: RUF012 - emptied by the fixture

    def __init__(self, resources: FakeGpuResources, dimension: int, config: FakeGpuConfig) -> None:
        assert config.useFloat16
        self.resources = resources
        self.rows_NE: Embeddings = np.empty((0, dimension), np.float32)
        self.thread_ids = {threading.get_ident()}
        self.made.append(self)

    def add(self, rows_NE: Embeddings) -> None:
        self.thread_ids.add(threading.get_ident())
        self.rows_NE = rows_NE.astype(np.float16).astype(np.float32)

    def search(
        self, queries_BE: Embeddings, k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        assert k <= 2048
        self.thread_ids.add(threading.get_ident())
        products_BN = queries_BE.astype(np.float16).astype(np.float32) @ self.rows_NE.T
        rows_BK = np.argsort(-products_BN, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(products_BN, rows_BK, axis=1), rows_BK


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "StandardGpuResources", FakeGpuResources, raising=False)
    monkeypatch.setattr(faiss, "GpuIndexFlatConfig", FakeGpuConfig, raising=False)
    monkeypatch.setattr(faiss, "GpuIndexFlatIP", FakeGpuIndex, raising=False)
    FakeGpuIndex.made.clear()
    yield
    FakeGpuIndex.made.clear()


@pytest.mark.usefixtures("fake_gpu")
@pytest.mark.parametrize("levels", [None, 1])
async def test_answers_from_half_precision_candidates_are_exact(levels: int | None) -> None:
    rng = np.random.default_rng(6)
    thread = SearchThread()
    # Crowded: neighbours in the ranking are nearer to each other than fp16 can tell.
    tags_ND, pictures_BD = unit_rows(rng, 5000, 6, levels), unit_rows(rng, 20, 6, levels)
    priors_N = rng.normal(size=5000)
    selections = [
        Selection(top_n, least) for top_n in (1, 5, 20, 50, 100) for least in (0, 0.2)
    ] * 2
    index = await TagIndex.build(thread, tags_ND, priors_N, scale=SCALE, bias=BIAS)
    assert index.on_gpu
    for hits, picture_D, selection in zip(
        await index.search(pictures_BD, selections), pictures_BD, selections, strict=True
    ):
        assert pairs(hits) == exact(tags_ND, priors_N, picture_D, selection)
    await index.close()
    thread.close()


@pytest.mark.usefixtures("fake_gpu")
async def test_gpu_has_one_owner_thread_and_bounded_memory() -> None:
    rng = np.random.default_rng(7)
    thread = SearchThread()
    indexes = [
        await TagIndex.build(thread, unit_rows(rng, 9, 4), np.zeros(9), scale=SCALE, bias=BIAS)
        for _ in range(2)
    ]
    picture_1D = unit_rows(rng, 1, 4)
    await asyncio.gather(
        *(index.search(picture_1D, [Selection(3, 0.0)]) for index in indexes for _ in range(10))
    )
    first, second = FakeGpuIndex.made
    assert first.thread_ids == second.thread_ids
    assert len(first.thread_ids) == 1
    assert threading.get_ident() not in first.thread_ids
    assert first.resources is second.resources
    assert first.resources.temp_bytes is not None
    assert first.resources.temp_bytes <= 256 * 1024 * 1024
    for index in indexes:
        await index.close()
    thread.close()
