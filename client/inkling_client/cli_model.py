"""`inkling model ...`: which model version a server serves, and rolling another one out.

Ctrl-C asks the server to cancel, since a rollout goes on without the one who has started it.

Exit codes: 0 fine, 1 the server says no (an unknown version, a refused rollout), 2 wrong usage, 3
no server, 130 Ctrl-C.

This module does not know how bars and tables look (`cli_model_view.py`).
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
from inkling_client.cli_graph_json import line, value_line
from inkling_client.cli_json import error_fields, write
from inkling_client.cli_model_view import (
    progress_words,
    report_table,
    rollout_summary,
    status_view,
)
from inkling_client.cli_operation import OperationView
from inkling_client.errors import RolloutCancelled, RolloutFailed
from inkling_client.model_client import RolloutHandle
from inkling_client.model_results import RolloutProgress, RolloutResult
from inkling_client.operation_handle import OperationHandle

model_app = typer.Typer(
    name="model",
    help="See which version of the model serves, and replace it while it serves.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

WaitOption = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Watch it to its end, or only start it.")
]


@model_app.command()
def status(
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Show the versions in the server's model repository, and which of them serves.

    Exit codes: 0 fine, 2 wrong usage, 3 no server.
    """
    with asking(server, tls=tls, ca_file=ca_file) as client:
        found = client.model.status()
    if json_lines:
        error = error_fields(found.last_error) if found.last_error is not None else None
        write(
            line(
                version=found.version,
                model_version=found.model_version,
                previous_version=found.previous_version,
                last_rollout=found.last_rollout,
                last_error=error,
            )
        )
        for version in found.versions:
            write(value_line(version))
        return
    console = Console(highlight=False)
    console.print(status_view(found))


@model_app.command()
def deploy(
    version: Annotated[
        int, typer.Argument(min=1, metavar="VERSION", help="See `inkling model status`.")
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Serve it although it is beyond a limit.")
    ] = False,
    min_overlap: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Least overlap of its tags with the old model's."),
    ] = None,
    max_latency_ratio: Annotated[
        float | None,
        typer.Option(min=0.001, max=1_000, help="Most that encoding may take, in times of before."),
    ] = None,
    max_lost_coverage: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Most that the share of pictures with a tag may fall by."),
    ] = None,
    wait: WaitOption = True,
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Load a version beside the one that serves, compare both, and let it serve.

    Exit codes: 0 fine, 1 it failed or was refused, 2 wrong usage, 3 no server, 130 Ctrl-C.
    """
    with asking(server, tls=tls, ca_file=ca_file) as client:
        handle = client.model.deploy(
            version,
            min_overlap=min_overlap,
            max_latency_ratio=max_latency_ratio,
            max_lost_coverage=max_lost_coverage,
            force=force,
        )
        _follow(handle, wait=wait, json_lines=json_lines)


@model_app.command()
def rollback(
    wait: WaitOption = True,
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Serve the version again that served before this one.

    Exit codes: 0 fine, 1 it failed, 2 wrong usage, 3 no server, 130 Ctrl-C.
    """
    with asking(server, tls=tls, ca_file=ca_file) as client:
        _follow(client.model.rollback(), wait=wait, json_lines=json_lines)


def _follow(handle: RolloutHandle, *, wait: bool, json_lines: bool) -> None:
    """Shows a rollout to its end, or that it runs."""
    if not wait:
        _VIEW.say_started(handle.name, json_lines=json_lines)
        return
    try:
        result = _VIEW.watch(handle, json_lines=json_lines)
    except KeyboardInterrupt:
        _VIEW.cancel(handle, json_lines=json_lines)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except (RolloutFailed, RolloutCancelled) as error:
        _say_failed(handle, error, json_lines=json_lines)
        fail(EXIT_SOME_FAILED, error.message)
    _show(handle, result, json_lines)


def _say_failed(
    handle: RolloutHandle, error: RolloutFailed | RolloutCancelled, *, json_lines: bool
) -> None:
    """What is known of a rollout that changed nothing: its report, where it got so far."""
    report = handle.progress().report
    if json_lines:
        write(line(name=handle.name, error=error_fields(error), report=report))
    elif report is not None:
        console = Console(highlight=False)
        console.print(report_table(report))


def _show(
    handle: OperationHandle[RolloutProgress, RolloutResult], result: RolloutResult, json_lines: bool
) -> None:
    progress = handle.progress()
    if json_lines:
        write(line(name=handle.name, stage_s=progress.stage_s, result=result))
        return
    console = Console(highlight=False)
    console.print(rollout_summary(result, progress))


_VIEW = OperationView(
    what="rollout",
    started="`inkling model status` says what becomes of it",
    words=progress_words,
    more_fields=lambda _: {},
    goes_on=lambda progress: f"model {progress.base_model_version}",
    show=_show,
    cancelled=RolloutCancelled,
    failed=RolloutFailed,
)
