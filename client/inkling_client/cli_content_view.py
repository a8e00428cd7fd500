"""What people see of content: one item as it is stored, and recommendations with their reasons.

This module does not know where results come from.
"""

from rich.console import Console, Group, RenderableType
from rich.text import Text

from inkling_client.cli_graph_view import fact_table
from inkling_client.cli_people_view import (
    bar,
    is_wide,
    largest_size,
    minute,
    signed,
    signed_bar,
    table_of,
    versions_line,
)
from inkling_client.cli_view import printable
from inkling_client.content_results import Reason, Recommendations, StoredContent

_BAR = 16
_NARROW_BAR = 8
# Of a text that is shown; whole ones may be articles.
# Reasons of one item; the others are summed up.
_REASONS = 5
_TEXT_LENGTH = 160


def content_view(console: Console, found: StoredContent) -> RenderableType:
    """One item: what is known of it, and what it is about."""
    context = found.context
    facts = [("item", found.content_id)]
    if found.author_id:
        facts.append(("author", found.author_id))
    if found.created_time:
        facts.append(("posted", minute(found.created_time)))
    if found.point:
        facts.append(("at", f"{found.point.latitude_deg:.5f}, {found.point.longitude_deg:.5f}"))
    for name, text in (
        ("location", context.location),
        ("title", context.title),
        ("caption", context.caption),
        ("overlay", context.overlay_text),
        ("hashtags", " ".join(f"#{tag}" for tag in context.hashtags)),
        ("comments", f"{len(context.comments):,}" if context.comments else ""),
        ("transcript", context.transcript),
        ("body", context.body),
    ):
        if text:
            facts.append((name, _cut(text)))
    facts.append(("picture", "embedding kept" if found.has_embedding else "none"))
    return Group(
        fact_table(facts),
        Text(),
        _tag_table(console, found),
        Text(),
        versions_line(model=found.model_version, graph=found.graph_version),
    )


def _tag_table(console: Console, found: StoredContent) -> RenderableType:
    if not found.tags:
        return Text("about nothing that is in the graph", "dim")
    width = _bar_width(console)
    table = table_of(console, "Interest", ("", width), ("Score", 5), ("Said by", 0), name_width=24)
    for tag in found.tags:
        evidence = tag.explanation.evidence if tag.explanation else ()
        sources = [f"{one.source} {one.weight:.0%}" for one in evidence]
        table.add_row(
            Text(printable(tag.phrase)),
            Text(bar(console, tag.score, width), "cyan"),
            f"{tag.score:.0%}",
            Text(printable(", ".join(sources)), "dim"),
        )
    return table


def recommendation_view(
    console: Console, user_id: str, found: Recommendations, *, explain: bool
) -> RenderableType:
    """What to show somebody next, the best first; with `explain`, each with its reasons."""
    name = printable(user_id)
    if found.cold_start:
        head = Text(f"nothing is known of {name} yet: what people in general keep", "bold yellow")
    else:
        head = Text(f"for {name}", "bold green")
    if not found.items:
        return Group(head, Text("nothing to recommend", "dim"))
    width = _bar_width(console)
    largest = largest_size(item.score for item in found.items)
    table = table_of(console, "Item", ("", width), ("Score", 8))
    for place, item in enumerate(found.items, start=1):
        table.add_row(
            Text.assemble((f"{place:>3} ", "dim"), printable(item.content_id)),
            signed_bar(console, item.score, largest, width),
            f"{item.score:.3f}",
        )
        if explain:
            shown, others = item.reasons[:_REASONS], item.reasons[_REASONS:]
            for reason in shown:
                table.add_row(Text("    ") + _because(reason), "", signed(reason.contribution, 3))
            if others:
                rest = Text(f"    {len(others)} more", "dim")
                table.add_row(rest, "", signed(sum(r.contribution for r in others), 3))
    versions = versions_line(
        model=found.model_version, graph=found.graph_version, clusters=found.clusters_version
    )
    return Group(head, Text(), table, Text(), versions)


def _because(reason: Reason) -> Text:
    """A reason in words."""
    match reason.kind:
        case "interest":
            words = f"cares for {reason.phrase}"
        case "visual":
            words = f"looks like what they keep, cluster {reason.cluster}"
        case "co_engagement":
            words = f"with {', '.join(reason.content_ids)}"
        case "popularity":
            words = "popular"
        case "freshness":
            words = "new"
        case _:
            words = "another reason"
    return Text(printable(words), "dim")


def _cut(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _TEXT_LENGTH else words[:_TEXT_LENGTH] + " ..."


def _bar_width(console: Console) -> int:
    return _BAR if is_wide(console) else _NARROW_BAR
