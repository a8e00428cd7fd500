"""How large the pictures in an AVIF or HEIC file really are, before anything is decoded.

Such a file states its size beside the coded pictures, and nothing forces the two to agree: a file
of two kilobytes that claims 100 x 80 can hold an AV1 picture of 16,384 x 16,384, or a grid that
repeats one tile 65,536 times. libheif compares claim and picture itself; for AVIF the AV1 sequence
headers are read here. Only kinds of items that cameras and encoders write are let through to
libheif, whose rarer ones have been its weak spots.

This module does not know limits and decodes nothing. A box that lies about its length ends the
walk.

Sources: ISO/IEC 14496-12 (boxes), 23008-12 (items, grids), AV1 specification 5.3-5.5 (OBUs).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inkling_server.errors import ImageInvalid

_MAX_STEPS = 4096  # boxes of one level, items, OBUs of one picture
_HEIC_ITEMS = {b"hvc1", b"grid", b"Exif", b"mime", b"uri ", b"tmap"}
# Tiles may stick out of their grid, but not by more than one row and column each.
_TILE_WASTE, _TILE_SLACK = 4, 1 << 22


@dataclass(frozen=True, slots=True)
class _Items:
    """A file's items by their ids."""

    kinds: dict[int, bytes]
    contents: dict[int, bytes]
    sizes: dict[int, tuple[int, int]]
    tiles: dict[int, tuple[int, ...]]


def largest_size(data: bytes, name: Literal["AVIF", "HEIC"]) -> tuple[int, int]:
    """The largest width and the largest height of any picture in the file, in pixels.

    Raises:
        ImageInvalid: no picture, an item of an unusual kind, or a grid of far too many tiles.
        struct.error, IndexError: the data ends early.
    """
    if name == "HEIC" and any(kind == b"moov" for kind, _, _ in _boxes(data, 0, len(data))):
        raise ImageInvalid("a HEIC sequence is not read here; allowed: still HEIC pictures")
    items = _read_items(data, pictures=name == "AVIF")
    if name == "HEIC" and not _HEIC_ITEMS.issuperset(items.kinds.values()):
        raise ImageInvalid("HEIC with items other than HEVC pictures and grids of them")
    sizes = list(items.sizes.values())
    for item, kind in items.kinds.items():
        if kind == b"grid":
            sizes.append(_grid_size(item, items))
        elif kind == b"av01":
            sizes.append(_av1_size(items.contents.get(item, b"")))
    if not sizes:
        raise ImageInvalid(f"damaged {name}: no picture in it")
    return max(width for width, _ in sizes), max(height for _, height in sizes)


def still_avif(data: bytes) -> bytes:
    """The file branded as still, not as a sequence: decoders then take its still picture."""
    return data[:8] + b"avif" + data[12:] if data[8:12] == b"avis" else data


def _grid_size(item: int, items: _Items) -> tuple[int, int]:
    _, flags, _, _ = struct.unpack_from(">BBBB", items.contents.get(item, b""))
    width, height = struct.unpack_from(">II" if flags & 1 else ">HH", items.contents[item], 4)
    tiled = sum(
        items.sizes[tile][0] * items.sizes[tile][1]
        for tile in items.tiles.get(item, ())
        if tile in items.sizes
    )
    if tiled > _TILE_WASTE * width * height + _TILE_SLACK:
        raise ImageInvalid("damaged picture: its tiles are far larger than the whole")
    return width, height


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yields (kind, body start, end) of the boxes between two offsets."""
    for _ in range(_MAX_STEPS):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        body = start + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, body)
            body += 8
        stop = end if size == 0 else start + size
        if stop < body or stop > end:
            return
        yield kind, body, stop
        start = stop


def _child(data: bytes, kind: bytes, start: int, end: int) -> tuple[int, int]:
    for found, body, stop in _boxes(data, start, end):
        if found == kind:
            return body, stop
    raise struct.error("a box is missing")


def _read_items(data: bytes, *, pictures: bool) -> _Items:
    meta, meta_end = _child(data, b"meta", 0, len(data))
    parts = {kind: (body, stop) for kind, body, stop in _boxes(data, meta + 4, meta_end)}
    if b"iinf" not in parts or b"iprp" not in parts or b"iloc" not in parts:
        raise struct.error("a box is missing")
    kinds = dict(_item_kinds(data, *parts[b"iinf"]))
    wanted = {
        item for item, kind in kinds.items() if kind == b"grid" or (pictures and kind == b"av01")
    }
    return _Items(
        kinds,
        dict(_item_contents(data, parts[b"iloc"][0], parts.get(b"idat", (0, 0)), wanted)),
        dict(_item_sizes(data, *parts[b"iprp"])),
        dict(_item_tiles(data, *parts[b"iref"])) if b"iref" in parts else {},
    )


def _item_kinds(data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    entries = start + (6 if data[start] == 0 else 8)
    for _, body, _ in _boxes(data, entries, end):
        version = data[body]
        if version >= 2:
            item, kind = struct.unpack_from(">H2x4s" if version == 2 else ">I2x4s", data, body + 4)
            yield item, kind


def _item_contents(
    data: bytes, start: int, idat: tuple[int, int], wanted: set[int]
) -> Iterator[tuple[int, bytes]]:
    version = data[start]
    offset_size, length_size = data[start + 4] >> 4, data[start + 4] & 15
    base_size, index_size = data[start + 5] >> 4, data[start + 5] & 15 if version else 0
    position = start + 6

    def number(size: int) -> int:
        nonlocal position
        position += size
        if position > len(data):
            raise struct.error("the data ends within iloc")
        return int.from_bytes(data[position - size : position], "big")

    for _ in range(min(number(2 if version < 2 else 4), _MAX_STEPS)):
        item = number(2 if version < 2 else 4)
        in_idat = bool(version and number(2) & 15 == 1)
        number(2)
        base = number(base_size)
        parts = []
        for _ in range(min(number(2), _MAX_STEPS)):
            number(index_size)
            offset, length = base + number(offset_size), number(length_size)
            first, last = idat if in_idat else (0, len(data))
            stop = min(first + offset + length, last) if length else last
            if item in wanted:
                parts.append(data[first + offset : stop])
        if item in wanted:
            yield item, b"".join(parts)


def _item_sizes(data: bytes, start: int, end: int) -> Iterator[tuple[int, tuple[int, int]]]:
    container = _child(data, b"ipco", start, end)
    properties = [
        struct.unpack_from(">II", data, body + 4) if kind == b"ispe" else None
        for kind, body, _ in _boxes(data, *container)
    ]
    for kind, body, _ in _boxes(data, start, end):
        if kind != b"ipma":
            continue
        wide_id, wide_index = data[body] >= 1, data[body + 3] & 1
        (count,) = struct.unpack_from(">I", data, body + 4)
        position = body + 8
        for _ in range(min(count, _MAX_STEPS)):
            item, links = struct.unpack_from(">IB" if wide_id else ">HB", data, position)
            position += 5 if wide_id else 3
            for _ in range(links):
                (index,) = struct.unpack_from(">H" if wide_index else ">B", data, position)
                position += 2 if wide_index else 1
                index &= 0x7FFF if wide_index else 0x7F
                if 1 <= index <= len(properties) and (size := properties[index - 1]):
                    yield item, (size[0], size[1])


def _item_tiles(data: bytes, start: int, end: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    code = "I" if data[start] else "H"
    for kind, body, _ in _boxes(data, start + 4, end):
        if kind == b"dimg":
            item, count = struct.unpack_from(f">{code}H", data, body)
            yield (
                item,
                struct.unpack_from(f">{count}{code}", data, body + struct.calcsize(f">{code}H")),
            )


def _av1_size(content: bytes) -> tuple[int, int]:
    """The largest size that any sequence header of a coded AV1 picture allows."""
    sizes = [_sequence_size(body) for kind, body in _obus(content) if kind == 1]
    if not sizes:
        raise ImageInvalid("damaged AVIF: a picture without a sequence header")
    return max(width for width, _ in sizes), max(height for _, height in sizes)


def _obus(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields (type, first bytes of the body) of the open bitstream units."""
    position = 0
    for _ in range(_MAX_STEPS):
        if position >= len(content):
            return
        header = content[position]
        position += 2 if header & 4 else 1
        size = len(content) - position
        if header & 2:
            size = 0
            for shift in range(0, 56, 7):
                byte = content[position]
                position += 1
                size |= (byte & 127) << shift
                if byte < 128:
                    break
        yield header >> 3 & 15, content[position : position + min(size, 256)]
        position += size
    raise ImageInvalid("damaged AVIF: too many parts in one picture")


def _sequence_size(body: bytes) -> tuple[int, int]:
    """Maximal frame size of an AV1 sequence header (5.5.1)."""
    bits, left = int.from_bytes(body, "big"), 8 * len(body)

    def read(count: int) -> int:
        nonlocal left
        left -= count
        if left < 0:
            raise struct.error("the data ends within a sequence header")
        return bits >> left & ((1 << count) - 1)

    read(4)  # profile, still picture
    if read(1):  # reduced header
        read(5)
    else:
        delay_bits = 0
        if read(1):  # timing
            read(64)
            if read(1):  # equal intervals: a number in unary-prefixed code
                zeros = 0
                while not read(1):
                    zeros += 1
                read(zeros)
            if read(1):  # decoder model
                delay_bits = read(5) + 1
                read(42)
        display_delay = read(1)
        for _ in range(read(5) + 1):  # operating points
            read(12)
            if read(5) > 7:
                read(1)
            if delay_bits and read(1):
                read(2 * delay_bits + 1)
            if display_delay and read(1):
                read(4)
    width_bits, height_bits = read(4) + 1, read(4) + 1
    return read(width_bits) + 1, read(height_bits) + 1
