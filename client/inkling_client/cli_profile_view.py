"""What people see of people: profiles, who is whose collection's owner, visual clusters.

Comparisons are in `cli_compare_view.py`.

This module does not know where results come from.
"""

from rich.console import Console, Group, RenderableType
from rich.text import Text

from inkling_client.cli_graph_view import fact_table
from inkling_client.cli_people_view import (
    bar,
    counted,
    ids,
    is_wide,
    largest_size,
    minute,
    percent,
    signed,
    signed_bar,
    table_of,
    versions_line,
)
from inkling_client.cli_view import printable
from inkling_client.people_refresh_results import PeopleRefreshProgress, PeopleRefreshResult
from inkling_client.profile_results import (
    InterestWeight,
    Profile,
    ProfileRanking,
    Taste,
    VisualClusters,
    VisualProfile,
)

_BAR = 12
_NARROW_BAR = 6
_TASTE_INTERESTS = 6


def profile_view(console: Console, user_id: str, profile: Profile) -> RenderableType:
    """One person: what they do, what their pictures look like, what they care for."""
    facts = [("person", user_id), ("engagements", f"{profile.engagement_count:,}")]
    if profile.last_engagement_time:
        facts.append(("last", minute(profile.last_engagement_time)))
    visual = profile.visual
    if visual is not None:
        words = f"{visual.picture_count:,}"
        if visual.outdated_picture_count:
            words += f"; {visual.outdated_picture_count:,} more of an older model do not count"
        facts.append(("pictures", words))
    parts: list[RenderableType] = [fact_table(facts), Text()]
    if visual is not None:
        parts += [_visual_table(console, visual), Text()]
    else:
        why = "no visual profile: no picture that counts, or no clusters yet"
        parts += [Text(why, "dim", overflow="fold"), Text()]
    if profile.interests:
        parts += [_interest_table(console, profile.interests), Text()]
    if profile.tastes:
        parts += [_taste_table(console, profile.tastes, profile.interests), Text()]
    parts.append(
        versions_line(
            model=profile.model_version,
            graph=profile.graph_version,
            clusters=visual.clusters_version if visual else "",
        )
    )
    return Group(*parts)


def _visual_table(console: Console, visual: VisualProfile) -> RenderableType:
    """Bars for shares; how many times as large they are as everybody's."""
    width = _bar_width(console)
    columns = [("", width), ("Share", 6), ("General", 7), ("Times", 6), ("Shown by", 0)]
    table = table_of(console, "Cluster", *columns, name_width=7)
    largest = largest_size(entry.share for entry in visual.clusters) or 1.0
    for entry in visual.clusters:
        times = entry.share / entry.general_share if entry.general_share > 0 else 0.0
        table.add_row(
            f"{entry.cluster}",
            Text(bar(console, entry.share / largest, width), "cyan"),
            percent(entry.share),
            Text(percent(entry.general_share), "dim"),
            Text(f"x{times:.1f}" if times else "", "bold" if times > 1 else "dim"),
            ids(entry.exemplar_content_ids),
        )
    return table


def _interest_table(console: Console, interests: tuple[InterestWeight, ...]) -> RenderableType:
    """+ for what somebody cares for, - for what they hide."""
    width = _bar_width(console)
    table = table_of(console, "Interest", ("", width), ("Weight", 7), ("From graph", 10))
    largest = largest_size(entry.weight for entry in interests)
    for entry in interests:
        sign, colour = ("+", "green") if entry.weight > 0 else ("-", "red")
        table.add_row(
            Text.assemble((f"{sign} ", f"bold {colour}"), printable(entry.phrase)),
            signed_bar(console, entry.weight, largest, width),
            signed(entry.weight, 3),
            Text(f"{entry.smoothed_share:.0%}" if entry.smoothed_share else "", "dim"),
        )
    return table


def _taste_table(
    console: Console, tastes: tuple[Taste, ...], interests: tuple[InterestWeight, ...]
) -> RenderableType:
    width = _bar_width(console)
    columns = (("", width), ("Share", 6), ("With", 0))
    table = table_of(console, "Taste", *columns, name_width=20)
    phrases = {entry.interest_id: entry.phrase for entry in interests}
    for taste in tastes:
        others = [
            phrases.get(name, name) for name in taste.interest_ids if name != taste.interest_id
        ]
        table.add_row(
            Text(printable(taste.phrase)),
            Text(bar(console, taste.share, width), "green"),
            percent(taste.share),
            ids(others, _TASTE_INTERESTS),
        )
    return table


def ranking_view(console: Console, ranking: ProfileRanking) -> RenderableType:
    """Whose collection it is."""
    width = _bar_width(console)
    table = table_of(console, "Person", ("", width), ("Nats a picture", 14))
    largest = largest_size(entry.score for entry in ranking.profiles)
    for place, entry in enumerate(ranking.profiles, start=1):
        table.add_row(
            Text.assemble((f"{place:>3} ", "dim"), printable(entry.user_id)),
            signed_bar(console, entry.score, largest, width),
            signed(entry.score, 3),
        )
    pictures = counted(ranking.picture_count, "picture")
    words = (
        f"{ranking.candidate_count:,} people compared, by {pictures}; "
        "above 0: more like this person than like anybody"
    )
    return Group(
        table,
        Text(),
        Text(words, "dim", overflow="fold"),
        versions_line(model=ranking.model_version, clusters=ranking.clusters_version),
    )


def clusters_view(console: Console, found: VisualClusters) -> RenderableType:
    """The visual clusters that serve."""
    width = _bar_width(console)
    facts = [
        ("clusters", f"{len(found.clusters):,}, version {found.clusters_version}"),
        ("fitted to", f"{found.background_count:,} pictures"),
        ("sharpness", f"beta {found.beta:.3g}"),
    ]
    if found.created_time:
        facts.append(("created", minute(found.created_time)))
    table = table_of(console, "Cluster", ("", width), ("General", 7), ("About", 0), name_width=7)
    largest = largest_size(entry.general_share for entry in found.clusters) or 1.0
    for entry in found.clusters:
        about = Text(printable(", ".join(entry.phrases)))
        if entry.exemplar_content_ids and (is_wide(console) or not entry.phrases):
            about = Text.assemble(
                about, "  " if entry.phrases else "", ids(entry.exemplar_content_ids)
            )
        table.add_row(
            f"{entry.cluster}",
            Text(bar(console, entry.general_share / largest, width), "cyan"),
            percent(entry.general_share),
            about,
        )
    return Group(fact_table(facts), Text(), table, Text(), versions_line(model=found.model_version))


def people_refresh_summary(
    result: PeopleRefreshResult, progress: PeopleRefreshProgress
) -> RenderableType:
    """What a refresh of people has done."""
    clusters = result.clusters_version or "none: there are too few pictures"
    if result.clusters_refitted:
        clusters += ", fitted now"
    rows = [
        ("clusters", clusters),
        ("co-engagement", counted(result.co_engaged_content_count, "item")),
        ("popularity", counted(result.popular_content_count, "item")),
    ]
    if result.expired_engagement_count:
        rows.append(("expired", counted(result.expired_engagement_count, "engagement")))
    if progress.create_time and progress.end_time:
        took_s = (progress.end_time - progress.create_time).total_seconds()
        rows.append(("took", f"{took_s:,.1f} s"))
    return Group(Text("people are up to date", "bold green"), fact_table(rows))


def _bar_width(console: Console) -> int:
    return _BAR if is_wide(console) else _NARROW_BAR
