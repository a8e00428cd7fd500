"""OpenVINO's own format, made from the torch module: `model.xml` and `model.bin`.

Converting the module instead of its ONNX graph leaves fewer transposes, which costs a ViT less
time. int8 is post-training quantisation by NNCF with calibration pictures (Apache-2.0, optional:
pip install nncf). This module does not judge results; `parity` does.

Shapes: B rows, S side in pixels.
"""

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

LEAST_CALIBRATION_PICTURES = 16
_TYPES = {torch.uint8: np.uint8, torch.int64: np.int64}


def write_ir(
    module: nn.Module,
    example: tuple[Tensor, ...],
    names: tuple[str, ...],
    path: Path,
    *,
    half: bool,
) -> None:
    """Converts a module whose inputs have a free first dimension; texts' second is free, too.

    Args:
        module: takes `example`, positionally.
        example: inputs of at least two rows.
        names: of the inputs.
        path: `model.xml`; `model.bin` is written beside it.
        half: store weights as float16.
    """
    import openvino

    shapes = [
        [-1, -1] if tensor.dtype == torch.int64 else [-1, *tensor.shape[1:]] for tensor in example
    ]
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as for ONNX: shapes taken as fixed, judged by parity
        model = openvino.convert_model(
            module,
            example_input=example,
            input=[
                (openvino.PartialShape(shape), openvino.Type(_TYPES[tensor.dtype]))
                for shape, tensor in zip(shapes, example, strict=True)
            ],
        )
    for port, name in zip(model.inputs, names, strict=True):
        port.get_tensor().set_names({name})
    model.outputs[0].get_tensor().set_names({"embedding"})
    openvino.save_model(model, path, compress_to_fp16=half)


def quantise_ir(path: Path, pixels_BHWC: NDArray[np.uint8], *, transformer: bool) -> None:
    """Turns a vision model.xml into int8, in place.

    Args:
        path: what `write_ir` wrote.
        pixels_BHWC: calibration pictures, uint8 [B, S, S, 3]; what they are like decides the ranges
            of all activations, so they should be those that will be served.
        transformer: keeps attention's sensitive sums in float.

    Raises:
        ModuleNotFoundError: NNCF is not installed.
        ValueError: too few pictures to know any range.
    """
    if len(pixels_BHWC) < LEAST_CALIBRATION_PICTURES:
        raise ValueError(
            f"int8 for OpenVINO is calibrated on pictures: {len(pixels_BHWC)} given, at least "
            f"{LEAST_CALIBRATION_PICTURES} wanted (--pictures DIR)"
        )
    try:
        import nncf
    except ImportError as error:
        raise ModuleNotFoundError(
            "int8 for OpenVINO needs NNCF: pip install nncf (or take bf16, which needs nothing)"
        ) from error
    import openvino

    options: dict[str, Any] = {"model_type": nncf.ModelType.TRANSFORMER} if transformer else {}
    model = openvino.Core().read_model(path)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = nncf.quantize(
            model,
            nncf.Dataset([row_HWC[None] for row_HWC in pixels_BHWC]),
            subset_size=len(pixels_BHWC),
            **options,
        )
    draft = path.with_name("int8.xml")
    openvino.save_model(small, draft)
    del model  # it maps the file that is replaced
    draft.with_suffix(".bin").replace(path.with_suffix(".bin"))
    draft.replace(path)
