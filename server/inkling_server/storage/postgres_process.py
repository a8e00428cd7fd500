"""One run of our own PostgreSQL: its command line, log and end.

It listens on its Unix socket and on no network. A run is started once and ends once; `embedded`
starts the next one. Everything here blocks. It knows no table.
"""

import contextlib
import os
import signal
import stat
import subprocess
import time
from pathlib import Path

from inkling_server.storage.postgres_plan import PORT, PostgresPlan, PostgresStartFailed

_LOG_LIMIT_BYTES = 4 * 1024 * 1024
_END_TIMEOUT_S = 15.0
_POLL_S = 0.01


class PostgresProcess:
    """A running postmaster, under the guard that outlives us.

    Attributes:
        guard_pid: the guard's process id.
    """

    def __init__(self, plan: PostgresPlan) -> None:
        """Starts PostgreSQL; says nothing yet about whether it will serve."""
        self._plan = plan
        _make_private(plan.socket_dir)
        _rotate_log(plan.log_path)
        options = dict(plan.settings) | {
            "listen_addresses": "",
            "unix_socket_directories": str(plan.socket_dir),
            "unix_socket_permissions": "0700",
            "port": str(PORT),
            "cluster_name": plan.cluster_name,
        }
        arguments = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        command = plan.guarded(str(plan.install.postgres), "-D", str(plan.data), *arguments)
        with plan.log_path.open("ab") as log:
            plan.log_path.chmod(0o600)
            # Not by the event loop: its way of forking wakes gRPC's fork handlers.
            self.guard = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=plan.environment(),
                cwd=plan.folder,
                start_new_session=True,
            )
        self.guard_pid = self.guard.pid

    def wait_ready(self, timeout_s: float) -> None:
        """Blocks until it accepts connections.

        Raises:
            PostgresStartFailed: it ended, or does not within `timeout_s`; it is ended then.
        """
        deadline_s = time.monotonic() + timeout_s
        while not self._is_ready():
            status = self.guard.poll()
            if status is not None or time.monotonic() > deadline_s:
                self.end()
                problem = f"within {timeout_s:.0f} s" if status is None else f"(exit {status})"
                raise PostgresStartFailed(
                    f"PostgreSQL does not start {problem}\n{log_tail(self._plan.log_path)}"
                )
            time.sleep(_POLL_S)

    def _is_ready(self) -> bool:
        """Line 8 of postmaster.pid, as pg_ctl reads it; the file is new: old ones were removed."""
        try:
            lines = (self._plan.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def end(self) -> None:
        """Shuts down: committed work is safe, the rest is rolled back. Idempotent."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.guard.poll() is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                self.guard.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.guard.wait(_END_TIMEOUT_S)


def log_tail(path: Path, lines: int = 8) -> str:
    """The end of PostgreSQL's log, for an error's text."""
    with contextlib.suppress(OSError), path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 8_192))
        return "\n".join(log.read().decode("utf-8", "replace").splitlines()[-lines:])
    return ""


def _make_private(folder: Path) -> None:
    """Makes a folder that is gone again; one that is there must be ours alone."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise PostgresStartFailed(f"{folder} is not a private folder of ours")


def _rotate_log(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.stat().st_size > _LOG_LIMIT_BYTES:
            path.replace(path.with_suffix(".log.1"))
