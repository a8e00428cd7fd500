"""Readiness that means something: a canary picture tagged through decode, Triton and index.

    every period ─► probe ─► ok, or slow while other pictures are answered ─► serving
                       └───► error, or slow while nothing moves ────────────► not serving

A process that lives and a Triton that calls itself ready both say little: a dead Python stub still
reports ready. This module does not know gRPC, HTTP or how the probe does its work.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from inkling_server.errors import DeadlineExceeded, InklingError

_log = logging.getLogger(__name__)

STARTING = "starting"


class CanaryObserver(Protocol):
    """Told about each canary, on the event loop; must not block or raise."""

    def canary_finished(self, outcome: Literal["ok", "busy", "failed"], duration_s: float) -> None:
        """One canary came back, or did not; "busy": it was slow, but others were answered."""


@dataclass(frozen=True, slots=True)
class Health:
    """The canary's verdict; `problem` is "" while serving."""

    serving: bool
    problem: str


class Canary:
    """Sends canaries and says when the verdict changes. One event loop owns it.

    Args:
        probe: tags one canary picture; raises an InklingError where that does not work, and
            DeadlineExceeded where it does not work in time.
        progress: a number that grows with each picture that is tagged for anyone.
        on_change: told each new verdict.
        observer: told about each canary.
        period_s: pause between two canaries.
    """

    def __init__(
        self,
        probe: Callable[[], Awaitable[object]],
        *,
        progress: Callable[[], int],
        on_change: Callable[[Health], None],
        observer: CanaryObserver,
        period_s: float,
    ) -> None:
        self._probe = probe
        self._progress = progress
        self._on_change = on_change
        self._observer = observer
        self._period_s = period_s
        self._hurry = asyncio.Event()
        self.health = Health(serving=False, problem=STARTING)

    async def run(self) -> None:
        """Sends canaries until cancelled."""
        while True:
            self._hurry.clear()
            self._conclude(await self._send())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._period_s):
                    await self._hurry.wait()

    def doubt(self, problem: str) -> None:
        """Someone knows that the encoder is down: not serving from now until a canary succeeds."""
        self._conclude(problem)
        self._hurry.set()

    def hurry(self) -> None:
        """Sends the next canary now: there is reason to hope."""
        self._hurry.set()

    async def _send(self) -> str:
        """Sends one canary; returns the problem, or ""."""
        started, progress = time.monotonic(), self._progress()
        outcome: Literal["ok", "busy", "failed"] = "ok"
        problem = ""
        try:
            await self._probe()
        except DeadlineExceeded:
            outcome = "busy" if self._progress() > progress else "failed"
            problem = "" if outcome == "busy" else "the canary picture was not tagged in time"
        except InklingError as error:
            outcome, problem = "failed", f"{error.reason}: {error}"
        except Exception as error:
            # A fault of ours must not end the loop that would report it.
            _log.exception("the canary failed in an unexpected way")
            outcome, problem = "failed", f"unexpected {type(error).__name__}"
        self._observer.canary_finished(outcome, time.monotonic() - started)
        return problem

    def _conclude(self, problem: str) -> None:
        before, self.health = self.health, Health(serving=not problem, problem=problem)
        if before.serving != self.health.serving:
            self._on_change(self.health)


def canary_picture() -> bytes:
    """A small JPEG with colours, edges and areas; always the same bytes."""
    return canary_pictures()[0]


def canary_pictures() -> list[bytes]:
    """A few small JPEGs that differ in colours and shapes; always the same bytes."""
    height, width = 240, 320
    y_H1, x_1W = np.mgrid[:height, :1][0], np.mgrid[:1, :width][1]
    across_HW = np.broadcast_to(x_1W * 255 // width, (height, width))
    down_HW = np.broadcast_to(y_H1 * 255 // height, (height, width))
    disc_HW = np.where((x_1W - 160) ** 2 + (y_H1 - 120) ** 2 < 70**2, 230, 40)
    stripes_HW = np.broadcast_to(np.where(x_1W // 20 % 2, 220, 30), (height, width))
    squares_HW = np.where((x_1W // 40 + y_H1 // 40) % 2, 250, 10)
    flat_HW = np.full((height, width), 90)
    planes = (
        (across_HW, down_HW, disc_HW),
        (stripes_HW, flat_HW, down_HW),
        (squares_HW, squares_HW, squares_HW),
    )
    return [_jpeg(np.stack(channels, axis=-1)) for channels in planes]


def _jpeg(pixels_HWC: NDArray[np.int_]) -> bytes:
    data: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels_HWC, dtype=np.uint8), quality=80, colorspace="RGB"
    )
    return data
