"""The first steps of a vision graph are reordered only where that changes no number."""

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino
import pytest
from numpy.typing import NDArray
from openvino import opset13 as opset

from inkling_server.openvino_graph import transpose_pixels_first

SIDE = 6
MEAN, STD = np.array([120.0, 110.0, 100.0], np.float32), np.array([60.0, 61.0, 62.0], np.float32)
Steps = Callable[[Any], Any]


def vision_graph(steps: Steps, order: tuple[int, ...] = (0, 3, 1, 2)) -> openvino.Model:
    """pixels -> convert -> steps -> transpose -> a convolution with random weights."""
    pixels = opset.parameter([-1, SIDE, SIDE, 3], np.uint8, name="pixels")
    node = steps(opset.convert(pixels, np.float32))
    node = opset.transpose(node, opset.constant(np.array(order, np.int64)))
    kernel = np.random.default_rng(3).standard_normal((4, 3, 3, 3)).astype(np.float32)
    node = opset.convolution(node, opset.constant(kernel), [1, 1], [1, 1], [1, 1], [1, 1])
    return openvino.Model([node], [pixels], "vision")


def per_channel(node: Any) -> Any:
    return opset.divide(opset.subtract(node, opset.constant(MEAN)), opset.constant(STD))


def scalars(node: Any) -> Any:
    scaled = opset.multiply(node, opset.constant(np.float32(1 / 127.5)))
    return opset.add(scaled, opset.constant(np.array([-1.0], np.float32)))


def types_of(model: openvino.Model) -> list[str]:
    return [node.get_type_name() for node in model.get_ordered_ops()]


def run(model: openvino.Model, pixels_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled([pixels_BHWC])[0])


@pytest.mark.parametrize("steps", [per_channel, scalars])
def test_the_transposition_moves_to_the_front_and_no_number_changes(steps: Steps) -> None:
    pixels_BHWC = np.random.default_rng(4).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
    expected = run(vision_graph(steps), pixels_BHWC)
    model = vision_graph(steps)
    assert transpose_pixels_first(model)
    kinds = [kind for kind in types_of(model) if kind not in ("Parameter", "Constant")]
    assert kinds[0] == "Transpose"
    assert kinds.count("Transpose") == 1
    np.testing.assert_array_equal(run(model, pixels_BHWC), expected)


def other_order() -> openvino.Model:
    return vision_graph(per_channel, order=(0, 3, 2, 1))


def constant_for_each_row() -> openvino.Model:
    rows = np.arange(SIDE, dtype=np.float32).reshape(SIDE, 1, 1)
    return vision_graph(lambda node: opset.subtract(node, opset.constant(rows)))


def constant_first() -> openvino.Model:
    return vision_graph(lambda node: opset.subtract(opset.constant(MEAN), node))


def nothing_to_normalise() -> openvino.Model:
    return vision_graph(lambda node: node)


def tokens() -> openvino.Model:
    ids = opset.parameter([-1, -1], np.int64, name="input_ids")
    return openvino.Model([opset.convert(ids, np.float32)], [ids], "text")


@pytest.mark.parametrize(
    "graph", [other_order, constant_for_each_row, constant_first, nothing_to_normalise, tokens]
)
def test_a_graph_that_begins_otherwise_stays_as_it_is(graph: Callable[[], openvino.Model]) -> None:
    model = graph()
    before = types_of(model)
    assert not transpose_pixels_first(model)
    assert types_of(model) == before


def test_a_branch_that_also_wants_the_raw_numbers_keeps_them() -> None:
    pixels = opset.parameter([-1, SIDE, SIDE, 3], np.uint8, name="pixels")
    numbers = opset.convert(pixels, np.float32)
    normal = opset.transpose(per_channel(numbers), opset.constant(np.array([0, 3, 1, 2])))
    mean = opset.reduce_mean(numbers, opset.constant(np.array([1, 2, 3])), keep_dims=False)
    model = openvino.Model([normal, mean], [pixels], "two heads")
    assert not transpose_pixels_first(model)
