"""How near to the GPU's limits are encoder, index and the whole path?

    python -m benchmarks.bench_gpu                                  all sections, on a GPU
    python -m benchmarks.bench_gpu --only ceilings,encoder          some of them
    python -m benchmarks.bench_gpu --small                          everything a CPU can run, tiny
    python -m benchmarks.bench_gpu --out benchmarks/results         and as files

    ceilings      what the card can do at most: products, copies            gpu_ceilings
    encoder       encoders by batch size, torch; exports them, too          gpu_encoders
    index-torch   search with torch                                         gpu_search
    ort           the exported encoders on ONNX Runtime's CUDA provider     gpu_encoders
    index         search with FAISS and through TagIndex                    gpu_search
    fidelity      inkling-small in float16 on the GPU against its CPU file  gpu_fidelity
    decode        JPEGs on processors and by nvJPEG                         gpu_decode
    path          JPEG -> tags through gateway and Triton                   gpu_path

Each section runs in a process of its own with a time limit, and what it found so far is kept in
`--work`/SECTION.json, so that a section that fails or is killed costs no other one, and sections
may be run one at a time. The report is made of whatever is there.
"""

import argparse
import contextlib
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import gpu_report

# Seconds that each may take.
SECTIONS = {
    "ceilings": 40,
    "encoder": 150,
    "index-torch": 40,
    "ort": 100,
    "index": 80,
    "fidelity": 40,
    "decode": 40,
    "path": 200,
}
REPOSITORY = Path(__file__).resolve().parent.parent
_ROOTS = ("proto", "server", "client", "training", ".")


def run_section(name: str, work_dir: Path, *, small: bool, seconds: float) -> None:
    """Measures one section in this process and writes SECTION.json."""
    path = work_dir / f"{name}.json"

    def keep(result: Any) -> None:
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(result) + "\n")
        draft.replace(path)

    def of(module: str) -> Any:
        # Late: a section must not fail for what another one imports.
        return importlib.import_module(f"benchmarks.gpu_{module}")

    if name == "ceilings":
        keep({"machine": gpu_report.machine(), **of("ceilings").measure(small=small)})
    elif name == "encoder":
        timeout_s = 0.5 * SECTIONS[name]
        keep(
            of("encoders").measure_torch(small=small, work_dir=work_dir, ready_timeout_s=timeout_s)
        )
    elif name == "ort":
        of("encoders").measure_ort(small=small, work_dir=work_dir, report=keep)
    elif name in ("index", "index-torch"):
        ways = ("torch",) if name == "index-torch" else ("faiss", "TagIndex")
        of("search").measure(small=small, ways=ways, report=keep)
    elif name == "fidelity":
        keep(of("fidelity").measure(small=small, pictures=_pictures(4 if small else 64)))
    elif name == "decode":
        keep(of("decode").measure(small=small, pictures=_pictures(2 if small else 64)))
    else:
        of("path").measure(
            small=small,
            pictures=_pictures(8 if small else 64),
            work_dir=work_dir,
            seconds=seconds,
            report=keep,
        )


def _pictures(count: int) -> list[bytes]:
    from benchmarks.speed.pictures import make_pictures

    return make_pictures(count)


def run_apart(name: str, work_dir: Path, *, small: bool, seconds: float) -> str:
    """Runs a section in a process of its own; returns how it ended."""
    command = [sys.executable, "-m", "benchmarks.bench_gpu", "--section", name]
    command += ["--work", str(work_dir), "--seconds", str(seconds), *(["--small"] if small else [])]
    paths = [str(REPOSITORY / root) for root in _ROOTS]
    inherited = os.environ.get("PYTHONPATH")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*paths, *filter(None, [inherited])])}
    if small:  # waiting threads spin, which other work on few cores makes very slow
        environment["OMP_NUM_THREADS"] = "1"
    start_s = time.monotonic()
    print(f"--- {name}", flush=True)
    child = subprocess.Popen(command, env=environment, cwd=REPOSITORY, start_new_session=True)
    try:
        code = child.wait(SECTIONS[name])
        ended = "done" if code == 0 else f"exit {code}"
    except subprocess.TimeoutExpired:
        _end(child)
        ended = f"stopped after {SECTIONS[name]} s"
    print(f"--- {name}: {ended}, {time.monotonic() - start_s:.1f} s", flush=True)
    return ended


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Ends a section's process and all that it has started."""
    import psutil

    for process in psutil.Process(child.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    child.kill()
    child.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints, and writes the files where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, parted by commas")
    parser.add_argument("--small", action="store_true", help="tiny sizes, for a CPU")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load of the path")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "build" / "gpu")
    parser.add_argument("--out", type=Path, help="folder for <date>_<card>_gpu.{json,md}")
    parser.add_argument("--section", choices=SECTIONS, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    given.work.mkdir(parents=True, exist_ok=True)
    if given.section:
        run_section(given.section, given.work, small=given.small, seconds=given.seconds)
        return
    names = [name for name in given.only.split(",") if name]
    if unknown := set(names) - set(SECTIONS):
        parser.error(f"no section {sorted(unknown)}; allowed: {', '.join(SECTIONS)}")
    ends = {}
    for name in names:
        (given.work / f"{name}.json").unlink(missing_ok=True)
        ends[name] = run_apart(name, given.work, small=given.small, seconds=given.seconds)
    report = gpu_report.collect(given.work, tuple(SECTIONS), ends)
    lines = gpu_report.as_markdown(report)
    if given.out:
        gpu_report.write(given.out, report, lines)
    print("\n".join(lines))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
