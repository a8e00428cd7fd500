"""Fits how a cosine becomes a probability, chooses by cross-validation, and writes the artifact.

    python -m inkling_training.calibration --model-repository model_repository [--version 2]
        [--data D] [--graph G] [--method auto|sigmoid|isotonic] [--offsets|--no-offsets]

Half 0 of the validation pictures fits, chooses and sets the operating point (best F0.5 of the
scores that each picture gets from folds without it); half 1 reports. Everyday photos count as much
as all other parts together: they are what the server will see. Calibrate with pictures like yours.

Needs about 1 GB for 1,800 pictures a half with 7,000 interests, and a minute or two once the
pictures are embedded (`--cache` keeps the embeddings).
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from inkling_server.model_manifest import Calibration, load_calibration
from inkling_training.calibration import artifact, choose, inputs
from inkling_training.calibration.figures import Figures, Tops, judge, scorer
from inkling_training.calibration.inputs import Inputs
from inkling_training.calibration.operating import (
    TOP_N,
    Point,
    best_f_beta,
    curve,
    point,
    precision_at_coverage,
)
from inkling_training.held_out import keys_digest

_COLUMNS = ("log_loss", "ece", "ece_likely", "mean_ap", "precision", "coverage", "same_coverage")


def calibrate(
    given: Inputs,
    previous: Calibration | None,
    method: choose.Method = "auto",
    with_offsets: bool | None = None,
    say: Callable[[str], None] = print,
) -> tuple[Calibration, dict[str, Any]]:
    """Fits all candidates, chooses one and judges all.

    Args:
        given: model, graph, pictures.
        previous: what is replaced, to compare with.
        method: "auto" lets cross-validation decide.
        with_offsets: per-tag offsets; None lets cross-validation decide.
        say: told about progress and reasons.

    Returns:
        the calibration, and the figures of all candidates as calibration_choice.json has them.
    """
    data = given.fitting
    tried = [
        replace(candidate, final=artifact.rounded(candidate.final))
        for candidate in choose.candidates(data, choose.wanted_names(method, with_offsets), say=say)
    ]
    if not tried:
        raise ValueError(
            f"method {method}, offsets {with_offsets}: the data support no such calibration;"
            " allowed: --method auto or sigmoid, without --offsets"
        )
    choice = choose.choose(data, tried)
    for reason in choice.reasons:
        say(reason)

    before: tuple[Figures, Tops, Point] | None = None
    if previous is not None:
        figures, tops = judge(given.judging, scorer(given.judging, previous))
        used = previous.recommended
        before = (figures, tops, point(tops, used.top_n, used.min_score))
    rows: dict[str, dict[str, float]] = {}
    if before is not None:
        rows["what is replaced"] = _row(*before, before[2])
    points: dict[str, Point] = {}
    for candidate in tried:
        tuned = best_f_beta(curve(candidate.tops, [TOP_N]))
        figures, tops = judge(given.judging, scorer(given.judging, candidate.final))
        judged = point(tops, tuned.top_n, tuned.min_score)
        points[candidate.name] = judged
        rows[candidate.name] = _row(figures, tops, judged, before[2] if before else judged)
    figures_of_chosen = rows[choice.chosen.name]
    calibration = replace(
        choice.chosen.final,
        ece=figures_of_chosen["ece"],
        recommended=points[choice.chosen.name].recommended(),
        model_fingerprint=given.manifest.fingerprint,
        graph_version=given.graph.version,
        method=choice.chosen.name,
        data=inputs.description(data),
        fitted_on=keys_digest(data.keys),
        validation=figures_of_chosen,
    )
    say(_table(rows, choice.chosen.name))
    document = {
        "model": given.manifest.model_version,
        "graph": given.graph.version,
        "time": calibration.calibrated_time.isoformat(),
        "fitted_on": calibration.data,
        "judged_on": inputs.description(given.judging),
        "chosen": choice.chosen.name,
        "reasons": list(choice.reasons),
        "cross_validation": {each.name: each.figures.as_dict() for each in tried},
        "held_out_half": rows,
        "fitted": {each.name: each.note for each in tried},
    }
    return artifact.rounded(calibration), document


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    inputs.add_arguments(parser)
    parser.add_argument("--method", choices=("auto", "sigmoid", "isotonic"), default="auto")
    parser.add_argument(
        "--offsets",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="per-tag offsets (default: if they prove better)",
    )
    args = parser.parse_args(arguments)
    inputs.fail_clearly(parser, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    given = inputs.load(args)
    previous = None
    if artifact.read(given.folder) is not None:
        previous = load_calibration(args.model_repository, given.manifest.version)
    calibration, document = calibrate(given, previous, args.method, args.offsets)
    number = artifact.publish(given.folder, calibration)
    artifact.write(given.folder / artifact.CHOICE, {"calibration": number, **document})
    print(f"{given.folder / artifact.NAME}: number {number}, {calibration.method}")


def _row(figures: Figures, tops: Tops, judged: Point, like: Point) -> dict[str, float]:
    """Figures of one candidate on half 1; `like` names the coverage to compare precision at."""
    same = precision_at_coverage(tops, like.top_n, like.coverage)
    return {
        **figures.as_dict(),
        "precision": round(judged.precision, 4),
        "coverage": round(judged.coverage, 4),
        "top_n": judged.top_n,
        "min_score": judged.min_score,
        "same_coverage": round(same, 4) if np.isfinite(same) else 0.0,
    }


def _table(rows: dict[str, dict[str, float]], chosen: str) -> str:
    width = max(map(len, rows)) + 2
    titles = (*_COLUMNS[:-1], "precision at")
    lines = [
        "half of the pictures that fitted nothing:",
        " " * width + "".join(f"{title:>13}" for title in titles),
        " " * width + f"{'that coverage':>{13 * len(titles)}}",
    ]
    for name, row in rows.items():
        mark = "> " if name == chosen else "  "
        lines.append(
            f"{mark + name:<{width}}" + "".join(f"{row[column]:13.5g}" for column in _COLUMNS)
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
