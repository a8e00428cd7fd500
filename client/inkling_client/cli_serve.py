"""`inkling serve`: becomes the server, whose flags pass through untouched.

The client's install stays light, so the server's packages may be missing: that is said in words.

This module does not import the server.
"""

import importlib.metadata
import os
import re
import sys

import typer

from inkling_client.cli_connect import EXIT_USAGE, fail

_DISTRIBUTION = "inkling"


def serve(context: typer.Context) -> None:
    """Run a server until Ctrl-C; its own flags follow, see `inkling serve --help`."""
    missing = missing_server_packages()
    if missing:
        fail(
            EXIT_USAGE,
            f"the server's packages are not installed ({', '.join(missing)}); "
            "run: pip install 'inkling[server]'",
        )
    command = server_command(context.args)
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606 - the same interpreter, arguments as they are


def server_command(arguments: list[str]) -> list[str]:
    """The command that runs the server with this interpreter."""
    return [sys.executable, "-m", "inkling_server", *arguments]


def missing_server_packages() -> list[str]:
    """Distributions of the [server] extra that are not installed; none where that is unknown."""
    try:
        requirements = importlib.metadata.requires(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return []  # run from a source tree: the server itself will say what it misses
    missing = []
    for requirement in requirements:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        if name is None or not re.search(r"""extra\s*==\s*['"]server['"]""", requirement):
            continue
        try:
            importlib.metadata.version(name.group())
        except importlib.metadata.PackageNotFoundError:
            missing.append(name.group())
    return missing
