"""What people see of a video: a row for each tag, with a strip that shows when it shows.

    clip.mp4 · 1:02 · 1920x1080 h264 · 14 frames
    Tag              Score          0:00 ───────────────────── 1:02   Best at
    cat              ██████▌  82%   ···▐████████···········█▌······      0:14
    beach            ███▍     43%   named, not shown

This module does not know where results come from.
"""

from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from inkling_client.cli_view import (
    MAX_WIDTH,
    evidence_line,
    printable,
    score_bar,
    score_colour,
)
from inkling_client.video_results import Interval, VideoFacts, VideoResult, VideoTag

_GAP = 2
_BAR_WIDTH = 8
_PERCENT_WIDTH = 4
_TIME_WIDTH = 9
# Eighths would promise more than a frame knows: a cell is full, half or empty.
_CELLS = {(True, True): "█", (True, False): "▌", (False, True): "▐", (False, False): "·"}


def video_view(
    console: Console, path: str, result: VideoResult, *, explain: bool = False
) -> RenderableType:
    """One video and its tags.

    Args:
        console: where it will be printed; gives width and characters.
        path: what a person typed.
        result: the server's answer.
        explain: adds what texts say.
    """
    blocks = console.encoding.lower().startswith("utf")
    width = min(console.width, MAX_WIDTH)
    fixed = _BAR_WIDTH + _PERCENT_WIDTH + _TIME_WIDTH + 4 * _GAP
    phrase_width = max((width - fixed) * 2 // 5, 8)
    strip_width = max(width - fixed - phrase_width, 12)
    widths = (phrase_width, _BAR_WIDTH, _PERCENT_WIDTH, strip_width, _TIME_WIDTH)
    lines: list[RenderableType] = [_head(path, result.facts, blocks=blocks)]
    if result.tags:
        rows = _rows(widths)
        scale = _scale(result.facts.duration_s, strip_width, blocks=blocks)
        rows.add_row(Text("Tag", "bold"), Text("Score", "bold"), "", scale, Text("Best at", "bold"))
        lines.append(rows)
    else:
        lines.append(Text("no tag above the threshold", "dim"))
    rows = _rows(widths)
    for tag in result.tags:
        rows.add_row(*_cells(tag, result.facts.duration_s, strip_width, blocks=blocks))
        if explain and tag.tag.explanation is not None and tag.tag.explanation.evidence:
            lines += [rows, evidence_line(tag.tag.explanation.evidence)]
            rows = _rows(widths)
    if rows.row_count:
        lines.append(rows)
    for name, text in (("written", result.overlay_text), ("said", result.transcript)):
        if text:
            words = " / ".join(printable(line) for line in text.splitlines())
            lines.append(Text(f"{name}: “{words}”", "dim", overflow="fold"))
    lines.append(Rule(style="dim", characters="─" if blocks else "-"))
    block = Table.grid()
    block.add_column(width=width)
    for line in lines:
        block.add_row(line)
    return block


def strip(intervals: Sequence[Interval], duration_s: float, width: int, *, blocks: bool) -> str:
    """Intervals as a line of characters; each of them can be seen, however short.

    Args:
        intervals: in order.
        duration_s: what the whole line stands for.
        width: characters.
        blocks: half and full blocks; otherwise "#" and ".".
    """
    halves = [False] * (2 * width)
    for one in intervals:
        if duration_s <= 0:
            return ("█" if blocks else "#") * width
        first = min(round(one.start_s / duration_s * 2 * width), 2 * width - 1)
        end = max(round(one.end_s / duration_s * 2 * width), first + 1)
        halves[first:end] = [True] * (end - first)
    pairs = list(zip(halves[::2], halves[1::2], strict=True))[:width]
    if not blocks:
        return "".join("#" if any(pair) else "." for pair in pairs)
    return "".join(_CELLS[pair] for pair in pairs)


def clock(time_s: float, *, tenths: bool = False) -> str:
    """75.25 s -> "1:15", with tenths "1:15.2"; hours where there are any."""
    whole = int(time_s * 10)
    hours, minutes, seconds = whole // 36_000, whole // 600 % 60, whole // 10 % 60
    text = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"{text}.{whole % 10}" if tenths else text


def _head(path: str, facts: VideoFacts, *, blocks: bool) -> Text:
    codecs = " + ".join(one for one in (facts.video_codec, facts.audio_codec) if one)
    words = [
        clock(facts.duration_s, tenths=True),
        f"{facts.width}x{facts.height} {printable(codecs)}",
        f"{facts.frame_count} frame{'' if facts.frame_count == 1 else 's'}",
    ]
    folder, slash, name = printable(path).rpartition("/")
    return Text.assemble(
        (folder + slash, "dim"),
        (name, "bold"),
        ("  " + (" · " if blocks else ", ").join(words), "dim"),
        overflow="fold",
    )


def _scale(duration_s: float, width: int, *, blocks: bool) -> Text:
    start, end = clock(0), clock(duration_s)
    line = ("─" if blocks else "-") * (width - len(start) - len(end) - 2)
    return Text(f"{start} {line} {end}", "dim")


def _cells(tag: VideoTag, duration_s: float, width: int, *, blocks: bool) -> list[Text]:
    score = tag.tag.score
    colour = score_colour(score)
    if tag.intervals:
        when = Text(strip(tag.intervals, duration_s, width, blocks=blocks), colour)
    else:
        when = Text("named, not shown", "dim")
    best = "" if tag.best_time_s is None else clock(tag.best_time_s, tenths=True)
    return [
        Text(printable(tag.tag.phrase)),
        Text(score_bar(score, _BAR_WIDTH, blocks=blocks), colour),
        Text(f"{score:.0%}", justify="right"),
        when,
        Text(best, justify="right"),
    ]


def _rows(widths: Sequence[int]) -> Table:
    rows = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
    for place, width in enumerate(widths):
        rows.add_column(
            width=width,
            overflow="fold",
            no_wrap=place > 0,
            justify="right" if place in {2, 4} else "left",
        )
    return rows
