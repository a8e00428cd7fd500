"""What people see of a comparison: z with stars, bars to the side of whoever has more.

This module does not know where results come from.
"""

from rich.console import Console, Group, RenderableType
from rich.text import Text

from inkling_client.cli_people_view import (
    ids,
    is_wide,
    largest_size,
    percent,
    signed,
    signed_bar,
    stars,
    table_of,
    versions_line,
)
from inkling_client.cli_view import printable
from inkling_client.comparison_results import Comparison, InterestDifference

EVERYBODY = "everybody"
_BAR = 12
_NARROW_BAR = 6
_NAME = 9


def comparison_view(console: Console, first: str, second: str, found: Comparison) -> RenderableType:
    """Where two people differ and agree.

    Args:
        console: where it will be printed.
        first: who z is above 0 for.
        second: "": everybody.
        found: the comparison.
    """
    second = second or EVERYBODY
    parts: list[RenderableType] = [
        Text.assemble((printable(first), "bold green"), " and ", (printable(second), "bold red")),
        _verdict(found),
    ]
    if found.clusters:
        parts += [Text(), _cluster_table(console, first, second, found)]
        parts.append(
            Text(
                f"z above 0: more of {printable(first)}'s. "
                "* beyond the 95 % quantile of one comparison, ** beyond the 99 % one",
                "dim",
                overflow="fold",
            )
        )
    for title, interests in (
        ("They differ in", found.differing_interests),
        ("They share", found.common_interests),
    ):
        if interests:
            parts += [Text(), _interest_table(console, title, first, second, interests)]
    parts += [
        Text(),
        versions_line(
            model=found.model_version, graph=found.graph_version, clusters=found.clusters_version
        ),
    ]
    return Group(*parts)


def _verdict(found: Comparison) -> Text:
    """One line: how sure it is that what their pictures look like differs."""
    largest = f"max |z| {found.max_abs_z:.2f}"
    level = _level(found.differs_at_95, found.differs_at_99)
    corrected = _level(found.differs_at_95_corrected, found.differs_at_99_corrected)
    if not level:
        return Text(f"no difference that is more than chance: {largest}", "bold", overflow="fold")
    words = f"they differ at {level}: {largest}"
    if corrected:
        words += f"; at {corrected} also when corrected for the number of clusters"
    else:
        words += "; not when corrected for the number of clusters"
    return Text(words, "bold", overflow="fold")


def _level(at_95: bool, at_99: bool) -> str:
    return "99 %" if at_99 else "95 %" if at_95 else ""


def _cluster_table(console: Console, first: str, second: str, found: Comparison) -> RenderableType:
    width = _BAR if is_wide(console) else _NARROW_BAR
    table = table_of(
        console,
        "Cluster",
        ("z", 7),
        ("", 2),
        ("", width),
        (_short(first), _NAME),
        (_short(second), _NAME),
        ("Shown by", 0),
        name_width=7,
    )
    largest = largest_size(entry.z for entry in found.clusters)
    for entry in found.clusters:
        mark = stars(entry.z)
        style = f"bold {'green' if entry.z > 0 else 'red'}" if mark else "dim"
        table.add_row(
            f"{entry.cluster}",
            Text(f"{entry.z:+.2f}", style),
            Text(mark, style),
            signed_bar(console, entry.z, largest, width),
            percent(entry.first_share),
            percent(entry.second_share),
            ids(entry.exemplar_content_ids),
        )
    return table


def _interest_table(
    console: Console,
    title: str,
    first: str,
    second: str,
    interests: tuple[InterestDifference, ...],
) -> RenderableType:
    table = table_of(console, title, (_short(first), _NAME), (_short(second), _NAME))
    for entry in interests:
        table.add_row(
            Text(printable(entry.phrase)),
            _weight(entry.first_weight),
            _weight(entry.second_weight),
        )
    return table


def _weight(weight: float) -> Text:
    return signed(weight, 3) if weight else Text("0", "dim")


def _short(name: str) -> str:
    """A name as the title of a narrow column; brackets would be read as markup."""
    text = printable(name).replace("[", "(").replace("]", ")")
    return text if len(text) <= _NAME else text[: _NAME - 1] + "~"
