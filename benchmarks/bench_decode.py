"""How fast does a picture become the encoder's pixels, and does the short way change its tags?

    python -m benchmarks.bench_decode            tables, and JSON as the last line
    python -m benchmarks.bench_decode --tags     also tags of sample photos (INKLING_SAMPLE_DATA)
    python -m benchmarks.bench_decode --out benchmarks/results

Three questions, each answered in one run, interleaved round by round, medians over rounds:

1. The ways to decode a JPEG: `images.decode`, OpenCV's reduced decoding, Pillow's draft mode, and
   CLIP's own way (Pillow in full, antialiased bicubic), which is also what differences refer to.
2. Every format: `images.decode` against Pillow in full. "two threads" is how many times the work of
   one thread two get done (2.0 at most, and only where two processors are free); "holds the GIL" is
   the longest time that another thread waited during one 12-megapixel picture.
3. With `--tags`: what the difference does to the embedding and to the five best of the default
   graph's phrases, beside what merely another filter does to them.

Photos are those that scikit-image bundles, enlarged to a camera's size; nothing is downloaded.
"""

import argparse
import io
import json
import os
import platform
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image, ImageOps

from inkling_server import images
from inkling_server.model_manifest import PixelSpec, load_manifest
from tests.image_factory import FORMATS

REPOSITORY = Path(__file__).resolve().parent.parent
MODELS = REPOSITORY / "model_repository"
SIZES = [(640, 480), (1440, 1080), (4000, 3000)]
NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
SAMPLES = ("caltech-101", "scenes-8", "grocery-store", "food-dishes", "clothing-photos", "coco")

Decoder = Callable[[bytes, PixelSpec], NDArray[np.uint8]]


def pillow_full(data: bytes, spec: PixelSpec) -> NDArray[np.uint8]:
    """CLIP's reference: the whole picture, then the antialiased bicubic filter."""
    return _by_pillow(Image.open(io.BytesIO(data)).convert("RGB"), spec)


def pillow_bilinear(data: bytes, spec: PixelSpec) -> NDArray[np.uint8]:
    """The whole picture, then the antialiased bilinear filter."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return _by_pillow(image, spec, Image.Resampling.BILINEAR)


def pillow_draft(data: bytes, spec: PixelSpec) -> NDArray[np.uint8]:
    """The same from libjpeg's nearest scale."""
    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (spec.size, spec.size))
    return _by_pillow(image.convert("RGB"), spec)


def _by_pillow(
    image: Image.Image, spec: PixelSpec, kernel: Image.Resampling = Image.Resampling.BICUBIC
) -> NDArray[np.uint8]:
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side) if spec.fit == "crop" else None
    square = image.resize((spec.size, spec.size), kernel, box=box)
    return np.asarray(square)


def opencv_reduced(data: bytes, spec: PixelSpec) -> NDArray[np.uint8]:
    """OpenCV at half size where that suffices, then an area average; crop only."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_COLOR_2)
    assert pixels is not None
    side = min(pixels.shape[:2])
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    square = cv2.resize(
        pixels[top : top + side, left : left + side],
        (spec.size, spec.size),
        interpolation=cv2.INTER_AREA,
    )
    return np.asarray(cv2.cvtColor(square, cv2.COLOR_BGR2RGB), np.uint8)


def photos(width: int, height: int) -> list[Image.Image]:
    """Real photos, cut to the aspect and enlarged."""
    return [
        ImageOps.fit(Image.open(Path(skimage.data.data_dir) / name).convert("RGB"), (width, height))
        for name in NAMES
    ]


def each(way: Decoder, files: list[bytes], spec: PixelSpec) -> list[NDArray[np.uint8]]:
    """All files by one way."""
    return [way(data, spec) for data in files]


def ms_each(decoders: Mapping[str, Callable[[], Any]], rounds: int, count: int) -> dict[str, float]:
    """Median milliseconds a picture of each way, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in decoders}
    for run in decoders.values():
        run()
    for _ in range(rounds):
        for name, run in decoders.items():
            start = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - start) * 1000 / count)
    return {name: median(values) for name, values in times.items()}


def difference(a: list[NDArray[np.uint8]], b: list[NDArray[np.uint8]]) -> float:
    """Mean absolute difference in grey levels."""
    return float(np.abs(np.stack(a).astype(np.int16) - np.stack(b)).mean())


def jpeg_table(rounds: int) -> list[dict[str, Any]]:
    spec = PixelSpec()
    ways: dict[str, Decoder] = {
        "images.decode": images.decode,
        "OpenCV reduced, area": opencv_reduced,
        "Pillow draft, bicubic": pillow_draft,
        "Pillow full, bicubic": pillow_full,
    }
    rows = []
    for width, height in SIZES:
        some = photos(width, height)[: 2 if width > 2000 else None]
        files = [FORMATS["JPEG"](image) for image in some]
        runs = {name: partial(each, way, files, spec) for name, way in ways.items()}
        expected = runs["Pillow full, bicubic"]()
        ms = ms_each(runs, rounds, len(files))
        rows += [
            {
                "picture": f"JPEG {width}x{height}",
                "way": name,
                "ms": round(ms[name], 2),
                "pictures_per_core_s": round(1000 / ms[name]),
                "times_the_reference": round(ms["Pillow full, bicubic"] / ms[name], 2),
                "difference": round(difference(run(), expected), 2),
            }
            for name, run in runs.items()
        ]
    return rows


def format_table(rounds: int) -> list[dict[str, Any]]:
    spec = PixelSpec()
    small, big = photos(640, 480), photos(4000, 3000)[0]
    rows = []
    for name, encode in FORMATS.items():
        files = [encode(image) for image in small]
        runs = {"ours": partial(each, images.decode, files, spec)}
        if name != "HEIC":  # Pillow does not read it
            runs["pillow"] = partial(each, pillow_full, files, spec)
        ms = ms_each(runs, rounds, len(files))
        far = difference(runs["ours"](), runs["pillow"]()) if "pillow" in runs else None
        rows.append(
            {
                "format": f"{name} 640x480",
                "ms": round(ms["ours"], 2),
                "pillow_ms": round(ms["pillow"], 2) if "pillow" in ms else None,
                "difference": None if far is None else round(far, 2),
                "two_threads": round(two_thread_gain(runs["ours"], rounds), 2),
                "holds_gil_ms": round(longest_wait_ms(encode(big), spec), 1),
            }
        )
    return rows


def two_thread_gain(run: Callable[[], Any], rounds: int) -> float:
    """Work done by two threads over the work of one in the same time; median of the rounds."""
    gains = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        one_s = time.perf_counter() - start
        threads = [threading.Thread(target=run) for _ in range(2)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        gains.append(2 * one_s / (time.perf_counter() - start))
    return median(gains)


def longest_wait_ms(data: bytes, spec: PixelSpec) -> float:
    """Longest gap in a thread that only wants to tick while another decodes; best of three."""
    limits = images.ImageLimits(max_bytes=1 << 30)
    waits = []
    for _ in range(3):
        decoder = threading.Thread(target=images.decode, args=(data, spec, limits))
        longest, last = 0.0, time.perf_counter()
        decoder.start()
        while decoder.is_alive():
            time.sleep(0.0005)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        waits.append(longest * 1000)
    return min(waits)


def tag_table(count: int) -> list[dict[str, Any]]:
    """Embeddings and best phrases of sample photos, by our pixels and by the reference's."""
    # Late: only this table needs the model's runtime, a graph and the sample data.
    from inkling_server.interests.snapshot import load_snapshot
    from inkling_server.runtimes import RuntimeOptions, open_runtime
    from inkling_server.tokens import PhraseTokenizer
    from inkling_training.data import sample_data_dir

    manifest = load_manifest(MODELS)
    version = str(manifest.version)
    exact = RuntimeOptions(precision="f32")
    vision = open_runtime(MODELS / "vision_encoder" / version / "model.onnx", exact)
    text = open_runtime(MODELS / "text_encoder" / version / "model.onnx", exact)
    tokens = PhraseTokenizer(MODELS / "text_encoder" / version / "tokenizer.json", manifest.text)
    graphs = REPOSITORY / "server" / "inkling_server" / "interests" / "default_graph"
    snapshot = load_snapshot(sorted(path for path in graphs.iterdir() if path.is_dir())[-1])
    phrases = [interest.phrase for interest in snapshot.interests]
    tags_ND = np.zeros((len(phrases), manifest.dimension), np.float32)
    for batch in tokens.batches(phrases, 64):
        tags_ND[batch.rows] = text.run(
            {"input_ids": batch.input_ids_BL, "attention_mask": batch.attention_mask_BL}
        )

    def embed(pixels: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        parts = [
            vision.run({"pixels": np.stack(pixels[at : at + 32])})
            for at in range(0, len(pixels), 32)
        ]
        return np.concatenate(parts)

    stored = _sample_photos(sample_data_dir() / "images", count)
    # What merely another filter would change, as a scale for the rest.
    others: dict[str, Decoder] = {"Pillow full, bilinear": pillow_bilinear}
    rows = []
    for label, width in (("as stored (WebP)", 0), ("JPEG 640", 640), ("JPEG 1440", 1440)):
        files = [_as_camera(data, width) if width else data for data in stored]
        expected_ND = embed(each(pillow_full, files, manifest.image))
        for name, way in {"images.decode": images.decode, **others}.items():
            ours_ND = embed(each(way, files, manifest.image))
            cosines = (expected_ND * ours_ND).sum(axis=1)
            best = [np.argsort(-(e @ tags_ND.T), axis=1)[:, :5] for e in (expected_ND, ours_ND)]
            kept = [len(set(a) & set(b)) / 5 for a, b in zip(*best, strict=True)]
            rows.append(
                {
                    "photos": f"{len(files)} {label}",
                    "way": name,
                    "cosine_mean": round(float(cosines.mean()), 4),
                    "cosine_p1": round(float(np.quantile(cosines, 0.01)), 4),
                    "first_tag_kept": round(float((best[0][:, 0] == best[1][:, 0]).mean()), 3),
                    "top5_kept": round(float(np.mean(kept)), 3),
                }
            )
    return rows


def _sample_photos(folder: Path, count: int) -> list[bytes]:
    found: list[bytes] = []
    for prefix in SAMPLES:
        part: list[bytes] = []
        for shard in sorted(folder.glob(f"{prefix}*.tar")):
            with tarfile.open(shard) as tar:
                for member in tar:
                    if len(part) * len(SAMPLES) >= count:
                        break
                    if member.name.endswith(".webp") and (file := tar.extractfile(member)):
                        part.append(file.read())
        found += part
    return found


def _as_camera(data: bytes, width: int) -> bytes:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    scale = width / max(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    return FORMATS["JPEG"](image.resize(size, Image.Resampling.LANCZOS))


def as_markdown(title: str, rows: list[dict[str, Any]]) -> str:
    head = list(rows[0])
    lines = [f"## {title}", "", "| " + " | ".join(name.replace("_", " ") for name in head) + " |"]
    lines.append("|" + "---|" * len(head))
    lines += ["| " + " | ".join(_cell(row[name]) for name in head) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    return "-" if value is None else str(value)


def main() -> None:
    """Measures, prints, and writes the files where asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tags", action="store_true", help="also compare embeddings and tags")
    parser.add_argument("--photos", type=int, default=300, help="for --tags")
    parser.add_argument("--out", type=Path, help="folder for <date>_decode.{json,md}")
    arguments = parser.parse_args()
    sys.setswitchinterval(0.001)
    tables = {
        "JPEG, one thread": jpeg_table(arguments.rounds),
        "Formats": format_table(arguments.rounds),
    }
    if arguments.tags:
        tables["Tags"] = tag_table(arguments.photos)
    report = {
        "question": "how fast does a picture become the encoder's pixels?",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "python": platform.python_version(),
        "rounds": arguments.rounds,
        "tables": tables,
    }
    text = "\n".join(as_markdown(title, rows) for title, rows in tables.items())
    if arguments.out:
        stem = arguments.out / f"{str(report['time'])[:10]}_decode"
        stem.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n")
        stem.with_suffix(".md").write_text(f"# {report['question']}\n\n{text}")
    print(text)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
