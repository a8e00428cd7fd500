"""A content item: everything that one post, clip or article says about itself in words.

Pure data with limits. It does not know where items are stored, what they look like (`media_uri` is
never fetched) or how each source's text is read: `sources` does.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

# Longer text is cut when the item is made, so that one hostile item cannot stall a refresh.
MAX_FIELD_CHARACTERS = 200_000
MAX_LIST_LENGTH = 1_000
MAX_ENTRY_CHARACTERS = 10_000
_LONG_TEXTS = ("caption", "overlay_text", "title", "body", "transcript", "speech", "location")
# What only a recogniser of ours may say.
_HEARD = frozenset({"speech", "speech_confidence"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentItem:
    """One item. Text that is too long is cut, lists too: see the limits above.

    Attributes:
        id: unique among all items.
        source: name of the source that reads it, see `sources.source_names()`.
        caption: what its author wrote under it; may hold hashtags, mentions, links, emoji.
        hashtags: with or without '#', in the author's order.
        overlay_text: text read from the picture or the frames.
        comments: what others wrote under it.
        title: a headline.
        body: an article's text or HTML.
        transcript: what is said in it, as whoever sent it says.
        speech: what a recogniser heard in it. Not part of a feed.
        speech_confidence: of the recogniser in `speech`, in [0, 1].
        location: a place's name.
        author_id: whose it is; for co-engagement only: never read as text, never logged.
        created_time: when it was posted; has a time zone.
        media_uri: where its picture or clip is.
    """

    id: str
    source: str = "user_generated"
    caption: str = ""
    hashtags: tuple[str, ...] = ()
    overlay_text: str = ""
    comments: tuple[str, ...] = ()
    title: str = ""
    body: str = ""
    transcript: str = ""
    speech: str = ""
    speech_confidence: float = 1.0
    location: str = ""
    author_id: str | None = None
    created_time: datetime | None = None
    media_uri: str | None = None

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("a content item needs an id")
        if self.created_time is not None and self.created_time.tzinfo is None:
            raise ValueError("created_time must say its time zone")
        for name in _LONG_TEXTS:
            text = getattr(self, name)
            if len(text) > MAX_FIELD_CHARACTERS:
                object.__setattr__(self, name, text[:MAX_FIELD_CHARACTERS])
        for name in ("hashtags", "comments"):
            entries = tuple(entry[:MAX_ENTRY_CHARACTERS] for entry in getattr(self, name))
            object.__setattr__(self, name, entries[:MAX_LIST_LENGTH])

    def __repr__(self) -> str:
        # A stray log line or traceback must not tell who wrote what.
        filled = [
            field.name
            for field in fields(self)
            if field.name != "speech_confidence" and getattr(self, field.name)
        ]
        return f"ContentItem(source={self.source!r}, filled={filled})"


def content_item(values: dict[str, Any]) -> ContentItem:
    """Makes an item of a JSON object; `created_time` is ISO-8601 text, unknown keys are ignored.

    Raises:
        ValueError: a value has the wrong type, or the id is missing.
    """
    known = {field.name for field in fields(ContentItem)} - _HEARD
    chosen = {name: value for name, value in values.items() if name in known and value is not None}
    for name, value in chosen.items():
        if name in ("hashtags", "comments"):
            if not (isinstance(value, list | tuple) and all(isinstance(v, str) for v in value)):
                raise ValueError(f"{name} must be a list of strings")
        elif not (isinstance(value, str) or (name == "created_time" and _is_time(value))):
            raise ValueError(f"{name} must be a string")
    if isinstance(chosen.get("created_time"), str):
        chosen["created_time"] = datetime.fromisoformat(chosen["created_time"])
    if "id" not in chosen:
        raise ValueError("a content item needs an id")
    return ContentItem(**chosen)


def _is_time(value: object) -> bool:
    return isinstance(value, datetime)
