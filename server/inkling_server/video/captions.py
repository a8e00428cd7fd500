"""Captions laid over a picture, and black bars around it: taken away before a frame is encoded.

    frame ─► thin strokes of high contrast ─► letters of one colour in a line ─► mask
             black bars cut off ◄─ picture without them ◄─ filled from around it ─┘

An encoder takes lettering for a part of what is shown: over photos of the sample data a caption
took every seventh right tag below .4 (see also benchmarks/bench_captions.py). What a caption
says is read by `text_reading`, from the frame as it is. Letters of a caption are of one colour and
size, in a line, and set off by an outline or a box as letters in a scene seldom are. A mistake
costs some strokes of the picture. Captions that neither outline nor box sets off stay, and bars
that are not black.

Part of the decoding process; it knows no files, times or encoders. Shapes: H, W of a frame, G
letters.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
_SIDE = 640  # captions are looked for, and filled, at this size
# In shares of the working height.
_STROKE = 0.055  # thicker strokes are no lettering
_TALLEST, _LOWEST = 0.2, 6  # glyphs; the latter in pixels
_CONTRAST = 70  # of a stroke against what is around it, in grey levels
_BRIGHT = 150
_FEWEST = 5  # glyphs in a line
_MOST_GLYPHS = 600
_SAME_COLOUR = 40.0
# Of a line's letters against their outline or box. On photos without captions lines of letters (on
# packages, signs) and what looks like some had 30 to 97, drawn captions 146 to 244.
_STANDS_OUT = 115
_FILL_RADIUS = 4
_BLACK = 32  # of 255: what the codec makes of black beside a picture
_MOST_BARS = 0.75
_BOX_COLOUR = 16
# Of a letter's height: how wide its outline may be. More hides more of the picture: on 118 photos
# that no benchmark reports a caption left .86 of the tags; .1 brings back .975 and .14 .966.
_OUTLINE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class _Glyphs:
    """What may be letters, G of them: boxes in pixels, mean colours."""

    left_G: NDArray[np.float32]
    top_G: NDArray[np.float32]
    width_G: NDArray[np.float32]
    height_G: NDArray[np.float32]
    colour_G3: NDArray[np.float32]


def cleaned(pixels_HW3: Pixels) -> Pixels:
    """The picture without captions and black bars; itself where it has none.

    Args:
        pixels_HW3: uint8 RGB, upright.

    Returns:
        C-contiguous; with captions filled in it is scaled to at most 640 pixels a side, which is
        more than encoders take.
    """
    height, width = pixels_HW3.shape[:2]
    scale = min(_SIDE / max(height, width), 1.0)
    small_HW3 = pixels_HW3
    if scale < 1:
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        small_HW3 = np.asarray(cv2.resize(pixels_HW3, size, interpolation=cv2.INTER_AREA), np.uint8)
    mask_HW = caption_mask(small_HW3)
    if mask_HW.any():
        # Before bars are looked for: captions may lie on them.
        filled_HW3 = cv2.inpaint(small_HW3, mask_HW, _FILL_RADIUS, cv2.INPAINT_TELEA)
        pixels_HW3 = small_HW3 = np.asarray(filled_HW3, np.uint8)
    y, x = (_shown(small_HW3.max(axis=2).max(axis=axis)) for axis in (1, 0))
    if y == x == (0.0, 1.0):
        return pixels_HW3
    height, width = pixels_HW3.shape[:2]
    rows = slice(math.ceil(y[0] * height), math.floor(y[1] * height))
    columns = slice(math.ceil(x[0] * width), math.floor(x[1] * width))
    return np.ascontiguousarray(pixels_HW3[rows, columns])


def example() -> Pixels:
    """A picture with a caption and bars."""
    pixels_HW3 = np.zeros((360, 640, 3), np.uint8)
    pixels_HW3[60:-60] = (90, 140, 60)
    for colour, width in ((0, 0, 0), 9), ((255, 255, 255), 3):
        cv2.putText(
            pixels_HW3, "a caption", (200, 250), cv2.FONT_HERSHEY_SIMPLEX, 1.5, colour, width
        )
    return pixels_HW3


def _shown(brightest_N: Pixels) -> tuple[float, float]:
    """Which share of the lines lies between black bars: [from, to), (0, 1) where there are none."""
    lit = np.flatnonzero(brightest_N > _BLACK)
    count = len(brightest_N)
    if not len(lit):
        return 0.0, 1.0
    one, other = int(lit[0]), count - 1 - int(lit[-1])
    is_pair = abs(one - other) <= 0.03 * count and 0 < one + other <= _MOST_BARS * count
    # Codecs and scaling smear a bar over its edge, by a line.
    return ((one + 1) / count, 1 - (other + 1) / count) if is_pair else (0.0, 1.0)


def caption_mask(pixels_HW3: Pixels) -> Pixels:
    """255 where a caption and its outline are, uint8 [H, W]; of a small picture."""
    # The brightest channel: red letters in a black outline are bright, too.
    value_HW = np.asarray(
        cv2.max(cv2.max(*cv2.split(pixels_HW3)[:2]), pixels_HW3[..., 2]), np.uint8
    )
    mask_HW = np.zeros_like(value_HW)
    for light_HW in (value_HW, 255 - value_HW):  # light letters, dark ones
        strokes_HW = _strokes(light_HW)
        glyphs = _glyphs(strokes_HW, pixels_HW3)
        for line in _lines(glyphs):
            middle = _middle(light_HW, strokes_HW, glyphs, line)
            if middle is not None:
                letters_HW = _letters(strokes_HW, pixels_HW3, glyphs, line)
                reach = round(_OUTLINE * _tall(glyphs, line)) + 1
                _cover(mask_HW, letters_HW, light_HW < middle, reach)
                _cover_box(mask_HW, strokes_HW, pixels_HW3, glyphs, line)
    return mask_HW


def _strokes(light_HW: Pixels) -> Pixels:
    """255 where something bright is thin, however it turns: the top hat of morphology."""
    side = 2 * round(light_HW.shape[0] * _STROKE / 2) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
    hat_HW = cv2.morphologyEx(light_HW, cv2.MORPH_TOPHAT, kernel)
    found_HW = (hat_HW >= _CONTRAST) & (light_HW >= _BRIGHT)
    return found_HW.astype(np.uint8) * 255


def _glyphs(strokes_HW: Pixels, pixels_HW3: Pixels) -> _Glyphs:
    count, labels_HW, stats_L5, _ = cv2.connectedComponentsWithStats(strokes_HW, connectivity=8)
    left_L, top_L, width_L, height_L, area_L = np.asarray(stats_L5, np.float32).T
    tall = _TALLEST * strokes_HW.shape[0]
    good_L = (height_L >= _LOWEST) & (height_L <= tall) & (width_L <= 5 * height_L)
    good_L &= (area_L >= 0.12 * width_L * height_L) & (area_L >= 12)
    good_L[0] = False  # what is no stroke
    chosen = np.flatnonzero(good_L)
    if len(chosen) > _MOST_GLYPHS:  # foliage, crowds
        chosen = chosen[:0]
    inside = labels_HW > 0
    labels_N = labels_HW[inside]
    sums_3L = [np.bincount(labels_N, pixels_HW3[..., c][inside], minlength=count) for c in range(3)]
    colour_G3 = (np.stack(sums_3L, axis=1)[chosen] / area_L[chosen, None]).astype(np.float32)
    return _Glyphs(left_L[chosen], top_L[chosen], width_L[chosen], height_L[chosen], colour_G3)


def _lines(glyphs: _Glyphs) -> list[NDArray[np.intp]]:
    """Places of the glyphs of each line of lettering."""
    if len(glyphs.left_G) < _FEWEST:
        return []
    tall_GG = np.maximum(glyphs.height_G[:, None], glyphs.height_G)
    low_GG = np.minimum(glyphs.height_G[:, None], glyphs.height_G)
    bottom_G = glyphs.top_G + glyphs.height_G
    right_G = glyphs.left_G + glyphs.width_G
    gap_GG = np.maximum(glyphs.left_G[:, None], glyphs.left_G) - np.minimum(
        right_G[:, None], right_G
    )
    apart_GG = np.abs(glyphs.colour_G3[:, None] - glyphs.colour_G3).max(axis=2)
    beside_GG = (
        (np.abs(bottom_G[:, None] - bottom_G) <= 0.35 * tall_GG)
        & (tall_GG <= 2.2 * low_GG)
        & (gap_GG <= tall_GG)
        & (apart_GG <= _SAME_COLOUR)
    )
    lines, free_G = [], np.ones(len(bottom_G), bool)
    for first in range(len(bottom_G)):
        if not free_G[first]:
            continue
        member_G = np.zeros(len(bottom_G), bool)
        new = np.array([first])
        while len(new):
            member_G[new] = True
            new = np.flatnonzero(beside_GG[new].any(axis=0) & ~member_G)
        free_G &= ~member_G
        line = np.flatnonzero(member_G)
        if _is_line(glyphs, line):
            lines.append(line)
    return lines


def _is_line(glyphs: _Glyphs, line: NDArray[np.intp]) -> bool:
    if len(line) < _FEWEST:
        return False
    heights, bottoms = glyphs.height_G[line], (glyphs.top_G + glyphs.height_G)[line]
    lefts, rights = glyphs.left_G[line], (glyphs.left_G + glyphs.width_G)[line]
    tall = float(np.percentile(heights, 80))
    on_base = np.abs(bottoms - np.median(bottoms)) <= max(0.15 * tall, 2)
    wide = float(rights.max() - lefts.min())
    # Letters stand beside each other, not above.
    covered = float(glyphs.width_G[line].sum()) / wide
    return bool(on_base.mean() >= 0.6 and wide >= 2.5 * tall and covered <= 1.1)


def _middle(
    light_HW: Pixels, strokes_HW: Pixels, glyphs: _Glyphs, line: NDArray[np.intp]
) -> float | None:
    """Halfway between letters and what touches them; None where that is as in scenes."""
    bottoms = (glyphs.top_G + glyphs.height_G)[line]
    rights = (glyphs.left_G + glyphs.width_G)[line]
    top, left = (
        max(int(glyphs.top_G[line].min()) - 3, 0),
        max(int(glyphs.left_G[line].min()) - 3, 0),
    )
    box = np.s_[top : int(bottoms.max()) + 3, left : int(rights.max()) + 3]
    near_HW = cv2.dilate(strokes_HW[box], np.ones((3, 3), np.uint8))  # mixed by the codec
    ring_HW = cv2.dilate(strokes_HW[box], np.ones((5, 5), np.uint8)) > near_HW
    if not ring_HW.any():
        return None
    letters = float(np.median(light_HW[box][strokes_HW[box] > 0]))
    around = float(np.median(light_HW[box][ring_HW]))
    return (letters + around) / 2 if letters - around >= _STANDS_OUT else None


def _tall(glyphs: _Glyphs, line: NDArray[np.intp]) -> float:
    return float(np.percentile(glyphs.height_G[line], 80))


def _letters(
    strokes_HW: Pixels, pixels_HW3: Pixels, glyphs: _Glyphs, line: NDArray[np.intp]
) -> Pixels:
    """255 where a line has strokes of its colour: dots, stops and short words, too."""
    tall = _tall(glyphs, line)
    bottoms = (glyphs.top_G + glyphs.height_G)[line]
    rights = (glyphs.left_G + glyphs.width_G)[line]
    top = max(int(glyphs.top_G[line].min() - 0.3 * tall), 0)
    left = max(int(glyphs.left_G[line].min() - 1.5 * tall), 0)
    bottom, right = int(bottoms.max() + 0.3 * tall), int(rights.max() + 1.5 * tall)
    box = np.s_[top:bottom, left:right]
    colour_3 = np.median(glyphs.colour_G3[line], axis=0)
    like_HW = np.abs(pixels_HW3[box] - colour_3).max(axis=2) <= _SAME_COLOUR + 20
    part_HW = np.where(like_HW, strokes_HW[box], np.uint8(0))
    # What goes on beyond the line is of the picture.
    _, labels_HW = cv2.connectedComponents(part_HW, connectivity=8)
    edges = [labels_HW[0], labels_HW[-1], labels_HW[:, 0], labels_HW[:, -1]]
    beyond = np.unique(np.concatenate(edges))
    letters_HW = np.zeros_like(strokes_HW)
    letters_HW[box] = np.where(np.isin(labels_HW, beyond), np.uint8(0), part_HW)
    return letters_HW


def _cover(mask_HW: Pixels, letters_HW: Pixels, dark_HW: NDArray[np.bool_], reach: int) -> None:
    """Adds letters and their outline to the mask, and as little else as can be."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    small = np.ones((3, 3), np.uint8)
    outline_HW = (cv2.dilate(letters_HW, kernel) > 0) & dark_HW
    covered_HW = np.where(outline_HW, np.uint8(255), cv2.dilate(letters_HW, small))
    final_HW = cv2.dilate(covered_HW, small)  # what the codec made of the edges
    np.maximum(mask_HW, final_HW, out=mask_HW)


def _cover_box(
    mask_HW: Pixels,
    strokes_HW: Pixels,
    pixels_HW3: Pixels,
    glyphs: _Glyphs,
    line: NDArray[np.intp],
) -> None:
    """Adds the box of one colour behind a line to the mask, where there is one."""
    bottoms = (glyphs.top_G + glyphs.height_G)[line]
    rights = (glyphs.left_G + glyphs.width_G)[line]
    top, left = int(glyphs.top_G[line].min()), int(glyphs.left_G[line].min())
    bottom, right = int(bottoms.max()), int(rights.max())
    margin = round(1.2 * _tall(glyphs, line))
    first_y, first_x = max(top - margin, 0), max(left - margin, 0)
    window = np.s_[first_y : bottom + margin, first_x : right + margin]
    grown_HW = cv2.dilate(strokes_HW[window], np.ones((5, 5), np.uint8)) > 0
    part_HW3 = pixels_HW3[window].astype(np.int16)
    text = np.s_[top - first_y : bottom - first_y, left - first_x : right - first_x]
    between = ~grown_HW[text]
    if not between.any():
        return
    colour_3 = np.median(part_HW3[text][between], axis=0)
    same_HW = (np.abs(part_HW3 - colour_3).max(axis=2) <= _BOX_COLOUR) | grown_HW
    rows = _run_around(same_HW[:, text[1]].mean(axis=1) >= 0.9, text[0])
    columns = _run_around(same_HW[text[0]].mean(axis=0) >= 0.9, text[1])
    if rows is None or columns is None:
        return
    # It is a box only where it ends.
    if rows.start == 0 or rows.stop == len(same_HW):
        return
    mask_HW[window][
        max(rows.start - 2, 0) : rows.stop + 2, max(columns.start - 2, 0) : columns.stop + 2
    ] = 255


def _run_around(flags_N: NDArray[np.bool_], inner: slice) -> slice | None:
    """The longest slice of True that holds `inner`; None where `inner` is not all True."""
    if not flags_N[inner].all():
        return None
    before, behind = np.flatnonzero(~flags_N[: inner.start]), np.flatnonzero(~flags_N[inner.stop :])
    return slice(
        int(before[-1]) + 1 if len(before) else 0,
        inner.stop + int(behind[0]) if len(behind) else len(flags_N),
    )
