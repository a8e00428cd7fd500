"""Bytes become the encoder's pixels: every format and mode, every geometry, every refusal."""

import contextlib
import threading
import time
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from inkling_server import images
from inkling_server.errors import ImageInvalid, ImageTooLarge
from inkling_server.images import ImageLimits, codecs, decode, pixels
from inkling_server.model_manifest import PixelSpec
from tests.broken_images import (
    HUGE,
    broken_pictures,
    huge_headers,
    lying_avif,
    png_bomb,
    tile_bomb,
)
from tests.good_images import FAMILIES, good_pictures
from tests.image_factory import (
    FORMATS,
    ORIENTATION,
    exif,
    heic,
    photo,
    save,
    small_files,
    upright,
)

SPEC = PixelSpec()
SPECS = [
    SPEC,
    PixelSpec(size=96, crop_fraction=0.875),
    PixelSpec(size=100, fit="squash"),
    PixelSpec(size=288),  # enlarges
]


def reference(image: Image.Image, spec: PixelSpec) -> NDArray[np.int64]:
    """The same geometry by Pillow's antialiased bicubic filter on the full picture."""
    width, height = image.size
    box = (0.0, 0.0, float(width), float(height))
    if spec.fit == "crop":
        side = min(width, height) * spec.size / round(spec.size / spec.crop_fraction)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
    square = image.resize((spec.size, spec.size), Image.Resampling.BICUBIC, box=box)
    return np.asarray(square).astype(np.int64)


def distance(pixels: NDArray[np.uint8], expected: NDArray[np.int64]) -> float:
    """Mean absolute difference in grey levels."""
    return float(np.abs(pixels.astype(np.int64) - expected).mean())


@pytest.mark.parametrize("family", FAMILIES)
def test_every_kind_of_picture_decodes_to_what_it_shows(family: str) -> None:
    wrong = []
    for picture in good_pictures(family):
        for spec in SPECS:
            pixels = decode(picture.data, spec)
            assert pixels.dtype == np.uint8
            assert pixels.shape == (spec.size, spec.size, 3)
            assert pixels.flags.c_contiguous
            far = distance(pixels, reference(picture.expected, spec))
            if far > picture.tolerance:
                wrong.append(f"{picture.name} at {spec}: {far:.2f} > {picture.tolerance}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("size", [(640, 480), (481, 641), (1000, 700), (90, 70), (2000, 130)])
def test_formats_agree_on_one_photo(size: tuple[int, int]) -> None:
    image = photo(*size)
    for spec in (SPEC, PixelSpec(fit="squash"), PixelSpec(crop_fraction=0.9)):
        expected = reference(image, spec)
        for name, encode in FORMATS.items():
            assert distance(decode(encode(image), spec), expected) < 3.0, (name, spec)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (2, 3), (7, 16_384), (16_384, 9)])
@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_strips_and_specks_decode(name: str, size: tuple[int, int]) -> None:
    data = FORMATS[name](Image.new("RGB", size, (200, 100, 50)))
    for spec in SPECS:
        pixels = decode(data, spec).reshape(-1, 3).astype(np.int64)
        assert np.abs(pixels - (200, 100, 50)).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(301, 200), (200, 301)])
def test_turning_a_jpeg_turns_exactly_its_pixels(orientation: int, size: tuple[int, int]) -> None:
    image = photo(*size)
    for spec in (PixelSpec(size=64), PixelSpec(size=64, fit="squash")):
        plain = Image.fromarray(decode(save(image, "JPEG", exif=exif(1)), spec))
        turned = decode(save(image, "JPEG", exif=exif(orientation)), spec)
        assert np.array_equal(turned, np.asarray(upright(plain, orientation)))


def between(length: int, start: float, box: float, size: int) -> NDArray[np.float64]:
    """What each of `size` pixels takes of each of `length` ones, by linear interpolation."""
    position = start + (np.arange(size) + 0.5) * box / size - 0.5
    shares: NDArray[np.float64] = 1 - np.abs(position[:, np.newaxis] - np.arange(length))
    return shares.clip(min=0)


@pytest.mark.parametrize("fit", ["crop", "squash"])
@pytest.mark.parametrize("size", [(320, 240), (240, 300), (224, 224), (447, 300), (301, 240)])
def test_pixels_are_interpolated_at_exact_positions(
    fit: Literal["crop", "squash"], size: tuple[int, int]
) -> None:
    pixels_HW3 = np.asarray(photo(*size))
    boxes = [(float(side) if fit == "squash" else float(min(size))) for side in size]
    columns, rows = (
        between(side, (side - box) / 2, box, 224) for side, box in zip(size, boxes, strict=True)
    )
    expected = np.einsum("yh,hwc,xw->yxc", rows, pixels_HW3, columns, optimize=True)
    found = images.cut(pixels_HW3, PixelSpec(fit=fit))
    assert np.abs(found - expected).max() <= 4.0  # it knows 32 positions between two pixels
    # Neither darker nor brighter: a tenth of a grey level moves scores (INTER_LINEAR does that).
    assert abs((found - expected).mean()) < 0.03


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_nonsense_orientation_is_ignored(orientation: int) -> None:
    data = Image.Exif()
    data[ORIENTATION] = orientation
    tagged = save(photo(), "JPEG", exif=data)
    assert np.array_equal(decode(tagged, SPEC), decode(save(photo(), "JPEG"), SPEC))


def test_broken_files_raise_typed_errors_that_say_what_is_wrong() -> None:
    wrong = []
    for broken in broken_pictures():
        try:
            decode(broken.data, SPEC)
        except (ImageInvalid, ImageTooLarge) as error:
            if type(error) is not broken.error or broken.says not in str(error):
                wrong.append(f"{broken.name}: {error!r}")
        else:
            wrong.append(f"{broken.name}: decoded")
    assert not wrong, "\n".join(wrong)


def test_unknown_formats_are_answered_with_the_known_ones() -> None:
    with pytest.raises(ImageInvalid, match="allowed: JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC"):
        decode(b"a letter to a friend", SPEC)


def test_errors_never_quote_the_picture() -> None:
    secret = b"Dear Anna, the key is under the mat."
    for data in (secret * 9, b"\xff\xd8\xff\xe1" + secret * 9, b"BM" + bytes(12) + secret * 9):
        with pytest.raises(ImageInvalid) as caught:
            decode(data, SPEC)
        assert "Anna" not in str(caught.value)


@pytest.mark.parametrize("name", list(FORMATS))
def test_truncation_anywhere_is_an_error(name: str) -> None:
    data = FORMATS[name](photo(96, 72))
    for percent in (1, 3, 10, 20, 35, 50, 65, 80, 90, 95):
        with pytest.raises(ImageInvalid):
            decode(data[: len(data) * percent // 100], SPEC)


def test_nothing_is_printed_about_broken_files(capfd: pytest.CaptureFixture[str]) -> None:
    broken = [picture.data for picture in broken_pictures()]
    fax = save(photo().convert("1"), "TIFF", compression="group4")
    broken += [  # libtiff prints about these, left to itself
        fax[:start] + b"\x55\xaa" * 8 + fax[start + 16 :] for start in range(8, len(fax), 40)
    ]
    for data in broken:
        with contextlib.suppress(ImageInvalid, ImageTooLarge):
            decode(data, SPEC)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_limits_are_inclusive() -> None:
    data = save(photo(300, 200), "PNG")
    exact = ImageLimits(max_bytes=len(data), max_pixels=60_000, max_side=300)
    assert decode(data, SPEC, exact).shape == (224, 224, 3)
    for tighter, what in (
        (replace(exact, max_bytes=len(data) - 1), "image bytes"),
        (replace(exact, max_pixels=59_999), "image pixels"),
        (replace(exact, max_side=299), "image side in pixels"),
    ):
        with pytest.raises(ImageTooLarge) as caught:
            decode(data, SPEC, tighter)
        assert caught.value.what == what
        assert caught.value.actual == caught.value.allowed + 1


def test_limits_apply_before_any_decoder_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_decoder(*_: object) -> None:
        raise AssertionError("a decoder was called")

    monkeypatch.setattr(pixels, "load", no_decoder)
    bombs = {**huge_headers(), "PNG bomb": png_bomb(), "AVIF that lies": lying_avif(512, 16)}
    for name, data in bombs.items():
        times_s = []
        for _ in range(5):  # the best one counts: other programs may interrupt this one
            start_s = time.perf_counter()
            with pytest.raises(ImageTooLarge):
                decode(data, SPEC, ImageLimits(max_pixels=200_000))
            times_s.append(time.perf_counter() - start_s)
        assert min(times_s) < 0.05, name
    with pytest.raises(ImageInvalid, match="tiles"):
        decode(tile_bomb(), SPEC)


def test_an_animated_picture_is_limited_by_its_canvas() -> None:
    frames = [Image.new("P", (50, 40), color) for color in (1, 2, 3)]
    data = bytearray(save(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    data[6:10] = HUGE.to_bytes(2, "little") * 2
    with pytest.raises(ImageTooLarge):
        decode(bytes(data), SPEC)


def test_threads_get_the_same_pixels() -> None:
    files = list(small_files().values()) * 3
    expected = [decode(data, SPEC) for data in files]
    results: list[list[NDArray[np.uint8]]] = [[] for _ in range(4)]

    def work(result: list[NDArray[np.uint8]]) -> None:
        result.extend(decode(data, SPEC) for data in files)

    threads = [threading.Thread(target=work, args=(result,)) for result in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        assert all(np.array_equal(a, b) for a, b in zip(result, expected, strict=True))


def test_heic_without_its_extra_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "pillow_heif", None)
    with pytest.raises(ImageInvalid, match="extra `heic`"):
        images.decode(heic(photo()), PixelSpec())
