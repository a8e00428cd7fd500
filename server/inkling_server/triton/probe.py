"""Proves by a real inference that one version of a model in Triton works.

Readiness in Triton's sense is not enough: a model whose Python stub is dead still reports ready,
and with numpy >= 2 tensors can be corrupted on their way without any error. A probe sends numbers
that both sides know. Models on our Python backend offer an output `report` beside their result:
what they run on, and checksums of what they received and of what they sent. A model without it
(ONNX Runtime, TensorRT) is judged by its result alone: finite, not zero, and the same as at first.

This module knows no manifest: it reads a model's inputs from its metadata.
"""

import json
import zlib
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from inkling_server.triton.client import InputTensor, TritonCallFailed, TritonClient

REPORT = "report"
_FREE_LENGTH = 4  # stands for a free dimension such as the number of tokens
_SAME_COSINE = 0.98


class ModelProbe:
    """Probes one version of one model; made anew when the model was reloaded."""

    def __init__(
        self, client: TritonClient, model: str, version: int, inputs: list[InputTensor], offers: Any
    ) -> None:
        self._client = client
        self.model, self.version = model, version
        self._inputs = inputs
        self._result_name: str = next(name for name in offers if name != REPORT)
        self._outputs = [self._result_name, *([REPORT] if REPORT in offers else [])]
        self._first_result: NDArray[Any] | None = None

    @classmethod
    async def prepare(
        cls, client: TritonClient, model: str, version: int, *, timeout_s: float
    ) -> "ModelProbe":
        """Reads what the model takes. Raises TritonCallFailed."""
        metadata = await client.metadata(model, version, timeout_s=timeout_s)
        inputs = []
        for spec in metadata.inputs:
            shape = [1, *(_FREE_LENGTH if side < 0 else side for side in list(spec.shape)[1:])]
            if spec.datatype == "UINT8":
                picture = np.arange(np.prod(shape), dtype=np.uint32) * 2_654_435_761 >> 24
                array: NDArray[Any] = picture.astype(np.uint8).reshape(shape)
            else:
                # Token numbers and masks: 1 is valid for both.
                array = np.ones(shape, np.int64 if spec.datatype == "INT64" else np.int32)
            inputs.append(InputTensor.of(spec.name, array))
        return cls(client, model, version, inputs, [output.name for output in metadata.outputs])

    async def run(self, *, timeout_s: float) -> str:
        """One inference, compared with what is known.

        Returns:
            What the model says that it runs on; "" when it does not say.

        Raises:
            TritonCallFailed: no answer, or a wrong one.
        """
        arrays = await self._client.infer(
            self.model, self.version, self._inputs, self._outputs, timeout_s=timeout_s
        )
        result = arrays[0].astype(np.float64).ravel()
        length = float(np.linalg.norm(result))
        if not np.isfinite(length) or length == 0.0:
            raise self._wrong("the result is not finite, or zero")
        result /= length
        if self._first_result is None:
            self._first_result = result
        elif float(result @ self._first_result) < _SAME_COSINE:
            raise self._wrong("the result differs from that of the first probe")
        if len(arrays) == 1:
            return ""
        report: dict[str, Any] = json.loads(arrays[1][0].tobytes().rstrip())
        if report["received"] != [zlib.crc32(tensor.array.data) for tensor in self._inputs]:
            raise self._wrong("the model received other numbers than were sent")
        if report["sent"] != zlib.crc32(arrays[0].data):
            raise self._wrong("the model sent other numbers than were received")
        return str(report["runtime"])

    def _wrong(self, problem: str) -> TritonCallFailed:
        return TritonCallFailed(self.model, grpc.StatusCode.DATA_LOSS, problem)
