"""Training measures on the pixels that the server makes."""

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
