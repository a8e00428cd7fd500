"""Precisions: what each means for the files of a version, and how far it may drift.

    precision  weights               arithmetic                     cosine        tags kept
    fp32       float32               float32                        .9999 least   .98
    fp16       float16               float32                        .9999 least   .98
    bf16       float16               bfloat16 where the CPU has it  .99 mean      .90
    int8       int8 (vision alone)   int8 where it pays             .97 mean      .80

How much is kept is measured for every export (`parity`); the last two columns are floors, not
promises. The exact ones hold for every single picture and phrase; rounded arithmetic is held to
its mean, because one odd picture says little, and to the tags, which are what a user sees.

int8 is for pictures alone: they are what a server encodes all day, while a phrase is encoded once
for each graph, and its error would hit every picture. For `onnxruntime` int8 means dynamic
quantisation of matrix products where these hold most of the weights (transformers), and the
storage of matrices elsewhere; for `openvino` NNCF's post-training quantisation with calibration
pictures.

This module does not know repositories or Triton.
"""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from inkling_server.runtimes import OVERRIDES
from inkling_training.export import graphs, openvino
from inkling_training.export.shrink import matrix_share, shrink_weights
from inkling_training.models.loaded import LoadedModel

Target = Literal["onnxruntime", "openvino", "tensorrt"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]
TARGETS: tuple[Target, ...] = get_args(Target)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True, slots=True)
class Floor:
    """What a precision must keep of torch's answers.

    Attributes:
        least: cosine of every picture and phrase; -1 where none is demanded.
        mean: cosine, the mean over pictures and the mean over phrases.
        tags: share of the top tags that stay, mean over pictures.
    """

    least: float
    mean: float
    tags: float


FLOORS: dict[Precision, Floor] = {
    "fp32": Floor(0.9999, 0.9999, 0.98),
    "fp16": Floor(0.9999, 0.9999, 0.98),
    "bf16": Floor(-1.0, 0.99, 0.90),
    "int8": Floor(-1.0, 0.97, 0.80),
}
_TRANSFORMER_SHARE = 0.8
# Pictures of one inference on a CPU. The four of config.pbtxt are what a convolutional network's
# activations leave room for in the caches; a small transformer reads more weights than that.
# 2 cores of an AMD EPYC (Zen 5), 26 November 2026: ViT-B/32 int8 164 pictures/s with 4, 174 with 8;
# bfloat16 92 and 99; B/16 and L/14 the same with 4 and 8.
_TRANSFORMER_CHUNK = 8


@dataclass(frozen=True, slots=True)
class Variant:
    """How one version is to be stored and run.

    Attributes:
        target: what it is made for.
        precision: see this module's table.
        int8_words: the text half's word table as int8, which is half of a small text model.
    """

    target: Target = "onnxruntime"
    precision: Precision = "fp16"
    int8_words: bool = False

    def __post_init__(self) -> None:
        if self.target not in TARGETS or self.precision not in PRECISIONS:
            raise ValueError(
                f"no target {self.target!r} with precision {self.precision!r}; allowed: "
                f"{', '.join(TARGETS)} with {', '.join(PRECISIONS)}"
            )
        if self.target == "tensorrt" and self.precision == "int8":
            raise ValueError("tensorrt: fp32, fp16 or bf16; int8 engines are not offered")


def write_vision(
    model: LoadedModel, folder: Path, variant: Variant, calibration_BHWC: NDArray[np.uint8]
) -> str:
    """Writes a version folder's vision files; returns what was done to them, in words."""
    onnx_path, options = folder / "model.onnx", _runtime_options(variant)
    graphs.export_vision(model, onnx_path)
    transformer = matrix_share(onnx_path) >= _TRANSFORMER_SHARE
    if transformer:
        options["chunk"] = _TRANSFORMER_CHUNK
    how = f"weights {'float32' if variant.precision == 'fp32' else 'float16'}"
    if variant.target == "openvino":
        module, example = graphs.vision_module(model)
        half = variant.precision != "fp32"
        openvino.write_ir(module, example, ("pixels",), folder / "model.xml", half=half)
        if variant.precision == "int8":
            openvino.quantise_ir(folder / "model.xml", calibration_BHWC, transformer=transformer)
            how = f"int8 by NNCF on {len(calibration_BHWC)} pictures"
            options["precision"] = "bf16"
        if half:
            shrink_weights(onnx_path)
    elif variant.precision == "int8" and transformer:
        _quantise_products(onnx_path)
        options["runtime"] = "onnxruntime"
        how = "matrix products int8, dynamic"
    elif variant.precision != "fp32":
        shrink_weights(onnx_path, int8_matrices=variant.precision == "int8")
        how = "matrices int8, arithmetic float32" if variant.precision == "int8" else how
    _write_options(folder, options)
    return how


def write_text(model: LoadedModel, folder: Path, variant: Variant) -> str:
    """Writes a version folder's text graph; returns what was done to it, in words."""
    onnx_path = folder / "model.onnx"
    graphs.export_text(model, onnx_path)
    half = variant.precision != "fp32"
    if variant.target == "openvino":
        module, example = graphs.text_module(model)
        openvino.write_ir(module, example, graphs.TEXT_INPUTS, folder / "model.xml", half=half)
    if half or variant.int8_words:
        shrink_weights(onnx_path, int8_tables=variant.int8_words)
    _write_options(folder, _runtime_options(variant))
    return f"weights {'float16' if half else 'float32'}" + (
        ", word table int8" if variant.int8_words else ""
    )


def _runtime_options(variant: Variant) -> dict[str, str | int]:
    return {"precision": "bf16" if variant.precision == "bf16" else "f32"}


def _write_options(folder: Path, options: dict[str, str | int]) -> None:
    (folder / OVERRIDES).write_text(json.dumps(options) + "\n", encoding="utf-8")


def _quantise_products(path: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    draft = path.with_suffix(".int8.onnx")
    with (
        _quiet_logging(),
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        quantize_dynamic(
            path,
            draft,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
    draft.replace(path)


@contextlib.contextmanager
def _quiet_logging() -> Iterator[None]:
    """ONNX Runtime advises, on the root logger, what only static quantisation needs."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
