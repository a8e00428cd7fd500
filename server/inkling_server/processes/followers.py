"""Keeps the followers of an owner running, and what they serve in step with it.

    launch ─► follow, every half second ─► ended, hung or unwell ─► pause, ever longer ─► launch
                  └── the owner's model and graph go there, health and what is in use come back

A version is not let go before no follower uses it (`left`). The owner draining has them drain;
where it dies, the kernel ends them. It does not know how a follower does its work.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from inkling_server.processes.link import COMMAND, FollowerLink
from inkling_server.processes.orders import (
    Orders,
    Report,
    Shared,
    Target,
    report_from_json,
    to_json,
)
from inkling_server.refresh.pipe import PipeBroken

_log = logging.getLogger(__name__)
_SCRAPE_TIMEOUT_S = 2.0
_LONGEST_PAUSE_S = 15.0
_STEADY_S = 60.0  # a follower that lived this long has not failed again, but anew
_UP = Report(serving=False, problem="starting", target=None, models=())


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what may take.

    Attributes:
        poll_s: between two looks at a follower.
        answer_s: for one answer; a process that takes longer hangs.
        unwell_s: a follower may not serve while its owner does.
        move_s: from its start, or a new target, until it serves that.
        drain_s: for calls under way at the end.
    """

    poll_s: float = 0.5
    answer_s: float = 10.0
    unwell_s: float = 20.0
    move_s: float = 120.0
    drain_s: float = 20.0


@dataclass(frozen=True, slots=True)
class OwnerNow:
    """What the followers go by.

    Attributes:
        target: what the owner serves.
        is_well: its own canary gets its tags, so that a follower's trouble is its own.
        services: health by service.
    """

    target: Target
    is_well: bool
    services: Mapping[str, bool]


class _Place:
    """One follower after another, under the same number."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.link: FollowerLink | None = None
        self.report = _UP
        self.may_use: set[int] = set()


class Followers:
    """All of one owner's followers; none where `count` is 0. One event loop owns them.

    Args:
        count: how many.
        patience: how long what may take.
        command: a follower's process.

    Attributes:
        restart_count: followers that were started again.
    """

    def __init__(self, count: int, patience: Patience, *, command: Sequence[str] = COMMAND) -> None:
        self._places = [_Place(number) for number in range(1, count + 1)]
        self._patience = patience
        self._command = command
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        # On the monotonic clock; None: they are not to end.
        self._drained_by_s: float | None = None
        self.restart_count = 0

    @property
    def count(self) -> int:
        """How many there should be."""
        return len(self._places)

    @property
    def serving_count(self) -> int:
        """How many serve now."""
        return sum(place.report.serving for place in self._places)

    @property
    def pids(self) -> dict[int, int]:
        """Process ids of those that run, by number."""
        return {place.number: place.link.pid for place in self._places if place.link is not None}

    @asynccontextmanager
    async def running(self, shared: Shared, now: Callable[[], OwnerNow]) -> AsyncIterator[None]:
        """Keeps them running during the block; all have ended after it.

        Args:
            shared: what they have in common.
            now: the owner as it is.
        """
        if not self._places:
            yield
            return
        tasks = [
            asyncio.create_task(self._keep(place, shared, now), name=f"follower-{place.number}")
            for place in self._places
        ]
        try:
            yield
        finally:
            self.drain()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def left(self, model: int) -> None:
        """Returns when no follower uses a model version any more."""
        while any(model in place.may_use for place in self._places):
            changed = self._changed
            self._wake.set()
            await changed.wait()

    async def wait_until_serving(self) -> None:
        """Returns when all serve."""
        while self.serving_count < self.count:
            await self._changed.wait()

    async def families(self) -> dict[int, object]:
        """What each follower counts, by number, as it says it; without those that do not answer."""
        asked = [place for place in self._places if place.report.serving]
        answers = await asyncio.gather(*map(_families, asked))
        return {
            place.number: families
            for place, families in zip(asked, answers, strict=True)
            if families is not None
        }

    def drain(self) -> None:
        """Has all of them answer what they have begun, and end; none is started again."""
        if self._drained_by_s is None:
            self._drained_by_s = time.monotonic() + self._patience.drain_s + 1.0
        for place in self._places:
            if place.link is not None:
                place.link.drain()

    def hurry(self) -> None:
        """Does not wait for them any longer."""
        self.drain()
        self._drained_by_s = 0.0
        for place in self._places:
            if place.link is not None:
                place.link.kill()

    async def _keep(self, place: _Place, shared: Shared, now: Callable[[], OwnerNow]) -> None:
        """One life after another, until cancelled."""
        failures = 0
        while not self._is_draining():
            started_s = time.monotonic()
            problem = await self._live(place, shared, now)
            if self._is_draining():
                return
            failures = 0 if time.monotonic() - started_s > _STEADY_S else failures + 1
            pause_s = min(_LONGEST_PAUSE_S, 0.125 * 2**failures)
            self.restart_count += 1
            _log.warning(
                "a follower ended and is started again",
                extra={"number": place.number, "problem": problem, "pause_s": pause_s},
            )
            await asyncio.sleep(pause_s)

    async def _live(self, place: _Place, shared: Shared, now: Callable[[], OwnerNow]) -> str:
        """From a follower's start to its end; returns why it ended."""
        target = now().target
        place.may_use.add(target.model)
        try:
            place.link = link = await FollowerLink.launch(
                Orders(place.number, shared, target), self._command
            )
            try:
                return await self._follow(place, link, now)
            finally:
                # Also while this task is being cancelled, at the owner's end.
                left_s = (self._drained_by_s or 0.0) - time.monotonic()
                await asyncio.shield(link.end(grace_s=left_s))
        except (OSError, PipeBroken, ValueError) as error:
            return str(error)
        except Exception as error:  # whatever it is must not end the keeping
            _log.exception("a follower cannot be kept")
            return type(error).__name__
        finally:
            place.link, place.report = None, _UP
            place.may_use.clear()
            self._tell()

    async def _follow(self, place: _Place, link: FollowerLink, now: Callable[[], OwnerNow]) -> str:
        patience = self._patience
        well_s = in_step_s = time.monotonic()
        has_served = False
        while not self._is_draining():
            owner = now()
            place.may_use.add(owner.target.model)
            question = {
                "type": "follow",
                "target": to_json(owner.target),
                "services": dict(owner.services),
            }
            try:
                answer = await link.ask(question, timeout_s=patience.answer_s)
            except TimeoutError:
                return "it does not answer"
            except PipeBroken:
                return f"exit status {await link.end(grace_s=patience.answer_s)}"
            self._note(place, report_from_json(answer.get("report")))
            now_s = time.monotonic()
            has_served = has_served or place.report.serving
            if place.report.serving or not owner.is_well:
                well_s = now_s
            if place.report.target == owner.target:
                in_step_s = now_s
            if now_s - well_s > (patience.unwell_s if has_served else patience.move_s):
                return f"it does not serve: {place.report.problem}"
            if owner.is_well and now_s - in_step_s > patience.move_s:
                return "it does not come to serve what it should"
            await self._pause(link)
        await link.exited
        return "drained"

    async def _pause(self, link: FollowerLink) -> None:
        """Until the next look at one follower: soon where something has changed."""
        woken = asyncio.ensure_future(self._wake.wait())
        try:
            ends: set[asyncio.Future[Any]] = {woken, link.exited}
            await asyncio.wait(
                ends,
                timeout=self._patience.poll_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if woken.done():
                # All that wait are awake now; whoever still waits for a change wakes them again.
                await asyncio.sleep(0.02)
                self._wake.clear()
        finally:
            woken.cancel()

    def _is_draining(self) -> bool:
        return self._drained_by_s is not None

    def _note(self, place: _Place, report: Report) -> None:
        models = set(report.models)
        if report != place.report or models != place.may_use:
            if report.serving != place.report.serving:
                _log.info(
                    "a follower serves" if report.serving else "a follower does not serve",
                    extra={"number": place.number, "problem": report.problem},
                )
            place.report, place.may_use = report, models
        self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def _families(place: _Place) -> object:
    if place.link is None:
        return None
    try:
        answer = await place.link.ask({"type": "metrics"}, timeout_s=_SCRAPE_TIMEOUT_S)
    except (TimeoutError, PipeBroken):
        return None
    return answer.get("families")
