"""What all commands that talk to a server share: options, exit codes, and the first hello."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import grpc
import typer
from rich.console import Console
from rich.text import Text

from inkling_client.channel import DEFAULT_TARGET, full_target, is_loopback
from inkling_client.cli_view import printable
from inkling_client.client import InklingClient
from inkling_client.errors import (
    EncoderDown,
    InklingClientError,
    InvalidRequest,
    StorageDown,
    Unavailable,
)
from inkling_client.results import ServerInfo
from inkling_client.retry import RetryPolicy

EXIT_SOME_FAILED = 1
EXIT_USAGE = 2
EXIT_NO_SERVER = 3
EXIT_INTERRUPTED = 130

ServerOption = Annotated[
    str,
    typer.Option("--server", envvar="INKLING_SERVER", metavar="HOST:PORT", help="Whom to ask."),
]
TlsOption = Annotated[
    bool, typer.Option("--tls", envvar="INKLING_TLS", help="Encrypt the connection.")
]
CaFileOption = Annotated[
    Path | None,
    typer.Option(
        "--ca-file",
        envvar="INKLING_CA_FILE",
        help="Trust this PEM file's certificates instead of the well-known ones; implies --tls.",
        exists=True,
        dir_okay=False,
        readable=True,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]

# A person waits: a server that is not there is said so at once.
_HELLO_RETRY = RetryPolicy(max_attempts=2)


def fail(exit_code: int, message: str) -> NoReturn:
    """Says what is wrong on stderr and ends with `exit_code`."""
    Console(stderr=True).print(Text.assemble(("inkling: ", "bold red"), printable(message)))
    raise typer.Exit(exit_code)


def connect(server: str, *, tls: bool, ca_file: Path | None) -> InklingClient:
    """A client for the options of the command line; nothing is sent yet."""
    credentials = None
    if tls or ca_file is not None:
        roots = ca_file.read_bytes() if ca_file is not None else None
        credentials = grpc.ssl_channel_credentials(root_certificates=roots)
    return InklingClient(server, credentials=credentials, retry=_HELLO_RETRY)


def hello(client: InklingClient, server: str) -> ServerInfo:
    """Asks the server what it is; ends the command where none answers."""
    try:
        return client.get_info()
    except InklingClientError as error:
        fail(EXIT_NO_SERVER, _why_no_server(error, full_target(server)))


@contextmanager
def asking(server: str, *, tls: bool, ca_file: Path | None) -> Iterator[InklingClient]:
    """A client for one command; what the server refuses ends the command with its exit code."""
    with connect(server, tls=tls, ca_file=ca_file) as client:
        try:
            yield client
        except InklingClientError as error:
            is_there = not isinstance(error, Unavailable)
            if is_there and error.code is not grpc.StatusCode.UNIMPLEMENTED:
                code = EXIT_USAGE if isinstance(error, InvalidRequest) else EXIT_SOME_FAILED
                fail(code, error.message)
            fail(EXIT_NO_SERVER, _why_no_server(error, full_target(server)))


def _why_no_server(error: InklingClientError, target: str) -> str:
    if error.code is grpc.StatusCode.UNIMPLEMENTED:
        return f"the server at {target} does not speak inkling.v1"
    if isinstance(error, EncoderDown | StorageDown):
        return f"the server at {target} is not ready: {error.message}; try again in a few seconds"
    if error.code is grpc.StatusCode.UNAVAILABLE:
        advice = "name one with --server or INKLING_SERVER"
        if is_loopback(target):
            advice = f"start one with `inkling serve`, or {advice}"
        return f"no server at {target} ({_short(error.message)}); {advice}"
    return f"the server at {target} refuses: {error.reason}: {error.message}"


def _short(message: str) -> str:
    """The part of gRPC's message that a person can use."""
    for known in ("Connection refused", "DNS resolution failed", "timed out", "CERTIFICATE"):
        if known.lower() in message.lower():
            return known.lower()
    return message


DEFAULT_SERVER = DEFAULT_TARGET
