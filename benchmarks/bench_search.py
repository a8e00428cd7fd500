"""Which way of searching tags is the fastest here, and does TagIndex take it?

    python -m benchmarks.bench_search            a table, and JSON as the last line
    python -m benchmarks.bench_search --quick    2,500 and 10,000 tags only

Random unit vectors of 256 dimensions (and the column of priors), the 13 best of each picture, one
thread, the way there and back included. In every round each way searches once, so that what else
the machine does hits all alike:

    scan      FAISS IndexFlatIP, row by row: its own choice below 128,000 queries * dimensions
    blas      FAISS IndexFlatIP, one matrix product
    numpy     a matrix product and argpartition
    TagIndex  what serves: FAISS (its choice of the two), exact float64 scores, threshold, ties
"""

import argparse
import asyncio
import json
import os
import platform
import time
from collections.abc import Awaitable, Callable
from statistics import median

# Before numpy's own BLAS reads it: one thread each, as in the server.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import faiss
import numpy as np

from inkling_server.encoders import Embeddings
from inkling_server.tag_index import SearchThread, Selection, TagIndex

DIMENSION = 256
TOP_N, CANDIDATES = 5, 13
SCALE, BIAS = 20.0, -8.0
SCAN, BLAS = 2**31 - 1, 1
WAYS = ("scan", "blas", "numpy", "TagIndex")


def unit_rows(rng: np.random.Generator, count: int) -> Embeddings:
    rows_ND = rng.standard_normal((count, DIMENSION), dtype=np.float32)
    rows_ND /= np.linalg.norm(rows_ND, axis=1, keepdims=True)
    return rows_ND


async def measure(
    thread: SearchThread, tag_count: int, batch: int, rounds: int
) -> dict[str, float]:
    """Median milliseconds a batch, by way."""
    rng = np.random.default_rng(tag_count)
    tags_ND, pictures_BD = unit_rows(rng, tag_count), unit_rows(rng, batch)
    priors_N = rng.normal(size=tag_count)
    index = await TagIndex.build(thread, tags_ND, priors_N, scale=SCALE, bias=BIAS)
    rows_NE = np.column_stack([tags_ND, (BIAS + priors_N).astype(np.float32)])
    queries_BE = np.column_stack([SCALE * pictures_BD, np.ones(batch, np.float32)])
    flat = faiss.IndexFlatIP(DIMENSION + 1)
    flat.add(rows_NE)

    def with_faiss(blas_threshold: int) -> None:
        faiss.cvar.distance_compute_blas_threshold = blas_threshold
        flat.search(queries_BE, CANDIDATES)

    def with_numpy() -> None:
        products_BN = queries_BE @ rows_NE.T
        np.argpartition(-products_BN, CANDIDATES, axis=1)[:, :CANDIDATES]

    selections = [Selection(TOP_N, 0.1)] * batch
    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "scan": lambda: thread.run(with_faiss, SCAN),
        "blas": lambda: thread.run(with_faiss, BLAS),
        "numpy": lambda: thread.run(with_numpy),
        "TagIndex": lambda: index.search(pictures_BD, selections),
    }
    times_s: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        # Shuffled: each leaves the caches in another state for the next.
        for i in rng.permutation(len(WAYS)):
            start = time.perf_counter()
            await ways[WAYS[i]]()
            times_s[WAYS[i]].append(time.perf_counter() - start)
    await index.close()
    return {name: 1000 * median(values) for name, values in times_s.items()}


async def run(tag_counts: list[int]) -> list[dict[str, float]]:
    thread = SearchThread()
    results = []
    print(f"{'tags':>8} {'batch':>5}   " + "".join(f"{n:>10}" for n in WAYS) + "   ms a batch")
    for tag_count in tag_counts:
        for batch in (1, 8, 32):
            found = await measure(thread, tag_count, batch, 40 if tag_count < 50_000 else 12)
            print(f"{tag_count:>8,} {batch:>5}   " + "".join(f"{found[n]:>10.2f}" for n in WAYS))
            results.append({"tags": tag_count, "batch": batch} | found)
    thread.close()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="leave 100,000 tags out")
    tag_counts = [2_500, 10_000] + ([] if parser.parse_args().quick else [100_000])
    results = asyncio.run(run(tag_counts))
    worst = max(r["TagIndex"] / min(r["scan"], r["blas"]) for r in results)
    print(f"TagIndex takes at most {worst:.1f} times what the faster bare FAISS search takes")
    print(
        json.dumps(
            {
                "benchmark": "search",
                "machine": platform.machine(),
                "faiss": faiss.__version__,
                "on_gpu": faiss.get_num_gpus() > 0,
                "unit": "ms a batch",
                "results": [{k: round(v, 3) for k, v in r.items()} for r in results],
            }
        )
    )


if __name__ == "__main__":
    main()
