"""What a process that the gateway starts does first: it ends with the gateway, and lets others go.

For the beginning of a `main`; knows nothing of what the process is for. Triton and PostgreSQL,
whose programs are not ours, have guards of their own instead.
"""

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Has the kernel kill this process when the thread that started it ends.

    Raises:
        SystemExit: it has ended already.
    """
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)  # it went before the kernel was told


def be_nice(nice: int) -> None:
    """Lowers this process's priority.

    Args:
        nice: added to its niceness.
    """
    os.nice(nice)
    # Where Linux shares the CPU out by session, niceness counts within a session only.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(f"{nice}\n", encoding="ascii")
