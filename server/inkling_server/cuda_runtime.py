"""Runs one encoder's file on a GPU: ONNX Runtime's CUDA provider, replaying captured CUDA graphs.

    batch of B rows ─► parts of 64, 16, 4 or 1 rows (the greatest is `chunk`), the last one padded
               part ─► copied to the lane's buffer on the GPU ─► graph replayed ─► copied back
               part ─► the other lane: copies while the first one computes

A graph is one launch for a whole network, whatever number of kernels it has: small batches are
several times faster than launching each kernel. It wants fixed shapes and fixed addresses, hence a
session, an input and an output for each size and lane, all made (and captured) at the start; the
memory for weights grows with their number. Models with more free dimensions than the batch, such as
text encoders, run without graphs, each batch as it comes.

`benchmarks/bench_gpu.py`, which ran on an H100, compares its answers with the CPU's and its speed
with the card's limits. Like `runtimes`, which opens it, this module knows neither Triton nor
pictures.

Shapes: B rows of a batch; all inputs share their first dimension.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from inkling_server.row_batches import Arrays, Batch, row_count, start_joined

T = TypeVar("T")

PROVIDER = "CUDAExecutionProvider"
_DEVICE = "cuda"
DEFAULT_CHUNK = 64
DEFAULT_LANES = 2
# The name that `inkling-export` gives to the first dimension.
BATCH_DIMENSION = "batch"
_STEP = 4  # between two sizes: at most half of a padded part is padding, see `parts_of`
_NUMBERS = {"tensor(uint8)": np.uint8, "tensor(int64)": np.int64, "tensor(int32)": np.int32}


class CudaUnavailable(RuntimeError):
    """A model is to run on a GPU, and this installation or machine cannot; the text says why."""


class CudaRuntime:
    """A model on one GPU. Not thread-safe: one owner.

    Args:
        model: its file.
        products: "f16" and "f32" compute as the file says; "tf32" rounds what matrix products and
            convolutions of float32 read to 10 bits, for several times their speed.
        chunk: most rows of one inference; 0: 64.
        lanes: parts of one batch that are under way at a time; 0: 2.

    Raises:
        CudaUnavailable: no CUDA provider, driver, library or GPU.
        ValueError: the model's batch dimension has another name.
    """

    def __init__(self, model: Path, products: str, chunk: int = 0, lanes: int = 0) -> None:
        self._onnxruntime = _with_cuda()
        self._model, self._products = model, products
        self.sizes = sizes_up_to(chunk or DEFAULT_CHUNK)
        self._free: Any = None
        self.lanes: list[Lane] = []
        # One after the other: nothing else may use the GPU while a graph is captured.
        try:
            for _ in range(lanes or DEFAULT_LANES):
                self.lanes.append(Lane(self._graph, self.sizes))
        except _FreeDimensions:
            self._free = self._session(rows=None, graph=False, channels_last=False)
        how = "no graphs" if self._free is not None else self.lanes[0].description
        self.description = (
            f"ONNX Runtime {self._onnxruntime.__version__} CUDA {products}, {how},"
            f" {len(self.lanes)} lanes"
        )

    def run(self, inputs: Arrays) -> NDArray[Any]:
        """Runs B rows; returns the model's first output, B rows that the caller owns."""
        if self._free is not None:
            result: NDArray[Any] = self._free.run(None, dict(inputs))[0]
            return result
        rows, start = row_count(inputs), 0
        running = []
        for number, size in enumerate(parts_of(rows, self.sizes)):
            stop = min(rows, start + size)
            part = {name: array[start:stop] for name, array in inputs.items()}
            running.append(self.lanes[number % len(self.lanes)].start(size, part))
            start = stop
        results = [future.result() for future in running]
        return results[0] if len(results) == 1 else np.concatenate(results)

    def start(self, batches: Sequence[Batch]) -> None:
        """Runs them as one, before this returns; see `row_batches.Runtime`."""
        start_joined(self.run, batches)

    def _graph(self, rows: int) -> "_Graph":
        make = self._onnxruntime.OrtValue.ortvalue_from_shape_and_type
        refusals = _graph_refusals(self._onnxruntime)
        attempts = [(True, True), (True, False), (False, False)]
        for graph, channels_last in attempts if self._products == "f16" else attempts[1:]:
            try:
                session = self._session(rows=rows, graph=graph, channels_last=channels_last)
                _require_fixed(session, rows, self._model)
                how = f"{'' if graph else 'no '}graphs{', channels last' * channels_last}"
                return _Graph(session, make, description=how)
            except refusals:
                # A node that only the CPU can run, or none for channels last.
                if not graph:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _session(self, *, rows: int | None, graph: bool, channels_last: bool) -> Any:
        settings = self._onnxruntime.SessionOptions()
        settings.log_severity_level = 3  # errors; it warns about every shape that stays on the CPU
        # The GPU computes; threads of many sessions would only take processors from decoding.
        settings.intra_op_num_threads = 1
        if rows is not None:
            settings.add_free_dimension_override_by_name(BATCH_DIMENSION, rows)
        options = {
            "device_id": "0",
            "enable_cuda_graph": "1" if graph else "0",
            "use_tf32": "1" if self._products == "tf32" else "0",
            # As tensor cores read convolutions.
            "prefer_nhwc": "1" if channels_last else "0",
        }
        session = self._onnxruntime.InferenceSession(
            str(self._model), settings, providers=[(PROVIDER, options), "CPUExecutionProvider"]
        )
        if PROVIDER not in session.get_providers():
            raise CudaUnavailable(
                f"{self._model.parent.name}/{self._model.name} is to run on a GPU, and ONNX Runtime"
                " cannot open one: see its message above. It needs NVIDIA's driver and the CUDA"
                " and cuDNN libraries of its own major version"
            )
        return session


class Lane:
    """One graph of each size, and the thread that captured them: graphs belong to their threads.

    Attributes:
        graphs: by number of rows.
        description: how the largest one runs.
    """

    def __init__(self, make: Callable[[int], "_Graph"], sizes: Sequence[int]) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inkling-gpu")
        self.graphs = {size: self._thread.submit(make, size).result() for size in sizes}
        self.description = self.graphs[sizes[0]].description

    def start(self, size: int, inputs: Arrays) -> "Future[NDArray[Any]]":
        """Runs at most `size` rows, after what was started before."""
        return self._thread.submit(self.graphs[size].run, inputs)

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Runs `work` on the thread whose graphs these are."""
        return self._thread.submit(work)


class _Graph:
    """One session of fixed shapes with its input and output on the GPU."""

    def __init__(self, session: Any, make: Callable[..., Any], *, description: str) -> None:
        self.description = description
        self._session = session
        self._binding = session.io_binding()
        self._inputs: dict[str, Any] = {}
        self._padded: dict[str, NDArray[Any]] = {}
        for spec in session.get_inputs():
            dtype = _NUMBERS[spec.type]
            self._padded[spec.name] = np.ones(spec.shape, dtype)  # valid pixels, tokens and masks
            self._inputs[spec.name] = make(spec.shape, dtype, _DEVICE, 0)
            self._inputs[spec.name].update_inplace(self._padded[spec.name])
            self._binding.bind_ortvalue_input(spec.name, self._inputs[spec.name])
        result = session.get_outputs()[0]
        self._output = make(result.shape, np.float32, _DEVICE, 0)
        self._binding.bind_ortvalue_output(result.name, self._output)
        for _ in range(2):  # the first run captures
            session.run_with_iobinding(self._binding)

    def run(self, inputs: Arrays) -> NDArray[Any]:
        rows = 0
        for name, array in inputs.items():
            rows, whole = len(array), self._padded[name]
            if rows < len(whole) or not array.flags.c_contiguous:
                whole[:rows] = array
                array = whole
            self._inputs[name].update_inplace(array)
        self.replay()
        result: NDArray[Any] = self._output.numpy()[:rows].copy()
        return result

    def replay(self) -> None:
        """Computes what lies in the input once more; the answer stays on the GPU."""
        self._session.run_with_iobinding(self._binding)


def sizes_up_to(chunk: int) -> tuple[int, ...]:
    """The numbers of rows that get a graph, greatest first: chunk, chunk / 4, ..., 1."""
    sizes = [chunk]
    while sizes[-1] > 1:
        sizes.append(max(1, sizes[-1] // _STEP))
    return tuple(sizes)


def parts_of(rows: int, sizes: Sequence[int]) -> list[int]:
    """Sizes whose sum is at least `rows`: full ones, and one that is padded by less than half.

    Args:
        rows: at least 1.
        sizes: greatest first, ending with 1.
    """
    parts: list[int] = []
    while rows > 0:
        # The smallest that takes all, if most of it is used; else the greatest that is filled.
        whole = min((size for size in sizes if size >= rows), default=0)
        size = whole if 2 * rows > whole > 0 else next(size for size in sizes if size <= rows)
        parts.append(size)
        rows -= size
    return parts


def _with_cuda() -> Any:
    """ONNX Runtime, once it has found its CUDA libraries."""
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise CudaUnavailable(
            "ONNX Runtime is not installed: pip install onnxruntime-gpu"
        ) from error
    providers = onnxruntime.get_available_providers()
    if PROVIDER not in providers:
        raise CudaUnavailable(
            f"this ONNX Runtime {onnxruntime.__version__} has {', '.join(providers)} and no"
            f" {PROVIDER}: pip uninstall onnxruntime, then pip install onnxruntime-gpu"
        )
    # From pip's NVIDIA packages, where they are; the system's otherwise. It prints what it misses.
    onnxruntime.preload_dlls()
    return onnxruntime


def _graph_refusals(onnxruntime: Any) -> tuple[type[Exception], ...]:
    """What it raises when a graph cannot be captured."""
    state = onnxruntime.capi.onnxruntime_pybind11_state
    return (state.Fail, state.RuntimeException, state.NotImplemented, state.InvalidArgument)


class _FreeDimensions(Exception):
    """The model has more free dimensions than the batch."""


def _require_fixed(session: Any, rows: int, model: Path) -> None:
    for spec in session.get_inputs():
        if not all(isinstance(side, int) for side in spec.shape[1:]):
            raise _FreeDimensions
        if spec.shape[0] != rows:
            raise ValueError(
                f"{model.parent.name}/{model.name}: the first dimension of {spec.name!r} is"
                f" {spec.shape[0]!r}; allowed: {BATCH_DIMENSION!r}, as inkling-export names it"
            )
