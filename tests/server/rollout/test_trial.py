"""Comparing two models: which pictures, which numbers, which verdict."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from inkling_server.errors import EncoderDown
from inkling_server.images import ImageLimits
from inkling_server.rollout.comparing import find_problems
from inkling_server.rollout.operation import CanaryLimits, CanaryReport, DeployOrder
from inkling_server.rollout.sample import LiveSample
from inkling_server.rollout.trial import Trial
from inkling_server.serving_state import ServingState
from inkling_server.tag_index import SearchThread
from tests.server.rollout.rollout_kit import COLOURS, LIMITS, SpacedEncoder
from tests.serving import make_manifest, make_state, picture

ORDER = DeployOrder(2, LIMITS)
FINE = CanaryReport(
    folder_count=9,
    tag_overlap=0.6,
    overlap_count=9,
    old_coverage=0.9,
    new_coverage=0.8,
    old_p50_ms=10.0,
    new_p50_ms=12.0,
)


@pytest.fixture
async def old(thread: SearchThread) -> AsyncIterator[ServingState]:
    state = await make_state(thread, encoder=SpacedEncoder(make_manifest(1)))
    yield state
    await state.index.close()


@pytest.fixture
async def new(thread: SearchThread) -> AsyncIterator[ServingState]:
    state = await make_state(thread, encoder=SpacedEncoder(make_manifest(2)))
    yield state
    await state.index.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for colour in COLOURS:
        (tmp_path / f"{colour}.png").write_bytes(picture(colour))
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def trial(folder: Path | None = None, *, sample: LiveSample | None = None) -> Trial:
    return Trial(
        folder=folder,
        sample=sample or LiveSample(8),
        built_in=[picture("red"), picture("blue")],
        image_limits=ImageLimits(max_bytes=10_000),
        timeout_s=5.0,
        pause_ratio=0.0,
    )


async def run(trial: Trial, old: ServingState, new: ServingState) -> CanaryReport:
    report = await trial.run(old, new, ORDER, lambda *_: None)
    assert report is not None
    return report


async def test_without_any_real_picture_the_drawn_ones_are_compared(
    old: ServingState, new: ServingState
) -> None:
    report = await run(trial(), old, new)
    assert (report.picture_count, report.built_in_count) == (2, 2)
    assert report.tag_overlap == 1.0


async def test_unreadable_pictures_are_counted_and_cost_nothing_else(
    old: ServingState, new: ServingState, folder: Path
) -> None:
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "huge.jpg").write_bytes(b"x" * 10_001)
    (folder / "empty.png").write_bytes(b"")
    report = await run(trial(folder), old, new)
    assert (report.folder_count, report.unreadable_count) == (6, 3)


async def test_folder_that_is_not_there_is_no_folder(
    old: ServingState, new: ServingState, tmp_path: Path
) -> None:
    report = await run(trial(tmp_path / "away"), old, new)
    assert report.folder_count == 0
    assert report.built_in_count == 2


async def test_progress_reaches_its_total(
    old: ServingState, new: ServingState, folder: Path
) -> None:
    sample = LiveSample(4)
    sample.offer(picture("green"))
    seen: list[tuple[int, int]] = []
    await trial(folder, sample=sample).run(old, new, ORDER, lambda *n: seen.append(n))
    assert seen[-1] == (9, 9)
    assert seen == sorted(seen)


async def test_models_that_disagree_overlap_little(
    old: ServingState, thread: SearchThread, folder: Path
) -> None:
    state = await make_state(thread, encoder=SpacedEncoder(make_manifest(2), misfitted=True))
    report = await run(trial(folder), old, state)
    assert report.tag_overlap < 0.5
    assert report.decision == "refused"
    await state.index.close()


async def test_old_model_that_is_away_matters_unless_forced(
    old: ServingState, new: ServingState
) -> None:
    assert isinstance(old.encoder, SpacedEncoder)
    old.encoder.failure = EncoderDown("away")
    with pytest.raises(EncoderDown):
        await trial().run(old, new, ORDER, lambda *_: None)
    assert await trial().run(old, new, replace(ORDER, force=True), lambda *_: None) is None
    assert await trial().run(old, new, None, lambda *_: None) is None


def test_report_within_the_limits_has_no_problems() -> None:
    assert find_problems(FINE, CanaryLimits()) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tag_overlap": 0.19}, "tag overlap 0.19 is under min_overlap 0.2"),
        ({"new_p50_ms": 31.0}, "3.1 times as long (10 to 31 ms), over max_latency_ratio 3"),
        ({"new_coverage": 0.5}, "falls from 90% to 50%, by more than max_lost_coverage 0.3"),
    ],
)
def test_each_limit_is_named_with_its_number(changes: dict[str, float], words: str) -> None:
    (problem,) = find_problems(replace(FINE, **changes), CanaryLimits())  # type: ignore[arg-type]
    assert words in problem


def test_limits_themselves_are_allowed() -> None:
    at = replace(FINE, tag_overlap=0.2, new_p50_ms=30.0)
    assert find_problems(at, CanaryLimits()) == ()


def test_pictures_without_any_tag_say_nothing_of_overlap() -> None:
    silent = replace(FINE, tag_overlap=0.0, overlap_count=0)
    assert find_problems(silent, CanaryLimits()) == ()
