"""`inkling graph export`: a version as a file for Gephi, NetworkX, D3.

The file appears under its name when it is whole. This module does not know the formats.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, cast, get_args

import typer
from rich.console import Console
from rich.text import Text

from inkling_client.cli_connect import (
    DEFAULT_SERVER,
    EXIT_SOME_FAILED,
    EXIT_USAGE,
    CaFileOption,
    ServerOption,
    TlsOption,
    asking,
    fail,
)
from inkling_client.cli_view import printable
from inkling_client.graph_calls import ExportFormat

_STDOUT = "-"


def export(
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FILE", help='"-" is standard output.')
    ],
    export_format: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="Without it what FILE's name ends with."),
    ] = None,
    version: Annotated[
        str,
        typer.Option("--version", metavar="VERSION", help="Of this version, not the current one."),
    ] = "",
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Write the graph to a file: GraphML or GEXF (Gephi opens both), or node-link JSON.

    Exit codes: 0 fine, 1 no such version or the file cannot be written, 2 wrong usage, 3 no server.
    """
    form = export_format or _format_of(out)
    with asking(server, tls=tls, ca_file=ca_file) as client:
        pieces = client.graph.export(form, graph_version=version)
        with closing(pieces):
            if out == _STDOUT:
                for piece in pieces:
                    sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
                return
            try:
                byte_count = _write(Path(out), pieces)
            except OSError as error:
                fail(EXIT_SOME_FAILED, f"cannot write {out}: {error.strerror or error}")
    words = f"wrote {out}: {form}, {byte_count / 2**20:,.1f} MiB"
    Console(highlight=False, stderr=True).print(Text(printable(words), "green", overflow="fold"))


def _format_of(out: str) -> ExportFormat:
    ending = Path(out).suffix.removeprefix(".").lower()
    if ending not in get_args(ExportFormat):
        fail(EXIT_USAGE, f"say which --format: {', '.join(get_args(ExportFormat))}")
    return cast(ExportFormat, ending)


def _write(path: Path, pieces: Iterator[bytes]) -> int:
    """Writes the file, whole or not at all; returns its size in bytes."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    byte_count = 0
    try:
        with part.open("wb") as file:
            for piece in pieces:
                byte_count += file.write(piece)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return byte_count
