"""`inkling profile refresh`: brings up to date what is computed for all people together.

Ctrl-C asks the server to cancel, since a refresh goes on without the one who has started it.

This module does not know how bars and summaries look (`cli_operation.py`, `cli_profile_view.py`).
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
from inkling_client.cli_json import error_fields, write
from inkling_client.cli_operation import OperationView
from inkling_client.cli_profile_view import people_refresh_summary
from inkling_client.errors import PeopleRefreshCancelled, PeopleRefreshFailed
from inkling_client.operation_handle import OperationHandle
from inkling_client.people_refresh_results import PeopleRefreshProgress, PeopleRefreshResult


def refresh(
    refit_clusters: Annotated[
        bool, typer.Option("--refit-clusters", help="Fit visual clusters although there are some.")
    ] = False,
    cluster_count: Annotated[
        int | None,
        typer.Option(min=2, max=10_000, help="Clusters to fit. (default: the server's)"),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Only start it.")] = False,
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Bring up to date what is computed for all people: popularity, co-engagement, clusters.

    Exit codes: 0 fine, 1 it failed or another one runs, 2 wrong usage, 3 no server, 130 Ctrl-C.
    """
    with asking(server, tls=tls, ca_file=ca_file) as client:
        handle = client.profiles.refresh(refit_clusters=refit_clusters, cluster_count=cluster_count)
        if detach:
            _VIEW.say_started(handle.name, json_lines=json_lines)
            return
        try:
            result = _VIEW.watch(handle, json_lines=json_lines)
        except KeyboardInterrupt:
            _VIEW.cancel(handle, json_lines=json_lines)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except (PeopleRefreshFailed, PeopleRefreshCancelled) as error:
            if json_lines:
                write(line(name=handle.name, error=error_fields(error)))
            fail(EXIT_SOME_FAILED, error.message)
        _show(handle, result, json_lines)


def _show(
    handle: OperationHandle[PeopleRefreshProgress, PeopleRefreshResult],
    result: PeopleRefreshResult,
    json_lines: bool,
) -> None:
    if json_lines:
        write(line(name=handle.name, result=result))
        return
    console = Console(highlight=False)
    console.print(people_refresh_summary(result, handle.progress()))


_VIEW = OperationView(
    what="refresh",
    started="`inkling profile clusters` and `inkling recommend` show what becomes of it",
    words=lambda _: "",
    more_fields=lambda _: {},
    goes_on=lambda _: "what was computed before",
    show=_show,
    cancelled=PeopleRefreshCancelled,
    failed=PeopleRefreshFailed,
)
