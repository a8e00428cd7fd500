"""Losses against values computed by hand."""

import math

import pytest
import torch

from inkling_training import losses

pytestmark = pytest.mark.training


def test_infonce_of_one_positive_each_is_symmetric_cross_entropy() -> None:
    logits_BT = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    rows = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-2))) / 2
    columns = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-3))) / 2
    loss = losses.multi_positive_infonce(logits_BT, torch.eye(2, dtype=torch.bool))
    assert loss.item() == pytest.approx((rows + columns) / 2)


def test_infonce_spreads_the_target_over_several_positives() -> None:
    logits_BT = torch.tensor([[1.0, 1.0, -math.inf]]).clamp(min=-1e9)
    positive_BT = torch.tensor([[True, True, False]])
    # One way: each positive has share 1/2, so -log is log 2. Other way: one picture only, loss 0.
    loss = losses.multi_positive_infonce(logits_BT, positive_BT)
    assert loss.item() == pytest.approx(math.log(2) / 2)


def test_infonce_leaves_out_pictures_without_a_text() -> None:
    logits_BT = torch.tensor([[2.0, 0.0], [5.0, -4.0]])
    alone = losses.multi_positive_infonce(logits_BT, torch.tensor([[True, False], [False, False]]))
    row = math.log(1 + math.exp(-2))
    column = math.log(1 + math.exp(3))
    assert alone.item() == pytest.approx((row + column) / 2)


def test_sigmoid_loss_judges_each_pair_alone() -> None:
    logits_BT = torch.tensor([[0.0, -1.0], [2.0, 0.5]])
    positive_BT = torch.tensor([[True, False], [False, True]])
    first = math.log(2) + math.log(1 + math.exp(-1))
    second = math.log(1 + math.exp(2)) + math.log(1 + math.exp(-0.5))
    assert losses.sigmoid_loss(logits_BT, positive_BT).item() == pytest.approx((first + second) / 2)


def test_infonce_targets_are_proportional_to_weights() -> None:
    logits_BT = torch.tensor([[1.0, 0.0, -1.0]])
    rows = torch.tensor([1.0, 0.0, -1.0]).log_softmax(dim=0)
    # One picture: from text to picture there is nothing to choose, so that half is 0.
    wanted = -(0.75 * rows[0] + 0.25 * rows[1]).item() / 2
    loss = losses.infonce_loss(logits_BT, torch.tensor([[0.6, 0.2, 0.0]]))
    assert loss.item() == pytest.approx(wanted)


def test_infonce_ignores_pairs_that_may_be_right() -> None:
    logits_BT = torch.tensor([[2.0, 50.0], [0.0, 3.0]], requires_grad=True)
    ignored_BT = torch.tensor([[False, True], [False, False]])
    loss = losses.infonce_loss(logits_BT, torch.eye(2), ignored_BT)
    rows = (0.0 + math.log(1 + math.exp(-3))) / 2
    columns = (math.log(1 + math.exp(-2)) + 0.0) / 2
    assert loss.item() == pytest.approx((rows + columns) / 2)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits_BT.grad is not None
    assert logits_BT.grad[0, 1] == 0
    assert logits_BT.grad.isfinite().all()


def test_a_weight_overrules_ignoring() -> None:
    logits_BT = torch.tensor([[2.0, 1.0]])
    ignored_BT = torch.tensor([[True, False]])
    weights_BT = torch.tensor([[1.0, 0.0]])
    plain = losses.infonce_loss(logits_BT, weights_BT)
    assert losses.infonce_loss(logits_BT, weights_BT, ignored_BT) == plain
    assert losses.sigmoid_loss(logits_BT, weights_BT, ignored_BT) == losses.sigmoid_loss(
        logits_BT, weights_BT
    )


def test_infonce_of_no_pairs_is_zero() -> None:
    assert losses.infonce_loss(torch.ones(2, 2), torch.zeros(2, 2)).item() == 0


def test_sigmoid_loss_weighs_right_pairs_and_forgets_ignored_ones() -> None:
    logits_BT = torch.tensor([[0.0, 0.0, 7.0]])
    loss = losses.sigmoid_loss(
        logits_BT, torch.tensor([[0.5, 0.0, 0.0]]), torch.tensor([[False, False, True]])
    )
    assert loss.item() == pytest.approx(1.5 * math.log(2))


def test_margin_loss_pulls_right_pairs_and_pushes_wrong_ones_to_the_margin() -> None:
    # Distances: sqrt(2 - 2 c) = 1, 1, sqrt 2, 0.
    cosines_BT = torch.tensor([[0.5, 0.5, 0.0, 1.0]], requires_grad=True)
    weights_BT = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    ignored_BT = torch.tensor([[False, False, False, True]])
    loss = losses.margin_contrastive_loss(cosines_BT, weights_BT, 1.2, ignored_BT)
    right, wrong = 1.0 / 2, (0.2**2 + 0.0) / 2 / 2
    assert loss.item() == pytest.approx(right + wrong)
    loss.backward()  # type: ignore[no-untyped-call]
    assert cosines_BT.grad is not None
    assert cosines_BT.grad[0, 0] < 0 < cosines_BT.grad[0, 1]
    assert cosines_BT.grad[0, 2:].tolist() == [0, 0]


def test_margin_loss_survives_two_equal_embeddings() -> None:
    cosines_BT = torch.ones(1, 2, requires_grad=True)
    losses.margin_contrastive_loss(cosines_BT, torch.tensor([[1.0, 0.0]]), 1.0).backward()  # type: ignore[no-untyped-call]
    assert cosines_BT.grad is not None
    assert cosines_BT.grad.isfinite().all()


def test_margin_must_be_one_that_unit_rows_can_keep() -> None:
    with pytest.raises(ValueError, match=r"margin must lie in \(0, 2\]"):
        losses.margin_contrastive_loss(torch.ones(1, 1), torch.ones(1, 1), 2.5)


def test_caption_loss_is_the_mean_over_words_and_not_over_padding() -> None:
    logits_BLW = torch.tensor([[[0.0, 0.0, 0.0], [0.0, math.log(2), 0.0], [9.0, 0.0, 0.0]]])
    targets_BL = torch.tensor([[2, 1, 1]])
    counted_BL = torch.tensor([[True, True, False]])
    loss = losses.caption_loss(logits_BLW, targets_BL, counted_BL)
    assert loss.item() == pytest.approx((math.log(3) + math.log(2)) / 2)


def test_soft_tag_loss_weighs_and_forgives() -> None:
    logits_BT = torch.tensor([[0.0, 100.0]])
    targets_BT = torch.tensor([[0.25, 0.0]])
    forgiven = losses.soft_tag_loss(logits_BT, targets_BT, torch.tensor([[2.0, 0.0]]))
    assert forgiven.item() == pytest.approx(2 * math.log(2))


def test_teacher_loss_is_the_divergence_of_trusted_pictures() -> None:
    logits_BK = torch.tensor([[0.0, 0.0], [9.0, 0.0]])
    teacher_BK = torch.tensor([[0.75, 0.25], [0.0, 1.0]])
    loss = losses.teacher_loss(logits_BK, teacher_BK, torch.tensor([1.0, 0.0]))
    divergence = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert loss.item() == pytest.approx(divergence / 2)


def test_first_tags_loss_is_least_with_own_tags_before_implied_ones() -> None:
    strengths_BV = torch.tensor([[1.0, 0.9, 0.0, 0.0]])
    named_BV = torch.tensor([[True, False, False, False]])
    ignored_BV = torch.tensor([[False, False, False, True]])

    def of(*logits: float) -> float:
        found = losses.first_tags_loss(
            torch.tensor([logits], dtype=torch.float32),
            strengths_BV,
            named_BV,
            ignored_BV,
            share=0.3,
        )
        return found.item()

    assert of(4, 2, 0, 0) < of(2, 4, 0, 0) < of(0, 2, 4, 0)
    assert of(4, 2, 0, 9) == pytest.approx(of(4, 2, 0, -9))  # ignored
    total = math.log(math.exp(4) + math.exp(2) + 1)
    wanted = ((total - 4) * 1.0 + (total - 2) * 0.27) / 1.27
    assert of(4, 2, 0, 0) == pytest.approx(wanted, rel=1e-5)


def test_first_tags_loss_asks_nothing_of_pictures_without_tags() -> None:
    logits_BV = torch.randn(2, 3, requires_grad=True)
    nothing_BV = torch.zeros(2, 3)
    loss = losses.first_tags_loss(logits_BV, nothing_BV, nothing_BV > 0, nothing_BV > 0, share=0.3)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0.0
    assert logits_BV.grad is not None
    assert float(logits_BV.grad.abs().sum()) == 0.0
