"""Captions and black bars go, everything else stays."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from inkling_server.video.captions import caption_mask, cleaned, example
from tests.video_factory import texture

Pixels = NDArray[np.uint8]
WHITE, BLACK, RED = (255, 255, 255), (0, 0, 0), (230, 20, 20)


def scene(seed: int = 3) -> Pixels:
    return np.asarray(texture(seed, (640, 360)) // 2 + 60, np.uint8)


def captioned(
    picture: Pixels,
    text: str = "what a day it was",
    *,
    colour: tuple[int, int, int] = WHITE,
    outline: int = 3,
    size: int = 32,
) -> Pixels:
    image = Image.fromarray(picture)
    ImageDraw.Draw(image).text(
        (320, 300),
        text,
        font=ImageFont.load_default(size),
        anchor="mm",
        fill=colour,
        stroke_width=outline,
        stroke_fill=BLACK,
    )
    return np.asarray(image, np.uint8)


def unlike(one: Pixels, other: Pixels) -> float:
    """Mean difference where they differ at all, and a little around it."""
    return float(np.abs(one.astype(np.int16) - other)[270:340, 110:540].mean())


@pytest.mark.parametrize("colour", [WHITE, (255, 230, 0), RED], ids=["white", "yellow", "red"])
@pytest.mark.parametrize("size", [24, 32, 44])
def test_an_outlined_caption_is_filled_from_around_it(
    colour: tuple[int, int, int], size: int
) -> None:
    before = captioned(scene(), colour=colour, size=size)
    after = cleaned(before)

    assert unlike(before, scene()) > 5
    assert unlike(after, scene()) < unlike(before, scene()) / 5


def test_letters_and_their_box_go() -> None:
    boxed = scene()
    boxed[275:325, 185:455] = 255
    boxed = captioned(boxed, colour=BLACK, outline=0)

    assert unlike(cleaned(boxed), scene()) < 6


@pytest.mark.parametrize("seed", range(6))
def test_a_picture_without_any_is_itself(seed: int) -> None:
    picture = scene(seed)

    assert cleaned(picture) is picture


def test_few_marks_lines_and_texture_are_no_caption() -> None:
    short = captioned(scene(), "now")
    fence = scene()
    fence[:, ::24] = 250
    noise = np.random.default_rng(1).integers(0, 256, (360, 640, 3), dtype=np.uint8)

    for picture in (short, fence, noise):
        assert not caption_mask(picture).any()


def test_lettering_without_outline_or_box_stays() -> None:
    sign = captioned(np.full((360, 640, 3), 170, np.uint8), outline=0)

    assert not caption_mask(sign).any()


@pytest.mark.parametrize("sideways", [False, True])
def test_black_bars_are_cut_off(sideways: bool) -> None:
    bars = scene()
    if sideways:
        bars[:, :100] = bars[:, -100:] = 7
    else:
        bars[:60] = bars[-60:] = 7
    after = cleaned(bars)

    assert after.flags.c_contiguous
    assert after.shape == ((360, 438, 3) if sideways else (238, 640, 3))
    assert (after == (scene()[:, 101:-101] if sideways else scene()[61:-61])).all()


def test_bars_of_a_large_picture_go_to_the_pixel() -> None:
    large = np.asarray(cv2.resize(scene(), (1920, 1080)), np.uint8)
    large[:131] = large[-131:] = 0
    after = cleaned(large)

    assert after.shape == pytest.approx((1080 - 262, 1920, 3), abs=8)
    assert after.min() > 30


def test_a_caption_on_a_bar_does_not_keep_the_bar() -> None:
    assert cleaned(example()).shape == (238, 640, 3)


@pytest.mark.parametrize("edges", [(90, 0), (180, 150)], ids=["one side", "nearly all of it"])
def test_what_is_dark_and_no_pair_of_bars_stays(edges: tuple[int, int]) -> None:
    dark = scene()
    dark[: edges[0]] = 0
    dark[360 - edges[1] :] = 0

    assert cleaned(dark) is dark


@pytest.mark.parametrize("shape", [(1, 1), (2, 700), (700, 2), (9, 9), (17, 3000)])
def test_any_size_will_do(shape: tuple[int, int]) -> None:
    for value in (0, 255):
        picture = np.full((*shape, 3), value, np.uint8)

        assert cleaned(picture).size > 0
