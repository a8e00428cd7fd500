"""Finds and recognises lines of text in pixels: RapidOCR with the PP-OCRv6 models in its package.

    pixels ─► scale ─► detector (DB) ─► a crop for each line ─► recogniser (CTC) ─► lines

Runs on OpenVINO, which the server has anyway, on one thread. Nothing is ever downloaded: both
models are named by their paths, and a missing one is an error. Upside-down text is not turned:
overlays stand upright. Blocking, one picture at a time; whoever calls it keeps it in a process of
its own. It knows no files' formats, queues or requests.

Source: Liao et al. 2020, Real-time scene text detection with differentiable binarization;
PaddleOCR's PP-OCRv6 (Apache-2.0).

Shapes: H x W pixels, 3 = red, green, blue; N lines, 4 corners, 2 = x, y.
"""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inkling_server.text_reading.lines import Box, Line

# Chosen with benchmarks/bench_ocr.py, on pictures that it does not report. Letters of less than
# about 12 pixels are lost, so small pictures are scaled up; time and memory grow with the side.
SHORTEST = 960
LONGEST = 1_280
MIN_CONFIDENCE = 0.9
_MOST_SCALE = 2.0
_LEAST_SIDE = 12  # in strips that are narrower than this nothing can be read
_PACKAGE = "rapidocr"
_DETECTOR, _RECOGNIZER = "PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx"
_MOST_LINES = 200  # of one picture: a page of a book has 40
# Lines at a time: more is no faster on one thread, and each has 18,000 probabilities a letter.
_BATCH = 1


def missing_packages() -> tuple[str, ...]:
    """Packages that reading pictures needs and that are not installed."""
    return tuple(name for name in (_PACKAGE, "openvino") if importlib.util.find_spec(name) is None)


class _Session:
    """A model on OpenVINO, as RapidOCR calls it."""

    def __init__(self, model: Path, threads: int) -> None:
        from openvino import Core

        config = {"INFERENCE_NUM_THREADS": threads, "CPU_RUNTIME_CACHE_CAPACITY": 0}
        self._request = Core().compile_model(model, "CPU", config).create_infer_request()

    def __call__(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        self._request.infer([inputs])
        output: NDArray[np.float32] = self._request.get_output_tensor().data
        return output


class Recognizer:
    """Reads one picture after another; loads its models when it is made, in about a second.

    Args:
        threads: of one inference.

    Raises:
        ImportError: the package is not installed.
        FileNotFoundError: it came without its models.
    """

    def __init__(self, *, threads: int = 1) -> None:
        # Not at the top: an extra of its own, and half a second of imports.
        rapidocr: Any = importlib.import_module(_PACKAGE)
        engine = rapidocr.EngineType.OPENVINO
        models = Path(rapidocr.__file__).parent / "models"
        for name in (_DETECTOR, _RECOGNIZER):
            if not (models / name).is_file():
                raise FileNotFoundError(f"rapidocr came without its model {name}")
        self._ocr: Any = rapidocr.RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,
                "Global.text_score": 0.0,  # `lines` drops them
                "Global.max_side_len": LONGEST + 32,
                "EngineConfig.openvino.inference_num_threads": threads,
                "Det.engine_type": engine,
                "Det.model_path": str(models / _DETECTOR),
                # Without it, a strip of 16,384 x 20 would be scaled to 600,000 x 736.
                "Det.limit_type": "max",
                "Det.limit_side_len": LONGEST,
                "Det.max_candidates": _MOST_LINES,
                "Rec.engine_type": engine,
                "Rec.model_path": str(models / _RECOGNIZER),
                "Rec.rec_batch_num": _BATCH,
            }
        )
        # Their own sessions keep buffers for every size of picture that ever came: a gigabyte soon.
        self._ocr._load_det_model().session = _Session(models / _DETECTOR, threads)
        self._ocr._load_rec_model().session = _Session(models / _RECOGNIZER, threads)

    def read(self, pixels_HW3: NDArray[np.uint8]) -> list[Line]:
        """Lines in no certain order, the doubtful ones, too.

        Args:
            pixels_HW3: uint8 RGB of any size.
        """
        height, width = pixels_HW3.shape[:2]
        longer = max(height, width)
        scale = min(min(max(longer, SHORTEST), LONGEST) / longer, _MOST_SCALE)
        if scale != 1:
            size = max(round(scale * width), 1), max(round(scale * height), 1)
            smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            pixels_HW3 = np.asarray(cv2.resize(pixels_HW3, size, interpolation=smooth), np.uint8)
        if min(pixels_HW3.shape[:2]) < _LEAST_SIDE:
            return []
        # The models were trained on OpenCV's order of colours.
        found = self._ocr(np.ascontiguousarray(pixels_HW3[:, :, ::-1]))
        if found.boxes is None or found.txts is None or found.scores is None:
            return []
        size_2 = np.array([pixels_HW3.shape[1], pixels_HW3.shape[0]], np.float64)
        corners_N42 = np.clip(np.asarray(found.boxes, np.float64) / size_2, 0, 1)
        return [
            Line(text, min(max(float(score), 0.0), 1.0), Box(*low.tolist(), *high.tolist()))
            for text, score, low, high in zip(
                found.txts,
                found.scores,
                corners_N42.min(axis=1),
                corners_N42.max(axis=1),
                strict=True,
            )
        ]
