"""The interest profile: what somebody engages with, over the interest graph.

    engagements x tags ─► per item: decayed, saturated ─► weight of each interest
        ─► smoothed along edges ─► sizes sum to 1 ─► tastes (groups around medoids)

Of item x (kinds e of its engagements, ages t_e in days, half-life h, c the saturation):

    strength(x) = c (1 - exp(-sum over e of kind_weight_e 0.5^(t_e / h) / c))
    w_i         = sum over items x of strength(x) * score of tag i on x
    v           = (1 - a) (w + a P w + a^2 P^2 w + ...)      cut after some steps
    weight_i    = v_i / sum over j of |v_j|

An item that was hidden counts as hidden, whatever else was done with it: its strength is taken with
the kind's negative weight. P is a step along the graph's combined edges, see interest_graph.py.
Several tastes instead of one average: see medoids.py. Kind weights, half-life, saturation and
smoothing are choices, not fitted to anything here.

It does not know who the person is, where engagements are kept, or what an interest is called.

Shapes: J entries (engagement x tag), N interests of the graph, R interests of the profile.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inkling_server.profiles.interest_graph import InterestGraph
from inkling_server.profiles.medoids import medoid, ward_groups

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class InterestSettings:
    """How engagements become weights.

    Attributes:
        kind_weights: of view, like, save, share, hide: the first four >= 0, the last <= 0.
        half_life_days: after which an engagement counts half, > 0.
        saturation: the greatest strength of one item, however often somebody comes back to it, > 0;
            in the units of `kind_weights`.
        smoothing: share of a weight that goes on to neighbours, a, in [0, 1); 0: none.
        steps: that it may go, >= 0.
        max_interests: of a profile, those with the greatest sizes, >= 1.
        max_taste_interests: heaviest positive interests that tastes are made of; bounds their time,
            which grows with the square.
        taste_distance: Ward's distance up to which interests are one taste; see medoids.py. 1.2, by
            looking at some thirty everyday words: with inkling-small's embeddings "dog", "puppy"
            and "labrador retriever" are one taste and "cat" is another; so they mostly are with
            neighbourhoods in the shipped graph.
    """

    kind_weights: tuple[float, float, float, float, float] = (0.1, 1.0, 2.0, 2.0, -2.0)
    half_life_days: float = 90.0
    saturation: float = 3.0
    smoothing: float = 0.2
    steps: int = 2
    max_interests: int = 300
    max_taste_interests: int = 60
    taste_distance: float = 1.2

    def __post_init__(self) -> None:
        if min(self.kind_weights[:4]) < 0 or self.kind_weights[4] > 0:
            raise ValueError("kind_weights: of view, like, save, share at least 0, of hide at most")
        if not (self.half_life_days > 0 and self.saturation > 0):
            raise ValueError("half_life_days, saturation: above 0")
        if not 0 <= self.smoothing < 1 or self.steps < 0:
            raise ValueError("smoothing: in [0, 1); steps: at least 0")
        if self.max_interests < 1 or self.max_taste_interests < 1 or self.taste_distance < 0:
            raise ValueError("max_interests, max_taste_interests: at least 1; taste_distance: 0")


@dataclass(frozen=True, slots=True, eq=False)
class Engaged:
    """What somebody did, one entry for each engagement and each tag of the item, in any order.

    Attributes:
        kinds_J: 1 view, 2 like, 3 save, 4 share, 5 hide.
        times_J: when, in Unix seconds.
        items_J: the item; the same number is the same item.
        rows_J: the tag's row in the graph; -1: this version of the graph does not have it.
        scores_J: of the tag, in [0, 1].
    """

    kinds_J: NDArray[np.integer] = field(repr=False)
    times_J: NDArray[np.float64] = field(repr=False)
    items_J: NDArray[np.integer] = field(repr=False)
    rows_J: NDArray[np.integer] = field(repr=False)
    scores_J: NDArray[np.floating] = field(repr=False)

    def __post_init__(self) -> None:
        shape = (len(self.kinds_J),)
        columns = (self.times_J, self.items_J, self.rows_J, self.scores_J)
        if any(column.shape != shape for column in columns):
            raise ValueError("engagements must have as many of each column")
        if shape != (0,) and not 1 <= self.kinds_J.min() <= self.kinds_J.max() <= 5:
            raise ValueError("kinds_J must be 1 to 5")


@dataclass(frozen=True, slots=True)
class InterestTaste:
    """Interests that belong together.

    Attributes:
        medoid_row: the one that stands for them.
        share: of all positive weights of the profile, in (0, 1].
        rows: the heaviest first, the medoid among them.
    """

    medoid_row: int
    share: float
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class InterestProfile:
    """What somebody cares for, and what they hide.

    Attributes:
        rows_R: int32 rows of the graph, the greatest size of weight first; ties: the lower row.
        weights_R: float32 in [-1, 1]; their sizes sum to 1, unless there are none.
        smoothed_R: float32 in [0, 1], the part of each weight that neighbours gave.
        tastes: the greatest share first.
    """

    rows_R: NDArray[np.int32] = field(repr=False)
    weights_R: NDArray[np.float32] = field(repr=False)
    smoothed_R: NDArray[np.float32] = field(repr=False)
    tastes: tuple[InterestTaste, ...] = field(default=(), repr=False)


def interest_profile(
    engaged: Engaged,
    graph: InterestGraph,
    *,
    now_s: float,
    settings: InterestSettings | None = None,
) -> InterestProfile:
    """Makes the profile of one person.

    Args:
        engaged: what they did.
        graph: whose rows `engaged` names.
        now_s: that ages are counted from, in Unix seconds; what lies after it has age 0.
        settings: how.

    Raises:
        ValueError: a row is not one of the graph's.
    """
    settings = settings or InterestSettings()
    engaged_N = interest_weights(engaged, len(graph), now_s=now_s, settings=settings)
    given_N = graph.spread(engaged_N, smoothing=settings.smoothing, steps=settings.steps)
    total_N = engaged_N + given_N
    rows_R = np.argsort(-np.abs(total_N), kind="stable")[: settings.max_interests]
    rows_R = rows_R[total_N[rows_R] != 0].astype(np.int32)
    weights_R = total_N[rows_R]
    size = np.abs(weights_R).sum()
    if not size > 0:
        empty = np.empty(0, np.float32)
        return InterestProfile(np.empty(0, np.int32), empty, empty)
    weights_R /= size
    own_R, smoothed_R = np.abs(engaged_N[rows_R]), np.abs(given_N[rows_R])
    return InterestProfile(
        rows_R,
        weights_R.astype(np.float32),
        (smoothed_R / (own_R + smoothed_R)).astype(np.float32),
        _tastes(rows_R[own_R > 0], weights_R[own_R > 0], weights_R, graph, settings),
    )


def interest_weights(
    engaged: Engaged, count: int, *, now_s: float, settings: InterestSettings
) -> NDArray[np.float64]:
    """w of the module's docstring: before smoothing, of any size, float64 [N].

    Args:
        engaged: what somebody did.
        count: interests of the graph, N.
        now_s: as in `interest_profile`.
        settings: kinds, half-life, saturation.

    Raises:
        ValueError: a row is not one of the graph's.
    """
    known = engaged.rows_J >= 0
    rows_J = engaged.rows_J[known].astype(np.int64)
    if not len(rows_J):
        return np.zeros(count)
    if rows_J.max() >= count:
        raise ValueError("rows_J must be rows of the graph, or -1")
    age_days_J = np.maximum(now_s - engaged.times_J[known], 0) / _DAY_S
    kinds_J = np.array(settings.kind_weights)[engaged.kinds_J[known].astype(np.int64) - 1]
    strength_J = kinds_J * 0.5 ** (age_days_J / settings.half_life_days)
    _, items_J = np.unique(engaged.items_J[known], return_inverse=True)
    is_hide_J = engaged.kinds_J[known] == 5
    hidden = np.bincount(items_J, is_hide_J) > 0
    strength_J[hidden[items_J] & ~is_hide_J] = 0
    # An item's engagements repeat its tags: summed by item and tag, they are the item's strength.
    keys, first_Q, pair_J = np.unique(
        items_J * count + rows_J, return_index=True, return_inverse=True
    )
    strength_Q = np.bincount(pair_J, strength_J)
    saturated_Q = settings.saturation * -np.expm1(-np.abs(strength_Q) / settings.saturation)
    weight_Q = np.sign(strength_Q) * saturated_Q * engaged.scores_J[known][first_Q]
    return np.bincount(keys % count, weight_Q, count).astype(np.float64)


def _tastes(
    rows: NDArray[np.int32],
    weights: NDArray[np.float64],
    all_weights_R: NDArray[np.float64],
    graph: InterestGraph,
    settings: InterestSettings,
) -> tuple[InterestTaste, ...]:
    """Groups the heaviest positive interests that were engaged with; `rows` come heaviest first."""
    liked = np.flatnonzero(weights > 0)[: settings.max_taste_interests]
    rows_T, weights_T = rows[liked], weights[liked]
    if not len(rows_T):
        return ()
    positive = all_weights_R[all_weights_R > 0].sum()
    features_TF = graph.features(rows_T)
    group_T = ward_groups(features_TF, settings.taste_distance)
    tastes = []
    for group in range(int(group_T.max()) + 1):
        mine = np.flatnonzero(group_T == group)
        middle = mine[medoid(features_TF[mine], weights_T[mine])]
        share = float(weights_T[mine].sum() / positive)
        tastes.append(
            InterestTaste(int(rows_T[middle]), min(share, 1.0), tuple(rows_T[mine].tolist()))
        )
    # Stable: of equal shares, the one with the heavier interest.
    return tuple(sorted(tastes, key=lambda taste: -taste.share))
