"""Pictures' bytes to training pixels, by the server's own decoding.

What the model is measured on is cut by the same function as in serving (`inkling_server.images`).
Random variations for training are made by `augment.pictures`. Nothing here knows labels or models.
"""

import numpy as np
from numpy.typing import NDArray

from inkling_server.images import ImageLimits, decode
from inkling_server.model_manifest import PixelSpec

Pixels = NDArray[np.uint8]


def pixels_of(picture: bytes, spec: PixelSpec) -> Pixels:
    """uint8 RGB [size, size, 3], exactly as the server makes it."""
    return decode(picture, spec, ImageLimits())
