"""The model that Triton's Python backend runs: an ONNX encoder on the fastest CPU runtime.

Each version folder's `model.py` imports `TritonPythonModel` from here; `model.onnx` lies beside it.
This code runs in Triton's stub process, never in the gateway, and reads its options from the
`parameters` of config.pbtxt and the version's runtime.json (see `inkling_server.runtimes`). It
knows no manifest, graph or tokenizer.

Tensors come and go by DLPack only: with numpy >= 2, `as_numpy()` and `pb_utils.Tensor(name, array)`
of this Triton corrupt numbers silently. That is also why there is an output `report`: what the
model runs on, and checksums of what it received and sent, for `inkling_server.triton.probe`.

Shapes: B rows of all requests that Triton batched, D dimensions.
"""

import ctypes
import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from inkling_server.row_batches import Arrays, Batch
from inkling_server.runtimes import RuntimeOptions, model_file, open_runtime, options_from

REPORT = "report"
_FRESH, _USED = b"dltensor", b"used_dltensor"  # capsules keep pointers to these names
_CAPSULES = ctypes.PyDLL(None)
_CAPSULES.PyCapsule_GetPointer.restype = ctypes.c_void_p
_CAPSULES.PyCapsule_GetPointer.argtypes = (ctypes.py_object, ctypes.c_char_p)
_CAPSULES.PyCapsule_SetName.argtypes = (ctypes.py_object, ctypes.c_char_p)
_CAPSULES.PyCapsule_New.restype = ctypes.py_object
_CAPSULES.PyCapsule_New.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_NUMBERS = {"TYPE_UINT8": np.uint8, "TYPE_INT64": np.int64, "TYPE_INT32": np.int32}


class TritonPythonModel:
    """One instance of one encoder version. Triton calls it from one thread."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads and warms the model; an exception here makes Triton refuse the version."""
        config = json.loads(args["model_config"])
        folder = Path(args["model_repository"], args["model_version"])
        cache = os.environ.get("INKLING_RUNTIME_CACHE")
        parameters = {key: entry["string_value"] for key, entry in config["parameters"].items()}
        options = options_from(parameters, folder)
        self._runtime = open_runtime(
            model_file(folder, options), options, Path(cache) if cache else None
        )
        self._inputs: list[str] = [spec["name"] for spec in config["input"]]
        self._output = next(spec["name"] for spec in config["output"] if spec["name"] != REPORT)
        self._warm_up(config, options)
        pb_utils.Logger.log_info(f"{args['model_name']}: {self._runtime.description}")

    def execute(self, requests: Sequence[Any]) -> None:
        """Starts every request; its answer goes out by its own sender, whenever it is there.

        Triton calls again as soon as the runtime has room: what one request leaves of the
        processor, the next one takes.
        """
        self._runtime.start([self._batch(request) for request in requests])

    def _batch(self, request: Any) -> Batch:
        # What outlives Triton's own request object.
        inputs = self._read(request)
        sender = request.get_response_sender()
        wants_report = REPORT in request.requested_output_names()

        def answer(result: NDArray[Any] | Exception) -> None:
            try:
                response = self._response(inputs, result, wants_report)
            except Exception as error:
                response = self._response(inputs, error, wants_report)
            try:
                sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
            except Exception as error:  # the runtime's thread must live on
                pb_utils.Logger.log_error(f"an answer was not sent: {type(error).__name__}")

        return Batch(inputs, answer)

    def _read(self, request: Any) -> Arrays:
        return {
            name: np.from_dlpack(pb_utils.get_input_tensor_by_name(request, name))
            for name in self._inputs
        }

    def _response(
        self, inputs: Arrays, result: NDArray[Any] | Exception, wants_report: bool
    ) -> Any:
        if isinstance(result, Exception):
            # The type alone: a runtime's message may repeat what was in the picture or text.
            return pb_utils.InferenceResponse(
                error=pb_utils.TritonError(f"inference failed: {type(result).__name__}")
            )
        embeddings_BD = _unit(result)
        outputs = [_tensor(self._output, embeddings_BD)]
        if wants_report:
            outputs.append(_tensor(REPORT, self._report(inputs, embeddings_BD)))
        return pb_utils.InferenceResponse(outputs)

    def _report(self, batch: Arrays, embeddings_BD: NDArray[Any]) -> NDArray[np.uint8]:
        """JSON as numbers, one equal row for each row of the batch."""
        report = {
            "runtime": self._runtime.description,
            "received": [zlib.crc32(batch[name].data) for name in self._inputs],
            "sent": zlib.crc32(embeddings_BD.data),
        }
        row = np.frombuffer(json.dumps(report).encode(), np.uint8)
        return np.tile(row, (len(embeddings_BD), 1))

    def _warm_up(self, config: dict[str, Any], options: RuntimeOptions) -> None:
        """The first run of each batch size compiles; requests shall not wait for that."""
        largest = options.chunk or min(config["max_batch_size"], 8)
        free_sides = any(int(side) < 0 for spec in config["input"] for side in spec["dims"])
        for rows in sorted({1, largest, largest // 2} - {0}):
            for free in (8, 16) if free_sides else (0,):  # numbers of tokens
                inputs = {
                    spec["name"]: np.ones(
                        [rows, *(free if int(side) < 0 else int(side) for side in spec["dims"])],
                        _NUMBERS[spec["data_type"]],
                    )
                    for spec in config["input"]
                }
                self._runtime.run(inputs)


def _unit(embeddings_BD: NDArray[Any]) -> NDArray[np.float32]:
    """Rows of length 1: the graph normalises in the runtime's precision, and bf16 is off by up to
    0.4 %."""
    embeddings_BD = embeddings_BD.astype(np.float32, copy=False)
    lengths_B1 = np.linalg.norm(embeddings_BD, axis=1, keepdims=True)
    unit_BD: NDArray[np.float32] = embeddings_BD / np.maximum(lengths_B1, np.float32(1e-12))
    return unit_BD


def _tensor(name: str, array: NDArray[Any]) -> Any:
    """Hands a contiguous, writable array to Triton without a copy.

    Triton renames the capsule that it has taken to "used_dlpack" where numpy expects
    "used_dltensor", so that numpy would complain in the log about each tensor. Triton gets a
    capsule of our own around numpy's tensor instead; it still calls the tensor's deleter, which
    frees the array.
    """
    theirs = array.__dlpack__()
    pointer = _CAPSULES.PyCapsule_GetPointer(theirs, _FRESH)
    _CAPSULES.PyCapsule_SetName(theirs, _USED)
    return pb_utils.Tensor.from_dlpack(name, _CAPSULES.PyCapsule_New(pointer, _FRESH, None))
