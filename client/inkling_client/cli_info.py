"""`inkling info`: what the server is."""

import sys

from rich.console import Console

from inkling_client.channel import full_target
from inkling_client.cli_connect import (
    DEFAULT_SERVER,
    CaFileOption,
    JsonOption,
    ServerOption,
    TlsOption,
    connect,
    hello,
)
from inkling_client.cli_json import info_line
from inkling_client.cli_view import info_table


def info(
    json_lines: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Show a server's versions, limits and defaults.

    Exit codes: 0 fine, 2 wrong usage, 3 no server.
    """
    with connect(server, tls=tls, ca_file=ca_file) as client:
        answer = hello(client, server)
    if json_lines:
        sys.stdout.write(info_line(answer, full_target(server)) + "\n")
    else:
        Console(highlight=False).print(info_table(answer, full_target(server)))
