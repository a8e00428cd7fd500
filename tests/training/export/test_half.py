"""model_f16.onnx computes in float16 what model.onnx computes, and is refused where it does not."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inkling_training.export.half import HalfDrifts, least_cosine, write_half

SIDE = 8


def _network(folder: Path, weight_KD: NDArray[np.float32]) -> Path:
    """pixels -> one matrix product -> division by the length, as an export ends."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["numbers"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["numbers"], ["flat"], "flatten"),
        helper.make_node("Cast", ["stored"], ["weight"], "restore", to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["flat", "weight"], ["product"], "product"),
        helper.make_node("ReduceL2", ["product", "axes"], ["length"], "length", keepdims=1),
        helper.make_node("Div", ["product", "length"], ["embedding"], "unit"),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 16])],
        [
            numpy_helper.from_array(weight_KD.astype(np.float16), "stored"),
            helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
        ],
    )
    path = folder / "model.onnx"
    opset = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    return path


def test_answers_stay_and_the_product_is_float16(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    model = _network(tmp_path, rng.normal(0, 0.01, (SIDE * SIDE * 3, 16)).astype(np.float32))
    half = write_half(model)
    assert least_cosine(model, half) > 0.9999
    graph = onnx.shape_inference.infer_shapes(onnx.load(half)).graph
    types = {info.name: info.type.tensor_type.elem_type for info in graph.value_info}
    inputs = {node.op_type: types[node.input[0]] for node in graph.node if node.input[0] in types}
    assert inputs["MatMul"] == TensorProto.FLOAT16
    assert inputs["ReduceL2"] == TensorProto.FLOAT


def test_a_network_that_overflows_float16_keeps_no_file(tmp_path: Path) -> None:
    model = _network(tmp_path, np.full((SIDE * SIDE * 3, 16), 30.0, np.float32))
    with pytest.raises(HalfDrifts, match="allowed"):
        write_half(model)
    assert not (tmp_path / "model_f16.onnx").exists()
