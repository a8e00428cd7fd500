"""One decoded frame -> a thumbnail, the encoder's square, a JPEG for readers of text.

Part of the decoding process: it knows FFmpeg's frames, and no files, times or limits.

Shapes: H, W of a frame; S = `PixelSpec.size`; P = 3 planes, G = `sampling.GRID`.
"""

from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from inkling_server.images import cut
from inkling_server.model_manifest import PixelSpec
from inkling_server.video.captions import cleaned
from inkling_server.video.records import FULL_LONG_SIDE
from inkling_server.video.sampling import GRID, Thumbnail

# Three planes of eight bits, luma first.
_PLANAR = frozenset(
    f"yuv{kind}{layout}p" for kind in ("", "j") for layout in ("420", "422", "444", "440", "411")
)
_SAMPLES = 4 * GRID  # a side; more would be averaged away
_JPEG_QUALITY = 90
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_HD_HEIGHT = 720
_ITU709 = 1


def thumbnail(frame: Any) -> Thumbnail:
    """Luma and colour of a frame [P, G, G], whatever its format; cheap for the usual ones."""
    if frame.format.name in _PLANAR and all(plane.line_size > 0 for plane in frame.planes):
        return np.stack([_small(plane) for plane in frame.planes])
    # The other formats differ in depth and layout: FFmpeg knows them all.
    small = frame.reformat(GRID, GRID, format="yuv444p", interpolation="AREA")
    return np.asarray(small.to_ndarray(), np.uint8)


def _small(plane: Any) -> NDArray[np.uint8]:
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[
        : plane.height, : plane.width
    ]
    step_y, step_x = max(plane.height // _SAMPLES, 1), max(plane.width // _SAMPLES, 1)
    samples = np.ascontiguousarray(rows[::step_y, ::step_x])
    return np.asarray(cv2.resize(samples, (GRID, GRID), interpolation=cv2.INTER_AREA), np.uint8)


def upright(frame: Any, pixel_aspect: float) -> NDArray[np.uint8]:
    """A frame's RGB pixels [H, W, 3] as players show them: turned, square pixels, over white.

    Args:
        frame: as decoded.
        pixel_aspect: width of a stored pixel by its height.
    """
    # Files often do not say, and then HD means BT.709 to every player.
    unsaid = frame.colorspace == _UNSPECIFIED and frame.height >= _HD_HEIGHT
    space = _ITU709 if unsaid else None
    if any(component.is_alpha for component in frame.format.components):
        rgba_HW4 = frame.to_ndarray(format="rgba", src_colorspace=space)
        alpha_HW1 = rgba_HW4[..., 3:].astype(np.uint16)
        mixed = (rgba_HW4[..., :3] * alpha_HW1 + 255 * (255 - alpha_HW1)) // 255
        pixels_HW3 = mixed.astype(np.uint8)
    else:
        pixels_HW3 = frame.to_ndarray(format="rgb24", src_colorspace=space)
    width, height = shown_size(frame.width, frame.height, pixel_aspect)
    if (width, height) != (frame.width, frame.height):
        pixels_HW3 = cv2.resize(pixels_HW3, (width, height), interpolation=cv2.INTER_LINEAR)
    turns = quarter_turns(frame)
    return np.ascontiguousarray(np.rot90(pixels_HW3, turns) if turns else pixels_HW3)


def shown_size(width: int, height: int, pixel_aspect: float) -> tuple[int, int]:
    """Width and height with square pixels, before turning: the longer way is squeezed."""
    if pixel_aspect > 1:
        return width, max(round(height / pixel_aspect), 1)
    return max(round(width * pixel_aspect), 1), height


def quarter_turns(frame: Any) -> int:
    """Counter-clockwise quarter turns that set the frame upright, 0 to 3."""
    return round(float(frame.rotation) / 90) % 4


def square(pixels_HW3: NDArray[np.uint8], spec: PixelSpec) -> NDArray[np.uint8]:
    """The encoder's pixels [S, S, 3]: without captions and bars, cut as pictures are."""
    return cut(cleaned(pixels_HW3), spec)


def jpeg(pixels_HW3: NDArray[np.uint8]) -> bytes:
    """The frame for readers of text: a JPEG of at most `FULL_LONG_SIDE` pixels a side."""
    height, width = pixels_HW3.shape[:2]
    scale = FULL_LONG_SIDE / max(height, width)
    if scale < 1:
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        scaled = cv2.resize(pixels_HW3, size, interpolation=cv2.INTER_AREA)
        pixels_HW3 = np.asarray(scaled, np.uint8)
    data: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels_HW3), quality=_JPEG_QUALITY, colorsubsampling="444"
    )
    return data
