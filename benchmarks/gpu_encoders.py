"""How many pictures a second do encoders do on this GPU, alone, by batch size?

    eager      torch in bfloat16 (convolutions: float16), launched as one CUDA graph
    compiled   the same after torch.compile, for a few batch sizes: compiling takes its time
    ort        ONNX Runtime's CUDA provider in float16: pixels and answers stay on the GPU
    served     `inkling_server.cuda_runtime` as Triton's models use it: pixels come from the host's
               memory and answers go back there, copies of one part under way while another computes

Each network works in a process of its own. All of them export and compile side by side (that is
work for CPUs), then measure one after the other. Shares are of the matrix products' measured rate,
and of the measured copy bandwidth by the bytes that layer-by-layer execution moves.

    python -m benchmarks.gpu_encoders NAME FOLDER     one network; waits for a line on its input
"""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu_models import (
    SHAPES,
    SIDE,
    TINY,
    Encoder,
    bytes_per_picture,
    export,
    flops_per_picture,
    laid_out,
    make_encoder,
)
from benchmarks.gpu_timing import captured, device, on_gpu, seconds_of, wall_seconds_of
from inkling_server import cuda_runtime

BATCHES = {
    "mobilenet-v2": (1, 8, 32, 64, 128, 256, 512),
    "vit-b-32": (1, 8, 32, 64, 128, 256, 512),
    "vit-b-16": (1, 8, 32, 64, 128, 256),
    "vit-l-14": (1, 8, 32, 64, 128),
}
COMPILED = {
    "mobilenet-v2": (64, 256),
    "vit-b-32": (64, 256),
    "vit-b-16": (128,),
    "vit-l-14": (64,),
}
_SMALL_BATCHES = (1, 2)
# Rows of the greatest graph: each size is a session with weights of its own.
_ORT_CHUNK, _ORT_CHUNKS = 256, {"vit-l-14": 64}
_SERVED_CHUNK, _SERVED_BATCHES = 64, (1, 64, 256)


def measure_torch(*, small: bool, work_dir: Path, ready_timeout_s: float) -> dict[str, Any]:
    """Every network by torch; also leaves NAME/model_f16.onnx (on a CPU: model.onnx) in `work_dir`.

    A network that has not compiled in time is measured without.
    """
    names = tuple(TINY if small else SHAPES)
    children = {name: _start(name, work_dir, compiles=not small) for name in names}
    end_s = time.monotonic() + ready_timeout_s
    for name, child in children.items():
        if not _is_ready(child, end_s - time.monotonic()):
            child.kill()
            child.wait()
            children[name] = _start(name, work_dir, compiles=False)
    return {name: _finish(child) for name, child in children.items()}


def measure_ort(*, small: bool, work_dir: Path, report: Callable[[Any], Any]) -> dict[str, Any]:
    """Every network that `measure_torch` has exported; `report` is told the results after each."""
    results: dict[str, Any] = {}
    for name in TINY if small else SHAPES:
        model = work_dir / name / ("model_f16.onnx" if on_gpu() else "model.onnx")
        if model.is_file():
            try:
                results[name] = _of_onnx(model, small=small)
            except Exception as error:  # the other networks still count
                results[name] = {"failed": f"{type(error).__name__}: {error}"[:400]}
            report(results)
    return results


def _start(name: str, work_dir: Path, *, compiles: bool) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.gpu_encoders", name, str(work_dir)]
    return subprocess.Popen(
        [*command, *(["--compile"] if compiles else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _is_ready(child: "subprocess.Popen[str]", timeout_s: float) -> bool:
    """Whether a child says "ready" in time. It says nothing else before that."""
    assert child.stdout is not None
    there, _, _ = select.select([child.stdout], [], [], max(0.0, timeout_s))
    return bool(there) and child.stdout.readline().strip() == "ready"


def _finish(child: "subprocess.Popen[str]") -> dict[str, Any]:
    try:
        out, _ = child.communicate("go\n", timeout=90)
    except subprocess.TimeoutExpired:
        child.kill()
        out, _ = child.communicate()
    lines = [line for line in out.splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    if child.returncode:
        found["failed"] = f"torch ended with {child.returncode}"
    return found


def _one_network(name: str, work_dir: Path, *, compiles: bool) -> None:
    # Exporters and compilers may print: the parent reads the lines below alone.
    told = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    torch.backends.cudnn.benchmark = True
    small = not on_gpu()
    shape = TINY[name] if small else SHAPES[name]
    half = torch.float16 if name == "mobilenet-v2" else torch.bfloat16
    dtype = torch.float32 if small else half
    encoder = make_encoder(shape, device=device(), dtype=dtype)
    batches = _SMALL_BATCHES if small else BATCHES[name]
    pixels = torch.randint(
        0, 256, (max(batches), SIDE, SIDE, 3), dtype=torch.uint8, device=device()
    )
    result: dict[str, Any] = {
        "dtype": str(dtype).removeprefix("torch."),
        "gflop_per_picture": flops_per_picture(encoder, pixels) / 1e9,
        "mb_per_picture": bytes_per_picture(encoder, pixels) / 1e6,
        "eager": {},
        "compiled": {},
    }
    try:
        _export(shape, work_dir / name, pixels)
    except Exception as error:  # then ONNX Runtime goes without it
        result["export_failed"] = f"{type(error).__name__}: {error}"[:400]
    compiled: dict[int, Any] = {}
    for rows in COMPILED[name] if compiles else ():
        try:
            compiled[rows] = _compiled(encoder, pixels[:rows])
        except Exception as error:
            result["compile_failed"] = f"{type(error).__name__}: {error}"[:400]
    print("ready", file=told, flush=True)
    sys.stdin.readline()

    # A program that breaks the GPU's context ends this process: what was found by then is told.
    print(json.dumps(result), file=told, flush=True)
    with torch.inference_mode():
        for rows in batches:
            part = pixels[:rows].clone()
            seconds = seconds_of(captured(partial(encoder, part)), spans=3)
            result["eager"][str(rows)] = rows / seconds
        print(json.dumps(result), file=told, flush=True)
        for rows, work in compiled.items():
            result["compiled"][str(rows)] = rows / seconds_of(work)
    print(json.dumps(result), file=told, flush=True)


def _compiled(encoder: Encoder, pixels: torch.Tensor) -> Any:
    part = pixels.clone()
    with torch.inference_mode():
        program = torch.compile(encoder, dynamic=False)
        return captured(partial(program, part))


def _export(shape: Any, folder: Path, pixels: torch.Tensor) -> None:
    """float16 on a GPU; float32 on a CPU, which has no float16 attention."""
    dtype, name = (torch.float16, "model_f16.onnx") if on_gpu() else (torch.float32, "model.onnx")
    encoder = make_encoder(shape, device=device(), dtype=dtype)
    export(laid_out(encoder, torch.contiguous_format), folder / name, pixels)


def _of_onnx(model: Path, *, small: bool) -> dict[str, Any]:
    if small:  # no GPU: the same code on the CPU provider
        cuda_runtime.PROVIDER, cuda_runtime._DEVICE = "CPUExecutionProvider", "cpu"
    products = "f32" if small else "f16"
    chunk = 2 if small else _ORT_CHUNKS.get(model.parent.name, _ORT_CHUNK)
    start_s = time.perf_counter()
    runtime = cuda_runtime.CudaRuntime(model, products, chunk=chunk, lanes=1)
    result: dict[str, Any] = {
        "start_s": time.perf_counter() - start_s,
        "description": runtime.description,
        "ort": _replays(runtime),
        "served": {},
    }
    if "channels last" in runtime.description and model.parent.name == "mobilenet-v2":
        del runtime
        runtime = _ChannelsFirst(model, products, chunk=chunk, lanes=1)
        result["ort channels first"] = _replays(runtime)
    del runtime
    chunk, batches = (1, _SMALL_BATCHES) if small else (_SERVED_CHUNK, _SERVED_BATCHES)
    pixels = np.random.default_rng(7).integers(0, 256, (max(batches), SIDE, SIDE, 3), np.uint8)
    runtime = cuda_runtime.CudaRuntime(model, products, chunk=chunk, lanes=2)
    for lanes in (2, 1):
        del runtime.lanes[lanes:]
        for rows in batches:
            inputs = {"pixels": pixels[:rows]}
            seconds = wall_seconds_of(partial(runtime.run, inputs), spans=3)
            result["served"][f"{rows} rows, {lanes} lanes"] = rows / seconds
    return result


class _ChannelsFirst(cuda_runtime.CudaRuntime):
    def _session(self, **options: Any) -> Any:
        return super()._session(**(options | {"channels_last": False}))


def _replays(runtime: cuda_runtime.CudaRuntime) -> dict[str, float]:
    """Pictures a second of every size, without copies, on the thread that captured the graphs."""
    lane = runtime.lanes[0]
    return {
        str(rows): rows / lane.submit(partial(wall_seconds_of, graph.replay, spans=3)).result()
        for rows, graph in sorted(lane.graphs.items())
    }


if __name__ == "__main__":
    _one_network(sys.argv[1], Path(sys.argv[2]), compiles="--compile" in sys.argv)
