"""An encoder without a model: for tests of everything that sits in front of one.

Embeddings come from content alone, so equal pictures and equal phrases always get equal rows, alone
or in a batch, and similar content gets similar rows: a picture becomes its colour histogram and
the mean colours of a coarse grid, a phrase becomes its hashed words; both are then projected to D
dimensions. A picture of one colour lies close to the phrase that names the colour ("red", "green",
"blue", "white", "black", "yellow", ...), so that a test can expect tags.

Knobs make it slow, broken or stuck at will. It passes `tests/contract/test_encoder_contract.py`, as
TritonEncoder does. This module does not know Triton, and nothing that serves imports it.

Shapes: B pictures or texts, H x W pixels, C = 3 channels (RGB), D dimensions.
"""

import asyncio
import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inkling_server.encoders import (
    Embeddings,
    EncoderDescription,
    PixelBatch,
    Pixels,
    require_pixels,
)
from inkling_server.errors import EncoderDown
from inkling_server.model_manifest import ModelManifest, PixelSpec, TextSpec

NAMED_COLOURS = {
    "black": (0, 0, 0),
    "blue": (0, 0, 255),
    "cyan": (0, 255, 255),
    "gray": (128, 128, 128),
    "green": (0, 255, 0),
    "magenta": (255, 0, 255),
    "red": (255, 0, 0),
    "white": (255, 255, 255),
    "yellow": (255, 255, 0),
}
_COLOUR_BINS = 64  # 4 levels of each of red, green and blue
_GRID = 4  # mean colours of 4 x 4 cells tell pictures of the same colours apart
_WORD_BINS = 192
_FEATURES = _COLOUR_BINS + _GRID * _GRID * 3 + _WORD_BINS

DEFAULT_MANIFEST = ModelManifest(
    name="fake",
    version=1,
    fingerprint="0" * 16,
    dimension=256,
    image=PixelSpec(),
    text=TextSpec(),
)


class FakeEncoder:
    """Deterministic embeddings, and failures on demand.

    Attributes (set them at any time):
        delay_s: every call takes at least this long.
        failure: when set, every call raises it.
        gate: calls wait until it is set; `gate.clear()` blocks all, `gate.set()` frees them.
        image_batches: sizes of the picture batches seen so far, in order.
        text_batches: the same for texts.
        in_flight: calls that are running now.
    """

    def __init__(self, manifest: ModelManifest = DEFAULT_MANIFEST, *, delay_s: float = 0.0) -> None:
        self._manifest = manifest
        self._projection_FD = (
            np.random.default_rng(7)
            .standard_normal((_FEATURES, manifest.dimension))
            .astype(np.float32)
        )
        self.delay_s = delay_s
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.image_batches: list[int] = []
        self.text_batches: list[int] = []
        self.in_flight = 0
        self.closed = False

    @property
    def manifest(self) -> ModelManifest:
        return self._manifest

    async def describe(self) -> Sequence[EncoderDescription]:
        await self._work(timeout_s=10.0)
        version = self._manifest.version
        return (
            EncoderDescription("vision_encoder", version, "fake", "numpy"),
            EncoderDescription("text_encoder", version, "fake", "numpy"),
        )

    async def encode_images(self, pixels_BHWC: PixelBatch, *, timeout_s: float) -> Embeddings:
        require_pixels(pixels_BHWC, self._manifest.image.size)
        self.image_batches.append(len(pixels_BHWC))
        await self._work(timeout_s)
        return self._embed(np.stack([_picture_features(pixels_HWC) for pixels_HWC in pixels_BHWC]))

    async def encode_texts(self, texts: Sequence[str], *, timeout_s: float) -> Embeddings:
        if not texts:
            return np.empty((0, self._manifest.dimension), np.float32)
        self.text_batches.append(len(texts))
        await self._work(timeout_s)
        return self._embed(np.stack([_text_features(text) for text in texts]))

    async def check(self, *, timeout_s: float) -> None:
        await self._work(timeout_s)

    async def close(self) -> None:
        self.closed = True

    async def _work(self, timeout_s: float) -> None:
        """Passes the time and fails as the knobs say."""
        if self.closed:
            raise EncoderDown("the encoder is closed")
        if timeout_s <= 0:
            raise EncoderDown("no time left")
        self.in_flight += 1
        try:
            async with asyncio.timeout(timeout_s):
                await self.gate.wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
        except TimeoutError:
            raise EncoderDown(f"no answer within {timeout_s:.1f} s") from None
        finally:
            self.in_flight -= 1
        if self.failure is not None:
            raise self.failure

    def _embed(self, features_BF: NDArray[np.float32]) -> Embeddings:
        # Row by row: a matrix product may round differently with the batch size, and equal
        # content must give equal bits here.
        rows = [features_F @ self._projection_FD for features_F in features_BF]
        embeddings_BD = np.stack(rows).astype(np.float32)
        unit_BD: Embeddings = embeddings_BD / np.linalg.norm(embeddings_BD, axis=1, keepdims=True)
        return unit_BD


def _picture_features(pixels_HWC: Pixels) -> NDArray[np.float32]:
    features_F = np.zeros(_FEATURES, np.float32)
    levels_HWC = pixels_HWC >> 6
    bins_HW = levels_HWC[..., 0] * 16 + levels_HWC[..., 1] * 4 + levels_HWC[..., 2]
    shares = np.bincount(bins_HW.ravel(), minlength=_COLOUR_BINS) / bins_HW.size
    features_F[:_COLOUR_BINS] = shares
    cell = pixels_HWC.shape[0] // _GRID
    cropped = pixels_HWC[: cell * _GRID, : cell * _GRID].astype(np.float32)
    means = cropped.reshape(_GRID, cell, _GRID, cell, 3).mean(axis=(1, 3))
    features_F[_COLOUR_BINS : _COLOUR_BINS + means.size] = (means / 255.0 - 0.5).ravel() * 0.1
    return features_F


def _text_features(text: str) -> NDArray[np.float32]:
    features_F = np.zeros(_FEATURES, np.float32)
    features_F[-1] = 0.01  # an empty text has a direction too
    for word in text.lower().split():
        colour = NAMED_COLOURS.get(word)
        if colour is not None:
            red, green, blue = (level >> 6 for level in colour)
            features_F[red * 16 + green * 4 + blue] += 1.0
        else:
            digest = hashlib.blake2b(word.encode(), digest_size=4).digest()
            features_F[-1 - int.from_bytes(digest, "big") % _WORD_BINS] += 1.0
    return features_F
