"""What a caller knows about the content item that a picture belongs to: its texts and its place.

    client.tag(image, context=Context(caption="first pour of the day", hashtags=("latteart",)))

This module does not know connections, nor how texts are read: the server does.
"""

from dataclasses import dataclass, fields

from inkling.v1 import common_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Texts of one content item; every one is optional. Longer ones are refused by the server.

    Args:
        caption: the author's own words under the item, at most 4,000 characters.
        hashtags: without the leading "#", at most 64 of at most 100 characters.
        overlay_text: text drawn over the picture or video, at most 4,000 characters.
        comments: at most 64 of at most 1,000 characters.
        title: headline or name, at most 1,000 characters.
        transcript: what is said in a video, at most 100,000 characters.
        location: a place's name, at most 200 characters.
        body: an article's text or HTML, at most 100,000 characters.
        source: how texts are read: "user_generated" (where empty), "short_video", "publisher".
        read_text: read what is written in the picture, too; `get_info().reads_text` says whether
            the server can.
    """

    caption: str = ""
    hashtags: tuple[str, ...] = ()
    overlay_text: str = ""
    comments: tuple[str, ...] = ()
    title: str = ""
    transcript: str = ""
    location: str = ""
    body: str = ""
    source: str = ""
    read_text: bool = False

    def __repr__(self) -> str:
        # A stray log line or traceback must not tell who wrote what.
        filled = [field.name for field in fields(self) if getattr(self, field.name)]
        return f"Context(filled={filled})"

    def message(self) -> common_pb2.ContentContext:
        """It as it is sent. Raises ValueError where a text holds half a character."""
        return common_pb2.ContentContext(
            caption=self.caption,
            hashtags=self.hashtags,
            overlay_text=self.overlay_text,
            comments=self.comments,
            title=self.title,
            transcript=self.transcript,
            location=self.location,
            body=self.body,
            source=self.source,
            read_text=self.read_text,
        )


def context_of(message: common_pb2.ContentContext) -> Context:
    """The plain value of a ContentContext."""
    return Context(
        caption=message.caption,
        hashtags=tuple(message.hashtags),
        overlay_text=message.overlay_text,
        comments=tuple(message.comments),
        title=message.title,
        transcript=message.transcript,
        location=message.location,
        body=message.body,
        source=message.source,
    )
