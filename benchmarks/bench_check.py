"""Has the server become slower, whatever machine this is?

    python -m benchmarks.bench_check            two minutes; exit status 1 where a ratio regressed
    python -m benchmarks.bench_check --update   measures longer, and writes the ratios to commit

Compared are ratios of things that were measured in turn in the same rounds (see
`benchmarks/speed/ratios.py`), with those in benchmarks/results/ratios.json: never absolute times.
They depend on the kind of processor, too (bf16, cores): the file keeps them by hardware, and a
machine that it does not know is compared with nothing and told so. The last line is JSON.
"""

import argparse
import contextlib
import json
import math
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.report import hardware
from benchmarks.speed.bare import BareLoops
from benchmarks.speed.bench import Bench, Plan, open_bench
from benchmarks.speed.peers import measure_systems
from benchmarks.speed.ratios import Ratio, Verdict, compare, joined, ratios_of_round
from benchmarks.speed.systems import open_plain
from benchmarks.speed.tables import table

_HERE = Path(__file__).resolve().parent
COMMITTED = _HERE / "results" / "ratios.json"
_ROUNDS, _UPDATE_ROUNDS, _SECONDS = 5, 9, 2.5


def measure(bench: Bench) -> list[dict[str, float]]:
    """The ratios of each round."""
    found = []
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(bench.gateway())
        plain = stack.enter_context(open_plain(bench.model, bench.folder / "peers.log"))
        bare = BareLoops(bench.pictures(), bench.plan.model_repository, bench.model)
        bench.warm_up(plain)
        for _ in range(bench.plan.rounds):
            results: dict[str, list[dict[str, Any]]] = defaultdict(list)
            rates = bare.rates(bench.plan.seconds)
            measure_systems(bench, [gateway, plain], results, concurrencies=(32,))
            found.append(ratios_of_round(rates, {name: many[0] for name, many in results.items()}))
    return found


def read_committed(path: Path, machine: str) -> dict[str, Ratio]:
    """The committed ratios of this kind of machine; none where there are none."""
    if not path.exists():
        return {}
    document = json.loads(path.read_text(encoding="utf-8"))
    known = document.get(machine, {}).get("ratios", {})
    return {name: Ratio(**one) for name, one in known.items()}


def write_committed(path: Path, machine: str, ratios: dict[str, Ratio]) -> None:
    """Replaces this machine's ratios and leaves the others."""
    document = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    document[machine] = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "ratios": {name: one.to_dict() for name, one in ratios.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def as_table(verdicts: list[Verdict]) -> list[str]:
    """A row for each ratio."""
    rows = []
    for one in verdicts:
        state = "REGRESSED" if one.regressed else "ok" if one.committed else "new"
        committed = (
            (one.committed.value, one.committed.tolerance) if one.committed else (None, None)
        )
        rows.append((one.name, one.measured, committed[0], committed[1], one.bound, state))
    return table(("ratio", "measured", "committed", "tolerance", "bound", ""), rows)


def main(arguments: list[str] | None = None) -> None:
    """Measures and compares; exits with 1 on a regression."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--quick", action="store_true", help="shows that it works")
    parser.add_argument("--committed", type=Path, default=COMMITTED)
    parser.add_argument("--model-repository", type=Path, default=_HERE.parent / "model_repository")
    chosen = parser.parse_args(arguments)
    plan = Plan(
        quick=chosen.quick,
        rounds=1 if chosen.quick else _UPDATE_ROUNDS if chosen.update else _ROUNDS,
        seconds=2.0 if chosen.quick else _SECONDS,
        requests=0,
        model_repository=chosen.model_repository.resolve(),
    )
    with open_bench(plan) as bench:
        ratios = joined(measure(bench))
    machine = hardware()
    verdicts = compare(ratios, read_committed(chosen.committed, machine))
    print("\n".join(as_table(verdicts)))
    if chosen.update:
        write_committed(chosen.committed, machine, ratios)
    elif not any(one.committed for one in verdicts):
        print(f"Nothing is committed for {machine}: run --update on an idle machine first.")
    regressed = [one.name for one in verdicts if one.regressed]
    plain = {one.name: None if math.isnan(one.measured) else one.measured for one in verdicts}
    print(json.dumps({"hardware": machine, "ratios": plain, "regressed": regressed}))
    if regressed and not chosen.update:
        sys.exit(1)


if __name__ == "__main__":
    main()
