"""Feeds of whatever kind, read as one.

    folder ──────────────┐
    database (`Stored`) ─┴─► JoinedReader ─► mining

It does not know where any of them comes from.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from inkling_server.interests.content import ContentItem
from inkling_server.interests.feed import Engagement, Entry, Watermark


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry out of a database, with the keys by which it is found out that it was erased.

    Attributes:
        entry: an item or an engagement.
        person_key: of its author, or of whoever engaged; 0: nobody is named.
        item_key: of the item; 0 with an engagement.
    """

    entry: ContentItem | Engagement
    person_key: int = 0
    item_key: int = 0


class Reader(Protocol):
    """One pass over what is new; iterate once. `FeedReader` is one."""

    @property
    def total_bytes(self) -> int:
        """Of what is new, or about what it would take as lines of a file."""

    @property
    def done_bytes(self) -> int:
        """Read so far."""

    @property
    def watermark(self) -> Watermark:
        """How far it was read: to be kept once what was read is."""

    def __iter__(self) -> Iterator[Entry | Stored]:
        """What is new."""


class JoinedReader:
    """Passes over several feeds as one, the first feed first; see `Reader`.

    Args:
        readers: their watermarks name different things.
    """

    def __init__(self, readers: Sequence[Reader]) -> None:
        self._readers = readers
        self.total_bytes = sum(reader.total_bytes for reader in readers)

    @property
    def done_bytes(self) -> int:
        """See `Reader`."""
        return sum(reader.done_bytes for reader in self._readers)

    @property
    def watermark(self) -> Watermark:
        """See `Reader`."""
        return {name: mark for reader in self._readers for name, mark in reader.watermark.items()}

    def __iter__(self) -> Iterator[Entry | Stored]:
        for reader in self._readers:
            yield from reader
