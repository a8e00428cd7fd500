"""How does the cost of finding a picture's tags grow, from a thousand tags to a million?

    python -m benchmarks.bench_search                            tables, JSON as the last line
    python -m benchmarks.bench_search --out benchmarks/results   and JSON, Markdown and a plot
    python -m benchmarks.bench_search --quick                    1,000 and 3,000 tags, for tests
    python -m benchmarks.bench_search --alternatives hnsw,rabitq,ivf-rabitq,ivf-sq8 --tags 100000

Tags and pictures are real: see `search_data` (the first run embeds a million phrases, some five
minutes, and keeps them in --cache). `--pictures` takes tar files of photos; without them, cuts of
the photos that scikit-image bundles.

Measured is processor time, of the search thread, so that neighbours on the machine matter little:

    exact        TagIndex that compares each picture with every tag
    approximate  TagIndex with compressed rows
    batch        decoding 32 JPEGs (640 x 480) and encoding them by the shipped model: what the CPU
                 path spends on a batch before it is searched

The whole gateway spends more on a batch than `batch` does; --path-rate takes what it was measured
to do, in pictures a second of the machine, and gives the share of that, too.

All take turns in every round. recall@10 is the share of the true ten best (by logit, priors
included) that were found. The criterion: search of a million tags adds under 15 % to the batch.
"""

import argparse
import asyncio
import io
import json
import os
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

# Before numpy's own BLAS reads it: one thread each, as in the server.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import faiss
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.report import hardware, versions, write_report
from benchmarks.search_data import (
    MODELS,
    cuts,
    model_version,
    picture_embeddings,
    tag_counts,
    tag_embeddings,
)
from benchmarks.search_ways import ways
from inkling_server import images
from inkling_server.encoders import Embeddings
from inkling_server.model_manifest import load_calibration, load_manifest
from inkling_server.profiles.clusters import load_shipped
from inkling_server.runtimes import RuntimeOptions, open_runtime
from inkling_server.scoring import prior_logits
from inkling_server.tag_index import (
    SearchThread,
    Selection,
    TagIndex,
    fold_rows,
    logit_shifts,
)

COUNTS = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
BATCHES = (1, 32)
TOP_N = 10
LIMIT = 0.15
Search = Callable[[Embeddings], Any]


class BatchCost:
    """Decoding and encoding a batch of 32, on one thread."""

    def __init__(self) -> None:
        self._manifest = load_manifest(MODELS, model_version())
        folder = MODELS / "vision_encoder" / str(self._manifest.version)
        self._runtime = open_runtime(folder / "model.onnx", RuntimeOptions(threads=1, chunk=8))
        self._pictures = []
        for photo in cuts(32):
            buffer = io.BytesIO()
            Image.fromarray(photo).resize((640, 480)).save(buffer, "JPEG", quality=85)
            self._pictures.append(buffer.getvalue())

    def __call__(self) -> float:
        """Milliseconds of processor time, of all threads."""
        start_s = time.process_time()
        limits = images.ImageLimits()
        pixels = [images.decode(data, self._manifest.image, limits) for data in self._pictures]
        self._runtime.run({"pixels": np.stack(pixels)})
        return 1000 * (time.process_time() - start_s)


def timed(search: Callable[[], object]) -> float:
    """Milliseconds of this thread's processor time."""
    start_s = time.thread_time()
    search()
    return 1000 * (time.thread_time() - start_s)


def recall(found: Sequence[Sequence[int]], true_BK: NDArray[np.int64]) -> float:
    """Share of the true best that were found."""
    return float(
        np.mean([len({*f} & {*t}) / len(t) for f, t in zip(found, true_BK.tolist(), strict=True)])
    )


class Scene:
    """Tags of one number, and pictures."""

    def __init__(self, tags_ND: Embeddings, pictures_PD: Embeddings, typical_SD: Embeddings | None):
        self.calibration = load_calibration(MODELS, model_version())
        self.count = len(tags_ND)
        self.pictures_PD, self.typical_SD = pictures_PD, typical_SD
        self.priors_N = prior_logits(tag_counts(len(tags_ND)).tolist(), self.calibration)
        # As a server has them, in memory instead of a file.
        self.rows = fold_rows(tags_ND, logit_shifts(self.priors_N, None, self.calibration.bias))

    async def build(self, thread: SearchThread, *, exact: bool) -> TagIndex:
        return await TagIndex.build(
            thread,
            self.rows,
            self.priors_N,
            scale=self.calibration.scale,
            bias=self.calibration.bias,
            typical_SD=self.typical_SD,
            exact_up_to=self.count if exact else 0,
        )

    def queries(self) -> Embeddings:
        """[P, E]"""
        ones_P1 = np.ones((len(self.pictures_PD), 1), np.float32)
        return np.concatenate([self.pictures_PD * np.float32(self.calibration.scale), ones_P1], 1)


async def found_rows(index: TagIndex, pictures_PD: Embeddings) -> list[list[int]]:
    rows: list[list[int]] = []
    for start in range(0, len(pictures_PD), 32):
        part = pictures_PD[start : start + 32]
        answers = await index.search(part, [Selection(TOP_N, 0.0)] * len(part))
        rows += [[hit.row for hit in hits] for hits in answers]
    return rows


async def measure(
    thread: SearchThread, scene: Scene, batch_cost: BatchCost, rounds: int
) -> dict[str, Any]:
    """Both kinds of index over one number of tags."""
    count = scene.count
    result: dict[str, Any] = {"tags": count, "ms": {}, "batch_ms": 0.0}
    indexes = {"exact": await scene.build(thread, exact=True)}
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    approximate = await scene.build(thread, exact=False)
    result["build_s"] = time.perf_counter() - start_s
    result["build_cpu_s"] = time.process_time() - start_cpu_s
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result["build_peak_mb"] = (peak_kb - before_kb) / 1024
    if approximate.is_exact:
        await approximate.close()
    else:
        indexes["approximate"] = approximate
    result["index"] = {name: index.description for name, index in indexes.items()}
    found = {name: await found_rows(index, scene.pictures_PD) for name, index in indexes.items()}
    true_BK = np.array(found["exact"])  # proven: see TagIndex
    result["recall"] = {name: recall(rows, true_BK) for name, rows in found.items()}

    times_ms: dict[str, list[float]] = {}
    batch_ms = []
    rng = np.random.default_rng(count)
    for _ in range(rounds):
        batch_ms.append(batch_cost())
        for size in BATCHES:
            picked = rng.integers(0, len(scene.pictures_PD), size)
            pictures_BD = scene.pictures_PD[picked]
            chosen = [Selection(5, 0.1)] * size
            for name, index in indexes.items():
                took = await thread.run(timed, lambda: index._search(pictures_BD, chosen))  # noqa: B023
                times_ms.setdefault(f"{name} {size}", []).append(took)
    result["ms"] = {name: median(values) for name, values in times_ms.items()}
    result["batch_ms"] = median(batch_ms)
    result["share"] = {
        name: result["ms"][f"{name} {BATCHES[-1]}"] / result["batch_ms"] for name in indexes
    }
    for index in indexes.values():
        await index.close()
    return result


def measure_others(
    scene: Scene, names: Sequence[str], true_BK: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """The alternatives, on this thread."""
    faiss.omp_set_num_threads(1)
    rows_NE = scene.rows.rows_NE
    queries_PE = scene.queries()
    results = []
    for name in names:
        start_s = time.process_time()
        built = ways(rows_NE, scene.calibration.scale)[name]()
        build_cpu_s = time.process_time() - start_s
        for way in built:
            found = np.concatenate(
                [way.search(queries_PE[i : i + 32]) for i in range(0, len(queries_PE), 32)]
            )
            ms = [timed(lambda: way.search(queries_PE[:32])) for _ in range(7)]  # noqa: B023
            results.append(
                {
                    "tags": len(rows_NE),
                    "way": way.name,
                    "recall": recall(found.tolist(), true_BK),
                    "ms": median(ms),
                    "build_cpu_s": build_cpu_s,
                }
            )
            print(f"{way.name:42} recall {results[-1]['recall']:.4f} {median(ms) / 32:.3f} ms")
    return results


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything; returns the report."""
    counts = [1_000, 3_000] if arguments.quick else (arguments.tags or COUNTS)
    pictures_PD = picture_embeddings(64 if arguments.quick else 1_000, arguments.pictures)
    manifest = load_manifest(MODELS, model_version())
    clusters = load_shipped(MODELS, manifest.version, manifest.fingerprint)
    typical_SD = None if clusters is None else clusters.centroids_KD
    every_ND = tag_embeddings(max(counts), arguments.cache)
    batch_cost = BatchCost()
    batch_cost()
    results, others = [], []
    with SearchThread() as thread:
        for count in counts:
            scene = Scene(every_ND[:count], pictures_PD, typical_SD)
            rounds = 3 if arguments.quick else 15 if count >= 300_000 else 25
            results.append(await measure(thread, scene, batch_cost, rounds))
            print(row_of(results[-1]), flush=True)
            if arguments.alternatives:
                index = await scene.build(thread, exact=True)
                true_BK = np.array(await found_rows(index, pictures_PD))
                await index.close()
                others += measure_others(scene, arguments.alternatives.split(","), true_BK)
    largest = results[-1]
    fits = {
        name: exponent([(r["tags"], r["ms"][name]) for r in results if name in r["ms"]])
        for name in results[0]["ms"] | largest["ms"]
    }
    path_ms = None
    if arguments.path_rate:
        path_ms = 32 * 1000 * len(os.sched_getaffinity(0)) / arguments.path_rate
    best = "approximate" if "approximate" in largest["share"] else "exact"
    return {
        "benchmark": "search",
        "hardware": hardware(),
        "versions": versions(["faiss-cpu", "numpy", "openvino"]),
        "unit": "ms of processor time",
        "pictures": len(pictures_PD),
        "results": results,
        "alternatives": others,
        "exponents": fits,
        "criterion": {
            "tags": largest["tags"],
            "way": best,
            "share_of_batch": largest["share"][best],
            "share_of_gateway": path_ms and largest["ms"][f"{best} {BATCHES[-1]}"] / path_ms,
            "recall_at_10": largest["recall"][best],
            "met": largest["tags"] >= 1_000_000
            and largest["share"][best] < LIMIT
            and largest["recall"][best] >= 0.99,
        },
    }


def exponent(points: Sequence[tuple[int, float]]) -> float | None:
    """x in time ~ tags ** x, over the counts from 10,000 where there are three."""
    used = [p for p in points if p[0] >= 10_000]
    used = used if len(used) >= 3 else list(points)
    if len(used) < 2:
        return None
    return float(np.polyfit(np.log([n for n, _ in used]), np.log([ms for _, ms in used]), 1)[0])


def row_of(result: dict[str, Any]) -> str:
    """A line of the table."""
    cells = [f"{result['tags']:,}"]
    for name in ("exact", "approximate"):
        for size in BATCHES:
            ms = result["ms"].get(f"{name} {size}")
            cells.append("-" if ms is None else f"{ms / size:.3f}")
        cells.append(f"{result['recall'][name]:.4f}" if name in result["recall"] else "-")
        cells.append(f"{result['share'][name]:.1%}" if name in result["share"] else "-")
    cells += [f"{result['build_cpu_s']:.1f}", f"{result['build_peak_mb']:.0f}"]
    return "| " + " | ".join(cells) + " |"


def lines_of(report: dict[str, Any]) -> list[str]:
    """The report for people."""
    head = ["tags"]
    for name in ("exact", "approximate"):
        head += [f"{name}, alone", "in 32", "recall@10", "of batch"]
    head += ["build CPU s", "build peak MB"]
    met = report["criterion"]
    lines = [
        "# Search from a thousand tags to a million",
        "",
        f"{report['hardware']}; milliseconds of processor time a picture; {report['pictures']}"
        " pictures; the batch is decoding and encoding 32 pictures.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *map(row_of, report["results"]),
        "",
        "time ~ tags ** x: "
        + ", ".join(f"{name} {x:.2f}" for name, x in report["exponents"].items() if x is not None),
        "",
        f"{met['tags']:,} tags, {met['way']}: {met['share_of_batch']:.1%} of the batch, recall@10"
        f" {met['recall_at_10']:.4f}. Criterion (a million tags, under {LIMIT:.0%}, 0.99): "
        + ("met" if met["met"] else "not met"),
    ]
    if met["share_of_gateway"]:
        lines.append(f"Of what the whole gateway spends on a batch: {met['share_of_gateway']:.1%}.")
    if report["alternatives"]:
        lines += ["", "| tags | other way | recall@10 | ms a picture in 32 | build CPU s |"]
        lines += ["|---|---|---|---|---|"]
        lines += [
            f"| {o['tags']:,} | {o['way']} | {o['recall']:.4f} | {o['ms'] / 32:.3f}"
            f" | {o['build_cpu_s']:.0f} |"
            for o in report["alternatives"]
        ]
    return lines


def draw(report: dict[str, Any], path: Path) -> None:
    """Time a picture by number of tags, both axes logarithmic."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    colours = {"exact": "#c44536", "approximate": "#1f6f8b"}
    for name, colour in colours.items():
        for size, style in zip(BATCHES, ("--", "-"), strict=True):
            key = f"{name} {size}"
            points = [(r["tags"], r["ms"][key] / size) for r in report["results"] if key in r["ms"]]
            if points:
                label = f"{name}, {'alone' if size == 1 else f'in batches of {size}'}"
                axes.loglog(
                    *zip(*points, strict=True), style, color=colour, marker="o", label=label
                )
    limit = LIMIT * report["results"][-1]["batch_ms"] / 32
    axes.axhline(limit, color="#888888", linewidth=1, label=f"{LIMIT:.0%} of decoding and encoding")
    axes.set_xlabel("tags")
    axes.set_ylabel("ms of a core, a picture")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main(arguments: list[str] | None = None) -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few tags and pictures")
    parser.add_argument("--tags", type=int, nargs="+", help="numbers of tags, ascending")
    parser.add_argument("--pictures", type=Path, nargs="+", default=[], help="tar files of photos")
    parser.add_argument("--path-rate", type=float, help="pictures/s of the gateway, all cores")
    parser.add_argument("--alternatives", default="", help="other ways, joined by commas")
    parser.add_argument("--cache", type=Path, default=Path("build/bench-search"))
    parser.add_argument("--out", type=Path, help="folder for the report's files")
    parsed = parser.parse_args(arguments)
    report = asyncio.run(run(parsed))
    lines = lines_of(report)
    print("\n".join(lines))
    if parsed.out is not None:
        write_report(parsed.out, "search", lines, report)
        stem = f"{time.strftime('%Y-%m-%d', time.gmtime())}_{hardware()}_search"
        draw(report, parsed.out / f"{stem}.png")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
