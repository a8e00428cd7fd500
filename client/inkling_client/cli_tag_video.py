"""The videos of `inkling tag`: which options they have, and where their contact sheet goes.

This module does not know how videos travel (`client.py`) nor how they look (`cli_video_view.py`).
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from inkling_client.cli_connect import EXIT_SOME_FAILED, EXIT_USAGE, fail
from inkling_client.cli_files import STDIN, Found
from inkling_client.client import InklingClient
from inkling_client.context import Context
from inkling_client.errors import InklingClientError
from inkling_client.video_results import VideoResult
from inkling_client.video_upload import SheetFormat, VideoSource

_PANEL = "Videos"
_SHEET_FORMATS: dict[str, SheetFormat] = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}

SheetOption = Annotated[
    Path | None,
    typer.Option(
        "--contact-sheet",
        metavar="FILE.png",
        help="Write the chosen frames of one video with their times and tags: .png or .jpg.",
        rich_help_panel=_PANEL,
    ),
]
TranscribeOption = Annotated[
    bool,
    typer.Option("--transcribe", help="Recognise speech, too.", rich_help_panel=_PANEL),
]
MaxFramesOption = Annotated[
    int | None,
    typer.Option(
        "--max-frames",
        min=1,
        help="Look at so many frames at most. (default: the server's)",
        rich_help_panel=_PANEL,
    ),
]
VideoOption = Annotated[
    bool,
    typer.Option(
        "--video",
        help="Every named file is a video, also a GIF and standard input.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True, slots=True)
class VideoRun:
    """How the videos of one command are tagged."""

    client: InklingClient
    context: Context | None
    top_n: int | None
    min_score: float | None
    explain: bool
    transcribe: bool
    max_frames: int | None
    sheet: Path | None

    def tag(self, item: Found) -> VideoResult | InklingClientError:
        """Tags one video; what goes wrong with it is a value."""
        source: VideoSource = sys.stdin.buffer if item.path == STDIN else Path(item.path)
        try:
            result = self.client.tag_video(
                source,
                top_n=self.top_n,
                min_score=self.min_score,
                explain=self.explain,
                context=self.context,
                max_frame_count=self.max_frames,
                transcribe=self.transcribe,
                contact_sheet=None if self.sheet is None else _SHEET_FORMATS[_suffix(self.sheet)],
            )
        except InklingClientError as error:
            return error
        if self.sheet is not None:
            try:
                self.sheet.write_bytes(result.contact_sheet)
            except OSError as error:
                fail(EXIT_SOME_FAILED, f"--contact-sheet: {error.strerror or 'not writable'}")
        return result


def check_sheet(sheet: Path | None, found: Sequence[Found]) -> None:
    """Ends the command where a contact sheet cannot be made."""
    if sheet is None:
        return
    if _suffix(sheet) not in _SHEET_FORMATS:
        fail(EXIT_USAGE, f"--contact-sheet: a file's name that ends in {', '.join(_SHEET_FORMATS)}")
    if sum(item.is_video for item in found) != 1:
        fail(EXIT_USAGE, "--contact-sheet: needs exactly one video")
    if not sheet.parent.is_dir():
        fail(EXIT_USAGE, "--contact-sheet: its folder is not there")


def _suffix(path: Path) -> str:
    return path.suffix.lower()
