"""One picture of a video's chosen frames, with their times and tags: for people to look at.

    frames ─► tiles in rows, each with its time and its best tags under it ─► PNG or JPEG

Blocking: call it off the event loop. It knows no videos, models or requests.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SheetFormat = Literal["png", "jpeg"]
SHEET_FORMATS: tuple[SheetFormat, ...] = ("png", "jpeg")
_TILE_WIDTH, _TILE_HEIGHT = 240, 160
_GAP = 12
_TEXT_SIZE = 13
_LINE_HEIGHT = 18
_BACKGROUND, _TILE, _TIME, _TEXT = (17, 19, 24), (32, 35, 43), (255, 255, 255), (174, 182, 196)
_MAX_COLUMNS = 6
_MAX_TAGS = 3


@dataclass(frozen=True, slots=True)
class Tile:
    """One frame of the sheet.

    Attributes:
        pixels_SS3: uint8 RGB; shown where there is no `full`.
        full: the frame as a JPEG, in its own proportions.
        time_s: when it shows.
        tags: phrase and score, the best first.
    """

    pixels_SS3: NDArray[np.uint8] = field(repr=False)
    full: bytes | None = field(repr=False)
    time_s: float
    tags: Sequence[tuple[str, float]]


def contact_sheet(tiles: Sequence[Tile], form: SheetFormat) -> bytes:
    """Draws the sheet.

    Args:
        tiles: at least one, in order.
        form: of the file.
    """
    columns = min(math.ceil(math.sqrt(len(tiles))), _MAX_COLUMNS)
    rows = math.ceil(len(tiles) / columns)
    row_height = _TILE_HEIGHT + (1 + _MAX_TAGS) * _LINE_HEIGHT + _GAP
    size = (columns * (_TILE_WIDTH + _GAP) + _GAP, rows * row_height + _GAP)
    sheet = Image.new("RGB", size, _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_TEXT_SIZE)
    for place, tile in enumerate(tiles):
        left = _GAP + place % columns * (_TILE_WIDTH + _GAP)
        top = _GAP + place // columns * row_height
        draw.rectangle((left, top, left + _TILE_WIDTH - 1, top + _TILE_HEIGHT - 1), _TILE)
        picture = _picture(tile)
        sheet.paste(
            picture,
            (left + (_TILE_WIDTH - picture.width) // 2, top + (_TILE_HEIGHT - picture.height) // 2),
        )
        lines = [(clock(tile.time_s), _TIME)]
        lines += [(f"{score:.0%}  {phrase}", _TEXT) for phrase, score in tile.tags[:_MAX_TAGS]]
        for line, (text, colour) in enumerate(lines):
            y = top + _TILE_HEIGHT + 3 + line * _LINE_HEIGHT
            draw.text((left, y), _fitted(text, font), colour, font)
    file = io.BytesIO()
    if form == "png":
        sheet.save(file, "PNG")
    else:
        sheet.save(file, "JPEG", quality=88)
    return file.getvalue()


def clock(time_s: float) -> str:
    """Minutes and seconds: 75.25 -> "1:15.2"."""
    tenths = int(time_s * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02}.{tenths % 10}"


def _picture(tile: Tile) -> Image.Image:
    picture = Image.fromarray(tile.pixels_SS3)
    if tile.full is not None:
        picture = Image.open(io.BytesIO(tile.full)).convert("RGB")
    picture.thumbnail((_TILE_WIDTH, _TILE_HEIGHT))
    return picture


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """As much of the text as a tile is wide."""
    # The font has no signs beyond Latin: others would all be the same box.
    text = "".join(sign if sign.isprintable() else "?" for sign in text)
    if font.getlength(text) <= _TILE_WIDTH:
        return text
    while text and font.getlength(text + "…") > _TILE_WIDTH:
        text = text[:-1]
    return text + "…"
