"""The parts of `inkling-small` while it learns, and the pairwise model that they make.

    pixels -> Trunk (frozen, cached) -> Tail -> regions -> ConseHead --\\
                                                                       cosine
    phrase -> MiniLM (frozen, cached) -> mean of tokens -> projection -/

This module knows no data, losses or files of a run.

Legend: B pictures, V phrases, R renderings of a phrase, K classifier labels, H width of the text
backbone, X head input, D dimensions; h x w cells of a feature map.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from inkling_server.model_manifest import PixelSpec, TextSpec
from inkling_training.heads import ConseHead
from inkling_training.models.pairwise import Pairwise, PairwiseModel
from inkling_training.models.preprocessing import Normalisation
from inkling_training.models.similarity import HeadSpec, Similarity
from inkling_training.models.towers import PhraseTower, PictureTower
from inkling_training.targets import BACKGROUND
from inkling_training.text_start import MAX_TOKENS, label_texts, start_at_principal_components
from inkling_training.vision_tower import Tail, Trunk, VisionTower, split_tower

NAME_SHARE = 0.2
_FIRST_SCALES = {"tag": math.log(12.0), "bias": -8.0, "contrast": math.log(20.0), "offset": -5.0}


@dataclass(frozen=True, slots=True)
class SmallModel:
    """Everything that learns, and what it starts from.

    Attributes:
        vision: the whole tower; `tail` shares its last blocks.
        first_tail: the tail as it was before training: the teacher's.
        head: pictures' similarity layers.
        projection: texts' similarity layer, H -> D.
        first_projection_DH: its weight before training; the loss holds it near that.
        scales: logarithms of temperatures, and biases: "tag", "bias", "contrast", "offset".
        label_names_KH: pooled text of each classifier label.
    """

    vision: VisionTower
    trunk: Trunk
    tail: Tail
    first_tail: Tail
    head: ConseHead
    projection: nn.Linear
    first_projection_DH: Tensor
    scales: nn.ParameterDict
    label_names_KH: Tensor

    @property
    def modules(self) -> nn.ModuleDict:
        """What a training loop saves and puts into training mode."""
        parts: dict[str, nn.Module] = {
            "tail": self.tail,
            "head": self.head,
            "projection": self.projection,
            "scales": self.scales,
        }
        return nn.ModuleDict(parts)

    def project(self, pooled_VH: Tensor) -> Tensor:
        """Pooled texts [V, H] -> embeddings [V, D], rows of length 1."""
        return functional.normalize(self.projection(pooled_VH), dim=-1)

    def silent_labels(self) -> Tensor:
        """Which classifier labels have no say, bool [K]."""
        return torch.tensor([name == BACKGROUND for name in self.vision.classes])


def build(
    vision: VisionTower,
    *,
    frozen_blocks: int,
    phrases_VH: Tensor,
    label_names_KH: Tensor,
    dimension: int,
) -> SmallModel:
    """The model before its first step: ConSE over the classifier's labels.

    Args:
        vision: a tower with a classifier.
        frozen_blocks: those before it stay as they are, see `split_tower`.
        phrases_VH: pooled texts; with the labels' they span the projection's first axes.
        label_names_KH: pooled text of each label.
        dimension: D.

    Raises:
        ValueError: the tower has no classifier, or cannot be split there.
    """
    if vision.classifier is None:
        raise ValueError("the vision model has no classifier: ConSE needs one")
    trunk, tail = split_tower(vision, frozen_blocks)
    first_tail = copy.deepcopy(tail).eval().requires_grad_(requires_grad=False)
    tail.requires_grad_(requires_grad=True)
    projection = nn.Linear(phrases_VH.shape[1], dimension)
    start_at_principal_components(projection, torch.cat([phrases_VH, label_names_KH]))
    with torch.no_grad():
        labels_KD = functional.normalize(projection(label_names_KH), dim=-1)
        labels_KD[[name == BACKGROUND for name in vision.classes]] = 0
    scales = nn.ParameterDict(
        {name: nn.Parameter(torch.tensor(value)) for name, value in _FIRST_SCALES.items()}
    )
    return SmallModel(
        vision,
        trunk.eval(),
        tail,
        first_tail,
        ConseHead(vision.classifier, labels_KD),
        projection,
        projection.weight.detach().clone(),
        scales,
        label_names_KH,
    )


@torch.no_grad()
def recall_names(model: SmallModel, share: float = NAME_SHARE) -> None:
    """Adds a share of each label's plain name to what training made of it.

    Training bends labels towards their interests, and forgets some of what tells unseen classes
    apart; a mixture with the start keeps both (as in Wortsman et al., "Robust fine-tuning of
    zero-shot models", 2022). Labels that have no say keep none.
    """
    has_say_K1 = (~model.silent_labels()).unsqueeze(1).float()
    model.head.labels_KD.add_(share * has_say_K1 * model.project(model.label_names_KH))


def assemble(
    model: SmallModel,
    text_backbone: nn.Module,
    tokenizer: Any,
    *,
    image: PixelSpec,
    dimensions: Sequence[int],
    name: str,
    source: str,
) -> Pairwise:
    """The trained parts as a pairwise model like any other, ready for `save_checkpoint`."""
    vision = model.vision
    normalisation = Normalisation(tuple(vision.mean_C.tolist()), tuple(vision.std_C.tolist()))
    pictures = PictureTower(vision.backbone, normalisation, image.size)
    labels, dimension = model.head.labels_KD.shape
    hidden = model.head.mlp[1]
    assert isinstance(hidden, nn.Linear)
    similarity = Similarity(
        HeadSpec("conse", pictures.width, dimension, hidden=hidden.out_features, classes=labels),
        HeadSpec("linear", model.projection.in_features, dimension),
        dimensions,
        scale=float(model.scales["tag"].detach().exp()),
        bias=float(model.scales["bias"].detach()),
    )
    similarity.picture_head.head.load_state_dict(model.head.state_dict())
    phrase_head: Any = similarity.phrase_head
    phrase_head.projection.load_state_dict(model.projection.state_dict())
    whole = PairwiseModel(pictures, PhraseTower(text_backbone, "mean"), similarity).eval()
    words = TextSpec(MAX_TOKENS, pad_id=int(tokenizer.pad_token_id))
    return Pairwise(whole, tokenizer, image, words, name, source)


@torch.no_grad()
def pooled_texts(
    tower: PhraseTower, tokenizer: Any, texts: Sequence[str], batch: int = 256
) -> Tensor:
    """Pooled states [V, H] of many texts, short ones together so that little is padding."""
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    pooled_VH = torch.empty(len(texts), tower.width)
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        tokens = tokenizer(
            [texts[row] for row in rows],
            padding=True,
            truncation=True,
            max_length=MAX_TOKENS,
            return_tensors="pt",
        )
        pooled_VH[rows] = tower(tokens["input_ids"], tokens["attention_mask"])
    return pooled_VH


def named_labels(vision: VisionTower) -> list[str]:
    """What to embed for each classifier label."""
    return label_texts(vision.classes)
