"""Candidates for more tags than a picture can be compared with: compressed rows, scanned fast.

    row [N, E] ─► minus the mean ─► turned, reduced ─► 4-bit product quantisation, 32 bytes ─┐
    query      ──────────────────► turned, reduced ─► fast scan of all codes ────────────────┴─► K
                                             K rows ─► float32 logits ─► the best of them

Pictures are not distributed as texts are: their embeddings vary in few directions, and lie apart
from the rows. Graphs and cells that were made of rows (HNSW, IVF) meet queries as they never saw:
the last true tags of a picture lie in cells far down its list. So every row is looked at, but as 32
bytes, which one pass of SIMD look-ups scores. And codes made for the rows' own distribution would
spend their accuracy on directions that no picture asks about: so rows are first turned into the
space where *pictures* are white. With S the covariance of typical pictures,

    r' = S^(1/2) r      q' = S^(-1/2) q      r' . q' = r . q

and reduced to the principal axes of r'. There, an error of r' costs every picture alike, so plain
k-means is the right quantiser. Strong and weak axes share a quantiser, so that all have about as
much to tell apart (Ge et al., "Optimized product quantization", 2013, eigenvalue allocation). The
scan is that of Andre et al., "Cache locality is not enough", 2015, as FAISS's `IndexPQFastScan`.

What is measured is kept: `build` compares its answers with the exact ones for made-up pictures, as
far from the typical ones as those are from each other, and takes as many candidates as the promised
recall needs; where that fails, there is no approximate index and the search stays exact. Numbers,
with real photos: `benchmarks/bench_search.py`.

Shapes: B pictures, N tags, S typical pictures, E numbers of a row, F of a reduced one, K
candidates of one picture.
"""

import logging
import time
from collections.abc import Iterator
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from inkling_server.encoders import Embeddings
from inkling_server.scoring import Float32
from inkling_server.tag_index.exact import Rows
from inkling_server.tag_index.rows import BLOCK_ROWS, fold_queries

_log = logging.getLogger(__name__)

# More tags than this are searched approximately: see `benchmarks/bench_search.py`.
EXACT_UP_TO = 30_000
# Half of the loss that the promised .99 allows, and then half as many candidates again: pictures
# unlike the typical ones (64 pixels wide, say) are harder than made-up ones.
MIN_RECALL = 0.995
_MARGIN = 1.5
RECALL_AT = 10
_LADDER = (200, 400, 600, 800, 1200, 1600)
_CANDIDATES_PER_TAG = 20  # for callers who want more than ten tags
_REDUCED = 128  # F
_SUBQUANTISERS = 64
# Queries that share a pass over the codes, in FAISS's notation: two groups of four. Its own choice
# (groups of three, all queries in one pass) takes 1.3 to 1.4 times as long.
_QUERIES_OF_A_PASS = 0x44
_TRAINED_ON = 50_000  # rows
_TRAINING_ROUNDS = 25
# Of the variance: how far pictures are taken to differ in directions that the typical ones lack.
_ISOTROPIC_SHARE = 0.1
_SHARED_WEIGHT = 0.01
_MIN_TYPICAL = 64
_PROVEN_WITH = 200
_SEED = 7


class ApproximateCandidates:
    """Rows that are probably among the best. `build` makes it; the search thread owns it.

    Attributes:
        recall: share of the true ten best of made-up pictures that it finds.
        build_s: seconds that it took to make.
    """

    on_gpu = False

    def __init__(self, rows_NE: Embeddings, axes: "_Axes", index: Any) -> None:
        """Use `build`."""
        self._rows_NE = rows_NE
        self._axes = axes
        self._index = index
        self._candidates = _LADDER[0]
        self.recall = 0.0
        self.build_s = 0.0

    @property
    def name(self) -> str:
        """What it is, for people."""
        return f"approximate inner product, recall@{RECALL_AT} {self.recall:.3f}"

    @classmethod
    def build(
        cls, rows_NE: Embeddings, typical_SD: Embeddings, scale: float
    ) -> "ApproximateCandidates | None":
        """Trains, fills and proves it; None where it does not find enough.

        Takes some 10 seconds of one core and 150 MB beside the rows for a million tags; any thread
        may do it.

        Args:
            rows_NE: as `rows.fold_rows` makes them; kept, not copied.
            typical_SD: embeddings of pictures as they are asked about, or centroids of them.
            scale: of the calibration: a query is [scale * x, 1].
        """
        start_s = time.monotonic()
        count = len(rows_NE)
        if len(typical_SD) < _MIN_TYPICAL:
            _log.warning("tag index: %d typical pictures are too few", len(typical_SD))
            return None
        typical_SD = typical_SD / np.linalg.norm(typical_SD, axis=1, keepdims=True)
        rng = np.random.default_rng(_SEED)
        axes = _Axes.of(rows_NE, typical_SD, scale, rng)
        index = faiss.IndexPQFastScan(
            axes.width, min(_SUBQUANTISERS, axes.width // 2), 4, faiss.METRIC_INNER_PRODUCT
        )
        index.pq.cp.niter = _TRAINING_ROUNDS
        index.qbs = _QUERIES_OF_A_PASS
        sample = np.sort(rng.permutation(count)[:_TRAINED_ON])
        index.train(axes.reduced(rows_NE[sample]))
        for block_BE in _blocks(rows_NE):
            index.add(axes.reduced(block_BE))
        made = cls(rows_NE, axes, index)
        found = made._prove(_unlike(typical_SD, rng)[:_PROVEN_WITH], scale)
        made.build_s = time.monotonic() - start_s
        _log.info(
            "tag index: %d tags compressed in %.1f s; recall %.4f with %d candidates",
            count,
            made.build_s,
            made.recall,
            made._candidates,
        )
        return made if found else None

    def search(self, queries_BE: Embeddings, k: int) -> tuple[Float32, Rows]:
        """Logits, descending, and rows of the `k` best candidates, [B, K] each; row -1: none."""
        return self._refined(queries_BE, k, self._candidates)

    def _refined(self, queries_BE: Embeddings, k: int, candidates: int) -> tuple[Float32, Rows]:
        wanted = min(len(self._rows_NE), max(candidates, _CANDIDATES_PER_TAG * k))
        _, rows_BK = self._index.search(self._axes.asked(queries_BE), wanted)
        logits_BK = self._logits(queries_BE, rows_BK)
        best_Bk = np.argpartition(-logits_BK, min(k, wanted) - 1, axis=1)[:, :k]
        rows_Bk = np.take_along_axis(rows_BK, best_Bk, axis=1)
        logits_Bk = np.take_along_axis(logits_BK, best_Bk, axis=1)
        order_Bk = np.argsort(-logits_Bk, axis=1, kind="stable")
        return (
            np.take_along_axis(logits_Bk, order_Bk, axis=1),
            np.take_along_axis(rows_Bk, order_Bk, axis=1),
        )

    def _logits(self, queries_BE: Embeddings, rows_BK: Rows) -> Float32:
        """Logits of each query's own rows, [B, K]; -inf for row -1.

        Reads the rows where they lie: numpy would copy each of them first, which takes twice as
        long as all of this.
        """
        logits_BK = np.empty(rows_BK.shape, np.float32)
        arrays = (logits_BK, queries_BE, self._rows_NE, rows_BK)
        pointers = [faiss.swig_ptr(array) for array in arrays]
        score_by_row: Any = faiss.fvec_inner_products_by_idx  # type: ignore[attr-defined]  # no stub
        score_by_row(*pointers, self._rows_NE.shape[1], *rows_BK.shape)
        return logits_BK

    def _prove(self, pictures_SD: Embeddings, scale: float) -> bool:
        """Chooses how many candidates to take; False where no number of them is enough."""
        queries_SE = fold_queries(pictures_SD, scale)
        true_SK = _best(self._rows_NE, queries_SE, RECALL_AT)
        for self._candidates in _LADDER:
            _, found_SK = self._refined(queries_SE, RECALL_AT, self._candidates)
            shared = [len(np.intersect1d(t, f)) for t, f in zip(true_SK, found_SK, strict=True)]
            self.recall = float(np.mean(shared)) / true_SK.shape[1]
            if self.recall >= MIN_RECALL:
                self._candidates = round(_MARGIN * self._candidates)
                return True
        _log.warning(
            "tag index: recall %.4f is below %.3f: the search stays exact",
            self.recall,
            MIN_RECALL,
        )
        return False


class _Axes:
    """The space where pictures are white, reduced: two matrices [E, F] and the rows' mean."""

    def __init__(
        self, mean_E: NDArray[np.float32], rows_EF: Embeddings, queries_EF: Embeddings
    ) -> None:
        self._mean_E, self._rows_EF, self._queries_EF = mean_E, rows_EF, queries_EF
        self.width = rows_EF.shape[1]

    @classmethod
    def of(
        cls, rows_NE: Embeddings, typical_SD: Embeddings, scale: float, rng: np.random.Generator
    ) -> "_Axes":
        width = rows_NE.shape[1]
        mean_D = typical_SD.mean(axis=0, dtype=np.float64)
        centred_SD = np.asarray(typical_SD - mean_D, np.float64)
        covariance_EE = np.zeros((width, width))
        covariance_EE[:-1, :-1] = centred_SD.T @ centred_SD / len(centred_SD)
        spread = np.trace(covariance_EE) / (width - 1)
        covariance_EE[:-1, :-1] += _ISOTROPIC_SHARE * spread * np.eye(width - 1)
        # What all queries share, their mean and the 1 for priors, does not vary, but an error there
        # still changes the order.
        shared_E = np.append(mean_D, 1.0)
        covariance_EE += _SHARED_WEIGHT * np.outer(shared_E, shared_E)
        covariance_EE[-1, -1] += 1e-6  # invertible
        values_E, vectors_EE = np.linalg.eigh(covariance_EE)
        root_EE = (vectors_EE * np.sqrt(values_E)) @ vectors_EE.T
        inverse_EE = (vectors_EE / np.sqrt(values_E)) @ vectors_EE.T
        # Queries are divided by the scale, so rows' shifts are, too: both parts of a row are small.
        unit_E = np.ones(width)
        unit_E[-1] = 1 / scale
        root_EE = unit_E[:, np.newaxis] * root_EE
        sample = np.sort(rng.permutation(len(rows_NE))[:_TRAINED_ON])
        sample_SE = rows_NE[sample].astype(np.float64)
        mean_E = sample_SE.mean(axis=0)
        turned_SE = (sample_SE - mean_E) @ root_EE
        _, axes_EE = np.linalg.eigh(turned_SE.T @ turned_SE)
        axes_EF = _paired(axes_EE[:, ::-1][:, : min(_REDUCED, width // 2 * 2)])
        queries_EF = inverse_EE @ axes_EF
        queries_EF[:-1] /= scale
        return cls(
            mean_E.astype(np.float32),
            np.ascontiguousarray(root_EE @ axes_EF, np.float32),
            np.ascontiguousarray(queries_EF, np.float32),
        )

    def reduced(self, rows_BE: Embeddings) -> Embeddings:
        """Rows as they are indexed, [B, F]."""
        return np.asarray((rows_BE - self._mean_E) @ self._rows_EF, np.float32)

    def asked(self, queries_BE: Embeddings) -> Embeddings:
        """Queries as they are searched with, [B, F]."""
        asked_BF: Embeddings = queries_BE @ self._queries_EF
        return asked_BF


def _paired(axes_EF: NDArray[np.float64]) -> NDArray[np.float64]:
    """Puts the strongest axis beside the weakest, the next beside the next, and so on."""
    half = axes_EF.shape[1] // 2
    order = np.stack([np.arange(half), axes_EF.shape[1] - 1 - np.arange(half)], axis=1)
    return axes_EF[:, order.ravel()]


def _unlike(typical_SD: Embeddings, rng: np.random.Generator) -> Embeddings:
    """Made-up pictures: each typical one, moved by what tells two others apart."""
    first_S, second_S = (rng.permutation(len(typical_SD)) for _ in range(2))
    moved_SD = typical_SD + typical_SD[first_S] - typical_SD[second_S]
    unit_SD: Embeddings = moved_SD / np.linalg.norm(moved_SD, axis=1, keepdims=True)
    return unit_SD


def _blocks(rows_NE: Embeddings) -> Iterator[Embeddings]:
    for start in range(0, len(rows_NE), BLOCK_ROWS):
        yield rows_NE[start : start + BLOCK_ROWS]


def _best(rows_NE: Embeddings, queries_SE: Embeddings, k: int) -> Rows:
    """The true `k` best rows of each query, without FAISS's process-wide settings."""
    logits_SK = np.empty((len(queries_SE), 0), np.float32)
    rows_SK = np.empty((len(queries_SE), 0), np.int64)
    start = 0
    for block_BE in _blocks(rows_NE):
        logits_SB = queries_SE @ block_BE.T
        numbers_SB = np.broadcast_to(np.arange(start, start + len(block_BE)), logits_SB.shape)
        logits_SK = np.concatenate([logits_SK, logits_SB], axis=1)
        rows_SK = np.concatenate([rows_SK, numbers_SB], axis=1)
        top_SK = np.argpartition(-logits_SK, min(k, logits_SK.shape[1]) - 1, axis=1)[:, :k]
        logits_SK = np.take_along_axis(logits_SK, top_SK, axis=1)
        rows_SK = np.take_along_axis(rows_SK, top_SK, axis=1)
        start += len(block_BE)
    return rows_SK
