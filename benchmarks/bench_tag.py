"""How near does the gateway come to what this machine can do?

    python -m benchmarks.bench_tag                            a table, and JSON as the last line
    python -m benchmarks.bench_tag --out benchmarks/results   and both as files

In one run, interleaved round by round, on the same 640 x 480 JPEGs, with the shipped model and
graph:

    decode   bare loop: JPEG bytes to pixels, one thread a core
    encode   bare loop: pixels to embeddings, batches of 32, the runtime that Triton's models use
    search   bare loop: embeddings to tags, batches of 32
    Tag, TagStream   the real server (real Triton) on loopback, pictures per second and latency

All stages, the server and its client share the same cores. So two limits are stated: that of the
*binding stage*, the slowest bare loop if it had every core to itself; and that of the *machine*,
the bare loops one after the other, 1 / (1/decode + 1/encode + 1/search), which nothing can pass
here. Neither takes account of gRPC, of the client, or of any waiting: the gateway pays for them.
"""

import argparse
import asyncio
import io
import itertools
import json
import os
import platform
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import grpc
import numpy as np
import skimage.data
import uvloop
from numpy.typing import NDArray
from PIL import Image

from inkling.v1 import info_pb2, info_pb2_grpc, tagging_pb2, tagging_pb2_grpc
from inkling_server import images
from inkling_server.model_manifest import load_calibration, load_manifest
from inkling_server.runtimes import RuntimeOptions, open_runtime
from inkling_server.tag_index import SearchThread, Selection, TagIndex
from tests.server_process import ServerProcess

REPOSITORY = Path(__file__).resolve().parent.parent
MODELS = REPOSITORY / "model_repository"
CORES = len(os.sched_getaffinity(0))
BATCH = 32
WIDTH, HEIGHT = 640, 480


@dataclass
class Measured:
    """Rates of the rounds in pictures a second, and latencies of single calls in seconds."""

    rates: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return median(self.rates)

    def quantile_ms(self, q: float) -> float:
        return float(np.quantile(self.latencies_s, q) * 1000)


def make_pictures(count: int) -> list[bytes]:
    """Crops of real photos that scikit-image bundles, as 640 x 480 JPEGs of quality 85."""
    rng = np.random.default_rng(7)
    sources = [
        Image.open(Path(skimage.data.data_dir) / name).convert("RGB")
        for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "camera.png")
    ]
    pictures = []
    for source in itertools.islice(itertools.cycle(sources), count):
        scale = max(WIDTH / source.width, HEIGHT / source.height) * rng.uniform(1.0, 1.5)
        big = source.resize((int(source.width * scale) + 1, int(source.height * scale) + 1))
        left = int(rng.integers(0, big.width - WIDTH + 1))
        top = int(rng.integers(0, big.height - HEIGHT + 1))
        buffer = io.BytesIO()
        big.crop((left, top, left + WIDTH, top + HEIGHT)).save(buffer, "JPEG", quality=85)
        pictures.append(buffer.getvalue())
    return pictures


def rate_of(step: Callable[[], int], seconds: float) -> float:
    """Calls `step`, which returns how many pictures it did, for about `seconds`."""
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        done += step()
    return done / (time.perf_counter() - start)


class BareLoops:
    """The three stages without any server around them."""

    def __init__(self, pictures: list[bytes], interest_count: int) -> None:
        self.pictures = pictures
        self.manifest = load_manifest(MODELS)
        self.pool = ThreadPoolExecutor(CORES)
        self.limits = images.ImageLimits()
        batch = [self._decode(p) for p in itertools.islice(itertools.cycle(pictures), BATCH)]
        self.pixels_BHWC = np.stack(batch)
        # As the vision encoder's config.pbtxt has it: every core, cache-sized chunks.
        model = MODELS / "vision_encoder" / str(self.manifest.version) / "model.onnx"
        self.runtime = open_runtime(model, RuntimeOptions(chunk=8))
        rng = np.random.default_rng(7)
        rows_ND = rng.standard_normal((interest_count, self.manifest.dimension), np.float32)
        rows_ND /= np.linalg.norm(rows_ND, axis=1, keepdims=True)
        self.rows_ND = rows_ND

    def _decode(self, picture: bytes) -> NDArray[np.uint8]:
        return images.decode(picture, self.manifest.image, self.limits)

    def decode(self) -> int:
        return sum(1 for _ in self.pool.map(self._decode, self.pictures))

    def encode(self) -> int:
        return len(self.runtime.run({"pixels": self.pixels_BHWC}))

    async def search_rate(self, seconds: float) -> float:
        calibration = load_calibration(MODELS)
        with SearchThread() as thread:
            index = await TagIndex.build(
                thread,
                self.rows_ND,
                np.zeros(len(self.rows_ND), np.float32),
                scale=calibration.scale,
                bias=calibration.bias,
            )
            queries_BD = self.rows_ND[:BATCH]
            selections = [Selection(5, 0.3)] * BATCH
            done, start = 0, time.perf_counter()
            while time.perf_counter() - start < seconds:
                await index.search(queries_BD, selections)
                done += BATCH
            return done / (time.perf_counter() - start)


async def tag_stream(address: str, pictures: list[bytes], seconds: float, out: Measured) -> None:
    """One TagStream as full as the server lets it be."""
    sent: dict[str, float] = {}
    done = 0
    end = time.perf_counter() + seconds
    room = asyncio.Semaphore(64)

    async def requests() -> AsyncIterator[tagging_pb2.TagStreamRequest]:
        for number, picture in enumerate(itertools.cycle(pictures)):
            await room.acquire()
            if time.perf_counter() > end:
                return
            name = str(number)
            sent[name] = time.perf_counter()
            yield tagging_pb2.TagStreamRequest(
                request_id=name, request=tagging_pb2.TagRequest(image=picture)
            )

    async with grpc.aio.insecure_channel(address) as channel:
        start = time.perf_counter()
        async for reply in tagging_pb2_grpc.TaggingServiceStub(channel).TagStream(requests()):
            assert reply.WhichOneof("result") == "response", reply.error
            out.latencies_s.append(time.perf_counter() - sent.pop(reply.request_id))
            room.release()
            done += 1
        out.rates.append(done / (time.perf_counter() - start))


async def tag_calls(
    address: str, pictures: list[bytes], seconds: float, concurrency: int, out: Measured
) -> None:
    """Unary calls, each caller sending its next picture when the last one is answered."""
    source: Iterator[bytes] = itertools.cycle(pictures)
    done = 0
    async with grpc.aio.insecure_channel(address) as channel:
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        start = time.perf_counter()

        async def caller() -> None:
            nonlocal done
            while time.perf_counter() - start < seconds:
                before = time.perf_counter()
                await stub.Tag(tagging_pb2.TagRequest(image=next(source)), timeout=30)
                out.latencies_s.append(time.perf_counter() - before)
                done += 1

        await asyncio.gather(*(caller() for _ in range(concurrency)))
        out.rates.append(done / (time.perf_counter() - start))


async def measure(rounds: int, seconds: float) -> dict[str, Any]:
    """All rounds; returns the report."""
    pictures = make_pictures(64)
    results: dict[str, Measured] = {
        name: Measured()
        for name in ("decode", "encode", "search", "TagStream", "Tag x1", "Tag x8", "Tag x32")
    }
    with (
        tempfile.TemporaryDirectory(prefix="inkling-bench-") as folder,
        ServerProcess(Path(folder)) as server,
    ):
        start_s = server.wait_serving()
        async with grpc.aio.insecure_channel(server.address) as channel:
            info = await info_pb2_grpc.InfoServiceStub(channel).GetInfo(info_pb2.GetInfoRequest())
        bare = BareLoops(pictures, info.interest_count)
        await tag_stream(server.address, pictures, 2.0, Measured())  # warm up
        bare.encode()
        for _ in range(rounds):
            results["decode"].rates.append(rate_of(bare.decode, seconds))
            await tag_stream(server.address, pictures, seconds, results["TagStream"])
            results["encode"].rates.append(rate_of(bare.encode, seconds))
            results["search"].rates.append(await bare.search_rate(seconds / 4))
            for concurrency in (1, 8, 32):
                out = results[f"Tag x{concurrency}"]
                await tag_calls(server.address, pictures, seconds, concurrency, out)
    stages = {name: results[name].rate for name in ("decode", "encode", "search")}
    binding = min(stages, key=lambda name: stages[name])
    machine = 1 / sum(1 / rate for rate in stages.values())
    return {
        "question": "how near does the gateway come to what this machine can do?",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": f"{cpu_name()}, {CORES} cores",
        "python": platform.python_version(),
        "model": info.model_version,
        "interests": info.interest_count,
        "encoders": {e.name: e.runtime for e in info.encoders},
        "picture": {"width": WIDTH, "height": HEIGHT, "mean_bytes": len(b"".join(pictures)) // 64},
        "rounds": rounds,
        "seconds_each": seconds,
        "first_start_s": round(start_s, 2),
        "binding_stage": binding,
        "machine_limit": round(machine, 1),
        "results": {
            name: {
                "pictures_per_s": round(m.rate, 1),
                "rounds": [round(rate, 1) for rate in m.rates],
                "of_binding_stage": round(m.rate / stages[binding], 3),
                "of_machine": round(m.rate / machine, 3),
                "p50_ms": round(m.quantile_ms(0.5), 2) if m.latencies_s else None,
                "p99_ms": round(m.quantile_ms(0.99), 2) if m.latencies_s else None,
            }
            for name, m in results.items()
        },
    }


def cpu_name() -> str:
    """The processor as the kernel calls it, with the instructions that matter here."""
    lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "?")
    flags = next((x.split(":")[1].split() for x in lines if x.startswith("flags")), [])
    wanted = [f for f in ("amx_bf16", "avx512_bf16", "avx512_vnni", "avx2") if f in flags]
    return f"{name} ({', '.join(wanted)})"


def as_markdown(report: dict[str, Any]) -> str:
    lines = [
        f"# {report['question'].capitalize()}",
        "",
        f"{report['time'][:10]}, {report['hardware']}. Model {report['model']}, "
        f"{report['interests']} interests; JPEG {WIDTH} x {HEIGHT}, "
        f"{report['picture']['mean_bytes'] // 1000} KB each. Median of {report['rounds']} "
        f"interleaved rounds of {report['seconds_each']} s; server, Triton and client share the "
        "cores.",
        "",
        f"Binding stage: {report['binding_stage']}. All bare loops one after the other on these "
        f"cores (the machine's limit): {report['machine_limit']} pictures/s.",
        "",
        "| | pictures/s | of the binding stage | of the machine | p50 ms | p99 ms |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, r in report["results"].items():
        p50, p99 = (r["p50_ms"] or "", r["p99_ms"] or "")
        lines.append(
            f"| {name} | {r['pictures_per_s']} | {r['of_binding_stage']:.0%} | "
            f"{r['of_machine']:.0%} | {p50} | {p99} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures, prints, and writes the files where asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--out", type=Path, help="folder for <date>_<hardware>_tag.{json,md}")
    arguments = parser.parse_args()
    report = uvloop.run(measure(arguments.rounds, arguments.seconds))
    markdown = as_markdown(report)
    if arguments.out:
        hardware = "-".join(report["hardware"].split("(")[0].lower().split())
        stem = f"{report['time'][:10]}_{hardware}-{CORES}-cores_tag"
        (arguments.out / f"{stem}.json").write_text(json.dumps(report, indent=2) + "\n")
        (arguments.out / f"{stem}.md").write_text(markdown)
    print(markdown)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
