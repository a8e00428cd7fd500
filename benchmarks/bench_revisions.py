"""What did a change do to the speed? Two or more revisions of the server, side by side.

    python -m benchmarks.bench_revisions v0.5 HEAD                      table, JSON as last line
    python -m benchmarks.bench_revisions v0.5 HEAD --out benchmarks/results
    python -m benchmarks.bench_revisions HEAD HEAD --flags= --flags=--max-batch-count=16
    python -m benchmarks.bench_revisions v0.5 HEAD --arrivals 250,1000

Each revision is checked out into a folder of its own and serves from there, with its own model
repository, over the packages of today. Their rounds are interleaved (each round begins with
another one), and one load generator sends all of them the same bytes, so a slow minute of the
machine or a dear client hurts all alike. With --arrivals pictures come by themselves, too, so many
a second (a Poisson process, the same for all; an answer after a second is late and does not count).
Read the ratios, and the processor time of a picture: it tells what a change costs also where
neighbours make the rates useless.
"""

import argparse
import contextlib
import json
import platform
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.report import hardware, write_report
from benchmarks.speed.generator import Generator
from benchmarks.speed.jobs import Job, stream_messages, tag_messages, write_messages
from benchmarks.speed.open_loop import CONNECTIONS, DEADLINE_S
from benchmarks.speed.pictures import make_pictures
from benchmarks.speed.process_tree import cpu_seconds, used_between
from benchmarks.speed.systems import Endpoint, Gateway
from tests.server_process import ServerProcess

REPOSITORY = Path(__file__).resolve().parent.parent
WINDOW = 96
_ROOTS = ("proto", "server", "client", "training")


@dataclass(frozen=True, slots=True)
class Load:
    """One way to load a server.

    Attributes:
        name: for tables.
        endpoint: its name.
        concurrency: requests under way.
        rate: arrivals a second instead; 0: as many as are answered.
    """

    name: str
    endpoint: str
    concurrency: int
    rate: float = 0.0


LOADS = (
    Load("TagStream", "inkling TagStream", WINDOW),
    Load("Tag x32", "inkling Tag", 32),
    Load("Tag x16", "inkling Tag", 16),
    Load("Tag x8", "inkling Tag", 8),
    Load("Tag x2", "inkling Tag", 2),
    Load("Tag x1", "inkling Tag", 1),
)


@contextlib.contextmanager
def checked_out(revision: str, folder: Path) -> Iterator[Path]:
    """A working tree of a revision, removed after the block.

    Raises:
        SystemExit: git does not know the revision.
    """
    git = ["git", "-C", str(REPOSITORY), "worktree"]
    added = subprocess.run(
        [*git, "add", "--detach", "--quiet", str(folder), revision], capture_output=True, text=True
    )
    if added.returncode:
        raise SystemExit(f"git does not check out {revision!r}: {added.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def environment_of(tree: Path, folder: Path) -> Path:
    """A virtual environment in which a working tree's code comes before the packages of this one.

    Triton's Python processes read no PYTHONPATH, but they do read the environment's site-packages.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = Path(
        sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    )
    lines = [str(tree / root) for root in _ROOTS]
    lines.append(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})")
    (packages / "revision.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "bin" / "python"


@contextlib.contextmanager
def serving_from(tree: Path, folder: Path, flags: Sequence[str]) -> Iterator[Gateway]:
    """A gateway that runs a working tree's code, as does what Triton starts for it."""
    python = environment_of(tree, folder / "environment")
    models = f"--model-repository={tree / 'model_repository'}"
    with ServerProcess(
        folder / "data", "--database-url=off", models, *flags, python=str(python)
    ) as process:
        process.wait_serving()
        yield Gateway(process)


def endpoint_of(gateway: Gateway, load: Load) -> Endpoint:
    """The endpoint that a load means."""
    return next(one for one in gateway.endpoints if one.name == load.endpoint)


def measure(
    revisions: Sequence[str],
    flags: Sequence[str],
    *,
    rounds: int,
    seconds: float,
    arrivals: Sequence[float] = (),
) -> dict[str, Any]:
    """Runs all rounds; returns the report."""
    loads = [*LOADS, *(Load(f"Tag, {a:g} arrive a second", "inkling Tag", 1, a) for a in arrivals)]
    names = [
        f"{number}: {one} {more}".strip()
        for number, (one, more) in enumerate(zip(revisions, flags, strict=True))
    ]
    found: dict[str, dict[str, list[dict[str, Any]]]] = {
        name: {load.name: [] for load in loads} for name in names
    }
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="inkling-bench-")))
        requests = tag_messages(make_pictures(64))
        files = {
            "grpc-stream": write_messages(folder / "stream", stream_messages(requests, WINDOW)),
            "grpc-unary": write_messages(folder / "unary", requests),
        }
        gateways = []
        for number, (revision, more) in enumerate(zip(revisions, flags, strict=True)):
            tree = stack.enter_context(checked_out(revision, folder / f"tree-{number}"))
            gateways.append(
                stack.enter_context(
                    serving_from(tree, folder / f"data-{number}", shlex.split(more))
                )
            )
        generator = stack.enter_context(contextlib.closing(Generator()))

        def run(gateway: Gateway, load: Load, lasting_s: float, number: int) -> dict[str, Any]:
            endpoint = endpoint_of(gateway, load)
            before = cpu_seconds(gateway.pid)
            job = Job(
                endpoint.transport,
                endpoint.address,
                endpoint.method,
                str(files[endpoint.transport]),
                lasting_s,
                concurrency=load.concurrency,
            )
            if load.rate:
                job = replace(
                    job,
                    transport="grpc-lean",
                    rate=load.rate,
                    seed=number,
                    deadline_s=DEADLINE_S,
                    connections=CONNECTIONS,
                )
            outcome = generator.run(job)
            used = used_between(before, cpu_seconds(gateway.pid))
            return {
                "rate": outcome.rate,
                "p50_ms": outcome.latency_ms.get("p50"),
                "p99_ms": outcome.latency_ms.get("p99"),
                "cpu_ms": {role: 1000 * s / max(outcome.ok, 1) for role, s in used.items()},
                "client_cpu_ms": 1000 * outcome.cpu_s / max(outcome.ok, 1),
            }

        for gateway in gateways:
            run(gateway, LOADS[0], 1.5, 0)  # warms up
        for number in range(rounds):
            for load in loads:
                for step in range(len(names)):
                    which = (number + step) % len(names)
                    result = run(gateways[which], load, seconds, number)
                    found[names[which]][load.name].append(result)
    return {
        "question": "What did a change do to the speed?",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(),
        "python": platform.python_version(),
        "revisions": {name: _resolved(one) for name, one in zip(names, revisions, strict=True)},
        "rounds": rounds,
        "seconds_each": seconds,
        "results": {
            name: {load: _summary(many) for load, many in by_load.items()}
            for name, by_load in found.items()
        },
    }


def _resolved(revision: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(REPOSITORY), "rev-parse", "--short", revision],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def _summary(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    roles = sorted({role for one in rounds for role in one["cpu_ms"]})
    cpu_ms = {role: median(one["cpu_ms"].get(role, 0.0) for one in rounds) for role in roles}
    return {
        "rate": round(median(one["rate"] for one in rounds), 1),
        "rates": [one["rate"] for one in rounds],
        "p50_ms": median(one["p50_ms"] for one in rounds),
        "p99_ms": median(one["p99_ms"] for one in rounds),
        "cpu_ms": {role: round(ms, 3) for role, ms in cpu_ms.items()},
        "server_cpu_ms": round(sum(cpu_ms.values()), 3),
        "client_cpu_ms": round(median(one["client_cpu_ms"] for one in rounds), 3),
    }


def as_markdown(report: dict[str, Any]) -> list[str]:
    """The report for people; the first revision is what the others are compared with."""
    lines = [
        f"# {report['question']}",
        "",
        f"{report['time'][:10]}, {report['hardware']}. JPEGs of 640 x 480; medians of "
        f"{report['rounds']} interleaved rounds of {report['seconds_each']:g} s; servers and "
        "client share the cores. The last four columns are processor time a picture.",
        "",
        "| | revision | pictures/s | against the first | p50 ms | p99 ms | CPU ms | gateway | stub "
        "| triton |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    first = next(iter(report["results"].values()))
    for name, loads in report["results"].items():
        for load, one in loads.items():
            cpu = one["cpu_ms"]
            lines.append(
                f"| {load} | {name} ({report['revisions'][name]}) | {one['rate']:.0f} | "
                f"{one['rate'] / first[load]['rate']:.2f} | {one['p50_ms']:.1f} | "
                f"{one['p99_ms']:.1f} | {one['server_cpu_ms']:.2f} | {cpu.get('gateway', 0):.2f} | "
                f"{cpu.get('stub', 0):.2f} | {cpu.get('triton', 0):.2f} |"
            )
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Measures, prints, and writes the files where asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("revisions", nargs="+", help="as git names them; the first is the baseline")
    parser.add_argument(
        "--flags",
        action="append",
        help='server flags, --flags="..." once for each revision; default: none',
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument(
        "--arrivals",
        type=lambda text: [float(part) for part in text.split(",")],
        default=[],
        help="a second, by themselves: 250,1000",
    )
    parser.add_argument("--out", type=Path, help="folder for the report")
    parser.add_argument("--name", default="revisions", help="of the report's files")
    args = parser.parse_args(arguments)
    flags = args.flags or [""] * len(args.revisions)
    if len(flags) != len(args.revisions):
        parser.error(
            f"--flags: {len(flags)} given; one for each of {len(args.revisions)} revisions"
        )
    report = measure(
        args.revisions,
        flags,
        rounds=args.rounds,
        seconds=args.seconds,
        arrivals=args.arrivals,
    )
    lines = as_markdown(report)
    if args.out:
        write_report(args.out, args.name, lines, report)
    print("\n".join(lines))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
