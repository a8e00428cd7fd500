"""Rows of a picture set as tensors: what a network eats in one step.

`PixelInputs` keeps every picture decoded and a little larger than the network wants, so that a step
costs a random cut and flip and no decoding. `FeatureInputs` keeps what a frozen trunk saw. Neither
knows labels or losses.

Legend: N pictures, B rows of a step, S side of the network's pictures, R side of the kept ones,
F features.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any, Protocol, Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inkling_server.model_manifest import PixelSpec
from inkling_training.pixels import pixels_of

_ROOM = 8 / 7  # 256 / 224, as AlexNet was trained
_BATCH = 64


class Inputs(Protocol):
    """A picture set."""

    def __len__(self) -> int:
        """N."""

    def batch(self, rows_B: NDArray[np.int64], rng: np.random.Generator | None) -> Tensor:
        """The rows' inputs; varied at random with `rng`, always the same without."""


class PixelInputs:
    """uint8 [B, S, S, 3]; N pictures at 112 pixels take 49 KB each."""

    def __init__(self, pictures: Sequence[bytes], size: int) -> None:
        """Args:
        pictures: encoded bytes.
        size: S.
        """
        self._size = size
        kept = PixelSpec(round(size * _ROOM), "squash")
        self._kept_NRRC = np.stack([pixels_of(picture, kept) for picture in pictures])

    def part(self, rows: NDArray[np.int64]) -> Self:
        """Some of the pictures, decoded already."""
        other = copy(self)
        other._kept_NRRC = self._kept_NRRC[rows]
        return other

    def __len__(self) -> int:
        return len(self._kept_NRRC)

    def batch(self, rows_B: NDArray[np.int64], rng: np.random.Generator | None) -> Tensor:
        """With `rng`: a random cut, mirrored or not, a little brighter or darker."""
        size, room = self._size, self._kept_NRRC.shape[1] - self._size
        out_BHWC = np.empty((len(rows_B), size, size, 3), dtype=np.uint8)
        for out_HWC, row in zip(out_BHWC, rows_B, strict=True):
            top, left = (room // 2,) * 2 if rng is None else rng.integers(0, room + 1, 2)
            cut_HWC: NDArray[Any] = self._kept_NRRC[row, top : top + size, left : left + size]
            if rng is not None:
                if rng.random() < 0.5:
                    cut_HWC = cut_HWC[:, ::-1]
                gain, offset = rng.uniform(0.8, 1.25), rng.uniform(-15, 15)
                cut_HWC = cv2.convertScaleAbs(
                    np.ascontiguousarray(cut_HWC), alpha=gain, beta=offset
                )
            out_HWC[:] = cut_HWC
        return torch.from_numpy(out_BHWC)


class FeatureInputs:
    """float32 [B, F]: a frozen trunk's features, cached once; nothing is varied."""

    def __init__(self, features_NF: NDArray[np.float32]) -> None:
        self._features_NF = torch.from_numpy(np.ascontiguousarray(features_NF, dtype=np.float32))

    def __len__(self) -> int:
        return len(self._features_NF)

    def batch(self, rows_B: NDArray[np.int64], rng: np.random.Generator | None) -> Tensor:
        """The rows as they are, with `rng` or without."""
        del rng
        return self._features_NF[torch.from_numpy(rows_B)]


@torch.inference_mode()
def run_all(network: nn.Module, inputs: Inputs, bfloat16: bool = False) -> NDArray[np.float32]:
    """The network's answers to all N inputs, in eval mode, float32 [N, ...]."""
    network.eval()
    parts = []
    for start in range(0, len(inputs), _BATCH):
        rows_B = np.arange(start, min(start + _BATCH, len(inputs)))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            parts.append(network(inputs.batch(rows_B, None)).float())
    answers: NDArray[np.float32] = torch.cat(parts).numpy()
    return answers
