"""Pictures with known words in them, and pictures without any, for `bench_ocr`.

Captions over photos as their authors draw them: plain, outlined, with a shadow, on a box; and
screenshots: text on flat ground. Photos are those that come with scikit-image, and, where there is
sample data, its photos enlarged. Fonts are those that come with Matplotlib and Pillow. Two sets
that share no photo, no caption and no seed: thresholds are chosen on "choose", figures reported of
"report". Everything is seeded. Nothing here knows a recogniser.
"""

import io
import json
import random
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import skimage.data
from PIL import Image, ImageDraw, ImageFont

SIZES = (16, 24, 32, 48)
STYLES = ("plain", "outline", "shadow", "box")
SETS = ("choose", "report")
_FONTS = {
    "Aileron": None,
    "DejaVu Sans Bold": "DejaVuSans-Bold.ttf",
    "DejaVu Serif": "DejaVuSerif.ttf",
    "DejaVu Sans Mono": "DejaVuSansMono.ttf",
    "STIX": "STIXGeneral.ttf",
    "STIX Italic": "STIXGeneralItalic.ttf",
}
# None of them has words in it.
_PHOTOS = {
    "choose": ("coffee.png", "camera.png", "grass.png", "motorcycle_left.png"),
    "report": ("chelsea.png", "rocket.jpg", "hubble_deep_field.jpg", "gravel.png"),
}
# Of the sample data's photos, those where no sign or label is likely.
_BARE_PART = "scenes-8"
_BARE_CLASSES = frozenset({"bedroom", "desert", "landscape", "rainforest"})
_BARE_COUNT = 80
_CAPTIONS = {
    "choose": (
        "Morning run along the river",
        "My new film camera arrived today",
        "Three ways to fold a paper crane",
        "Homemade ramen, take two",
        "Wait for the end",
        "First snow of the season",
        "How I trained my border collie",
        "Day 12 of learning the cello",
        "Vintage denim haul",
        "Best street food in Bangkok",
        "Small balcony, big tomato harvest",
        "Watercolor tips for beginners",
    ),
    "report": (
        "Hot air balloons over Cappadocia",
        "Easy sourdough bread recipe",
        "Weekend hike in the Dolomites",
        "What I eat in a day",
        "Restoring a 1967 motorcycle",
        "Latte art for beginners",
        "Sunset surf session",
        "10 minute yoga stretch",
        "Our golden retriever puppy",
        "Night market street photography",
        "Knitting a wool sweater",
        "Moving to a tiny house",
        "Mechanical keyboard build log",
        "Wildflower garden in July",
        "Vegan chocolate cake, no oven",
        "Camping under the stars",
    ),
}
_PARAGRAPHS = {
    "choose": (
        "Packed the tent this morning and drove north. The road follows the lake for an hour, then"
        " climbs into pine forest. Bring a warm jacket: nights are cold even in June.",
    ),
    "report": (
        "The bakery on the corner opens at six. By seven the rye is gone, so come early and bring"
        " cash. Ask for the seeded loaf; it keeps for a week in a paper bag.",
        "We tested eight running shoes on wet rock. Two of them gripped well, but only one was"
        " comfortable after twenty miles. Prices start at ninety dollars.",
    ),
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """One picture and what is written in it.

    Attributes:
        picture: JPEG.
        text: the words; empty: there are none.
        size: height of the font in pixels; 0 without text.
        style: of `STYLES`, "screenshot" or "none".
    """

    picture: bytes
    text: str
    size: int
    style: str


def captions(which: str) -> Iterator[Rendered]:
    """Captions over photos: every caption in every size, each time in another style and font."""
    draw = random.Random(f"captions {which}")
    photos = [_photo(name) for name in _PHOTOS[which]]
    for index, text in enumerate(_CAPTIONS[which]):
        for step, size in enumerate(SIZES):
            for turn in range(2):
                style = STYLES[(index + step + 2 * turn) % len(STYLES)]
                font = _font(draw.choice(tuple(_FONTS)), size)
                photo = photos[(index + step + turn) % len(photos)].copy()
                _caption(photo, text, font, style, draw)
                yield Rendered(_jpeg(photo), text, size, style)


def screenshots(which: str) -> Iterator[Rendered]:
    """Paragraphs as apps show them, light and dark."""
    for text in _PARAGRAPHS[which]:
        for size in SIZES:
            for ground, ink in (
                ("white", "#222222"),
                ("#15202b", "#e7e9ea"),
                ("#f4efe6", "#5b4636"),
            ):
                font = _font("Aileron" if size % 32 else "DejaVu Serif", size)
                page = Image.new("RGB", (720, 960), ground)
                draw = ImageDraw.Draw(page)
                rows = _wrapped(text, font, 640)
                draw.rectangle((0, 0, 720, 56), fill=ink)
                draw.multiline_text((40, 110), "\n".join(rows), ink, font=font, spacing=size // 2)
                yield Rendered(_jpeg(page), text, size, "screenshot")


def bare(which: str, sample_data: Path | None) -> Iterator[Rendered]:
    """Photos without text: those of `captions`, and 80 of the sample data, as they
    are and enlarged: rooms and landscapes.
    """
    photos = [_photo(name) for name in _PHOTOS[which]]
    if sample_data is not None:
        split = "train" if which == "choose" else "val"
        photos += _sample(sample_data / "images", split)
    for photo in photos:
        yield Rendered(_jpeg(photo), "", 0, "none")
        if max(photo.size) < 400:
            scale = 720 / max(photo.size)
            size = round(scale * photo.width), round(scale * photo.height)
            yield Rendered(_jpeg(photo.resize(size, Image.Resampling.LANCZOS)), "", 0, "none")


def _photo(name: str) -> Image.Image:
    folder = Path(skimage.data.__file__).parent
    photo = Image.open(folder / name).convert("RGB")
    scale = 720 / max(photo.size)
    return photo.resize((round(scale * photo.width), round(scale * photo.height)))


def _sample(images: Path, split: str) -> list[Image.Image]:
    found: list[Image.Image] = []
    picture = b""
    for path in sorted(images.glob(f"{_BARE_PART}-*.tar")):
        with tarfile.open(path) as shard:
            for member in shard:
                data = shard.extractfile(member)
                assert data is not None
                if member.name.endswith(".webp"):
                    picture = data.read()
                    continue
                record = json.load(data)
                if record["split"] == split and record["class"] in _BARE_CLASSES:
                    found.append(Image.open(io.BytesIO(picture)).convert("RGB"))
                if len(found) == _BARE_COUNT:
                    return found
    return found


def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    file = _FONTS[name]
    if file is None:
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont)
        return font
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / file, size)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> Sequence[str]:
    rows = [""]
    for word in text.split():
        longer = f"{rows[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            rows[-1] = longer
        else:
            rows.append(word)
    return rows


def _caption(
    photo: Image.Image,
    text: str,
    font: ImageFont.FreeTypeFont,
    style: str,
    random_: random.Random,
) -> None:
    draw = ImageDraw.Draw(photo)
    rows = "\n".join(_wrapped(text, font, int(photo.width * 0.85)))
    left, top, right, bottom = draw.multiline_textbbox((0, 0), rows, font=font)
    room = photo.width - right - 24, photo.height - bottom - 24
    x = random_.randint(12, max(12, int(room[0])))
    y = random_.randint(12, max(12, int(room[1])))
    around = (x + left - 10, y + top - 8, x + right + 10, y + bottom + 8)
    region = np.asarray(photo.crop((x, y, x + int(right), y + int(bottom))).convert("L"))
    bright = float(region.mean()) > 120
    match style:
        case "plain":  # what an author would see well there
            colors = ("black", "#1a1a70") if bright else ("white", "#ffe14d")
            draw.multiline_text((x, y), rows, random_.choice(colors), font=font)
        case "outline":
            ink, edge = random_.choice(
                (("white", "black"), ("#ffe14d", "black"), ("black", "white"))
            )
            width = max(1, round(font.size / 14))
            draw.multiline_text((x, y), rows, ink, font=font, stroke_width=width, stroke_fill=edge)
        case "shadow":
            offset = max(1, round(font.size / 12))
            draw.multiline_text((x + offset, y + offset), rows, "black", font=font)
            draw.multiline_text((x, y), rows, "white", font=font)
        case _:
            ground, ink = random_.choice(
                (("black", "white"), ("white", "black"), ("#d6254f", "white"))
            )
            draw.rectangle(around, fill=ground)
            draw.multiline_text((x, y), rows, ink, font=font)


def _jpeg(photo: Image.Image) -> bytes:
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=88)
    return file.getvalue()
