"""Why an item is recommended, in parts that sum to its score.

It turns numbers of `profiles.recommend` into values with names; it ranks nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from inkling_server.profiles.recommend import (
    Candidates,
    Part,
    Ranked,
    Taste,
    interest_contributions,
    top_cluster,
)


@dataclass(frozen=True, slots=True)
class InterestReason:
    """The person cares for an interest of the item; below 0: they hide it."""

    contribution: float
    interest_id: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class VisualReason:
    """The picture looks like what the person keeps; `cluster` says most."""

    contribution: float
    cluster: int


@dataclass(frozen=True, slots=True)
class CoEngagementReason:
    """Who engaged with these items of theirs engaged with this one, too."""

    contribution: float
    content_ids: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PopularityReason:
    """Many people engage with it."""

    contribution: float


@dataclass(frozen=True, slots=True)
class FreshnessReason:
    """It is new."""

    contribution: float


Reason = InterestReason | VisualReason | CoEngagementReason | PopularityReason | FreshnessReason


def reasons_of(
    candidates: Candidates,
    taste: Taste,
    ranked: Ranked,
    place: int,
    interest_ids: Sequence[str],
) -> tuple[Reason, ...]:
    """Reasons of one ranked item, the weightiest first; they sum to its score.

    Which items of the person's lead to it is not known here: see `named`.

    Args:
        candidates: as ranked.
        taste: as ranked.
        ranked: the ranking.
        place: of the item in it.
        interest_ids: names of the rows of `Taste.interest_weights_I`.
    """
    row, parts = int(ranked.order_L[place]), ranked.contributions_LP[place]
    # A picture has its contribution also from its nearest kept picture, without clusters.
    cluster = top_cluster(candidates, taste, row) or 0
    reasons: list[Reason] = [
        CoEngagementReason(float(parts[Part.CO_ENGAGEMENT]), ()),
        VisualReason(float(parts[Part.VISUAL]), cluster),
        PopularityReason(float(parts[Part.POPULARITY])),
        FreshnessReason(float(parts[Part.FRESHNESS])),
        *(
            InterestReason(contribution, interest_ids[interest])
            for interest, contribution in interest_contributions(
                candidates, taste, row, ranked.interest_scale
            )
        ),
    ]
    said = [reason for reason in reasons if reason.contribution]
    return tuple(sorted(said, key=lambda reason: -abs(reason.contribution)))


def named(reasons: tuple[Reason, ...], content_ids: tuple[str, ...]) -> tuple[Reason, ...]:
    """The same reasons, where co-engagement names the person's items that lead to this one."""
    return tuple(
        replace(reason, content_ids=content_ids)
        if isinstance(reason, CoEngagementReason)
        else reason
        for reason in reasons
    )
