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
