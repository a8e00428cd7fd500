"""The whole path, JPEG to tags: this gateway, real Triton, the vision encoder on the GPU.

    client processes ─► gateway process(es) ─► Triton from pip ─► CUDA runtime in its Python backend
                         decode, index, gRPC     shared memory      copies in and out included

Clients, gateway, decoding and Triton share the machine's processors, as the report says. A
repository is made from the shipped one: its text encoder on ONNX Runtime's CPU provider (it runs
once, for the graph's phrases), its vision encoder as the run wants it: inkling-small's own float16
graph, or a network with random weights of another shape, whose tags mean nothing and take as long.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu_timing import on_gpu
from inkling_server.model_manifest import load_manifest
from inkling_server.settings import Settings
from tests.server_process import ServerProcess, wait_until

MODELS = Path(__file__).resolve().parent.parent / "model_repository"
CHUNK = 64


@dataclass(frozen=True, slots=True)
class Run:
    """One server and one load.

    Attributes:
        model: "inkling-small", or a network that `gpu_encoders` has exported.
        device: of the vision encoder.
        processes: gateway processes.
        clients: client processes, each with `streams` streams of `in_flight` pictures.
    """

    model: str
    device: str
    processes: int
    clients: int
    streams: int = 4
    in_flight: int = 64


def runs(cores: int) -> list[Run]:
    """The most telling first: a killed benchmark keeps what it has."""
    many = max(1, cores // 2)
    found = [Run("inkling-small", "cuda", 1, 4)]
    if "processes" in Settings.model_fields:
        found.insert(0, Run("inkling-small", "cuda", many, 8))
    best = found[0]
    found += [
        Run("vit-l-14", "cuda", best.processes, best.clients),
        Run("vit-b-32", "cuda", best.processes, best.clients),
        Run("inkling-small", "cpu", best.processes, best.clients),
    ]
    return found


def measure(
    *, small: bool, pictures: list[bytes], work_dir: Path, seconds: float, report: Any = print
) -> list[dict[str, Any]]:
    """All runs; `report` is told the list after each."""
    plan = runs(len(os.sched_getaffinity(0)))
    if small:
        plan = [Run("inkling-small", "cpu", 1, 1, streams=1, in_flight=8)]
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="inkling-gpu-") as folder:
        files = Path(folder) / "pictures"
        files.mkdir()
        for number, picture in enumerate(pictures):
            (files / f"{number:04}.jpg").write_bytes(picture)
        for number, run in enumerate(plan):
            result: dict[str, Any] = asdict(run)
            try:
                repository = make_repository(run, Path(folder) / f"models-{number}", work_dir)
                result |= _measure(run, repository, Path(folder) / f"data-{number}", files, seconds)
            except Exception as error:  # the other runs still count
                result["failed"] = f"{type(error).__name__}: {error}"[-1500:]
            results.append(result)
            report(results)
    return results


def make_repository(run: Run, out: Path, work_dir: Path) -> Path:
    """A copy of the shipped repository with the run's vision encoder.

    Raises:
        FileNotFoundError: nobody has exported that network.
    """
    version = str(load_manifest(MODELS).version)
    shutil.copytree(MODELS, out, ignore=shutil.ignore_patterns("__pycache__"))
    text, vision = (out / name / version for name in ("text_encoder", "vision_encoder"))
    cpu = {"runtime": "onnxruntime", "precision": "f32"}
    has_openvino = not on_gpu()
    if not has_openvino:
        (text / "runtime.json").write_text(json.dumps(cpu))
    if run.device == "cuda":
        half = vision / "model_f16.onnx"
        if run.model == "inkling-small":
            from inkling_training.export.half import write_half

            write_half(vision / "model.onnx")
        else:
            shutil.copy(work_dir / run.model / half.name, half)
        gpu = {"runtime": "onnxruntime", "device": "cuda", "precision": "f16", "chunk": CHUNK}
        (vision / "runtime.json").write_text(json.dumps(gpu | {"streams": 1}))
        config = out / "vision_encoder" / "config.pbtxt"
        config.write_text(config.read_text().replace("max_batch_size: 32", "max_batch_size: 64"))
    elif not has_openvino:
        (vision / "runtime.json").write_text(json.dumps(cpu | {"chunk": 8}))
    return out


def _measure(run: Run, repository: Path, data: Path, files: Path, seconds: float) -> dict[str, Any]:
    flags = [
        f"--model-repository={repository}",
        "--database-url=off",
        "--max-queue-count=2048",
        "--max-stream-in-flight=256",
        f"--max-batch-count={CHUNK}",
        "--encoder-timeout-s=60",
    ]
    if run.processes > 1:
        flags.append(f"--processes={run.processes}")
    start_s = time.perf_counter()
    with ServerProcess(data, *flags) as server:
        server.wait_serving(120)
        if run.processes > 1:
            wait_until(
                "all processes serve", lambda: "all_serving" in server.output.read_text(), 60
            )
        result: dict[str, Any] = {"start_s": time.perf_counter() - start_s}
        load(server.address, run, files, min(2.0, seconds))  # warms every process
        before = _cpu_times(server)
        result |= load(server.address, run, files, seconds)
        result["cpu_s_per_s"] = {
            name: round((used - before.get(name, 0.0)) / result["wall_s"], 2)
            for name, used in _cpu_times(server).items()
        }
        result["encoder"] = _vision_log(data)
    return result


def load(address: str, run: Run, files: Path, seconds: float) -> dict[str, Any]:
    """Pictures a second over all client processes, and latencies."""
    command = [sys.executable, "-m", "benchmarks.gpu_client", address, str(seconds)]
    command += [str(run.streams), str(run.in_flight), str(files)]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(run.clients)
    ]
    try:
        for child in children:
            assert child.stdout is not None
            if child.stdout.readline().strip() != "ready":
                raise RuntimeError("a client process did not start")
        start_s = time.perf_counter()
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        found = [json.loads(child.communicate(timeout=seconds + 60)[0]) for child in children]
    finally:
        for child in children:
            child.kill()
            child.wait()
    latencies_ms = 1_000 * np.concatenate([each["latencies_s"] for each in found])
    answers = sum(each["answers"] for each in found)
    return {
        "pictures_per_s": answers / seconds,
        "answers": answers,
        "failed_pictures": sum(each["failed"] for each in found),
        "p50_ms": float(np.quantile(latencies_ms, 0.5)) if answers else None,
        "p99_ms": float(np.quantile(latencies_ms, 0.99)) if answers else None,
        "wall_s": time.perf_counter() - start_s,
    }


def _cpu_times(server: ServerProcess) -> dict[str, float]:
    """Seconds of processors so far: gateways, Triton, its stubs."""
    import psutil

    used: dict[str, float] = {}
    for process in [psutil.Process(server.process.pid), *server.family()]:
        try:
            line, times = " ".join(process.cmdline()), process.cpu_times()
        except psutil.Error:
            continue
        kind = "stub" if "triton_python_backend_stub" in line else "gateway"
        kind = "triton" if "tritonserver" in line.split(" ")[0] and kind != "stub" else kind
        used[kind] = used.get(kind, 0.0) + times.user + times.system
    return used


def _vision_log(data: Path) -> str:
    """What the vision encoder says that it runs on, from Triton's log."""
    for path in sorted(data.rglob("triton.log")):
        for line in path.read_text(errors="replace").splitlines():
            if "vision_encoder: " in line:
                return line.rpartition("vision_encoder: ")[2].strip().strip('"')
    return ""


def names(results: Sequence[dict[str, Any]]) -> list[str]:
    """A heading for each run."""
    return [f"{r['model']} on {r['device']}, {r['processes']} gateway(s)" for r in results]
