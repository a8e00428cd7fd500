"""The report's tables in Markdown. It measures nothing and reads no files."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

Lines = list[str]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Lines:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return lines + ["| " + " | ".join(_cell(x) for x in row) + " |" for row in rows]


def report(document: dict[str, Any]) -> Lines:
    """The whole report."""
    sections = document["sections"]
    lines = [
        f"# {document['question'].capitalize()}",
        "",
        f"{document['time'][:10]}, {document['processor']}, {document['cores']} cores. Server,"
        " Triton and load generator share them. Medians of interleaved rounds; raw values in the"
        " JSON beside this file. `python -m benchmarks.bench_speed`",
    ]
    if document.get("criteria"):
        lines += ["", "## Criteria", "", *_criteria(document["criteria"])]
    for name, make in _SECTIONS.items():
        if name in sections:
            lines += ["", *make(sections[name])]
    for part, costs in document.get("cost", {}).items():
        price = document["price_usd_per_core_hour"]
        lines += ["", f"## Cost of a million pictures ({part})", ""]
        lines += [f"At USD {price:g} for a processor-hour, machine at saturation.", ""]
        rows = [
            (name, c["usd_per_million"], c["server_cpu_s_per_picture"] * 1000)
            for name, c in costs.items()
        ]
        lines += table(("", "USD", "server CPU ms a picture"), rows)
    return lines


def _criteria(criteria: Sequence[dict[str, Any]]) -> Lines:
    rows = [
        (
            c["name"],
            c["measured"],
            f"{'<=' if c['at_most'] else '>='} {c['needed']:g}",
            "yes" if c["met"] else "**no**",
            c["note"],
        )
        for c in criteria
    ]
    return table(("", "measured", "needed", "met", ""), rows)


def _stages(found: dict[str, Any]) -> Lines:
    bare = found["bare"]
    return [
        f"Bare loops, pictures/s: decode {bare['decode']}, encode {bare['encode']}, search"
        f" {bare['search']}; ONNX Runtime fp32 encodes {bare['encode_fp32']}. One after the other"
        f" on these cores (the machine's limit): **{found['machine_limit']}**.",
        "",
    ]


def _gateway(found: dict[str, Any]) -> Lines:
    head = ("", "pictures/s", "of the limit", "p50 ms", "p99 ms", "server CPU ms", "client's share")
    rows = [
        (
            name,
            one["rate"],
            f"{one['of_machine']:.0%}",
            *_p50_p99(one["latency_ms"]),
            one["server_cpu_ms_per_picture"],
            f"{one['client_share_of_machine']:.0%}",
        )
        for name, one in found["results"].items()
    ]
    sized = [
        (
            f"{one['bytes'] / 1000:.0f} KB",
            one["bare_decode"],
            one["machine_limit"],
            one["TagStream"]["rate"],
            one["Tag"]["rate"],
            f"{one['TagStream']['rate'] / one['machine_limit']:.0%}",
            one["Tag"]["latency_ms"].get("p50"),
        )
        for one in found["sizes"].values()
    ]
    return [
        "## The gateway",
        "",
        *_stages(found),
        *table(head, rows),
        "",
        "By size of the file, 16 at a time:",
        "",
        *table(
            (
                "",
                "bare decode/s",
                "limit/s",
                "TagStream/s",
                "Tag/s",
                "TagStream of limit",
                "Tag p50 ms",
            ),
            sized,
        ),
    ]


def _peers(found: dict[str, Any], title: str = "## Peers: the same work") -> Lines:
    head = ("", "pictures/s", "spread", "p50 ms", "p99 ms", "server CPU ms", "failed")
    ordered = sorted(found["results"].items(), key=lambda pair: -pair[1]["rate"])
    rows = [
        (
            name,
            one["rate"],
            f"±{one['spread']:.0%}",
            *_p50_p99(one["latency_ms"]),
            one["server_cpu_ms_per_picture"],
            sum(one["failed"].values()) + one["refused"] + one["late"],
        )
        for name, one in ordered
    ]
    lines = [title, "", *(_stages(found) if found["bare"] else []), *table(head, rows)]
    if found["same_tags"]:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in found["same_tags"].items())
        lines += ["", f"The same tags as Inkling (overlap): {shares}."]
    for name, reason in found["missing"].items():
        lines += ["", f"Not measured: {name}. {reason}"]
    return lines


def _vit(found: dict[str, Any]) -> Lines:
    lines = _peers(found, "## Peers with a ViT-B/32")
    if found.get("perf_analyzer"):
        rows = [(name, rate) for name, rate in found["perf_analyzer"].items()]
        lines += ["", "Triton alone, by perf_analyzer:", "", *table(("", "pictures/s"), rows)]
    return lines


def _open(found: dict[str, Any]) -> Lines:
    head = ("of saturation", "offered/s", "goodput/s", "p50 ms", "p99 ms", "refused", "late")
    more = ("refusal p50 ms", "generator's share")
    rows = [
        (
            f"{one['share']:.0%}",
            one["offered_rate"],
            one["goodput"],
            *_p50_p99(one["latency_ms"]),
            f"{one['refused_share']:.1%}",
            f"{one['late_share']:.1%}",
            one["refusal_ms"].get("p50"),
            f"{one['client_share_of_machine']:.0%}",
        )
        for one in [*found["load"], *found["overload"]]
    ]
    return [
        "## Poisson arrivals, and overload",
        "",
        f"Tag saturates at {found['saturating_rate']} pictures/s; alone, a picture takes"
        f" {found['unloaded_p50_ms']:.1f} ms (p50). Times count from the scheduled arrival; an"
        f" answer after {found['deadline_s']:g} s is late. Nobody retries.",
        "",
        *table((*head, *more), rows),
    ]


def _scaling(found: dict[str, Any]) -> Lines:
    lines = ["## Scaling", ""]
    for name, what in (
        ("clients", "clients"),
        ("size", "bytes of a file"),
        ("batch", "batch at most"),
    ):
        one = found[name]
        rows = [
            (
                f"{p['x']:.0f}",
                *(p["goodput"], p["p50_ms"], p["p99_ms"]),
                *(p["server_cpu_ms_per_picture"], p["refused"]),
            )
            for p in one["points"]
        ]
        head = (what, "goodput/s", "p50 ms", "p99 ms", "server CPU ms", "refused")
        lines += [*table(head, rows), ""]
        for of, fit in ((one["of"], one["fit"]), ("p50_ms when busy", one.get("waiting"))):
            if fit:
                lines += [f"{of} ~ {name} ** {fit['exponent']} (r2 {fit['r2']})", ""]
    return lines[:-1]


def _memory(found: dict[str, Any]) -> Lines:
    def at(memory: dict[str, Any], role: str) -> str:
        one = memory.get(role)
        return f"{one['rss_mib']:.0f} / {one['pss_mib']:.0f}" if one else ""

    rows = []
    for role, grown in found["growth"].items():
        slope = f"{grown['mib_per_100k']:+.2f} ± {grown['half_width']:.2f}" if grown else ""
        early, last = found["early"]["memory"], found["last"]
        rows.append((role, at(found["idle"], role), at(early, role), at(last, role), slope))
    head = (
        *("", "idle", f"after {found['early']['requests']:,}", f"after {found['requests']:,}"),
        "growth, MiB per 100,000 requests",
    )
    return [
        "## Memory",
        "",
        f"Resident / proportional MiB; {found['requests']:,} requests: {found['counts']}.",
        "",
        *table(head, rows),
    ]


def _p50_p99(latency_ms: dict[str, float]) -> tuple[float | None, float | None]:
    return latency_ms.get("p50"), latency_ms.get("p99")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
    return str(value)


_SECTIONS: dict[str, Callable[[dict[str, Any]], Lines]] = {
    "gateway": _gateway,
    "peers": _peers,
    "vit": _vit,
    "open": _open,
    "scaling": _scaling,
    "memory": _memory,
}
