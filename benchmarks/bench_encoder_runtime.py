"""Which CPU runtime runs our encoders fastest, at what loss, and what does Triton add?

    python -m benchmarks.bench_encoder_runtime                            tables, JSON as last line
    python -m benchmarks.bench_encoder_runtime --out benchmarks/results   and as a file

Each encoder runs by every runtime, precision and way of cutting batches that config.pbtxt could
name, in one process, interleaved round by round, so that a noisy neighbour hurts all alike. The
*loss* is what a user would notice: the share of top-5 tags of real photos that stay when one
encoder is swapped for this variant (the cosine to ONNX Runtime f32 stands beside it). The last
table is the way through Triton, bare runtime against TritonEncoder, in wall time and in CPU time of
all processes together: where neighbours make wall time useless, CPU time still tells what Triton
adds.

int8 of the vision encoder by post-training quantisation is measured too where `nncf` is installed.
"""

import argparse
import asyncio
import io
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import cv2
import numpy as np
import psutil
import skimage.data
import uvloop
from numpy.typing import NDArray
from PIL import Image

from benchmarks.report import hardware, write_report
from inkling_server.interests.snapshot import load_snapshot
from inkling_server.model_manifest import ModelManifest, load_manifest
from inkling_server.row_batches import Arrays, Runtime
from inkling_server.runtimes import RuntimeOptions, open_runtime
from inkling_server.tokens import PhraseTokenizer
from inkling_server.triton import TritonServer
from inkling_server.triton.encoder import TritonEncoder

REPOSITORY = Path(__file__).resolve().parent.parent
GRAPHS = REPOSITORY / "server" / "inkling_server" / "interests" / "default_graph"
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "camera.png")
PHOTO_COUNT = 64
PHRASE_COUNT = 512
TOP = 5
BATCHES = (1, 8, 32)

VARIANTS = {
    "ONNX Runtime f32": RuntimeOptions("onnxruntime", "f32"),
    "ONNX Runtime f32, chunks of 8": RuntimeOptions("onnxruntime", "f32", chunk=8),
    "OpenVINO f32, 1 stream": RuntimeOptions("openvino", "f32", streams=1),
    "OpenVINO bf16, 1 stream": RuntimeOptions("openvino", "bf16", streams=1),
    "OpenVINO bf16, 1 stream, chunks of 8": RuntimeOptions("openvino", "bf16", streams=1, chunk=8),
    "OpenVINO bf16, a stream a core": RuntimeOptions("openvino", "bf16"),
    "OpenVINO bf16, a stream a core, chunks of 4": RuntimeOptions("openvino", "bf16", chunk=4),
    "OpenVINO bf16, a stream a core, chunks of 8": RuntimeOptions("openvino", "bf16", chunk=8),
    "OpenVINO bf16, a stream a core, chunks of 16": RuntimeOptions("openvino", "bf16", chunk=16),
    "OpenVINO bf16, 1 core, chunks of 8": RuntimeOptions("openvino", "bf16", threads=1, chunk=8),
}
REFERENCE = "ONNX Runtime f32"
# The graph before `inkling_server.openvino_graph` has put channels first.
AS_EXPORTED = "OpenVINO bf16, a stream a core, chunks of 4, as exported"


def make_photos(size: int) -> NDArray[np.uint8]:
    """Different cuts of the photos that scikit-image bundles, uint8 [B, size, size, 3]."""
    rng = np.random.default_rng(7)
    sources = [
        np.asarray(Image.open(Path(skimage.data.data_dir) / name).convert("RGB")) for name in PHOTOS
    ]
    cuts = []
    for number in range(PHOTO_COUNT):
        source = sources[number % len(sources)]
        side = int(min(source.shape[:2]) * rng.uniform(0.5, 1.0))
        top, left = (int(rng.integers(0, edge - side + 1)) for edge in source.shape[:2])
        cut = source[top : top + side, left : left + side]
        cuts.append(cv2.resize(cut, (size, size), interpolation=cv2.INTER_AREA))
    return np.stack(cuts).astype(np.uint8)


def phrase_batches(models: Path, manifest: ModelManifest) -> list[Arrays]:
    """Token batches of the default graph's most frequent interests, 64 rows at most."""
    graph = load_snapshot(next(path for path in sorted(GRAPHS.iterdir()) if path.is_dir()))
    ranked = sorted(graph.interests, key=lambda interest: -interest.count)
    phrases = [interest.phrase for interest in ranked[:PHRASE_COUNT]]
    folder = models / "text_encoder" / str(manifest.version)
    tokenizer = PhraseTokenizer(folder / "tokenizer.json", manifest.text)
    return [
        {"input_ids": batch.input_ids_BL, "attention_mask": batch.attention_mask_BL}
        for batch in tokenizer.batches(phrases, 64)
    ]


def embed(runtime: Runtime, batches: Sequence[Arrays]) -> NDArray[np.float32]:
    embeddings_BD = np.concatenate([runtime.run(batch) for batch in batches])
    unit_BD: NDArray[np.float32] = embeddings_BD / np.linalg.norm(
        embeddings_BD, axis=1, keepdims=True
    )
    return unit_BD


def tags_kept(before_BN: NDArray[np.float32], after_BN: NDArray[np.float32]) -> float:
    """Share of each row's best five columns that are among the best five afterwards too."""
    before, after = (np.argsort(-scores, axis=1)[:, :TOP] for scores in (before_BN, after_BN))
    return float(
        np.mean(
            [len(set(left) & set(right)) / TOP for left, right in zip(before, after, strict=True)]
        )
    )


def interleaved(
    actions: Mapping[str, Callable[[], object]], rounds: int, repeats: int
) -> dict[str, float]:
    """Median seconds of each action; every round runs all of them once."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for round_number in range(rounds + 1):
        for name, action in actions.items():
            started_s = time.perf_counter()
            for _ in range(repeats):
                action()
            if round_number:  # the first round warms up
                times[name].append((time.perf_counter() - started_s) / repeats)
    return {name: median(values) for name, values in times.items()}


def measure_encoder(
    runtimes: Mapping[str, Runtime], batches: Mapping[int, Arrays], rounds: int
) -> dict[str, dict[str, float]]:
    """Rows per second of every variant at every batch size."""
    rates: dict[str, dict[str, float]] = {name: {} for name in runtimes}
    for size, batch in batches.items():
        actions = {name: partial(runtime.run, batch) for name, runtime in runtimes.items()}
        for name, seconds in interleaved(actions, rounds, max(1, 16 // size)).items():
            rates[name][str(size)] = size / seconds
    return rates


@contextmanager
def quantised(model: Path, pixels_BHWC: NDArray[np.uint8]) -> Iterator[Path | None]:
    """The vision encoder in int8, as OpenVINO's own files; None without `nncf`."""
    if find_spec("nncf") is None:
        yield None
        return
    import nncf  # type: ignore[import-untyped,unused-ignore]
    import openvino

    rows = nncf.Dataset([row_HWC[None] for row_HWC in pixels_BHWC])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        with redirect_stdout(io.StringIO()):
            small = nncf.quantize(
                openvino.Core().read_model(model), rows, subset_size=len(pixels_BHWC)
            )
        openvino.save_model(small, path)
        yield path


async def measure_triton(models: Path, pixels_BHWC: NDArray[np.uint8], rounds: int) -> list[Any]:
    """The bare runtime against the same work through Triton."""
    manifest = load_manifest(models)
    bare = open_runtime(
        models / "vision_encoder" / str(manifest.version) / "model.onnx", RuntimeOptions(chunk=4)
    )
    rows = []
    with tempfile.TemporaryDirectory() as data_dir:
        async with await TritonServer.start(
            models, Path(data_dir), check_interval_s=60.0
        ) as server:
            encoder = await TritonEncoder.connect(
                server.address, models, manifest, shared_memory=True
            )
            children = [
                child
                for child in psutil.Process().children(recursive=True)
                if "triton" in child.name()
            ]

            def cpu_s() -> float:
                return time.process_time() + sum(sum(c.cpu_times()[:2]) for c in children)

            for size in BATCHES:
                batch, repeats = pixels_BHWC[:size], max(1, 32 // size)
                wall: dict[str, list[float]] = {"bare": [], "triton": []}
                cpu: dict[str, list[float]] = {"bare": [], "triton": []}
                for round_number in range(rounds + 1):
                    for way in ("bare", "triton"):
                        started_s, cpu_before_s = time.perf_counter(), cpu_s()
                        if way == "bare":
                            for _ in range(repeats):
                                bare.run({"pixels": batch})
                        else:
                            # Two in flight, as the gateway keeps them.
                            calls = [
                                encoder.encode_images(batch, timeout_s=60) for _ in range(repeats)
                            ]
                            for start in range(0, repeats, 2):
                                await asyncio.gather(*calls[start : start + 2])
                        if round_number:
                            wall[way].append((time.perf_counter() - started_s) / repeats)
                            cpu[way].append((cpu_s() - cpu_before_s) / repeats)
                rows.append(
                    {
                        "batch": size,
                        "bare_per_s": size / median(wall["bare"]),
                        "triton_per_s": size / median(wall["triton"]),
                        "cpu_overhead": sum(cpu["triton"]) / sum(cpu["bare"]) - 1,
                    }
                )
            await encoder.close()
    return rows


def compare(name: str, models: Path, rounds: int, *, swap: str) -> dict[str, Any]:
    """All variants of one encoder: rates, cosine and tags kept."""
    manifest = load_manifest(models)
    folder = models / name / str(manifest.version)
    other = models / ("text_encoder" if swap == "images" else "vision_encoder")
    pixels = make_photos(manifest.image.size)
    images: list[Arrays] = [{"pixels": pixels[row : row + 8]} for row in range(0, PHOTO_COUNT, 8)]
    texts = phrase_batches(models, manifest)
    mine, theirs = (images, texts) if swap == "images" else (texts, images)
    other_BD = embed(
        open_runtime(other / str(manifest.version) / "model.onnx", VARIANTS[REFERENCE]), theirs
    )

    runtimes = {
        variant: open_runtime(folder / "model.onnx", options)
        for variant, options in VARIANTS.items()
        if swap == "images" or "chunks" not in variant
    }
    if swap == "images":
        as_exported = "inkling_server.openvino_graph.transpose_pixels_first"
        with mock.patch(as_exported, return_value=False):
            runtimes[AS_EXPORTED] = open_runtime(folder / "model.onnx", RuntimeOptions(chunk=4))
        with quantised(folder / "model.onnx", pixels) as model:
            if model is not None:
                options = RuntimeOptions("openvino", "bf16", chunk=8)
                runtimes["OpenVINO int8 (NNCF) + bf16"] = open_runtime(model, options)
    largest = mine[0] if swap == "texts" else {"pixels": pixels}
    batches = {size: {key: rows[:size] for key, rows in largest.items()} for size in BATCHES}
    rates = measure_encoder(runtimes, batches, rounds)

    def scores(embeddings_BD: NDArray[np.float32]) -> NDArray[np.float32]:
        pairs: NDArray[np.float32] = (
            embeddings_BD @ other_BD.T if swap == "images" else other_BD @ embeddings_BD.T
        )
        return pairs

    reference_BD = embed(runtimes[REFERENCE], mine)
    result: dict[str, Any] = {}
    print(f"\n{name}: rows per second at batch {BATCHES}; fidelity to {REFERENCE}")
    for variant, runtime in runtimes.items():
        mine_BD = embed(runtime, mine)
        cosine = float(np.mean(np.sum(mine_BD * reference_BD, axis=1)))
        kept = tags_kept(scores(reference_BD), scores(mine_BD))
        result[variant] = {"per_s": rates[variant], "cosine": cosine, "tags_kept": kept}
        columns = "".join(f"{rates[variant][str(size)]:8.0f}" for size in BATCHES)
        print(f"  {variant:44}{columns}   cosine {cosine:.4f}   tags kept {kept:.3f}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=Path, default=REPOSITORY / "model_repository")
    parser.add_argument("--rounds", type=int, default=7, help="rounds whose median counts")
    parser.add_argument("--out", type=Path, help="folder for the report")
    arguments = parser.parse_args()
    models: Path = arguments.models

    report: dict[str, Any] = {
        "question": "Which CPU runtime runs our encoders fastest, at what loss?",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(),
        "load_before": os.getloadavg()[0],
        "model": load_manifest(models).model_version,
        "vision_encoder": compare("vision_encoder", models, arguments.rounds, swap="images"),
        "text_encoder": compare("text_encoder", models, arguments.rounds, swap="texts"),
    }
    pixels_BHWC = make_photos(load_manifest(models).image.size)
    report["through_triton"] = uvloop.run(measure_triton(models, pixels_BHWC, arguments.rounds))
    print("\nvision_encoder through Triton (two batches in flight) against the bare runtime")
    for row in report["through_triton"]:
        print(
            f"  batch {row['batch']:3}: {row['triton_per_s']:6.0f} of {row['bare_per_s']:6.0f}"
            f" pictures/s, CPU time {row['cpu_overhead']:+.0%}"
        )
    if arguments.out:
        write_report(arguments.out, "encoder-runtime", as_markdown(report), report)
    print(json.dumps(report))


def as_markdown(report: dict[str, Any]) -> list[str]:
    """The tables for people."""
    lines = [
        f"# {report['question']}",
        "",
        f"{report['time'][:10]}, {report['hardware']}; {report['model']}. Rows a second, median of "
        "interleaved rounds; tags kept: of the first five, against ONNX Runtime f32.",
    ]
    for encoder in ("vision_encoder", "text_encoder"):
        head = " | ".join(f"batch {size}" for size in BATCHES)
        lines += [
            "",
            f"| {encoder} | {head} | mean cosine | tags kept |",
            "|---" + "|---:" * 5 + "|",
        ]
        for variant, found in report[encoder].items():
            rates = " | ".join(f"{found['per_s'][str(size)]:,.0f}" for size in BATCHES)
            lines.append(
                f"| {variant} | {rates} | {found['cosine']:.4f} | {found['tags_kept']:.3f} |"
            )
    lines += [
        "",
        "| through Triton | pictures/s | bare | CPU time against bare |",
        "|---|---:|---:|---:|",
    ]
    lines += [
        f"| batch {row['batch']} | {row['triton_per_s']:,.0f} | {row['bare_per_s']:,.0f} | "
        f"{row['cpu_overhead']:+.0%} |"
        for row in report["through_triton"]
    ]
    return lines


if __name__ == "__main__":
    main()
