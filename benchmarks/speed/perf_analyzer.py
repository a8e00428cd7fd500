"""Triton alone under perf_analyzer, NVIDIA's own load generator.

It comes in the wheel of tritonclient 2.51.0 (newer ones need a newer glibc), unpacked in
build/perf; it asks for two libraries that the Triton package carries under other names. Measured is
the vision encoder with pixels: no decoding, no search, no gateway.
"""

import csv
import os
import subprocess
import sysconfig
from pathlib import Path

from benchmarks.speed.systems import REPOSITORY, Gateway

FOLDER = REPOSITORY / "build" / "perf"
_PROGRAM = FOLDER / "tritonclient-2.51.0.data" / "data" / "bin" / "perf_analyzer"
_LIBRARIES = {"libb64.so.0d": "libb64-*.so.0d", "libcudart.so.12": "libcudart-*.so.12*"}
_CONCURRENCY = 2
_BATCH = 32
# Bytes that shared memory must hold of one answer.
_OUTPUT_BYTES = 1 << 20


class PerfAnalyzerMissing(Exception):
    """perf_analyzer is not installed or does not run; the text says why."""


def triton_alone(gateway: Gateway, folder: Path, *, quick: bool) -> dict[str, float]:
    """Pictures a second by way of transport.

    Raises:
        PerfAnalyzerMissing: it is not there, or failed.
    """
    if not _PROGRAM.exists():
        raise PerfAnalyzerMissing(f"{_PROGRAM.relative_to(REPOSITORY)} is missing: make build/perf")
    libraries = _link_libraries(folder / "perf-libraries")
    url = _triton_url(gateway)
    ways = {"gRPC": "none", "system shared memory": "system"}
    return {
        f"{way}, batch {_BATCH}, {_CONCURRENCY} at a time": _measure(
            url, kind, folder / f"perf-{kind}.csv", libraries, quick=quick
        )
        for way, kind in ways.items()
    }


def _measure(url: str, kind: str, out: Path, libraries: Path, *, quick: bool) -> float:
    command = [
        *(str(_PROGRAM), "-m", "vision_encoder", "-u", url, "-i", "grpc", "-b", str(_BATCH)),
        *("--shape", "pixels:224,224,3", "--concurrency-range", str(_CONCURRENCY)),
        *("-s", "40", "-r", "3", "-p", "5000" if quick else "10000"),
        *("--shared-memory", kind, "-f", str(out)),
    ]
    if kind != "none":
        command += ["--output-shared-memory-size", str(_OUTPUT_BYTES)]
    environment = os.environ | {"LD_LIBRARY_PATH": str(libraries)}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=180, check=False
    )
    if not out.exists():
        said = (done.stderr or done.stdout).strip().splitlines()
        raise PerfAnalyzerMissing(f"perf_analyzer fails: {said[-1][:200] if said else 'silently'}")
    return rate_of(out.read_text(encoding="utf-8"))


def rate_of(text: str) -> float:
    """Inferences a second in perf_analyzer's CSV. Raises PerfAnalyzerMissing."""
    rows = list(csv.DictReader(text.splitlines()))
    if not rows or "Inferences/Second" not in rows[-1]:
        raise PerfAnalyzerMissing("perf_analyzer wrote no Inferences/Second")
    return float(rows[-1]["Inferences/Second"])


def _link_libraries(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    carried = Path(sysconfig.get_path("purelib")) / "nvidia_pytriton.libs"
    for name, pattern in _LIBRARIES.items():
        found = next(carried.glob(pattern), None)
        if found is None:
            raise PerfAnalyzerMissing(f"{carried.name} has no {pattern}")
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(found)
    return folder


def _triton_url(gateway: Gateway) -> str:
    arguments = gateway.process.child("tritonserver").cmdline()
    values = dict(a.split("=", 1) for a in arguments if a.startswith("--grpc-") and "=" in a)
    return f"127.0.0.1:{values['--grpc-port']}"
