"""`inkling graph refresh`: starts a refresh, shows how far it is, and what it has done.

Ctrl-C asks the server to cancel, since a refresh goes on without the one who has started it.

This module does not know how bars and summaries look (`cli_graph_refresh_view.py`).
"""

from typing import Annotated

import typer
from rich.console import Console

from inkling_client.cli_connect import (
    DEFAULT_SERVER,
    EXIT_INTERRUPTED,
    EXIT_SOME_FAILED,
    CaFileOption,
    JsonOption,
    ServerOption,
    TlsOption,
    asking,
    fail,
)
from inkling_client.cli_graph_json import line
from inkling_client.cli_graph_refresh_view import progress_words, refresh_summary
from inkling_client.cli_json import error_fields, write
from inkling_client.cli_operation import OperationView
from inkling_client.errors import RefreshCancelled, RefreshFailed, RefreshRunning
from inkling_client.graph_client import GraphClient, RefreshHandle
from inkling_client.operation_handle import OperationHandle
from inkling_client.refresh_results import RefreshProgress, RefreshResult


def refresh(
    force: Annotated[
        bool, typer.Option("--force", help="Build a version also where nothing is new.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Watch it to its end, or only start it.")
    ] = True,
    attach: Annotated[
        bool, typer.Option("--attach", help="Where a refresh runs already, watch that one.")
    ] = False,
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Read what is new in the content feed, and serve the graph that comes of it.

    Exit codes: 0 fine, 1 it failed or another one runs, 2 wrong usage, 3 no server, 130 Ctrl-C.
    """
    with asking(server, tls=tls, ca_file=ca_file) as client:
        handle = _start(client.graph, force=force, attach=attach)
        if not wait:
            _VIEW.say_started(handle.name, json_lines=json_lines)
            return
        try:
            result = _VIEW.watch(handle, json_lines=json_lines)
        except KeyboardInterrupt:
            _VIEW.cancel(handle, json_lines=json_lines)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except (RefreshFailed, RefreshCancelled) as error:
            if json_lines:
                write(line(name=handle.name, error=error_fields(error)))
            fail(EXIT_SOME_FAILED, error.message)
        _show(handle, result, json_lines)


def _start(graph: GraphClient, *, force: bool, attach: bool) -> RefreshHandle:
    try:
        return graph.refresh(force=force)
    except RefreshRunning as error:
        name = error.metadata.get("operation", "")
        if not name:
            raise  # another gateway of the same graph runs it, and only that one can tell of it
        if not attach:
            fail(EXIT_SOME_FAILED, f"{error.message}; --attach watches it")
        return graph.handle(name)


def _show(
    handle: OperationHandle[RefreshProgress, RefreshResult], result: RefreshResult, json_lines: bool
) -> None:
    progress = handle.progress()
    if json_lines:
        write(line(name=handle.name, feed=progress.feed, stage_s=progress.stage_s, result=result))
        return
    console = Console(highlight=False)
    console.print(refresh_summary(console, result, progress))


_VIEW = OperationView(
    what="refresh",
    started="`inkling graph refresh --attach` watches it",
    words=progress_words,
    more_fields=lambda progress: {"remaining_s": progress.remaining_s},
    goes_on=lambda progress: f"graph {progress.base_version}",
    show=_show,
    cancelled=RefreshCancelled,
    failed=RefreshFailed,
)
