"""How far per-tag offsets may go: they are tried on parts of the data that did not fit them.

Each part (a data set with its own annotators and pictures) is left out once; offsets of several
spreads are fitted on the others and judged on it. What a tag's offset owes to one part's habits
(which labels its annotators use, which pictures it is full of) does not help there, what it owes to
the tag itself does. Pictures of a fold dealt at random cannot tell the two apart.

The smallest spread wins whose log-loss is within one standard error of the best one's (Breiman et
al., "Classification and regression trees", 1984: the one-standard-error rule).

Scale, bias and prior are those of all parts: three numbers, and not what is in question.

Legend: B pictures, R of them at a time, T labelled interests, S spreads, the first of them 0.
"""

from dataclasses import dataclass

import numpy as np

from inkling_server.model_manifest import Calibration
from inkling_server.scoring import prior_logits
from inkling_training.calibration.fit_data import FitData, Float64, Rows
from inkling_training.calibration.offsets import SPREADS, gather, map_estimate
from inkling_training.calibration.platt import softplus_and_sigmoid

LEAST_PARTS = 3


@dataclass(frozen=True, slots=True)
class Transfer:
    """What offsets did on parts that did not fit them.

    Attributes:
        spread: s to use, in logits; 0: no offsets help there.
        gain: how much lower the log-loss was with it, nats a picture.
        error: standard error of the gain, over pictures.
        gain_by_part: the same, part by part.
    """

    spread: float
    gain: float
    error: float
    gain_by_part: dict[str, float]


def between_parts(data: FitData, base: Calibration) -> Transfer | None:
    """Leaves each part out once; None where there are fewer than `LEAST_PARTS`."""
    sources_B = np.array(data.sources)
    parts = sorted(set(data.sources))
    if len(parts) < LEAST_PARTS:
        return None
    spreads_S = (0.0, *SPREADS)
    losses_SB = np.zeros((len(spreads_S), len(data.keys)))
    for part in parts:
        left_out = np.flatnonzero(sources_B == part)
        evidence = gather(data, np.flatnonzero(sources_B != part), base)
        nothing_T = np.zeros(len(evidence.first_T))
        offsets_T, offsets_ST = nothing_T, [nothing_T]
        for spread in SPREADS:
            offsets_T = map_estimate(evidence, nothing_T, spread, offsets_T)
            offsets_ST.append(offsets_T)
        losses_SB[:, left_out] = _losses(data, left_out, base, np.array(offsets_ST))
    means_S = losses_SB @ data.weights_B
    best = int(means_S.argmin())
    chosen = next(
        place
        for place in range(best + 1)
        if means_S[place] - means_S[best] <= _error(data, losses_SB[place] - losses_SB[best])
    )
    gains_B = losses_SB[0] - losses_SB[chosen]
    return Transfer(
        spread=spreads_S[chosen],
        gain=float(data.weights_B @ gains_B),
        error=_error(data, gains_B),
        gain_by_part={part: float(gains_B[sources_B == part].mean()) for part in parts},
    )


def describe(found: Transfer | None) -> str:
    """One line for people."""
    if found is None:
        return (
            f"offsets: fewer than {LEAST_PARTS} parts, spread by empirical Bayes; whether they"
            " hold on other pictures is not tested"
        )
    by_part = ", ".join(f"{part} {gain:+.2f}" for part, gain in found.gain_by_part.items())
    return (
        f"offsets on parts that did not fit them: spread {found.spread:g}, log-loss lower by"
        f" {found.gain:.3f} ± {found.error:.3f} ({by_part})"
    )


def _losses(data: FitData, rows: Rows, base: Calibration, offsets_ST: Float64) -> Float64:
    """Log-loss of the labelled interests, [S, len(rows)]; offsets change no other term."""
    columns_T = np.flatnonzero(data.labelled_V)
    shift_T = base.bias + prior_logits(data.counts, base)[columns_T]
    losses = []
    for block in data.blocks(rows):
        logits_RT = base.scale * block.cosines_RV[:, columns_T] + shift_T
        counted_RT, right_RT = block.counted_RV[:, columns_T], block.right_RV[:, columns_T]
        by_spread = []
        for offsets_T in offsets_ST:
            moved_RT = (logits_RT + offsets_T).astype(np.float32)
            softplus_RT, _ = softplus_and_sigmoid(moved_RT)
            terms_RT = (softplus_RT - right_RT * moved_RT) * counted_RT
            by_spread.append(terms_RT.sum(axis=1, dtype=np.float64))
        losses.append(np.array(by_spread))
    return np.concatenate(losses, axis=1)


def _error(data: FitData, differences_B: Float64) -> float:
    """Standard error of a weighted mean."""
    mean = data.weights_B @ differences_B
    return float(np.sqrt((data.weights_B**2 * (differences_B - mean) ** 2).sum()))
