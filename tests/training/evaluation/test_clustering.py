"""mAP as in the paper's table I, against hand-computed values and the expectation of chance."""

import numpy as np
import pytest

from inkling_training.evaluation.clustering import (
    average_precisions,
    cluster_scores,
    random_map,
    retrieval_map,
)

# On a line: a at 0, b at 1, a at 3, b at 7
LINE_ND = np.array([[0.0], [1.0], [3.0], [7.0]])
LABELS_N = np.array(["a", "b", "a", "b"])


def test_average_precisions_equal_the_hand_computed_ones() -> None:
    # a@0 sees b1 a3 b7: 1/2. b@1 sees a0 a3 b7: 1/3. a@3 sees b1 a0 b7: 1/2. b@7 sees a3 b1: 1/2.
    found = average_precisions(LINE_ND, LABELS_N)

    np.testing.assert_allclose(found, [1 / 2, 1 / 3, 1 / 2, 1 / 2])
    assert retrieval_map(LINE_ND, LABELS_N) == pytest.approx(11 / 24)


def test_two_right_answers_average_their_precisions() -> None:
    rows_ND = np.array([[0.0], [1.0], [2.0], [3.5]])
    labels_N = np.array([0, 0, 1, 0])

    # the first: hits at ranks 1 and 3
    assert average_precisions(rows_ND, labels_N)[0] == pytest.approx((1 / 1 + 2 / 3) / 2)


def test_separated_labels_reach_one() -> None:
    rows_ND = np.array([[0.0, 0], [0, 0.1], [9, 9], [9, 9.1]])

    assert retrieval_map(rows_ND, np.array([0, 0, 1, 1])) == 1.0
    assert cluster_scores(rows_ND, np.array([0, 0, 1, 1])).purity == 1.0
    assert cluster_scores(rows_ND, np.array([0, 0, 1, 1])).nmi == pytest.approx(1.0)


def test_a_label_with_one_picture_asks_nothing_but_stands_among_the_answers() -> None:
    rows_ND = np.array([[0.0], [1.0], [2.0]])
    labels_N = np.array([0, 1, 0])

    np.testing.assert_allclose(average_precisions(rows_ND, labels_N), [1 / 2, 1 / 2])


def test_order_among_equal_distances_does_not_matter() -> None:
    same_ND = np.ones((6, 3))
    labels_N = np.array([0, 0, 0, 1, 1, 1])

    # all five answers share the precision at the last of them: 2 / 5
    np.testing.assert_allclose(average_precisions(same_ND, labels_N), 2 / 5)
    shuffled_N = labels_N[[0, 3, 1, 4, 2, 5]]
    np.testing.assert_allclose(average_precisions(same_ND, shuffled_N), 2 / 5)


def test_cosine_forgets_lengths_and_bears_a_row_of_zeros() -> None:
    rows_ND = np.array([[1.0, 0], [50, 1], [0, 1], [1, 40], [0, 0]])
    labels_N = np.array([0, 0, 1, 1, 1])

    assert average_precisions(rows_ND, labels_N, "cosine")[:2].tolist() == [1.0, 1.0]
    assert average_precisions(rows_ND, labels_N, "euclidean")[2] < 1.0


def test_random_features_reach_what_chance_is_expected_to() -> None:
    rng = np.random.default_rng(0)
    labels_N = np.repeat(np.arange(5), [2, 5, 9, 14, 30])
    found = [retrieval_map(rng.normal(size=(60, 4)), labels_N) for _ in range(200)]

    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - random_map(labels_N)) < 4 * error
    assert error < 0.002


def test_chance_equals_the_mean_over_all_orders_of_a_small_case() -> None:
    # one right answer among two: at rank 1 or at rank 2
    assert random_map(np.array([0, 0, 1])) == pytest.approx((1 + 1 / 2) / 2)
    # two right ones of three: ranks 1 2, 1 3 or 2 3
    orders = [(1 + 1) / 2, (1 + 2 / 3) / 2, (1 / 2 + 2 / 3) / 2]
    assert random_map(np.array([0, 0, 0, 1])) == pytest.approx(np.mean(orders))


def test_purity_counts_each_clusters_most_frequent_label() -> None:
    rows_ND = np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]])

    assert cluster_scores(rows_ND, np.array([0, 0, 1, 1, 1, 1])).purity == pytest.approx(5 / 6)


def test_a_collapsed_network_is_scored_not_refused() -> None:
    scores = cluster_scores(np.ones((6, 2)), np.array([0, 0, 0, 0, 1, 1]))

    assert scores.purity == pytest.approx(4 / 6)
    assert scores.nmi == pytest.approx(0)


@pytest.mark.parametrize(
    ("rows_ND", "labels_N", "message"),
    [
        (np.zeros((2, 3)), np.zeros(3), r"\[N, D\]"),
        (np.full((2, 3), np.nan), np.zeros(2), "finite"),
        (np.zeros((2, 3)), np.array([0, 1]), "nothing to find"),
    ],
)
def test_what_cannot_be_ranked_is_named(
    rows_ND: np.ndarray, labels_N: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        retrieval_map(rows_ND, labels_N)
