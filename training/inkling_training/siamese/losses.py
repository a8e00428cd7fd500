"""The siamese network's loss; it knows distances only, not where embeddings or pairs come from.

`inkling_training.losses.margin_contrastive_loss` is the same equation for the pairwise model: there
rows have length 1 and every picture meets every text of its batch. Here embeddings have any length
and pairs are listed, as in the paper.

Source: Hadsell, Chopra and LeCun, "Dimensionality Reduction by Learning an Invariant Mapping"
(2006), equation 4, with their Y turned round.

Legend: P pairs, D embedding dimensions.
"""

from torch import Tensor

# Keeps the square root's slope finite where two embeddings are equal.
_TINY = 1e-12


def contrastive_pair_loss(
    left_PD: Tensor, right_PD: Tensor, same_P: Tensor, margin: float
) -> Tensor:
    """Mean over pairs of y/2 d^2 + (1 - y)/2 max(0, margin - d)^2; d is the Euclidean distance.

    y = 1 for a pair of the same label, 0 for a different one. (Hadsell et al. write Y = 0 for a
    similar pair: the same loss, with 1 - Y here.)

    Args:
        left_PD: embeddings of the pairs' first pictures.
        right_PD: embeddings of their second pictures.
        same_P: bool, or 0 and 1: y.
        margin: distance, > 0, beyond which a different pair costs nothing.

    Raises:
        ValueError: the margin is not positive.
    """
    if margin <= 0:
        raise ValueError(f"margin must be > 0, not {margin}")
    squares_P = (left_PD - right_PD).square().sum(dim=1)
    short_P = (margin - (squares_P + _TINY).sqrt()).clamp(min=0)
    y_P = same_P.to(squares_P.dtype)
    return (y_P * squares_P + (1 - y_P) * short_P.square()).mean() / 2
