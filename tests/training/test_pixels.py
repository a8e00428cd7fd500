"""Training sees the pixels that the server makes, and random variations of them."""

import io

import numpy as np
import pytest
from PIL import Image

from inkling_server.images import decode
from inkling_server.model_manifest import PixelSpec
from inkling_training import pixels

pytestmark = pytest.mark.training


def _picture() -> bytes:
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (60, 90, 3), dtype=np.uint8)).save(
        buffer, "webp", lossless=True
    )
    return buffer.getvalue()


def test_pixels_are_the_servers_own() -> None:
    spec = PixelSpec(32, "squash")
    assert np.array_equal(pixels.pixels_of(_picture(), spec), decode(_picture(), spec))


def test_augmentation_varies_by_seed_and_repeats_by_seed() -> None:
    first, second, again = (
        pixels.augmented(_picture(), 32, np.random.default_rng(s)) for s in (1, 2, 1)
    )
    assert first.shape == (32, 32, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="not a picture"):
        pixels.decode_whole(b"nothing")
