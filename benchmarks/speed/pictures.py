"""Pictures to measure with: crops of photos that scikit-image bundles, as JPEGs of chosen sizes.

It does not know servers or requests.
"""

import functools
import io
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

WIDTH, HEIGHT = 640, 480
_SOURCES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "camera.png")
_QUALITY = 85
# Grey levels of grain: a photo that was made bigger has none of the detail that a camera leaves.
_GRAIN = 3.0


@dataclass(frozen=True, slots=True)
class PictureSize:
    """Files of one kind. `wanted_bytes` None: whatever quality 85 gives."""

    name: str
    width: int
    height: int
    wanted_bytes: int | None
    count: int


# A 640 x 480 JPEG of quality 85 has about 45 KB; the greatest two are what telephones take.
SIZES = (
    PictureSize("10 KB", 320, 240, 10_000, 64),
    PictureSize("45 KB", WIDTH, HEIGHT, None, 64),
    PictureSize("200 KB", 1280, 960, 200_000, 16),
    PictureSize("1 MB", 2592, 1944, 1_000_000, 8),
    PictureSize("4 MB", 4032, 3024, 4_000_000, 4),
)


def make_pictures(count: int, width: int = WIDTH, height: int = HEIGHT) -> list[bytes]:
    """`count` JPEGs of quality 85, each another crop."""
    return [_jpeg(picture, _QUALITY) for picture in _crops(count, width, height)]


def make_sized(size: PictureSize) -> list[bytes]:
    """JPEGs of one kind, in the mean near the wanted bytes."""
    if size.wanted_bytes is None:
        return make_pictures(size.count, size.width, size.height)
    rng = np.random.default_rng(11)
    grain_HWC = rng.normal(0, _GRAIN, (size.height, size.width, 3)).astype(np.int8)
    qualities: dict[int, int] = {}
    files = []
    for number, crop in enumerate(_crops(size.count, size.width, size.height)):
        picture = crop
        if size.width > WIDTH:
            noisy_HWC = np.asarray(crop, np.int16) + np.roll(grain_HWC, number * 17, axis=1)
            picture = Image.fromarray(np.clip(noisy_HWC, 0, 255).astype(np.uint8))
        source = number % len(_SOURCES)
        if source not in qualities:
            qualities[source] = _quality_for(picture, size.wanted_bytes)
        files.append(_jpeg(picture, qualities[source]))
    return files


def size_named(name: str) -> PictureSize:
    """The size of that name. Raises KeyError."""
    return {size.name: size for size in SIZES}[name]


@functools.cache
def _sources() -> list[Image.Image]:
    folder = Path(skimage.data.data_dir)
    return [Image.open(folder / name).convert("RGB") for name in _SOURCES]


def _crops(count: int, width: int, height: int) -> list[Image.Image]:
    rng = np.random.default_rng(7)
    crops = []
    for source in itertools.islice(itertools.cycle(_sources()), count):
        scale = max(width / source.width, height / source.height) * rng.uniform(1.0, 1.5)
        big = source.resize((int(source.width * scale) + 1, int(source.height * scale) + 1))
        left = int(rng.integers(0, big.width - width + 1))
        top = int(rng.integers(0, big.height - height + 1))
        crops.append(big.crop((left, top, left + width, top + height)))
    return crops


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _quality_for(picture: Image.Image, wanted: int) -> int:
    """The quality of 20 to 98 whose file is the first to have the wanted length, by bisection."""
    low, high = 20, 98
    while low < high:
        quality = (low + high) // 2
        if len(_jpeg(picture, quality)) < wanted:
            low = quality + 1
        else:
            high = quality
    return low
