"""The real recogniser: captions are read, and bare photos say nothing."""

import re

import numpy as np
import pytest

from inkling_server import images
from inkling_server.images import ImageLimits
from inkling_server.text_reading import TextReadingLimits, open_text_reader, recognizer
from inkling_server.text_reading.lines import read_text
from inkling_server.text_reading.recognizer import LONGEST, MIN_CONFIDENCE, Recognizer
from tests.own_processes import OwnChildren
from tests.server.text_reading.drawn import PHOTOS, captioned, encoded, photo

pytestmark = pytest.mark.skipif(bool(recognizer.missing_packages()), reason="needs the extra ocr")
CAPTIONS = (
    "Fresh pasta in ten minutes",
    "Visiting the botanical garden",
    "How to repair a bicycle chain",
    "Three days in Iceland",
)


@pytest.fixture(scope="module")
def ocr() -> Recognizer:
    return Recognizer()


def text_in(ocr: Recognizer, picture: bytes) -> str:
    lines = ocr.read(images.decode_whole(picture, LONGEST))
    return read_text(lines, min_confidence=MIN_CONFIDENCE).text


@pytest.mark.parametrize("size", [24, 32, 40])
def test_nine_of_ten_words_are_read_from_24_pixels_up(ocr: Recognizer, size: int) -> None:
    right = count = 0
    for index, text in enumerate(CAPTIONS):
        name = PHOTOS[(index + size // 8) % len(PHOTOS)]
        found = text_in(ocr, captioned(name, text, size, outlined=index % 2 == 0))
        words = re.findall(r"\w+", found.lower())
        gold = text.lower().split()
        right += sum(word in words for word in gold) - max(len(words) - len(gold), 0)
        count += len(gold)
    assert right / count >= 0.9


def test_photos_without_words_say_nothing(ocr: Recognizer) -> None:
    assert [text_in(ocr, encoded(photo(name))) for name in PHOTOS] == [""] * len(PHOTOS)


def test_a_line_is_where_it_was_drawn(ocr: Recognizer) -> None:
    picture = captioned("coffee.png", "Fresh pasta", 32)
    (line,) = ocr.read(images.decode_whole(picture, LONGEST))
    height = photo("coffee.png").height
    assert line.box.left == pytest.approx(24 / 640, abs=0.02)
    assert line.box.top * height == pytest.approx(44, abs=12)
    assert line.box.bottom * height == pytest.approx(78, abs=12)


@pytest.mark.parametrize("size", [(16_000, 1), (1, 16_000), (4_000, 24), (1, 1), (31, 33)])
def test_strips_and_specks_say_nothing(ocr: Recognizer, size: tuple[int, int]) -> None:
    pixels_HW3 = np.asarray(photo("chelsea.png").resize(size))
    assert read_text(ocr.read(pixels_HW3), min_confidence=MIN_CONFIDENCE).text == ""


async def test_bytes_that_are_no_picture_say_nothing_and_cost_no_process(
    own_children: OwnChildren,
) -> None:
    reader = open_text_reader(TextReadingLimits(timeout_s=60.0), ImageLimits())
    assert reader is not None
    try:
        whole = captioned("coffee.png", "Fresh pasta", 32)
        assert (await reader.read(whole)).text == "Fresh pasta"
        workers = own_children()
        for data in (b"", b"\0" * 1000, whole[:2000], b"GIF89a" + b"\xff" * 200, b"%PDF-1.7"):
            assert (await reader.read(data)).text == ""
        assert own_children() == workers
    finally:
        await reader.close()
    assert own_children() == []


def test_models_that_are_missing_are_never_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recognizer, "_DETECTOR", "not-there.onnx")
    with pytest.raises(FileNotFoundError, match=r"not-there\.onnx"):
        Recognizer()
