"""A hub model's `preprocessor_config.json` as pixel geometry and normalisation.

The server's decoder knows two ways to a square: scale the shorter side and cut the centre (CLIP),
or scale both sides (SigLIP). Whatever a file says beyond that is refused here, because a picture
that is prepared otherwise than in training costs accuracy without a word. `reference_pixels` makes
the same squares the way those processors do (Pillow, bicubic), to tell what the server's faster
decoder changes. This module does not know models.

Shapes: S side of the square in pixels, 3 = red, green, blue.
"""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkling_server.model_manifest import PixelSpec

_HALF = [0.5, 0.5, 0.5]


@dataclass(frozen=True, slots=True)
class Normalisation:
    """(pixel - mean) / std on the scale 0 to 255, for each channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def pixel_spec(processor: dict[str, Any]) -> PixelSpec:
    """How a preprocessor_config.json cuts pictures, in the words of the server's decoder.

    Raises:
        ValueError: it wants something that the decoder does not do, or says too little.
    """
    if not processor.get("do_resize", True):
        raise ValueError("preprocessor_config.json: do_resize is false, so any size could come")
    crops = processor.get("do_center_crop", processor.get("crop_size") is not None)
    size = processor.get("size")
    if size is None:
        raise ValueError("preprocessor_config.json has no size")
    if crops:
        side = _square(processor.get("crop_size", size), "crop_size")
        shorter = size if isinstance(size, int) else size.get("shortest_edge")
        if shorter is None:
            if _square(size, "size") != side:
                raise ValueError(
                    f"preprocessor_config.json: size {size} is squashed and then cut to {side}; "
                    "shortest_edge with crop_size, or height and width alone, can be served"
                )
            return PixelSpec(side, "squash")
        if shorter < side:
            raise ValueError(f"preprocessor_config.json: crop_size {side} is more than {shorter}")
        return PixelSpec(side, "crop", side / int(shorter))
    if isinstance(size, dict) and "height" not in size:
        raise ValueError(
            f"preprocessor_config.json: size {size} without a crop keeps each picture's shape; "
            "the encoder needs a square"
        )
    return PixelSpec(_square(size, "size"), "squash")


def normalisation(processor: dict[str, Any]) -> Normalisation:
    """What turns uint8 pixels into the model's numbers: rescale_factor, image_mean, image_std."""
    factor = float(processor.get("rescale_factor", 1 / 255))
    if not processor.get("do_rescale", True):
        factor = 1.0
    mean, std = processor.get("image_mean") or _HALF, processor.get("image_std") or _HALF
    if not processor.get("do_normalize", True):
        mean, std = [0.0] * 3, [1.0] * 3
    return Normalisation(
        tuple(float(value) / factor for value in mean),
        tuple(float(value) / factor for value in std),
    )


def reference_pixels(picture: bytes, spec: PixelSpec) -> NDArray[np.uint8]:
    """uint8 RGB [S, S, 3] as transformers' own processors cut it: whole decode, bicubic filter."""
    with Image.open(io.BytesIO(picture)) as opened:
        image = opened.convert("RGB")
    if spec.fit == "squash":
        return np.asarray(image.resize((spec.size, spec.size), Image.Resampling.BICUBIC))
    shorter = round(spec.size / spec.crop_fraction)
    scale = shorter / min(image.size)
    width, height = (
        shorter if side == min(image.size) else int(side * scale) for side in image.size
    )
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - spec.size) // 2, (height - spec.size) // 2
    return np.asarray(image.crop((left, top, left + spec.size, top + spec.size)))


def _square(size: Any, name: str) -> int:
    if isinstance(size, int):
        return size
    height, width = size.get("height"), size.get("width")
    if height is None or height != width:
        raise ValueError(f"preprocessor_config.json: {name} {size} is no square")
    return int(height)
