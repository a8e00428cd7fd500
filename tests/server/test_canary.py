"""The canary's verdicts: what counts as serving, busy and dead."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import pytest

from inkling_server import images
from inkling_server.canary import Canary, Health, canary_picture
from inkling_server.errors import DeadlineExceeded, EncoderDown
from inkling_server.model_manifest import PixelSpec
from tests.serving import until


class Scene:
    """A canary with a probe that does as told, and everything that it said."""

    def __init__(self, period_s: float = 0.0) -> None:
        self.outcome: Exception | None = None
        self.progress = 0
        self.progress_per_probe = 0
        self.probe_count = 0
        self.verdicts: list[Health] = []
        self.outcomes: list[str] = []
        self.canary = Canary(
            self._probe,
            progress=lambda: self.progress,
            on_change=self.verdicts.append,
            observer=self,
            period_s=period_s,
        )

    async def _probe(self) -> None:
        self.probe_count += 1
        await asyncio.sleep(0)
        self.progress += self.progress_per_probe
        if self.outcome is not None:
            raise self.outcome

    def canary_finished(self, outcome: Literal["ok", "busy", "failed"], duration_s: float) -> None:
        assert duration_s >= 0
        self.outcomes.append(outcome)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.canary.run())
        try:
            yield
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    async def probes(self, count: int) -> None:
        goal = self.probe_count + count
        await until(lambda: self.probe_count >= goal)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_is_not_serving_before_the_first_canary(scene: Scene) -> None:
    assert scene.canary.health == Health(serving=False, problem="starting")


async def test_serves_after_the_first_canary(scene: Scene) -> None:
    async with scene.running():
        await until(lambda: scene.canary.health.serving)
    assert scene.canary.health.problem == ""


async def test_tells_changes_once_each(scene: Scene) -> None:
    async with scene.running():
        await scene.probes(3)
        scene.outcome = EncoderDown("gone")
        await scene.probes(3)
        scene.outcome = None
        await scene.probes(3)
    assert [verdict.serving for verdict in scene.verdicts] == [True, False, True]
    assert scene.verdicts[1].problem == "ENCODER_DOWN: gone"


async def test_slow_canary_of_a_busy_server_is_no_failure(scene: Scene) -> None:
    async with scene.running():
        await scene.probes(2)
        scene.outcome, scene.progress_per_probe = DeadlineExceeded(), 5
        await scene.probes(3)
        assert scene.canary.health.serving
    assert scene.outcomes[-1] == "busy"


async def test_slow_canary_while_nothing_moves_is_a_failure(scene: Scene) -> None:
    async with scene.running():
        await scene.probes(2)
        scene.outcome = DeadlineExceeded()
        await until(lambda: not scene.canary.health.serving)
    assert "in time" in scene.canary.health.problem


async def test_progress_does_not_excuse_an_encoder_that_says_it_is_down(scene: Scene) -> None:
    scene.outcome, scene.progress_per_probe = EncoderDown("gone"), 5
    async with scene.running():
        await scene.probes(2)
    assert not scene.canary.health.serving


async def test_a_fault_of_ours_does_not_end_the_loop(scene: Scene) -> None:
    scene.outcome = ZeroDivisionError("a bug")
    async with scene.running():
        await scene.probes(3)
        assert scene.canary.health.problem == "unexpected ZeroDivisionError"
        scene.outcome = None
        await until(lambda: scene.canary.health.serving)


async def test_doubt_takes_effect_at_once_and_is_checked_at_once() -> None:
    scene = Scene(period_s=60)
    async with scene.running():
        await until(lambda: scene.canary.health.serving)
        scene.canary.doubt("Triton is gone")
        assert scene.canary.health == Health(serving=False, problem="Triton is gone")
        await until(lambda: scene.canary.health.serving)
    assert scene.probe_count == 2


async def test_hope_shortens_the_pause() -> None:
    scene = Scene(period_s=60)
    scene.outcome = EncoderDown("gone")
    async with scene.running():
        await until(lambda: scene.probe_count == 1 and scene.canary.health.problem != "starting")
        scene.outcome = None
        scene.canary.hurry()
        await until(lambda: scene.canary.health.serving)


def test_canary_picture_is_a_small_jpeg_that_decodes() -> None:
    picture = canary_picture()
    assert picture == canary_picture()
    assert len(picture) < 20_000
    assert images.decode(picture, PixelSpec()).shape == (224, 224, 3)
