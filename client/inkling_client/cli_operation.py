"""What `inkling graph refresh` and `inkling model deploy` share: watching an operation to its end.

Ctrl-C asks the server to cancel, since an operation goes on without the one who has started it.

This module does not know what an operation does, nor how its result looks.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from inkling_client.cli_connect import EXIT_INTERRUPTED, fail
from inkling_client.cli_graph_json import line
from inkling_client.cli_json import error_fields, write
from inkling_client.cli_view import printable
from inkling_client.errors import InklingClientError
from inkling_client.operation_calls import P, R
from inkling_client.operation_handle import OperationHandle

_BAR_WIDTH = 20
_STAGE_WIDTH = 10


@dataclass(frozen=True, slots=True)
class OperationView(Generic[P, R]):
    """How one kind of operation is shown.

    Attributes:
        what: "refresh" or "rollout".
        started: what a person may do about one that was only started.
        words: how far the stage is, beside the bar.
        more_fields: fields of a progress line in JSON beside those that every operation has.
        goes_on: what serves after a cancel, in words.
        show: prints a result: (handle, result, json_lines).
        cancelled, failed: the errors that it may end with.
    """

    what: str
    started: str
    words: Callable[[P], str]
    more_fields: Callable[[P], dict[str, object]]
    goes_on: Callable[[P], str]
    show: Callable[[OperationHandle[P, R], R, bool], None]
    cancelled: type[InklingClientError]
    failed: type[InklingClientError]

    def watch(self, handle: OperationHandle[P, R], *, json_lines: bool) -> R:
        """Shows it to its end, by lines of JSON or a bar; raises as `OperationHandle.wait`."""
        if json_lines:
            return handle.wait(self._lines())
        # Where stdout is no terminal, the bar still is for whoever looks at stderr.
        console = Console(highlight=False, stderr=not sys.stdout.isatty())
        with self._stage_bar(console) as show:
            return handle.wait(show)

    def cancel(self, handle: OperationHandle[P, R], *, json_lines: bool) -> None:
        """Asks the server to end it, and says what has become of it."""
        errors = Console(highlight=False, stderr=True)
        errors.print(f"cancelling the {self.what} ...")
        handle.cancel()
        try:
            result = handle.wait()
        except self.cancelled as error:
            if json_lines:
                write(line(name=handle.name, error=error_fields(error)))
            words = f"cancelled: {self.goes_on(handle.progress())} goes on serving"
            errors.print(Text(printable(words), "yellow", overflow="fold"))
        except self.failed as error:
            fail(EXIT_INTERRUPTED, error.message)
        else:
            errors.print("too late: it was done already")
            self.show(handle, result, json_lines)

    def say_started(self, name: str, *, json_lines: bool) -> None:
        """It runs, and nobody watches it."""
        if json_lines:
            write(line(name=name))
            return
        console = Console(highlight=False)
        console.print(Text(printable(f"{name} runs"), "bold green"))
        console.print(Text(self.started, "dim"))

    def _lines(self) -> Callable[[P], None]:
        """Prints a line whenever something has changed."""
        last = ""

        def show(progress: P) -> None:
            nonlocal last
            text = line(
                name=progress.name,
                stage=progress.stage,
                done_count=progress.done_count,
                total_count=progress.total_count,
                **self.more_fields(progress),
            )
            if text != last and not progress.done:
                last = text
                write(text)

        return show

    @contextmanager
    def _stage_bar(self, console: Console) -> Iterator[Callable[[P], None]]:
        """A bar for each stage while the block runs, where people can see it."""
        if not console.file.isatty():
            yield lambda _: None
            return
        columns = (
            TextColumn(f"{{task.description:<{_STAGE_WIDTH}}}"),
            BarColumn(bar_width=_BAR_WIDTH),
            TextColumn("{task.fields[words]}"),
        )
        # Without redirect_stdout=False, rich would send what goes to stdout to the bar's console.
        with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
            task = bar.add_task("starting", total=None, words="")
            ended: set[str] = set()

            def show(progress: P) -> None:
                for stage, took_s in progress.stage_s.items():
                    if stage not in ended:
                        ended.add(stage)
                        bar.console.print(Text(f"{stage:<{_STAGE_WIDTH}} {took_s:6.1f} s", "dim"))
                bar.update(
                    task,
                    description=progress.stage or "starting",
                    completed=progress.done_count,
                    words=self.words(progress),
                )
                bar.tasks[0].total = progress.total_count or None

            yield show
