"""`inkling content ...` and `inkling recommend`: content items on a server, and what to show whom.

Exit codes: 0 fine, 1 the server says no (an unknown item), 2 wrong usage, 3 no server.

This module does not know how tables look (`cli_content_view.py`), nor how files are stored
(`cli_content_ingest.py`).
"""

from typing import Annotated

import typer
from rich.console import Console

from inkling_client.cli_connect import (
    DEFAULT_SERVER,
    CaFileOption,
    JsonOption,
    ServerOption,
    TlsOption,
    asking,
)
from inkling_client.cli_content_ingest import ingest
from inkling_client.cli_content_view import content_view, recommendation_view
from inkling_client.cli_graph_json import line, value_line
from inkling_client.cli_json import write

content_app = typer.Typer(
    name="content",
    help="Store content items and what people did with them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
content_app.command()(ingest)


@content_app.command()
def show(
    content_id: Annotated[str, typer.Argument(metavar="ID")],
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Show an item as it is stored: its texts, and what it is about.

    Exit codes: 0 fine, 1 no such item, 2 wrong usage, 3 no server.
    """
    with asking(server, tls=tls, ca_file=ca_file) as client:
        found = client.content.get(content_id)
    if json_lines:
        write(value_line(found))
        return
    console = Console(highlight=False)
    console.print(content_view(console, found))


@content_app.command()
def delete(
    content_ids: Annotated[list[str], typer.Argument(metavar="ID...")],
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Delete items, with all that people did with them. What is not there is no error.

    Exit codes: 0 fine, 2 wrong usage, 3 no server.
    """
    with asking(server, tls=tls, ca_file=ca_file) as client:
        count = client.content.delete(content_ids)
    if json_lines:
        write(line(deleted_count=count))
        return
    console = Console(highlight=False)
    console.print(f"{count:,} of {len(set(content_ids)):,} deleted")


def recommend(
    user: Annotated[str, typer.Argument(metavar="USER")],
    limit: Annotated[
        int | None,
        typer.Option(min=1, max=100, metavar="N", help="At most so many; without it 20."),
    ] = None,
    diversity: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="How much unlike each other they are; without it 0.3."),
    ] = None,
    interest: Annotated[
        list[str] | None,
        typer.Option("--interest", metavar="ID", help="Only items with one of these; repeat it."),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say why.")] = False,
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Show what to show somebody next: what they have neither seen nor hidden.

    Exit codes: 0 fine, 1 the server says no, 2 wrong usage, 3 no server.
    """
    with asking(server, tls=tls, ca_file=ca_file) as client:
        found = client.content.recommend(
            user,
            limit=limit,
            diversity=diversity,
            explain=explain,
            interest_ids=interest or (),
        )
    if json_lines:
        for item in found.items:
            write(value_line(item, user_id=user, cold_start=found.cold_start))
        return
    console = Console(highlight=False)
    console.print(recommendation_view(console, user, found, explain=explain))
