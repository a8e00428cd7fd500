"""Files that must be refused, each with the error that it must raise."""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from inkling_server.errors import ImageInvalid, ImageTooLarge
from tests.image_factory import heic, photo, png_chunk, save, small_files

HUGE = 30_000  # pixels a side: 900 million pixels


@dataclass(frozen=True, slots=True)
class Broken:
    """A file that must be refused, the error for it, and a word that the error's text holds."""

    name: str
    data: bytes
    error: type[Exception]
    says: str


def broken_pictures() -> list[Broken]:
    """Files that are no pictures, are damaged, or claim more than is allowed."""
    files = small_files()
    jpeg = files["JPEG"]
    text = b"This is a letter, not a picture. " * 40
    return [
        Broken("empty", b"", ImageInvalid, "empty"),
        Broken("one byte", b"\xff", ImageInvalid, "too short"),
        Broken("zero bytes", bytes(4096), ImageInvalid, "zero bytes"),
        Broken("text", text, ImageInvalid, "text"),
        Broken(
            "text in another language",
            "Dies ist kein Bild, sondern ein schöner Brief. ".encode() * 40,
            ImageInvalid,
            "text",
        ),
        Broken(
            "web page", b"<!DOCTYPE html><html><body>404</body></html>" * 9, ImageInvalid, "text"
        ),
        Broken(
            "svg",
            b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
            ImageInvalid,
            "SVG",
        ),
        Broken("pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(100), ImageInvalid, "PDF"),
        Broken(
            "video",
            b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(100),
            ImageInvalid,
            "video",
        ),
        Broken(
            "unknown format",
            b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(100),
            ImageInvalid,
            "not read here",
        ),
        Broken("noise", np.random.default_rng(7).bytes(5000), ImageInvalid, "known format"),
        *(
            Broken(f"{name} truncated", data[: len(data) * 2 // 3], ImageInvalid, "truncated")
            for name, data in files.items()
        ),
        *(
            Broken(f"{name} header only", data[:24], ImageInvalid, name)
            for name, data in files.items()
        ),
        Broken(
            "jpeg without a frame",
            jpeg[:2] + jpeg[jpeg.index(b"\xff\xda") :],
            ImageInvalid,
            "frame header",
        ),
        Broken("jpeg of scans", scan_bomb(), ImageInvalid, "scans"),
        Broken("heic of tiles", tile_bomb(), ImageInvalid, "tiles"),
        Broken("tiff with rare packing", _rare_tiff(), ImageInvalid, "compression"),
        Broken("png bomb", png_bomb(), ImageTooLarge, "image side"),
        *(
            Broken(f"{name} huge header", data, ImageTooLarge, "over the limit")
            for name, data in huge_headers().items()
        ),
    ]


def png_bomb(side: int = HUGE) -> bytes:
    """A sound PNG of 900 million black pixels in about 110 KB."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    squeeze = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    body = b"".join(squeeze.compress(row * 100) for _ in range(side // 100)) + squeeze.flush()
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        png_chunk(kind, part) for kind, part in [(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")]
    )


def scan_bomb(scans: int = 300) -> bytes:
    """A progressive JPEG that repeats its last scan: few bytes, a walk over all blocks for each."""
    data = save(photo(96, 72), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + data[-2:]


def huge_headers(side: int = HUGE) -> dict[str, bytes]:
    """Each format's small file, claiming `side` squared (WebP: the most that it can)."""
    files = {name: bytearray(data) for name, data in small_files().items()}
    sides = struct.pack(">II", side, side)
    frame = files["JPEG"].index(b"\xff\xc0")
    struct.pack_into(">HH", files["JPEG"], frame + 5, side, side)
    files["PNG"][8:33] = png_chunk(b"IHDR", sides + bytes(files["PNG"][24:29]))
    files["WebP"][24:30] = (16_383).to_bytes(3, "little") * 2
    struct.pack_into("<HH", files["GIF"], 6, side, side)
    struct.pack_into("<ii", files["BMP"], 18, side, side)
    for tag in (256, 257):
        struct.pack_into("<HII", files["TIFF"], _tiff_tag(files["TIFF"], tag) + 2, 4, 1, side)
    for name in ("AVIF", "HEIC"):
        claim = files[name].find(b"ispe")
        while claim >= 0:
            files[name][claim + 8 : claim + 16] = sides
            claim = files[name].find(b"ispe", claim + 1)
    return {name: bytes(data) for name, data in files.items()}


def _rare_tiff() -> bytes:
    data = bytearray(small_files()["TIFF"])
    struct.pack_into("<HIH", data, _tiff_tag(data, 259) + 2, 3, 1, 34_661)
    return bytes(data)


def lying_avif(truly: int, claimed: int) -> bytes:
    """An AVIF that says it is small in its boxes while the AV1 picture in it is not."""
    data = save(Image.new("RGB", (truly, truly), (90, 120, 30)), "AVIF")
    return data.replace(struct.pack(">II", truly, truly), struct.pack(">II", claimed, claimed))


def tile_bomb(claimed_tile: int = 8_000) -> bytes:
    """A HEIC grid of 640 x 512 whose six tiles claim to be far larger than the whole."""
    data = heic(photo(640, 512), tile_size=256)
    tile = b"ispe" + bytes(4) + struct.pack(">II", 256, 256)
    assert tile in data
    return data.replace(tile, tile[:8] + struct.pack(">II", claimed_tile, claimed_tile))


def _tiff_tag(data: bytearray, wanted: int) -> int:
    """Offset of a tag's entry in the first directory."""
    (directory,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, directory)
    for at in range(directory + 2, directory + 2 + 12 * count, 12):
        if data[at : at + 2] == struct.pack("<H", wanted):
            return at
    raise AssertionError(f"no tag {wanted}")
