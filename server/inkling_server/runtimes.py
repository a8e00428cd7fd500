"""Runs one encoder's file: on the CPU by OpenVINO or ONNX Runtime, on a GPU by ONNX Runtime.

    version folder: model.onnx                     what every runtime reads
                    model.xml, model.bin, if any   the same for OpenVINO, made from torch: faster
                    model_f16.onnx, if any         the same with float16 arithmetic, for GPUs
                    runtime.json, if any           options of this version over config.pbtxt's

Used inside Triton's Python backend and by `benchmarks/bench_encoder_runtime.py`, which says which
runtime is the faster and what it costs in fidelity. Knows nothing of Triton, pictures or texts:
names to arrays in, one array out. Imports are late: each runtime costs a third of a second and tens
of megabytes.

Shapes: B rows of a batch; all inputs share their first dimension.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inkling_server.row_batches import Arrays, Batch, Runtime, row_count, start_joined

OVERRIDES = "runtime.json"
HALF_MODEL = "model_f16.onnx"
_CHOICES = {
    "runtime": ("openvino", "onnxruntime"),
    "device": ("cpu", "cuda"),
    "precision": ("f32", "bf16", "f16"),
}
_COUNTS = ("threads", "streams", "chunk")


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """How to run a model.

    Attributes:
        runtime: which library.
        device: "cuda" takes the first GPU, with ONNX Runtime alone: see `cuda_runtime`.
        precision: "bf16" halves the time where the CPU has bf16 instructions; elsewhere it
            means "f32". On a GPU "bf16" means TF32 products, and "f16" opens model_f16.onnx,
            which `python -m inkling_training.export.half` makes: the fastest there, and
            there alone.
        threads: 0 for all processors that this process may use.
        streams: inferences that run side by side, each on threads / streams threads; a batch is
            spread over them. 0: one for each thread, which never wait for each other: best for
            throughput, and where other work (decoding) takes turns on the same processors. 1: the
            shortest time for a single row of a big model. On a GPU: parts of a batch that are
            under way at a time, so that one is copied while another is computed; 0: 2.
        chunk: rows that one inference takes; bigger batches are cut, because a chunk whose
            activations fit into the CPU's caches is faster than one big batch. 0: never cut. On a
            GPU there are CUDA graphs for this many rows and fewer; 0: 64.
    """

    runtime: Literal["openvino", "onnxruntime"] = "openvino"
    precision: Literal["f32", "bf16", "f16"] = "bf16"
    threads: int = 0
    streams: int = 0
    chunk: int = 0
    device: Literal["cpu", "cuda"] = "cpu"

    def __post_init__(self) -> None:
        if self.device == "cuda" and self.runtime != "onnxruntime":
            raise ValueError(f'device "cuda" with {self.runtime}; allowed: runtime "onnxruntime"')
        if self.precision == "f16" and self.device != "cuda":
            raise ValueError(f'precision "f16" on {self.device}; allowed: f32 or bf16')


def options_from(parameters: Mapping[str, str], folder: Path | None = None) -> RuntimeOptions:
    """Reads options by name, and over them those of a version folder's runtime.json.

    A model's config.pbtxt holds for all its versions; how far one may be rounded is its own matter.
    Parameters of other names are Triton's own business.

    Raises:
        ValueError: a value that is not allowed, or an unknown name in runtime.json.
    """
    given = {name: parameters[name] for name in (*_CHOICES, *_COUNTS) if name in parameters}
    if folder is not None and (folder / OVERRIDES).is_file():
        given |= json.loads((folder / OVERRIDES).read_text(encoding="utf-8"))
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in (*_CHOICES, *_COUNTS):
            raise ValueError(f"{OVERRIDES}: no option {name!r}; allowed: {[*_CHOICES, *_COUNTS]}")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise ValueError(f"no {name} {value!r}; allowed: {' or '.join(_CHOICES[name])}")
        values[name] = value if name in _CHOICES else int(value)
    return RuntimeOptions(**values)


def model_file(folder: Path, options: RuntimeOptions) -> Path:
    """The file of a version folder that the chosen runtime is to open.

    Raises:
        FileNotFoundError: float16 is asked for, and the version has no such file.
    """
    if options.precision == "f16":
        if not (folder / HALF_MODEL).is_file():
            raise FileNotFoundError(
                f'precision "f16": version {folder.name} of {folder.parent.name} has no'
                f" {HALF_MODEL}; make it by python -m inkling_training.export.half"
            )
        return folder / HALF_MODEL
    ir = folder / "model.xml"
    return ir if options.runtime == "openvino" and ir.is_file() else folder / "model.onnx"


def open_runtime(model: Path, options: RuntimeOptions, cache_dir: Path | None = None) -> Runtime:
    """Loads a model; `cache_dir` keeps what the compiler made, for a faster next start."""
    if options.device == "cuda":
        from inkling_server.cuda_runtime import CudaRuntime

        products = "tf32" if options.precision == "bf16" else options.precision
        return CudaRuntime(model, products, options.chunk, options.streams)
    threads = options.threads or len(os.sched_getaffinity(0))
    if options.runtime == "onnxruntime":
        return _OnnxRuntime(model, threads, options.chunk)
    from inkling_server.openvino_runtime import OpenVinoRuntime

    return OpenVinoRuntime(
        model,
        precision=options.precision,
        threads=threads,
        streams=options.streams or threads,
        chunk=options.chunk,
        cache_dir=cache_dir,
    )


class _OnnxRuntime:
    def __init__(self, model: Path, threads: int, chunk: int) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise RuntimeError(
                f"{model.parent.name}/{model.name} is to run on ONNX Runtime, which is not "
                'installed: pip install onnxruntime, or runtime "openvino" in config.pbtxt'
            ) from error

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        # Spinning threads take the processors from picture decoding.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(model), settings, providers=["CPUExecutionProvider"]
        )
        self._chunk = chunk
        self.description = f"ONNX Runtime {onnxruntime.__version__} f32, {threads} threads"

    def run(self, inputs: Arrays) -> NDArray[Any]:
        parts = [self._session.run(None, dict(part))[0] for part in _cut(inputs, self._chunk)]
        return np.concatenate(parts)

    def start(self, batches: Sequence[Batch]) -> None:
        start_joined(self.run, batches)


def _cut(inputs: Arrays, chunk: int) -> list[Arrays]:
    rows = row_count(inputs)
    if not chunk or rows <= chunk:
        return [inputs]
    return [
        {name: array[start : start + chunk] for name, array in inputs.items()}
        for start in range(0, rows, chunk)
    ]
