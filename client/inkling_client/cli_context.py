"""Options that say what else is known about pictures: `inkling tag --caption ...`.

This module does not know pictures or connections.
"""

from typing import Annotated

import typer

from inkling_client.context import Context

_PANEL = "What is known about the pictures"

CaptionOption = Annotated[
    str, typer.Option(help="The author's words under them.", rich_help_panel=_PANEL)
]
HashtagOption = Annotated[
    list[str] | None,
    typer.Option("--hashtag", help="With or without '#'; may be repeated.", rich_help_panel=_PANEL),
]
TitleOption = Annotated[str, typer.Option(help="A headline or name.", rich_help_panel=_PANEL)]
OverlayOption = Annotated[
    str, typer.Option("--overlay-text", help="Text drawn over them.", rich_help_panel=_PANEL)
]
CommentOption = Annotated[
    list[str] | None,
    typer.Option("--comment", help="What others say; may be repeated.", rich_help_panel=_PANEL),
]
ReadTextOption = Annotated[
    bool,
    typer.Option(
        "--read-text", help="Read what is written in them, too (slow).", rich_help_panel=_PANEL
    ),
]
LocationOption = Annotated[str, typer.Option(help="A place's name.", rich_help_panel=_PANEL)]


def context_from(
    *,
    caption: str,
    hashtags: list[str] | None,
    title: str,
    overlay_text: str,
    comments: list[str] | None,
    location: str,
    read_text: bool = False,
) -> Context | None:
    """The context that options make; None where none of them says anything."""
    context = Context(
        caption=caption,
        hashtags=tuple(hashtag.lstrip("#") for hashtag in hashtags or ()),
        title=title,
        overlay_text=overlay_text,
        comments=tuple(comments or ()),
        location=location,
        read_text=read_text,
    )
    return None if context == Context() else context
