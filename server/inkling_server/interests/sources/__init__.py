"""How the text of each source is read, by the source's name.

A new source is one class with `read` and one call of `register_source`.
"""

from inkling_server.interests.sources.base import Passage, Source, SourceText
from inkling_server.interests.sources.publisher import Publisher
from inkling_server.interests.sources.registry import (
    UnknownSource,
    find_source,
    register_source,
    source_names,
)
from inkling_server.interests.sources.short_video import ShortVideo
from inkling_server.interests.sources.user_generated import UserGenerated

__all__ = [
    "Passage",
    "Publisher",
    "ShortVideo",
    "Source",
    "SourceText",
    "UnknownSource",
    "UserGenerated",
    "find_source",
    "register_source",
    "source_names",
]

register_source("user_generated", UserGenerated())
register_source("short_video", ShortVideo())
register_source("publisher", Publisher())
