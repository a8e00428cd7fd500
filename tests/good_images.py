"""Sound pictures of every format and mode that is read, each with what it should decode to."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageDraw, PngImagePlugin

from tests.image_factory import exif, heic, photo, png, save, upright


@dataclass(frozen=True, slots=True)
class Good:
    """A sound file.

    Attributes:
        name: format and what is special about it.
        data: the file.
        expected: the upright RGB picture, before any scaling.
        tolerance: greatest mean absolute difference that is still the same picture (0-255).
    """

    name: str
    data: bytes
    expected: Image.Image
    tolerance: float = 2.0


def good_pictures(family: str) -> list[Good]:
    """Every kind of file of one family: "JPEG", "PNG", "WebP and GIF", "BMP", "TIFF"..."""
    return FAMILIES[family]()


def _see_through(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """The picture fading out to the right, and the same over white."""
    alpha = Image.linear_gradient("L").rotate(90).resize(image.size)
    faded = image.convert("RGBA")
    faded.putalpha(alpha)
    white = Image.new("RGB", image.size, (255, 255, 255))
    return faded, Image.composite(image, white, alpha)


def _cut_out(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """The picture, of few colours, with a transparent disc; and the same over white."""
    disc = Image.new("L", image.size, 255)
    ImageDraw.Draw(disc).ellipse((40, 40, 200, 200), fill=0)
    colors = image.quantize(255, dither=Image.Dither.NONE)
    colors.putpalette([*(colors.getpalette() or [])[: 3 * 255], 255, 0, 255])
    colors.paste(255, mask=disc.point(lambda value: 255 - value))
    white = Image.new("RGB", image.size, (255, 255, 255))
    return colors, Image.composite(image, white, disc)


def _jpegs() -> list[Good]:
    image, grey = photo(), photo().convert("L")
    odd = photo(321, 239)
    cmyk = image.convert("CMYK")
    plain = save(image, "JPEG", quality=92)
    black = np.full((*np.asarray(image).shape[:2], 1), 255, np.uint8)
    inverted_CMYK = np.concatenate([np.asarray(image), black], axis=2)
    ycck = simplejpeg.encode_jpeg(inverted_CMYK, colorspace="CMYK", quality=92)
    lossy = 3.0
    return [
        Good("jpeg", plain, image, lossy),
        Good("jpeg 4:4:4", save(image, "JPEG", quality=92, subsampling=0), image, lossy),
        Good(
            "jpeg 4:2:2 restarts",
            save(image, "JPEG", subsampling=1, restart_marker_rows=1),
            image,
            lossy,
        ),
        Good("jpeg progressive", save(image, "JPEG", quality=92, progressive=True), image, lossy),
        Good("jpeg odd sides", save(odd, "JPEG", quality=92), odd, lossy),
        Good("jpeg grey", save(grey, "JPEG", quality=92), grey.convert("RGB"), lossy),
        Good("jpeg CMYK", save(cmyk, "JPEG", quality=92), cmyk.convert("RGB"), lossy),
        Good("jpeg YCCK", ycck, image, lossy),
        Good("jpeg RGB", save(image, "JPEG", quality=92, keep_rgb=True), image, lossy),
        Good("jpeg then other data", plain + bytes(5000) + b"\xff\xda" * 500, image, lossy),
        Good("jpeg stray bytes", stray_bytes(plain), image, lossy),
        Good(
            "jpeg large profile",
            save(image, "JPEG", quality=92, icc_profile=bytes(300_000)),
            image,
            lossy,
        ),
        Good(
            "jpeg with thumbnail",
            save(image, "JPEG", quality=92, comment=plain[:9000]),
            image,
            lossy,
        ),
        Good(
            "mpo",
            save(image, "MPO", quality=92, save_all=True, append_images=[grey.convert("RGB")]),
            image,
            lossy,
        ),
        *(
            Good(
                f"jpeg orientation {turn}",
                save(image, "JPEG", quality=92, exif=exif(turn)),
                upright(image, turn),
                lossy,
            )
            for turn in range(1, 9)
        ),
    ]


def stray_bytes(jpeg: bytes) -> bytes:
    """A JPEG with padding before its first table, as some cameras write it."""
    table = jpeg.index(b"\xff\xdb")
    return jpeg[:table] + bytes(7) + jpeg[table:]


def _pngs() -> list[Good]:
    image, grey = photo(), photo().convert("L")
    faded, over_white = _see_through(image)
    cut, cut_over_white = _cut_out(image)
    few = image.quantize(16)
    deep, deep_grey = (
        np.asarray(image).astype(np.uint16) * 257,
        np.asarray(grey).astype(np.uint16) * 257,
    )
    bilevel = grey.point(lambda value: 255 * (value > 110), "1")
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "x" * 5_000_000, zip=True)
    grey_alpha = faded.convert("LA")
    grey_over_white = Image.composite(grey, Image.new("L", grey.size, 255), faded.getchannel("A"))
    house = np.asarray(image).copy()
    house[100:200, 50:150] = (1, 2, 3)
    no_house = house.copy()
    no_house[100:200, 50:150] = 255
    key = struct.pack(">HHH", 1, 2, 3)
    return [
        Good("png", save(image, "PNG"), image),
        Good("png grey", save(grey, "PNG"), grey.convert("RGB")),
        Good("png palette", save(few, "PNG"), few.convert("RGB")),
        Good("png 4-bit palette", save(few, "PNG", bits=4), few.convert("RGB")),
        Good(
            "png palette with a transparent color",
            save(cut, "PNG", transparency=255),
            cut_over_white,
            3.0,
        ),
        Good("png 1-bit", save(bilevel, "PNG"), bilevel.convert("RGB"), 4.0),
        Good("png RGBA", save(faded, "PNG"), over_white),
        Good("png grey with alpha", save(grey_alpha, "PNG"), grey_over_white.convert("RGB")),
        Good("png 16-bit", png(deep, 2), image),
        Good("png 16-bit grey", png(deep_grey, 0), grey.convert("RGB")),
        Good("png 16-bit RGBA", png(np.asarray(faded).astype(np.uint16) * 257, 6), over_white),
        Good("png interlaced", png(np.asarray(image), 2, interlaced=True), image),
        Good("png color key", png(house, 2, (b"tRNS", key)), Image.fromarray(no_house)),
        Good(
            "png 16-bit grey key",
            png(_grey_key(deep_grey), 0, (b"tRNS", b"\x12\x34")),
            _grey_hole(grey),
        ),
        Good(
            "png animated",
            save(image, "PNG", save_all=True, append_images=[faded.convert("RGB")]),
            image,
        ),
        Good("png long text", save(image, "PNG", pnginfo=text), image),
        Good(
            "png profile bomb",
            png(np.asarray(image), 2, (b"iCCP", b"x\0\0" + zlib.compress(bytes(50_000_000)))),
            image,
        ),
        *(
            Good(
                f"png orientation {turn}", save(image, "PNG", exif=exif(turn)), upright(image, turn)
            )
            for turn in (3, 6)
        ),
    ]


def _grey_key(values: NDArray[np.uint16]) -> NDArray[np.uint16]:
    values = values.copy()
    values[100:200, 50:150] = 0x1234
    return values


def _grey_hole(grey: Image.Image) -> Image.Image:
    values = np.asarray(grey).copy()
    values[100:200, 50:150] = 255
    return Image.fromarray(values).convert("RGB")


def _webps_and_gifs() -> list[Good]:
    image, other = photo(), Image.new("RGB", (320, 240), (10, 200, 10))
    faded, over_white = _see_through(image)
    cut, cut_over_white = _cut_out(image)
    few = image.quantize(128)
    grey = image.convert("L")
    moving = {"save_all": True, "append_images": [other], "duration": 40}
    return [
        Good("webp", save(image, "WEBP", quality=92), image, 3.0),
        Good("webp lossless", save(image, "WEBP", lossless=True), image),
        Good("webp alpha", save(faded, "WEBP", quality=92), over_white, 4.0),
        Good("webp lossless alpha", save(faded, "WEBP", lossless=True), over_white),
        Good("webp animated", save(image, "WEBP", quality=92, **moving), image, 3.0),
        Good("webp animated alpha", save(faded, "WEBP", lossless=True, **moving), over_white),
        *(
            Good(
                f"webp orientation {turn}",
                save(image, "WEBP", quality=92, exif=exif(turn)),
                upright(image, turn),
                3.0,
            )
            for turn in (2, 5, 8)
        ),
        Good("gif", save(few, "GIF"), few.convert("RGB")),
        Good("gif grey", save(grey, "GIF"), grey.convert("RGB")),
        Good("gif not interlaced", save(few, "GIF", interlace=0), few.convert("RGB")),
        Good("gif transparent", save(cut, "GIF", transparency=255), cut_over_white, 3.0),
        Good("gif animated", save(few, "GIF", **moving), few.convert("RGB")),
        Good("gif long comment", save(few, "GIF", comment=b"x" * 200_000), few.convert("RGB")),
    ]


def _bmps() -> list[Good]:
    image, grey = photo(), photo().convert("L")
    faded, over_white = _see_through(image)
    few = image.quantize(32)
    bilevel = grey.point(lambda value: 255 * (value > 110), "1")
    return [
        Good("bmp", save(image, "BMP"), image),
        Good("bmp grey", save(grey, "BMP"), grey.convert("RGB")),
        Good("bmp palette", save(few, "BMP"), few.convert("RGB")),
        Good("bmp 1-bit", save(bilevel, "BMP"), bilevel.convert("RGB"), 4.0),
        Good("bmp from the top", _top_down_bmp(image), image),
        Good("bmp 32 bits with alpha", _alpha_bmp(faded), over_white),
        Good("bmp run-length", _run_length_bmp(few), few.convert("RGB")),
    ]


def _top_down_bmp(image: Image.Image) -> bytes:
    data = bytearray(save(image.transpose(Image.Transpose.FLIP_TOP_BOTTOM), "BMP"))
    struct.pack_into("<i", data, 22, -image.height)
    return bytes(data)


def _alpha_bmp(image: Image.Image) -> bytes:
    red, green, blue, alpha = image.split()
    rows = (
        Image.merge("RGBA", (blue, green, red, alpha))
        .transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        .tobytes()
    )
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    info = struct.pack(
        "<IiiHHIIiiII4I", 108, *image.size, 1, 32, 3, len(rows), 0, 0, 0, 0, *masks
    ) + bytes(52)
    return (
        b"BM" + struct.pack("<IHHI", 14 + len(info) + len(rows), 0, 0, 14 + len(info)) + info + rows
    )


def _run_length_bmp(image: Image.Image) -> bytes:
    indices = np.asarray(image)
    body = bytearray()
    for row in indices[::-1]:
        changes = np.flatnonzero(np.diff(row)) + 1
        for run in np.split(row, changes):
            for start in range(0, len(run), 255):
                body += bytes([len(run[start : start + 255]), int(run[0])])
        body += b"\0\0"
    body += b"\0\1"
    palette = image.getpalette("RGB") or []
    colors = b"".join(
        bytes([*palette[at : at + 3][::-1], 0]) for at in range(0, len(palette), 3)
    ).ljust(1024, b"\0")
    info = struct.pack("<IiiHHIIiiII", 40, *image.size, 1, 8, 1, len(body), 0, 0, 256, 0)
    offset = 14 + len(info) + len(colors)
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + info + colors + body


def _tiffs() -> list[Good]:
    image, grey = photo(), photo().convert("L")
    faded, over_white = _see_through(image)
    few = image.quantize(32)
    cmyk = image.convert("CMYK")
    bilevel = grey.point(lambda value: 255 * (value > 110), "1")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    floats = Image.fromarray(np.asarray(grey).astype(np.float32) / 255)
    pages = save(image, "TIFF", save_all=True, append_images=[Image.new("RGB", (30, 3000))])
    ok, deep_color = cv2.imencode(".tiff", np.asarray(image)[..., ::-1].astype(np.uint16) * 257)
    assert ok
    return [
        Good("tiff", save(image, "TIFF"), image),
        *(
            Good(f"tiff {way}", save(image, "TIFF", compression=way), image)
            for way in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd")
        ),
        Good("tiff jpeg", save(image, "TIFF", compression="jpeg", quality=92), image, 3.0),
        Good("tiff big", save(image, "TIFF", big_tiff=True), image),
        Good("tiff grey", save(grey, "TIFF"), grey.convert("RGB")),
        Good("tiff 16-bit grey", save(deep, "TIFF"), grey.convert("RGB")),
        Good(
            "tiff 16-bit grey packed",
            save(deep, "TIFF", compression="tiff_lzw"),
            grey.convert("RGB"),
        ),
        Good("tiff 16-bit color", deep_color.tobytes(), image),
        Good("tiff float", save(floats, "TIFF"), grey.convert("RGB")),
        Good("tiff RGBA", save(faded, "TIFF"), over_white),
        Good("tiff palette", save(few, "TIFF"), few.convert("RGB")),
        Good("tiff CMYK", save(cmyk, "TIFF"), cmyk.convert("RGB")),
        Good("tiff fax", save(bilevel, "TIFF", compression="group4"), bilevel.convert("RGB"), 4.0),
        Good("tiff two pages", pages, image),
        *(
            Good(
                f"tiff orientation {turn}",
                save(image, "TIFF", exif=exif(turn)),
                upright(image, turn),
            )
            for turn in (4, 6, 7)
        ),
    ]


def _avifs_and_heics() -> list[Good]:
    image, grey = photo(), photo().convert("L")
    other = Image.new("RGB", image.size, (10, 200, 10))
    faded, over_white = _see_through(image)
    deep_grey = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    fine = {"quality": 90, "speed": 8}
    lossy = 3.0
    return [
        Good("avif", save(image, "AVIF", **fine), image, lossy),
        Good("avif 4:4:4", save(image, "AVIF", subsampling="4:4:4", **fine), image, lossy),
        Good("avif grey", save(grey, "AVIF", **fine), grey.convert("RGB"), lossy),
        Good("avif alpha", save(faded, "AVIF", **fine), over_white, 4.0),
        Good(
            "avif animated",
            save(image, "AVIF", save_all=True, append_images=[other], duration=40, **fine),
            image,
            lossy,
        ),
        *(
            Good(
                f"avif orientation {turn}",
                save(image, "AVIF", exif=exif(turn), **fine),
                upright(image, turn),
                lossy,
            )
            for turn in range(2, 9)
        ),
        Good("heic", heic(image), image, lossy),
        Good("heic grey", heic(grey), grey.convert("RGB"), lossy),
        Good("heic alpha", heic(faded), over_white, 4.0),
        Good("heic 10-bit grey", heic(deep_grey), grey.convert("RGB"), lossy),
        Good("heic tiles", heic(photo(640, 512), tile_size=256), photo(640, 512), lossy),
        *(
            Good(
                f"heic orientation {turn}",
                heic(image, exif=exif(turn).tobytes()),
                upright(image, turn),
                lossy,
            )
            for turn in range(2, 9)
        ),
    ]


FAMILIES: dict[str, Callable[[], list[Good]]] = {
    "JPEG": _jpegs,
    "PNG": _pngs,
    "WebP and GIF": _webps_and_gifs,
    "BMP": _bmps,
    "TIFF": _tiffs,
    "AVIF and HEIC": _avifs_and_heics,
}
