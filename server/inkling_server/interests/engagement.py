"""Co-engagement: which interests the same people have, more often than chance would join them.

    people x interests (CSR) ─► weigh people ─► count pairs, block by block ─► NPMI ─► k strongest

Normalised pointwise mutual information (Bouma 2009, "Normalized (pointwise) mutual information in
collocation extraction"), over people instead of words:

    npmi(x, y) = ln(p(x, y) / (p(x) p(y))) / -ln p(x, y)        in [-1, 1]; 0: independent

It does not know who people are, or what they did: a person is a row of numbers.

Shapes: P people, J (person, interest) entries, N interests, E edges.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.blocks import blocks
from inkling_server.interests.strongest import strongest

# Pairs counted in one block, about 100 MB.
_BLOCK_PAIRS = 4_000_000


@dataclass(frozen=True, slots=True)
class EngagementSettings:
    """What joins two interests.

    A person with m interests has m (m - 1) / 2 pairs, so without a bound one crawler account has
    more to say than thousands of people. Therefore a person with more than `fair_interests` counts
    less than one: by so much that all their pairs together weigh what the pairs of a person with
    `fair_interests` do. Beyond `max_interests` they are left out. Both counts of pairs and counts
    of single interests are of weighed people, so that shares stay shares.

    Attributes:
        min_support: people who have both, at least; weighed as above.
        min_evidence: log-likelihood ratio of these people against chance (Dunning 1993), at least:
            15.13 is p = .0001 for one pair, and there are many. NPMI alone is high for rare pairs
            that met by chance.
        k: edges that each interest names, its strongest; an edge stays where either end names it.
        fair_interests: of a person who counts in full, at most.
        max_interests: of a person who counts at all; also bounds the work: its square per person.
    """

    min_support: float = 5
    min_evidence: float = 15.13
    k: int = 10
    fair_interests: int = 100
    max_interests: int = 1_000

    def __post_init__(self) -> None:
        if self.min_support <= 0 or self.k < 1 or self.fair_interests < 2:
            raise ValueError("min_support: above 0; k: at least 1; fair_interests: at least 2")


@dataclass(frozen=True, slots=True, eq=False)
class EngagementEdges:
    """Undirected edges, each once, sorted by their ends.

    Attributes:
        ends_E2: int32 rows of interests, the smaller first.
        npmi_E: float32 in (0, 1].
    """

    ends_E2: NDArray[np.int32]
    npmi_E: NDArray[np.float32]

    @classmethod
    def none(cls) -> "EngagementEdges":
        """Where nobody engaged with anything."""
        return cls(np.empty((0, 2), np.int32), np.empty(0, np.float32))


def engagement_edges(
    person_offsets: NDArray[np.integer],
    interest_rows_J: NDArray[np.integer],
    count: int,
    settings: EngagementSettings | None = None,
) -> EngagementEdges:
    """Joins interests that the same people have.

    Args:
        person_offsets: [P + 1]; person p has `interest_rows_J[offsets[p]:offsets[p + 1]]`, in any
            order; what is named twice counts once. People without any do not count.
        interest_rows_J: in [0, count).
        count: interests, N.
        settings: what joins two interests.

    Raises:
        ValueError: the arrays do not describe people's interests.
    """
    settings = settings or EngagementSettings()
    _check(person_offsets, interest_rows_J, count)
    if not len(interest_rows_J):
        return EngagementEdges.none()
    # Late: a gateway imports this module and never calls it; only refreshes do.
    from scipy.sparse import csr_array

    has_PN = csr_array(
        (np.ones(len(interest_rows_J)), interest_rows_J.astype(np.int32), person_offsets),
        shape=(len(person_offsets) - 1, count),
    )
    has_PN.sum_duplicates()
    has_PN.data[:] = 1
    sizes_P = np.diff(has_PN.indptr)
    weights_P = _weights(sizes_P, settings)
    has_PN = has_PN[weights_P > 0]
    sizes_P, weights_P = sizes_P[weights_P > 0], weights_P[weights_P > 0]
    weighed_PN = has_PN.copy()
    weighed_PN.data[:] = np.repeat(weights_P, sizes_P)
    people = weights_P.sum()
    people_N = np.asarray(weighed_PN.sum(axis=0))
    has_NP = has_PN.T.tocsr()
    sizes_J = np.repeat(sizes_P, sizes_P).astype(np.float64)
    pairs_N = np.bincount(has_PN.indices, sizes_J, count).astype(np.int64)
    found = []
    for start, stop in blocks(pairs_N, _BLOCK_PAIRS):
        both = (has_NP[start:stop] @ weighed_PN).tocoo()
        from_P, to_P = both.row.astype(np.int64) + start, both.col.astype(np.int64)
        # Sums of weights are rounded; whole people are not.
        enough = (from_P != to_P) & (both.data >= settings.min_support * (1 - 1e-9))
        from_P, to_P, both_P = from_P[enough], to_P[enough], both.data[enough]
        npmi_P = npmi(both_P, people_N[from_P], people_N[to_P], people)
        evidence_P = evidence(both_P, people_N[from_P] * people_N[to_P] / people)
        chosen = np.flatnonzero((npmi_P > 0) & (evidence_P >= settings.min_evidence))
        best = chosen[strongest(from_P[chosen], to_P[chosen], npmi_P[chosen], settings.k)]
        found.append((from_P[best], to_P[best], npmi_P[best]))
    from_P, to_P, npmi_P = (np.concatenate(columns) for columns in zip(*found, strict=True))
    low_P, high_P = np.minimum(from_P, to_P), np.maximum(from_P, to_P)
    _, once = np.unique(low_P * count + high_P, return_index=True)
    return EngagementEdges(
        np.stack([low_P[once], high_P[once]], axis=1).astype(np.int32), npmi_P[once]
    )


def npmi(
    both_E: NDArray[np.float64],
    first_E: NDArray[np.float64],
    second_E: NDArray[np.float64],
    people: float,
) -> NDArray[np.float32]:
    """Normalised pointwise mutual information, float32 in [-1, 1], [E]; 0 where everyone has both.

    Args:
        both_E: people who have both, > 0.
        first_E: people who have the one.
        second_E: people who have the other.
        people: all of them.
    """
    # The limit at p(x, y) = 1 is not defined (0 / 0); nothing is learnt from what everyone has.
    surprise_E = -np.log(np.minimum(both_E / people, 1 - 1e-12))
    shared_E = np.log(both_E * people) - np.log(first_E * second_E)
    shared_E = np.where(both_E / people > 1 - 1e-9, 0, shared_E)
    return np.clip(shared_E / surprise_E, -1, 1).astype(np.float32)


def evidence(both_E: NDArray[np.float64], expected_E: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-likelihood ratio 2 (both ln(both / expected) - (both - expected)), >= 0, [E].

    It is Dunning's for rare events, where counts are as good as Poisson's.

    Args:
        both_E: people who have both, > 0.
        expected_E: of them by chance, > 0.
    """
    return 2 * (both_E * np.log(both_E / expected_E) - (both_E - expected_E))


def _weights(sizes_P: NDArray[np.integer], settings: EngagementSettings) -> NDArray[np.float64]:
    """What each person counts, in [0, 1], [P]."""
    pairs_P = sizes_P * (sizes_P - 1.0)
    fair = settings.fair_interests * (settings.fair_interests - 1.0)
    weights_P = np.minimum(1, fair / np.maximum(pairs_P, 1))
    weights_P[(sizes_P == 0) | (sizes_P > settings.max_interests)] = 0
    return weights_P


def _check(
    person_offsets: NDArray[np.integer], interest_rows_J: NDArray[np.integer], count: int
) -> None:
    if not len(person_offsets) or person_offsets[0] != 0 or (np.diff(person_offsets) < 0).any():
        raise ValueError("person_offsets must begin at 0 and never fall")
    if person_offsets[-1] != len(interest_rows_J):
        raise ValueError("person_offsets must end where interest_rows_J does")
    if len(interest_rows_J) and not 0 <= interest_rows_J.min() <= interest_rows_J.max() < count:
        raise ValueError("interest_rows_J must be rows of interests")
