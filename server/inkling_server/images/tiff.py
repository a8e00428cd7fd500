"""TIFF directories: the size of a TIFF picture, and the orientation in EXIF data, which is a TIFF.

This module knows no pixels and no limits; see `header`.

Sources: TIFF 6.0, BigTIFF, Exif 2.32 section 4.6.
"""

import struct
from collections.abc import Iterator

from inkling_server.errors import ImageInvalid

_MAX_TAGS = 4096  # of one directory; no honest one has more
_MAX_PIECES = 65_536  # strips or tiles: Pillow takes some microseconds for each
# None, fax (3), LZW, JPEG, deflate (2), PackBits, Zstandard. Others would make libtiff chatter.
_TIFF_COMPRESSIONS = {1, 2, 3, 4, 5, 7, 8, 32946, 32773, 50000}


def tiff_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels of the first page, or of its tiles where they are larger.

    Raises:
        ImageInvalid: packed in a way that is not read, or in far too many pieces.
        struct.error: the data ends early.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    (offset,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    tags = dict(_tiff_tags(data, order, offset, big))
    _, width = tags.get(256, (0, 0))
    _, height = tags.get(257, (0, 0))
    for tag in (322, 323):  # a tile is decoded whole, however small the picture
        _, side = tags.get(tag, (0, 0))
        width, height = (max(width, side), height) if tag == 322 else (width, max(height, side))
    _, compression = tags.get(259, (1, 1))
    if compression not in _TIFF_COMPRESSIONS:
        raise ImageInvalid(f"TIFF compression {compression} is not read here")
    if max(tags.get(tag, (0, 0))[0] for tag in (273, 324)) > _MAX_PIECES:
        raise ImageInvalid(f"TIFF with more than {_MAX_PIECES:,} strips or tiles")
    return width, height


def _tiff_tags(
    data: bytes, order: str, offset: int, big: bool
) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yields tag, (number of values, first value where it is stored here) of integer tags."""
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, offset)
    offset += 8 if big else 2
    for _ in range(min(count, _MAX_TAGS)):
        tag, kind, number = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, offset)
        code = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(kind)
        if code and (big or code != "Q"):
            (value,) = struct.unpack_from(order + code, data, offset + (12 if big else 8))
            yield tag, (number, value)
        offset += 20 if big else 12


def exif_orientation(exif: bytes) -> int:
    """Orientation 1-8 of an EXIF block (a TIFF directory); 1 where it says none or nonsense."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (offset,) = struct.unpack_from(order + "I", exif, 4)
        _, value = dict(_tiff_tags(exif, order, offset, big=False)).get(274, (1, 1))
    except struct.error:
        return 1
    return value if 1 <= value <= 8 else 1
