"""How fast is the server, how near to what this machine can do, and who else does this work?

    python -m benchmarks.bench_speed                            everything (20 to 25 minutes)
    python -m benchmarks.bench_speed --only gateway,peers       some sections
    python -m benchmarks.bench_speed --quick                    shows that it works; means nothing
    python -m benchmarks.bench_speed --out benchmarks/results   and as files: JSON, Markdown, plots

Sections, each with its question in its module's docstring in `benchmarks/speed`:

    gateway   TagStream and Tag by concurrency and picture size, beside the bare loops
    peers     the same work by others: plain grpc.aio + ONNX Runtime, LitServe
    vit       the contest with a ViT-B/32, with infinity, and Triton under perf_analyzer
    open      latency under Poisson arrivals; overload
    scaling   clients, picture size, batch size, with fitted exponents
    memory    growth over many requests

Peers and clients run in processes of their own, interleaved with ours. Sections run again on the
same day replace those in the day's report and leave the others. The last line is JSON.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.speed import gateway, memory, open_loop, peers, report, scaling, vit
from benchmarks.speed.bench import Bench, Plan, open_bench

_MODELS = Path(__file__).resolve().parents[1] / "model_repository"
SECTIONS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "gateway": gateway.run,
    "peers": peers.run,
    "vit": vit.run,
    "open": open_loop.run,
    "scaling": scaling.run,
    "memory": memory.run,
}


def main(arguments: list[str] | None = None) -> None:
    """Measures, prints, and writes the files where asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, parted by commas")
    parser.add_argument("--quick", action="store_true", help="a minute or two, to see it work")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--requests", type=int, default=200_000, help="of the section memory")
    parser.add_argument("--price", type=float, default=0.04, help="USD of a processor-hour")
    parser.add_argument(
        "--vit-precision", choices=("bf16", "int8"), default="bf16", help="of the ViT-B/32 served"
    )
    parser.add_argument("--model-repository", type=Path, default=_MODELS)
    parser.add_argument("--server-flags", default="", help='such as "--max-batch-count=16"')
    parser.add_argument("--name", default="speed", help="of the report's files")
    parser.add_argument("--out", type=Path, help="folder for <date>_<hardware>_<name>.*")
    chosen = parser.parse_args(arguments)
    names = chosen.only.split(",")
    if unknown := set(names) - set(SECTIONS):
        parser.error(f"--only: no section {sorted(unknown)}; allowed: {list(SECTIONS)}")
    plan = _quick(chosen) if chosen.quick else _plan(chosen, chosen.rounds, chosen.seconds)
    document = report.begin(plan, chosen.out, chosen.name)
    for name in names:
        start = time.monotonic()
        print(f"-- {name}", flush=True)
        with open_bench(plan) as bench:
            found = SECTIONS[name](bench)
            report.add(document, name, found, bench.model, time.monotonic() - start)
        if chosen.out:
            report.write(document, chosen.out, chosen.name)
    print("\n".join(report.as_markdown(document)))
    print(json.dumps(document))


def _plan(chosen: argparse.Namespace, rounds: int, seconds: float) -> Plan:
    return Plan(
        quick=chosen.quick,
        rounds=rounds,
        seconds=seconds,
        requests=chosen.requests,
        model_repository=chosen.model_repository.resolve(),
        server_flags=tuple(chosen.server_flags.split()),
        price=chosen.price,
        vit_precision=chosen.vit_precision,
    )


def _quick(chosen: argparse.Namespace) -> Plan:
    chosen.requests = min(chosen.requests, 600)
    return _plan(chosen, 1, 1.0)


if __name__ == "__main__":
    main()
