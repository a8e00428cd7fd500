"""Opens the database in its own time, and says STORAGE_DOWN until it is there.

    settings ─► embedded PostgreSQL, or a URL, or none ─► open_storage (migrates) ─► require()
                              └ tried again until it works: a database may come up later

The server does not wait for it: it tags meanwhile. What goes wrong later (a restart of the
database, a lost network) is the pool's affair. It knows no SQL.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from inkling_server.errors import StorageDown
from inkling_server.storage import Storage

_log = logging.getLogger(__name__)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 15.0

OpenStorage = Callable[[], AbstractAsyncContextManager[Storage]]


class StorageKeeper:
    """The database, or why there is none; belongs to one event loop.

    Args:
        open_storage: opens it; tried again whenever it raises StorageDown. None: there is none.
        embedded: it is this server's own: erased bytes are scrubbed from its files.
    """

    def __init__(self, open_storage: OpenStorage | None, *, embedded: bool) -> None:
        self._open_storage = open_storage
        self.can_scrub = embedded
        self._storage: Storage | None = None
        self._up = asyncio.Event()
        self._problem = (
            "the server runs without a database"
            if open_storage is None
            else "the database is starting"
        )

    @property
    def is_off(self) -> bool:
        """There is no database, and none is to come."""
        return self._open_storage is None

    @property
    def url(self) -> str | None:
        """Of the database, a secret; None while there is none."""
        return None if self._storage is None else self._storage.url

    @property
    def is_up(self) -> bool:
        """Whether there is one now."""
        return self._storage is not None

    @property
    def state(self) -> str:
        """In a few words."""
        return self._problem if self._storage is None else "up"

    def require(self) -> Storage:
        """The database. Raises StorageDown while there is none."""
        if self._storage is None:
            raise StorageDown(self._problem)
        return self._storage

    async def wait_until_up(self) -> None:
        """Returns when there is one; never, where there is to be none."""
        await self._up.wait()

    async def scrub(self, *, content: bool) -> None:
        """Has erased bytes leave the files of the embedded database; a failure is logged.

        Args:
            content: items were erased, too.
        """
        if self._storage is None or not self.can_scrub:
            return
        try:
            await self._storage.scrub(content=content)
        except StorageDown as error:
            _log.error("erased rows are not scrubbed from the files yet: %s", error)

    async def run(self) -> None:
        """Holds the database open until it is cancelled."""
        if self._open_storage is None:
            return
        pause_s = _FIRST_PAUSE_S
        async with AsyncExitStack() as stack:
            while True:
                try:
                    self._storage = await stack.enter_async_context(self._open_storage())
                    break
                except StorageDown as error:
                    self._problem = str(error)
                except Exception as error:  # a broken installation must not end the tagging
                    self._problem = f"the database cannot be opened ({type(error).__name__})"
                    _log.debug("the database cannot be opened", exc_info=error)
                _log.error("no database: %s", self._problem, extra={"retry_s": pause_s})
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            self._up.set()
            _log.info("database is up")
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self._storage = None
                self._problem = "the server is stopping"


@asynccontextmanager
async def keeping(keeper: StorageKeeper) -> AsyncIterator[StorageKeeper]:
    """The database is opened, and held, during the block."""
    task = asyncio.create_task(keeper.run(), name="storage")
    try:
        yield keeper
    finally:
        task.cancel()
        await asyncio.wait({task})
