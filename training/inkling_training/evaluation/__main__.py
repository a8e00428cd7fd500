"""Measures the exported model: every figure of the model card comes from this command.

    inkling-evaluate --model-repository model_repository --json evaluation.json --html report.html
    inkling-evaluate ... --baseline previous.json --gate       # exit 1 when something got worse
    inkling-evaluate --report evaluation.json --baseline previous.json --gate      # files alone

It looks at the files that ship (ONNX, tokenizer, calibration, a graph) and at validation pictures
only; scores are judged on the half that did not calibrate. Each tagging figure stands beside the
same without the prior and beside "most frequent tags for every picture", so that nobody takes
frequency for sight, and the headline figures have 95 % intervals, so that nobody takes noise for
progress.

Exit codes: 0 done, nothing is worse; 1 something is worse than in the baseline (with --gate);
2 the baseline cannot be compared (with --gate), or the arguments are wrong.
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from inkling_server.model_manifest import CalibrationUnusable
from inkling_training.data import DEFAULT_GRAPH, sample_data_dir
from inkling_training.evaluation import gate
from inkling_training.evaluation.examples import Example, choose_examples
from inkling_training.evaluation.inputs import HALVES, load_inputs
from inkling_training.evaluation.measure import measure
from inkling_training.evaluation.page import render
from inkling_training.evaluation.report_file import ReportInvalid, read_report, write_report
from inkling_training.held_out import NothingToJudge


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.report is None and args.model_repository is None:
        parser.error("name a --model-repository to measure, or a --report to read")
    if args.gate and args.baseline is None:
        parser.error("--gate needs a --baseline")
    try:
        before = read_report(args.baseline) if args.baseline else None
        report, examples = (read_report(args.report), []) if args.report else _measured(args)
    except (NothingToJudge, CalibrationUnusable, ReportInvalid, FileNotFoundError) as error:
        print(f"inkling-evaluate: {error}", file=sys.stderr)
        return gate.REFUSED

    comparison = gate.compare(before, report) if before else None
    if comparison:
        report["comparison"] = gate.as_json(comparison)
    if args.json:
        write_report(args.json, report)
    if args.html:
        args.html.parent.mkdir(parents=True, exist_ok=True)
        args.html.write_text(render(report, examples), encoding="utf-8")
    print(_summary(report))
    if comparison is None:
        return gate.PASSED
    print()
    print(gate.as_text(comparison))
    if not args.gate:
        return gate.PASSED
    code = comparison.exit_code(allow_other_data=args.allow_other_data)
    print({0: "gate: passed", 1: "gate: WORSE", 2: "gate: REFUSED, see --allow-other-data"}[code])
    return code


def _measured(args: argparse.Namespace) -> tuple[dict[str, Any], list[Example]]:
    started = time.monotonic()
    inputs = load_inputs(
        repository=args.model_repository,
        version=args.version,
        graph=args.graph,
        data=args.data or sample_data_dir(),
        cache=args.cache,
        halves=args.pictures,
        dimensions=args.dimensions,
    )
    unseen = json.loads(args.unseen.read_text(encoding="utf-8")) if args.unseen else ()
    measured = measure(inputs, unseen=unseen, per_picture=not args.no_per_picture)
    measured.report["settings"] |= {
        "seconds": round(time.monotonic() - started, 1),
        "peak memory MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    if args.no_pictures or not args.html:
        return measured.report, []
    point = inputs.calibration.recommended
    return measured.report, choose_examples(inputs.judged, measured.rows, point, args.seed)


def _summary(report: dict[str, Any]) -> str:
    lines = [f"{report['model']} on graph {report['graph']}, {report['date']}"]
    for name, figure in report.get("headline", {}).items():
        around = "" if figure["low"] is None else f"  {figure['low']:.4f} to {figure['high']:.4f}"
        lines.append(f"  {name:<30} {figure['value']:.4f}{around}")
    settings = report.get("settings", {})
    if "seconds" in settings:
        lines.append(f"  {settings['seconds']} s, {settings['peak memory MiB']} MiB at most")
    return "\n".join(lines)


def _dimensions(text: str) -> list[int]:
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list like 256,128,64") from None
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError("dimensions start at 1")
    return sizes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="inkling-evaluate",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    what = parser.add_argument_group("what is measured")
    what.add_argument("--model-repository", type=Path, default=None)
    what.add_argument("--version", type=int, default=None, help="default: the newest exported")
    what.add_argument(
        "--data",
        type=Path,
        default=None,
        help="folder with images/*.tar of labelled pictures or pair shards\n"
        "(default: the sample data, found by itself)",
    )
    what.add_argument("--graph", type=Path, default=DEFAULT_GRAPH, help="folder of graph snapshots")
    what.add_argument(
        "--pictures",
        choices=tuple(HALVES),
        default="judged",
        help="judged: the half of the validation pictures that did not calibrate (default);\n"
        "all: for data that calibrated nothing",
    )
    what.add_argument(
        "--dimensions",
        type=_dimensions,
        default=[],
        metavar="N,N",
        help="also measure embeddings cut to these sizes (Matryoshka)",
    )
    what.add_argument(
        "--unseen",
        type=Path,
        default=None,
        help="JSON list of classes that training left out: also zero-shot accuracy on them",
    )
    what.add_argument(
        "--cache", type=Path, default=None, help="folder for embeddings of pictures and phrases"
    )
    what.add_argument("--report", type=Path, default=None, help="measure nothing: read this JSON")
    out = parser.add_argument_group("what is written")
    out.add_argument("--json", type=Path, default=None, help="all figures")
    out.add_argument("--html", type=Path, default=None, help="the page with plots")
    out.add_argument(
        "--no-pictures",
        action="store_true",
        help="no example pictures in the page: they are copies, so the data's licence counts",
    )
    out.add_argument("--seed", type=int, default=0, help="chooses the example pictures")
    out.add_argument(
        "--no-per-picture",
        action="store_true",
        help="leave out the numbers of each picture: small JSON, but no paired comparison",
    )
    against = parser.add_argument_group("comparison")
    against.add_argument("--baseline", type=Path, default=None, help="an earlier report's JSON")
    against.add_argument("--gate", action="store_true", help="exit 1 when something is worse")
    against.add_argument(
        "--allow-other-data",
        action="store_true",
        help="let the gate judge although data or graph changed: by tolerances alone",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
