"""What a refresh has done, in a few numbers and its trending interests.

It does not know how any of it came about.
"""

from inkling_server.refresh.job import JobResult
from inkling_server.refresh.operation import RefreshSummary
from inkling_server.serving_state import ServingState

_MAX_TRENDING = 50


def summarise(old: ServingState, new: ServingState, result: JobResult) -> RefreshSummary:
    """Sums a refresh up.

    Args:
        old: served before.
        new: serves now; the same where nothing was new.
        result: what the process reported.
    """
    graph = new.graph
    trending = sorted(
        (interest for interest in graph.interests if interest.is_trending),
        key=lambda interest: (-interest.trend_z, interest.id),
    )
    return RefreshSummary(
        graph_version=graph.version,
        base_version=old.graph_version,
        **result.counts,
        interest_count=len(graph.interests),
        added_count=result.added_count,
        retired_count=result.retired_count,
        edge_count=len(graph.edges),
        trending=tuple(trending[:_MAX_TRENDING]) if result.draft is not None else (),
    )
