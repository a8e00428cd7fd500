"""Test pictures made in memory: a drawn photo, its encoders, and one small file of each format.

The picture is drawn, smooth enough that a lossy codec stays near it and asymmetric, so that a wrong
turn or a wrong crop shows. `good_images` and `broken_images` build on this. Nothing here knows the
decoder under test.
"""

import functools
import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

ORIENTATION = 0x0112


def photo(width: int = 320, height: int = 240) -> Image.Image:
    """A drawn landscape: sky, hill, sun and a house; nothing in it is symmetric."""
    rows = np.linspace(0.0, 1.0, height)[:, None, None]
    sky, ground = np.array([90, 150, 235]), np.array([70, 130, 50])
    pixels = (sky * (1 - rows) + ground * rows) * np.ones((1, width, 1))
    image = Image.fromarray(pixels.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    w, h = width, height
    draw.ellipse((0.62 * w, 0.1 * h, 0.78 * w, 0.1 * h + 0.16 * w), fill=(250, 210, 60))
    draw.polygon([(0, 0.9 * h), (0.45 * w, 0.35 * h), (w, 0.95 * h)], fill=(120, 95, 70))
    draw.rectangle((0.2 * w, 0.55 * h, 0.42 * w, 0.85 * h), fill=(180, 40, 45))
    return image.filter(ImageFilter.GaussianBlur(min(w, h) / 80))


def save(image: Image.Image, format_name: str, **options: object) -> bytes:
    """The picture as a file of one of Pillow's formats."""
    out = io.BytesIO()
    image.save(out, format_name, **options)
    return out.getvalue()


def heic(image: Image.Image, **options: object) -> bytes:
    """The picture as HEIC."""
    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, quality=90, **options)
    return out.getvalue()


def exif(orientation: int) -> Image.Exif:
    """EXIF data that says nothing but the orientation."""
    data = Image.Exif()
    data[ORIENTATION] = orientation
    return data


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """What a viewer shows for a picture stored with this EXIF orientation."""
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation)
    return image if turn is None else image.transpose(turn)


def png(
    pixels: NDArray[np.generic],
    color_type: int,
    *extra: tuple[bytes, bytes],
    interlaced: bool = False,
) -> bytes:
    """A PNG in a layout that Pillow does not write: 16 bits, Adam7, any chunk before the pixels."""
    height, width = pixels.shape[:2]
    depth = pixels.dtype.itemsize * 8
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [
            (0, 0, 8, 8),
            (4, 0, 8, 8),
            (0, 4, 4, 8),
            (2, 0, 4, 4),
            (0, 2, 2, 4),
            (1, 0, 2, 2),
            (0, 1, 1, 2),
        ]
    rows = [
        b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes()
        for x, y, step_x, step_y in passes
        for row in pixels[y::step_y, x::step_x]
    ]
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        png_chunk(kind, body)
        for kind, body in [
            (b"IHDR", header),
            *extra,
            (b"IDAT", zlib.compress(b"".join(rows))),
            (b"IEND", b""),
        ]
    )


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


FORMATS: dict[str, Callable[[Image.Image], bytes]] = {
    "JPEG": lambda image: save(image, "JPEG", quality=90),
    "PNG": lambda image: save(image, "PNG"),
    "WebP": lambda image: save(image, "WEBP", quality=90),
    "GIF": lambda image: save(image.quantize(), "GIF"),
    "BMP": lambda image: save(image, "BMP"),
    "TIFF": lambda image: save(image, "TIFF", compression="tiff_lzw"),
    "AVIF": lambda image: save(image, "AVIF", quality=80),
    "HEIC": heic,
}


@functools.cache
def small_files() -> dict[str, bytes]:
    """One small sound file of each format: what fuzzing and truncation start from."""
    image = photo(96, 72)
    return {
        "JPEG": save(image, "JPEG", quality=85),
        "PNG": save(image, "PNG"),
        "WebP": save(image, "WEBP", quality=85, exif=exif(6)),
        "GIF": save(image.quantize(64), "GIF", comment=b"hello"),
        "BMP": save(image, "BMP"),
        "TIFF": save(image, "TIFF", compression="tiff_lzw"),
        "AVIF": save(image, "AVIF", quality=80, exif=exif(3)),
        "HEIC": heic(image),
    }
