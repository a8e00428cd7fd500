"""A server of one's own for as long as a block runs: for the demo, not for production.

This module knows the server only as a command: its flags, and the JSON lines that it prints.
"""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from inkling_client.cli_serve import server_command

# On a slow machine the first start encodes thousands of tags.
_START_TIMEOUT_S = 180.0
# The server's own drain, and the time that a wounded Triton takes to go.
_STOP_TIMEOUT_S = 45.0
_LOG_TAIL_LINES = 25
# Of the caller's settings only these reach the server: which model. Ports and folders are ours.
_KEPT_SETTINGS = "INKLING_MODEL_"


class ServerFailed(Exception):
    """The server did not come up; the text is the end of its log."""


@contextmanager
def running_server(folder: Path) -> Iterator[str]:
    """Starts a server on free loopback ports and yields its "host:port" once it serves.

    At the end of the block the server and everything that it started is gone.

    Args:
        folder: where it keeps its data and its log.

    Raises:
        ServerFailed: it ended, or did not serve in time.
    """
    command = server_command(["--grpc-port=0", "--http-port=0", f"--data-dir={folder / 'data'}"])
    log = folder / "server.log"
    with log.open("wb") as log_file:
        process = subprocess.Popen(  # noqa: S603 - our own command, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log_file,
            env=_environment(),
            # A session of its own: Ctrl-C reaches this process alone, which then stops the server
            # in order; and what it may leave behind can be ended as one group.
            start_new_session=True,
        )
    try:
        yield _wait_until_serving(process, log)
    finally:
        _stop(process)


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("INKLING_") or name.startswith(_KEPT_SETTINGS)
    }


def _wait_until_serving(process: subprocess.Popen[bytes], log: Path) -> str:
    assert process.stdout is not None
    # Ending a server that takes too long also ends its output, and so the loop below.
    overdue = threading.Timer(_START_TIMEOUT_S, process.terminate)
    overdue.daemon = True
    overdue.start()
    try:
        for line in process.stdout:
            with suppress(ValueError):  # a line that is not for programs
                event = json.loads(line)
                if event["event"] == "serving":
                    return f"127.0.0.1:{event['grpc_port']}"
    finally:
        overdue.cancel()
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    raise ServerFailed("\n".join(lines[-_LOG_TAIL_LINES:]) or "the server ended without a word")


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        process.terminate()
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
