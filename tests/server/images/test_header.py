"""Headers say format, size and orientation without a pixel being touched."""

import struct
import zlib

import pytest

from inkling_server.errors import ImageInvalid
from inkling_server.images.header import (
    essential_gif,
    essential_png,
    jpeg_scan_count,
    read_header,
)
from inkling_server.images.tiff import exif_orientation
from tests.broken_images import scan_bomb
from tests.image_factory import FORMATS, exif, photo, png_chunk, save, small_files


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("size", [(96, 72), (65, 131)])
def test_format_and_size_are_read(name: str, size: tuple[int, int]) -> None:
    header = read_header(FORMATS[name](photo(*size)))
    assert header.format == name
    if name != "HEIC":  # HEVC stores whole blocks, which the container then crops
        assert (header.width, header.height) == size
    assert header.width * header.height >= size[0] * size[1]


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_orientation_in_both_byte_orders(order: str) -> None:
    mark = b"II" if order == "<" else b"MM"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, 6, 0)
    block = mark + struct.pack(order + "HIH", 42, 8, 1) + entry + bytes(4)
    assert exif_orientation(block) == 6
    for damaged in (b"", block[:5], block[:15], b"XX" + block[2:], block[:4] + b"\xff" * 4):
        assert exif_orientation(damaged) == 1


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_orientation_is_read_from_the_container(name: str) -> None:
    assert read_header(save(photo(), name, exif=exif(5))).orientation == 5


def test_scans_are_counted_up_to_the_end_of_the_picture() -> None:
    progressive = save(photo(), "JPEG", progressive=True)
    assert jpeg_scan_count(small_files()["JPEG"]) == 1
    assert jpeg_scan_count(progressive) == 10
    assert jpeg_scan_count(progressive + b"\xff\xda\0\2" * 500) == 10
    assert jpeg_scan_count(scan_bomb(200)) == 210


def test_a_jpeg_of_one_scan_is_known_from_its_headers() -> None:
    plain = save(photo(), "JPEG")
    scan = plain.index(b"\xff\xda")
    assert read_header(plain).one_scan
    assert read_header(save(photo().convert("L"), "JPEG")).one_scan
    # One component of three in its first scan: more scans must follow.
    assert not read_header(plain[: scan + 4] + b"\1" + plain[scan + 5 :]).one_scan
    assert not read_header(save(photo(), "JPEG", progressive=True)).one_scan
    frame = plain.index(b"\xff\xc0")
    for marker, one in ((0xC1, True), (0xC2, False), (0xC9, True), (0xCA, False)):
        changed = plain[: frame + 1] + bytes([marker]) + plain[frame + 2 :]
        assert read_header(changed).one_scan is one, hex(marker)
    assert not read_header(plain[:scan] + b"\xff\xd9").one_scan


def test_png_keeps_only_what_the_first_picture_needs() -> None:
    plain = small_files()["PNG"]
    text = png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(10**6)))
    assert essential_png(plain[:33] + text * 50 + plain[33:]) == plain
    with pytest.raises(ImageInvalid, match="chunks"):
        essential_png(plain[:33] + png_chunk(b"teXt", b"") * 70_000 + plain[33:])


def test_gif_keeps_only_what_the_first_picture_needs() -> None:
    commented = save(photo().quantize(8), "GIF", comment=b"x" * 10_000)
    assert b"xxxx" in commented
    assert b"xxxx" not in essential_gif(commented)
    start = commented.index(b"\x21\xfe")
    blocks = b"\x21\xfe" + b"\x01x" * 70_000 + b"\0"
    with pytest.raises(ImageInvalid, match="blocks"):
        read_header(commented[:start] + blocks + commented[start:])
