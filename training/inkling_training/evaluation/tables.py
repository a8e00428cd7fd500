"""The report's tables and texts as HTML fragments, everything escaped.

It takes the report's JSON, and leaves out what an old report lacks. It knows no plots and no page.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

Report = Mapping[str, Any]
_SHOWN_TAGS = 15
_TEXT, _LEFT = '<span class="text">', ' class="left"'  # cells that are no numbers
_DIGITS = 3
_VARIANTS = ("with prior", "without prior", "most frequent tags")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table of cells that are HTML already; the first column names the row."""
    cells = list(rows)
    if not cells:
        return ""
    made = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>'
        for row in cells
    )
    columns = "".join(
        f'<th scope="col"{_LEFT if first.startswith(_TEXT) else ""}>{escape(name)}</th>'
        for name, first in zip(head, cells[0], strict=True)
    )
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table>{told}<thead><tr>{columns}</tr></thead>'
        f"<tbody>{made}</tbody></table></div>"
    )


def subtitle(report: Report) -> str:
    """Below the page's name."""
    data = report.get("data", {})
    pictures = data.get("pictures judged") or report["tagging, all parts"]["pictures"]
    parts = [
        f"graph {report.get('graph')}",
        f"{pictures} pictures judged",
        str(report.get("date")),
        str(report.get("hardware")),
    ]
    return f"<p>{escape(' · '.join(parts))}</p>"


def headline(report: Report) -> str:
    """Figures with their intervals, drawn as lines on a scale from 0 to 1."""
    rows = [
        (
            _figure(name),
            f"<strong>{number(figure['value'])}</strong>",
            _range(figure),
            f"{_TEXT}{_strip(figure)}</span>",
            escape(figure["better"]),
        )
        for name, figure in report.get("headline", {}).items()
    ]
    return table(("figure", "value", "95 % interval", "0 to 1", "better"), rows)


def comparison(report: Report) -> str:
    """This run beside the baseline."""
    found = report.get("comparison")
    if not found:
        return ""
    warned = "".join(
        f'<p class="warning">Not comparable: {escape(text)}</p>' for text in found["obstacles"]
    ) + "".join(f"<p>{escape(text)}</p>" for text in found["notes"])
    rows = [
        (
            _figure(name),
            number(row["before"]),
            number(row["now"]),
            number(row["change"], "+"),
            _range(row, "+"),
            f'<span class="verdict {escape(row["verdict"])}">{escape(row["verdict"])}</span>',
        )
        for name, row in found["figures"].items()
    ]
    head = ("figure", "before", "now", "change", "95 % interval of the change", "verdict")
    return (
        f"<p>Before: {escape(found['before'])}</p>{warned}{table(head, rows)}"
        "<p>Better or worse: by more than the tolerance, and the interval of the paired difference "
        "(where there is one) excludes 0.</p>"
    )


def tagging(report: Report) -> str:
    """The three variants at the operating point."""
    found, point = report["tagging, all parts"], report["operating point"]
    names = ("precision", "recall", "f1", "coverage", "tags_per_picture")
    rows = []
    for variant in _VARIANTS:
        if variant in found:
            own = found[variant]
            rows.append(
                (
                    escape(variant),
                    *(number(own["broad"][name]) for name in names),
                    number(own["mean AP a picture"]),
                    number(own["mean AP a tag"]),
                    number(own["right in first 5 (strict)"]),
                )
            )
    head = ("", "precision", "recall", "F1", "coverage", "tags a picture", "mAP a picture")
    return (
        f"<p>At the operating point: the {point['top_n']} best tags with a score above "
        f"{number(point['min_score'])}. Calibration promised precision "
        f"{number(point['precision'])} and coverage {number(point['coverage'])}, with everyday "
        "photos weighing half; the figures below count every picture alike. The most frequent "
        "tags are given to every picture: what a model that sees nothing would get.</p>"
        + table((*head, "mAP a tag", "right in first 5 (strict)"), rows)
    )


def calibration(report: Report) -> str:
    """Errors of all pairs, and a sentence on single interests."""
    found = report.get("calibration")
    if not found:
        return ""
    names = [name for name in found if "ECE" in name or name in ("Brier score", "mean score")]
    rows = [(escape(name), number(found[name], digits=5)) for name in (*names, "share right")]
    tags = found["by tag"]
    told = (
        f"<p>Of {tags['tags']} tags with enough data, {percent(tags['share over-confident'])} "
        f"promise surely too much and {percent(tags['share under-confident'])} surely too little "
        f"(|z| above 2). Mean calibration error of a tag: {number(tags['mean ECE'], digits=5)}.</p>"
    )
    return told + table(("over all pairs of picture and tag", "value"), rows)


def worst_calibrated(report: Report) -> str:
    """The interests furthest from what they promise, either way."""
    columns = report.get("calibration", {}).get("by tag", {}).get("columns")
    if not columns:
        return ""
    names = ("phrase", "promised", "right", "z", "ECE")
    tags = list(zip(*(columns[name] for name in names), strict=True))
    head = ("tag", "pictures promised", "right", "z", "ECE")
    made = ""
    for title, sign in (("promise too much", 1), ("promise too little", -1)):
        rows = [
            (
                escape(str(phrase)),
                number(promised, digits=1),
                number(right, digits=0),
                number(z, "+", digits=1),
                number(error, digits=4),
            )
            for phrase, promised, right, z, error in tags
            if z * sign > 0
        ][:_SHOWN_TAGS]
        made += table(head, rows, f"The {len(rows)} tags that most surely {title}")
    return f'<div class="plots">{made}</div>' if made else ""


def best_and_worst(report: Report) -> str:
    """Interests by average precision."""
    found = report.get("AP by tag")
    if not found or not found["phrase"]:
        return ""
    rows = [
        (escape(str(phrase)), number(right, digits=0), number(precision))
        for phrase, right, precision in zip(
            found["phrase"], found["right"], found["AP"], strict=True
        )
    ]
    head = ("tag", "right pictures", "average precision")
    some = min(_SHOWN_TAGS, len(rows) // 2 or 1)
    return (
        '<div class="plots">'
        + table(head, rows[:some], f"The best {some} of {len(rows)}")
        + table(head, rows[::-1][:some], f"The worst {some} of {len(rows)}")
        + "</div>"
    )


def unseen(report: Report) -> str:
    """Classes that training left out."""
    rows = [
        (
            escape(source),
            number(found["pictures"], digits=0),
            *(
                f"{number(found[f'top1 of {kind}'])} of {found[f'{kind} classes']}"
                for kind in ("all", "unseen")
            ),
        )
        for source, found in report.get("unseen classes", {}).items()
    ]
    head = ("source", "pictures", "top-1 among all classes", "top-1 among the unseen")
    return table(head, rows, "Classes that training never saw")


def bundled(report: Report) -> str:
    """The photos of the packages, with their first tags."""
    rows = []
    for name, found in report.get("bundled photos", {}).items():
        tags = ", ".join(f"{tag} {score:.2f}" for tag, score in found["tags"].items())
        right = found["right in first three"]
        verdict = "better" if right else "worse"
        rows.append(
            (
                escape(name),
                f'<span class="verdict {verdict}">{"yes" if right else "no"}</span>',
                f"{_TEXT}{escape(tags)}</span>",
            )
        )
    return table(("photo", "right in first three", "first five tags"), rows)


def settings(report: Report) -> str:
    """Everything that a reader needs to measure the same again."""
    data = dict(report.get("data", {}))
    sources = data.pop("sources", {})
    told = {
        "model": report.get("model"),
        "graph": report.get("graph"),
        "hardware": report.get("hardware"),
        "schema": report.get("schema", 1),
        **{f"data: {name}": value for name, value in data.items()},
        "data: sources": ", ".join(f"{name} {count}" for name, count in sources.items()) or "-",
        **report.get("settings", {}),
    }
    rows = [(escape(name), f"{_TEXT}{escape(str(value))}</span>") for name, value in told.items()]
    return (
        table(("", ""), rows)
        + "<p>Right means: the picture's own tags, and what follows from them nearly always (a dog "
        "is a pet and an animal). A tag that is only likely, or whose name is nearly a right "
        "one's, counts neither for nor against. Labels are incomplete, so some "
        "“wrong” tags are right. Intervals: 95 %, bootstrap over pictures; they "
        "do not tell what another training run would give.</p>"
    )


def number(value: float | None, sign: str = "", digits: int = _DIGITS) -> str:
    """A figure, or a dash."""
    if value is None:
        return "–"
    if 0 < abs(value) < 10 ** (1 - digits) and digits == _DIGITS:
        digits += 2  # calibration errors and Brier scores are small
    return f"{value:{sign}.{digits}f}"


def percent(value: float | None) -> str:
    """A share in per cent, or a dash."""
    return "–" if value is None else f"{100 * value:.0f} %"


def _figure(name: str) -> str:
    return escape(name.replace("->", " → "))


def _range(figure: Mapping[str, Any], sign: str = "") -> str:
    if figure["low"] is None:
        return number(None)
    return f"{number(figure['low'], sign)} to {number(figure['high'], sign)}"


def _strip(figure: Mapping[str, Any]) -> str:
    low, high, value = figure["low"], figure["high"], figure["value"]
    if low is None or high is None or value is None:
        return ""
    left, right = max(0.0, low) * 100, min(1.0, high) * 100
    return (
        '<svg class="strip" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<line class="scale" x1="0" x2="100" y1="5" y2="5"/>'
        f'<line class="around" x1="{left:.2f}" x2="{right:.2f}" y1="5" y2="5"/>'
        f'<line class="value" x1="{100 * value:.2f}" x2="{100 * value:.2f}" y1="1" y2="9"/></svg>'
    )
