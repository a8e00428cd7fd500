"""Stores a graph's weights in fewer bytes; arithmetic stays float32.

    float32 matrix -> float16 + Cast             half the bytes, cosine to the original > .99999
    word table     -> int8 + DequantizeLinear    a quarter, one scale a row
    any matrix     -> int8 + DequantizeLinear    a quarter, one scale an output

Runtimes fold the Cast when they load, so speed and memory are those of float32. Filters of
convolutions never become int8: OpenVINO 2026.4 computes with such ones wrongly (cosine .3 where
ONNX Runtime has .99). This module does not know models or files beside the graph.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_SMALLEST_WEIGHT = 4096  # elements; below that fewer bytes save nothing worth their error


def shrink_weights(path: Path, *, int8_tables: bool = False, int8_matrices: bool = False) -> None:
    """Rewrites a graph in place.

    Args:
        path: the ONNX file.
        int8_tables: embedding tables (half of a small text model) become int8, the rest float16.
        int8_matrices: tables and matrices; costs more than the parity of float16 allows.
    """
    model = onnx.load(path)
    tables = {node.input[0] for node in model.graph.node if node.op_type == "Gather"}
    axes = {node.input[0]: 0 for node in model.graph.node if node.op_type == "Gather"}
    for node in model.graph.node:
        if node.op_type in ("MatMul", "Gemm"):
            # One scale an output: a row where the matrix is stored transposed.
            axes[node.input[1]] = 0 if _attribute(node, "transB", 0) else -1
    weights, restore = [], []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < _SMALLEST_WEIGHT:
            weights.append(weight)
            continue
        axis = axes.get(weight.name)
        wanted = int8_matrices or (int8_tables and weight.name in tables)
        if wanted and axis is not None and values.ndim >= 2:
            axis %= values.ndim
            rounded, scales = _rounded(values, axis)
            stored = [f"{weight.name}_int8", f"{weight.name}_scale"]
            weights.append(numpy_helper.from_array(rounded, stored[0]))
            weights.append(numpy_helper.from_array(scales, stored[1]))
            restore.append(helper.make_node("DequantizeLinear", stored, [weight.name], axis=axis))
        else:
            name = f"{weight.name}_half"
            weights.append(numpy_helper.from_array(values.astype(np.float16), name))
            restore.append(helper.make_node("Cast", [name], [weight.name], to=TensorProto.FLOAT))
    nodes = [*restore, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(weights)
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def matrix_share(path: Path) -> float:
    """Share of the large weights that matrix products use, in [0, 1]: about 1 for transformers."""
    graph = onnx.load(path).graph
    used = {node.input[1] for node in graph.node if node.op_type in ("MatMul", "Gemm")}
    sizes = {weight.name: int(np.prod(weight.dims)) for weight in graph.initializer}
    tables = {node.input[0] for node in graph.node if node.op_type == "Gather"}
    large = {name: size for name, size in sizes.items() if size >= _SMALLEST_WEIGHT}
    total = sum(size for name, size in large.items() if name not in tables)
    return sum(size for name, size in large.items() if name in used) / max(total, 1)


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((int(given.i) for given in node.attribute if given.name == name), default)


def _rounded(
    values: NDArray[np.float32], axis: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    others = tuple(other for other in range(values.ndim) if other != axis)
    scales = np.maximum(np.abs(values).max(axis=others, keepdims=True), 1e-12) / np.float32(127)
    return np.round(values / scales).astype(np.int8), scales.ravel().astype(np.float32)
