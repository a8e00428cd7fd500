"""Picture bytes -> the encoder's pixels, the same in training and in serving.

`decode` checks every limit on the header alone, decodes the first frame, lays transparency over
white, scales and cuts it as the model's `PixelSpec` says, and turns it upright last, when it is
small. This module does not know formats (`header`, `codecs` do), models, tags, files or
gRPC, and keeps no state between pictures: any number of threads may decode at once.

Shapes: H, W of the picture after its decoder's own scaling, S = `PixelSpec.size`, 3 = red, green,
blue.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inkling_server.errors import ImageInvalid, ImageTooLarge, InklingError
from inkling_server.images.codecs import Picture, load
from inkling_server.images.header import Header, read_header
from inkling_server.model_manifest import PixelSpec


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What one picture may cost. All are checked on the header, before any pixel is allocated.

    Attributes:
        max_bytes: of the encoded picture. A request holds this much memory while it waits.
        max_pixels: width times height as stored. A decoder holds up to 13 bytes a pixel while it
            works, in each decoding thread (800 MB for an AVIF of 64 million with transparency; a
            baseline JPEG a tenth of a byte), and takes up to 40 ns a pixel of one processor.
        max_side: of either side, in pixels; longer strips carry no more meaning than this.
    """

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 64_000_000
    max_side: int = 16_384


def decode(data: bytes, spec: PixelSpec, limits: ImageLimits = ImageLimits()) -> NDArray[np.uint8]:
    """Decodes a picture to the pixels that the encoder wants.

    Args:
        data: the encoded picture; its format is told by its content, never by a name.
        spec: size and geometry that the model was trained with.
        limits: what the picture may cost.

    Returns:
        uint8 RGB [S, S, 3], C-contiguous.

    Raises:
        ImageInvalid: not a picture in a known format, truncated or damaged.
        ImageTooLarge: over one of `limits`.
    """
    if len(data) > limits.max_bytes:
        raise ImageTooLarge("image bytes", len(data), limits.max_bytes)
    header = read_header(data)
    _check_size(header, limits)
    try:
        picture = load(data, header, _shorter_side(spec))
        square_SS3 = _to_square(picture, spec)
    except InklingError:
        raise
    except Exception as error:
        # Decoders raise nearly anything on damaged input; their texts may quote it, so drop them.
        raise ImageInvalid(
            f"{header.format} that cannot be decoded: truncated, damaged or of a rare kind"
        ) from error
    return np.ascontiguousarray(_upright(square_SS3, picture.orientation))


def decode_whole(
    data: bytes, longest: int, limits: ImageLimits = ImageLimits()
) -> NDArray[np.uint8]:
    """Decodes all of a picture, for whoever looks at more of it than the encoder's square.

    Args:
        data: the encoded picture.
        longest: its longer side in pixels, at most; larger pictures are scaled down.
        limits: what the picture may cost.

    Returns:
        uint8 RGB [H, W, 3], upright, C-contiguous.

    Raises:
        ImageInvalid, ImageTooLarge: as `decode`.
    """
    if len(data) > limits.max_bytes:
        raise ImageTooLarge("image bytes", len(data), limits.max_bytes)
    header = read_header(data)
    _check_size(header, limits)
    scale = min(longest / max(header.width, header.height), 1.0)
    try:
        picture = load(data, header, max(math.ceil(scale * min(header.width, header.height)), 1))
        pixels_HW3 = picture.pixels_HW3
        scale = min(longest / max(picture.width, picture.height), 1.0)
        if scale < 1:
            size = max(round(scale * picture.width), 1), max(round(scale * picture.height), 1)
            pixels_HW3 = np.asarray(
                cv2.resize(pixels_HW3, size, interpolation=cv2.INTER_AREA), np.uint8
            )
    except InklingError:
        raise
    except Exception as error:
        raise ImageInvalid(
            f"{header.format} that cannot be decoded: truncated, damaged or of a rare kind"
        ) from error
    return np.ascontiguousarray(_upright(pixels_HW3, picture.orientation))


def cut(pixels_HW3: NDArray[np.uint8], spec: PixelSpec) -> NDArray[np.uint8]:
    """Cuts and scales upright RGB pixels as `decode` does: for a video's frames.

    Returns:
        uint8 RGB [S, S, 3], C-contiguous.
    """
    height, width = pixels_HW3.shape[:2]
    return np.ascontiguousarray(_to_square(Picture(pixels_HW3, width, height, 1), spec))


def _check_size(header: Header, limits: ImageLimits) -> None:
    if header.width < 1 or header.height < 1:
        raise ImageInvalid(f"damaged {header.format} picture: it has no pixels")
    longer = max(header.width, header.height)
    if longer > limits.max_side:
        raise ImageTooLarge("image side in pixels", longer, limits.max_side)
    pixels = header.width * header.height
    if pixels > limits.max_pixels:
        raise ImageTooLarge("image pixels", pixels, limits.max_pixels)


def _shorter_side(spec: PixelSpec) -> int:
    """Length of the scaled picture's shorter side, before the crop."""
    return spec.size if spec.fit == "squash" else round(spec.size / spec.crop_fraction)


def _to_square(picture: Picture, spec: PixelSpec) -> NDArray[np.uint8]:
    """Cuts and scales at exact positions: whole blocks are averaged, the rest is interpolated.

    Averaging first means that no stored pixel is skipped; both steps together cost less than an
    exact area average and move nothing by a fraction of a pixel, so that the same photo gives the
    same pixels whatever its format, and turning commutes with cutting.
    """
    size = spec.size
    pixels_HW3, width, height = picture.pixels_HW3, picture.width, picture.height
    box_width, box_height = width, height
    if spec.fit == "crop":
        box_width = box_height = min(width, height) * size / _shorter_side(spec)
    left, top = (width - box_width) / 2, (height - box_height) / 2
    factor_x, factor_y = max(int(box_width / size), 1), max(int(box_height / size), 1)
    if factor_x > 1 or factor_y > 1:
        # Cut before averaging: no work on what is thrown away.
        x, columns = _blocks(left, box_width, factor_x, pixels_HW3.shape[1])
        y, rows = _blocks(top, box_height, factor_y, pixels_HW3.shape[0])
        region_HW3 = pixels_HW3[y : y + rows * factor_y, x : x + columns * factor_x]
        pixels_HW3 = np.asarray(
            cv2.resize(region_HW3, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8
        )
        left, box_width = (left - x) / factor_x, box_width / factor_x
        top, box_height = (top - y) / factor_y, box_height / factor_y
    step_x, step_y = box_width / size, box_height / size
    # Pixel i covers [i, i + 1): its centre lies at i + 0.5.
    to_source = np.array(
        [
            [step_x, 0.0, left + 0.5 * step_x - 0.5],
            [0.0, step_y, top + 0.5 * step_y - 0.5],
        ]
    )
    smooth = cv2.INTER_LINEAR if min(step_x, step_y) >= 1.0 else cv2.INTER_CUBIC
    square_SS3 = cv2.warpAffine(
        np.ascontiguousarray(pixels_HW3),
        to_source,
        (size, size),
        flags=smooth | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(square_SS3, np.uint8)


def _blocks(start: float, length: float, factor: int, available: int) -> tuple[int, int]:
    """First pixel and number of `factor`-wide blocks that cover [start, start + length)."""
    first = int(start)
    wanted = math.ceil((start + length - first) / factor)
    return first, min(wanted, (available - first) // factor)


def _upright(pixels_SS3: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Applies EXIF orientation 1-8 to the square: cutting the centre commutes with turning."""
    if orientation >= 5:
        pixels_SS3 = pixels_SS3.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels_SS3 = pixels_SS3[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels_SS3 = pixels_SS3[::-1]
    return pixels_SS3
