"""What callers tell a server about content: items, and what people do with them.

Ids and texts are personal: no repr shows them.

This module does not know messages nor connections (`content_calls.py`).
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from inkling_client.context import Context
from inkling_client.requests import Image

EngagementKind = Literal["view", "like", "save", "share", "hide"]
ENGAGEMENT_KINDS: tuple[EngagementKind, ...] = get_args(EngagementKind)


@dataclass(frozen=True, slots=True)
class GeoPoint:
    """A place: latitude in [-90, 90], longitude in [-180, 180]."""

    latitude_deg: float
    longitude_deg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestItem:
    """One content item to be stored.

    Args:
        content_id: your own, 1 to 200 characters. An item of the same id is replaced.
        image: the encoded file's bytes, or its path; None: an item of texts alone.
        context: its texts.
        author_id: who posted it; "": nobody is named.
        created_time: when it was posted, with a time zone; None: now.
        point: where it was made.

    Raises:
        ValueError: created_time has no time zone.
    """

    content_id: str = field(repr=False)
    image: Image | None = field(default=None, repr=False)
    context: Context = field(default=Context(), repr=False)
    author_id: str = field(default="", repr=False)
    created_time: datetime | None = None
    point: GeoPoint | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _check_zone("created_time", self.created_time)


def new_request_id() -> str:
    """A name that no other request has."""
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Engagement:
    """Somebody did something with an item.

    Args:
        user_id: your own, 1 to 200 characters.
        content_id: the item.
        kind: "view", "like", "save", "share" or "hide".
        time: when, with a time zone; None: now.
        request_id: names this engagement among those of its person: however often it is sent, it
            is recorded once. Without one it gets a new one, which stays with this value: recording
            the same *value* again is safe, too.

    Raises:
        ValueError: the kind is none of these, the time has no zone, or an id holds half a
            character (a lone surrogate), which no message can carry.
    """

    user_id: str = field(repr=False)
    content_id: str = field(repr=False)
    kind: EngagementKind
    time: datetime | None = None
    request_id: str = field(default_factory=new_request_id, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in ENGAGEMENT_KINDS:
            raise ValueError(f"kind must be one of: {', '.join(ENGAGEMENT_KINDS)}")
        _check_zone("time", self.time)
        for name in ("user_id", "content_id", "request_id"):
            if not is_sendable(getattr(self, name)):
                raise ValueError(f"{name} must be text without half characters")


def is_sendable(text: object) -> bool:
    """Whether a message can carry it: text in Unicode, without lone surrogates."""
    if not isinstance(text, str):
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_zone(name: str, time: datetime | None) -> None:
    if time is not None and time.tzinfo is None:
        raise ValueError(f"{name} must say its time zone")
