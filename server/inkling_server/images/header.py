"""What a picture's first bytes say of it: format, size, orientation. No pixel is touched.

These small parsers exist because limits must be checked before any decoder allocates, and several
decoders allocate when they open a file. They believe nothing: a chunk or segment that lies about
its length ends the walk. They do not know limits, and they do not decide whether a picture is
sound: that is the decoder's part.

Sources: ITU-T T.81 (JPEG), PNG 3rd edition, RFC 9649 (WebP), GIF89a, BITMAPINFOHEADER; for TIFF
and EXIF see `tiff`, for AVIF and HEIC `boxes`.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from inkling_server.errors import ImageInvalid
from inkling_server.images.boxes import largest_size
from inkling_server.images.tiff import exif_orientation, tiff_size

Format = Literal["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "AVIF", "HEIC"]
FORMATS: tuple[Format, ...] = ("JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "AVIF", "HEIC")

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}
_BMP_HEADERS = {bytes([size, 0, 0, 0]) for size in (12, 40, 52, 56, 64, 108, 124)}
# Walks over segments, chunks and boxes stop here: no honest header is longer.
_MAX_STEPS = 4096
# Walks over all of a picture's chunks stop here, which is 20 MB of chunks of 300 bytes.
_MAX_CHUNKS = 65_536


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture claims to be.

    Attributes:
        format: one of `FORMATS`.
        width, height: as stored, before orientation, in pixels; the largest claim where there are
            several (canvas and frame, grid and tile).
        orientation: EXIF orientation 1-8; 1 where the decoder itself turns the picture.
        channels: colour components of a JPEG (4 = CMYK or YCCK); 0 for other formats.
        one_scan: a JPEG of which decoders read only the first scan.
        run_length: a BMP whose rows are run-length coded.
    """

    format: Format
    width: int
    height: int
    orientation: int = 1
    channels: int = 0
    one_scan: bool = False
    run_length: bool = False


def read_header(data: bytes) -> Header:
    """Reads format and claimed size.

    Raises:
        ImageInvalid: empty, no known picture format, or a header that ends early.
    """
    name = _sniff(data)
    try:
        return _PARSERS[name](data)
    except (struct.error, IndexError):
        raise ImageInvalid(f"truncated {name}: the data ends within the header") from None


def _sniff(data: bytes) -> Format:
    head = data[:16]
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if head[4:8] == b"ftyp":
        brands = _brands(data)
        if brands & _AVIF_BRANDS:
            return "AVIF"
        if brands & _HEIC_BRANDS:
            return "HEIC"
    if head.startswith(b"BM") and data[14:18] in _BMP_HEADERS:
        return "BMP"
    raise ImageInvalid(f"{_what_it_is(data)}; allowed: {', '.join(FORMATS)}")


def _what_it_is(data: bytes) -> str:
    """A guess that helps the caller; never a quotation of the data."""
    head = data[:512]
    if not head:
        return "empty: 0 bytes"
    if len(head) < 12:
        return f"too short for a picture: {len(head)} bytes"
    if not head.strip(b"\0"):
        return "the data begins with zero bytes only"
    if head[4:8] == b"ftyp" or head.startswith((b"\x1aE\xdf\xa3", b"\0\0\x01\xba")):
        return "this looks like a video or another media container, not a picture"
    if head.startswith(b"%PDF"):
        return "this is a PDF document, not a picture"
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ", b"\0\0\0\x0cjP  ", b"\xffO\xffQ", b"8BPS")):
        return "a picture format that is not read here"
    if b"<svg" in head:
        return "an SVG drawing is not read here"
    try:
        head[:-3].decode("utf-8")
    except UnicodeDecodeError:
        return "not a picture in a known format"
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        return "this is text, not a picture"
    return "not a picture in a known format"


def _jpeg(data: bytes) -> Header:
    width = height = channels = scanned = 0
    orientation = 1
    progressive = False
    position = 2
    for _ in range(_MAX_STEPS):
        if data[position] != 0xFF:
            position += 1  # stray bytes between segments: decoders skip them too
            continue
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            position += 2
            continue
        if marker == 0xD9:
            break
        if marker == 0xDA:  # start of the pixels
            scanned = data[position + 4]
            break
        (length,) = struct.unpack_from(">H", data, position + 2)
        body = position + 4
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width, channels = struct.unpack_from(">xHHB", data, body)
            progressive |= marker & 3 == 2
        elif marker == 0xE1 and data[body : body + 6] == b"Exif\0\0":
            orientation = exif_orientation(data[body + 6 : position + 2 + length])
        position += 2 + length
    if not channels:
        raise ImageInvalid("damaged JPEG: no frame header before the pixels")
    # As libjpeg decides it (jdinput.c, initial_setup): a sequential frame whose first scan holds
    # all of its components is over with that scan.
    one_scan = not progressive and channels <= scanned
    return Header("JPEG", width, height, orientation, channels, one_scan)


# Anything but a stuffed zero, a restart marker or a fill byte ends entropy-coded data.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def jpeg_scan_count(data: bytes) -> int:
    """Scans of a JPEG up to its end-of-image marker; stops counting at `_MAX_STEPS`."""
    scans = 0
    position = 2
    for _ in range(_MAX_STEPS):
        found = _NEXT_MARKER.search(data, position)
        if found is None or found.group() == b"\xff\xd9" or found.end() + 2 > len(data):
            break
        scans += found.group() == b"\xff\xda"
        (length,) = struct.unpack_from(">H", data, found.end())
        position = found.end() + length
    return scans


def _png(data: bytes) -> Header:
    if data[12:16] != b"IHDR":
        raise ImageInvalid("damaged PNG: IHDR is not the first chunk")
    width, height = struct.unpack_from(">II", data, 16)
    orientation = 1
    position = 8
    for _ in range(_MAX_STEPS):
        if position + 8 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"eXIf":
            orientation = exif_orientation(data[position + 8 : position + 8 + length])
            break
        position += 12 + length
    return Header("PNG", width, height, orientation)


def essential_png(data: bytes) -> bytes:
    """The PNG without text, profiles, times and animation: only what its first picture needs."""
    parts = [data[:8]]
    position = 8
    for _ in range(_MAX_CHUNKS):
        if position + 8 > len(data):
            return b"".join(parts)
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            parts.append(data[position:end])
        position = end
    raise ImageInvalid(f"PNG with more than {_MAX_CHUNKS:,} chunks")


def _webp(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
        return Header("WebP", width, height)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return Header("WebP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind != b"VP8X":
        raise ImageInvalid("damaged WebP: unknown first chunk")
    width = int.from_bytes(data[24:27], "little") + 1
    height = int.from_bytes(data[27:30], "little") + 1
    if len(data) < 30:
        raise IndexError
    orientation = 1
    position = 12
    for _ in range(_MAX_STEPS):
        if position + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"EXIF":
            body = data[position + 8 : position + 8 + length]
            orientation = exif_orientation(body.removeprefix(b"Exif\0\0"))
            break
        position += 8 + length + (length & 1)
    return Header("WebP", width, height, orientation)


def _gif(data: bytes) -> Header:
    width, height = struct.unpack_from("<HH", data, 6)
    _, position = _gif_first_frame(data)
    left, top, frame_width, frame_height = struct.unpack_from("<HHHH", data, position + 1)
    return Header("GIF", max(width, left + frame_width), max(height, top + frame_height))


def essential_gif(data: bytes) -> bytes:
    """The GIF without comments: palette, the first frame's transparency, and all frames."""
    control, frame = _gif_first_frame(data)
    return data[: _gif_body(data)] + control + data[frame:]


def _gif_body(data: bytes) -> int:
    """Offset of the first block after the global palette."""
    flags = data[10]
    return 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)


def _gif_first_frame(data: bytes) -> tuple[bytes, int]:
    """The first frame's graphic control extension (or nothing) and the offset of its descriptor."""
    control = b""
    position = _gif_body(data)
    steps = 0
    while data[position] == 0x21:
        start = position
        position += 2
        while size := data[position]:
            position += 1 + size
            steps += 1
            if steps > _MAX_CHUNKS:
                raise ImageInvalid(f"GIF with more than {_MAX_CHUNKS:,} blocks before its picture")
        position += 1
        if data[start + 1] == 0xF9:
            control = data[start:position]
    if data[position] != 0x2C:
        raise ImageInvalid("damaged GIF: no picture in it")
    return control, position


def _bmp(data: bytes) -> Header:
    (header_size,) = struct.unpack_from("<I", data, 14)
    if header_size == 12:
        width, height = struct.unpack_from("<HH", data, 18)
        return Header("BMP", width, height)
    width, height, compression = struct.unpack_from("<ii4xI", data, 18)
    # A negative height says: stored from the top.
    return Header("BMP", width, abs(height), run_length=compression in (1, 2))


def _tiff(data: bytes) -> Header:
    return Header("TIFF", *tiff_size(data))


def _brands(data: bytes) -> set[bytes]:
    """Major and compatible brands; of a truncated file, those that are there."""
    stop = min(int.from_bytes(data[:4], "big"), len(data), 256)
    return {data[8:12]} | {data[at : at + 4] for at in range(16, stop, 4)}


def _avif(data: bytes) -> Header:
    return Header("AVIF", *largest_size(data, "AVIF"))


def _heic(data: bytes) -> Header:
    return Header("HEIC", *largest_size(data, "HEIC"))


_PARSERS: dict[Format, Callable[[bytes], Header]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WebP": _webp,
    "GIF": _gif,
    "BMP": _bmp,
    "TIFF": _tiff,
    "AVIF": _avif,
    "HEIC": _heic,
}
