"""The margin contrastive loss against equation 1, by hand."""

import pytest
import torch

from inkling_training.siamese.losses import contrastive_pair_loss

pytestmark = pytest.mark.training


def test_same_pairs_pay_for_distance_and_different_ones_for_nearness() -> None:
    left_PD = torch.tensor([[0.0, 0], [0, 0], [0, 0]])
    right_PD = torch.tensor([[3.0, 4], [0, 0.5], [3, 4]])
    same_P = torch.tensor([True, False, False])

    loss = contrastive_pair_loss(left_PD, right_PD, same_P, margin=2.0)

    # 25 / 2, (2 - 0.5)^2 / 2, and nothing beyond the margin
    assert loss.item() == pytest.approx((12.5 + 1.125 + 0) / 3, rel=1e-6)


def test_equal_embeddings_of_a_different_pair_have_a_finite_slope() -> None:
    left_PD = torch.ones(1, 4, requires_grad=True)

    contrastive_pair_loss(left_PD, torch.ones(1, 4), torch.tensor([False]), 1.0).backward()  # type: ignore[no-untyped-call]

    assert left_PD.grad is not None
    assert torch.isfinite(left_PD.grad).all()


def test_a_margin_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="margin must be > 0"):
        contrastive_pair_loss(torch.ones(1, 2), torch.ones(1, 2), torch.ones(1), 0.0)
