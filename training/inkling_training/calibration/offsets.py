"""What each tag's own history says: offsets to its logit, shrunk where there is little of it.

For tag v with logits z of the shared calibration, the offset maximises

    sum over pictures of w k_v ln P(label | sigmoid(z + offset))  -  (offset - mean_v)^2 / (2 s^2)

a logistic regression with one free intercept and a Gaussian prior (maximum a posteriori).
`mean_v` is 0, or the mean of the neighbours' offsets in the graph. The spread s comes from
`transfer`, which tries offsets on parts of the data that did not fit them; where the data have too
few parts, it is the one under which the labels are likeliest when the offsets are integrated out
by Laplace's method (empirical Bayes), so without evidence for differences all offsets vanish.

k_v turns weights into numbers of pictures: weighted labels carry the information that an unweighted
likelihood would claim only if they count k_v = sum(w u) / sum(w^2 u), u = p (1 - p), times each
(the sandwich variance; Kish's effective sample size, tag by tag).

Nearly all pairs have a small probability. Below `_TAIL` they enter through two sums a tag:
ln(1 + e^x) = e^x - e^(2x)/2 up to a third of e^(3x).

Sources: Gelman et al., "Bayesian Data Analysis", chapters 5 and 13; MacKay, "Bayesian
interpolation" (1992) for the choice of s.

Legend: R pictures at a time, V interests, T labelled interests, A active pairs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkling_server.model_manifest import MAX_TAG_OFFSET, Calibration
from inkling_server.scoring import prior_logits
from inkling_training.calibration.fit_data import FitData, Float64, Rows

SPREADS = (0.05, 0.1, 0.2, 0.3, 0.45, 0.65, 0.9, 1.3)  # candidates for s, in logits
_TAIL = -5.0  # logits; an offset may add MAX_TAG_OFFSET
_STEPS = 30
_LONGEST_STEP = 1.0


@dataclass(frozen=True, slots=True)
class TagOffsets:
    """Fitted offsets.

    Attributes:
        offsets_V: logits, 0 for interests that the labels cannot name.
        spread: s, in logits.
    """

    offsets_V: Float64
    spread: float

    def by_id(self, data: FitData) -> dict[str, float]:
        """As a calibration stores them: without those that would not show."""
        return {
            interest.id: round(float(offset), 3)
            for interest, offset in zip(data.interests, self.offsets_V, strict=True)
            if abs(offset) >= 0.01
        }


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the labels say about T tags.

    Attributes:
        columns_A, logits_A, weights_A: the active pairs; a column is a place among T.
        first_T, second_T: tail sums of w e^z and of w e^(2z).
        right_T: weight of the right pairs, active or not.
        trust_T: k_v.
    """

    columns_A: NDArray[np.intp]
    logits_A: Float64
    weights_A: Float64
    first_T: Float64
    second_T: Float64
    right_T: Float64
    trust_T: Float64

    def sums(self, offsets_T: Float64) -> tuple[Float64, Float64, Float64]:
        """Log-likelihood, its slope, and minus its curvature, of each tag at its offset."""
        logits_A = self.logits_A + offsets_T[self.columns_A]
        small_A = np.exp(-np.abs(logits_A))
        softplus_A = np.maximum(logits_A, 0) + np.log1p(small_A)
        chance_A = np.where(logits_A >= 0, 1.0, small_A) / (1 + small_A)
        once_T, twice_T = np.exp(offsets_T) * self.first_T, np.exp(2 * offsets_T) * self.second_T
        cost_T = self._by_tag(softplus_A) + once_T - twice_T / 2
        chance_T = self._by_tag(chance_A) + once_T - twice_T
        doubt_T = self._by_tag(chance_A * (1 - chance_A)) + once_T - 2 * twice_T
        return (
            self.trust_T * (self.right_T * offsets_T - cost_T),
            self.trust_T * (self.right_T - chance_T),
            self.trust_T * doubt_T,
        )

    def _by_tag(self, values_A: Float64) -> Float64:
        sums_T = np.bincount(self.columns_A, self.weights_A * values_A, len(self.first_T))
        return sums_T.astype(np.float64)


def fit(
    data: FitData,
    rows: Rows,
    base: Calibration,
    *,
    spread: float | None = None,
    neighbours: bool = False,
) -> TagOffsets:
    """Fits the offsets on some pictures.

    Args:
        data: the pairs.
        rows: pictures that may be looked at.
        base: scale, bias and prior, fitted on the same pictures.
        spread: s, in logits; None: by empirical Bayes.
        neighbours: shrink towards the mean offset of the graph's neighbours instead of 0.
    """
    evidence = gather(data, rows, base)
    columns_T = np.flatnonzero(data.labelled_V)
    means_T = np.zeros(len(columns_T))
    if spread is None:
        spread = likeliest_spread(evidence)
    offsets_T = map_estimate(evidence, means_T, spread, means_T)
    if neighbours:
        means_V = np.zeros(len(data.interests))
        means_V[columns_T] = offsets_T
        means_T = _neighbour_means(data, means_V)[columns_T]
        offsets_T = map_estimate(evidence, means_T, spread, offsets_T)
    offsets_V = np.zeros(len(data.interests))
    offsets_V[columns_T] = offsets_T
    return TagOffsets(offsets_V, spread)


def gather(data: FitData, rows: Rows, base: Calibration) -> Evidence:
    """What the labels of some pictures say beside a shared calibration."""
    columns_T = np.flatnonzero(data.labelled_V)
    shift_T = base.bias + prior_logits(data.counts, base)[columns_T]
    first_T, second_T, right_T, squared_T = np.zeros((4, len(columns_T)))
    active: list[tuple[NDArray[np.intp], Float64, Float64]] = []
    for block in data.blocks(rows):
        logits_RT = base.scale * block.cosines_RV[:, columns_T].astype(np.float64) + shift_T
        counted_RT = block.counted_RV[:, columns_T]
        active_RT = counted_RT & (logits_RT > _TAIL)
        pictures, tags = np.nonzero(active_RT)
        active.append((tags, logits_RT[pictures, tags], block.weights_R[pictures]))
        tail_RT = np.exp(np.minimum(logits_RT, _TAIL)) * (counted_RT & ~active_RT)
        first_T += block.weights_R @ tail_RT
        second_T += block.weights_R @ tail_RT**2
        squared_T += block.weights_R**2 @ tail_RT
        right_T += block.weights_R @ block.right_RV[:, columns_T]
    columns_A, logits_A, weights_A = (np.concatenate(part) for part in zip(*active, strict=True))
    doubt_A = 1 / (2 + np.exp(logits_A) + np.exp(-logits_A))  # p (1 - p)
    plain_T = first_T + np.bincount(columns_A, weights_A * doubt_A, len(columns_T))
    squared_T += np.bincount(columns_A, weights_A**2 * doubt_A, len(columns_T))
    trust_T = plain_T / np.maximum(squared_T, 1e-300)
    return Evidence(columns_A, logits_A, weights_A, first_T, second_T, right_T, trust_T)


def likeliest_spread(evidence: Evidence) -> float:
    """The spread of `SPREADS` with the greatest evidence (Laplace's method), for means of 0."""
    means_T = np.zeros(len(evidence.first_T))
    best, best_spread, offsets_T = -np.inf, SPREADS[0], means_T
    for spread in SPREADS:
        offsets_T = map_estimate(evidence, means_T, spread, offsets_T)
        likelihood_T, _, doubt_T = evidence.sums(offsets_T)
        away_T = offsets_T / spread
        total = (likelihood_T - away_T**2 / 2 - np.log1p(spread**2 * doubt_T) / 2).sum()
        if total > best:
            best, best_spread = float(total), spread
    return best_spread


def map_estimate(evidence: Evidence, means_T: Float64, spread: float, start_T: Float64) -> Float64:
    """Newton's method for all tags at once; each one's problem is concave."""
    offsets_T = start_T
    for _ in range(_STEPS):
        _, slope_T, doubt_T = evidence.sums(offsets_T)
        precision = spread**-2
        step_T = (slope_T - precision * (offsets_T - means_T)) / (doubt_T + precision)
        moved_T = offsets_T + np.clip(step_T, -_LONGEST_STEP, _LONGEST_STEP)
        moved_T = np.clip(moved_T, -MAX_TAG_OFFSET, MAX_TAG_OFFSET)
        if np.abs(moved_T - offsets_T).max(initial=0.0) < 1e-4:
            return moved_T
        offsets_T = moved_T
    return offsets_T


def _neighbour_means(data: FitData, offsets_V: Float64) -> Float64:
    """Mean offset of each interest's labelled neighbours, by the weight of the edge; 0 without."""
    sums_V, weights_V = np.zeros((2, len(offsets_V)))
    ends_E2, weight_E = data.edges.ends_E2, data.edges.weight_E.astype(np.float64)
    for here_E, there_E in (ends_E2.T, ends_E2.T[::-1]):
        known_E = weight_E * data.labelled_V[there_E]
        np.add.at(sums_V, here_E, known_E * offsets_V[there_E])
        np.add.at(weights_V, here_E, known_E)
    means_V: Float64 = sums_V / np.maximum(weights_V, 1e-12)
    return means_V
