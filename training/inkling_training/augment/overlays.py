"""What people draw over their pictures: a line of text, a sticker.

The words say nothing about any picture, so that a model learns to look past them (reading them is
another job). Drawn in place, with everything random from the caller's generator.

Legend: S side in pixels.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
_Colour = tuple[int, int, int]

# Of any picture and of none.
_LINES = (
    "so true omg wait for it part one two mood me when you know this is why we can not even no way",
    "best day ever link in bio follow more like and share today vibes only just saying tag someone",
    "pov they said it would be fine day monday friday feeling never again new post up now lol",
)
_WORDS = [word for line in _LINES for word in line.split()]
_SMALLEST_FONT = 10  # pixels; smaller letters are noise


def draw_caption(pixels_SSC: Pixels, rng: np.random.Generator) -> None:
    """Writes one or two lines of idle words, plain, outlined, or on a box."""
    side = pixels_SSC.shape[0]
    size = int(rng.integers(_SMALLEST_FONT, max(_SMALLEST_FONT + 1, side // 9)))
    lines = [
        " ".join(rng.choice(_WORDS, int(rng.integers(2, 6)))) for _ in range(rng.integers(1, 3))
    ]
    text = "\n".join(lines)
    if rng.random() < 0.4:
        text = text.upper()
    picture = Image.fromarray(pixels_SSC)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size)
    left, top, right, bottom = draw.multiline_textbbox((0, 0), text, font=font)
    x = float(rng.uniform(-0.1 * side, max(1.0, side - 0.8 * (right - left))))
    y = float(rng.choice([0.04, 0.45, 0.82])) * side
    ink, paper = _contrasting(rng)
    style = rng.random()
    if style < 0.4:
        pad = size // 3
        draw.rounded_rectangle(
            (x + left - pad, y + top - pad, x + right + pad, y + bottom + pad), size // 3, paper
        )
        draw.multiline_text((x, y), text, ink, font)
    else:
        outline = max(1, size // 10) if style < 0.8 else 0
        draw.multiline_text((x, y), text, ink, font, stroke_width=outline, stroke_fill=paper)
    pixels_SSC[:] = np.asarray(picture)


def draw_sticker(pixels_SSC: Pixels, rng: np.random.Generator) -> None:
    """Puts a flat shape with a white rim somewhere, covering at most a tenth of the picture."""
    side = pixels_SSC.shape[0]
    radius = float(rng.uniform(0.06, 0.17)) * side
    centre = rng.uniform(0.1 * side, 0.9 * side, 2)
    corners = int(rng.integers(3, 9))
    # Two radii in turn make a star; one makes a polygon, and many corners nearly a disc.
    inner = float(rng.choice([0.45, 1.0]))
    turns = np.arange(2 * corners) * np.pi / corners + rng.uniform(0, np.pi)
    radii = radius * np.where(np.arange(2 * corners) % 2 == 0, 1.0, inner)
    points = np.stack([np.cos(turns), np.sin(turns)], axis=1) * radii[:, None] + centre
    outline = [np.round(points).astype(np.int32)]
    cv2.fillPoly(pixels_SSC, outline, _colour(rng, 0, 256), lineType=cv2.LINE_AA)
    cv2.polylines(pixels_SSC, outline, True, (255, 255, 255), max(1, side // 75), cv2.LINE_AA)


def _contrasting(rng: np.random.Generator) -> tuple[_Colour, _Colour]:
    """A bright and a dark colour, in either role."""
    bright, dark = _colour(rng, 190, 256), _colour(rng, 0, 70)
    return (bright, dark) if rng.random() < 0.7 else (dark, bright)


def _colour(rng: np.random.Generator, least: int, beyond: int) -> _Colour:
    red, green, blue = (int(level) for level in rng.integers(least, beyond, 3))
    return red, green, blue
