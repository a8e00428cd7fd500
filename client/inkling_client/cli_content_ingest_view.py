"""What people and programs see of `inkling content ingest`.

    JsonView     a line for each item that is stored and each line that failed, then the summary
    PeopleView   a bar, the first lines that failed, then the summary

This module does not know how a file is stored (`cli_content_ingest.py`).
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from inkling_client.cli_graph_json import line
from inkling_client.cli_json import error_fields, tag_fields, write
from inkling_client.cli_people_view import counted
from inkling_client.cli_view import printable
from inkling_client.content_results import IngestedContent
from inkling_client.errors import InklingClientError

# More lines that failed would hide the summary.
_SHOWN_FAILURES = 20
_BAR_WIDTH = 30


@dataclass(slots=True)
class IngestCounts:
    """What has become of a file so far.

    Args:
        line_count: lines that are not empty.
        created_count: items that are new.
        replaced_count: items that were there.
        engagement_count: engagements in the file.
        recorded_count: of them recorded now.
        duplicate_count: of them recorded before.
        failed_count: lines that failed, of either kind.
        versions: each (model version, graph version) that answered, in order.
    """

    line_count: int = 0
    created_count: int = 0
    replaced_count: int = 0
    engagement_count: int = 0
    recorded_count: int = 0
    duplicate_count: int = 0
    failed_count: int = 0
    versions: dict[tuple[str, str], None] = field(default_factory=dict)

    @property
    def stored_count(self) -> int:
        """Items that are stored."""
        return self.created_count + self.replaced_count

    def add(self, outcome: IngestedContent) -> None:
        """One more item is stored."""
        self.created_count += outcome.created
        self.replaced_count += not outcome.created
        self.versions[outcome.model_version, outcome.graph_version] = None


class IngestView(Protocol):
    """Who is told how it goes."""

    def bar(self, total_bytes: int, /) -> Any:
        """A context in which progress may be shown; the first pass reads so many bytes."""

    def next_bar(self, engagement_count: int) -> None:
        """The second pass begins."""

    def advance(self, done: int, counts: IngestCounts, *, more: bool = False) -> None:
        """So much is done of the pass: in all, or `more` than before."""

    def stored(self, number: int, outcome: IngestedContent) -> None:
        """The item of this line is stored."""

    def failed(self, number: int, content_id: str, error: InklingClientError) -> None:
        """This line came to nothing; content_id: "" where it is no item."""

    def stopped(self, why: str) -> None:
        """The rest of the file is not sent."""

    def summary(self, counts: IngestCounts, took_s: float) -> None:
        """The end."""


class JsonView:
    """One object a line; the last has "summary"."""

    @contextmanager
    def bar(self, _: int) -> Iterator[None]:
        """None: bar and lines would write over each other."""
        yield

    def next_bar(self, engagement_count: int) -> None:
        """Nothing to show."""

    def advance(self, done: int, counts: IngestCounts, *, more: bool = False) -> None:
        """Nothing to show."""

    def stored(self, number: int, outcome: IngestedContent) -> None:
        fields = {name: getattr(outcome, name) for name in ("content_id", "created")}
        tags = [tag_fields(tag) for tag in outcome.tags]
        versions = {
            "graph_version": outcome.graph_version,
            "model_version": outcome.model_version,
        }
        write(line(line=number, **fields, tags=tags, **versions))

    def failed(self, number: int, content_id: str, error: InklingClientError) -> None:
        name = {"content_id": content_id} if content_id else {}
        write(line(line=number, **name, error=error_fields(error)))

    def stopped(self, why: str) -> None:
        Console(stderr=True).print(Text.assemble(("inkling: ", "bold red"), printable(why)))

    def summary(self, counts: IngestCounts, took_s: float) -> None:
        numbers = {key: value for key, value in asdict(counts).items() if key != "versions"}
        write(line(summary={**numbers, "took_s": took_s}))


class PeopleView:
    """A bar where people can see it, and what failed."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._failures = 0

    @contextmanager
    def bar(self, total_bytes: int) -> Iterator[None]:
        # Where both are one terminal, the bar must know of the lines that are printed above it.
        same = sys.stdout.isatty() and sys.stderr.isatty()
        console = self._console if same else Console(stderr=True)
        if not console.file.isatty():
            yield
            return
        columns = (
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=_BAR_WIDTH),
            TextColumn("{task.fields[words]}"),
            TimeRemainingColumn(),
        )
        # Without redirect_stdout=False, rich would send what goes to stdout to the bar's console.
        with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
            self._bar = bar
            self._task = bar.add_task("items", total=total_bytes, words="")
            try:
                yield
            finally:
                self._bar = None

    def next_bar(self, engagement_count: int) -> None:
        if self._bar is not None:
            self._bar.remove_task(self._task)
            self._task = self._bar.add_task("engagements", total=engagement_count, words="")

    def advance(self, done: int, counts: IngestCounts, *, more: bool = False) -> None:
        if self._bar is None:
            return
        if more:
            words = f"{counts.recorded_count + counts.duplicate_count:,} recorded"
            self._bar.update(self._task, advance=done, words=words)
        else:
            words = f"{counts.stored_count:,} stored"
            self._bar.update(self._task, completed=done, words=words)

    def stored(self, number: int, outcome: IngestedContent) -> None:
        """Counted, not shown."""

    def failed(self, number: int, content_id: str, error: InklingClientError) -> None:
        self._failures += 1
        if self._failures <= _SHOWN_FAILURES:
            name = f" {content_id}" if content_id else ""
            self._console.print(
                Text.assemble(
                    (f"line {number}{printable(name)}  ", "bold"),
                    (f"{error.reason}  ", "bold red"),
                    (printable(error.message), "red"),
                    overflow="fold",
                )
            )

    def stopped(self, why: str) -> None:
        words = f"inkling: stopped: {printable(why)}; doing it again stores the rest"
        Console(stderr=True).print(Text(words, "bold red", overflow="fold"))

    def summary(self, counts: IngestCounts, took_s: float) -> None:
        left = self._failures - _SHOWN_FAILURES
        if left > 0:
            self._console.print(Text(f"and {left:,} more that failed; --json shows all", "dim"))
        if not counts.line_count:
            return
        words = [
            f"{counted(counts.stored_count, 'item')} stored ({counts.created_count:,} new, "
            f"{counts.replaced_count:,} replaced)"
        ]
        if counts.engagement_count:
            words.append(f"{counted(counts.recorded_count, 'engagement')} recorded")
        if counts.duplicate_count:
            words.append(f"{counts.duplicate_count:,} recorded before")
        if counts.failed_count:
            words.append(f"{counts.failed_count:,} failed")
        words.append(f"{took_s:.1f} s")
        colour = "bold red" if counts.failed_count else "bold green"
        self._console.print(Text(" · ".join(words), colour, overflow="fold"))
        for model, graph in counts.versions:
            text = printable(f"model {model} · graph {graph}")
            self._console.print(Text(text, "dim", overflow="fold"))
