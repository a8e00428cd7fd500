"""`inkling tag`: pictures and videos in, tags out, in the order of the command line.

This module does not know how pictures travel (`client.py`) nor how tables look (`cli_view.py`).
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from inkling_client.cli_connect import (
    DEFAULT_SERVER,
    EXIT_NO_SERVER,
    EXIT_SOME_FAILED,
    EXIT_USAGE,
    CaFileOption,
    JsonOption,
    ServerOption,
    TlsOption,
    connect,
    fail,
    hello,
)
from inkling_client.cli_context import (
    CaptionOption,
    CommentOption,
    HashtagOption,
    LocationOption,
    OverlayOption,
    ReadTextOption,
    TitleOption,
    context_from,
)
from inkling_client.cli_files import STDIN, Found, find_files
from inkling_client.cli_json import outcome_line, video_line
from inkling_client.cli_tag_video import (
    MaxFramesOption,
    SheetOption,
    TranscribeOption,
    VideoOption,
    VideoRun,
    check_sheet,
)
from inkling_client.cli_video_view import video_view
from inkling_client.cli_view import TagTable, summary
from inkling_client.context import Context
from inkling_client.errors import InklingClientError
from inkling_client.requests import Image, Post
from inkling_client.results import ServerInfo, TagResult
from inkling_client.video_results import VideoResult

Outcome = TagResult | VideoResult | InklingClientError

# Fewer pictures are done before a person has read the bar.
_PROGRESS_FROM_COUNT = 8


def tag(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help='Files, folders, globs; "-" is standard input.'),
    ],
    json_lines: JsonOption = False,
    top_n: Annotated[
        int | None, typer.Option(min=1, help="At most so many tags. (default: the server's)")
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Only higher scores. (default: the server's)"),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show where scores come from.")
    ] = False,
    recursive: Annotated[bool, typer.Option(help="Folders inside folders, too.")] = True,
    caption: CaptionOption = "",
    hashtags: HashtagOption = None,
    title: TitleOption = "",
    overlay_text: OverlayOption = "",
    comments: CommentOption = None,
    location: LocationOption = "",
    read_text: ReadTextOption = False,
    contact_sheet: SheetOption = None,
    transcribe: TranscribeOption = False,
    max_frames: MaxFramesOption = None,
    video: VideoOption = False,
    server: ServerOption = DEFAULT_SERVER,
    tls: TlsOption = False,
    ca_file: CaFileOption = None,
) -> None:
    """Tag pictures and videos. What is known about them besides counts for all of them.

    Exit codes: 0 all tagged, 1 some failed (the others are tagged), 2 wrong usage, 3 no server.
    """
    found = list(find_files(paths, recursive=recursive, all_videos=video))
    if not found:
        fail(EXIT_USAGE, f"no pictures in {', '.join(paths)}")
    check_sheet(contact_sheet, found)
    context = context_from(
        caption=caption,
        hashtags=hashtags,
        title=title,
        overlay_text=overlay_text,
        comments=comments,
        location=location,
        read_text=read_text,
    )
    with connect(server, tls=tls, ca_file=ca_file) as client:
        info = hello(client, server)
        if top_n is not None and top_n > info.limits.max_top_n:
            fail(EXIT_USAGE, f"--top-n: this server gives at most {info.limits.max_top_n}")
        for why in _lacks(info, context, read_text=read_text, transcribe=transcribe):
            Console(stderr=True).print(why, style="yellow")
        stream = client.tag_stream(
            _inputs(found, info, context), top_n=top_n, min_score=min_score, explain=explain
        )
        videos = VideoRun(
            client, context, top_n, min_score, explain, transcribe, max_frames, contact_sheet
        )
        with closing(stream):
            outcomes = _in_order(found, stream, videos)
            if json_lines:
                exit_code = _print_lines(outcomes, len(found))
            else:
                exit_code = _print_table(outcomes, found, explain=explain)
    raise typer.Exit(exit_code)


def _lacks(
    info: ServerInfo, context: Context | None, *, read_text: bool, transcribe: bool
) -> Iterator[str]:
    """What was asked for and this server cannot do; it tags without."""
    if context is not None and not info.uses_context:
        yield "this server reads no texts: tags come from the pictures alone"
    elif read_text and not info.reads_text:
        yield "this server cannot read what is written in pictures"
    if transcribe and not info.speech_recognizer:
        yield "this server recognises no speech"


def _inputs(
    found: list[Found], info: ServerInfo, context: Context | None
) -> Iterator[tuple[int, Image | Post]]:
    for index, item in enumerate(found):
        if item.error is not None or item.is_video:
            continue
        image: Image = Path(item.path)
        if item.path == STDIN:
            image = sys.stdin.buffer.read(info.limits.max_image_bytes + 1)
        yield index, image if context is None else Post(image, context)


def _in_order(
    found: list[Found], stream: Iterable[tuple[int, Outcome]], videos: VideoRun
) -> Iterator[tuple[str, Outcome]]:
    """Outcomes in the order of `found`; what comes early waits (results are small)."""
    done: dict[int, Outcome] = {
        index: item.error for index, item in enumerate(found) if item.error is not None
    }
    pictures = iter(stream)
    for index, item in enumerate(found):
        if item.is_video:
            yield item.path, videos.tag(item)
            continue
        while index not in done:
            early, outcome = next(pictures)
            done[early] = outcome
        yield item.path, done.pop(index)
    # A stream has its own last word: what its inputs raised.
    for _ in pictures:
        pass


class _Count:
    """Counts outcomes on their way, and knows the exit code that they add up to."""

    def __init__(self) -> None:
        self.tagged = 0
        self.failed = 0
        self.versions: dict[tuple[str, str], None] = {}  # a set that keeps the order
        self._lost_server = False

    def add(self, outcome: Outcome) -> None:
        if isinstance(outcome, InklingClientError):
            self.failed += 1
            self._lost_server |= outcome.reason == "UNAVAILABLE"
        else:
            self.tagged += 1
            self.versions[outcome.model_version, outcome.graph_version] = None

    @property
    def exit_code(self) -> int:
        if self._lost_server:
            return EXIT_NO_SERVER
        return EXIT_SOME_FAILED if self.failed else 0


def _print_lines(outcomes: Iterator[tuple[str, Outcome]], total: int) -> int:
    count = _Count()
    # Where both are one terminal, bar and lines would write over each other.
    console = None if sys.stdout.isatty() else Console(stderr=True)
    with _progress(console, total) as advance:
        for path, outcome in outcomes:
            count.add(outcome)
            line = video_line if isinstance(outcome, VideoResult) else outcome_line
            sys.stdout.write(line(path, outcome) + "\n")  # type: ignore[arg-type]
            sys.stdout.flush()
            advance()
    return count.exit_code


def _print_table(
    outcomes: Iterator[tuple[str, Outcome]], found: list[Found], *, explain: bool
) -> int:
    count = _Count()
    started_s = time.monotonic()
    console, errors = Console(highlight=False), Console(stderr=True)
    pictures = [item.path for item in found if not item.is_video]
    table = TagTable(console, pictures, explain=explain)
    # Where both are one terminal, the bar must know of the lines that are printed above it.
    same = sys.stdout.isatty() and sys.stderr.isatty()
    with _progress(console if same else errors, len(found)) as advance:
        if pictures:
            console.print(table.header())
        for path, outcome in outcomes:
            count.add(outcome)
            if isinstance(outcome, VideoResult):
                console.print(video_view(console, path, outcome, explain=explain))
            else:
                console.print(table.picture(path, outcome))
            advance()
    took_s = time.monotonic() - started_s
    console.print(
        summary(
            count.tagged,
            count.failed,
            took_s,
            count.versions,
            video_count=len(found) - len(pictures),
        )
    )
    return count.exit_code


@contextmanager
def _progress(console: Console | None, total: int) -> Iterator[Callable[[], None]]:
    """A bar while the block runs, where people can see it; yields what advances it by one."""
    if console is None or not console.file.isatty() or total < _PROGRESS_FROM_COUNT:
        yield lambda: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    # Without redirect_stdout=False, rich would send what is written to stdout to the bar's console.
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("tagging", total=total)
        yield lambda: bar.advance(task)
