"""A profile as storage keeps it: visual sums and medoids as bytes, interests as JSON.

    visual:     sums, float32 [K] | medoids, float16 [M, D]      little-endian, M to the end
    interests:  {"basis": graph and settings, "weights": [...], "tastes": [...]}

It computes nothing. Shapes: K clusters, M pictures that speak for a person, D dimensions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.graph import Interest
from inkling_server.profiles.clusters import VisualClusters
from inkling_server.profiles.interest import InterestProfile
from inkling_server.profiles.visual import VisualSums


@dataclass(frozen=True, slots=True, eq=False)
class VisualSide:
    """What a person keeps, as pictures.

    Attributes:
        sums: over the clusters.
        medoids_MD: float32 embeddings of pictures that speak for them.
    """

    sums: VisualSums
    medoids_MD: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PersonInterest:
    """One interest of a person: see `profiles.interest`."""

    interest_id: str
    phrase: str
    weight: float
    smoothed_share: float


@dataclass(frozen=True, slots=True)
class PersonTaste:
    """Interests that belong together: see `profiles.interest`."""

    interest_id: str
    phrase: str
    share: float
    interest_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PersonInterests:
    """The interest profile by ids; independent of a graph's rows.

    Attributes:
        weights: the greatest size first.
        tastes: the largest share first.
    """

    weights: tuple[PersonInterest, ...] = field(repr=False)
    tastes: tuple[PersonTaste, ...] = field(repr=False)

    @classmethod
    def of(cls, found: InterestProfile, interests: Sequence[Interest]) -> "PersonInterests":
        """The profile with its rows named."""
        weights = tuple(
            PersonInterest(interests[row].id, interests[row].phrase, weight, smoothed)
            for row, weight, smoothed in zip(
                found.rows_R.tolist(),
                found.weights_R.tolist(),
                found.smoothed_R.tolist(),
                strict=True,
            )
        )
        tastes = tuple(
            PersonTaste(
                interests[taste.medoid_row].id,
                interests[taste.medoid_row].phrase,
                taste.share,
                tuple(interests[row].id for row in taste.rows),
            )
            for taste in found.tastes
        )
        return cls(weights, tastes)


def interests_fields(interests: PersonInterests, basis: str) -> dict[str, Any]:
    """As JSON.

    Args:
        interests: the profile.
        basis: what it depends on beside the engagements.
    """
    return {
        "basis": basis,
        "weights": [
            [w.interest_id, w.phrase, w.weight, w.smoothed_share] for w in interests.weights
        ],
        "tastes": [[t.interest_id, t.phrase, t.share, t.interest_ids] for t in interests.tastes],
    }


def interests_of(fields: Mapping[str, Any], basis: str) -> PersonInterests | None:
    """Its inverse; None: it was computed on another basis."""
    if fields.get("basis") != basis:
        return None
    return PersonInterests(
        tuple(PersonInterest(*weight) for weight in fields["weights"]),
        tuple(
            PersonTaste(interest_id, phrase, share, tuple(ids))
            for interest_id, phrase, share, ids in fields["tastes"]
        ),
    )


def pack_visual(side: VisualSide) -> bytes:
    """As bytes."""
    return side.sums.to_bytes() + side.medoids_MD.astype("<f2").tobytes()


def unpack_visual(data: bytes, picture_count: int, clusters: VisualClusters) -> VisualSide:
    """Its inverse.

    Args:
        data: of `pack_visual`.
        picture_count: of the sums.
        clusters: that the sums belong to.

    Raises:
        ValueError: the bytes do not fit the clusters.
    """
    size = 4 * clusters.count
    medoids = np.frombuffer(data[size:], "<f2").astype(np.float32)
    return VisualSide(
        VisualSums.from_bytes(data[:size], picture_count),
        medoids.reshape(-1, clusters.dimension),
    )
