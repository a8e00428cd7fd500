"""Compares a new model with the old one on the same pictures, before anyone is served by it.

    pictures ─► old encoder ─► old index ─► tags ─┐
        └─────► new encoder ─► new index ─► tags ─┴─► CanaryReport ─► problems

Both models have the same graph, so their tags can be compared by interest; their scores cannot, so
each selects at its own operating point. One picture after the other, with pauses: the server serves
meanwhile. It does not know where pictures come from, nor what is done with the verdict.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inkling_server import images
from inkling_server.encoders import Pixels
from inkling_server.errors import InvalidRequest
from inkling_server.images import ImageLimits
from inkling_server.rollout.operation import CanaryLimits, CanaryReport
from inkling_server.serving_state import ServingState
from inkling_server.tag_index import Selection

_TOP = 5
_WARM_UP_COUNT = 2


class Comparison:
    """Adds up what two models say of one picture after the other.

    Args:
        old: serves now.
        new: to be tried.
        image_limits: what a picture may be.
        timeout_s: for each call of an encoder.
        pause_ratio: pause after each picture, in times of what it took.
    """

    def __init__(
        self,
        old: ServingState,
        new: ServingState,
        *,
        image_limits: ImageLimits,
        timeout_s: float,
        pause_ratio: float,
    ) -> None:
        self._states = (old, new)
        self._image_limits = image_limits
        self._timeout_s = timeout_s
        self._pause_ratio = pause_ratio
        self._overlaps: list[float] = []
        self._kept: list[bool] = []
        self._covered: tuple[list[bool], list[bool]] = ([], [])
        self._seconds: tuple[list[float], list[float]] = ([], [])

    async def run(
        self, pictures: Sequence[bytes], on_progress: Callable[[int], None] = lambda _: None
    ) -> int:
        """Compares on these, too; returns how many could be read.

        Args:
            pictures: encoded files.
            on_progress: told how many of them are done.

        Raises:
            EncoderDown: one of the encoders does not answer.
        """
        count = 0
        for done, data in enumerate(pictures, start=1):
            started_s = time.monotonic()
            try:
                pixels = [await self._decode(data, state) for state in self._states]
            except InvalidRequest:
                on_progress(done)
                continue
            if not self._kept:
                await self._warm_up(pixels)
            await self._compare(pixels)
            count += 1
            on_progress(done)
            await asyncio.sleep(self._pause_ratio * (time.monotonic() - started_s))
        return count

    def report(self) -> CanaryReport:
        """What was found so far; counts and verdict are the caller's to add."""
        return replace(
            CanaryReport(),
            tag_overlap=_mean(self._overlaps),
            overlap_count=len(self._overlaps),
            top1_kept=_mean(self._kept),
            old_coverage=_mean(self._covered[0]),
            new_coverage=_mean(self._covered[1]),
            old_p50_ms=_quantile_ms(self._seconds[0], 0.5),
            old_p95_ms=_quantile_ms(self._seconds[0], 0.95),
            new_p50_ms=_quantile_ms(self._seconds[1], 0.5),
            new_p95_ms=_quantile_ms(self._seconds[1], 0.95),
        )

    async def _decode(self, data: bytes, state: ServingState) -> Pixels:
        spec = state.manifest.image
        return await asyncio.to_thread(images.decode, data, spec, self._image_limits)

    async def _warm_up(self, pixels: Sequence[Pixels]) -> None:
        """A model's first calls are slow, and say nothing of it."""
        for _ in range(_WARM_UP_COUNT):
            for state, pixels_HWC in zip(self._states, pixels, strict=True):
                await state.encoder.encode_images(pixels_HWC[np.newaxis], timeout_s=self._timeout_s)

    async def _compare(self, pixels: Sequence[Pixels]) -> None:
        tags: list[set[int]] = []
        best: list[list[int]] = []
        places = [0, 1] if len(self._kept) % 2 else [1, 0]  # neither is always the first
        found = {place: await self._tag(place, pixels[place]) for place in places}
        for place in (0, 1):
            chosen, top = found[place]
            tags.append(chosen)
            best.append(top)
            self._covered[place].append(bool(chosen))
        either = tags[0] | tags[1]
        if either:
            self._overlaps.append(len(tags[0] & tags[1]) / len(either))
        self._kept.append(bool(best[0]) and best[0][0] in best[1])

    async def _tag(self, place: int, pixels_HWC: Pixels) -> tuple[set[int], list[int]]:
        """Rows that the model gives the picture, and its best ones whatever their score."""
        state = self._states[place]
        started_s = time.monotonic()
        embeddings_BD = await state.encoder.encode_images(
            pixels_HWC[np.newaxis], timeout_s=self._timeout_s
        )
        self._seconds[place].append(time.monotonic() - started_s)
        point = state.calibration.recommended
        chosen, top = await state.index.search(
            np.repeat(embeddings_BD, 2, axis=0),
            [Selection(point.top_n, point.min_score), Selection(_TOP, 0.0)],
        )
        return {hit.row for hit in chosen}, [hit.row for hit in top]


def find_problems(report: CanaryReport, limits: CanaryLimits) -> tuple[str, ...]:
    """What is beyond the limits, in words with the numbers."""
    problems = []
    if report.overlap_count and report.tag_overlap < limits.min_overlap:
        problems.append(
            f"tag overlap {report.tag_overlap:.2f} is under min_overlap {limits.min_overlap:g}"
        )
    if report.latency_ratio > limits.max_latency_ratio:
        problems.append(
            f"encoding takes {report.latency_ratio:.1f} times as long ({report.old_p50_ms:.0f} to"
            f" {report.new_p50_ms:.0f} ms), over max_latency_ratio {limits.max_latency_ratio:g}"
        )
    lost = report.old_coverage - report.new_coverage
    if lost > limits.max_lost_coverage:
        problems.append(
            f"coverage falls from {report.old_coverage:.0%} to {report.new_coverage:.0%}, by more"
            f" than max_lost_coverage {limits.max_lost_coverage:g}"
        )
    return tuple(problems)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _quantile_ms(seconds: Sequence[float], share: float) -> float:
    values_ms: NDArray[np.float64] = np.asarray(seconds, np.float64) * 1000
    return round(float(np.quantile(values_ms, share)), 3) if seconds else 0.0
