"""Which frames of a video to look at: one for each stretch that shows one thing.

    frame's thumbnail ─► Sampler.push ─► a stretch ends ─► its steadiest frame is kept
                                             ...       ─► plan: blends out, borders, budget

A stretch ends where the picture jumps (a cut), where it has drifted away from the stretch's own
frame (a pan, a fade), or when it is long. The frame that stands for it is the steadiest one: it
moves least against its neighbours, so it is not blurred and not half of a fade. Afterwards, short
stretches that are a blend of those around them are dropped, and every border is put where the
picture becomes more like the next frame than like the last.

Jumps are judged against the recent movement, as the adaptive detector of PySceneDetect does;
distances are mean absolute differences of small thumbnails. This module does not know files, codecs
or what is in a frame, and imports numpy only.

Shapes: P = 3 planes (luma, two of colour), G = `GRID` cells a side.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

GRID = 32
_BLOCK = 4  # cells a side of the blocks in which a caption shows

_CUT = 0.04  # a jump, in [0, 1], that may be a cut
_CUT_AT_KEYFRAME = 0.08
_CUT_RATIO = 4.0  # ... if it is so many times the recent movement
_RECENT = 9  # jumps that make up the recent movement
_DRIFT = 0.10  # distance from the stretch's own frame at which something else is shown
_STILL = 0.004  # movement below this is noise of the codec
_BRIEF_S = 1.5  # a blend lasts no longer
_BLEND_REST = 0.5  # share of a frame's distance to its neighbours that blending leaves unexplained
_LONGEST_S = 30.0
_SHORTEST_S = 0.5

Thumbnail = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """A part of a video that one frame stands for.

    Attributes:
        start_s, end_s: it covers [start_s, end_s).
        time_s: when its frame shows.
        key: the frame's number, in the order of `push`.
        thumbnail_PGG: of its frame.
        movement: of its frame, in [0, 1].
    """

    start_s: float
    end_s: float
    time_s: float
    key: int
    thumbnail_PGG: Thumbnail
    movement: float


@dataclass(frozen=True, slots=True)
class Step:
    """What the caller does after a push.

    Attributes:
        keep_previous: the frame before the pushed one is now the best of the running stretch.
        closed: the running stretch has ended: its best frame is needed for good.
        dropped: keys of kept frames that are not needed any more.
    """

    keep_previous: bool = False
    closed: Stretch | None = None
    dropped: tuple[int, ...] = ()


def distance(one_PGG: Thumbnail, other_PGG: Thumbnail) -> float:
    """How different two thumbnails are, in [0, 1]: on average, or strongly in one place."""
    difference_PGG = np.abs(one_PGG.astype(np.int16) - other_PGG)
    blocks = difference_PGG[0].reshape(GRID // _BLOCK, _BLOCK, GRID // _BLOCK, _BLOCK)
    # A caption over a still picture changes little of it on the whole, and a block much.
    everywhere = float(difference_PGG.mean(axis=(1, 2)).sum())
    somewhere = float(blocks.mean(axis=(1, 3)).max()) / 4
    return min(max(everywhere, somewhere) / 255, 1.0)


class Sampler:
    """Finds stretches while the video is read, and keeps few of them.

    Args:
        duration_s: of the video, as far as known.
        max_frames: how many are wanted at last; some more are kept meanwhile.
    """

    def __init__(self, duration_s: float, max_frames: int) -> None:
        self._max_frames = max_frames
        self._longest_s = max(_LONGEST_S, duration_s / max_frames)
        self._shortest_s = max(_SHORTEST_S, duration_s / (4 * max_frames))
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._times: list[float] = []
        self._thumbnails: list[Thumbnail] = []
        self._stretches: list[Stretch] = []
        self._start_s = 0.0
        self._best: Stretch | None = None
        self._best_rank = np.inf
        # Of the frame before the pushed one.
        self._is_first = True
        self._is_keyframe = False
        self._jump_before: float | None = None

    def push(self, time_s: float, thumbnail_PGG: Thumbnail, *, is_keyframe: bool) -> Step:
        """Takes the next frame; times ascend."""
        step = Step()
        if self._times:
            jump = distance(self._thumbnails[-1], thumbnail_PGG)
            # A key frame among others may only repair what the codec had left undone.
            repairs = is_keyframe and not self._is_keyframe
            least = _CUT_AT_KEYFRAME if repairs else _CUT
            is_cut = jump > max(least, _CUT_RATIO * self._movement())
            self._recent.append(jump)
            keep = self._judge_previous(None if is_cut else jump)
            age_s = time_s - self._start_s
            drifted = (
                age_s >= self._shortest_s
                and self._best is not None
                and distance(self._best.thumbnail_PGG, thumbnail_PGG) > _DRIFT
            )
            if is_cut or drifted or age_s >= self._longest_s:
                step = self._close(time_s, keep=keep)
                jump = 1.0 if is_cut else jump
                self._is_first = True
            else:
                step = Step(keep)
                self._is_first = False
            self._jump_before = None if is_cut else jump
        self._is_keyframe = is_keyframe
        self._times.append(time_s)
        self._thumbnails.append(thumbnail_PGG)
        return step

    def finish(self, duration_s: float) -> Step:
        """Ends the last stretch, where there is one."""
        if not self._times:
            return Step()
        keep = self._judge_previous(None)
        return self._close(max(duration_s, self._times[-1]), keep=keep)

    def plan(self, max_frames: int) -> list[Stretch]:
        """The stretches to use, without gaps, at most `max_frames`; after `finish`."""
        stretches = self._without_blends()
        if not stretches:
            return []
        # A blend at either end goes to the nearest.
        stretches[0] = replace(stretches[0], start_s=0.0)
        stretches[-1] = replace(stretches[-1], end_s=self._stretches[-1].end_s)
        return absorb(self._with_borders(stretches), max_frames)

    def _movement(self) -> float:
        return median(self._recent) if self._recent else 0.0

    def _judge_previous(self, jump_after: float | None) -> bool:
        """Makes the previous frame the stretch's own if it is steadier than the best so far."""
        jumps = [jump for jump in (self._jump_before, jump_after) if jump is not None]
        movement = max(jumps, default=1.0)
        rank = max(movement, _STILL)
        # Codecs spend most on key frames and repair what follows a cut over a few frames.
        rank *= (0.9 if self._is_keyframe else 1.0) * (1.15 if self._is_first else 1.0)
        if rank >= 0.9 * self._best_rank:
            return False
        self._best_rank = rank
        self._best = Stretch(
            self._start_s,
            self._start_s,
            self._times[-1],
            len(self._times) - 1,
            self._thumbnails[-1],
            movement,
        )
        return True

    def _close(self, end_s: float, *, keep: bool) -> Step:
        assert self._best is not None
        closed = replace(self._best, end_s=end_s)
        self._stretches.append(closed)
        self._start_s, self._best, self._best_rank = end_s, None, np.inf
        dropped: tuple[int, ...] = ()
        if len(self._stretches) > 4 * self._max_frames:
            kept = absorb(self._stretches, 3 * self._max_frames)
            keys = {stretch.key for stretch in kept}
            dropped = tuple(s.key for s in self._stretches if s.key not in keys)
            self._stretches = kept
        return Step(keep, closed, dropped)

    def _without_blends(self) -> list[Stretch]:
        """Drops short, moving stretches whose frame is a mixture of what is around them."""
        stretches = self._stretches
        solid = [
            number
            for number, s in enumerate(stretches)
            if s.end_s - s.start_s >= _BRIEF_S or s.movement <= 3 * _STILL
        ]
        kept = []
        for number, stretch in enumerate(stretches):
            before = max((n for n in solid if n < number), default=None)
            after = min((n for n in solid if n > number), default=None)
            near = [
                stretches[n]
                for n in (before, after)
                if n is not None
                and stretches[n].start_s - stretch.end_s < _BRIEF_S
                and stretch.start_s - stretches[n].end_s < _BRIEF_S
            ]
            first = bisect_left(self._times, stretch.start_s)
            end = bisect_left(self._times, stretch.end_s)
            edges = self._thumbnails[max(first - 1, 0) : first] + self._thumbnails[end : end + 1]
            others = [s.thumbnail_PGG for s in near]
            if number in solid or not near or not _is_blend(stretch.thumbnail_PGG, others, edges):
                kept.append(stretch)
        return kept

    def _with_borders(self, stretches: list[Stretch]) -> list[Stretch]:
        """Puts each border where the picture becomes more like the later frame."""
        result = list(stretches)
        for number in range(len(result) - 1):
            one, other = result[number], result[number + 1]
            border_s = other.time_s
            for key in range(one.key + 1, other.key):
                thumbnail_PGG = self._thumbnails[key]
                if distance(thumbnail_PGG, other.thumbnail_PGG) < distance(
                    thumbnail_PGG, one.thumbnail_PGG
                ):
                    border_s = self._times[key]
                    break
            if one.end_s - one.start_s >= self._longest_s and one.end_s == other.start_s:
                border_s = min(max(one.end_s, one.time_s), other.time_s)  # nothing changed there
            result[number] = replace(one, end_s=border_s)
            result[number + 1] = replace(other, start_s=border_s)
        return result


def absorb(stretches: Sequence[Stretch], count: int) -> list[Stretch]:
    """Merges stretches until `count` remain: first what is short and like its neighbour."""
    result = list(stretches)
    away = [
        distance(one.thumbnail_PGG, other.thumbnail_PGG) for one, other in pairwise(result)
    ]  # away[n]: from n to n + 1
    while len(result) > count:
        beside = [*away, np.inf]
        costs = [
            (stretch.end_s - stretch.start_s + 0.1) * (min(beside[n - 1], beside[n]) + 0.01)
            for n, stretch in enumerate(result)
        ]
        lost = int(np.argmin(costs))
        into = lost - 1 if beside[lost - 1] <= beside[lost] else lost + 1
        first = min(lost, into)
        result[first : first + 2] = [
            replace(result[into], start_s=result[first].start_s, end_s=result[first + 1].end_s)
        ]
        del away[first]
        for n in (first - 1, first):
            if 0 <= n < len(away):
                away[n] = distance(result[n].thumbnail_PGG, result[n + 1].thumbnail_PGG)
    return result


def _is_blend(shown_PGG: Thumbnail, solid: Sequence[Thumbnail], edges: Sequence[Thumbnail]) -> bool:
    """Whether luma is about a mixture of others and a constant, which is a fade to black.

    Args:
        shown_PGG: what may be a blend.
        solid: frames of the stretches around it.
        edges: what is shown just before and after it: the picture may move while it fades.
    """
    shown = _luma(shown_PGG)
    others = [_luma(thumbnail_PGG) for thumbnail_PGG in (*solid, *edges)]
    basis = np.stack([*others, np.ones_like(shown)], axis=1)
    weights, *_ = np.linalg.lstsq(basis, shown, rcond=None)
    if not -0.1 < weights[:-1].sum() < 1.15:
        return False
    rest = float(np.sqrt(np.mean((shown - basis @ weights) ** 2)))
    nearest = min(float(np.sqrt(np.mean((shown - one) ** 2))) for one in others[: len(solid)])
    return rest < _BLEND_REST * max(nearest, 1.0)


def _luma(thumbnail_PGG: Thumbnail) -> NDArray[np.float64]:
    return np.asarray(thumbnail_PGG[0].ravel(), np.float64)
