"""Top N tags of a picture by calibrated score.

Prior and offset of each tag are folded into the rows (`rows.py`), so that the inner product is the
logit: however large an offset is, it takes part in the search; the calibration's curve is the same
for all tags and rises, so it changes scores and no order.

FAISS finds candidates, in whatever rounding its BLAS, its batch size, a GPU's fp16 or compressed
codes produce. Their logits are then computed again in float64, from the original vectors, and
everything that a caller sees (scores, order, thresholds, ties) follows from those: an answer does
not depend on what else was in the batch.

Up to `exact_up_to` tags the candidates are complete: a bound on FAISS's rounding proves it, and
where it cannot (many equal scores at the boundary), the picture is scored against every tag. Above,
candidates are approximate: scores stay exact, but a few tags that belong among the best may be
missing (recall@10 >= .99, measured when the index is built), and tags "above a threshold" are those
among the candidates.

This module does not know phrases, pictures or who asks.

Shapes: B pictures, N tags, D dimensions, E = D + 1, K candidates of one picture.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from inkling_server.encoders import Embeddings
from inkling_server.model_manifest import Curve
from inkling_server.scoring import Float32, Float64, bent, final_logits, sigmoid
from inkling_server.tag_index.approximate import EXACT_UP_TO, ApproximateCandidates
from inkling_server.tag_index.exact import ExactCandidates, Rows
from inkling_server.tag_index.rows import TagRows, fold_queries, fold_rows
from inkling_server.tag_index.thread import SearchThread
from inkling_server.tag_index.values import Hit, Selection

# Candidates beyond the wanted ones: saves the full scan when a few scores are equal or very close.
_SPARE_CANDIDATES = 8


class TagIndex:
    """An immutable index of tag embeddings with their priors. `build` makes it.

    Rows keep the order in which they were given; equal scores are answered in that order.
    """

    def __init__(
        self,
        thread: SearchThread,
        rows: TagRows,
        priors_N: Float64,
        offsets_N: Float64,
        scale: float,
        bias: float,
        curve: Curve | None,
        approximate: ApproximateCandidates | None,
    ) -> None:
        """Runs on the search thread; use `build`."""
        self.count, self.dimension = len(rows.rows_NE), rows.rows_NE.shape[1] - 1
        self._thread = thread
        self._rows: TagRows | None = rows
        self._rows_NE = rows.rows_NE
        self._priors_N, self._offsets_N = priors_N, offsets_N
        self._scale, self._bias, self._curve = scale, bias, curve
        self._longest_row = rows.longest_row
        # Of the terms, not of their sum: bias and offset may cancel, their rounding does not.
        self._largest_shift = abs(bias) + float(
            (np.abs(self._priors_N) + np.abs(self._offsets_N)).max(initial=0.0)
        )
        self._approximate = approximate
        self._exact: ExactCandidates | None = None
        if approximate is None:
            self._exact = ExactCandidates(rows.rows_NE, thread.gpu_resources())
        self.on_gpu = self._exact is not None and self._exact.on_gpu
        self.is_exact = approximate is None

    @classmethod
    async def build(
        cls,
        thread: SearchThread,
        embeddings_ND: Embeddings | TagRows,
        priors_N: Float64 | Float32,
        *,
        scale: float,
        bias: float,
        offsets_N: Float64 | None = None,
        curve: Curve | None = None,
        typical_SD: Embeddings | None = None,
        exact_up_to: int = EXACT_UP_TO,
    ) -> "TagIndex":
        """Makes an index. Other indexes of the thread answer meanwhile.

        Args:
            thread: the process's search thread.
            embeddings_ND: float32, rows of length 1; or rows that were folded with these very
                priors, offsets and bias.
            priors_N: logits, from `scoring.prior_logits`.
            scale: > 0, of the calibration.
            bias: of the calibration.
            offsets_N: logits, from `scoring.offset_logits`; None: all 0.
            curve: of the calibration; None: the identity.
            typical_SD: embeddings of pictures as they will be asked about, or centroids of them,
                64 or more: what an approximate index is made and proven for. None: it stays exact.
            exact_up_to: with more tags the search is approximate, unless there is a GPU.

        Raises:
            ValueError: shapes do not fit together, or a number is not finite.
        """
        shifts_N = logit_shifts(priors_N, offsets_N, bias)
        if isinstance(embeddings_ND, TagRows):
            rows = embeddings_ND
            if shifts_N.shape != rows.rows_NE.shape[:1]:
                raise ValueError("rows must be [N, E] and priors_N [N]")
        else:
            rows = await thread.build(fold_rows, embeddings_ND, shifts_N)
        approximate = None
        # A GPU reads a million rows faster than pictures come.
        if (
            len(shifts_N) > exact_up_to
            and typical_SD is not None
            and await thread.run(thread.gpu_resources) is None
        ):
            approximate = await thread.build(
                ApproximateCandidates.build, rows.rows_NE, typical_SD, scale
            )
        # Whatever was read for building it need not stay in this process.
        await thread.build(rows.release_pages)
        offsets_N = (
            np.zeros(len(shifts_N)) if offsets_N is None else np.array(offsets_N, np.float64)
        )
        make = partial(cls, thread, rows, np.array(priors_N, np.float64), offsets_N)
        return await thread.run(make, scale, bias, curve, approximate)

    @property
    def description(self) -> str:
        """How it searches, for people."""
        if self._approximate is not None:
            return f"faiss cpu, {self._approximate.name}"
        return f"faiss {'gpu fp16' if self.on_gpu else 'cpu'}, {ExactCandidates.name}"

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
        self._exact = self._approximate = self._rows = None
        self._rows_NE = np.empty((0, self.dimension + 1), np.float32)

    def _search(
        self, pictures_BD: Embeddings, selections: Sequence[Selection]
    ) -> list[tuple[Hit, ...]]:
        candidates = self._exact or self._approximate
        if candidates is None:
            raise RuntimeError("the index is closed")
        if self.count == 0 or not selections:
            return [()] * len(selections)
        wanted = max(selection.top_n for selection in selections)
        k = min(self.count, wanted + _SPARE_CANDIDATES)
        if self._exact is not None:
            k = min(k, self._exact.max_k)
        queries_BE = fold_queries(pictures_BD, self._scale)
        found_BK, rows_BK = candidates.search(queries_BE, k)

        pictures64_BD = pictures_BD.astype(np.float64)
        cosines_BK = self._cosines(rows_BK, pictures64_BD)
        scores_BK = self._scores(rows_BK, cosines_BK)
        if self._exact is None:
            # There may be fewer candidates than were asked for.
            return [
                self._answer(
                    selection,
                    rows_BK[b][rows_BK[b] >= 0],
                    cosines_BK[b][rows_BK[b] >= 0],
                    scores_BK[b][rows_BK[b] >= 0],
                    pictures64_BD[b],
                )
                for b, selection in enumerate(selections)
            ]
        # The greatest score that a tag which FAISS did not return can have.
        rounding_B = self._rounding(self._exact.relative_error, pictures64_BD)
        unseen_B = self._bound(found_BK[:, -1].astype(np.float64) + rounding_B)
        return [
            self._answer(
                selection,
                rows_BK[b],
                cosines_BK[b],
                scores_BK[b],
                pictures64_BD[b],
                unseen=-1.0 if k == self.count else float(unseen_B[b]),
            )
            for b, selection in enumerate(selections)
        ]

    def _answer(
        self,
        selection: Selection,
        rows_K: Rows,
        cosines_K: Float64,
        scores_K: Float32,
        picture_D: Float64,
        *,
        unseen: float = -1.0,
    ) -> tuple[Hit, ...]:
        """One picture's hits; scored against every tag if one scoring `unseen` could be missing."""
        hits = self._select(selection, rows_K, cosines_K, scores_K)
        is_full = len(hits) == selection.top_n
        if unseen > selection.min_score and not (is_full and unseen < hits[-1].score):
            hits = self._scan(selection, picture_D)
        if selection.also:
            hits += self._also(selection.also, hits, picture_D[np.newaxis])
        return hits

    def _score_rows(self, pictures_BD: Embeddings, rows_K: Rows) -> Float32:
        if self._rows is None:
            raise RuntimeError("the index is closed")
        scores_BK = np.empty((len(pictures_BD), len(rows_K)), np.float32)
        # One after the other: each takes a copy of all the rows in float64.
        for b, picture_D in enumerate(pictures_BD.astype(np.float64)):
            cosines_1K = self._cosines(rows_K[np.newaxis], picture_D[np.newaxis])
            scores_BK[b] = self._scores(rows_K, cosines_1K[0])
        return scores_BK

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

    def _rounding(self, relative_error: float, pictures_BD: Float64) -> Float64:
        """The most by which FAISS's logit of any row can differ from the true one, [B]."""
        lengths_B = np.linalg.norm(pictures_BD, axis=1)
        size_B = abs(self._scale) * self._longest_row * lengths_B + self._largest_shift
        return np.asarray(relative_error * size_B)


def logit_shifts(priors_N: Float64 | Float32, offsets_N: Float64 | None, bias: float) -> Float64:
    """What is added to each tag's logit whatever the picture, float64 [N].

    Raises:
        ValueError: shapes do not fit together, or a number is not finite.
    """
    if priors_N.ndim != 1:
        raise ValueError("priors_N must be [N]")
    shifts_N = bias + np.asarray(priors_N, np.float64)
    if offsets_N is not None:
        if offsets_N.shape != priors_N.shape:
            raise ValueError("offsets_N must be [N]")
        shifts_N = shifts_N + offsets_N
    if not np.isfinite(shifts_N).all():
        raise ValueError("embeddings, priors and offsets must be finite")
    return shifts_N
