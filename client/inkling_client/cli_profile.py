"""`inkling profile ...`: what the server knows of people; compares and erases them.

Exit codes: 0 fine, 1 the server says no (an unknown person, no clusters yet), 2 wrong usage, 3 no
server, 130 Ctrl-C.

This module does not know how tables look (`cli_profile_view.py`, `cli_compare_view.py`).
"""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from inkling_client.cli_compare_view import comparison_view
from inkling_client.cli_connect import (
    DEFAULT_SERVER,
    EXIT_SOME_FAILED,
    EXIT_USAGE,
    CaFileOption,
    JsonOption,
    ServerOption,
    TlsOption,
    asking,
    fail,
)
from inkling_client.cli_graph_json import value_line
from inkling_client.cli_json import write
from inkling_client.cli_people_view import counted
from inkling_client.cli_profile_refresh import refresh
from inkling_client.cli_profile_view import clusters_view, profile_view, ranking_view
from inkling_client.cli_view import printable
from inkling_client.profile_calls import LogOddsVariance

profile_app = typer.Typer(
    name="profile",
    help="See people's tastes and interests, compare people, and erase them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

UserArgument = Annotated[str, typer.Argument(metavar="USER")]
LimitOption = Annotated[
    int | None,
    typer.Option(min=1, max=1_000, metavar="N", help="At most so many of each; without it 20."),
]


@profile_app.command()
def get(
    user: UserArgument,
    limit: LimitOption = None,
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Show a person's visual taste and interests.

    Exit codes: 0 fine, 1 nothing is known of them, 2 wrong usage, 3 no server.
    """
    with asking(server, tls=tls, ca_file=ca_file) as client:
        found = client.profiles.get(user, limit=limit)
    if json_lines:
        write(value_line(found, user_id=user))
        return
    console = Console(highlight=False)
    console.print(profile_view(console, user, found))


@profile_app.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="A")],
    second: Annotated[str, typer.Argument(metavar="[B]", help="Without it everybody.")] = "",
    prior_scale: Annotated[
        float | None,
        typer.Option(min=1e-6, max=1e6, help="Pictures that the prior is worth."),
    ] = None,
    variance: Annotated[LogOddsVariance, typer.Option(help="Of the log-odds ratio.")] = "full",
    limit: LimitOption = None,
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Show where two people differ, how sure that is, and where they agree.

    Exit codes: 0 fine, 1 nothing is known of one of them, 2 wrong usage, 3 no server.
    """
    with asking(server, tls=tls, ca_file=ca_file) as client:
        found = client.profiles.compare(
            first, second, prior_scale=prior_scale, variance=variance, limit=limit
        )
    if json_lines:
        write(value_line(found, first_user_id=first, second_user_id=second))
        return
    console = Console(highlight=False)
    console.print(comparison_view(console, first, second, found))


@profile_app.command()
def rank(
    content_ids: Annotated[list[str], typer.Argument(metavar="CONTENT_ID...")],
    user: Annotated[
        list[str] | None,
        typer.Option("--user", metavar="USER", help="Only this person; repeat it."),
    ] = None,
    hold_out: Annotated[
        bool, typer.Option("--hold-out", help="Leave these items out of the profiles first.")
    ] = False,
    limit: LimitOption = None,
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Show whose collection these items look like.

    Exit codes: 0 fine, 1 an item is unknown or no picture counts, 2 wrong usage, 3 no server.
    """
    with asking(server, tls=tls, ca_file=ca_file) as client:
        found = client.profiles.rank(content_ids, user or (), limit=limit, hold_out=hold_out)
    if json_lines:
        for place, entry in enumerate(found.profiles, start=1):
            write(value_line(entry, place=place, candidate_count=found.candidate_count))
        return
    console = Console(highlight=False)
    console.print(ranking_view(console, found))


@profile_app.command()
def delete(
    user: UserArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Erase everything of a person, the items that they posted included. There is no way back.

    Exit codes: 0 erased, also where there was nothing, 1 not confirmed, 2 wrong usage, 3 no server.
    """
    if not yes:
        _confirm(user)
    with asking(server, tls=tls, ca_file=ca_file) as client:
        erased = client.profiles.delete(user)
    if json_lines:
        write(value_line(erased))
        return
    console = Console(highlight=False)
    words = (
        f"erased: {counted(erased.engagement_count, 'engagement')}, and "
        f"{counted(erased.content_count, 'item')} that they had posted"
    )
    console.print(Text(words, "bold green", overflow="fold"))


@profile_app.command()
def clusters(
    exemplars: Annotated[
        int | None, typer.Option(min=0, max=100, metavar="N", help="Items of each; without it 5.")
    ] = None,
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Show the visual clusters that profiles are made of.

    Exit codes: 0 fine, 1 there are none yet, 2 wrong usage, 3 no server.
    """
    with asking(server, tls=tls, ca_file=ca_file) as client:
        found = client.profiles.clusters(exemplar_count=exemplars)
    if json_lines:
        for cluster in found.clusters:
            write(value_line(cluster, clusters_version=found.clusters_version))
        return
    console = Console(highlight=False)
    console.print(clusters_view(console, found))


profile_app.command()(refresh)


def _confirm(user: str) -> None:
    """Asks whoever sits there, and ends the command where nobody does or they say no."""
    if not sys.stdin.isatty():
        fail(EXIT_USAGE, "nobody is there to ask; --yes erases without asking")
    if not typer.confirm(f"Erase everything of {printable(user)}?", err=True):
        fail(EXIT_SOME_FAILED, "nothing was erased")
