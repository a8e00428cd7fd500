"""What both clients of profiles share: requests, and the words for their choices.

This module does not know connections: `profile_client.py` and `profile_aio.py` have them.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from inkling.v1 import profile_pb2
from inkling_client.graph_calls import choose

LogOddsVariance = Literal["full", "approximate"]

# Longer than a call's usual deadline: it may compare thousands of people.
RANK_TIMEOUT_S = 60.0

VARIANCES: Mapping[LogOddsVariance, profile_pb2.LogOddsVariance.ValueType] = {
    "full": profile_pb2.LOG_ODDS_VARIANCE_FULL,
    "approximate": profile_pb2.LOG_ODDS_VARIANCE_APPROXIMATE,
}


def compare_request(
    first_user_id: str,
    second_user_id: str,
    *,
    prior_scale: float | None,
    variance: LogOddsVariance,
    limit: int | None,
) -> profile_pb2.CompareProfilesRequest:
    """The request; arguments as in `ProfileClient.compare`."""
    return profile_pb2.CompareProfilesRequest(
        first_user_id=first_user_id,
        second_user_id=second_user_id,
        prior_scale=prior_scale,
        variance=choose("variance", variance, VARIANCES),
        limit=limit,
    )


def rank_request(
    content_ids: Iterable[str],
    user_ids: Iterable[str],
    *,
    limit: int | None,
    hold_out: bool,
) -> profile_pb2.RankProfilesRequest:
    """The request; arguments as in `ProfileClient.rank`."""
    return profile_pb2.RankProfilesRequest(
        content_ids=content_ids, user_ids=user_ids, limit=limit, hold_out=hold_out
    )
