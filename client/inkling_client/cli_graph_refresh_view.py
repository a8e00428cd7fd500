"""What people see of a refresh: a bar while it runs, and what it has done.

This module does not know how a refresh is watched (`cli_graph_refresh.py`).
"""

from rich.console import Console, Group, RenderableType
from rich.text import Text

from inkling_client.cli_graph_view import fact_table, interest_table
from inkling_client.cli_view import printable
from inkling_client.refresh_results import RefreshProgress, RefreshResult

_TRENDING_COUNT = 15


def progress_words(progress: RefreshProgress) -> str:
    """How far the stage is and how long the rest takes, as far as either is known."""
    if progress.done:
        return ""
    words: list[str] = []
    if progress.total_count:
        done, total = progress.done_count, progress.total_count
        if progress.stage == "reading":
            words.append(f"{done / 2**20:,.1f}/{total / 2**20:,.1f} MiB")
        else:
            words.append(f"{done:,}/{total:,}")
    if progress.remaining_s is not None:
        words.append(f"{_span(progress.remaining_s)} left")
    return ", ".join(words)


def refresh_summary(
    console: Console, result: RefreshResult, progress: RefreshProgress
) -> RenderableType:
    """What a refresh has done, for people.

    Args:
        console: where it will be printed.
        result: what has become of it.
        progress: the last that was heard of it.
    """
    is_new = result.graph_version != result.base_version
    head = f"graph {result.graph_version} serves now"
    if not is_new:
        head = f"nothing new: graph {result.graph_version} goes on serving"
    left_out = [
        f"{count:,} {what}"
        for count, what in (
            (result.near_duplicate_count, "near-duplicate"),
            (result.other_language_count, "in another language"),
            (result.empty_count, "without words"),
        )
        if count
    ]
    read = [f"{result.item_count:,} items, {result.kept_count:,} of them mined"]
    if left_out:
        read.append(f"left out: {', '.join(left_out)}")
    rows = [("read", "; ".join(read))]
    if result.invalid_count:
        rows.append(("", f"{result.invalid_count:,} lines are no content items"))
    rows.append(("", f"{result.engagement_count:,} engagements"))
    rows.append(
        (
            "interests",
            f"{result.interest_count:,}: {result.added_count:,} added, "
            f"{result.retired_count:,} retired",
        )
    )
    rows.append(("edges", f"{result.edge_count:,}"))
    if progress.create_time and progress.end_time:
        took_s = (progress.end_time - progress.create_time).total_seconds()
        rows.append(("took", _span(took_s)))
    parts: list[RenderableType] = [
        Text(printable(head), "bold green" if is_new else "bold", overflow="fold"),
        fact_table(rows),
    ]
    if result.trending:
        parts += [Text(), interest_table(console, result.trending[:_TRENDING_COUNT], bars=True)]
        left = len(result.trending) - _TRENDING_COUNT
        if left > 0:
            parts.append(Text(f"and more: inkling graph show --trending --limit {left * 2}", "dim"))
    hint = _hint(result, progress)
    if hint:
        parts += [Text(), Text(hint, "dim", overflow="fold")]
    return Group(*parts)


def _hint(result: RefreshResult, progress: RefreshProgress) -> str:
    if progress.feed == "demo":
        return (
            "This was the demo feed, which ships with Inkling. Give the server your own: "
            "`inkling serve --content-dir FOLDER`."
        )
    if result.graph_version == result.base_version:
        return "--force builds a version also where nothing is new."
    return ""


def _span(seconds: float) -> str:
    """ "4.2 s", "42 s", "3 min 20 s"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
