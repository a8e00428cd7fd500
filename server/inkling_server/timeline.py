"""From the scores of single frames to what a video is about, and when.

A frame stands for the video from its start to its end, so a tag's score is a function of time that
is constant over each frame. With p(x) that function:

    score     = max over all windows of 1 s of the mean of p over the window
    showing   = p > min_score and p >= score / 2            (half of its own maximum, as in FWHM)
    interval  = the longest run of frames with p >= 0.7 * that threshold around a frame that shows;
                gaps shorter than 1 s do not part it

The mean of a calibrated score over a second is itself calibrated where the second shows one thing
(a linear opinion pool of judgements of the same event), so that a tag that is certain for 3 s of 60
is certain for the video, and one that flashes up in a single blended frame counts by its length.
The maximum over windows is *not* free: of many seconds that each show something else, the best one
is right somewhat less often than its score promises. By how much could not be measured: there are
no labelled videos here. The half-maximum keeps weak echoes of a tag in other scenes out of its
intervals; window, gap and hysteresis are judgements.

Pure numpy: this module knows no videos, tags, encoders or texts.

Shapes: F frames, T tags, E = 2 F ends of frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WINDOW_S = 1.0
GAP_S = 1.0
_HALF = 0.5
_HYSTERESIS = 0.7

Scores = NDArray[np.float32]
Seconds = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """[start_s, end_s) of a video, in seconds from its start."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Showing:
    """When one tag shows.

    Attributes:
        intervals: in order; they neither overlap nor touch.
        best_frame: the frame that scores highest; the first of equals.
        share: part of the video's time that the intervals cover, in [0, 1].
    """

    intervals: tuple[Interval, ...]
    best_frame: int
    share: float


def video_scores(scores_FT: Scores, starts_F: Seconds, ends_F: Seconds) -> Scores:
    """The score of each tag for the whole video, float32 [T]; see the module.

    Args:
        scores_FT: of each frame, in [0, 1].
        starts_F: in seconds, ascending.
        ends_F: in seconds; no frame ends after the next one starts. Time that no frame stands for
            counts as not showing anything.
    """
    if len(scores_FT) == 0:
        return np.zeros(scores_FT.shape[1], np.float32)
    lengths_F = ends_F - starts_F
    window_s = min(WINDOW_S, float(ends_F[-1] - starts_F[0]))
    # A single picture has no length: its scores are the video's.
    if window_s <= 0:
        best_T: Scores = scores_FT.max(axis=0)
        return best_T
    edges_E = np.column_stack([starts_F, ends_F]).ravel()
    # The mean over a window that slides is piecewise linear in its start: its maximum lies where
    # the window starts or ends with a frame.
    last_start_s = edges_E[-1] - window_s
    windows_W = np.unique(np.clip(np.concatenate([edges_E, edges_E - window_s]), 0, None))
    windows_W = np.unique(np.clip(windows_W, edges_E[0], last_start_s))
    means_T = np.empty(scores_FT.shape[1])
    for t, scores_F in enumerate(scores_FT.T.astype(np.float64)):
        areas_F = np.cumsum(scores_F * lengths_F)
        areas_E = np.column_stack([np.concatenate([[0.0], areas_F[:-1]]), areas_F]).ravel()
        covered_W = np.interp(windows_W + window_s, edges_E, areas_E)
        covered_W -= np.interp(windows_W, edges_E, areas_E)
        means_T[t] = covered_W.max() / window_s
    # Sums round: a tag never scores above its best frame.
    bounded_T: Scores = np.minimum(means_T.astype(np.float32), scores_FT.max(axis=0))
    return bounded_T


def showing(
    scores_F: Scores,
    starts_F: Seconds,
    ends_F: Seconds,
    *,
    score: float,
    min_score: float,
    duration_s: float,
) -> Showing:
    """When one tag shows; see the module.

    Args:
        scores_F: the tag's, of each frame; at least one.
        starts_F: as in `video_scores`.
        ends_F: as in `video_scores`.
        score: the tag's from `video_scores`.
        min_score: what the caller wants tags to score at least.
        duration_s: of the video.
    """
    high = np.float32(score * _HALF)
    seeds_F = (scores_F > np.float32(min_score)) & (scores_F >= high)
    low = np.float32(_HYSTERESIS * max(min_score, float(high)))
    runs: list[tuple[int, int]] = []
    for first, last in _runs(scores_F >= low):
        if not seeds_F[first : last + 1].any():
            continue
        if runs and starts_F[first] - ends_F[runs[-1][1]] < GAP_S:
            runs[-1] = (runs[-1][0], last)
        else:
            runs.append((first, last))
    intervals = tuple(Interval(float(starts_F[first]), float(ends_F[last])) for first, last in runs)
    shown_s = sum(interval.end_s - interval.start_s for interval in intervals)
    share = shown_s / duration_s if duration_s > 0 else float(bool(intervals))
    return Showing(intervals, int(scores_F.argmax()), min(share, 1.0))


def _runs(flags_F: NDArray[np.bool_]) -> Sequence[tuple[int, int]]:
    """First and last place of each maximal run of True."""
    steps = np.diff(np.concatenate([[0], flags_F.astype(np.int8), [0]]))
    firsts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return [(int(first), int(end) - 1) for first, end in zip(firsts, ends, strict=True)]
