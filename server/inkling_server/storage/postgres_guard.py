"""Runs one program of PostgreSQL, as a user that it accepts, and sees to it that it ends with us.

Started as a program of its own, `python -I -S postgres_guard.py PARENT UID GID SOCKETS COMMAND...`,
so that it is there when the gateway is killed with -9. Standard library only, no import of this
package: it must start in milliseconds and never fail.

    SIGTERM, or the parent is gone    fast shutdown (what is committed is safe), after 6 s an
                                      immediate one, after 3 s more SIGKILL
    the program ends                  what it left running is waited for, then killed
    the guard itself is killed        the kernel tells PostgreSQL to end at once (PR_SET_PDEATHSIG)

PostgreSQL refuses to run as root. As root, the guard therefore becomes UID, and keeps one power of
root: to reach files whatever the folders above them allow (CAP_DAC_OVERRIDE). Without it a private
data folder, or an installation under /root, would have to be opened to everybody. UID of -1: stays
who it is.

The guard exits as the program did: with its code, or 128 + the signal. Where the parent is gone it
removes the folder SOCKETS ("-": none).
"""

import ctypes
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_SET_CHILD_SUBREAPER = 36
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522
_POLL_S = 0.2
_FAST_S = 6.0
_IMMEDIATE_S = 3.0
_LEFTOVERS_S = 3.0
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM)
# Ctrl-C in a terminal is the gateway's to handle: it drains first.
_IGNORED = (signal.SIGINT, signal.SIGHUP)


def main(arguments: list[str]) -> int:
    parent, uid, gid = map(int, arguments[:3])
    libc = ctypes.CDLL(None, use_errno=True)
    # Backends whose postmaster died become our children: only so can they be waited for.
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    child = os.fork()
    if child == 0:
        _exec(libc, uid, gid, arguments[4:])
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    status = _watch(parent, child)
    _end_leftovers()
    if os.getppid() != parent and arguments[3] != "-":
        shutil.rmtree(arguments[3], ignore_errors=True)
    return status


def _exec(libc: ctypes.CDLL, uid: int, gid: int, command: list[str]) -> None:
    """In the child: becomes the program."""
    try:
        os.setpgid(0, 0)
        os.umask(0o077)
        if uid >= 0:
            _become(libc, uid, gid)
        # After the change of user, which would clear it.
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT, 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        os.execv(command[0], command)  # noqa: S606
    except OSError as error:
        print(f"cannot run {command[0]}: {error}", file=sys.stderr, flush=True)  # noqa: T201
    finally:
        os._exit(127)


def _become(libc: ctypes.CDLL, uid: int, gid: int) -> None:
    """Changes to a user without power, save to reach files where that is ours to give."""
    libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    bit = 1 << _CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # effective, permitted, inheritable; for the lower and for the upper 32 capabilities
    for wanted in (bit, 0):
        sets = (ctypes.c_uint32 * 6)(wanted, wanted, wanted, 0, 0, 0)
        if libc.capset(header, sets) == 0:
            break
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def _watch(parent: int, child: int) -> int:
    """Waits for the program's end, and brings it about when told to or when the parent is gone."""
    # Fast, immediate shutdown: https://www.postgresql.org/docs/18/server-shutdown.html
    steps = [(signal.SIGINT, _FAST_S), (signal.SIGQUIT, _IMMEDIATE_S), (signal.SIGKILL, 1e9)]
    ending = False
    next_step_s = 0.0
    while True:
        received = signal.sigtimedwait(_SIGNALS, _POLL_S)
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                code = os.waitstatus_to_exitcode(ended[1])
                return code if code >= 0 else 128 - code
        told = received is not None and received.si_signo == signal.SIGTERM
        ending = ending or told or os.getppid() != parent
        if ending and steps and time.monotonic() >= next_step_s:
            number, patience_s = steps.pop(0)
            next_step_s = time.monotonic() + patience_s
            os.kill(child, number)


def _end_leftovers() -> None:
    """Waits for what the program left behind: backends notice that their postmaster is gone."""
    deadline_s = time.monotonic() + _LEFTOVERS_S
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        if time.monotonic() > deadline_s:
            with suppress(OSError):
                children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
                for pid in children:
                    os.kill(int(pid), signal.SIGKILL)
            if time.monotonic() > deadline_s + 1.0:
                return
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
