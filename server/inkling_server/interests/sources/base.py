"""What a source makes of an item: clean passages, and hashtags that stand for themselves.

Interfaces only; `registry` knows which sources there are.
"""

from typing import NamedTuple, Protocol

from inkling_server.interests.content import ContentItem
from inkling_server.interests.text.document import Field


class Passage(NamedTuple):
    """One clean text.

    Attributes:
        field: the part of the item that it comes from.
        text: without mentions, links, emoji and markup.
    """

    field: Field
    text: str


class SourceText(NamedTuple):
    """All text of one item.

    Attributes:
        passages: none is empty; in the order of `Field`.
        hashtags: as written, without '#'; those that are part of a passage's sentence are not here.
    """

    passages: tuple[Passage, ...]
    hashtags: tuple[str, ...] = ()


class Source(Protocol):
    """Reads the items of one source. Stateless: called from any thread."""

    def read(self, item: ContentItem) -> SourceText:
        """Cleans an item's text. Never raises, whatever the text is."""
