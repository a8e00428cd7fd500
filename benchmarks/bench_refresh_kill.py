"""Does the server survive `kill -9` at any moment of a refresh?

    python -m benchmarks.bench_refresh_kill                            a table, JSON as last line
    python -m benchmarks.bench_refresh_kill --out benchmarks/results   and both as files

A real server (real Triton) on loopback, with a new data folder. Again and again the content feed
gets posts about something new, a refresh starts, and at a random moment of it the refresh process,
or the whole server, is killed; a killed server is started again. Then five photos are tagged:
wherever the version is the one from before, every tag and score must be as before; whatever serves
must be whole on disk, by its checksums. Every other moment lies near the end of a refresh, where a
version gets its name and becomes current. The seed fixes all moments as shares of a refresh's time,
which is measured first and corrected after each kill that came too early or too late. At the end
one refresh without a kill must work and leave nothing behind.
"""

import argparse
import json
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.report import hardware, write_report
from tests.refresh_kill import Kill, KillTrials, Victim

VICTIMS: tuple[Victim, ...] = ("refresh process", "server")


def measure(count: int, seed: int, flags: list[str]) -> dict[str, Any]:
    """Runs all kills; returns the report."""
    kills: list[Kill] = []
    with (
        tempfile.TemporaryDirectory(prefix="inkling-kill-") as folder,
        KillTrials(Path(folder), *flags, seed=seed) as trials,
    ):
        refresh_s = trials.measure()
        for victim in VICTIMS:
            for _ in range(count):
                kills.append(trials.run(victim))
                print(f"{len(kills):3} {kills[-1].as_json()}", flush=True)
        problems = trials.finish()
    return {
        "question": "does the server survive kill -9 at any moment of a refresh?",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(),
        "flags": flags,
        "seed": seed,
        "refresh_s": round(refresh_s, 2),
        "problems_of_the_last_refresh": problems,
        "kills": [kill.as_json() for kill in kills],
    }


def as_markdown(report: dict[str, Any]) -> list[str]:
    """The report for people."""
    lines = [
        f"# {report['question'].capitalize()}",
        "",
        f"{report['time'][:10]}, {report['hardware']}. Moments are drawn with seed "
        f"{report['seed']} within a refresh's {report['refresh_s']} s.",
        "",
        "| killed | moments | still at work | old version serves | new version serves | problems "
        "| longest start s |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for victim in VICTIMS:
        kills = [kill for kill in report["kills"] if kill["victim"] == victim]
        outcomes = Counter(kill["outcome"] for kill in kills)
        lines.append(
            f"| {victim} | {len(kills)} | {sum(kill['hit'] for kill in kills)} | "
            f"{outcomes['old version']} | {outcomes['new version']} | "
            f"{sum(bool(kill['problems']) for kill in kills)} | "
            f"{max((kill['start_s'] for kill in kills), default=0)} |"
        )
    problems = {p for kill in report["kills"] for p in kill["problems"]}
    problems |= set(report["problems_of_the_last_refresh"])
    return [*lines, "", *(f"- {problem}" for problem in sorted(problems))]


def main() -> int:
    """Kills, prints, writes the files where asked to; returns 1 where something went wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20, help="kills of each kind")
    parser.add_argument("--seed", type=int, default=20261125)
    parser.add_argument("--flag", action="append", default=[], help="of the server, repeatable")
    parser.add_argument("--out", type=Path, help="folder for the result files")
    arguments = parser.parse_args()
    report = measure(arguments.count, arguments.seed, arguments.flag)
    lines = as_markdown(report)
    if arguments.out:
        write_report(arguments.out, "refresh-kill", lines, report)
    print("\n".join(lines))
    print(json.dumps(report))
    bad = any(kill["problems"] for kill in report["kills"])
    return 1 if bad or report["problems_of_the_last_refresh"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
