"""Where our own PostgreSQL keeps things, how it is set, and a folder that is ready to be run.

    DATA_DIR/postgres/           0700
        data/                    PostgreSQL's own
        postgres.log             what PostgreSQL had to complain about; no values, see SETTINGS
        lock                     held (flock) by whoever runs it; names the socket's folder

The socket is in a private folder of the temporary directory: a socket's path has at most 107 bytes,
a data folder's may have more. Everything here blocks. It runs no server: `postgres_process` does.
"""

import contextlib
import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import quote

from inkling_server.errors import StorageDown
from inkling_server.storage import postgres_guard
from inkling_server.storage.postgres_install import MAJOR_VERSION, PostgresInstall, find_postgres

ROLE = "inkling"
DATABASE = "inkling"
PORT = 5432  # part of the socket's name, nothing else
_SOCKET_PREFIX = "inkling-pg-"
_LONGEST_SOCKET_DIR = 80
_INITDB_TIMEOUT_S = 120.0
_POLL_S = 0.01

SETTINGS: Mapping[str, str] = {
    # Durable: what is acknowledged survives a crash of the machine.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    # What was erased leaves the disk with the next checkpoint: no file is used again with old bytes
    # in it.
    "wal_recycle": "off",
    "wal_init_zero": "on",
    "min_wal_size": "32MB",
    "max_wal_size": "512MB",
    # The log holds no statement, no parameter and no row: neither errors of statements nor details.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_duration": "off",
    "log_lock_waits": "off",
    "log_temp_files": "-1",
    "log_autovacuum_min_duration": "-1",
    "log_checkpoints": "off",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    # Modest: a laptop runs it beside the model.
    "shared_buffers": "128MB",
    "effective_cache_size": "512MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_connections": "60",
    "huge_pages": "off",
    "jit": "off",
    "random_page_cost": "1.1",
    "io_method": "sync",
    # Parallel workers want /dev/shm, of which a container has 64 MB, and cores that the model
    # wants.
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
}


class PostgresStartFailed(StorageDown):
    """The embedded PostgreSQL does not start; the text holds the end of its log."""


class PostgresInUse(StorageDown):
    """Another process runs the PostgreSQL of this folder."""


@dataclass(frozen=True, slots=True)
class PostgresPlan:
    """What every run of one supervisor shares. `make_plan` makes it.

    Attributes:
        install: the programs.
        folder: DATA_DIR/postgres.
        socket_dir: private folder of the socket; the same for every run.
        settings: of the server.
        lock: an open file; closing it lets others run the folder.
    """

    install: PostgresInstall
    folder: Path
    socket_dir: Path
    settings: Mapping[str, str]
    lock: IO[str] = field(repr=False)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log_path(self) -> Path:
        return self.folder / "postgres.log"

    @property
    def cluster_name(self) -> str:
        """Stands in the command line of every process of this folder: tells whose it is."""
        return "inkling-" + hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]

    def url(self, database: str = DATABASE) -> str:
        """Connection URL of one of its databases."""
        return f"postgresql://{ROLE}@/{database}?host={quote(str(self.socket_dir), safe='')}"

    def end_survivors(self) -> None:
        """See `end_survivors`."""
        end_survivors(self)

    def release(self) -> None:
        """Lets others run the folder, and removes the socket's. Idempotent."""
        if not self.lock.closed:
            shutil.rmtree(self.socket_dir, ignore_errors=True)
            self.lock.close()

    def guarded(self, *command: str) -> list[str]:
        """A command line under the guard of this process."""
        install = self.install
        return [
            *(sys.executable, "-I", "-S", postgres_guard.__file__),
            *(str(os.getpid()), str(install.uid), str(install.gid), str(self.socket_dir)),
            *command,
        ]

    def environment(self) -> dict[str, str]:
        """Of PostgreSQL's programs: nothing of ours."""
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.folder)}


def make_plan(folder: Path, *, settings: Mapping[str, str] | None = None) -> PostgresPlan:
    """Takes hold of a folder, ends what a killed process left running in it, makes what it lacks.

    Args:
        folder: DATA_DIR/postgres; made where needed.
        settings: of the server, over SETTINGS; tests may want less durability.

    Raises:
        PostgresNotInstalled, PostgresInUse, PostgresStartFailed.
    """
    install = find_postgres()
    folder = folder.expanduser().resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    lock = (folder / "lock").open("a+")
    (folder / "lock").chmod(0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise PostgresInUse(
            f"{folder} is in use by another process; give this one its own"
        ) from None
    plan = PostgresPlan(
        install=install,
        folder=folder,
        socket_dir=_make_socket_dir(),
        settings=dict(SETTINGS) | dict(settings or {}),
        lock=lock,
    )
    try:
        end_survivors(plan)
        _make_data(plan)
    except BaseException:
        plan.release()
        raise
    return plan


def end_survivors(plan: PostgresPlan) -> None:
    """Ends what an earlier, killed run left behind, and removes what it wrote of itself.

    The lock is ours, so whatever runs in the folder is a leftover. A postmaster.pid that stays
    would keep PostgreSQL from starting when its number belongs to somebody else by now, as it does
    in containers.
    """
    mark = plan.cluster_name.encode()
    for number in (signal.SIGQUIT, signal.SIGKILL):
        deadline_s = time.monotonic() + 5.0
        told: set[int] = set()
        while pids := _processes_with(mark):
            for pid in pids - told:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            told |= pids
            if time.monotonic() > deadline_s:
                break
            time.sleep(_POLL_S)
    (plan.data / "postmaster.pid").unlink(missing_ok=True)
    plan.lock.seek(0)
    old = Path(plan.lock.read().strip() or ".")
    with contextlib.suppress(OSError):
        ours = old.name.startswith(_SOCKET_PREFIX) and old.lstat().st_uid == os.geteuid()
        if ours and old != plan.socket_dir:
            shutil.rmtree(old, ignore_errors=True)
    plan.lock.truncate(0)
    plan.lock.write(f"{plan.socket_dir}\n")
    plan.lock.flush()


def _processes_with(mark: bytes) -> set[int]:
    """Processes of our cluster: a postmaster by its arguments, its children by their titles."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                is_postmaster = (
                    b"cluster_name=" + mark in command and b"postgres_guard" not in command
                )
                if is_postmaster or command.startswith(b"postgres: " + mark):
                    found.add(int(entry.name))
    return found


def _make_data(plan: PostgresPlan) -> None:
    """Makes the data folder in one step: a start that is killed leaves a draft, no more."""
    owner = plan.install.owner
    if (plan.data / "PG_VERSION").is_file():
        version = (plan.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if version != str(MAJOR_VERSION):
            raise PostgresStartFailed(
                f"{plan.data} was made by PostgreSQL {version}, and this is {MAJOR_VERSION}:"
                " dump it with that version and restore it into an empty folder"
            )
        status = plan.data.stat()
        if (status.st_uid, status.st_gid) != owner:
            _give(plan.data, owner)
        return
    try:
        pwd.getpwuid(owner[0])
    except KeyError:
        raise PostgresStartFailed(
            "PostgreSQL makes a data folder only for a user that /etc/passwd knows, and"
            f" {owner[0]} is none: add an entry, or name a database (INKLING_DATABASE_URL)"
        ) from None
    draft = plan.folder / "data.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    _give(draft, owner)
    command = plan.guarded(
        *(str(plan.install.initdb), "-D", str(draft), "-U", ROLE, "--auth=trust"),
        *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        *("--locale=C", "--data-checksums", "--no-instructions"),
    )
    made = subprocess.run(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=plan.environment(),
        cwd=plan.folder,
        timeout=_INITDB_TIMEOUT_S,
        check=False,
    )
    if made.returncode != 0:
        tail = "\n".join(made.stderr.strip().splitlines()[-4:])
        raise PostgresStartFailed(f"PostgreSQL cannot make its data folder {plan.data}\n{tail}")
    draft.rename(plan.data)


def _give(folder: Path, owner: tuple[int, int]) -> None:
    """Makes a folder and what is in it somebody's. Raises PostgresStartFailed where we may not."""
    if owner == (os.geteuid(), os.getegid()) and folder.stat().st_uid == owner[0]:
        return
    try:
        os.chown(folder, *owner)
        for root, folders, files in os.walk(folder):
            for name in (*folders, *files):
                os.chown(Path(root) / name, *owner, follow_symlinks=False)
    except PermissionError:
        raise PostgresStartFailed(
            f"{folder} belongs to another user: run the server as that user, or change its owner"
        ) from None


def _make_socket_dir() -> Path:
    base = tempfile.gettempdir()
    if len(os.fsencode(base)) > _LONGEST_SOCKET_DIR or any(mark in base for mark in ",'\""):
        base = "/tmp"  # noqa: S108 - mkdtemp makes it private
    return Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX, dir=base))
