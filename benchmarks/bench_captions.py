"""What do captions laid over a frame cost in tags, and how much of that comes back without them?

    python -m benchmarks.bench_captions                            table, JSON as the last line
    python -m benchmarks.bench_captions --out benchmarks/results   and both as files

Photos of parts of the sample data that no threshold was chosen on (coco-mini and
public-domain-recipes; INKLING_SAMPLE_DATA, else ../shared/data beside the repository), scaled and
cut to 640 x 360 as a video shows them, as JPEGs. Each is tagged by a real server as it is, with a
caption, and with that caption taken away as TagVideo does it (`video.captions`). Kept: of the tags
that score above .4 on the photo as it is, how many do so afterwards; new ones: per photo. Mirroring
changes no thing in a picture, and noise of two grey levels nothing that anyone sees: what they cost
is what no mending can be expected to undercut. Last, how often something is taken for a caption
where there is none, and the time it takes.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.captioned_videos import CAPTIONS, SIZE, STYLES, drawn, pixels_of
from benchmarks.report import hardware, versions, write_report
from inkling_client import InklingClient
from inkling_server.video.captions import caption_mask, cleaned
from inkling_training.data import Record, load_records, sample_data_dir
from tests.server_process import ServerProcess
from tests.video_factory import Scene, render

PARTS = frozenset({"coco-mini", "public-domain-recipes"})
LEAST = 0.4
NOISE = 2
Pixels = NDArray[np.uint8]
Tags = Callable[[Pixels], set[str]]


def frame_of(record: Record, overlay: Pixels | None) -> Pixels:
    """The photo as a frame of a video, after lossy coding."""
    scene = Scene(pixels_of(record), 1.0, overlay=overlay)
    frame_HW3 = next(iter(render([scene], size=SIZE, fps=1)))
    jpeg = cv2.imencode(".jpg", frame_HW3[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR_RGB), np.uint8)


def with_noise(frame_HW3: Pixels, seed: int) -> Pixels:
    """The frame with normal noise, of a standard deviation of `NOISE` grey levels."""
    noise_HW3 = np.random.default_rng(seed).standard_normal(frame_HW3.shape, np.float32) * NOISE
    return np.asarray(np.clip(np.rint(frame_HW3 + noise_HW3), 0, 255), np.uint8)


def compare(records: Sequence[Record], tags: Tags) -> list[dict[str, Any]]:
    """One row a way of drawing captions."""
    plain = [frame_of(record, None) for record in records]
    before = [tags(frame_HW3) for frame_HW3 in plain]
    mirrored = [tags(np.ascontiguousarray(frame_HW3[:, ::-1])) for frame_HW3 in plain]
    noisy = [tags(with_noise(frame_HW3, seed)) for seed, frame_HW3 in enumerate(plain)]
    rows = [
        {"caption": "none, mirrored", **share(before, mirrored)},
        {"caption": f"none, noise of {NOISE} grey levels", **share(before, noisy)},
        {"caption": "none", **share(before, [tags(cleaned(f)) for f in plain], "cleaned")},
    ]
    for style in STYLES:
        rng = random.Random(7)
        captioned = [
            frame_of(record, drawn(rng.choice(CAPTIONS), rng.choice([24, 28, 32, 40]), style))
            for record in records
        ]
        rows.append(
            {
                "caption": style.name,
                **share(before, [tags(f) for f in captioned]),
                **share(before, [tags(cleaned(f)) for f in captioned], "cleaned"),
            }
        )
    return rows


def share(before: Sequence[set[str]], after: Sequence[set[str]], name: str = "") -> dict[str, Any]:
    """Kept and new tags."""
    kept = sum(len(b & a) for b, a in zip(before, after, strict=True))
    new = sum(len(a - b) for b, a in zip(before, after, strict=True))
    suffix = f"_{name}" if name else ""
    return {
        f"kept{suffix}": round(kept / sum(map(len, before)), 3),
        f"new{suffix}": round(new / len(before), 2),
    }


def times_ms(frame_HW3: Pixels) -> float:
    """Median time to clean a frame."""
    found = []
    for _ in range(9):
        start = time.perf_counter()
        cleaned(frame_HW3)
        found.append(time.perf_counter() - start)
    return round(float(np.median(found)) * 1_000, 1)


def main(arguments: list[str] | None = None) -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for the result files")
    parser.add_argument("--photos", type=int, help="only so many")
    options = parser.parse_args(arguments)
    records = load_records(sample_data_dir(), PARTS)[: options.photos]
    with (
        tempfile.TemporaryDirectory(prefix="inkling-captions-") as name,
        ServerProcess(Path(name) / "data", "--database-url=off") as server,
    ):
        server.wait_serving()
        with InklingClient(server.address) as client:

            def tags(pixels_HW3: Pixels) -> set[str]:
                png = cv2.imencode(".png", pixels_HW3[..., ::-1])[1].tobytes()
                return {t.phrase for t in client.tag(png, top_n=100, min_score=LEAST).tags}

            rows = compare(records, tags)
    false = sum(bool(caption_mask(frame_of(record, None)).any()) for record in records)
    hd_HW3 = np.asarray(cv2.resize(frame_of(records[0], None), (1920, 1080)), np.uint8)
    overlay = drawn(CAPTIONS[0], 32)
    captioned_HW3 = np.asarray(cv2.resize(frame_of(records[0], overlay), (1920, 1080)), np.uint8)
    cost = {"1080p": times_ms(hd_HW3), "1080p, captioned": times_ms(captioned_HW3)}
    columns = ("kept", "kept_cleaned", "new", "new_cleaned")
    lines = [
        f"# Captions over {len(records)} photos",
        "",
        f"{hardware()}. `python -m benchmarks.bench_captions`. Tags above {LEAST:g}; new ones a"
        " photo.",
        "",
        "| caption | kept | kept, caption taken away | new | new, caption taken away |",
        "|---|---|---|---|---|",
        *(
            f"| {row['caption']} | " + " | ".join(str(row.get(c, "")) for c in columns) + " |"
            for row in rows
        ),
        "",
        f"Taken for a caption where there is none: {false} of {len(records)} photos. Time a frame:"
        f" {cost['1080p']} ms at 1080p, {cost['1080p, captioned']} ms with a caption.",
    ]
    report = {
        "question": "what do captions cost in tags, and how much comes back without them?",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(),
        "versions": versions(["opencv-python-headless", "numpy"]),
        "photos": len(records),
        "rows": rows,
        "false": false,
        "ms": cost,
    }
    print("\n".join(lines))
    if options.out:
        write_report(options.out, "captions", lines, report)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
