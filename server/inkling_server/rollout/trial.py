"""Tries a new model on canary pictures: is it servable at all, and how does it compare.

    canary folder ─┐
    live sample ───┼─► pictures ─► prove ─► compare ─► CanaryReport with a verdict
    built-in ones ─┘

The server's own pictures are drawn, not taken: they are compared on only where there are few
others. It swaps nothing, and does not know how one picture is compared (`comparing`).
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from inkling_server.errors import EncoderDown
from inkling_server.images import ImageLimits
from inkling_server.rollout.comparing import Comparison, find_problems
from inkling_server.rollout.operation import CanaryReport, DeployOrder
from inkling_server.rollout.proving import prove_model
from inkling_server.rollout.sample import LiveSample
from inkling_server.serving_state import ServingState

_log = logging.getLogger(__name__)
_MAX_FOLDER_COUNT = 200
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".avif"}
# With so many real pictures, drawn ones say nothing more.
_ENOUGH_PICTURES = 8


@dataclass(frozen=True, slots=True)
class Trial:
    """How models are tried.

    Attributes:
        folder: pictures that are typical for the platform; None: there is none.
        sample: of recent requests.
        built_in: the server's own pictures.
        image_limits: what a picture may be.
        timeout_s: for each call of an encoder.
        pause_ratio: pause after each picture, in times of what it took.
    """

    folder: Path | None
    sample: LiveSample
    built_in: Sequence[bytes]
    image_limits: ImageLimits
    timeout_s: float
    pause_ratio: float = 1.0

    async def run(
        self,
        old: ServingState,
        new: ServingState,
        order: DeployOrder | None,
        on_progress: Callable[[int, int], None],
    ) -> CanaryReport | None:
        """Proves the new one and compares it with the old one.

        Args:
            old: serves now.
            new: with the same graph and another model.
            order: what is wanted; None: a rollback, nobody asks for a verdict.
            on_progress: told pictures done and in all.

        Returns:
            the report; None where the old model does not answer and that does not matter.

        Raises:
            RolloutRefused: it is not servable at all.
            EncoderDown: the new encoder does not answer, or the old one and that matters.
        """
        await prove_model(
            new, self.built_in, image_limits=self.image_limits, timeout_s=self.timeout_s
        )
        try:
            report = await self._compare(old, new, on_progress)
        except EncoderDown as error:
            if order is not None and not order.force:
                raise
            _log.warning("the models cannot be compared, and that was not insisted on: %s", error)
            return None
        if order is None:
            return replace(report, decision="informative")
        problems = find_problems(report, order.limits)
        decision: str = "accepted" if not problems else "forced" if order.force else "refused"
        return replace(report, problems=problems, decision=decision)  # type: ignore[arg-type]

    async def _compare(
        self, old: ServingState, new: ServingState, on_progress: Callable[[int, int], None]
    ) -> CanaryReport:
        comparison = Comparison(
            old,
            new,
            image_limits=self.image_limits,
            timeout_s=self.timeout_s,
            pause_ratio=self.pause_ratio,
        )
        paths = await asyncio.to_thread(self._paths)
        live = self.sample.pictures()
        few = len(paths) + len(live) < _ENOUGH_PICTURES
        built_in = self.built_in if few else ()
        total = len(paths) + len(live) + len(built_in)
        done = folder_count = 0
        for path in paths:  # one at a time: they may be large
            folder_count += await comparison.run(await asyncio.to_thread(self._read, path))
            done += 1
            on_progress(done, total)
        live_count = await comparison.run(live, lambda n: on_progress(done + n, total))
        done += len(live)
        built_in_count = await comparison.run(built_in, lambda n: on_progress(done + n, total))
        report = comparison.report()
        return replace(
            report,
            folder_count=folder_count,
            live_count=live_count,
            built_in_count=built_in_count,
            unreadable_count=total - folder_count - live_count - built_in_count,
        )

    def _paths(self) -> list[Path]:
        """The first pictures of the folder, by name."""
        if self.folder is None:
            return []
        try:
            found = sorted(p for p in self.folder.iterdir() if p.suffix.lower() in _SUFFIXES)
        except OSError as error:
            _log.warning("canary_dir cannot be read: %s", error.strerror)
            return []
        return found[:_MAX_FOLDER_COUNT]

    def _read(self, path: Path) -> list[bytes]:
        """The file's bytes; nothing where it cannot be read or is over the limit."""
        try:
            if path.stat().st_size > self.image_limits.max_bytes:
                return []
            return [path.read_bytes()]
        except OSError:
            return []
