"""What people see of the graph: tables for terminals from 60 to 120 columns and for pipes.

Words of servers are data: they are shown without control characters and never read as markup.

This module does not know where results come from.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from inkling_client.cli_view import MAX_WIDTH, printable, score_bar
from inkling_client.graph_results import (
    GraphDiff,
    GraphInfo,
    GraphVersion,
    Interest,
    Neighbor,
)

_GAP = 2
_TRENDING = "yellow"
# What the overview shows of each kind.
_OVERVIEW_COUNT = 10
_OVERVIEW_WORDS = 6


def interest_table(
    console: Console, interests: Sequence[Interest], *, bars: bool = False
) -> RenderableType:
    """A table of interests.

    Args:
        console: where it will be printed; gives width and characters.
        interests: its rows.
        bars: draws z-scores as bars, too.
    """
    wide = min(console.width, MAX_WIDTH) >= 76
    table = _columns(console, "Interest", flexible=1)
    _number(table, "Documents", 9)
    _number(table, "z", 6)
    blocks = console.encoding.lower().startswith("utf")
    if bars:
        table.add_column(width=12 if wide else 6, no_wrap=True)
        largest = max((i.trend_z for i in interests), default=0.0) or 1.0
    else:
        if wide:
            _number(table, "Rank", 8)
        _number(table, "Community", 9)
    for interest in interests:
        cells: list[RenderableType] = [_name(interest), *_counts(interest)]
        if bars:
            width = 12 if wide else 6
            bar = score_bar(interest.trend_z / largest, width, blocks=blocks)
            cells.append(Text(bar, _TRENDING))
        else:
            if wide:
                cells.append(Text(f"{interest.rank:.2%}", justify="right"))
            number = interest.community_number
            cells.append(Text("" if number is None else str(number), justify="right"))
        table.add_row(*cells)
    return table


def shown_of_all(shown_count: int, total: str, graph_version: str, advice: str) -> RenderableType:
    """The line under a table that may be longer."""
    return Text(
        printable(f"{shown_count:,} of {total} in graph {graph_version}{advice}"),
        "dim",
        overflow="fold",
    )


def neighbor_table(
    console: Console, interest: Interest, neighbors: Sequence[Neighbor]
) -> RenderableType:
    """What an interest is joined with: bars for the combined weight, numbers for its parts."""
    wide = min(console.width, MAX_WIDTH) >= 76
    blocks = console.encoding.lower().startswith("utf")
    width = 16 if wide else 8
    table = _columns(console, "Neighbour", flexible=1)
    _number(table, "Weight", 6)
    table.add_column(width=width, no_wrap=True)
    _number(table, "Meaning", 7)
    _number(table, "People", 6)
    for neighbor in neighbors:
        table.add_row(
            _name(neighbor.interest),
            _share(neighbor.weight, ""),
            Text(score_bar(neighbor.weight, width, blocks=blocks), "cyan"),
            _share(neighbor.semantic, "dim"),
            _share(neighbor.engagement, "dim"),
        )
    head = Text.assemble((printable(interest.phrase), "bold"), (f"  {_facts(interest)}", "dim"))
    return Group(head, Text(), table if neighbors else Text("joined with nothing", "dim"))


def overview(
    console: Console, info: GraphInfo, trending: Sequence[Interest], now: str = ""
) -> RenderableType:
    """A version as a whole.

    Args:
        console: where it will be printed.
        info: the version.
        trending: its trending interests, the surest first.
        now: the version that serves, where it is another one.
    """
    graph = info.graph
    facts = fact_table(
        [
            ("graph", graph.graph_version + (", serves now" if graph.current else now)),
            ("created", f"{_minute(graph.created_time)} UTC"),
            ("interests", f"{graph.interest_count:,}, {info.trending_count:,} trending"),
            (
                "edges",
                f"{graph.edge_count:,}: {info.semantic_edge_count:,} by meaning, "
                f"{info.engagement_edge_count:,} by people",
            ),
            ("documents", f"{graph.document_count:,}"),
        ]
    )
    parts: list[RenderableType] = [facts]
    if info.communities:
        table = _columns(console, "Largest communities", flexible=1)
        _number(table, "Number", 6)
        _number(table, "Interests", 9)
        for club in info.communities[:_OVERVIEW_COUNT]:
            table.add_row(
                Text(printable(club.name)), str(club.number), f"{club.interest_count:,}"
            )
        parts += [Text(), table, *_more(len(info.communities), "communities")]
    if info.topics:
        table = _columns(console, "Topics", flexible=1)
        for topic in info.topics[:_OVERVIEW_COUNT]:
            table.add_row(Text(printable(", ".join(topic.words[:_OVERVIEW_WORDS]))))
        parts += [Text(), table, *_more(len(info.topics), "topics")]
    if trending:
        parts += [Text(), Text("Trending", f"bold {_TRENDING}")]
        parts.append(interest_table(console, trending, bars=True))
    return Group(*parts)


def version_table(console: Console, versions: Iterable[GraphVersion]) -> RenderableType:
    """Every version that a server keeps."""
    wide = min(console.width, MAX_WIDTH) >= 76
    table = _columns(console, "Version", flexible=1)
    table.add_column("Created (UTC)", width=16, no_wrap=True)
    _number(table, "Interests", 9)
    if wide:
        _number(table, "Edges", 9)
        _number(table, "Documents", 11)
    for version in versions:
        style = "bold green" if version.current else ""
        name = printable(version.graph_version) + (" (now)" if version.current else "")
        cells = [Text(name, style), Text(_minute(version.created_time))]
        numbers = [version.interest_count]
        if wide:
            numbers += [version.edge_count, version.document_count]
        table.add_row(*cells, *(f"{number:,}" for number in numbers))
    return table


def diff_view(console: Console, diff: GraphDiff) -> RenderableType:
    """What changed: counts, then + and - line by line."""
    facts = fact_table(
        [
            ("from", diff.from_version),
            ("to", diff.to_version),
            (
                "interests",
                f"+{diff.added_count:,}  -{diff.removed_count:,}  {diff.renamed_count:,} renamed",
            ),
            ("trending", f"+{diff.newly_trending_count:,}  -{diff.no_longer_trending_count:,}"),
            ("edges", f"+{diff.added_edge_count:,}  -{diff.removed_edge_count:,}"),
        ]
    )
    parts: list[RenderableType] = [facts]
    lists = (
        ("Added", "+", "green", diff.added, diff.added_count),
        ("Removed", "-", "red", diff.removed, diff.removed_count),
        ("Trending now", "+", _TRENDING, diff.newly_trending, diff.newly_trending_count),
        (
            "No longer trending",
            "-",
            "dim",
            diff.no_longer_trending,
            diff.no_longer_trending_count,
        ),
    )
    for title, sign, colour, interests, count in lists:
        if not interests:
            continue
        table = _columns(console, title, flexible=1)
        _number(table, "Documents", 9)
        _number(table, "z", 6)
        for interest in interests:
            table.add_row(_name(interest, f"{sign} ", colour), *_counts(interest))
        parts += [Text(), table, *_more(count, "", len(interests))]
    if diff.renamed:
        table = _columns(console, "Renamed", flexible=1)
        for entry in diff.renamed:
            names = f"{printable(entry.from_phrase)} -> {printable(entry.to_phrase)}"
            table.add_row(Text(names))
        parts += [Text(), table, *_more(diff.renamed_count, "", len(diff.renamed))]
    return Group(*parts)


def fact_table(rows: Iterable[tuple[str, str]]) -> RenderableType:
    """Names and what is said about them."""
    table = Table.grid(padding=(0, _GAP, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(printable(name)), Text(printable(value)))
    return table


def _columns(console: Console, title: str, *, flexible: int) -> Table:
    """A table as wide as people read, whose first column takes what is left."""
    table = Table(
        box=None,
        padding=(0, _GAP, 0, 0),
        pad_edge=False,
        width=min(console.width, MAX_WIDTH) - 1,
        header_style="bold",
    )
    table.add_column(title, ratio=flexible, overflow="fold")
    return table


def _number(table: Table, title: str, width: int) -> None:
    table.add_column(title, width=width, justify="right", no_wrap=True)


def _name(interest: Interest, before: str = "", colour: str = "") -> Text:
    """The phrase, and other spellings beside it."""
    aliases = ", ".join(interest.aliases[:3])
    style = colour or (_TRENDING if interest.trending else "")
    name = Text.assemble((before + printable(interest.phrase), style))
    if aliases:
        name.append(f" ({printable(aliases)})", "dim")
    return name


def _counts(interest: Interest) -> tuple[str, str]:
    return f"{interest.document_count:,}", f"{interest.trend_z:+.1f}" if interest.trend_z else ""


def _facts(interest: Interest) -> str:
    facts = [interest.interest_id, f"{interest.document_count:,} documents"]
    if interest.trending:
        facts.append(f"trending, z {interest.trend_z:+.1f}")
    return printable(", ".join(facts))


def _share(value: float, style: str) -> Text:
    return Text(f"{value:.2f}" if value else "", style, justify="right")


def _more(count: int, what: str, shown: int = _OVERVIEW_COUNT) -> list[RenderableType]:
    left = count - shown
    return [Text(f"and {left:,} more {what}".rstrip(), "dim")] if left > 0 else []


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"
