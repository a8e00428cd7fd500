"""Similarity layers: features of two towers to embeddings whose cosine says "this text fits".

    picture features -> picture head -> [B, D], length 1 \\
                                                           logit = scale * cosine + bias
    text states      -> phrase head  -> [T, D], length 1 /

Matryoshka: the first 64 or 128 of D numbers, brought back to length 1, are an embedding of their
own, because the loss was averaged over such prefixes. An index may then use fewer dimensions.

Sources: Kusupati et al., "Matryoshka Representation Learning" (2022); Radford et al., "Learning
Transferable Visual Models From Natural Language Supervision" (2021) for the learnt temperature and
its limit; Zhai et al., "Sigmoid Loss for Language Image Pre-Training" (2023) for the bias.

This module knows no towers and no losses.

Legend: B pictures, T texts, P regions, C channels, D dimensions, K labels of a classifier.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from inkling_training.heads import ConseHead
from inkling_training.models.towers import PictureFeatures

LARGEST_SCALE = 100.0
HeadKind = Literal["identity", "linear", "mlp", "conse"]


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """What a head is.

    Attributes:
        kind: "identity" keeps a dual encoder's own embedding; "linear" and "mlp" (two layers, GELU)
            project; "conse" starts from a classifier's labels, for pictures only.
        width: channels in.
        dimension: D out.
        hidden: width of the hidden layer of "mlp" and "conse".
        batch_norm: normalise each output channel over the batch before the row gets length 1.
        bias: the projection has one.
        classes: K of "conse".
    """

    kind: HeadKind
    width: int
    dimension: int
    hidden: int = 512
    batch_norm: bool = False
    bias: bool = True
    classes: int = 0


class ProjectionHead(nn.Module):
    """Pooled features [B, C] -> [B, D], rows of length 1."""

    def __init__(self, spec: HeadSpec) -> None:
        """Raises ValueError: an identity that changes the width."""
        super().__init__()
        self.spec = spec
        if spec.kind == "identity":
            if spec.width != spec.dimension:
                raise ValueError(
                    f"an identity head keeps {spec.width} dimensions; it cannot give "
                    f"{spec.dimension}: choose linear or mlp"
                )
            self.projection: nn.Module = nn.Identity()
        elif spec.kind == "linear":
            self.projection = nn.Linear(spec.width, spec.dimension, bias=spec.bias)
        else:
            self.projection = nn.Sequential(
                nn.Linear(spec.width, spec.hidden),
                nn.GELU(),
                nn.Linear(spec.hidden, spec.dimension, bias=spec.bias),
            )
        self.norm = nn.BatchNorm1d(spec.dimension) if spec.batch_norm else nn.Identity()

    def forward(self, pooled_BC: Tensor) -> Tensor:
        # float32 from here on: half precision costs the small differences that ranking lives on.
        with torch.autocast(pooled_BC.device.type, enabled=False):
            projected_BD = self.norm(self.projection(pooled_BC.float()))
            return functional.normalize(projected_BD, dim=-1)


class PictureHead(nn.Module):
    """`PictureFeatures` -> [B, D], rows of length 1."""

    def __init__(self, spec: HeadSpec) -> None:
        super().__init__()
        self.spec = spec
        if spec.kind == "conse":
            self.head: nn.Module = ConseHead(
                nn.Linear(spec.width, spec.classes),
                torch.zeros(spec.classes, spec.dimension),
                spec.hidden,
            )
        else:
            self.head = ProjectionHead(spec)

    def forward(self, features: PictureFeatures) -> Tensor:
        if self.spec.kind != "conse":
            projected_BD: Tensor = self.head(features.pooled_BC)
            return projected_BD
        with torch.autocast(features.pooled_BC.device.type, enabled=False):
            all_BPC = torch.cat([features.pooled_BC.unsqueeze(1), features.regions_BPC], dim=1)
            told_BD: Tensor = self.head(all_BPC.float())
            return told_BD

    def start_from_labels(self, classifier: nn.Linear, labels_KD: Tensor) -> None:
        """Sets a "conse" head to what a classifier knows; see `ConseHead`."""
        self.head = ConseHead(classifier, labels_KD, self.spec.hidden)


class Similarity(nn.Module):
    """Both heads, the nested sizes, and how a cosine becomes a logit."""

    def __init__(
        self,
        picture: HeadSpec,
        phrase: HeadSpec,
        dimensions: Sequence[int] = (),
        scale: float = 1 / 0.07,
        bias: float = 0.0,
    ) -> None:
        """Args:
        dimensions: nested sizes; D is always among them.
        scale: first factor of the cosine, in (0, 100].
        bias: first shift of the logit; -10 is SigLIP's for the sigmoid loss.

        Raises:
            ValueError: heads of different D, "conse" for phrases, or impossible sizes or scale.
        """
        super().__init__()
        if picture.dimension != phrase.dimension:
            raise ValueError(
                f"the picture head gives {picture.dimension} dimensions, the phrase head "
                f"{phrase.dimension}: they must be the same"
            )
        if phrase.kind == "conse":
            raise ValueError("a conse head reads a picture classifier: phrases cannot have one")
        self.dimension = picture.dimension
        wrong = [size for size in dimensions if not 0 < size <= self.dimension]
        if wrong:
            raise ValueError(f"nested sizes {wrong}: must lie in 1..{self.dimension}")
        if not 0 < scale <= LARGEST_SCALE:
            raise ValueError(f"scale {scale}: must lie in (0, {LARGEST_SCALE:g}]")
        self.dimensions = tuple(sorted({*dimensions, self.dimension}, reverse=True))
        self.picture_head = PictureHead(picture)
        self.phrase_head = ProjectionHead(phrase)
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.bias = nn.Parameter(torch.tensor(float(bias)))

    def scale(self) -> Tensor:
        """exp(log_scale), held at or below 100 as in CLIP."""
        if self.training:  # on the parameter itself: a clamp in the graph would stop its gradient
            self.log_scale.data.clamp_(max=math.log(LARGEST_SCALE))
            return self.log_scale.exp()
        return self.log_scale.exp().clamp(max=LARGEST_SCALE)

    def logits(self, pictures_BD: Tensor, phrases_TD: Tensor) -> Tensor:
        """scale * cosine + bias, [B, T], float32."""
        with torch.autocast(pictures_BD.device.type, enabled=False):
            return self.scale() * (pictures_BD.float() @ phrases_TD.float().T) + self.bias

    def document(self) -> dict[str, Any]:
        """What rebuilds these layers, but for their weights."""
        return {
            "picture": asdict(self.picture_head.spec),
            "phrase": asdict(self.phrase_head.spec),
            "dimensions": list(self.dimensions),
        }

    @classmethod
    def built(cls, document: dict[str, Any]) -> "Similarity":
        """The layers of a document, with random weights."""
        return cls(
            HeadSpec(**document["picture"]), HeadSpec(**document["phrase"]), document["dimensions"]
        )


def nested(embeddings_BD: Tensor, size: int) -> Tensor:
    """The first `size` numbers of each row, brought back to length 1."""
    if size == embeddings_BD.shape[-1]:
        return embeddings_BD
    return functional.normalize(embeddings_BD[..., :size], dim=-1)
