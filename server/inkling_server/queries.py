"""What the Tagger is asked: a picture, with what is known about it.

Pure values; their ranges are checked by the Tagger, the lengths of texts by whoever takes them in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from inkling_server.interests.content import ContentItem
from inkling_server.joining import AuthorInterest

# What is kept of a stored item: more than is shown, since weak tags of many items add up to what
# somebody cares for. Below this, the calibration says, nine of ten are wrong.
STORED_TOP_N = 20
STORED_MIN_SCORE = 0.1


@dataclass(frozen=True, slots=True)
class TagQuery:
    """One picture to tag.

    Attributes:
        image: the encoded file.
        top_n: 1 to 100; None: what the model's calibration recommends.
        min_score: in [0, 1], only tags that score strictly more; None: as recommended.
        graph_version: insist on this version; empty: the current one.
        explain: fill in `ScoredTag.explanation`.
        deadline: when the caller stops waiting, on the running loop's clock (`loop.time()`).
        wait: on a full server wait for room (streams) instead of failing with Overloaded (unary).
        context: texts about the picture; None: nothing is known about it.
        read_text: read what is written in the picture, too, where the server can.
    """

    image: bytes
    top_n: int | None = None
    min_score: float | None = None
    graph_version: str = ""
    explain: bool = False
    deadline: float | None = None
    wait: bool = False
    context: ContentItem | None = None
    read_text: bool = False


@dataclass(frozen=True, slots=True)
class ContentQuery:
    """One item to tag for storage.

    Attributes:
        image: the encoded file; None: the item has texts alone.
        context: its texts; nothing else of it is looked at.
        author_interests: what its author's items so far are about, the most frequent first.
        deadline, wait, read_text: as in `TagQuery`.
    """

    image: bytes | None = field(repr=False)
    context: ContentItem
    author_interests: Sequence[AuthorInterest] = field(default=(), repr=False)
    deadline: float | None = None
    wait: bool = True
    read_text: bool = False
