"""Which calibration the data supports: cross-validation over pictures decides.

    whole parts left out ─► spread of the offsets (`transfer`)
    for each fold:  the other folds ─► sigmoid ─► + offsets ─► + offsets towards neighbours
                    their out-of-fold logits ─► curve          │
                                                               ▼
                    log-loss and calibration error of the fold's pictures

Candidates go from simple to rich. A richer one replaces what is kept so far only if its log-loss is
lower by more than one standard error of the paired difference over pictures, and its calibration
error over likely pairs is not higher by more than what chance alone makes of perfect scores: what
cannot be shown to help is not shipped.

Offsets must also hold on parts of the data that did not fit them: see `transfer`.

The curve of a fold comes from the out-of-fold logits of the other folds, whose own offsets may have
seen the fold's pictures; a curve of a few knots cannot make use of that.

Legend: B pictures, K folds.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from inkling_server.model_manifest import Calibration, Curve
from inkling_training.calibration import isotonic, offsets, platt, transfer
from inkling_training.calibration.figures import Figures, Scorer, Tops, judge, scorer
from inkling_training.calibration.fit_data import FitData, Float64, Rows, effective_count

Method = Literal["auto", "sigmoid", "isotonic"]
FOLDS = 5

SIGMOID, ISOTONIC = "sigmoid", "isotonic"
OFFSETS, NEAR_OFFSETS = "sigmoid + offsets", "sigmoid + offsets near neighbours"
ISOTONIC_OFFSETS = "isotonic + offsets"
ISOTONIC_NEAR_OFFSETS = "isotonic + offsets near neighbours"
# From simple to rich.
NAMES = (SIGMOID, ISOTONIC, OFFSETS, NEAR_OFFSETS, ISOTONIC_OFFSETS, ISOTONIC_NEAR_OFFSETS)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to calibrate.

    Attributes:
        name: one of `NAMES`.
        final: fitted on all pictures.
        by_fold: fitted without the fold's pictures.
        figures: of pictures that did not fit, fold by fold.
        tops: likewise.
        note: what was fitted, in words.
    """

    name: str
    final: Calibration
    by_fold: tuple[Calibration, ...]
    figures: Figures
    tops: Tops
    note: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and why: one line for each comparison."""

    chosen: Candidate
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Fitted:
    """Before the curve: by fold and on everything."""

    by_fold: tuple[Calibration, ...]
    final: Calibration
    note: str


def candidates(
    data: FitData,
    names: tuple[str, ...] = NAMES,
    *,
    fold_count: int = FOLDS,
    say: Callable[[str], None] = print,
) -> list[Candidate]:
    """Fits and cross-validates.

    Args:
        data: all pictures that may be looked at.
        names: which candidates.
        fold_count: K.
        say: told about progress.
    """
    folds = data.folds(fold_count)
    plain = _fit_plain(data, folds)
    made: dict[str, _Fitted] = {"": plain}
    found: transfer.Transfer | None = None
    if any("offsets" in name for name in names):
        found = transfer.between_parts(data, plain.final)
        say(transfer.describe(found))
    result = []
    for name in sorted(names, key=NAMES.index):
        towards = "near" if "near" in name else "own" if "offsets" in name else ""
        if towards and found is not None and found.spread == 0:
            say(f"{name}: left out, offsets do not hold on parts that did not fit them")
            continue
        if towards not in made:
            spread = None if found is None else found.spread
            made[towards] = _fit_offsets(data, folds, plain, spread, neighbours=towards == "near")
        fitted = made[towards]
        if name.startswith(ISOTONIC):
            curved = _fit_curve(data, folds, fitted)
            if curved is None:
                say(f"{name}: left out, too few right pairs for a curve")
                continue
            fitted = curved
        figures, tops = judge(data, by_fold_scorer(data, folds, fitted.by_fold))
        say(f"{name}: log-loss {figures.log_loss:.3f}; {fitted.note}")
        result.append(Candidate(name, fitted.final, fitted.by_fold, figures, tops, fitted.note))
    return result


def choose(data: FitData, tried: list[Candidate]) -> Choice:
    """The richest candidate that proves better than what is kept before it.

    Args:
        data: what they were cross-validated on.
        tried: from simple to rich, at least one.
    """
    kept, reasons = tried[0], [f"{tried[0].name}: where everything starts"]
    for rival in tried[1:]:
        gain, error = paired_gain(data, kept.figures, rival.figures)
        worse = rival.figures.ece_likely > kept.figures.ece_likely + rival.figures.ece_chance
        better = gain > error and not worse
        verdict = "kept" if better else "no: higher error" if gain > error else "no: within chance"
        reasons.append(
            f"{rival.name} against {kept.name}: log-loss lower by {gain:.3f} ± {error:.3f}, ECE of"
            f" likely pairs {rival.figures.ece_likely:.4f} against"
            f" {kept.figures.ece_likely:.4f} (chance {rival.figures.ece_chance:.4f}): {verdict}"
        )
        kept = rival if better else kept
    return Choice(kept, tuple(reasons))


def paired_gain(data: FitData, old: Figures, new: Figures) -> tuple[float, float]:
    """Fall of the log-loss and its standard error over pictures, nats a picture."""
    gains_B = old.losses_B - new.losses_B
    gain = float(data.weights_B @ gains_B)
    error = float(np.sqrt((data.weights_B**2 * (gains_B - gain) ** 2).sum()))
    return gain, error


def wanted_names(method: Method, with_offsets: bool | None) -> tuple[str, ...]:
    """The candidates that the command's options leave."""
    return tuple(
        name
        for name in NAMES
        if (method == "auto" or name.startswith(method))
        and (with_offsets is None or with_offsets == ("offsets" in name))
    )


def by_fold_scorer(
    data: FitData, folds: tuple[Rows, ...], by_fold: tuple[Calibration, ...]
) -> Scorer:
    """Scores of each picture by the calibration that has not seen it."""
    fold_B = np.empty(len(data.keys), np.intp)
    for number, rows in enumerate(folds):
        fold_B[rows] = number

    def scored(rows: Rows) -> Float64:
        scores_RV = np.empty((len(rows), len(data.interests)))
        for number in np.unique(fold_B[rows]):
            mine = fold_B[rows] == number
            scores_RV[mine] = scorer(data, by_fold[number])(rows[mine])
        return scores_RV

    return scored


def _fit_plain(data: FitData, folds: tuple[Rows, ...]) -> _Fitted:
    final = platt.fit(data, data.all_rows)
    by_fold = tuple(platt.fit(data, _without(data, rows), start=final) for rows in folds)
    note = f"scale {final.scale:.2f}, bias {final.bias:.2f}, prior {final.prior_weight:.2f}"
    return _Fitted(by_fold, final, note)


def _fit_offsets(
    data: FitData,
    folds: tuple[Rows, ...],
    plain: _Fitted,
    spread: float | None,
    *,
    neighbours: bool,
) -> _Fitted:
    def added(rows: Rows, base: Calibration) -> tuple[Calibration, float]:
        found = offsets.fit(data, rows, base, spread=spread, neighbours=neighbours)
        return replace(base, tag_offsets=found.by_id(data)), found.spread

    by_fold = tuple(
        added(_without(data, rows), base)[0]
        for rows, base in zip(folds, plain.by_fold, strict=True)
    )
    final, used = added(data.all_rows, plain.final)
    note = (
        f"{plain.note}; {len(final.tag_offsets):,} offsets of {int(data.labelled_V.sum()):,}"
        f" labelled interests, spread {used:g}"
    )
    return _Fitted(by_fold, final, note)


def _fit_curve(data: FitData, folds: tuple[Rows, ...], fitted: _Fitted) -> _Fitted | None:
    histograms = [
        isotonic.histogram(data, rows, base)
        for rows, base in zip(folds, fitted.by_fold, strict=True)
    ]

    def curve(numbers: list[int]) -> Curve | None:
        weights_B = data.weights_B[np.concatenate([folds[number] for number in numbers])]
        pair_weight = float(weights_B.sum()) / effective_count(weights_B)
        return isotonic.fit(
            isotonic.merged([histograms[number] for number in numbers], pair_weight)
        )

    everything = list(range(len(folds)))
    curves = [curve([other for other in everything if other != fold]) for fold in everything]
    whole = curve(everything)
    if whole is None or any(each is None for each in curves):
        return None
    by_fold = tuple(
        replace(base, curve=each) for base, each in zip(fitted.by_fold, curves, strict=True)
    )
    note = f"{fitted.note}; {len(whole.logits)} knots"
    return _Fitted(by_fold, replace(fitted.final, curve=whole), note)


def _without(data: FitData, rows: Rows) -> Rows:
    return np.setdiff1d(data.all_rows, rows)
