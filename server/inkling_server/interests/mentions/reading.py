"""Reads the texts of requests beside a serving event loop, for one graph at a time.

    graph ─► TextReader ─► read(item) ─► [ the one thread ] ─► ItemReader ─► evidence by row

Reading a post takes half a millisecond, an article's 100,000 characters a tenth of a second: not on
the event loop. The word lists behind it take two seconds and 250 MB, so nothing of it is loaded
before the first text comes; later graphs have theirs made ready before they serve. The packages for
it are those of the extra `discovery`: without them there is no reader. It knows no pictures.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self

from inkling_server.errors import DeadlineExceeded
from inkling_server.interests.content import ContentItem
from inkling_server.interests.graph import GraphSnapshot, Interest

if TYPE_CHECKING:
    from inkling_server.interests.mentions.item_reader import ItemReader, RowEvidence

_PACKAGES = ("emoji", "py3langid", "selectolax", "wordfreq")
_TEXTS = (
    "title",
    "caption",
    "overlay_text",
    "body",
    "transcript",
    "speech",
    "location",
    "comments",
    "hashtags",
)


def missing_packages() -> tuple[str, ...]:
    """Packages that reading texts needs and that are not installed."""
    return tuple(name for name in _PACKAGES if find_spec(name) is None)


def has_text(item: ContentItem) -> bool:
    """Whether the item says anything at all."""
    return any(getattr(item, name) for name in _TEXTS)


class TextReader:
    """Finds the interests of one graph in texts. `TextReaders.open` makes it.

    Attributes:
        graph_version: whose rows the evidence names.
    """

    def __init__(self, executor: ThreadPoolExecutor, graph: GraphSnapshot) -> None:
        self.graph_version = graph.version
        self._executor = executor
        self._interests: Sequence[Interest] = graph.interests
        self._reader: ItemReader | None = None

    async def read(
        self, item: ContentItem, *, quoting: bool = False, deadline: float | None = None
    ) -> "RowEvidence":
        """What an item's texts say for each interest that they name; see `ItemReader.read`.

        Args:
            item: its texts.
            quoting: fill in `Evidence.text`.
            deadline: on the loop's clock; reading that would start later is not done.

        Raises:
            DeadlineExceeded: its turn came too late.
            UnknownSource: the item's source is not registered.
        """
        loop = asyncio.get_running_loop()

        def work() -> "RowEvidence":
            if deadline is not None and loop.time() >= deadline:
                raise DeadlineExceeded
            return self._ready().read(item, quoting=quoting)

        return await loop.run_in_executor(self._executor, work)

    async def prepare(self) -> None:
        """Loads what the first reading would have to wait for."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._ready)

    def _ready(self) -> "ItemReader":
        """On the thread only."""
        if self._reader is None:
            # Here, because its packages may be missing, and a server without texts needs none.
            from inkling_server.interests.mentions.item_reader import ItemReader

            self._reader = ItemReader(self._interests)
        return self._reader

    @property
    def is_ready(self) -> bool:
        """Whether it has read anything, or was prepared."""
        return self._reader is not None


class TextReaders:
    """The one thread that reads texts, and the reader of the graph that was opened last."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="inkling-texts")
        self._latest: TextReader | None = None

    async def open(self, graph: GraphSnapshot) -> TextReader | None:
        """The reader of a graph; None where the packages for it are not installed.

        Where texts are being read already, it comes prepared: a new graph costs no request a wait.
        """
        if missing_packages():
            return None
        latest = self._latest
        if latest is None or latest.graph_version != graph.version:
            reader = TextReader(self._executor, graph)
            if latest is not None and latest.is_ready:
                await reader.prepare()
            self._latest = latest = reader
        return latest

    def close(self) -> None:
        """Ends the thread after the work that it has begun. Idempotent."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
