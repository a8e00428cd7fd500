"""One decoder for each picture format: bytes -> RGB pixels over white, at least as large as needed.

Each format has the decoder that was measured to be fast, to release the GIL and to be correct about
transparency and 16 bits (`benchmarks/bench_decode.py`):

    JPEG                  libjpeg-turbo (simplejpeg), straight to the smallest scale that suffices
    WebP                  OpenCV: Pillow holds the GIL meanwhile and needs twice the memory
    HEIC                  libheif (pillow_heif), where the extra `heic` is installed
    PNG GIF TIFF AVIF BMP Pillow's plugin, called directly: no search through forty formats
    run-length BMP        OpenCV: Pillow's decoder is a loop in Python

Colour profiles are ignored: values are taken for sRGB, which costs wide-gamut photos a little
saturation.

This module does not know limits (the caller has checked the header against them), the model's size,
or orientation other than what a container says. It raises whatever the libraries raise; `images`
turns that into `ImageInvalid`. Importing it sets process-wide switches: one thread per picture,
because callers work on many pictures at once, and no chatter on stderr.

Shapes: H, W of the picture after the decoder's own scaling; C is 3 or 4; 3 = red, green, blue.
"""

import contextlib
import ctypes
import importlib
import io
import logging
import warnings
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    _imaging,
)

from inkling_server.errors import ImageInvalid
from inkling_server.images.boxes import still_avif
from inkling_server.images.header import Header, essential_gif, essential_png, jpeg_scan_count

cv2.setNumThreads(1)
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
try:
    # An extra of its own: its wheels carry x265 (GPL), an encoder that nothing here calls.
    pillow_heif: Any = importlib.import_module("pillow_heif")
except ImportError:
    pillow_heif = None
else:
    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.options.THUMBNAILS = False
    pillow_heif.options.DEPTH_IMAGES = False
    pillow_heif.options.AUX_IMAGES = False
warnings.filterwarnings("ignore", module=r"PIL\.")  # about metadata of damaged files
logging.getLogger("PIL").setLevel(logging.CRITICAL)  # the same, and what the files hold
with contextlib.suppress(AttributeError):  # a libtiff linked into Pillow cannot be reached so
    _libtiff = ctypes.CDLL(_imaging.__file__)
    _libtiff.TIFFSetErrorHandler(None)
    _libtiff.TIFFSetWarningHandler(None)
# The caller's own limits were checked on the header; Pillow's bomb warning would only repeat them.
Image.MAX_IMAGE_PIXELS = None

_EXIF_ORIENTATION = 0x0112
# Each scan of a progressive JPEG walks over every block: few bytes, much work. Encoders write ten.
_FEWEST_SCANS, _MOST_SCANS, _SCANNED_PIXELS = 16, 64, 500_000_000
# What TurboJPEG refuses and libjpeg, which Pillow calls, reads as every viewer does: bytes between
# segments, which some cameras write; slips in headers; rare layouts of colour.
_HARMLESS = (
    "extraneous bytes before marker",
    "unknown JFIF revision",
    "Invalid SOS parameters for sequential",
    "Unknown Adobe color transform",
    "Inconsistent progression sequence",
    "subsampling level",
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded first frame.

    Attributes:
        pixels_HW3: uint8 RGB, perhaps averaged down by its decoder.
        width, height: how many of these pixels the picture covers. A decoder that averages rounds
            up: 2,250 rows in blocks of eight are 281.25 pixels, stored as 282.
        orientation: EXIF orientation 1-8 that remains to be applied.
    """

    pixels_HW3: NDArray[np.uint8]
    width: float
    height: float
    orientation: int


def load(data: bytes, header: Header, needed: int) -> Picture:
    """Decodes the first frame.

    Args:
        data: the encoded picture.
        header: what `read_header` said of it.
        needed: the decoder may shrink by itself while the shorter side keeps this many pixels.
    """
    match header.format:
        case "JPEG":
            return _jpeg(data, header, needed)
        case "WebP":
            return _opencv(data, header, needed)
        case "BMP" if header.run_length:
            return _opencv(data, header, needed)
        case "HEIC":
            return _heic(data, header, needed)
        case _:
            return _pillow(data, header, needed)


def _jpeg(data: bytes, header: Header, needed: int) -> Picture:
    if not header.one_scan:
        _check_scans(data, header)
    colorspace = "CMYK" if header.channels == 4 else "RGB"
    try:
        pixels_HWC: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, colorspace, min_height=needed, min_width=needed, strict=True
        )
    except ValueError as error:
        problem = str(error)
        if "Premature end of JPEG" in problem:
            raise ImageInvalid("truncated JPEG: the data ends before the picture does") from None
        if any(words in problem for words in _HARMLESS):
            return _pillow(data, header, needed)
        raise
    if colorspace == "CMYK":
        # Adobe's convention, which every CMYK JPEG in the wild follows: 255 is no ink.
        key_HW3 = cv2.cvtColor(np.ascontiguousarray(pixels_HWC[..., 3]), cv2.COLOR_GRAY2RGB)
        colors_HW3 = np.ascontiguousarray(pixels_HWC[..., :3])
        pixels_HWC = np.asarray(cv2.multiply(colors_HW3, key_HW3, scale=1 / 255), np.uint8)
    height, width = pixels_HWC.shape[:2]
    eighths = round(8 * max(height, width) / max(header.height, header.width))
    return Picture(
        pixels_HWC, header.width * eighths / 8, header.height * eighths / 8, header.orientation
    )


def _check_scans(data: bytes, header: Header) -> None:
    most = _SCANNED_PIXELS // (header.width * header.height)
    most = min(max(most, _FEWEST_SCANS), _MOST_SCANS)
    # The quick count may see scan markers in a thumbnail or in data after the picture.
    if data.count(b"\xff\xda") > most and jpeg_scan_count(data) > most:
        raise ImageInvalid(f"JPEG of this size with more than {most} scans")


def _opencv(data: bytes, header: Header, needed: int) -> Picture:
    pixels_HWC = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels_HWC is None:
        raise ValueError("OpenCV cannot decode this")
    if pixels_HWC.ndim == 2:
        pixels_HWC = cv2.cvtColor(pixels_HWC, cv2.COLOR_GRAY2BGR)
    swap = cv2.COLOR_BGRA2RGBA if pixels_HWC.shape[2] == 4 else cv2.COLOR_BGR2RGB
    cv2.cvtColor(pixels_HWC, swap, dst=pixels_HWC)  # in place
    return _from_array(np.asarray(pixels_HWC, np.uint8), "RGBA", header.orientation, needed)


def _heic(data: bytes, header: Header, needed: int) -> Picture:
    if pillow_heif is None:
        raise ImageInvalid("HEIC: this server was installed without the extra `heic`")
    container = pillow_heif.open_heif(data)
    primary = container[container.primary_index]
    if primary.mode not in ("RGB", "RGBA", "RGBa"):
        return _from_image(primary.to_pillow(), header.orientation, needed)
    return _from_array(np.asarray(primary), primary.mode, header.orientation, needed)


_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}


def _pillow(data: bytes, header: Header, needed: int) -> Picture:
    # Text, comments and animation are cut out first: they can cost more than the picture.
    if header.format == "PNG":
        data = essential_png(data)
    elif header.format == "GIF":
        data = essential_gif(data)
    elif header.format == "AVIF":
        data = still_avif(data)
    image = _PLUGINS[header.format](io.BytesIO(data))
    if header.format == "JPEG":
        image.draft(None, (needed, needed))
    image.load()
    orientation = header.orientation
    if header.format == "AVIF":  # the container's rotation, which Pillow reports in EXIF's terms
        orientation = int(image.getexif().get(_EXIF_ORIENTATION, 1))
    return _from_image(image, orientation, needed)


def _from_array(pixels_HWC: NDArray[np.uint8], mode: str, orientation: int, needed: int) -> Picture:
    height, width, channels = pixels_HWC.shape
    if channels == 3:
        return Picture(pixels_HWC, width, height, orientation)
    image = Image.frombuffer(mode, (width, height), pixels_HWC, "raw", mode, 0, 1)  # no copy
    return _from_image(image, orientation, needed)


def _from_image(image: Image.Image, orientation: int, needed: int) -> Picture:
    """RGB over white, averaged down by a whole factor where that saves copying."""
    if image.mode.startswith("I;16"):
        image = _high_bytes(image)
    if image.has_transparency_data:
        image = image if image.mode in ("RGBA", "RGBa") else image.convert("RGBA")
    elif image.mode not in ("L", "RGB", "I", "F"):
        image = image.convert("RGB")
    width, height = image.size
    factor = max(min(width, height) // needed, 1)
    if factor > 1:
        image = image.reduce(factor)
    if image.mode in ("I", "F"):
        image = _stretched(image)
    if image.mode in ("RGBA", "RGBa"):
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(image, mask=image.getchannel("A"))
        image = white
    pixels_HW3 = np.asarray(image.convert("RGB"))
    return Picture(pixels_HW3, width / factor, height / factor, orientation)


def _high_bytes(image: Image.Image) -> Image.Image:
    """16-bit grey as 8-bit grey over white, by its full range; Pillow itself would clip it."""
    values_HW = np.asarray(image)
    grey_HW = (values_HW >> 8).astype(np.uint8)
    see_through = image.info.get("transparency")
    if isinstance(see_through, int):
        grey_HW[values_HW == see_through] = 255
    return Image.fromarray(grey_HW)


def _stretched(image: Image.Image) -> Image.Image:
    """Wide or fractional greys, whose white nobody states, by the range that they use."""
    values_HW = np.asarray(image).astype(np.float32)
    values_HW = np.nan_to_num(values_HW, posinf=0.0, neginf=0.0).clip(0.0)
    top = float(values_HW.max())
    white = next((white for white in (1.0, 255.0, 65535.0) if top <= white), top)
    return Image.fromarray((values_HW * (255.0 / white)).astype(np.uint8))
