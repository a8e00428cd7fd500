"""Pairs by label: balanced, deterministic, hard where asked for, folds apart."""

import numpy as np
import pytest

from inkling_training.siamese.pairs import (
    PairSampler,
    confusable_classes,
    split_classes,
    split_fold,
)

LABELS_N = np.repeat(np.arange(12), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])


def test_every_step_has_as_many_same_as_different_pairs() -> None:
    sampler = PairSampler(LABELS_N, classes_per_step=5, pictures_per_class=4)
    for step in range(50):
        batch = sampler.batch(step)
        labels_U = LABELS_N[batch.rows_U]

        assert batch.same_P.sum() * 2 == len(batch.same_P) > 0
        np.testing.assert_array_equal(
            labels_U[batch.left_P] == labels_U[batch.right_P], batch.same_P
        )
        assert (batch.left_P != batch.right_P).all()
        assert len(np.unique(batch.rows_U)) == len(batch.rows_U)
        assert len(np.unique(labels_U)) == 5
        assert len({*zip(batch.left_P.tolist(), batch.right_P.tolist(), strict=True)}) == len(
            batch.left_P
        )


def test_pairs_follow_from_seed_and_step_alone() -> None:
    one, two = PairSampler(LABELS_N, 4, 3, seed=5), PairSampler(LABELS_N, 4, 3, seed=5)
    one.batch(0)
    other = PairSampler(LABELS_N, 4, 3, seed=6)

    np.testing.assert_array_equal(one.batch(7).rows_U, two.batch(7).rows_U)
    np.testing.assert_array_equal(one.batch(7).right_P, two.batch(7).right_P)
    assert not np.array_equal(one.batch(7).rows_U, one.batch(8).rows_U)
    assert not np.array_equal(one.batch(7).rows_U, other.batch(7).rows_U)


def test_confusable_classes_meet_more_often() -> None:
    labels_N = np.repeat(np.arange(10), 6)
    confusable_KK = np.zeros((10, 10))
    confusable_KK[np.arange(10), np.arange(10) ^ 1] = 1  # 0 with 1, 2 with 3, ...

    def share(sampler: PairSampler) -> float:
        met = total = 0
        for step in range(60):
            batch = sampler.batch(step)
            left = labels_N[batch.rows_U[batch.left_P]][~batch.same_P]
            right = labels_N[batch.rows_U[batch.right_P]][~batch.same_P]
            met += int((left == (right ^ 1)).sum())
            total += len(left)
        return met / total

    even = share(PairSampler(labels_N, 4, 4))
    hard = share(PairSampler(labels_N, 4, 4, confusable_KK=confusable_KK, hard_share=0.8))

    assert even == pytest.approx(1 / 9, abs=0.06)
    assert hard > 0.6


def test_centres_near_each_other_are_confusable() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[1.0, 0, 0], [0.9, 0.2, 0], [0, 0, 1.0]], dtype=np.float32)
    labels_N = np.repeat(np.arange(3), 20)
    features_ND = centres[labels_N] + rng.normal(0, 0.05, (60, 3)).astype(np.float32)

    confusable_KK = confusable_classes(features_ND, labels_N)

    np.testing.assert_allclose(confusable_KK.sum(axis=1), 1)
    assert np.diag(confusable_KK).tolist() == [0, 0, 0]
    assert confusable_KK[0, 1] > 0.9
    assert confusable_KK[1, 0] > 0.9


def test_a_fold_has_a_share_of_each_class_and_no_picture_twice() -> None:
    train, fold = split_fold(LABELS_N, 0.25, seed=1)

    assert np.array_equal(np.sort(np.concatenate([train, fold])), np.arange(len(LABELS_N)))
    counts = np.bincount(LABELS_N[fold], minlength=12)
    assert counts.tolist() == [0, 1, 1, 2, 2, 2, 2, 2, 2, 2, 3, 3]
    assert np.array_equal(split_fold(LABELS_N, 0.25, seed=1)[1], fold)


def test_held_out_classes_are_whole() -> None:
    train, held_out = split_classes(LABELS_N, 0.25, seed=1)

    assert not set(LABELS_N[train]) & set(LABELS_N[held_out])
    assert len(set(LABELS_N[held_out])) == 3
    assert len(train) + len(held_out) == len(LABELS_N)


def test_what_allows_no_pairs_is_named() -> None:
    with pytest.raises(ValueError, match="two classes"):
        PairSampler(np.zeros(5, dtype=np.int64))
    with pytest.raises(ValueError, match="two classes"):
        PairSampler(np.arange(5))
    with pytest.raises(ValueError, match=">= 2"):
        PairSampler(LABELS_N, pictures_per_class=1)
    with pytest.raises(ValueError, match="hard_share"):
        PairSampler(LABELS_N, hard_share=1.5)
    with pytest.raises(ValueError, match="fewer than two"):
        split_classes(np.array([0, 1, 2]), 0.5, 0)
    with pytest.raises(ValueError, match="share of the fold"):
        split_fold(LABELS_N, 0.9, 0)
