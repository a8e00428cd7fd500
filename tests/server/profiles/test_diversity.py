"""Lists that are good as a whole: MMR and PM-2 by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from inkling_server.profiles.diversity import Likeness, pick_marginal, pick_proportional

NO_TAGS = np.zeros(5, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)


def pictures(*angles_deg: float) -> NDArray[np.float32]:
    angles = np.radians(angles_deg)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def likeness(*angles_deg: float) -> Likeness:
    count = len(angles_deg)
    return Likeness.of(
        np.arange(count),
        pictures(*angles_deg),
        np.ones(count, bool),
        np.zeros(count + 1, np.int64),
        *NO_TAGS[1:],
    )


def test_marginal_relevance_picks_as_worked_out_by_hand() -> None:
    # Pictures at 0, 0, 60 and 90 degrees; scores 1, 0.9, 0.6, 0.5; d = 0.5.
    # First 0. Then: 1: 0.45 - 0.5 * 1 = -0.05; 2: 0.3 - 0.5 * 0.5 = 0.05; 3: 0.25 - 0 = 0.25.
    # After 3: 1: still -0.05; 2: 0.3 - 0.5 * cos 30 = -0.133. So 1, then 2.
    scores = np.array([1.0, 0.9, 0.6, 0.5])
    assert pick_marginal(scores, likeness(0, 0, 60, 90), 4, 0.5).tolist() == [0, 3, 1, 2]


def test_no_diversity_is_the_order_of_scores() -> None:
    scores = np.array([0.2, 1.0, 0.6])
    assert pick_marginal(scores, likeness(0, 0, 0), 3, 0.0).tolist() == [1, 2, 0]


def test_full_diversity_begins_with_the_best_and_goes_as_far_as_it_can() -> None:
    scores = np.array([0.9, 1.0, 0.5, 0.0])
    assert pick_marginal(scores, likeness(0, 1, 45, 90), 2, 1.0).tolist() == [1, 3]


def test_opposite_pictures_are_as_unlike_as_can_be() -> None:
    assert likeness(0, 180).to(0).tolist() == [1.0, 0.0]


def test_likeness_is_the_mean_of_what_is_known_of_both() -> None:
    # Item 0: picture and tags {5: 1}; 1: the same picture, tags {7: 1}; 2: tags {5: 1} alone;
    # 3: nothing. Rows in another order, to see that they are rows.
    embeddings = np.concatenate([pictures(0, 0), np.full((2, 2), 9, np.float32)])
    found = Likeness.of(
        np.array([3, 0, 1, 2]),
        embeddings,
        np.array([True, True, False, False]),
        np.array([0, 1, 2, 3, 3]),
        np.array([5, 7, 5]),
        np.array([1.0, 0.5, 0.2], np.float32),
    )
    # To item 0: nothing known of 3: 0; itself: 1; 1: (1 + 0) / 2; 2: tags alone: 1.
    assert found.to(1) == pytest.approx([0, 1, 0.5, 1])


def test_proportional_picks_take_seats_as_worked_out_by_hand() -> None:
    # Two clusters, shares 0.75 and 0.25, every item wholly of one; d = 1. First 0.75: item 0.
    # Quotients 0.75 / 3 = 0.25 and 0.25, a tie: item 1, which comes first. Then 0.75 / 5 = 0.15
    # against 0.25: item 4. Then 0.15 against 0.25 / 3: item 2.
    assign = np.array([[1, 0], [1, 0], [1, 0], [1, 0], [0, 1], [0, 1]], np.float64)
    scores = np.array([1.0, 0.9, 0.8, 0.7, 0.1, 0.0])
    shares = np.array([0.75, 0.25])
    assert pick_proportional(scores, assign, shares, 4, 1.0).tolist() == [0, 1, 4, 2]
    assert pick_proportional(scores, assign, shares, 4, 0.0).tolist() == [0, 1, 2, 3]


def test_no_item_is_picked_twice_and_no_more_than_there_are() -> None:
    scores = np.zeros(3)
    assign = np.full((3, 2), 0.5)
    shares = np.array([0.5, 0.5])
    assert sorted(pick_proportional(scores, assign, shares, 9, 0.7).tolist()) == [0, 1, 2]
    assert sorted(pick_marginal(scores, likeness(0, 5, 9), 9, 0.7).tolist()) == [0, 1, 2]
