"""Section "vit": the contest with a ViT-B/32, where the encoder is nearly all of the work.

One CLIP with random weights in the hub's format: the gateway serves our export of it, the plain
servers its fp32 ONNX export, infinity (https://github.com/michaelfeil/infinity) the directory
itself, by torch. infinity answers embeddings and does no search, which is in its favour. Triton
alone is measured by NVIDIA's perf_analyzer, on the gateway's own Triton while nothing else asks it,
with pixels instead of pictures: through gRPC, and through shared memory.

Exports are made once, in build/speed-vit (needs the training extra).
"""

import contextlib
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.speed.bare import BareLoops, machine_limit
from benchmarks.speed.bench import Bench
from benchmarks.speed.hub_clip import save_random_clip
from benchmarks.speed.peers import measure_systems
from benchmarks.speed.perf_analyzer import PerfAnalyzerMissing, triton_alone
from benchmarks.speed.rounds import medians, summary
from benchmarks.speed.systems import (
    REPOSITORY,
    PeerMissing,
    System,
    open_infinity,
    open_plain,
)

FOLDER = REPOSITORY / "build" / "speed-vit"


def run(bench: Bench) -> dict[str, Any]:
    """Measures; returns what section "peers" does, and Triton's rates."""
    hub = save_random_clip(FOLDER / "clip-vit-b-32")
    served = exported(hub, bench.plan.vit_precision)
    fp32 = exported(hub, "fp32")
    bench.plan = replace(bench.plan, model_repository=served)
    rounds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    bare_rounds: list[dict[str, float]] = []
    missing: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        # Kept between runs: embedding the phrases takes minutes.
        gateway = stack.enter_context(bench.gateway(name=str(FOLDER / "data")))
        model = replace(bench.model, onnx=next(fp32.glob("vision_encoder/[0-9]*/model.onnx")))
        log = bench.folder / "peers.log"
        openers: dict[str, Callable[[], contextlib.AbstractContextManager[System]]] = {
            "plain gRPC": lambda: open_plain(model, log),
            "plain gRPC, tuned": lambda: open_plain(model, log, tuned=True),
            "infinity": lambda: open_infinity(hub, log),
        }
        systems: list[System] = [gateway]
        for name, opener in openers.items():
            try:
                systems.append(stack.enter_context(opener()))
            except PeerMissing as reason:
                missing[name] = str(reason)
        bare = BareLoops(bench.pictures(), served, bench.model, fp32=model.onnx)
        for system in systems:
            bench.warm_up(system)
        for _ in range(bench.plan.rounds):
            bare_rounds.append(bare.rates(bench.plan.seconds))
            measure_systems(bench, systems, rounds, concurrencies=(32,))
        try:
            alone = triton_alone(gateway, bench.folder, quick=bench.plan.quick)
        except PerfAnalyzerMissing as reason:
            missing["Triton under perf_analyzer"] = str(reason)
            alone = {}
    stages = medians(bare_rounds)
    return {
        "precision": bench.plan.vit_precision,
        "encoder": bare.runtime,
        "bare": {name: round(rate, 1) for name, rate in stages.items()},
        "machine_limit": round(machine_limit(stages), 1),
        "results": {name: summary(many) for name, many in rounds.items()},
        "perf_analyzer": alone,
        "same_tags": {},
        "missing": missing | NOT_INSTALLABLE,
    }


def exported(hub: Path, precision: str) -> Path:
    """The model repository of that precision, made where it is missing.

    Raises:
        RuntimeError: the export failed.
    """
    out = FOLDER / precision
    if (out / "text_encoder").is_dir():
        return out
    draft = FOLDER / f"{precision}.draft"
    shutil.rmtree(draft, ignore_errors=True)
    command = [
        *(sys.executable, "-m", "inkling_training.export", "--from", str(hub)),
        *("--out", str(draft), "--name", "clip-vit-b-32-random", "--precision", precision),
        *("--target", "onnxruntime" if precision == "fp32" else "openvino"),
        # Random weights have no margins: rounding changes tags that mean nothing.
        *("--provisional-calibration", "--allow-drift"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    if done.returncode:
        raise RuntimeError(f"the export failed: {done.stderr.strip().splitlines()[-1]}")
    draft.rename(out)
    return out


# Tried on 26 November 2026.
NOT_INSTALLABLE = {
    "clip-as-service (clip-server 0.8.3, 2023)": "Does not install with today's packages: its ONNX"
    " extra wants onnxruntime-gpu <= 1.13.1, of which there is no build for Python 3.11 or newer;"
    " the jina 3 that it needs wants grpcio <= 1.68, and pip had found no set that fits after three"
    " minutes."
}
