"""Random variations of a picture that leave its subject what it is.

    bytes -> crop -> flip -> resize -> colour ─┐
        ┌──────────────────────────────────────┘
        └► blur / low resolution / noise / JPEG -> overlays -> pixels

What people post is cropped, filtered, saved a few times over and written upon, so training sees
pictures that are, too. Everything random comes from the caller's generator: the same generator
state gives the same pixels. Nothing here knows labels or models.

Legend: S side in pixels, H x W of a picture, C = 3 channels (RGB).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inkling_training.augment.overlays import draw_caption, draw_sticker

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PicturePolicy:
    """How strongly pictures vary; each `*_share` is the chance in [0, 1] that it happens at all.

    Attributes:
        least_area: the smallest crop, as a share of the picture's area; the largest is all of it.
        stretch: greatest |ln| by which a crop's aspect ratio leaves the picture's.
        flip_share: mirrored left to right.
        grey_share: no colours.
        gain, tint, contrast: greatest relative change of brightness, of each channel, of contrast.
        blur_share, low_resolution_share, noise_share, jpeg_share: what poor cameras and platforms
            do.
        noise: greatest standard deviation of the noise, in grey levels.
        caption_share, sticker_share: text and shapes drawn over the picture.
    """

    least_area: float = 0.35
    stretch: float = 0.3
    flip_share: float = 0.5
    grey_share: float = 0.12
    gain: float = 0.25
    tint: float = 0.07
    contrast: float = 0.2
    blur_share: float = 0.1
    low_resolution_share: float = 0.1
    noise_share: float = 0.3
    noise: float = 8.0
    jpeg_share: float = 0.15
    caption_share: float = 0.12
    sticker_share: float = 0.08


DEFAULT = PicturePolicy()


def augmented(
    picture: bytes, size: int, rng: np.random.Generator, policy: PicturePolicy = DEFAULT
) -> Pixels:
    """A random variation of an encoded picture, uint8 RGB [S, S, 3] with S = `size`.

    Raises:
        ValueError: the bytes are not a picture.
    """
    pixels = _cropped(decode_whole(picture), size, rng, policy)
    if rng.random() < policy.flip_share:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
    pixels = _coloured(pixels, rng, policy)
    pixels = _degraded(pixels, rng, policy)
    if rng.random() < policy.sticker_share:
        draw_sticker(pixels, rng)
    if rng.random() < policy.caption_share:
        draw_caption(pixels, rng)
    return pixels


def decode_whole(picture: bytes) -> Pixels:
    """uint8 RGB [H, W, 3], not scaled: only training wants that.

    Raises:
        ValueError: the bytes are not a picture.
    """
    decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR_RGB)
    if decoded is None:
        raise ValueError("not a picture")
    return np.asarray(decoded, dtype=np.uint8)


def resized(pixels: Pixels, size: int) -> Pixels:
    """[H, W, 3] -> [S, S, 3]; the aspect ratio is lost."""
    shrinks = min(pixels.shape[:2]) >= size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, (size, size), interpolation=method), dtype=np.uint8)


def _cropped(whole: Pixels, size: int, rng: np.random.Generator, policy: PicturePolicy) -> Pixels:
    height, width = whole.shape[:2]
    area = height * width * rng.uniform(policy.least_area, 1.0)
    aspect = (width / height) * np.exp(rng.uniform(-policy.stretch, policy.stretch))
    crop_w = int(np.clip(round(np.sqrt(area * aspect)), min(16, width), width))
    crop_h = int(np.clip(round(np.sqrt(area / aspect)), min(16, height), height))
    top, left = rng.integers(0, height - crop_h + 1), rng.integers(0, width - crop_w + 1)
    return resized(np.ascontiguousarray(whole[top : top + crop_h, left : left + crop_w]), size)


def _coloured(pixels: Pixels, rng: np.random.Generator, policy: PicturePolicy) -> Pixels:
    if rng.random() < policy.grey_share:
        pixels = np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    gain = rng.uniform(1 - policy.gain, 1 + policy.gain)
    gain_C = gain * rng.uniform(1 - policy.tint, 1 + policy.tint, 3)
    contrast = rng.uniform(1 - policy.contrast, 1 + policy.contrast)
    # 256 levels a channel: a table is an order of magnitude faster than arithmetic on pixels.
    levels = (np.arange(256, dtype=np.float64)[:, None] - 128) * contrast + 128
    table = np.clip(levels * gain_C, 0, 255).astype(np.uint8).reshape(1, 256, 3)
    return np.asarray(cv2.LUT(pixels, table), dtype=np.uint8)


def _degraded(pixels: Pixels, rng: np.random.Generator, policy: PicturePolicy) -> Pixels:
    size = pixels.shape[0]
    if rng.random() < policy.blur_share:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.5, 2.0)), np.uint8)
    if rng.random() < policy.low_resolution_share:
        side = int(rng.integers(max(8, size // 4), max(9, size * 3 // 4)))
        pixels = resized(resized(pixels, side), size)
    if rng.random() < policy.noise_share:
        # A convolution sees noise that people do not: one grey level moves some embeddings as far
        # as mirroring does.
        noise = rng.standard_normal(pixels.shape, np.float32)
        noisy = pixels + noise * np.float32(rng.uniform(0.5, policy.noise))
        pixels = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    if rng.random() < policy.jpeg_share:
        quality = int(rng.integers(25, 80))
        _, encoded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        pixels = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)
    return pixels
