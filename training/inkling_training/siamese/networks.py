"""A siamese network: a trunk that sees pixels, then an output layer with batch norm.

    uint8 [B, S, S, 3] ─► trunk ─► features [B, F] ─► Linear F -> D ─► batch norm ─► [B, D]

Both pictures of a pair go through the same module: that is all "weight-sharing" takes. A trunk is
an AlexNet-style network trained from scratch (`AlexTrunk`), any Hugging Face vision model
(`TowerTrunk`), or nothing at all where features are cached (`nn.Identity`). Pixel normalisation is
inside. Nothing here knows labels' names, pairs or losses.

Source of the trunk: Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep
Convolutional Neural Networks" (2012), in the one-column form (64-192-384-256-256 channels) of
Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014); batch norm
instead of local response normalisation.

Legend: B pictures, S side, F features, D embedding dimensions, K classes.
"""

import math
from typing import Self, cast

import torch
from torch import Tensor, nn

from inkling_training.vision_tower import VisionTower

_CHANNELS = (64, 192, 384, 256, 256)
_FULL_FEATURES = 4096
_WHOLE_PICTURE_SIDE = 160  # from this side on, the first layer strides by 4 as the original does
MIN_SIDE = 48


class AlexTrunk(nn.Module):
    """Five convolutions and one fully connected layer, each with batch norm and ReLU."""

    def __init__(self, size: int = 224, width: float = 1.0, dropout: float = 0.5) -> None:
        """Args:
        size: side of the pictures, >= 48. 224 strides by 4 in the first layer; 112 by 2, which
            gives maps as large as the original's.
        width: share of AlexNet's channels, > 0.
        dropout: before the fully connected layer, in [0, 1).

        Raises:
            ValueError: the side is too small, or a width of nothing.
        """
        super().__init__()
        if size < MIN_SIDE or width <= 0:
            raise ValueError(f"size must be >= {MIN_SIDE} and width > 0, not {size} and {width}")
        c1, c2, c3, c4, c5 = (max(8, round(width * channels)) for channels in _CHANNELS)
        self.features = max(64, round(width * _FULL_FEATURES))
        large = size >= _WHOLE_PICTURE_SIDE
        self.convolutions = nn.Sequential(
            *_layer(3, c1, kernel=11 if large else 7, stride=4 if large else 2, padding=3),
            nn.MaxPool2d(3, 2),
            *_layer(c1, c2, kernel=5, stride=1, padding=2),
            nn.MaxPool2d(3, 2),
            *_layer(c2, c3, kernel=3, stride=1, padding=1),
            *_layer(c3, c4, kernel=3, stride=1, padding=1),
            *_layer(c4, c5, kernel=3, stride=1, padding=1),
            nn.AdaptiveMaxPool2d(3),
            nn.Flatten(),
        )
        self.top = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(9 * c5, self.features, bias=False),
            nn.BatchNorm1d(self.features),
            nn.ReLU(inplace=True),
        )

    def forward(self, pixels_BHWC: Tensor) -> Tensor:
        """uint8 [B, S, S, 3] -> features [B, F], >= 0."""
        scaled_BHWC = pixels_BHWC.to(torch.float32) / 64 - 2  # about zero mean and unit variance
        # NHWC memory seen as NCHW is "channels last", which the CPU's convolutions like best
        return cast(Tensor, self.top(self.convolutions(scaled_BHWC.permute(0, 3, 1, 2))))


class TowerTrunk(nn.Module):
    """A loaded vision tower's features of the whole picture.

    It stays in eval mode for ever: a pretrained tower's batch norms may be folded.
    """

    def __init__(self, tower: VisionTower, features: int) -> None:
        """Args:
        tower: what `vision_tower.load_vision_tower` gave.
        features: F, its channels.
        """
        super().__init__()
        self.tower = tower
        self.features = features

    @classmethod
    @torch.no_grad()
    def probed(cls, tower: VisionTower, size: int) -> Self:
        """Finds F by showing the tower one black picture of this side."""
        shown = tower(torch.zeros(1, size, size, 3, dtype=torch.uint8))
        return cls(tower, int(shown.shape[-1]))

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.tower.eval()
        return self

    def forward(self, pixels_BHWC: Tensor) -> Tensor:
        """uint8 [B, S, S, 3] -> features [B, F]."""
        return cast(Tensor, self.tower(pixels_BHWC)[:, 0])


class SiameseNet(nn.Module):
    """Trunk, output layer, batch norm."""

    def __init__(self, trunk: nn.Module, features: int, dimension: int = 64) -> None:
        """Args:
        trunk: gives features [B, F]; `nn.Identity()` where the inputs are features.
        features: F.
        dimension: D.
        """
        super().__init__()
        self.trunk = trunk
        self.output = nn.Linear(features, dimension, bias=False)
        self.norm = nn.BatchNorm1d(dimension)
        # Unit variance in D dimensions puts two pictures sqrt(2 D) apart: this scale makes that 1,
        # so that a margin means the same for every D.
        nn.init.constant_(self.norm.weight, 1 / math.sqrt(2 * dimension))

    def forward(self, inputs: Tensor) -> Tensor:
        """Pixels or features -> embeddings [B, D], not normalised: distances are Euclidean."""
        # in float32 from here on: distances of bfloat16 numbers are too coarse
        return cast(Tensor, self.norm(self.output(self.trunk(inputs)).float()))


class ClassificationNet(nn.Module):
    """Trunk and one linear layer: the network whose features the paper compares and combines."""

    def __init__(self, trunk: nn.Module, features: int, classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.classifier = nn.Linear(features, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Pixels or features -> logits [B, K]."""
        return cast(Tensor, self.classifier(self.trunk(inputs)).float())


def _layer(inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]
