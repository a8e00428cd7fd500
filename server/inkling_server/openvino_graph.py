"""Puts a vision model's first steps into the order that OpenVINO runs fastest. Changes no number.

    pixels [B, H, W, C] ─► convert ─► normalise ─► transpose ─► convolution     as it is exported
    pixels [B, H, W, C] ─► transpose ─► convert ─► normalise ─► convolution     as it runs

With three channels as the innermost dimension, the plugin normalises three numbers at a time, which
took an eighth of inkling-small's whole time; with channels before rows it fills its vectors. A
graph that begins in any other way is left as it is.

Shapes: B pictures, H x W pixels, C channels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as opset

_CHANNELS_FIRST = [0, 3, 1, 2]
_AXES = 4
# A step of the normalisation computes every number from the same number and its channel's constant.
_STEPS = {"Add", "Subtract", "Multiply", "Divide"}


def transpose_pixels_first(model: openvino.Model) -> bool:
    """Moves the transposition to the front, in place; returns whether there was one to move."""
    for pixels in model.get_parameters():
        convert = _only_user(pixels, {"Convert"})
        if convert is None or pixels.output(0).partial_shape.rank.get_length() != _AXES:
            continue
        steps: list[Any] = []
        node = convert
        while (step := _only_user(node, _STEPS)) is not None and _constant_of(step) is not None:
            steps.append(step)
            node = step
        transpose = _only_user(node, {"Transpose"})
        if steps and transpose is not None and _order_of(transpose) == _CHANNELS_FIRST:
            _reorder(model, pixels, convert, steps, transpose)
            return True
    return False


def _reorder(
    model: openvino.Model, pixels: Any, convert: Any, steps: Sequence[Any], transpose: Any
) -> None:
    node = opset.transpose(pixels, opset.constant(np.array(_CHANNELS_FIRST, np.int64)))
    node = opset.convert(node, convert.get_destination_type())
    for step in steps:
        constant = _constant_of(step)
        assert constant is not None
        node = getattr(opset, step.get_type_name().lower())(node, opset.constant(constant))
    for user in transpose.output(0).get_target_inputs():
        user.replace_source_output(node.output(0))
    model.validate_nodes_and_infer_types()


def _only_user(node: Any, kinds: set[str]) -> Any | None:
    """The one node that takes this one's output first, where it is of one of these kinds."""
    users = list(node.output(0).get_target_inputs())
    if len(users) != 1 or users[0].get_index() != 0:
        return None
    user = users[0].get_node()
    return user if user.get_type_name() in kinds else None


def _constant_of(step: Any) -> np.ndarray[Any, np.dtype[Any]] | None:
    """The other operand of a step, laid out for channels first; None: it is not one per channel."""
    source = step.input_value(1).get_node()
    if source.get_type_name() != "Constant":
        return None
    values: np.ndarray[Any, np.dtype[Any]] = np.array(source.data)
    if values.size == 1:
        return values.reshape(())
    # Trailing dimension only: any other would not be a channel's.
    return values.reshape(1, -1, 1, 1) if values.shape[-1] == values.size else None


def _order_of(transpose: Any) -> list[int] | None:
    source = transpose.input_value(1).get_node()
    return source.data.tolist() if source.get_type_name() == "Constant" else None
