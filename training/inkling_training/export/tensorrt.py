"""TensorRT engines for Triton's `tensorrt_plan`, by TensorRT's Python API.

    python -m inkling_training.export.tensorrt REPOSITORY [--version N]

names the Triton configuration that fits this machine's GPU: `tensorrt` where the version's engines
were built for it, else `onnxruntime`, which runs the same models anywhere:

    tritonserver --model-config-name=$(python -m inkling_training.export.tensorrt REPOSITORY) ...

NOT YET RUN: no machine that tests this repository has TensorRT and a GPU. It is written against the
documentation of TensorRT 10 (explicit batches, `build_serialized_network`, optimisation profiles,
timing caches); tests run its control flow against a stand-in that records calls, which says nothing
about engines. An engine runs on GPUs of the compute capability it was built on, with the TensorRT
version that built it: both are noted in engine.json beside it.

Legend: B rows, S side in pixels, L tokens.
"""

import argparse
import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inkling_server.model_manifest import load_manifest

ENGINE, NOTE = "model.plan", "engine.json"
MAX_BATCH = 64
_WORKSPACE_BYTES = 4 << 30


class EngineNotBuilt(RuntimeError):
    """TensorRT is missing, or refuses the graph; the ONNX file serves instead."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """What an engine belongs to: name, and compute capability such as "9.0"."""

    name: str
    compute_capability: str


@dataclass(frozen=True, slots=True)
class Shapes:
    """One input's optimisation profile: least, usual and greatest shape."""

    least: tuple[int, ...]
    usual: tuple[int, ...]
    most: tuple[int, ...]


def vision_profile(side: int) -> dict[str, Shapes]:
    """Pictures: 1 to MAX_BATCH rows, tuned for 32."""
    shape = (side, side, 3)
    return {"pixels": Shapes((1, *shape), (32, *shape), (MAX_BATCH, *shape))}


def text_profile(max_tokens: int) -> dict[str, Shapes]:
    """Phrases: 1 to MAX_BATCH rows of any length, tuned for short ones."""
    shapes = Shapes((1, 1), (32, min(16, max_tokens)), (MAX_BATCH, max_tokens))
    return {"input_ids": shapes, "attention_mask": shapes}


def build_engine(
    onnx_path: Path, profile: Mapping[str, Shapes], precision: str, timing_cache: Path
) -> Path:
    """Builds model.plan and engine.json beside an ONNX file. Takes minutes, and a whole GPU.

    Args:
        onnx_path: the graph.
        profile: shapes of each input that the engine must take.
        precision: "fp32", "fp16" or "bf16": what layers may compute in.
        timing_cache: measurements of earlier builds on the same GPU; read, and written again.

    Raises:
        EngineNotBuilt: TensorRT or a GPU is missing, or TensorRT refuses the graph.
    """
    try:
        import tensorrt as trt  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise EngineNotBuilt("TensorRT is not installed (pip install tensorrt)") from error
    gpu = this_gpu()
    if gpu is None:
        raise EngineNotBuilt("no NVIDIA GPU: engines are built on the kind of GPU that runs them")

    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network(0)  # TensorRT 10: batches are always explicit
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(onnx_path)):
        reasons = "; ".join(str(parser.get_error(place)) for place in range(parser.num_errors))
        raise EngineNotBuilt(f"TensorRT cannot read {onnx_path.name}: {reasons}")

    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE_BYTES)
    if precision != "fp32":
        config.set_flag(getattr(trt.BuilderFlag, precision.upper()))
    shapes = builder.create_optimization_profile()
    for name, shape in profile.items():
        shapes.set_shape(name, shape.least, shape.usual, shape.most)
    config.add_optimization_profile(shapes)
    known = timing_cache.read_bytes() if timing_cache.is_file() else b""
    config.set_timing_cache(config.create_timing_cache(known), ignore_mismatch=False)

    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineNotBuilt(f"TensorRT built no engine of {onnx_path.name}; its log says why")
    timing_cache.write_bytes(bytes(config.get_timing_cache().serialize()))
    engine = onnx_path.with_name(ENGINE)
    engine.write_bytes(bytes(plan))
    note = asdict(gpu) | {"tensorrt": str(trt.__version__), "precision": precision}
    (onnx_path.parent / NOTE).write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
    return engine


def this_gpu() -> Gpu | None:
    """The first GPU, by nvidia-smi; None where there is none."""
    query = ["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    first = answer.stdout.strip().splitlines()[:1]
    name, _, capability = first[0].rpartition(",") if first else ("", "", "")
    return Gpu(name.strip(), capability.strip()) if name else None


def fitting_config(folders: list[Path], gpu: Gpu | None) -> tuple[str, str]:
    """Which configuration serves these version folders on that GPU, and why, in words."""
    for folder in folders:
        if not (folder / ENGINE).is_file() or not (folder / NOTE).is_file():
            return "onnxruntime", f"{folder.parent.name} has no engine"
        note: dict[str, Any] = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        built_for = note["compute_capability"]
        if gpu is None or gpu.compute_capability != built_for:
            here = f"{gpu.name} ({gpu.compute_capability})" if gpu else "no GPU"
            return "onnxruntime", (
                f"{folder.parent.name}'s engine is for {note['name']} ({built_for}), here is {here}"
            )
    return "tensorrt", "the engines were built for this kind of GPU"


def main(arguments: list[str] | None = None) -> None:
    """Prints the configuration's name on stdout, and why on stderr."""
    import sys

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("repository", type=Path)
    parser.add_argument("--version", type=int, default=None, help="default: the newest")
    args = parser.parse_args(arguments)
    version = str(load_manifest(args.repository, args.version).version)
    encoders = ("vision_encoder", "text_encoder")
    name, why = fitting_config([args.repository / one / version for one in encoders], this_gpu())
    print(why, file=sys.stderr)
    print(name)


if __name__ == "__main__":
    main()
