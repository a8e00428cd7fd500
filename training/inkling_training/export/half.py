"""Writes model_f16.onnx beside a version's model.onnx: the same network with float16 arithmetic.

    python -m inkling_training.export.half model_repository              the newest version
    python -m inkling_training.export.half model_repository --version 2

For `"device": "cuda", "precision": "f16"` in a version's runtime.json: `inkling_server.runtimes`.
Tensor cores multiply float16 and add in float32; what follows the last matrix product, the division
by the length, is computed in float32. On a CPU float16 is slow, and nothing there opens the file;
it is no part of the model's fingerprint.

Prints how near the new answers are to the old ones, on noise: cosines of both files, run by ONNX
Runtime on the CPU, which computes float16 as a GPU does up to the order of sums.

Legend: B rows, S side in pixels, D dimensions.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from inkling_server.model_manifest import load_manifest
from inkling_server.runtimes import HALF_MODEL

LEAST_COSINE = 0.999
_PRODUCTS = {"Gemm", "MatMul", "Conv"}
_SAMPLES = 4


class HalfDrifts(ValueError):
    """float16 changes the answers of this model too much, and no file was kept."""


def write_half(model: Path) -> Path:
    """Writes model_f16.onnx beside `model`; returns its path.

    Raises:
        HalfDrifts: the cosine between the answers of the two falls below 0.999.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    graph = onnx.load(model)
    half = convert_float_to_float16(
        graph, keep_io_types=True, node_block_list=sorted(_after_last_product(graph))
    )
    _drop_repeated(half)
    path = model.with_name(HALF_MODEL)
    onnx.save(half, path)
    cosine = least_cosine(model, path)
    if not cosine >= LEAST_COSINE:
        path.unlink()
        raise HalfDrifts(
            f"float16 arithmetic gives a cosine of {cosine:.4f}; allowed: {LEAST_COSINE} or more"
        )
    return path


def least_cosine(reference: Path, other: Path) -> float:
    """Least cosine between the two files' answers to a few pictures of noise, in [-1, 1]."""
    rng = np.random.default_rng(7)
    answers: list[NDArray[np.float64]] = []
    for path in (reference, other):
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            str(path), settings, providers=["CPUExecutionProvider"]
        )
        spec = session.get_inputs()[0]
        if not answers:
            coarse_BSSC = rng.integers(0, 256, (_SAMPLES, 14, 14, 3))
            side = int(spec.shape[1])
            rows = np.arange(side) * 14 // side
            pixels_BSSC = coarse_BSSC[:, rows][:, :, rows].astype(np.uint8)
        answers.append(_unit(session.run(None, {spec.name: pixels_BSSC})[0]))
    return float((answers[0] * answers[1]).sum(axis=1).min())


def _after_last_product(model: onnx.ModelProto) -> set[str]:
    """Names of the nodes between the last matrix products and the output."""
    makers = {output: node for node in model.graph.node for output in node.output}
    names: set[str] = set()
    waiting = [output.name for output in model.graph.output]
    while waiting:
        node = makers.get(waiting.pop())
        if node is None or node.op_type in _PRODUCTS or node.name in names:
            continue
        names.add(node.name)
        waiting.extend(node.input)
    return names


def _drop_repeated(model: onnx.ModelProto) -> None:
    """The converter casts a value once for each node that stays float32, under the same name."""
    nodes: list[onnx.NodeProto] = []
    seen: set[str] = set()
    for node in model.graph.node:
        if node.output[0] not in seen:
            nodes.append(node)
        seen.update(node.output)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _unit(rows_BD: NDArray[np.float32]) -> NDArray[np.float64]:
    wide_BD = rows_BD.astype(np.float64)
    # What has overflowed may come out as zeros: that is like nothing.
    lengths_B1 = np.maximum(np.linalg.norm(wide_BD, axis=1, keepdims=True), 1e-12)
    unit_BD: NDArray[np.float64] = wide_BD / lengths_B1
    return unit_BD


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; see the top of this module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("repository", type=Path)
    parser.add_argument("--version", type=int, help="by default the newest")
    given = parser.parse_args(arguments)
    version = load_manifest(given.repository, given.version).version
    model = given.repository / "vision_encoder" / str(version) / "model.onnx"
    path = write_half(model)
    print(f"{path}: {path.stat().st_size:,} bytes")
    print(json.dumps({"version": version, "least_cosine": round(least_cosine(model, path), 6)}))


if __name__ == "__main__":
    main()
