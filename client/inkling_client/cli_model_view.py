"""What people see of model versions and rollouts: a bar, the canary report, a table of versions.

This module does not know how a rollout is watched (`cli_model.py`).
"""

from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from inkling_client.cli_graph_view import fact_table
from inkling_client.cli_view import printable
from inkling_client.model_results import (
    CanaryReport,
    ModelStatus,
    RolloutProgress,
    RolloutResult,
)

_UNITS = {"embedding": "phrases", "canary": "pictures"}
_DECISIONS = {
    "accepted": ("accepted", "bold green"),
    "refused": ("refused", "bold red"),
    "forced": ("beyond a limit, and forced", "bold yellow"),
    "informative": ("for information: a rollback needs no verdict", "dim"),
}


def progress_words(progress: RolloutProgress) -> str:
    """How far the stage is, where there is something to count."""
    if progress.done or not progress.total_count:
        return ""
    unit = _UNITS.get(progress.stage, "")
    return f"{progress.done_count:,}/{progress.total_count:,} {unit}".rstrip()


def rollout_summary(result: RolloutResult, progress: RolloutProgress) -> RenderableType:
    """What a rollout has done, for people."""
    if result.version == result.previous_version:
        words = f"model {result.model_version} serves already"
        return Text(printable(words), "bold", overflow="fold")
    head = Text(
        printable(f"model {result.model_version} serves now"), "bold green", overflow="fold"
    )
    rows = [("before", result.previous_model_version)]
    if progress.create_time and progress.end_time:
        took_s = (progress.end_time - progress.create_time).total_seconds()
        rows.append(("took", f"{took_s:.1f} s"))
    parts: list[RenderableType] = [head, fact_table(rows)]
    if result.report is not None:
        parts += [Text(), report_table(result.report)]
    return Group(*parts)


def report_table(report: CanaryReport) -> RenderableType:
    """How both models did on the same pictures."""
    table = _table()
    table.add_column("Canary")
    table.add_column("Old", justify="right")
    table.add_column("New", justify="right")
    table.add_row("pictures with a tag", f"{report.old_coverage:.0%}", f"{report.new_coverage:.0%}")
    table.add_row("encoding, p50", f"{report.old_p50_ms:.1f} ms", f"{report.new_p50_ms:.1f} ms")
    table.add_row("encoding, p95", f"{report.old_p95_ms:.1f} ms", f"{report.new_p95_ms:.1f} ms")
    overlap = f"{report.tag_overlap:.2f}" if report.overlap_count else "-"
    table.add_row("overlap of their tags", "", overlap)
    table.add_row("old best tag in new best 5", "", f"{report.top1_kept:.0%}")
    counts = [
        f"{count:,} {what}"
        for count, what in (
            (report.folder_count, "of the canary folder"),
            (report.live_count, "of recent requests"),
            (report.built_in_count, "drawn"),
            (report.unreadable_count, "unreadable"),
        )
        if count
    ]
    words, style = _DECISIONS.get(report.decision, (report.decision, ""))
    lines: list[RenderableType] = [
        table,
        Text(printable(f"pictures: {', '.join(counts) or 'none'}"), "dim", overflow="fold"),
        Text(printable(words), style),
    ]
    lines += [Text(printable(f"- {why}"), style, overflow="fold") for why in report.problems]
    return Group(*lines)


def status_view(status: ModelStatus) -> RenderableType:
    """The versions of the repository, and the last rollout."""
    rows = [("serves", status.model_version)]
    if status.previous_version is not None:
        rows.append(("rollback to", str(status.previous_version)))
    last = status.last_rollout
    if last is not None:
        what = "rollback" if last.rollback else "rollout"
        if not last.done:
            outcome = f"runs: {last.stage} {progress_words(last)}".rstrip()
        else:
            outcome = "done" if status.last_error is None else status.last_error.message
        when = f"{_minute(last.create_time)} " if last.create_time else ""
        rows.append((f"last {what}", f"{when}to version {last.version}: {outcome}"))
    table = _table()
    table.add_column("Version", justify="right", no_wrap=True)
    table.add_column("Model", overflow="fold")
    table.add_column("Created (UTC)", no_wrap=True)
    table.add_column("", overflow="fold")
    for entry in status.versions:
        name = f"{entry.name} {entry.fingerprint}".strip() or "-"
        marks = [word for word, on in (("serves", entry.serving), ("loaded", entry.loaded)) if on]
        if entry.problem:
            marks.append(entry.problem)
        style = "bold green" if entry.serving else "dim" if entry.problem else ""
        table.add_row(
            Text(str(entry.version), style),
            Text(printable(name), style),
            Text(_minute(entry.created_time) if entry.created_time else "-", style),
            Text(printable(", ".join(marks)), style),
        )
    return Group(fact_table(rows), Text(), table)


def _table() -> Table:
    return Table(
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
        header_style="bold",
    )


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"
