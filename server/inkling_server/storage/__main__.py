"""What operators do with a database by hand.

    python -m inkling_server.storage migrate --database-url postgresql://...
    python -m inkling_server.storage scrub   --database-url postgresql://...

`migrate` brings the tables to where this version wants them; a gateway does it by itself when it
starts, with
the rights that it has: run it with others where it has not enough. `scrub` makes the bytes of what
was erased leave the database's files: see `scrub_files`.
"""

import argparse
import asyncio
import sys

from inkling_server.errors import StorageDown
from inkling_server.storage.database import Database, StatementFailed
from inkling_server.storage.schema import HEAD, SchemaUnusable, migrate
from inkling_server.storage.scrub import scrub_files

_TIMEOUT_S = 10.0


def main(arguments: list[str] | None = None) -> int:
    """Runs one command. 0: done."""
    parser = argparse.ArgumentParser(prog="python -m inkling_server.storage")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, purpose in (
        ("migrate", "bring the tables up to date"),
        ("scrub", "make what was erased leave the files"),
    ):
        command = commands.add_parser(name, help=purpose)
        command.add_argument("--database-url", required=True)
    parsed = parser.parse_args(arguments)
    try:
        if parsed.command == "migrate":
            changed = migrate(parsed.database_url)
            said = f"the tables are at revision {HEAD}" + ("" if changed else ": nothing to do")
        else:
            asyncio.run(_scrub(parsed.database_url))
            said = "tables with texts and ids are rewritten"
    except (StorageDown, SchemaUnusable, StatementFailed) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    print(said)  # noqa: T201
    return 0


async def _scrub(url: str) -> None:
    async with Database.open(url, pool_size=1, timeout_s=_TIMEOUT_S) as database:
        await scrub_files(database, content=True)


if __name__ == "__main__":
    sys.exit(main())
