"""What `inkling-small` is asked to do in one step, at every nested embedding size.

    tags       every interest, softly, with weights for what nobody labelled
    virtual    the same on mixtures of classifier labels, without a picture
    contrast   pictures find their gold tags among the batch's, in varied wordings
    first      a picture's own tags come before what they imply, and before all others
    teacher    the classifier's opinion survives in the embedding
    keep       and in the tuned tail: it tells apart what no training picture shows
    drift      the text projection stays near its start

It knows no loop and no files.

Source of the nested sizes: Kusupati et al., "Matryoshka Representation Learning" (2022).

Legend: B pictures, V interests, R renderings, T interests that some picture of the batch has, K
labels, P regions, C channels, H width of the text backbone, D dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from inkling_training import losses
from inkling_training.models.similarity import nested
from inkling_training.small.model import SmallModel
from inkling_training.targets import TagTargets

_PLAIN_SHARE = 0.5  # of the wordings: the bare phrase, which is what serving embeds
_SILENCED_SHARE = 0.4  # of the pictures whose MLP is silenced: the labels alone must do, too
_TOLD_SCALE = 20.0
# What a nested size counts beside the whole embedding: counted as much, the small ones seem to
# take room from it.
_NESTED_WEIGHT = 0.15
_IMPLIED_SHARE = 0.3  # what an implied tag weighs beside an own one in "first"


@dataclass(frozen=True, slots=True)
class Weights:
    """What each loss counts; `unlabelled` is the weight of a tag that nobody said is there.

    A loss of weight 0 is not computed.
    """

    tags: float = 0.1
    virtual: float = 0.1
    contrast: float = 0.5
    teacher: float = 1.0
    drift: float = 5.0
    first: float = 0.0
    keep: float = 0.0
    unlabelled: float = 0.3


class SmallLosses:
    """Region features of a batch to losses."""

    def __init__(
        self,
        model: SmallModel,
        pooled_VRH: Tensor,
        targets: TagTargets,
        *,
        dimensions: Sequence[int],
        weights: Weights,
        kind: Literal["infonce", "sigmoid"],
    ) -> None:
        """Args:
        pooled_VRH: pooled texts of each interest's wordings, the bare phrase first.
        targets: what each record should be tagged with.
        dimensions: nested sizes, the whole first.
        kind: of the contrast.
        """
        self._model, self._pooled_VRH, self._targets = model, pooled_VRH, targets
        self._dimensions, self._weights, self._kind = tuple(dimensions), weights, kind
        self._silent_K = model.silent_labels()

    def __call__(
        self,
        regions_BPC: Tensor,
        teacher_logits_BK: Tensor,
        rows: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> dict[str, Tensor]:
        """The losses of one batch; "loss" is their weighted sum.

        Args:
            regions_BPC: what the tail made of the pictures.
            teacher_logits_BK: what the classifier said before training.
            rows: records of the batch.
            rng: the step's.
        """
        model, targets, weights = self._model, self._targets, self._weights
        head, classes = model.head, len(self._silent_K)
        teacher_BK = teacher_logits_BK.softmax(dim=-1)
        heard_B1 = torch.from_numpy(
            (rng.random((len(rows), 1)) > _SILENCED_SHARE).astype(np.float32)
        )
        told_by_tail_BK, summary_BX = head.evidence(regions_BPC)
        pictures_BD = head.embed(told_by_tail_BK, summary_BX, heard_B1)
        phrases_VD = model.project(self._pooled_VRH[:, 0])
        names_KD = model.project(model.label_names_KH)

        soft_BV, weights_BV = targets.batch(rows, teacher_BK, unlabelled=weights.unlabelled)
        mixed_BK = mixed_labels(rng, len(rows) // 2, self._silent_K)
        blurred_BK = 0.5 * mixed_BK + 0.5 / classes
        virtual_BD = functional.normalize(head.opinion(mixed_BK, blurred_BK), dim=-1)
        implied_BV = targets.implied_by(mixed_BK)
        gold_BV = torch.from_numpy(targets.gold_NV[rows].toarray()) > 0
        asked = gold_BV.any(dim=0).nonzero().squeeze(1)
        worded_TD = model.project(self._worded(asked, rng))
        trust_B = torch.from_numpy(targets.trusted_N[rows])

        parts: dict[str, list[Tensor]] = {"tags": [], "virtual": [], "contrast": [], "teacher": []}
        if weights.first:
            parts["first"] = []
            strengths_BV = torch.from_numpy(targets.implied_NV[rows].toarray())
            near_BV = torch.from_numpy(targets.near_gold_NV[rows].toarray()) > 0
        shares = torch.tensor([1.0] + [_NESTED_WEIGHT] * (len(self._dimensions) - 1))
        shares /= shares.sum()
        for size in self._dimensions:
            pictures, phrases = nested(pictures_BD, size), nested(phrases_VD, size)
            parts["tags"].append(
                losses.soft_tag_loss(self._tag_logits(pictures, phrases), soft_BV, weights_BV)
            )
            virtual = self._tag_logits(nested(virtual_BD, size), phrases)
            parts["virtual"].append(
                losses.soft_tag_loss(virtual, implied_BV, torch.ones_like(implied_BV))
            )
            parts["contrast"].append(
                self._contrast(pictures @ nested(worded_TD, size).T, gold_BV[:, asked])
            )
            told_BK = (_TOLD_SCALE * pictures @ nested(names_KD, size).T).masked_fill(
                self._silent_K, -1e4
            )
            parts["teacher"].append(losses.teacher_loss(told_BK, teacher_BK, trust_B))
            if weights.first:
                ranked_BV = self._model.scales["contrast"].exp() * pictures @ phrases.T
                parts["first"].append(
                    losses.first_tags_loss(
                        ranked_BV, strengths_BV, gold_BV, near_BV, _IMPLIED_SHARE
                    )
                )
        means = {name: torch.stack(values) @ shares for name, values in parts.items()}
        means["drift"] = (model.projection.weight - model.first_projection_DH).square().sum()
        if weights.keep:
            silenced_BK = teacher_logits_BK.masked_fill(self._silent_K, -1e4)
            means["keep"] = losses.teacher_loss(
                told_by_tail_BK, silenced_BK.softmax(dim=-1), torch.ones(len(rows))
            )
        loss = sum(
            (getattr(weights, name) * value for name, value in means.items()), torch.zeros(())
        )
        return {"loss": loss, **means}

    def _tag_logits(self, pictures_BD: Tensor, phrases_VD: Tensor) -> Tensor:
        scales = self._model.scales
        logits_BV: Tensor = scales["tag"].exp() * pictures_BD @ phrases_VD.T + scales["bias"]
        return logits_BV

    def _contrast(self, cosines_BT: Tensor, gold_BT: Tensor) -> Tensor:
        scales = self._model.scales
        logits_BT = scales["contrast"].exp() * cosines_BT
        if self._kind == "sigmoid":
            return losses.sigmoid_loss(logits_BT + scales["offset"], gold_BT)
        return losses.multi_positive_infonce(logits_BT, gold_BT)

    def _worded(self, asked_T: Tensor, rng: np.random.Generator) -> Tensor:
        """One wording of each interest asked for, [T, H]."""
        wordings = self._pooled_VRH.shape[1]
        chosen_T = rng.integers(0, wordings, len(asked_T))
        chosen_T[rng.random(len(asked_T)) < _PLAIN_SHARE] = 0
        return self._pooled_VRH[asked_T, torch.from_numpy(chosen_T)]


def mixed_labels(rng: np.random.Generator, count: int, silent_K: Tensor) -> Tensor:
    """Probabilities [B, K] over up to three random labels of those that have a say."""
    heard = (~silent_K).nonzero().squeeze(1)
    labels = heard[torch.from_numpy(rng.integers(0, len(heard), (count, 3)))]
    shares = torch.from_numpy(rng.dirichlet([0.4] * 3, count)).float()
    return torch.zeros(count, len(silent_K)).scatter_add_(1, labels, shares)
