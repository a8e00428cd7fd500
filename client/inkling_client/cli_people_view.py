"""What the tables about content and people share: columns, bars, signs, stars, versions.

Words of servers are data: they are shown without control characters and never read as markup.

This module does not know what a table is about.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from inkling_client.cli_view import MAX_WIDTH, printable, score_bar

GAP = 2
# From so many columns on there is room for more of them.
WIDE = 76
LIKES, DISLIKES = "green", "red"
# |z| beyond which one comparison is significant, and how it is marked.
_STARS = ((2.5758, "**"), (1.9600, "*"))
_SHOWN_IDS = 3


def is_wide(console: Console) -> bool:
    """Whether there is room for the columns that can be done without."""
    return console.width >= WIDE


def table_of(console: Console, title: str, *others: tuple[str, int], name_width: int = 12) -> Table:
    """A table whose first and last column fold, and share what the others leave.

    Args:
        console: where it will be printed.
        title: of the first column.
        others: title and width of the others; they hold numbers, and bars where there is no title.
            A width of 0 is the last column's: it takes what is left.
        name_width: of the first column, where the last one takes what is left.
    """
    fixed = sum(width + GAP for _, width in others)
    left = max(min(console.width, MAX_WIDTH) - 1 - fixed, 8)
    grows = bool(others) and others[-1][1] == 0
    first = min(name_width, left // 2) if grows else left
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    table.add_column(title, min_width=min(first, name_width), max_width=first, overflow="fold")
    for name, width in others:
        if width:
            side = "right" if name else "left"
            table.add_column(name, width=width, justify=side, no_wrap=True)  # type: ignore[arg-type]
        else:
            table.add_column(name, max_width=max(left - first, 8), overflow="fold")
    return table


def bar(console: Console, share: float, width: int) -> str:
    """A bar for a share in [0, 1], drawn with what the console can show."""
    return score_bar(share, width, blocks=console.encoding.lower().startswith("utf"))


def signed_bar(console: Console, value: float, largest: float, width: int) -> Text:
    """A bar for the size of a value, green above 0 and red below, against the largest size."""
    share = abs(value) / largest if largest > 0 else 0.0
    return Text(bar(console, share, width), LIKES if value > 0 else DISLIKES)


def signed(value: float, digits: int = 2) -> Text:
    """A number with its sign, coloured by it."""
    return Text(f"{value:+.{digits}f}", LIKES if value > 0 else DISLIKES, justify="right")


def stars(z: float) -> str:
    """ "**" beyond the 99 % quantile of one comparison, "*" beyond the 95 % one."""
    return next((mark for limit, mark in _STARS if abs(z) > limit), "")


def ids(names: Sequence[str], count: int = _SHOWN_IDS) -> Text:
    """The first of some items' ids."""
    more = ", ..." if len(names) > count else ""
    return Text(printable(", ".join(names[:count])) + more, "dim")


def counted(count: int, what: str) -> str:
    """ "1 item", "1,234 items"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """ "12.3%"."""
    return f"{share:.1%}"


def minute(time: datetime | None) -> str:
    """A moment in UTC; "" where there is none."""
    return f"{time:%Y-%m-%d %H:%M} UTC" if time is not None else ""


def versions_line(**versions: str) -> Text:
    """The versions that an answer is of, as far as there are any."""
    words = " · ".join(f"{name} {version}" for name, version in versions.items() if version)
    return Text(printable(words), "dim", overflow="fold")


def largest_size(values: Iterable[float]) -> float:
    """The largest absolute value; 0 of none."""
    return max((abs(value) for value in values), default=0.0)
