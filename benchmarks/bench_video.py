"""How long does a minute of 1080p take to become frames, and how much memory does it need?

    python -m benchmarks.bench_video                    tables, and JSON as the last line
    python -m benchmarks.bench_video --seconds 60 --rounds 3 --out benchmarks/results

The videos are encoded here: bundled photos of scikit-image, drifting, with cuts and fades, as
H.264 in two kinds: with B frames at a low rate (what websites hand out), and without at 14 Mbit/s
and with noise (what phones record). Each is decoded by a `VideoDecoder` that has started already,
with sound and JPEGs; a process for each kind. Wall-clock time is the median over rounds; memory is
the peak of the process (VmHWM), and what it had before its first video.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

from benchmarks.report import hardware, versions, write_report
from inkling_server.model_manifest import PixelSpec
from inkling_server.video import VideoDecoder, VideoLimits
from tests.video_factory import Scene, make_video, tone

NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
SIZE, FPS, SCENES = (1920, 1080), 30, 10
KINDS: dict[str, tuple[int, int, dict[str, str]]] = {
    "B frames, low rate": (0, 250, {"preset": "medium", "crf": "23"}),
    "no B frames, 14 Mbit/s": (18, 30, {"preset": "veryfast", "b": "14M", "bf": "0", "crf": "-1"}),
}


def photo(name: str, noise: int) -> NDArray[np.uint8]:
    """A bundled photo a little larger than the video, with grain."""
    picture = cv2.imread(str(Path(skimage.data.data_dir) / name), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    wide_HW3 = cv2.resize(picture, (SIZE[0] + 200, SIZE[1]), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(0).integers(-noise, noise + 1, wide_HW3.shape)
    return np.asarray(np.clip(wide_HW3 + grain, 0, 255), np.uint8)


def encode(folder: Path, kind: str, seconds: float) -> Path:
    """One of the videos."""
    noise, keyframe_every, options = KINDS[kind]
    photos = [photo(name, noise) for name in NAMES]
    scenes = [
        Scene(photos[n % len(photos)], seconds / SCENES, (n % 3 == 2) * 1.0, 200)
        for n in range(SCENES)
    ]
    return make_video(
        folder / "video.mp4",
        scenes,
        size=SIZE,
        fps=FPS,
        sound=tone(seconds),
        keyframe_every=keyframe_every,
        options=options,
    )


def memory_mib(pid: int, field: str) -> float:
    """A line of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def cpu_seconds(pid: int) -> float:
    """What a process has used so far."""
    ticks = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()[13:15]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


async def measure(path: Path, rounds: int) -> dict[str, Any]:
    """Decodes one video some times in one process."""
    decoder = VideoDecoder(VideoLimits())
    await decoder.start()
    (process,) = decoder._idle
    idle = memory_mib(process.pid, "VmRSS")
    times_s = []
    for _ in range(rounds):
        start = time.perf_counter()
        video = await decoder.decode(
            path, PixelSpec(), max_frames=64, want_sound=True, want_full=True
        )
        times_s.append(time.perf_counter() - start)
    peak = memory_mib(process.pid, "VmHWM")
    cpu_s = cpu_seconds(process.pid)
    await decoder.close()
    return {
        "seconds": round(median(times_s), 2),
        "cpu_seconds": round(cpu_s / rounds, 2),
        "frames_looked_at": video.facts.decoded_frame_count,
        "frames": len(video.frames),
        "idle_mib": round(idle),
        "peak_mib": round(peak),
    }


def main(arguments: list[str] | None = None) -> None:
    """Runs it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each video")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="folder for a report")
    options = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            path = encode(Path(folder), kind, options.seconds)
            megabytes = {"file_mb": round(path.stat().st_size / 1e6, 1)}
            measured = asyncio.run(measure(path, options.rounds))
            rows.append({"video": kind, **megabytes, **measured})
    lines = [
        f"# Decoding {options.seconds:g} s of 1080p at {FPS} frames/s ({hardware()})",
        "",
        "| " + " | ".join(rows[0]) + " |",
        "|" + "---|" * len(rows[0]),
        *("| " + " | ".join(map(str, row.values())) + " |" for row in rows),
    ]
    print("\n".join(lines))
    report = {
        "hardware": hardware(),
        "versions": versions(["av", "numpy", "opencv-python-headless"]),
        "seconds": options.seconds,
        "rounds": options.rounds,
        "videos": rows,
    }
    if options.out:
        write_report(options.out, "video", lines, report)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
