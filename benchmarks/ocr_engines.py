"""The recognisers that `bench_ocr` compares, each a function from a file to lines, on one thread.

It does not know what is in the pictures.
"""

import io
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from inkling_server import images
from inkling_server.text_reading.lines import Box, Line
from inkling_server.text_reading.recognizer import LONGEST, Recognizer

Engine = Callable[[bytes], list[Line]]
# Name -> packages that it needs; ours first.
ENGINES = {
    "PP-OCRv6 small, OpenVINO (ours)": ("rapidocr", "openvino"),
    "PP-OCRv6 small, ONNX Runtime": ("rapidocr", "onnxruntime"),
    "PP-OCRv4 mobile, ONNX Runtime": ("rapidocr_onnxruntime", "onnxruntime"),
    "Tesseract 5, sparse text": ("tesserocr",),
    "Tesseract 5, page": ("tesserocr",),
}
_TESSDATA = Path("/usr/share/tesseract-ocr/5/tessdata")


def open_engine(name: str) -> Engine:
    """Loads one of `ENGINES`; the library's own defaults, except for ours."""
    match name:
        case "PP-OCRv6 small, OpenVINO (ours)":
            ours = Recognizer()
            return lambda data: ours.read(images.decode_whole(data, LONGEST))
        case "PP-OCRv6 small, ONNX Runtime":
            return _rapid()
        case "PP-OCRv4 mobile, ONNX Runtime":
            return _rapid_v4()
        case _:
            return _tesseract(sparse="sparse" in name)


def resident_mib() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _rapid() -> Engine:
    threads = "EngineConfig.onnxruntime.intra_op_num_threads"
    ocr: Any = import_module("rapidocr").RapidOCR(
        params={"Global.log_level": "critical", threads: 1, "Global.use_cls": False}
    )

    def read(data: bytes) -> list[Line]:
        pixels_HW3 = _pixels(data)
        found = ocr(np.ascontiguousarray(pixels_HW3[:, :, ::-1]), text_score=0.0)
        if found.boxes is None:
            return []
        return [
            _line(text, score, box, pixels_HW3.shape)
            for text, score, box in zip(found.txts, found.scores, found.boxes, strict=True)
        ]

    return read


def _rapid_v4() -> Engine:
    library: Any = import_module("rapidocr_onnxruntime")
    ocr: Any = library.RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1, text_score=0.0)

    def read(data: bytes) -> list[Line]:
        pixels_HW3 = _pixels(data)
        found, _ = ocr(np.ascontiguousarray(pixels_HW3[:, :, ::-1]), use_cls=False)
        return [_line(text, score, box, pixels_HW3.shape) for box, text, score in found or ()]

    return read


def _tesseract(*, sparse: bool) -> Engine:
    tesserocr: Any = import_module("tesserocr")
    mode = tesserocr.PSM.SPARSE_TEXT if sparse else tesserocr.PSM.AUTO
    api: Any = tesserocr.PyTessBaseAPI(path=str(_TESSDATA), lang="eng", psm=mode)

    def read(data: bytes) -> list[Line]:
        image = Image.open(io.BytesIO(data)).convert("RGB")
        api.SetImage(image)
        api.Recognize()
        level, lines = tesserocr.RIL.TEXTLINE, []
        iterator = api.GetIterator()
        for one in tesserocr.iterate_level(iterator, level) if iterator else ():
            if one.Empty(level):
                continue
            left, top, right, bottom = one.BoundingBox(level)
            box = [(left, top), (right, bottom)]
            shape = (image.height, image.width)
            lines.append(_line(one.GetUTF8Text(level), one.Confidence(level) / 100, box, shape))
        return lines

    return read


def _pixels(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def _line(text: str, score: float, box: Any, shape: tuple[int, ...]) -> Line:
    corners = np.asarray(box, np.float64) / (shape[1], shape[0])
    return Line(text, float(score), Box(*corners.min(axis=0), *corners.max(axis=0)))
