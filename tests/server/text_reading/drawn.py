"""Pictures with and without words, drawn with what comes with scikit-image and Pillow."""

import io
from pathlib import Path

import skimage.data
from PIL import Image, ImageDraw, ImageFont

PHOTOS = ("chelsea.png", "coffee.png", "rocket.jpg", "hubble_deep_field.jpg")


def photo(name: str) -> Image.Image:
    """One of scikit-image's own photos, 640 pixels wide."""
    found = Image.open(Path(skimage.data.__file__).parent / name).convert("RGB")
    return found.resize((640, round(640 * found.height / found.width)))


def captioned(name: str, text: str, size: int, *, outlined: bool = True) -> bytes:
    """A photo with a caption, white with a black edge, or on a box."""
    image = photo(name)
    font = ImageFont.load_default(size)
    draw = ImageDraw.Draw(image)
    if outlined:
        draw.text((24, 40), text, "white", font=font, stroke_width=2, stroke_fill="black")
    else:
        draw.rectangle((14, 30, 40 + draw.textlength(text, font=font), 52 + size), fill="#202020")
        draw.text((24, 36), text, "white", font=font)
    return encoded(image)


def encoded(image: Image.Image, form: str = "JPEG") -> bytes:
    """The file."""
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()
