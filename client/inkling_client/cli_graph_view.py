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
_NAME_WIDTH = 24
# From so many columns on there is room for more of them.
_WIDE = 76
_DOCUMENTS, _Z = ("Documents", 9), ("z", 6)
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
        bars: they are trending: draws z-scores as bars, too.
    """
    wide = _is_wide(console)
    if bars:
        width = 12 if wide else 6
        table = _table(console, "Trending", _DOCUMENTS, _Z, ("", width))
        largest = max((interest.trend_z for interest in interests), default=0.0) or 1.0
    else:
        rank = [("Rank", 8)] if wide else []
        table = _table(console, "Interest", _DOCUMENTS, _Z, *rank, ("Community", 9))
    for interest in interests:
        cells: list[RenderableType] = [_name(interest), *_counts(interest)]
        if bars:
            cells.append(Text(_bar(console, interest.trend_z / largest, width), _TRENDING))
        else:
            number = interest.community_number
            cells += [f"{interest.rank:.3%}"] if wide else []
            cells.append("" if number is None else str(number))
        table.add_row(*cells)
    return table


def shown_of_all(shown_count: int, graph_version: str, *, more: bool) -> RenderableType:
    """The line under a table that may be longer."""
    if not shown_count:
        words = f"no such interest in graph {graph_version}"
    elif more:
        words = f"the first {shown_count:,} in graph {graph_version}; --limit N shows more"
    else:
        plural = "" if shown_count == 1 else "s"
        words = f"{shown_count:,} interest{plural} in graph {graph_version}"
    return Text(printable(words), "dim", overflow="fold")


def neighbor_table(
    console: Console, interest: Interest, neighbors: Sequence[Neighbor]
) -> RenderableType:
    """What an interest is joined with: bars for the combined weight, numbers for its parts."""
    width = 16 if _is_wide(console) else 8
    columns = (("Weight", 6), ("", width), ("Meaning", 7), ("People", 6))
    table = _table(console, "Neighbour", *columns)
    for neighbor in neighbors:
        table.add_row(
            _name(neighbor.interest),
            _share(neighbor.weight, ""),
            Text(_bar(console, neighbor.weight, width), "cyan"),
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
        table = _table(console, "Largest communities", ("Number", 6), ("Interests", 9))
        for club in info.communities[:_OVERVIEW_COUNT]:
            table.add_row(Text(printable(club.name)), str(club.number), f"{club.interest_count:,}")
        parts += [Text(), table, *_more(len(info.communities), "communities")]
    if info.topics:
        table = _table(console, "Topics")
        for topic in info.topics[:_OVERVIEW_COUNT]:
            table.add_row(Text(printable(", ".join(topic.words[:_OVERVIEW_WORDS]))))
        parts += [Text(), table, *_more(len(info.topics), "topics")]
    if trending:
        parts += [Text(), interest_table(console, trending, bars=True)]
    return Group(*parts)


def version_table(console: Console, versions: Iterable[GraphVersion]) -> RenderableType:
    """Every version that a server keeps."""
    wide = _is_wide(console)
    more = [("Edges", 9), ("Documents", 11)] if wide else []
    table = _table(console, "Version", ("Created (UTC)", 16), ("Interests", 9), *more)
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
    listed = [_name(interest, "+ ") for _, _, _, interests, _ in lists for interest in interests]
    width = max((name.cell_len for name in listed), default=0)
    for title, sign, colour, interests, count in lists:
        if not interests:
            continue
        table = _table(console, title, _DOCUMENTS, _Z, name_width=width)
        for interest in interests:
            table.add_row(_name(interest, f"{sign} ", colour), *_counts(interest))
        parts += [Text(), table, *_more(count, "", len(interests))]
    if diff.renamed:
        table = _table(console, "Renamed")
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


def _table(
    console: Console, title: str, *others: tuple[str, int], name_width: int = _NAME_WIDTH
) -> Table:
    """A table whose first column takes what it needs, as far as the others leave room.

    Args:
        console: where it will be printed.
        title: of the first column.
        others: title and width of the others; they hold numbers, and bars where there is no title.
        name_width: least width of the first column, so that tables in a row are alike.
    """
    left = min(console.width, MAX_WIDTH) - 1 - sum(width + _GAP for _, width in others)
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
    table.add_column(title, min_width=min(left, name_width), max_width=left, overflow="fold")
    for name, width in others:
        table.add_column(name, width=width, justify="right" if name else "left", no_wrap=True)
    return table


def _is_wide(console: Console) -> bool:
    return console.width >= _WIDE


def _bar(console: Console, share: float, width: int) -> str:
    return score_bar(share, width, blocks=console.encoding.lower().startswith("utf"))


def _name(interest: Interest, before: str = "", colour: str = "") -> Text:
    """The phrase, and other spellings beside it."""
    aliases = ", ".join(interest.aliases[:2])
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
