"""How near is the tag search on this GPU to reading all tags once?

    torch      float16 product of queries and rows (264 columns: tensor cores want multiples of 8)
               and top-k, all on the GPU, as one CUDA graph
    faiss      GpuIndexFlatIP, float16, bare: queries from the host, answers back to it
    TagIndex   what serves: FAISS's candidates, exact float64 scores of them, thresholds

257 columns (256 of the embedding, one of the priors), the best 13 of each picture. The floor of a
batch is reading the rows once: N * 257 * 2 bytes at the measured copy bandwidth (of bytes read
*and* written, so a search that only reads can come near it, not to it).

Shapes: N tags, B pictures, D dimensions, E = D + 1.
"""

import asyncio
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.gpu_timing import captured, device, on_gpu, seconds_of, wall_seconds_of

DIMENSION, CANDIDATES, TOP_N = 256, 13, 5
SCALE, BIAS = 20.0, -8.0
TAG_COUNTS, BATCHES = (10_000, 100_000, 1_000_000), (1, 32, 256)
_ALIGNED = 264
_SMALL = ((1_000,), (1, 4))


def measure(*, small: bool, ways: tuple[str, ...], report: Callable[[Any], Any]) -> None:
    """Tells `report` milliseconds a batch of each way, and the GB of all rows, as they come."""
    tag_counts, batches = _SMALL if small else (TAG_COUNTS, BATCHES)
    found = []
    for tag_count in tag_counts:
        tags_ND = _unit(tag_count, seed=tag_count)
        for way in ways:
            try:
                times_ms = _WAYS[way](tags_ND, batches)
            except Exception as error:  # the other ways still count
                print(f"{way}, {tag_count}: {type(error).__name__}: {error}"[:400], flush=True)
                continue
            for batch, milliseconds in zip(batches, times_ms, strict=True):
                row = {"way": way, "tags": tag_count, "batch": batch, "ms": milliseconds}
                row["gb_read"] = tag_count * (DIMENSION + 1) * 2 / 1e9
                found.append(row)
            report(found)


def _unit(count: int, seed: int) -> Any:
    """float32 [count, D] on the host, rows of length 1."""
    generator = torch.Generator(device()).manual_seed(seed)
    rows_ND = torch.randn(count, DIMENSION, device=device(), generator=generator)
    return torch.nn.functional.normalize(rows_ND, dim=1).cpu().numpy()


def _with_torch(tags_ND: Any, batches: tuple[int, ...]) -> list[float]:
    dtype = torch.float16 if on_gpu() else torch.float32
    rows_NE = torch.zeros(len(tags_ND), _ALIGNED, device=device(), dtype=dtype)
    rows_NE[:, :DIMENSION] = torch.from_numpy(tags_ND).to(device())
    rows_NE[:, DIMENSION] = BIAS
    times_ms = []
    for batch in batches:
        queries_BE = torch.zeros(batch, _ALIGNED, device=device(), dtype=dtype)
        queries_BE[:, :DIMENSION] = torch.from_numpy(SCALE * _unit(batch, 1)).to(device())

        def search(queries_BE: torch.Tensor = queries_BE) -> Any:
            return torch.topk(queries_BE @ rows_NE.T, CANDIDATES, dim=1)

        times_ms.append(1_000 * seconds_of(captured(search), spans=3))
    return times_ms


def _with_faiss(tags_ND: Any, batches: tuple[int, ...]) -> list[float]:
    import faiss

    index: Any
    if on_gpu():
        resources = faiss.StandardGpuResources()
        resources.setTempMemory(1 << 30)
        config = faiss.GpuIndexFlatConfig()
        config.useFloat16 = True
        index = faiss.GpuIndexFlatIP(resources, DIMENSION + 1, config)
    else:
        index = faiss.IndexFlatIP(DIMENSION + 1)
    index.add(np.column_stack([tags_ND, np.full(len(tags_ND), BIAS, np.float32)]))
    times_ms = []
    for batch in batches:
        queries_BE = np.column_stack([SCALE * _unit(batch, 1), np.ones(batch, np.float32)])
        queries_BE = np.ascontiguousarray(queries_BE, np.float32)
        seconds = wall_seconds_of(_search(index, queries_BE), spans=3)
        times_ms.append(1_000 * seconds)
    return times_ms


def _search(index: Any, queries_BE: Any) -> Callable[[], Any]:
    return lambda: index.search(queries_BE, CANDIDATES)


def _with_tag_index(tags_ND: Any, batches: tuple[int, ...]) -> list[float]:
    return asyncio.run(_tag_index(tags_ND, batches))


async def _tag_index(tags_ND: Any, batches: tuple[int, ...]) -> list[float]:
    from inkling_server.tag_index import SearchThread, Selection, TagIndex

    times_ms = []
    with SearchThread() as thread:
        priors_N = np.zeros(len(tags_ND), np.float32)
        index = await TagIndex.build(thread, tags_ND, priors_N, scale=SCALE, bias=BIAS)
        if on_gpu() and not index.on_gpu:
            raise RuntimeError("TagIndex is not on the GPU")
        for batch in batches:
            pictures_BD, selections = _unit(batch, 1), [Selection(TOP_N, 0.001)] * batch
            spans_s = []
            for _ in range(12 if len(tags_ND) > 50_000 else 30):
                start_s = time.perf_counter()
                await index.search(pictures_BD, selections)
                spans_s.append(time.perf_counter() - start_s)
            times_ms.append(1_000 * median(spans_s[2:]))
        await index.close()
    return times_ms


_WAYS: dict[str, Callable[[Any, tuple[int, ...]], list[float]]] = {
    "torch": _with_torch,
    "faiss": _with_faiss,
    "TagIndex": _with_tag_index,
}
