"""The server's data folder: one server at a time, and a note that says where it listens.

    DATA_DIR/lock          held (flock) by the server that uses the folder
             server.json   pid, host, grpc_port, http_port, while it listens
             model.json    which model version serves
             graph/        versions of the interest graph
             content/      the content feed, where someone put one here
             operations/   refreshes and rollouts of the past
             processes/    a socket between processes of one server, for nobody else
             postgres/     the embedded database: content and people
             refresh.log   what the latest refresh process had to complain about
             embeddings/   tag embeddings of past starts
             triton/       what the server's own Triton writes

The lock goes with the process, however it ends; the note may outlive a killed server, so readers
check that its pid lives. This module does not know what lies in the other folders.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NOTE = "server.json"


class DataDirInUse(Exception):
    """Another server uses the folder."""


class DataDir:
    """A data folder that this process holds. `hold` makes it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.graphs = root / "graph"
        self.embeddings = root / "embeddings"
        self.model = root / "model.json"
        self.videos = root / "video"
        self.processes = root / "processes"

    @classmethod
    @contextmanager
    def hold(cls, root: Path) -> Iterator["DataDir"]:
        """Makes the folder where needed and keeps others out during the block.

        Raises:
            DataDirInUse: another server holds it.
            OSError: it cannot be made or written.
        """
        # Absolute, as Triton wants its paths. Private: caches tell what a server has seen.
        root = root.expanduser().resolve()
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (root / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise DataDirInUse(
                    f"{root} is in use by the server with pid {lock.read().strip() or 'unknown'};"
                    " give this one a folder of its own (--data-dir)"
                ) from None
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            data_dir = cls(root)
            data_dir.retract()
            try:
                yield data_dir
            finally:
                data_dir.retract()

    def announce(self, *, host: str, grpc_port: int, http_port: int) -> None:
        """Writes server.json; a reader sees all of it or nothing."""
        draft = self.root / f".{_NOTE}.draft"
        note = {"pid": os.getpid(), "host": host, "grpc_port": grpc_port, "http_port": http_port}
        draft.write_text(json.dumps(note) + "\n", encoding="utf-8")
        draft.replace(self.root / _NOTE)

    def retract(self) -> None:
        """Removes server.json. Idempotent."""
        with suppress(FileNotFoundError):
            (self.root / _NOTE).unlink()
