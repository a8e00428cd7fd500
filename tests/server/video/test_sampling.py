"""Which frames stand for a video, told from thumbnails alone."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from inkling_server.video.sampling import GRID, Sampler, Stretch, Thumbnail, absorb, distance

FPS = 15.0


def _picture(seed: int) -> Thumbnail:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (3, 4, 4), dtype=np.uint8)
    return coarse.repeat(GRID // 4, axis=1).repeat(GRID // 4, axis=2)


def _shown(picture: Thumbnail, seconds: float, noise: int = 0) -> list[Thumbnail]:
    rng = np.random.default_rng(1)
    return [
        np.clip(picture + rng.integers(-noise, noise + 1, picture.shape), 0, 255).astype(np.uint8)
        for _ in range(round(seconds * FPS))
    ]


def _faded(one: Thumbnail, other: Thumbnail, seconds: float) -> list[Thumbnail]:
    count = round(seconds * FPS)
    shares = [(n + 1) / (count + 1) for n in range(count)]
    return [(one * (1 - share) + other * share).astype(np.uint8) for share in shares]


def _stretches(frames: Sequence[Thumbnail], max_frames: int = 64) -> list[Stretch]:
    duration_s = len(frames) / FPS
    sampler = Sampler(duration_s, max_frames)
    kept: set[int] = set()
    best = -1
    for number, thumbnail in enumerate(frames):
        step = sampler.push(number / FPS, thumbnail, is_keyframe=number % 50 == 0)
        best = number - 1 if step.keep_previous else best
        if step.closed:
            assert step.closed.key == best
            kept.add(best)
        kept -= set(step.dropped)
    step = sampler.finish(duration_s)
    best = len(frames) - 1 if step.keep_previous else best
    kept.add(best)
    plan = sampler.plan(max_frames)
    assert {stretch.key for stretch in plan} <= kept
    assert plan[0].start_s == 0.0
    assert plan[-1].end_s == pytest.approx(duration_s)
    assert all(one.end_s == other.start_s for one, other in pairwise(plan))
    assert all(s.start_s <= s.time_s < s.end_s for s in plan)
    return plan


def test_a_cut_is_found_where_it_is() -> None:
    plan = _stretches([*_shown(_picture(1), 2, noise=3), *_shown(_picture(2), 3, noise=3)])
    assert [s.start_s for s in plan] == [0.0, pytest.approx(2.0, abs=1 / FPS)]


def test_a_short_scene_between_two_cuts_is_not_lost() -> None:
    flash = [*_shown(_picture(1), 3), *_shown(_picture(2), 0.3), *_shown(_picture(1), 3)]
    starts = [s.start_s for s in _stretches(flash)]
    assert starts == [0.0, pytest.approx(3.0, abs=0.07), pytest.approx(3.3, abs=0.07)]


@pytest.mark.parametrize("seconds", [0.4, 1.0, 2.0])
def test_a_fade_gives_two_frames_and_neither_is_half_of_it(seconds: float) -> None:
    one, other = _picture(3), _picture(4)
    plan = _stretches([*_shown(one, 3), *_faded(one, other, seconds), *_shown(other, 3)])
    assert len(plan) == 2
    assert distance(plan[0].thumbnail_PGG, one) < 0.02
    assert distance(plan[1].thumbnail_PGG, other) < 0.02
    assert plan[1].start_s == pytest.approx(3 + seconds / 2, abs=0.2)


def test_a_fade_over_black_leaves_no_black_frame_behind() -> None:
    one, other, black = _picture(3), _picture(4), np.zeros_like(_picture(0))
    frames = [*_shown(one, 3), *_faded(one, black, 0.5), *_faded(black, other, 0.5)]
    plan = _stretches([*frames, *_shown(other, 3)])
    assert len(plan) == 2
    # Black is like the darker of the two: the border lies somewhere in the second of the fade.
    assert plan[1].start_s == pytest.approx(3.5, abs=0.4)


@pytest.mark.parametrize("at_the_end", [False, True])
def test_a_brief_moving_scene_at_either_end_is_not_lost(at_the_end: bool) -> None:
    rolled = [np.roll(_picture(6), 2 * n, axis=2) for n in range(8)]
    still = _shown(_picture(2), 3)
    plan = _stretches([*still, *rolled] if at_the_end else [*rolled, *still])
    brief = plan[-1] if at_the_end else plan[0]
    assert len(plan) >= 2
    assert min(distance(brief.thumbnail_PGG, picture) for picture in rolled) < 0.02


def test_a_static_video_needs_few_frames() -> None:
    assert len(_stretches(_shown(_picture(1), 25, noise=4))) == 1
    assert 2 <= len(_stretches(_shown(_picture(1), 100, noise=4))) <= 4


def test_a_caption_over_a_still_picture_is_seen() -> None:
    captioned = _picture(5).copy()
    captioned[0, 26:29, 8:24] = 255 - captioned[0, 26:29, 8:24] // 2
    plan = _stretches([*_shown(_picture(5), 2, noise=2), *_shown(captioned, 2, noise=2)])
    assert [s.start_s for s in plan] == [0.0, pytest.approx(2.0, abs=0.07)]


def test_a_pan_is_followed() -> None:
    wide = np.concatenate([_picture(n) for n in range(6)], axis=2)
    count = round(10 * FPS)
    frames = []
    for n in range(count):
        x = round((wide.shape[2] - GRID) * n / count)
        frames.append(np.ascontiguousarray(wide[:, :, x : x + GRID]))
    plan = _stretches(frames)
    assert len(plan) >= 6


def test_flicker_is_no_row_of_cuts() -> None:
    light = np.full((3, GRID, GRID), 200, np.uint8)
    dark = np.full((3, GRID, GRID), 40, np.uint8)
    assert len(_stretches([light, dark] * 150)) < 60


@pytest.mark.parametrize("max_frames", [1, 5, 12])
def test_the_budget_is_kept_and_long_scenes_stay(max_frames: int) -> None:
    frames = [t for n in range(80) for t in _shown(_picture(n), 0.3)]
    frames += _shown(_picture(200), 10)
    plan = _stretches(frames, max_frames)
    assert len(plan) == max_frames
    assert distance(plan[-1].thumbnail_PGG, _picture(200)) < 0.02


def test_the_steadiest_frame_stands_for_a_scene() -> None:
    moved = (_picture(7) * 0.96 + _picture(8) * 0.04).astype(np.uint8)
    assert 0.01 < distance(moved, _picture(7)) < 0.04
    shaken = [_picture(7), moved] * 10
    plan = _stretches([*shaken, *_shown(_picture(7), 0.4), *shaken])
    assert len(plan) == 1
    assert len(shaken) <= plan[0].key < len(shaken) + 7


def test_a_key_frame_that_repairs_a_poor_picture_is_no_cut() -> None:
    poor = (_picture(7) * 0.92 + _picture(8) * 0.08).astype(np.uint8)
    frames = [*[poor] * 50, *[_picture(7)] * 50]  # frame 50 is a key frame
    assert 0.04 < distance(poor, _picture(7)) < 0.08
    assert len(_stretches(frames)) == 1
    assert len(_stretches(frames[1:])) == 2  # here it is not


def test_one_frame_is_a_video() -> None:
    assert [s.key for s in _stretches([_picture(1)])] == [0]


def test_absorbing_merges_what_is_alike() -> None:
    pictures = [_picture(1), _picture(2), _picture(2), _picture(3)]
    rows = [Stretch(n, n + 1, n, n, t, 0.0) for n, t in enumerate(pictures)]
    merged = absorb(rows, 3)
    assert [(s.start_s, s.end_s) for s in merged] == [(0, 1), (1, 3), (3, 4)]
