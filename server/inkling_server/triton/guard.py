"""Runs one tritonserver and sees to it that nothing of it outlives the gateway.

Started as a program of its own (`python -I -S guard.py PARENT SHM_PREFIX COMMAND...`), so
that it is there when the gateway is killed with -9: it then kills Triton and the Python stubs, and
unlinks the shared memory that nobody else would free. Standard library only, no import of this
package: it must start in milliseconds and never fail.

    SIGTERM, or the parent is gone    Triton and its stubs are killed
    Triton ends                       its stubs are killed
    the guard itself is killed        the kernel kills Triton (PR_SET_PDEATHSIG); its stubs end by
                                      themselves, or by `leftovers` at the latest

Killing is the one way out, so it is the well-tested one: the gateway has drained its requests
before it stops Triton, and Triton's own shutdown takes 2.6 s, or 32 s when a stub has died. The
guard exits as Triton did: with its code, or 128 + the signal.
"""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_POLL_S = 0.2
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM)


def main(arguments: list[str]) -> int:
    parent, shm_prefix = int(arguments[0]), arguments[1]
    libc = ctypes.CDLL(None, use_errno=True)
    # Stubs whose server died become our children: only so can they be waited for.
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    triton = os.fork()
    if triton == 0:
        _exec(libc, arguments[2:])
    status = _watch(parent, triton)
    _end_group(triton)
    for region in Path("/dev/shm").glob(f"{shm_prefix}*"):  # noqa: S108
        region.unlink(missing_ok=True)
    return status


def _exec(libc: ctypes.CDLL, command: list[str]) -> None:
    """In the child: becomes Triton, in a process group that its stubs will share."""
    try:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.setpgid(0, 0)
        os.umask(0o077)  # shared memory holds users' pictures
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        os.execv(command[0], command)  # noqa: S606
    finally:
        os._exit(127)


def _watch(parent: int, triton: int) -> int:
    """Waits for Triton's end, and brings it about when told to or when the parent is gone."""
    while True:
        received = signal.sigtimedwait(_SIGNALS, _POLL_S)
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == triton:
                code = os.waitstatus_to_exitcode(ended[1])
                return code if code >= 0 else 128 - code
        told = received is not None and received.si_signo == signal.SIGTERM
        if told or os.getppid() != parent:
            os.kill(triton, signal.SIGKILL)


def _end_group(triton: int) -> None:
    """Kills and reaps what Triton left behind; waits at most about two seconds."""
    for _ in range(200):
        try:
            os.killpg(triton, signal.SIGKILL)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except (ProcessLookupError, ChildProcessError):
            return
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
