"""What people see: tables with score bars, for terminals from 60 to 120 columns and for pipes.

Names of files and words of servers are data: they are shown without control characters and never
read as markup.

This module does not know where results come from.
"""

import posixpath
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from inkling_client.errors import InklingClientError
from inkling_client.results import Evidence, Limits, ServerInfo, Tag, TagResult

MAX_WIDTH = 120
_GAP = 2
_PERCENT_WIDTH = 5
_LOGIT_WIDTH = 7
_WIDTH_FOR_ALL_LOGITS = 80
_EIGHTHS = " ▏▎▍▌▋▊▉"
# From which score on a bar has which colour.
_COLOURS = ((0.6, "green"), (0.3, "cyan"), (0.0, "yellow"))


def printable(text: str) -> str:
    """`text` in one line without control characters: no file's name steers the terminal."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char).startswith("C") else char
        for char in text
    )


def printable_lines(text: str) -> str:
    """`text` without control characters but its line ends."""
    return "\n".join(printable(line) for line in text.splitlines())


def score_bar(score: float, width: int, *, blocks: bool = True) -> str:
    """A bar for a score in [0, 1], at most `width` characters; no score above 0 is invisible.

    Args:
        score: the length, 1 is the full width.
        width: in characters.
        blocks: draw with eighths of blocks; otherwise with "#".
    """
    share = min(max(score, 0.0), 1.0)
    if not blocks:
        return "#" * max(round(share * width), 1 if share > 0 else 0)
    eighths = max(round(share * width * 8), 1 if share > 0 else 0)
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")


class TagTable:
    """A table of pictures and their tags that can be printed as it grows: its widths are fixed.

    Args:
        console: where it will be printed; gives width and characters.
        paths: of all pictures. Where they do not fit their column, the folder that they share is
            said once, above the table.
        explain: adds cosine and logits, as many as the width allows.
    """

    def __init__(self, console: Console, paths: Sequence[str], *, explain: bool = False) -> None:
        self._explain = explain
        # Consoles that cannot show blocks: an old code page, LANG=C.
        self._blocks = console.encoding.lower().startswith("utf")
        self._width = min(console.width, MAX_WIDTH)
        self._logits = ("cosine", "picture", "prior")[: 3 * explain]
        if explain and self._width >= _WIDTH_FOR_ALL_LOGITS:
            self._logits = (*self._logits, "tag")
        numbers = [_PERCENT_WIDTH] + [_LOGIT_WIDTH] * len(self._logits)
        left = self._width - sum(numbers) - _GAP * (3 + len(numbers) - 1) - 1
        self._picture_width = max(int(left * 0.38), 8)
        self._phrase_width = max(int(left * 0.34), 8)
        self._bar_width = max(left - self._picture_width - self._phrase_width, 4)
        self._numbers = numbers
        crowded = any(len(path) > self._picture_width for path in paths)
        self._folder = common_folder(paths) if crowded else ""
        self._rows_width = (
            self._phrase_width + self._bar_width + sum(numbers) + _GAP * (1 + len(numbers))
        )

    def header(self) -> RenderableType:
        """The names of the columns."""
        rows = self._rows()
        names = ["Tag", "Score", "", *self._logits]
        rows.add_row(*(Text(name, "bold") for name in names))
        head = Group(self._picture(Text("Picture", "bold"), rows), self._rule())
        if not self._folder:
            return head
        return Group(Text(f"in {printable(self._folder)}", "dim", overflow="fold"), head)

    def picture(self, path: str, outcome: TagResult | InklingClientError) -> RenderableType:
        """One picture: its tags, or what went wrong."""
        if isinstance(outcome, InklingClientError):
            text = Text.assemble(
                (f"{outcome.reason}  ", "bold red"), (printable(outcome.message), "red")
            )
            body: RenderableType = text
        elif not outcome.tags:
            body = Text("no tag above the threshold", "dim")
        else:
            body = Group(*self._tags(outcome.tags))
        if self._folder:
            path = path.removeprefix(self._folder).lstrip("/")
        folder, slash, name = printable(path).rpartition("/")
        return Group(
            self._picture(Text.assemble((folder + slash, "dim"), name), body), self._rule()
        )

    def _tags(self, tags: Sequence[Tag]) -> Iterator[RenderableType]:
        """Rows of equal widths, with lines of evidence between them."""
        rows = self._rows()
        for tag in tags:
            rows.add_row(*self._cells(tag))
            if self._explain and tag.explanation is not None and tag.explanation.evidence:
                yield rows
                yield evidence_line(tag.explanation.evidence)
                rows = self._rows()
        if rows.row_count:
            yield rows

    def _cells(self, tag: Tag) -> list[Text]:
        colour = score_colour(tag.score)
        cells = [
            Text(printable(tag.phrase)),
            Text(score_bar(tag.score, self._bar_width, blocks=self._blocks), colour),
            Text(f"{tag.score:.0%}", justify="right"),
        ]
        if self._explain and tag.explanation is not None:
            why = tag.explanation
            numbers = (why.cosine, why.picture_logit, why.prior_logit, why.tag_logit)
            cells += [
                Text(f"{number:+.2f}", "dim", justify="right")
                for number in numbers[: len(self._logits)]
            ]
        return cells

    def _rows(self) -> Table:
        rows = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
        rows.add_column(width=self._phrase_width, overflow="fold")
        rows.add_column(width=self._bar_width, no_wrap=True)
        for width in self._numbers:
            rows.add_column(width=width, justify="right", no_wrap=True)
        return rows

    def _picture(self, name: Text, body: RenderableType) -> Table:
        row = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
        row.add_column(width=self._picture_width, overflow="fold")
        row.add_column(width=self._rows_width, overflow="fold")
        row.add_row(name, body)
        return row

    def _rule(self) -> RenderableType:
        grid = Table.grid()
        grid.add_column(width=self._picture_width + _GAP + self._rows_width)
        grid.add_row(Rule(style="dim", characters="─" if self._blocks else "-"))
        return grid


def score_colour(score: float) -> str:
    """The colour of a score's bar."""
    return next((colour for floor, colour in _COLOURS if score >= floor), "")


def evidence_line(evidence: Sequence[Evidence]) -> Text:
    """What other sources say, as one line under a tag."""
    words = []
    for one in evidence:
        times = f" ×{one.mention_count}" if one.mention_count > 1 else ""
        quote = f" “{printable(one.text)}”" if one.text else ""
        words.append(f"{printable(one.source)} {one.weight:.0%}{times}{quote}")
    return Text("  + " + ", ".join(words), "dim", overflow="fold")


def common_folder(paths: Sequence[str]) -> str:
    """The folder that all `paths` share, as they spell it; "" where they share none."""
    folders = {posixpath.dirname(path) for path in paths if "/" in path}
    if not folders or any("/" not in path for path in paths):
        return ""
    try:
        return posixpath.commonpath(folders)
    except ValueError:  # absolute and relative ones
        return ""


def summary(
    tagged_count: int,
    failed_count: int,
    took_s: float,
    versions: Iterable[tuple[str, str]],
    *,
    video_count: int = 0,
) -> RenderableType:
    """The last lines under a table.

    Args:
        tagged_count: pictures and videos that have an answer.
        failed_count: pictures and videos that have an error.
        took_s: from the first to the last.
        versions: each (model version, graph version) that answered: more than one where the server
            changed meanwhile.
        video_count: how many of them are videos.
    """
    picture_count = tagged_count + failed_count - video_count
    counts = [("picture", picture_count)] if picture_count or not video_count else []
    counts += [("video", video_count)] if video_count else []
    words = [f"{count:,} {name}{'' if count == 1 else 's'}" for name, count in counts]
    if failed_count:
        words.append(f"{failed_count:,} failed")
    words.append(f"{took_s:.1f} s")
    lines = [Text(" · ".join(words), "bold red" if failed_count else "bold green")]
    lines += [
        Text(printable(f"model {model} · graph {graph}"), "dim", overflow="fold")
        for model, graph in versions
    ]
    return Group(*lines)


def info_table(info: ServerInfo, target: str) -> RenderableType:
    """What a server is, for people."""
    limits, defaults = info.limits, info.defaults
    calibrated = f"{info.calibrated_time:%Y-%m-%d %H:%M} UTC" if info.calibrated_time else "unknown"
    rows = [
        ("server", f"{info.server_version} at {target}"),
        ("model", f"{info.model_version}, {info.embedding_dimension} dimensions"),
        ("calibrated", calibrated),
        ("graph", f"{info.graph_version}, {info.interest_count:,} interests"),
        ("tag index", info.tag_index),
        ("texts", "joined with pictures" if info.uses_context else "not read"),
        ("speech in videos", info.speech_recognizer or "not recognised"),
        ("text in pictures", "read where asked for" if info.reads_text else "not read"),
        *(
            (
                f"encoder {encoder.name}",
                f"version {encoder.version}, {encoder.backend}: {encoder.runtime}",
            )
            for encoder in info.encoders
        ),
        ("defaults", f"top {defaults.top_n}, score over {defaults.min_score:.2f}"),
        *(
            [
                (
                    "  on validation",
                    f"{defaults.precision:.0%} of the tags are right, "
                    f"{defaults.coverage:.0%} of the pictures get one",
                )
            ]
            if defaults.precision > 0  # 0: the model's makers did not measure it
            else []
        ),
        ("a picture", f"at most {limits.max_image_bytes / 2**20:,.1f} MiB"),
        ("", f"at most {limits.max_image_pixels:,} pixels, {limits.max_image_side:,} a side"),
        *_video_rows(limits),
        ("a request", f"at most {limits.max_top_n} tags"),
        ("a stream", f"{limits.max_stream_in_flight} pictures at a time"),
        ("the server", f"{limits.max_queue_count} pictures at a time"),
    ]
    table = Table.grid(padding=(0, _GAP, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(printable(name)), Text(printable(value)))
    return table


def _video_rows(limits: Limits) -> list[tuple[str, str]]:
    if not limits.max_video_bytes:
        return [("a video", "not served")]
    longest = f"{limits.max_video_duration_s:,.0f} s, {limits.max_video_pixels:,} pixels a frame"
    return [
        ("a video", f"at most {limits.max_video_bytes / 2**20:,.1f} MiB"),
        ("", f"at most {longest}"),
        ("", f"{limits.max_video_frames} frames are looked at"),
    ]
