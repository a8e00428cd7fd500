"""What the model is asked to do, as functions of cosines; nothing here knows where targets come
from.

    multi_positive_infonce   each picture finds its texts among the batch's, and each text its
    pictures sigmoid_loss             each pair alone: is this text right for this picture?
    (SigLIP) soft_tag_loss            the same with soft targets and weights, over a whole
    vocabulary teacher_loss             keep a classifier's opinion of the picture

Sources: van den Oord et al. (2018); Khosla et al., "Supervised Contrastive Learning" (2020); Zhai
et al., "Sigmoid Loss for Language Image Pre-Training" (2023).

Legend: B pictures, T texts, K teacher labels; logits are scaled cosines.
"""

import torch
from torch import Tensor
from torch.nn import functional


def multi_positive_infonce(logits_BT: Tensor, positive_BT: Tensor) -> Tensor:
    """Mean over rows and columns with a positive of -log of the positives' mean share.

    With one positive a row and a column this is CLIP's symmetric cross-entropy; with several,
    the target is spread evenly over them.

    Args:
        logits_BT: scaled cosines.
        positive_BT: bool, which texts are right for which pictures.
    """
    return (_one_way(logits_BT, positive_BT) + _one_way(logits_BT.T, positive_BT.T)) / 2


def _one_way(logits: Tensor, positive: Tensor) -> Tensor:
    counts = positive.sum(dim=1)
    has = counts > 0
    shares = logits.log_softmax(dim=1).masked_fill(~positive, 0).sum(dim=1)
    return -(shares[has] / counts[has]).mean()


def sigmoid_loss(logits_BT: Tensor, positive_BT: Tensor) -> Tensor:
    """SigLIP: sum over texts of -log sigmoid(+-logit), mean over pictures. The bias is in the
    logits.
    """
    signs = positive_BT.to(logits_BT.dtype) * 2 - 1
    return -functional.logsigmoid(signs * logits_BT).sum(dim=1).mean()


def soft_tag_loss(logits_BT: Tensor, targets_BT: Tensor, weights_BT: Tensor) -> Tensor:
    """Binary cross-entropy with soft targets, weighted, summed over tags, mean over pictures."""
    terms = functional.binary_cross_entropy_with_logits(logits_BT, targets_BT, reduction="none")
    return (terms * weights_BT).sum(dim=1).mean()


def teacher_loss(logits_BK: Tensor, teacher_BK: Tensor, trust_B: Tensor) -> Tensor:
    """Kullback-Leibler divergence from the teacher's probabilities to the student's softmax.

    Each picture counts by how far the teacher is trusted on it, in [0, 1]; mean over pictures.
    """
    chances_BK = teacher_BK.clamp(min=torch.finfo(teacher_BK.dtype).tiny)
    terms = functional.kl_div(logits_BK.log_softmax(dim=1), chances_BK, reduction="none")
    return (terms.sum(dim=1) * trust_B).mean()
