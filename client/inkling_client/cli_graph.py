"""`inkling graph ...`: reads the interest graph of a server; `cli_graph_refresh.py` refreshes it.

Exit codes: 0 fine, 1 the server says no (an unknown interest or version, a failed refresh), 2 wrong
usage, 3 no server, 130 Ctrl-C.

This module does not know how tables look (`cli_graph_view.py`).
"""

import itertools
import unicodedata
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

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
from inkling_client.cli_graph_export import export
from inkling_client.cli_graph_json import line, value_line
from inkling_client.cli_graph_refresh import refresh
from inkling_client.cli_graph_view import (
    diff_view,
    interest_table,
    neighbor_table,
    overview,
    shown_of_all,
    version_table,
)
from inkling_client.cli_json import write
from inkling_client.cli_view import printable
from inkling_client.errors import UnknownInterest
from inkling_client.graph_calls import EdgeKind, Order
from inkling_client.graph_client import GraphClient
from inkling_client.graph_results import Interest, Neighbor

graph_app = typer.Typer(
    name="graph",
    help="Look at the graph of interests that pictures are tagged with, and refresh it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

_TABLE_ROWS = 20
_OVERVIEW_TRENDING = 10
_MAX_PREFIX_LENGTH = 100
_SUGGESTIONS = 5

VersionOption = Annotated[
    str,
    typer.Option("--version", metavar="VERSION", help="Of this version, not the current one."),
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help=f"At most so many; without it {_TABLE_ROWS}, and all with --json."
    ),
]
VersionArgument = Annotated[
    str, typer.Argument(metavar="VERSION", help="See `inkling graph versions`.")
]


@graph_app.command()
def show(
    version: VersionOption = "",
    prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="Interests whose phrase or alias begins so.")
    ] = "",
    trending: Annotated[bool, typer.Option("--trending", help="Only trending ones.")] = False,
    community: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Only those of one community.")
    ] = None,
    order: Annotated[
        Order | None,
        typer.Option(help="What comes first; without it count, or trend with --trending."),
    ] = None,
    limit: LimitOption = None,
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Show the graph: as a whole, or with any filter its interests.

    Exit codes: 0 fine, 1 no such version, 2 wrong usage, 3 no server.
    """
    as_a_whole = not (prefix or trending or community is not None or order or limit)
    with asking(server, tls=tls, ca_file=ca_file) as client:
        info = client.graph.get(version)
        # Everything below is of one version, also where another one is published meanwhile.
        version = info.graph.graph_version
        if as_a_whole and json_lines:
            write(value_line(info))
            return
        found = client.graph.interests(
            prefix=prefix,
            trending_only=trending or as_a_whole,
            community=community,
            order=order or ("trend" if trending or as_a_whole else "count"),
            graph_version=version,
            page_size=_page_size(None if json_lines else limit or _TABLE_ROWS),
        )
        if json_lines:
            for interest in itertools.islice(found, limit):
                write(value_line(interest, graph_version=version))
            return
        console = Console(highlight=False)
        if as_a_whole:
            surest = list(itertools.islice(found, _OVERVIEW_TRENDING))
            console.print(overview(console, info, surest))
            return
        shown = list(itertools.islice(found, limit or _TABLE_ROWS))
        more = next(found, None) is not None
    if shown:
        console.print(interest_table(console, shown))
        console.print()
    console.print(shown_of_all(len(shown), version, more=more))


@graph_app.command()
def neighbors(
    interest: Annotated[
        str, typer.Argument(metavar="INTEREST", help="Its phrase, another spelling, or its id.")
    ],
    kind: Annotated[
        EdgeKind, typer.Option(help="Joined by meaning, by the people who engage, or by both.")
    ] = "combined",
    version: VersionOption = "",
    limit: LimitOption = None,
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Show what an interest is joined with, the strongest first.

    Exit codes: 0 fine, 1 no such interest or version, 2 wrong usage, 3 no server.
    """
    with asking(server, tls=tls, ca_file=ca_file) as client:
        version = version or client.graph.get().graph.graph_version
        found = _resolve(client.graph, interest, version)
        count = limit if json_lines else limit or _TABLE_ROWS
        joined: list[Neighbor] = list(
            itertools.islice(
                client.graph.neighbors(
                    found.interest_id,
                    kind=kind,
                    graph_version=version,
                    page_size=_page_size(count),
                ),
                count,
            )
        )
    if json_lines:
        for neighbor in joined:
            write(value_line(neighbor, graph_version=version, interest_id=found.interest_id))
        return
    console = Console(highlight=False)
    console.print(neighbor_table(console, found, joined))


@graph_app.command()
def versions(
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """List the versions that the server keeps, newest first.

    Exit codes: 0 fine, 2 wrong usage, 3 no server.
    """
    with asking(server, tls=tls, ca_file=ca_file) as client:
        found = client.graph.versions()
    if json_lines:
        for version in found:
            write(value_line(version))
        return
    console = Console(highlight=False)
    console.print(version_table(console, found))


@graph_app.command()
def diff(
    from_version: Annotated[
        str, typer.Argument(metavar="V1", help="See `inkling graph versions`.")
    ],
    to_version: Annotated[
        str, typer.Argument(metavar="[V2]", help="Without it the current one.")
    ] = "",
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1_000,
            metavar="N",
            help=f"At most so many of each kind; without it {_TABLE_ROWS}, and 1,000 with --json.",
        ),
    ] = None,
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Show what changed from V1 to V2.

    Exit codes: 0 fine, 1 no such version, 2 wrong usage, 3 no server.
    """
    count = limit or (1_000 if json_lines else _TABLE_ROWS)
    with asking(server, tls=tls, ca_file=ca_file) as client:
        found = client.graph.diff(from_version, to_version, max_entry_count=count)
    if json_lines:
        write(value_line(found))
        return
    console = Console(highlight=False)
    console.print(diff_view(console, found))


@graph_app.command()
def rollback(
    version: VersionArgument,
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Serve an older version again; the next refresh builds on it.

    Exit codes: 0 fine, 1 no such version or a refresh runs, 2 wrong usage, 3 no server.
    """
    with asking(server, tls=tls, ca_file=ca_file) as client:
        previous = client.graph.rollback(version)
    if json_lines:
        write(line(graph_version=version, previous_version=previous))
        return
    console = Console(highlight=False)
    console.print(Text(printable(f"graph {version} serves now"), "bold green"))
    console.print(Text(printable(f"before: {previous}"), "dim"))


graph_app.command()(refresh)
graph_app.command()(export)


def _resolve(graph: GraphClient, text: str, version: str) -> Interest:
    """The interest that a person means: by phrase, by another spelling, or by id."""
    wanted = " ".join(text.split())
    if not wanted or len(wanted) > _MAX_PREFIX_LENGTH:
        fail(EXIT_USAGE, f"an interest has 1 to {_MAX_PREFIX_LENGTH} characters")
    near = list(graph.interests(prefix=wanted, order="count", graph_version=version))
    for names in (lambda i: (i.phrase,), lambda i: i.aliases):  # a phrase goes first
        for interest in near:
            if any(_fold(name) == _fold(wanted) for name in names(interest)):
                return interest
    try:
        return graph.interest(wanted, graph_version=version)
    except UnknownInterest:
        advice = ", ".join(interest.phrase for interest in near[:_SUGGESTIONS])
        message = f"no interest {wanted!r} in graph {version}"
        fail(EXIT_SOME_FAILED, f"{message}; there is: {advice}" if advice else message)


def _fold(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _page_size(count: int | None) -> int:
    """Of the first page: no more than will be shown, and one to know whether there are more."""
    return 1_000 if count is None else min(count + 1, 1_000)
