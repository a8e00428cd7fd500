"""What the classifier said of every picture before training: the opinion that must survive.

Computed once a view and cached beside the maps. Knows no tags.

Legend: N records, K classifier labels; h x w cells of a feature map.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inkling_training.vision_tower import Tail, VisionTower

_BATCH = 256


@torch.no_grad()
def teacher_logits(
    cache: Path, view: int, maps_NhwC: NDArray[np.float16], tail: Tail, vision: VisionTower
) -> Tensor:
    """The first tail's classifier logits of one view, float16 [N, K].

    Args:
        cache: where they are kept.
        view: its number.
        maps_NhwC: the view.
        tail: as it was before training.
        vision: has the classifier.
    """
    assert vision.classifier is not None
    path = cache / f"teacher-{view}.npy"
    if not path.exists():
        logits = []
        for start in range(0, len(maps_NhwC), _BATCH):
            maps = torch.from_numpy(np.array(maps_NhwC[start : start + _BATCH], dtype=np.float32))
            with torch.autocast("cpu", torch.bfloat16):
                regions = tail(maps)
            logits.append(vision.classifier(regions[:, 0].float()).half().numpy())
        draft = path.with_suffix(".draft")
        with draft.open("wb") as file:
            np.save(file, np.concatenate(logits))
        draft.rename(path)
    return torch.from_numpy(np.load(path))
