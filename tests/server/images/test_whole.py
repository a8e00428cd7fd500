"""Whole pictures: upright, scaled down to a longest side, under the same limits as the square."""

import io

import numpy as np
import pytest
from PIL import Image

from inkling_server.errors import ImageInvalid, ImageTooLarge
from inkling_server.images import ImageLimits, decode_whole


def encoded(size: tuple[int, int], form: str = "JPEG", orientation: int = 1) -> bytes:
    """Red, with a green upper left quarter."""
    image = Image.new("RGB", size, (200, 0, 0))
    image.paste((0, 200, 0), (0, 0, size[0] // 2, size[1] // 2))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, form, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WebP"])
@pytest.mark.parametrize(
    ("size", "shape"),
    [((640, 480), (480, 640)), ((3000, 2250), (960, 1280)), ((64, 5000), (1280, 16))],
)
def test_only_what_is_longer_than_wanted_is_scaled(
    form: str, size: tuple[int, int], shape: tuple[int, int]
) -> None:
    pixels_HW3 = decode_whole(encoded(size, form), 1280)
    assert pixels_HW3.shape == (*shape, 3)
    assert pixels_HW3.dtype == np.uint8
    assert pixels_HW3.flags.c_contiguous


@pytest.mark.parametrize(
    ("orientation", "corner"), [(1, (0, 0)), (3, (-1, -1)), (6, (0, -1)), (8, (-1, 0))]
)
def test_it_comes_upright(orientation: int, corner: tuple[int, int]) -> None:
    pixels_HW3 = decode_whole(encoded((2000, 1000), orientation=orientation), 400)
    assert pixels_HW3.shape[:2] == ((200, 400) if orientation < 5 else (400, 200))
    assert pixels_HW3[corner][1] > 150  # green
    assert pixels_HW3[-1 - corner[0], -1 - corner[1]][0] > 150  # red


def test_limits_hold() -> None:
    data = encoded((640, 480))
    for limits in (
        ImageLimits(max_bytes=len(data) - 1),
        ImageLimits(max_pixels=640 * 480 - 1),
        ImageLimits(max_side=639),
    ):
        with pytest.raises(ImageTooLarge):
            decode_whole(data, 1280, limits)


def test_what_is_no_picture_is_refused() -> None:
    for data in (b"", b"no picture", encoded((640, 480))[:900]):
        with pytest.raises(ImageInvalid):
            decode_whole(data, 1280)
