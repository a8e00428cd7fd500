"""How tests start the command line as a process that can be interrupted.

Tests that run in the background inherit an ignored SIGINT; a terminal's programs do not. The child
itself sets that right: `preexec_fn` would make subprocess fork, and a fork of a process with gRPC's
threads can hang.
"""

import sys

_PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from inkling_client.cli import main
main()
"""


def inkling(*arguments: str) -> list[str]:
    """The command that runs `inkling` with these arguments."""
    return [sys.executable, "-c", _PROGRAM, *arguments]
