"""Scores and intervals of videos, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling_server.timeline import Interval, showing, video_scores


def score(scores: list[float], edges: list[float]) -> float:
    """The video's score of one tag; frame i stands for [edges[i], edges[i + 1])."""
    scores_F1 = np.array(scores, np.float32)[:, np.newaxis]
    return float(video_scores(scores_F1, np.array(edges[:-1]), np.array(edges[1:]))[0])


def shown(
    scores: list[float], edges: list[float], *, min_score: float = 0.25
) -> tuple[list[tuple[float, float]], int, float]:
    result = showing(
        np.array(scores, np.float32),
        np.array(edges[:-1]),
        np.array(edges[1:]),
        score=score(scores, edges),
        min_score=min_score,
        duration_s=edges[-1],
    )
    return (
        [(one.start_s, one.end_s) for one in result.intervals],
        result.best_frame,
        result.share,
    )


def test_tag_that_is_certain_for_three_seconds_of_sixty_is_certain_for_the_video() -> None:
    assert score([0.01, 0.95, 0.02], [0, 30, 33, 60]) == pytest.approx(0.95)


def test_flash_counts_by_its_length() -> None:
    # 0.2 s of 0.9 and 0.8 s of 0.1 in the best second.
    assert score([0.1, 0.9, 0.1], [0, 5, 5.2, 10]) == pytest.approx(0.26)


def test_best_second_may_begin_and_end_within_frames() -> None:
    # All of the middle frame (0.6 s), and 0.4 s of its better neighbour.
    assert score([0.5, 1.0, 0.2], [0, 5, 5.6, 10]) == pytest.approx(0.6 + 0.4 * 0.5)


def test_short_frames_of_one_scene_add_up() -> None:
    edges = [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 5.0]
    assert score([0.8, 0.6, 0.8, 0.6, 0.8, 0.0], edges) == pytest.approx(0.7)


def test_video_shorter_than_a_second_is_averaged_whole() -> None:
    assert score([0.8, 0.2], [0, 0.3, 0.6]) == pytest.approx(0.5)


def test_still_picture_without_a_length_has_its_own_score() -> None:
    assert score([0.7], [0, 0]) == pytest.approx(0.7)
    assert shown([0.7], [0, 0]) == ([(0, 0)], 0, 1.0)


@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0.01, 100)), min_size=1, max_size=20)
)
def test_score_lies_between_the_mean_and_the_best_frame(
    frames: list[tuple[float, float]],
) -> None:
    edges = [0.0, *np.cumsum([length for _, length in frames]).tolist()]
    scores = [one for one, _ in frames]
    mean = np.average(scores, weights=np.diff(edges))
    assert mean - 1e-5 <= score(scores, edges) <= max(scores)


def test_score_is_the_best_of_all_windows_of_a_second() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        edges = np.concatenate([[0.0], np.cumsum(rng.uniform(0.05, 1.5, 8))])
        scores = rng.uniform(0, 1, 8)
        # The definition, on a grid: means over [a, a + 1) for a in steps of 2 ms.
        times = np.arange(0, edges[-1], 0.002)
        shown_s = scores[np.searchsorted(edges, times, side="right") - 1]
        means = np.convolve(shown_s, np.full(500, 1 / 500), "valid")
        assert score(scores.tolist(), edges.tolist()) == pytest.approx(means.max(), abs=0.01)


def test_time_that_no_frame_stands_for_shows_nothing() -> None:
    scores_F1 = np.array([[0.8], [0.8]], np.float32)
    starts_F, ends_F = np.array([0.0, 2.5]), np.array([0.5, 3.0])
    assert video_scores(scores_F1, starts_F, ends_F).tolist() == pytest.approx([0.4])


def test_interval_is_the_scene_that_shows_it() -> None:
    intervals, best, share = shown([0.05, 0.9, 0.1], [0, 4, 7, 10])
    assert (intervals, best) == ([(4, 7)], 1)
    assert share == pytest.approx(0.3)


def test_two_scenes_are_two_intervals_and_the_better_one_has_the_best_frame() -> None:
    intervals, best, share = shown([0.7, 0.0, 0.9, 0.0], [0, 2, 5, 8, 10])
    assert intervals == [(0, 2), (5, 8)]
    assert best == 2
    assert share == pytest.approx(0.5)


def test_weak_echo_of_a_plain_tag_does_not_show() -> None:
    # 0.3 is above the threshold, but less than half of 0.9.
    assert shown([0.9, 0.0, 0.3], [0, 2, 5, 8])[0] == [(0, 2)]
    assert shown([0.5, 0.0, 0.3], [0, 2, 5, 8])[0] == [(0, 2), (5, 8)]


def test_hysteresis_bridges_frames_just_below_the_threshold() -> None:
    assert shown([0.4, 0.2, 0.3, 0.1], [0, 2, 4, 6, 8])[0] == [(0, 6)]
    # Nothing of a run shows that never reaches the threshold itself.
    assert shown([0.9, 0.0, 0.4], [0, 2, 4, 6])[0] == [(0, 2)]


def test_gap_of_less_than_a_second_does_not_part_an_interval() -> None:
    assert shown([0.9, 0.0, 0.9], [0, 2, 2.9, 5])[0] == [(0, 5)]
    assert shown([0.9, 0.0, 0.9], [0, 2, 3, 5])[0] == [(0, 2), (3, 5)]


def test_threshold_is_strict_as_in_pictures() -> None:
    assert shown([0.25], [0, 2], min_score=0.25)[0] == []
    assert shown([0.25], [0, 2], min_score=0.2)[0] == [(0, 2)]


def test_intervals_are_values() -> None:
    assert Interval(1.0, 2.0) == Interval(1.0, 2.0)
