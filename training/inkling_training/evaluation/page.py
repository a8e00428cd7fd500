"""The report as one HTML file: no other file, no script, nothing loaded from anywhere.

    report (JSON) ─► plots, tables ─┐
    examples ───────────────────────┴─► page

Every string of the report or of the data is escaped: a phrase may hold anything that somebody wrote
on the internet. The page is well-formed XML, too, so that any parser can check it. Light or dark as
the reader's system is. It knows no figures: what to show is in `tables` and `plots`.
"""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from inkling_training.evaluation import plots, tables
from inkling_training.evaluation.examples import Example
from inkling_training.evaluation.svg import Plot


def render(report: Mapping[str, Any], examples: Sequence[Example] = ()) -> str:
    """The whole page.

    Args:
        report: figures of the current schema, or of an earlier one: sections without figures are
            left out.
        examples: pictures with their answers; none leaves the section out.
    """
    drawn = plots.draw(report)
    sections = [
        _section("headline", "Headline", tables.headline(report)),
        _section("comparison", "Against the previous report", tables.comparison(report)),
        _section(
            "tagging",
            "Tags",
            tables.tagging(report)
            + _figures(drawn, "thresholds")
            + _figures(drawn, "trade", "precision-recall"),
        ),
        _section(
            "slices",
            "Where it is better and worse",
            _figures(drawn, "by-source") + _figures(drawn, "by-size") + _figures(drawn, "by-tags"),
        ),
        _section(
            "calibration",
            "Can the scores be believed?",
            tables.calibration(report)
            + _figures(drawn, "reliability", "scores")
            + tables.worst_calibrated(report),
        ),
        _section(
            "matching",
            "Without graph or scores",
            _figures(drawn, "retrieval", "nested")
            + _figures(drawn, "classes")
            + tables.unseen(report),
        ),
        _section("by-tag", "Best and worst tags", tables.best_and_worst(report)),
        _section("examples", "Examples", _examples(examples)),
        _section("bundled", "Photos that anybody has", tables.bundled(report)),
        _section("settings", "What was measured, and how", tables.settings(report)),
    ]
    title = escape(f"Evaluation of {report['model']}")
    style = files("inkling_training.evaluation").joinpath("page.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en" xmlns="http://www.w3.org/1999/xhtml"><head>'
        '<meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        '<meta name="color-scheme" content="light dark"/>'
        f"<title>{title}</title><style>{style}</style></head><body>"
        f"<header><h1>{title}</h1>{tables.subtitle(report)}</header>"
        f"<main>{''.join(sections)}</main></body></html>\n"
    )


def _section(name: str, title: str, body: str) -> str:
    if not body:
        return ""
    return f'<section id="{name}"><h2>{escape(title)}</h2>{body}</section>'


def _figures(drawn: Mapping[str, Plot], *names: str) -> str:
    shown = [drawn[name] for name in names if name in drawn]
    if not shown:
        return ""
    inner = "".join(
        f'<figure id="plot-{plot.name}"><h3>{escape(plot.title)}</h3>{plot.svg}'
        f"<figcaption>{escape(plot.says)}</figcaption></figure>"
        for plot in shown
    )
    return f'<div class="plots">{inner}</div>'


def _examples(examples: Sequence[Example]) -> str:
    if not examples:
        return ""
    legend = (
        "<p>Chosen by chance, the same number from every source. "
        '<span class="tag right">right</span> '
        '<span class="tag wrong">wrong, or not labelled</span> '
        '<span class="tag unjudged">nobody can say</span> '
        '<span class="tag missed">missed</span></p>'
    )
    return f'{legend}<div class="examples">{"".join(map(_example, examples))}</div>'


def _example(example: Example) -> str:
    given = "".join(
        f'<li class="tag {tag.kind}">{escape(tag.phrase)} <small>{tag.score:.2f}</small></li>'
        for tag in example.given
    )
    missed = "".join(f'<li class="tag missed">{escape(phrase)}</li>' for phrase in example.missed)
    told = ", ".join(tag.phrase for tag in example.given) or "no tag"
    alt = escape(f"A picture of {example.source}; tags given: {told}", quote=True)
    return (
        f'<article><img src="{escape(example.picture, quote=True)}" width="{example.width}" '
        f'height="{example.height}" alt="{alt}"/>'
        f"<p>{escape(example.source)}</p>"
        f"<ul>{given or '<li class=' + chr(34) + 'none' + chr(34) + '>no tag</li>'}{missed}</ul>"
        "</article>"
    )
