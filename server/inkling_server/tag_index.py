"""Top N tags of a picture by calibrated score, exactly. The only importer of FAISS.

Prior and offset of each tag are folded into the vectors, so that the inner product is the logit:

    row   [t, bias + prior_t + offset_t]      query   [scale * x, 1]      row . query = logit

However large an offset is, it takes part in the search; the calibration's curve is the same for all
tags and rises, so it changes scores and no order.

FAISS finds candidates, in whatever rounding its BLAS, its batch size or a GPU's fp16 produces.
Their logits are then computed again in float64, from the original vectors, and everything that a
caller sees (scores, order, thresholds, ties) follows from those: an answer does not depend on what
else was in the batch. A bound on FAISS's rounding proves the candidates complete; where it cannot
(many equal scores at the boundary), the picture is scored against every tag.

FAISS has process-wide settings, and GPU indexes are not thread-safe even for reads, so one thread
(`SearchThread`) makes, searches and frees every index. The GPU path has not yet been run.

This module does not know phrases, pictures or who asks.

Shapes: B pictures, N tags, D dimensions, E = D + 1, K candidates of one picture.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, ParamSpec, Self, TypeVar

import faiss
import numpy as np
from numpy.typing import NDArray

from inkling_server.encoders import Embeddings
from inkling_server.model_manifest import Curve
from inkling_server.scoring import Float32, Float64, bent, final_logits, sigmoid

P = ParamSpec("P")
R = TypeVar("R")
Rows = NDArray[np.int64]

# FAISS on a GPU selects at most this many of one query.
_MAX_GPU_K = 2048
_GPU_TEMP_BYTES = 64 * 1024 * 1024
# Candidates beyond the wanted ones: saves the full scan when a few scores are equal or very close.
_SPARE_CANDIDATES = 8
# A scan reads the matrix once per picture, BLAS once per batch: beyond the cache that decides.
_CACHE_BYTES = 16 * 1024 * 1024
_NEVER_BLAS = 2**31 - 1
_FLOAT32_EPS = 2.0**-24
_FLOAT16_EPS = 2.0**-11


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tags one picture gets: the `top_n` best of those that score more than `min_score`.

    Behind them come those of the rows `also`, whatever they score, unless they are among them.
    """

    top_n: int
    min_score: float
    also: tuple[int, ...] = ()


class Hit(NamedTuple):
    """One tag of one picture; `row` is its place in the index.

    `calibrated_logit` is the curve's value at the sum of the three logits; None without a curve.
    """

    row: int
    score: float
    cosine: float
    picture_logit: float
    prior_logit: float
    tag_logit: float = 0.0
    calibrated_logit: float | None = None


class SearchThread:
    """The one thread of a process that touches FAISS.

    Args:
        blas_threads: cores that one search may fill; 1 leaves the others to decoding and encoding.
    """

    def __init__(self, *, blas_threads: int = 1) -> None:
        self._blas_threads = blas_threads
        self._gpu_resources: Any = None
        self._executor = ThreadPoolExecutor(
            1, thread_name_prefix="inkling-search", initializer=self._set_up
        )

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs `work` on the thread, after whatever was asked before."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: work(*args, **kwargs))

    def gpu_resources(self) -> Any:
        """FAISS's GPU memory, shared by all indexes; None without a GPU. On the thread only."""
        if self._gpu_resources is None and faiss.get_num_gpus() > 0:
            self._gpu_resources = faiss.StandardGpuResources()
            # By default each of these reserves up to 1.5 GiB.
            self._gpu_resources.setTempMemory(_GPU_TEMP_BYTES)
        return self._gpu_resources

    def close(self) -> None:
        """Ends the thread after the work that it has. Idempotent."""
        self._executor.shutdown(wait=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _set_up(self) -> None:
        # The OpenMP setting belongs to the thread that makes it, hence here. More than one thread
        # costs 5-40 times as much when other work keeps the cores busy: OpenMP waits by spinning.
        faiss.omp_set_num_threads(self._blas_threads)


class TagIndex:
    """An immutable index of tag embeddings with their priors. `build` makes it.

    Rows keep the order in which they were given; equal scores are answered in that order.
    """

    def __init__(
        self,
        thread: SearchThread,
        embeddings_ND: Embeddings,
        priors_N: Float64 | Float32,
        offsets_N: Float64 | None,
        scale: float,
        bias: float,
        curve: Curve | None,
    ) -> None:
        """Runs on the search thread; use `build`."""
        count, dimension = embeddings_ND.shape
        self.count, self.dimension = count, dimension
        self._thread = thread
        self._priors_N = np.asarray(priors_N, np.float64)
        self._offsets_N = np.zeros(count) if offsets_N is None else np.array(offsets_N, np.float64)
        self._scale, self._bias, self._curve = scale, bias, curve
        shifts_N = (bias + self._priors_N + self._offsets_N).astype(np.float32)
        self._rows_NE = np.empty((count, dimension + 1), np.float32)
        self._rows_NE[:, :dimension] = embeddings_ND
        self._rows_NE[:, dimension] = shifts_N
        self._longest_row = float(np.linalg.norm(embeddings_ND, axis=1).max(initial=0.0))
        # Of the terms, not of their sum: bias and offset may cancel, their rounding does not.
        self._largest_shift = abs(bias) + float(
            (np.abs(self._priors_N) + np.abs(self._offsets_N)).max(initial=0.0)
        )

        resources = thread.gpu_resources()
        self.on_gpu = resources is not None
        self._faiss: Any
        if self.on_gpu:
            config = faiss.GpuIndexFlatConfig()
            config.useFloat16 = True
            self._faiss = faiss.GpuIndexFlatIP(resources, dimension + 1, config)
            self._max_k, eps = _MAX_GPU_K, 2.1 * _FLOAT16_EPS  # rows and queries
        else:
            self._faiss = faiss.IndexFlatIP(dimension + 1)
            self._max_k, eps = count, 0.0
        # Rounding of the stored values, of the query, and of each step of the sum.
        self._relative_error = eps + (dimension + 4) * _FLOAT32_EPS
        if count:
            self._faiss.add(self._rows_NE)
        if not self.on_gpu:
            # FAISS has its own copy: look at that one instead of keeping two.
            self._rows_NE = _stored_rows(self._faiss)

    @classmethod
    async def build(
        cls,
        thread: SearchThread,
        embeddings_ND: Embeddings,
        priors_N: Float64 | Float32,
        *,
        scale: float,
        bias: float,
        offsets_N: Float64 | None = None,
        curve: Curve | None = None,
    ) -> "TagIndex":
        """Makes an index.

        Args:
            thread: the process's search thread.
            embeddings_ND: float32, rows of length 1.
            priors_N: logits, from `scoring.prior_logits`.
            scale: > 0, of the calibration.
            bias: of the calibration.
            offsets_N: logits, from `scoring.offset_logits`; None: all 0.
            curve: of the calibration; None: the identity.

        Raises:
            ValueError: shapes do not fit together, or a number is not finite.
        """
        if embeddings_ND.ndim != 2 or priors_N.shape != embeddings_ND.shape[:1]:
            raise ValueError("embeddings_ND must be [N, D] and priors_N [N]")
        if offsets_N is not None and offsets_N.shape != priors_N.shape:
            raise ValueError("offsets_N must be [N]")
        shifts = priors_N if offsets_N is None else priors_N + offsets_N
        if not (np.isfinite(embeddings_ND).all() and np.isfinite(shifts).all()):
            raise ValueError("embeddings, priors and offsets must be finite")
        return await thread.run(cls, thread, embeddings_ND, priors_N, offsets_N, scale, bias, curve)

    async def search(
        self, pictures_BD: Embeddings, selections: Sequence[Selection]
    ) -> list[tuple[Hit, ...]]:
        """Finds each picture's tags, best first; behind them those that it was asked for by row.

        Args:
            pictures_BD: float32 [B, D], finite, rows of length 1.
            selections: one for each picture.
        """
        if pictures_BD.shape != (len(selections), self.dimension):
            raise ValueError(f"pictures_BD must be [{len(selections)}, {self.dimension}]")
        return await self._thread.run(self._search, pictures_BD, selections)

    async def score_rows(self, pictures_BD: Embeddings, rows: Sequence[int]) -> Float32:
        """Scores each picture against the same few tags, float32 [B, K]: as `search` scores them.

        Args:
            pictures_BD: as in `search`.
            rows: K places in the index.
        """
        if pictures_BD.ndim != 2 or pictures_BD.shape[1] != self.dimension:
            raise ValueError(f"pictures_BD must be [B, {self.dimension}]")
        return await self._thread.run(self._score_rows, pictures_BD, np.array(rows, np.int64))

    async def close(self) -> None:
        """Frees the vectors, on the thread that made them. Idempotent."""
        await self._thread.run(self._free)

    def _free(self) -> None:
        # The view first: its memory belongs to FAISS.
        self._rows_NE = np.empty((0, self.dimension + 1), np.float32)
        self._faiss = None

    def _search(
        self, pictures_BD: Embeddings, selections: Sequence[Selection]
    ) -> list[tuple[Hit, ...]]:
        if self._faiss is None:
            raise RuntimeError("the index is closed")
        if self.count == 0 or not selections:
            return [()] * len(selections)
        wanted = max(selection.top_n for selection in selections)
        k = min(self.count, self._max_k, wanted + _SPARE_CANDIDATES)
        queries_BE = np.empty((len(pictures_BD), self.dimension + 1), np.float32)
        np.multiply(pictures_BD, np.float32(self._scale), out=queries_BE[:, :-1])
        queries_BE[:, -1] = 1
        found_BK: Float32
        rows_BK: Rows
        if not self.on_gpu:
            # Process-wide, but only this thread ever searches.
            faiss.cvar.distance_compute_blas_threshold = self._blas_threshold(len(queries_BE))
        found_BK, rows_BK = self._faiss.search(queries_BE, k)

        pictures64_BD = pictures_BD.astype(np.float64)
        cosines_BK = self._cosines(rows_BK, pictures64_BD)
        scores_BK = self._scores(rows_BK, cosines_BK)
        # The greatest score that a tag which FAISS did not return can have.
        unseen_B = self._bound(found_BK[:, -1].astype(np.float64) + self._rounding(pictures64_BD))

        answers = []
        for b, selection in enumerate(selections):
            hits = self._select(selection, rows_BK[b], cosines_BK[b], scores_BK[b])
            complete = k == self.count or unseen_B[b] <= selection.min_score
            if not complete and len(hits) == selection.top_n:
                complete = bool(unseen_B[b] < hits[-1].score)
            if not complete:
                hits = self._scan(selection, pictures64_BD[b])
            if selection.also:
                hits += self._also(selection.also, hits, pictures64_BD[b : b + 1])
            answers.append(hits)
        return answers

    def _score_rows(self, pictures_BD: Embeddings, rows_K: Rows) -> Float32:
        if self._faiss is None:
            raise RuntimeError("the index is closed")
        scores_BK = np.empty((len(pictures_BD), len(rows_K)), np.float32)
        # One after the other: each takes a copy of all the rows in float64.
        for b, picture_D in enumerate(pictures_BD.astype(np.float64)):
            cosines_1K = self._cosines(rows_K[np.newaxis], picture_D[np.newaxis])
            scores_BK[b] = self._scores(rows_K, cosines_1K[0])
        return scores_BK

    def _blas_threshold(self, picture_count: int) -> int:
        """FAISS scans row by row below this many queries * dimensions, and calls BLAS above.

        Its default (128,000) scans large batches too, several times too slowly; BLAS for one query
        packs the whole matrix first, 4-6 times too slowly: see `benchmarks/bench_search.py`.
        """
        fits_cache = self._rows_NE.nbytes <= _CACHE_BYTES
        return 1 if picture_count > (4 if fits_cache else 2) else _NEVER_BLAS

    def _scan(self, selection: Selection, picture_D: Float64) -> tuple[Hit, ...]:
        """Scores one picture against every tag."""
        cosines_N = np.einsum(
            "kd,d->k", self._rows_NE[:, : self.dimension], picture_D, dtype=np.float64
        )
        rows_N = np.arange(self.count)
        return self._select(selection, rows_N, cosines_N, self._scores(rows_N, cosines_N))

    def _also(
        self, rows: Sequence[int], hits: Sequence[Hit], picture_1D: Float64
    ) -> tuple[Hit, ...]:
        """Hits of some rows, without those that are there, best first."""
        missing = set(rows).difference(hit.row for hit in hits)
        rows_1K = np.array([sorted(missing)], np.int64)
        cosines_1K = self._cosines(rows_1K, picture_1D)
        scores_1K = self._scores(rows_1K, cosines_1K)
        everything = Selection(len(missing), -1.0)
        return self._select(everything, rows_1K[0], cosines_1K[0], scores_1K[0])

    def _cosines(self, rows_BK: Rows, pictures_BD: Float64) -> Float64:
        vectors_BKD = self._rows_NE[rows_BK, : self.dimension].astype(np.float64)
        return np.asarray(np.einsum("bkd,bd->bk", vectors_BKD, pictures_BD))

    def _scores(self, rows: Rows, cosines: Float64) -> Float32:
        """Scores of some rows, in any shape."""
        return sigmoid(
            final_logits(
                cosines,
                self._priors_N[rows],
                self._offsets_N[rows],
                scale=self._scale,
                bias=self._bias,
                curve=self._curve,
            )
        )

    def _bound(self, logits_B: Float64) -> Float32:
        """Scores of logits before the curve."""
        return sigmoid(logits_B if self._curve is None else bent(logits_B, self._curve))

    def _select(
        self, selection: Selection, rows_K: Rows, cosines_K: Float64, scores_K: Float32
    ) -> tuple[Hit, ...]:
        order_K = np.lexsort((rows_K, -scores_K))[: selection.top_n]
        hits = []
        for i in order_K.tolist():
            score, row, cosine = float(scores_K[i]), int(rows_K[i]), float(cosines_K[i])
            if score <= selection.min_score:
                break
            picture_logit = self._scale * cosine + self._bias
            # Vectors of length 1 in float32 can have a cosine of 1.0000001.
            shown_cosine = min(max(cosine, -1.0), 1.0)
            prior, offset = float(self._priors_N[row]), float(self._offsets_N[row])
            calibrated = None
            if self._curve is not None:
                calibrated = float(bent(picture_logit + prior + offset, self._curve))
            hits.append(Hit(row, score, shown_cosine, picture_logit, prior, offset, calibrated))
        return tuple(hits)

    def _rounding(self, pictures_BD: Float64) -> Float64:
        """The most by which FAISS's logit of any row can differ from the true one, [B]."""
        lengths_B = np.linalg.norm(pictures_BD, axis=1)
        size_B = abs(self._scale) * self._longest_row * lengths_B + self._largest_shift
        return np.asarray(self._relative_error * size_B)


def _stored_rows(index: Any) -> Embeddings:
    """A view of the vectors that a flat CPU index holds; valid as long as the index lives."""
    if index.ntotal == 0:
        return np.empty((0, index.d), np.float32)
    flat = faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d)
    rows_NE: Embeddings = flat.reshape(index.ntotal, index.d)
    return rows_NE
