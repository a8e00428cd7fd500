"""Sets the operating point: precision, recall, F-beta and coverage over top_n and threshold.

    python -m inkling_training.calibration.tune --model-repository model_repository
        [--target-precision 0.8 [--confidence 0.95] | --beta 0.5] [--top-n 5] [--dry-run]

Without a target, the best F-beta at one top_n. With a target, the largest coverage whose precision
is at least the target with confidence, over top_n 1 to 10. Half 0 of the validation pictures
decides; what the point gives on half 1 is written beside it. Where half 0 also fitted offsets or a
curve, its scores come from folds that have not seen the picture: nobody tunes on what was learned
by heart.

Writes `recommended` of calibration.json, as a new number, and nothing else in it; the whole curve
goes to tuning.json. A running server uses it once it loads the model again.
"""

import argparse
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from inkling_server.model_manifest import (
    Calibration,
    OperatingPoint,
    load_calibration,
    require_same_model,
)
from inkling_training.calibration import artifact, choose, inputs, operating
from inkling_training.calibration.figures import GREATEST_TOP_N, Tops, judge, scorer
from inkling_training.calibration.inputs import Inputs
from inkling_training.calibration.operating import Point
from inkling_training.held_out import keys_digest


@dataclass(frozen=True, slots=True)
class Rule:
    """What is recommended.

    Attributes:
        target_precision: None: the best F-beta.
        confidence: of the target, in (0.5, 1).
        beta: > 0; below 1 precision counts more than recall.
        top_n: only this number of tags; None: `operating.TOP_N` for F-beta, any up to
            `GREATEST_TOP_N` for a target.
    """

    target_precision: float | None = None
    confidence: float = operating.CONFIDENCE
    beta: float = operating.BETA
    top_n: int | None = None

    def __post_init__(self) -> None:
        if self.target_precision is not None and not 0 < self.target_precision < 1:
            raise ValueError(f"--target-precision {self.target_precision}; allowed: in (0, 1)")
        if not 0.5 < self.confidence < 1:
            raise ValueError(f"--confidence {self.confidence}; allowed: in (0.5, 1)")
        if not self.beta > 0:
            raise ValueError(f"--beta {self.beta}; allowed: greater than 0")
        if self.top_n is not None and not 1 <= self.top_n <= GREATEST_TOP_N:
            raise ValueError(f"--top-n {self.top_n}; allowed: 1 to {GREATEST_TOP_N}")

    def __str__(self) -> str:
        if self.target_precision is None:
            return f"best F{self.beta:g} at top_n {self.top_n or operating.TOP_N}"
        where = f"top_n {self.top_n}" if self.top_n else f"top_n 1 to {GREATEST_TOP_N}"
        return (
            f"largest coverage with precision >= {self.target_precision:g} at"
            f" {self.confidence:.0%} confidence, {where}"
        )


def recommend(points: list[Point], rule: Rule) -> Point:
    """The point of a curve that the rule wants.

    Raises:
        TargetUnreachable: no point has the target precision.
    """
    if rule.target_precision is None:
        top_n = rule.top_n or operating.TOP_N
        return operating.best_f_beta([each for each in points if each.top_n == top_n])
    allowed = [each for each in points if rule.top_n in (None, each.top_n)]
    return operating.best_coverage(allowed, rule.target_precision)


def tune(
    given: Inputs,
    calibration: Calibration,
    rule: Rule,
    say: Callable[[str], None] = print,
) -> tuple[OperatingPoint, dict[str, Any]]:
    """Recommends an operating point.

    Returns:
        the point with its figures on half 1, and what tuning.json has.
    """
    tops, origin = _unseen_scores(given, calibration, say)
    points = operating.curve(
        tops,
        range(1, GREATEST_TOP_N + 1),
        beta=rule.beta,
        confidence=rule.confidence,
    )
    chosen = recommend(points, rule)
    say(operating.table(_shown(points, rule, chosen), chosen))
    _, judged_tops = judge(given.judging, scorer(given.judging, calibration))
    judged = operating.point(
        judged_tops,
        chosen.top_n,
        chosen.min_score,
        beta=rule.beta,
        confidence=rule.confidence,
    )
    say(
        f"{rule}: top_n {chosen.top_n}, min_score {chosen.min_score:g}; on the other half"
        f" precision {judged.precision:.3f}, coverage {judged.coverage:.3f}"
    )
    document = {
        "model": given.manifest.model_version,
        "graph": given.graph.version,
        "time": datetime.now(UTC).replace(microsecond=0).isoformat(),
        "rule": str(rule),
        "scores": origin,
        "tuned_on": inputs.description(given.fitting),
        "judged_on": inputs.description(given.judging),
        "recommended": chosen.as_dict(),
        "on_the_other_half": judged.as_dict(),
        "curve": [each.as_dict() for each in points],
    }
    return judged.recommended(), document


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    inputs.add_arguments(parser)
    aim = parser.add_mutually_exclusive_group()
    aim.add_argument("--target-precision", type=float, default=None, help="in (0, 1)")
    aim.add_argument("--beta", type=float, default=operating.BETA, help="of F-beta")
    parser.add_argument(
        "--confidence", type=float, default=operating.CONFIDENCE, help="of the target precision"
    )
    parser.add_argument("--top-n", type=int, default=None, help="only this number of tags")
    parser.add_argument("--dry-run", action="store_true", help="print, and write nothing")
    args = parser.parse_args(arguments)
    inputs.fail_clearly(parser, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    rule = Rule(args.target_precision, args.confidence, args.beta, args.top_n)
    given = inputs.load(args)
    calibration = load_calibration(args.model_repository, given.manifest.version)
    require_same_model(calibration, given.manifest)
    recommended, document = tune(given, calibration, rule)
    current = artifact.read(given.folder)
    if args.dry_run or current is None:
        return
    number = artifact.publish_document(
        given.folder,
        {**current, "recommended": TypeAdapter(OperatingPoint).dump_python(recommended)},
    )
    artifact.write(given.folder / artifact.TUNING, {"calibration": number, **document})
    print(f"{given.folder / artifact.NAME}: number {number}")


def _shown(points: list[Point], rule: Rule, chosen: Point) -> list[Point]:
    """What people see of the curve: the chosen top_n whole, of the others their best point."""
    shown = []
    for top_n in range(1, GREATEST_TOP_N + 1):
        mine = [each for each in points if each.top_n == top_n]
        if top_n == chosen.top_n:
            # Every tenth of the threshold, and the chosen one.
            shown += [
                each for each in mine if round(100 * each.min_score) % 10 == 0 or each == chosen
            ]
            continue
        with contextlib.suppress(operating.TargetUnreachable):
            shown.append(recommend(mine, replace(rule, top_n=top_n)))
    return shown


def _unseen_scores(
    given: Inputs, calibration: Calibration, say: Callable[[str], None]
) -> tuple[Tops, str]:
    """Best tags of half 0 by scores that did not learn from the picture, and how they came."""
    learned = calibration.curve is not None or bool(calibration.tag_offsets)
    if learned and calibration.fitted_on == keys_digest(given.fitting.keys):
        say(f"half 0 fitted this calibration: {calibration.method} is fitted again, fold by fold")
        found = choose.candidates(given.fitting, (calibration.method,), say=say)
        if not found:
            raise ValueError(
                f"method {calibration.method!r} cannot be fitted to these pictures by fold;"
                " allowed: a calibration made with this data and graph. Calibrate again"
            )
        return found[0].tops, "out of fold"
    _, tops = judge(given.fitting, scorer(given.fitting, calibration))
    return tops, "as served"


if __name__ == "__main__":
    main()
