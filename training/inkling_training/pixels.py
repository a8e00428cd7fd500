"""Pictures' bytes to training pixels: the server's own decoding, and random variations of it.

What the model sees in training is cut by the same function as in serving
(`inkling_server.images`); augmentation starts from the same decoded picture. Nothing here knows
labels or models.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from inkling_server.images import ImageLimits, decode
from inkling_server.model_manifest import PixelSpec

Pixels = NDArray[np.uint8]


def pixels_of(picture: bytes, spec: PixelSpec) -> Pixels:
    """uint8 RGB [size, size, 3], exactly as the server makes it."""
    return decode(picture, spec, ImageLimits())


def decode_whole(picture: bytes) -> Pixels:
    """uint8 RGB [H, W, 3], not scaled: only training wants that."""
    decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR_RGB)
    if decoded is None:
        raise ValueError("not a picture")
    return np.asarray(decoded, dtype=np.uint8)


def augmented(picture: bytes, size: int, rng: np.random.Generator) -> Pixels:
    """A random crop (35 to 100 % of the area), mirrored or not, with other light and sharpness."""
    whole = decode_whole(picture)
    height, width = whole.shape[:2]
    area = height * width * rng.uniform(0.35, 1.0)
    aspect = (width / height) * np.exp(rng.uniform(-0.3, 0.3))
    crop_w = int(np.clip(round(np.sqrt(area * aspect)), 16, width))
    crop_h = int(np.clip(round(np.sqrt(area / aspect)), 16, height))
    top, left = rng.integers(0, height - crop_h + 1), rng.integers(0, width - crop_w + 1)
    pixels = whole[top : top + crop_h, left : left + crop_w]
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    pixels = _resize(np.ascontiguousarray(pixels), size)
    if rng.random() < 0.15:
        pixels = np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    gain_C = rng.uniform(0.75, 1.25) * rng.uniform(0.93, 1.07, 3)
    contrast = rng.uniform(0.8, 1.2)
    lit = (pixels.astype(np.float32) - 128) * contrast + 128
    return np.clip(lit * gain_C, 0, 255).astype(np.uint8)


def _resize(pixels: Pixels, size: int) -> Pixels:
    shrinks = min(pixels.shape[:2]) >= size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, (size, size), interpolation=method), dtype=np.uint8)
