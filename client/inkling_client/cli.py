"""The command `inkling`: puts the commands together. Each lives in its own `cli_<command>.py`."""

import importlib.metadata
import io
import sys
from typing import Annotated

import typer

from inkling_client.cli_content import content_app, recommend
from inkling_client.cli_graph import graph_app
from inkling_client.cli_info import info
from inkling_client.cli_model import model_app
from inkling_client.cli_profile import profile_app
from inkling_client.cli_serve import serve
from inkling_client.cli_tag import tag

app = typer.Typer(
    name="inkling",
    help="Inkling tells what pictures are about.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(tag)
app.command()(info)
app.add_typer(graph_app)
app.add_typer(model_app)
app.add_typer(content_app)
app.add_typer(profile_app)
app.command()(recommend)
app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],  # --help is the server's, too
    }
)(serve)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"inkling {version()}\n")
        raise typer.Exit


def version() -> str:
    """The installed version of this client."""
    try:
        return importlib.metadata.version("inkling")
    except importlib.metadata.PackageNotFoundError:
        return "0+unknown"  # run from a source tree that is not installed


@app.callback()
def _options(
    _show_version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Inkling tells what pictures are about."""


def main() -> None:
    """Entry point of the console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character gets "?", not a traceback.
            stream.reconfigure(errors="replace")
    app(prog_name="inkling")


if __name__ == "__main__":
    main()
