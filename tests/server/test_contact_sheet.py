"""The contact sheet: a picture of every frame, whatever their number and tags."""

import io

import numpy as np
import pytest
from PIL import Image

from inkling_server.contact_sheet import Tile, clock, contact_sheet
from inkling_server.fake_encoder import NAMED_COLOURS
from tests.server.gateway_kit import jpeg


def tile(colour: str = "red", *, full: bool = False, phrase: str = "red thing") -> Tile:
    pixels_SS3 = np.full((64, 64, 3), NAMED_COLOURS[colour], np.uint8)
    wide = jpeg(colour, width=1280, height=400) if full else None
    return Tile(pixels_SS3, wide, 75.25, [(phrase, 0.9), ("b", 0.5), ("c", 0.4), ("d", 0.3)])


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


@pytest.mark.parametrize("form", ["png", "jpeg"])
def test_every_frame_is_there_in_order(form: str) -> None:
    colours = ["red", "green", "blue", "yellow"]
    sheet = opened(contact_sheet([tile(one) for one in colours], form))  # type: ignore[arg-type]
    quarters = [
        (sheet.width // 4, sheet.height // 8),
        (3 * sheet.width // 4, sheet.height // 8),
        (sheet.width // 4, 5 * sheet.height // 8),
        (3 * sheet.width // 4, 5 * sheet.height // 8),
    ]
    for place, colour in zip(quarters, colours, strict=True):
        found = np.array(sheet.getpixel(place), int)
        assert np.abs(found - NAMED_COLOURS[colour]).max() < 40


def test_full_frames_keep_their_proportions() -> None:
    sheet = np.asarray(opened(contact_sheet([tile(full=True)], "png"))).astype(int)
    is_red = (sheet[..., 0] > 200) & (sheet[..., 1:].max(axis=-1) < 60)
    rows, columns = np.flatnonzero(is_red.any(axis=1)), np.flatnonzero(is_red.any(axis=0))
    assert len(columns) / len(rows) == pytest.approx(3.2, rel=0.05)


@pytest.mark.parametrize("count", [1, 2, 37, 64])
def test_size_grows_with_the_frames_and_stays_small(count: int) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (224, 224, 3), np.uint8)
    tiles = [Tile(noise, None, float(i), []) for i in range(count)]
    data = contact_sheet(tiles, "png")
    # Noise is the worst there is; the API promises 16 MiB.
    assert len(data) < 16 * 2**20
    assert opened(data).width <= 6 * 260


def test_phrases_of_any_length_and_script_are_drawn() -> None:
    for phrase in ("", "x" * 500, "日本語 🎸", "two\nlines\x00"):
        assert contact_sheet([tile(phrase=phrase)], "png")


def test_clock() -> None:
    assert [clock(one) for one in (0.0, 9.96, 75.25)] == ["0:00.0", "0:09.9", "1:15.2"]
