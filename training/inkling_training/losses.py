"""What the model is asked to do, as functions of logits, distances or guesses.

    infonce_loss            each picture finds its texts among the batch's, each text its pictures
    multi_positive_infonce  the same where every pair counts alike
    sigmoid_loss            each pair alone: is this text right for this picture? (SigLIP)
    margin_contrastive_loss right pairs close, wrong ones at least a margin apart
    caption_loss            say the caption word by word (CoCa)
    soft_tag_loss           each pair alone with soft targets and weights, over a whole vocabulary
    first_tags_loss         a picture's own tags come before all others of the vocabulary
    teacher_loss            keep a classifier's opinion of the picture

Nothing here knows where targets come from. A pair may be right, wrong, or *ignored*: not known to
be right, but too likely to be called wrong.

Sources: van den Oord et al., "Representation Learning with Contrastive Predictive Coding" (2018);
Khosla et al., "Supervised Contrastive Learning" (2020); Zhai et al., "Sigmoid Loss for Language
Image Pre-Training" (2023); Hadsell, Chopra and LeCun, "Dimensionality Reduction by Learning an
Invariant Mapping" (2006); Yu et al., "CoCa" (2022).

Legend: B pictures, T texts, K teacher labels, L tokens, W words; logits are scaled cosines.
"""

import torch
from torch import Tensor
from torch.nn import functional


def infonce_loss(logits_BT: Tensor, weights_BT: Tensor, ignored_BT: Tensor | None = None) -> Tensor:
    """Cross-entropy from picture to texts and from text to pictures, averaged.

    Row b's target is spread over its right texts in proportion to their weights; rows and columns
    without a right pair do not count. With one right text a row and weights 1 this is CLIP's loss.
    Source: van den Oord et al. (2018); several positives as in Khosla et al. (2020), L_out.

    Args:
        logits_BT: scaled cosines; a bias changes nothing.
        weights_BT: >= 0; 0 where a text is not known to be right.
        ignored_BT: bool: neither for nor against; a pair with a weight counts nevertheless.
    """
    if ignored_BT is not None:
        hidden_BT = ignored_BT & (weights_BT <= 0)
        logits_BT = logits_BT.masked_fill(hidden_BT, -torch.inf)
    return (_one_way(logits_BT, weights_BT) + _one_way(logits_BT.T, weights_BT.T)) / 2


def multi_positive_infonce(logits_BT: Tensor, positive_BT: Tensor) -> Tensor:
    """`infonce_loss` where every right pair counts alike.

    Args:
        logits_BT: scaled cosines.
        positive_BT: bool, which texts are right for which pictures.
    """
    return infonce_loss(logits_BT, positive_BT.to(logits_BT.dtype))


def _one_way(logits: Tensor, weights: Tensor) -> Tensor:
    totals = weights.sum(dim=1)
    has = totals > 0
    if not has.any():
        return logits.new_zeros(()) * weights.sum()
    # A hidden logit is -inf, and 0 * -inf is not 0: leave those out before multiplying.
    shares = logits.log_softmax(dim=1).masked_fill(weights <= 0, 0)
    return -((shares * weights).sum(dim=1)[has] / totals[has]).mean()


def sigmoid_loss(logits_BT: Tensor, weights_BT: Tensor, ignored_BT: Tensor | None = None) -> Tensor:
    """SigLIP: sum over texts of -log sigmoid(+-logit), mean over pictures.

    Source: Zhai et al. (2023), equation 1; a right pair's term is multiplied by its weight.

    Args:
        logits_BT: scaled cosines plus the bias.
        weights_BT: bool, or >= 0; 0 means wrong.
        ignored_BT: bool: pairs that cost nothing, unless they have a weight.
    """
    weights_BT = weights_BT.to(logits_BT.dtype)
    right_BT = weights_BT > 0
    against_BT = -functional.logsigmoid(-logits_BT)
    if ignored_BT is not None:
        against_BT = against_BT.masked_fill(ignored_BT, 0)
    terms_BT = torch.where(right_BT, -functional.logsigmoid(logits_BT) * weights_BT, against_BT)
    return terms_BT.sum(dim=1).mean()


def margin_contrastive_loss(
    cosines_BT: Tensor, weights_BT: Tensor, margin: float, ignored_BT: Tensor | None = None
) -> Tensor:
    """Mean over right pairs of d^2 / 2 plus mean over wrong pairs of max(0, margin - d)^2 / 2.

    That is the paper's equation 1, y d^2 / 2 + (1 - y) max(0, m - d)^2 / 2 with y = 1 for a right
    pair, from Hadsell et al. (2006), equation 4, who write Y = 0 for it. Right and wrong pairs are
    averaged apart, because a batch has many more wrong ones. d is the Euclidean distance of rows of
    length 1, so d^2 = 2 - 2 cosine, in [0, 4].

    Args:
        cosines_BT: in [-1, 1].
        weights_BT: bool, or >= 0; 0 means wrong.
        margin: in (0, 2]: distance beyond which a wrong pair costs nothing.
        ignored_BT: bool: pairs that cost nothing, unless they have a weight.

    Raises:
        ValueError: a margin that no pair could keep, or that asks nothing.
    """
    if not 0 < margin <= 2:
        raise ValueError(
            f"margin must lie in (0, 2], not {margin}: rows of length 1 are <= 2 apart"
        )
    weights_BT = weights_BT.to(cosines_BT.dtype)
    squares_BT = (2 - 2 * cosines_BT).clamp(min=0)
    wrong_BT = weights_BT <= 0
    if ignored_BT is not None:
        wrong_BT = wrong_BT & ~ignored_BT
    near = (weights_BT * squares_BT).sum() / weights_BT.sum().clamp(min=1e-12)
    # The square root has no slope at 0, where two embeddings are the same.
    short_BT = (margin - squares_BT.clamp(min=1e-12).sqrt()).clamp(min=0)
    far = (short_BT.square() * wrong_BT).sum() / wrong_BT.sum().clamp(min=1)
    return (near + far) / 2


def caption_loss(logits_BLW: Tensor, targets_BL: Tensor, counted_BL: Tensor) -> Tensor:
    """Mean over counted tokens of -log of the chance given to the token.

    Source: Yu et al. (2022), equation 3: the autoregressive cross-entropy given the picture.

    Args:
        logits_BLW: made for each token from those before it.
        targets_BL: the tokens.
        counted_BL: bool; False where a token is padding.
    """
    terms_BL = functional.cross_entropy(
        logits_BLW.float().transpose(1, 2), targets_BL, reduction="none"
    )
    return (terms_BL * counted_BL).sum() / counted_BL.sum().clamp(min=1)


def soft_tag_loss(logits_BT: Tensor, targets_BT: Tensor, weights_BT: Tensor) -> Tensor:
    """Binary cross-entropy with soft targets, weighted, summed over tags, mean over pictures."""
    terms = functional.binary_cross_entropy_with_logits(logits_BT, targets_BT, reduction="none")
    return (terms * weights_BT).sum(dim=1).mean()


def first_tags_loss(
    logits_BV: Tensor, targets_BV: Tensor, named_BV: Tensor, ignored_BV: Tensor, share: float
) -> Tensor:
    """Cross-entropy from a picture to the whole vocabulary: its own tags first, the implied next.

    A picture's target is spread over its own tags, which weigh 1, and over what they imply, in
    proportion to `share` x strength; mean over pictures that have a tag of their own. Where
    `soft_tag_loss` is content once "animal" and "dog" are both likely, this one wants "dog" before
    "animal". Source: Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach"
    (2007), top-one probabilities.

    Args:
        logits_BV: scaled cosines.
        targets_BV: strengths in [0, 1], 1 for own tags.
        named_BV: bool: the picture's own tags.
        ignored_BV: bool: neither for nor against, unless they have a strength.
        share: in [0, 1], what an implied tag of strength 1 weighs beside an own one.
    """
    wanted_BV = torch.where(named_BV, 1.0, share * targets_BV)
    has_B = named_BV.any(dim=1)
    if not has_B.any():
        return logits_BV.new_zeros(()) * logits_BV.sum()
    logits_BV = logits_BV.masked_fill(ignored_BV & (wanted_BV <= 0), -1e4)
    terms_B = (logits_BV.log_softmax(dim=1) * wanted_BV).sum(dim=1)
    return -(terms_B[has_B] / wanted_BV.sum(dim=1)[has_B]).mean()


def teacher_loss(logits_BK: Tensor, teacher_BK: Tensor, trust_B: Tensor) -> Tensor:
    """Kullback-Leibler divergence from the teacher's probabilities to the student's softmax.

    Each picture counts by how far the teacher is trusted on it, in [0, 1]; mean over pictures.
    """
    chances_BK = teacher_BK.clamp(min=torch.finfo(teacher_BK.dtype).tiny)
    terms = functional.kl_div(logits_BK.log_softmax(dim=1), chances_BK, reduction="none")
    return (terms.sum(dim=1) * trust_B).mean()
