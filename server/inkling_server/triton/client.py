"""Calls to Triton over grpc.aio, with every failure turned into `TritonCallFailed`.

Thin on purpose: it knows Triton's protocol and no model of ours. Raw messages are as fast as
tritonclient's own client (measured), and let a tensor name a place in shared memory.

Two lessons from public issue threads shape it. The channel reconnects after 100-500 ms, not after
10 s. A call that its caller abandons is left to end by itself (it has a deadline): cancelling leaks
in grpc.aio (grpc/grpc #43360), and storms of it crash Triton (triton-inference-server/server
#7368).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import grpc
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc import service_pb2_grpc

from inkling_server.errors import EncoderDown
from inkling_server.near_channels import CHANNEL_OPTIONS

_OPTIONS = (
    *CHANNEL_OPTIONS,
    # Notices a remote machine that went away without closing its connection.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)

_DTYPES: dict[str, type[np.generic]] = {
    "UINT8": np.uint8,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
}
_DATATYPES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}


class TritonCallFailed(EncoderDown):
    """A call to Triton did not succeed. The text is fit for users; `detail` is for logs.

    Attributes:
        model: the model that was called, "" for the server.
        code: gRPC's status code.
        detail: Triton's own words.
    """

    def __init__(self, model: str, code: grpc.StatusCode, detail: str) -> None:
        super().__init__(f"{model or 'Triton'} does not answer as it should ({code.name})")
        self.model, self.code, self.detail = model, code, detail

    @property
    def stub_died(self) -> bool:
        """The process behind a Python model is gone, though Triton still calls it ready."""
        return "Stub process" in self.detail and "not healthy" in self.detail

    @property
    def timed_out(self) -> bool:
        return self.code is grpc.StatusCode.DEADLINE_EXCEEDED

    @property
    def queue_full(self) -> bool:
        """Too many others wait already; the model may be quite well."""
        return "maximum queue size" in self.detail

    @property
    def control_refused(self) -> bool:
        """This Triton loads and unloads nothing on request (its model control mode)."""
        return "is not allowed" in self.detail

    @property
    def region_unknown(self) -> bool:
        """Triton does not know the shared memory that the request names (it was restarted)."""
        return "shared memory region" in self.detail


@dataclass(frozen=True, slots=True)
class RegionPart:
    """A tensor that lies in a registered shared memory region."""

    region: str
    offset_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class InputTensor:
    """One named input.

    Attributes:
        name: in the model's configuration.
        shape: rows first.
        dtype: of its numbers.
        content: the array itself, or where it lies.
    """

    name: str
    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"
    content: NDArray[Any] | RegionPart

    @classmethod
    def of(cls, name: str, array: NDArray[Any]) -> Self:
        """An input that travels in the message."""
        return cls(name, array.shape, array.dtype, array)

    @property
    def array(self) -> NDArray[Any]:
        """What travels in the message."""
        if isinstance(self.content, RegionPart):
            raise TypeError(f"{self.name} lies in shared memory")
        return self.content


class TritonClient:
    """One channel to one Triton. Use from one event loop.

    Attributes:
        last_timeout_s: when an inference last missed its deadline. Triton may work on it still.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._stub: Any = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._running: set[asyncio.Task[Any]] = set()
        self.last_timeout_s = float("-inf")  # on the monotonic clock

    async def infer(
        self,
        model: str,
        version: int | None,
        inputs: Sequence[InputTensor],
        outputs: Sequence[str],
        *,
        timeout_s: float,
        on_end: Callable[[], None] = lambda: None,
    ) -> list[NDArray[Any]]:
        """Runs one inference.

        Args:
            model: its name in Triton.
            version: None for the newest that is loaded.
            inputs: all inputs of the model.
            outputs: the outputs to answer with, in this order.
            timeout_s: deadline of the call.
            on_end: called once when the call itself has ended, also when the caller was cancelled
                long before: what lies in shared memory is free from then on.

        Raises:
            TritonCallFailed: no answer, or an error for an answer.
        """
        try:
            request = _infer_request(model, version, inputs, outputs)
        except BaseException:
            on_end()
            raise
        task = asyncio.ensure_future(self._call(model, self._stub.ModelInfer, request, timeout_s))
        self._running.add(task)
        task.add_done_callback(self._forget)
        task.add_done_callback(lambda _: on_end())
        response = await asyncio.shield(task)

        arrays = {
            output.name: np.frombuffer(raw, _DTYPES[output.datatype]).reshape(output.shape)
            for output, raw in zip(response.outputs, response.raw_output_contents, strict=True)
        }
        return [arrays[name] for name in outputs]

    async def metadata(self, model: str, version: int | None, *, timeout_s: float) -> Any:
        """The model's inputs and outputs (ModelMetadataResponse)."""
        request = messages.ModelMetadataRequest(name=model, version=str(version or ""))
        return await self._call(model, self._stub.ModelMetadata, request, timeout_s)

    async def config(self, model: str, version: int | None, *, timeout_s: float) -> Any:
        """The model's configuration as Triton completed it (ModelConfig)."""
        request = messages.ModelConfigRequest(name=model, version=str(version or ""))
        return (await self._call(model, self._stub.ModelConfig, request, timeout_s)).config

    async def server_version(self, *, timeout_s: float) -> str:
        request = messages.ServerMetadataRequest()
        response = await self._call("", self._stub.ServerMetadata, request, timeout_s)
        return str(response.version)

    async def ready_versions(self, model: str, *, timeout_s: float) -> list[int]:
        """Versions that Triton calls ready, ascending. It does not mean that they work."""
        request = messages.RepositoryIndexRequest(ready=True)
        response = await self._call("", self._stub.RepositoryIndex, request, timeout_s)
        return sorted(int(entry.version) for entry in response.models if entry.name == model)

    async def success_count(self, model: str, *, timeout_s: float) -> int:
        """How many requests of the model were answered so far."""
        request = messages.ModelStatisticsRequest(name=model)
        response = await self._call(model, self._stub.ModelStatistics, request, timeout_s)
        return sum(entry.inference_stats.success.count for entry in response.model_stats)

    async def load(self, model: str, *, config: str = "", timeout_s: float) -> None:
        """Loads a model; `config` is JSON that stands in for its config.pbtxt (see `model_config`).

        It returns when every version that the configuration names has been tried. One that is not
        there is passed over in silence.
        """
        request = messages.RepositoryModelLoadRequest(model_name=model)
        if config:
            request.parameters["config"].string_param = config
        await self._call(model, self._stub.RepositoryModelLoad, request, timeout_s)

    async def unload(self, model: str, *, timeout_s: float) -> None:
        """Asks for it; Triton answers before the model is gone."""
        request = messages.RepositoryModelUnloadRequest(model_name=model)
        await self._call(model, self._stub.RepositoryModelUnload, request, timeout_s)

    async def register_region(
        self, name: str, key: str, size_bytes: int, *, timeout_s: float
    ) -> None:
        request = messages.SystemSharedMemoryRegisterRequest(
            name=name, key=key, offset=0, byte_size=size_bytes
        )
        await self._call("", self._stub.SystemSharedMemoryRegister, request, timeout_s)

    async def unregister_region(self, name: str, *, timeout_s: float) -> None:
        request = messages.SystemSharedMemoryUnregisterRequest(name=name)
        await self._call("", self._stub.SystemSharedMemoryUnregister, request, timeout_s)

    async def drain(self, *, timeout_s: float) -> bool:
        """Waits for running inferences, also abandoned ones; whether all of them ended."""
        if self._running:
            await asyncio.wait(self._running, timeout=timeout_s)
        return not self._running

    async def close(self) -> None:
        """Lets running inferences end for a moment, then closes the channel. Idempotent."""
        await self.drain(timeout_s=1.0)
        await self._channel.close()
        if self._running:
            await asyncio.wait(self._running)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        # Asking also says that an abandoned call's failure is known.
        error = None if task.cancelled() else task.exception()
        if isinstance(error, TritonCallFailed) and error.timed_out:
            self.last_timeout_s = time.monotonic()

    @staticmethod
    async def _call(
        model: str, method: Callable[..., Awaitable[Any]], request: Any, timeout_s: float
    ) -> Any:
        try:
            return await method(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise TritonCallFailed(model, error.code(), error.details() or "") from error
        except (grpc.aio.UsageError, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                raise
            # The channel was closed under the call.
            raise TritonCallFailed(model, grpc.StatusCode.CANCELLED, "channel closed") from error


def _infer_request(
    model: str, version: int | None, inputs: Sequence[InputTensor], outputs: Sequence[str]
) -> Any:
    request = messages.ModelInferRequest(
        model_name=model, model_version="" if version is None else str(version)
    )
    for tensor in inputs:
        wanted = request.inputs.add(
            name=tensor.name, datatype=_DATATYPES[tensor.dtype], shape=tensor.shape
        )
        content = tensor.content
        if isinstance(content, RegionPart):
            wanted.parameters["shared_memory_region"].string_param = content.region
            wanted.parameters["shared_memory_offset"].int64_param = content.offset_bytes
            wanted.parameters["shared_memory_byte_size"].int64_param = content.size_bytes
        else:
            request.raw_input_contents.append(content.tobytes())
    for name in outputs:
        request.outputs.add(name=name)
    return request
