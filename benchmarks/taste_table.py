"""How bench_taste's report reads: markdown.

It measures nothing.
"""

from typing import Any


def cell(found: dict[str, Any], digits: int = 3) -> str:
    """Mean and band."""
    text = f"{found['mean']:.{digits}f}"
    return text + (f" ± {found['band']:.{digits}f}" if found["band"] else "")


def percent(found: dict[str, Any]) -> str:
    """Mean and band of a share."""
    text = f"{100 * found['mean']:.1f}"
    return text + (f" ± {100 * found['band']:.1f}" if found["band"] else "") + " %"


def grid(head: list[str], rows: list[list[str]]) -> list[str]:
    """A markdown table."""
    return ["", *(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]), ""]


def table(report: dict[str, Any]) -> list[str]:
    """Markdown."""
    size = report["sizes"][-1]
    draws, tastes = report["draws"], report["draws"]["tastes"]
    lines = [
        f"# Pairs of people, and whose collection it is: {report['hardware']}, {report['date']}",
        "",
        f"Simulated people, real photos: {report['photos']} of {report['classes']} classes. Model "
        f"{report['model']}; {report['background']} background photos, {report['clusters']} "
        f"clusters. {tastes['user_count']} people over {draws['class_count']} classes, "
        f"concentration {tastes['concentration']:g} (about {report['effective_classes']} effective "
        f"classes), "
        f"{tastes['train_count']} + {tastes['held_out_count']} pictures each. "
        f"{report['cpu_s']} s of CPU time; "
        + ", ".join(f"{name} {version}" for name, version in report["versions"].items())
        + ". ± is a 95 % interval over draws.",
        "",
        f"The server's defaults: {_settings(report['server'])}. Other draws would choose: "
        f"{_settings(report['chosen'])}.",
        "",
        "## Pairs: share with max |z| beyond a level",
        *_pairs(report["pairs"]),
        "With what other draws would choose:",
        *_pairs(report["pairs as chosen"]),
        "## Attribution: mean reciprocal rank",
        *_attribution(report["attribution"]),
        f"Expected of chance: {report['expected random']}. Visual profile as other draws would "
        "choose: "
        + ", ".join(f"{n}: {cell(one)}" for n, one in report["attribution as chosen"].items())
        + ".",
        "",
        "Lead of the visual profile, paired by draw:",
    ]
    sizes = [str(one) for one in report["sizes"]]
    lines += grid(
        ["over", *sizes],
        [[row, *(cell(found[n]) for n in sizes)] for row, found in report["leads"].items()],
    )
    unseen = report["unseen"]
    lines += [
        "## Pictures that the model was trained without",
        "",
        f"{unseen['classes']} classes, by draw, with few pictures each: tastes flatten as classes "
        "run out.",
        *_attribution(unseen["attribution"]),
        f"## Prior of the comparison ({size} pictures)",
    ]
    names = ("different > 2", "null > 2", "null quantile", "different > null quantile")
    lines += grid(
        ["variance, prior in pictures", *names],
        [
            [
                key,
                percent(row[names[0]]),
                percent(row[names[1]]),
                cell(row[names[2]], 2),
                percent(row[names[3]]),
            ]
            for key, row in report["priors"].items()
        ],
    )
    lines += [f"## beta, by odds ({size} pictures)", *_effects("odds", report["betas"])]
    lines += [f"## Clusters ({size} pictures)", *_effects("K", report["cluster_counts"])]
    lines += [
        f"## Width of tastes ({size} pictures)",
        *_effects("concentration", report["concentrations"], ["classes kept"]),
    ]
    rows = list(next(iter(report["naming"].values())))
    lines += [
        f"## How plain must texts be? MRR, {size} pictures",
        "",
        "A share of the photos has its class's name as text, the rest any title. Of the real "
        f"titles {100 * report['naming_share']:.0f} % have a word of their community's name.",
        *grid(
            ["share named", *rows],
            [[share, *(cell(one[row]) for row in rows)] for share, one in report["naming"].items()],
        ),
    ]
    return lines


def _settings(maths: dict[str, Any]) -> str:
    scale = maths["compare_prior_scale"]
    worth = "one picture a cluster" if scale is None else f"{scale:g} pictures"
    return (
        f"odds {maths['odds']:g}, prior of a comparison {worth}, "
        f"of a ranking {maths['rank_prior_scale']:g} pictures, variance {maths['variance']}"
    )


def _pairs(pairs: dict[str, Any]) -> list[str]:
    levels = [
        name.removeprefix("different ")
        for name in next(iter(pairs.values()))
        if name.startswith("different >")
    ]
    levels.remove("> null quantile")
    head = ["pictures", *(f"{who} {level}" for level in levels for who in ("different", "null"))]
    rows = []
    for size, found in pairs.items():
        cells = [
            percent(found[f"{who} {level}"]) for level in levels for who in ("different", "null")
        ]
        cells += [cell(found["null quantile"], 2), percent(found["different > null quantile"])]
        rows.append([size, *cells])
    return grid([*head, "95 % quantile of null", "different > that"], rows)


def _attribution(rows: dict[str, Any]) -> list[str]:
    sizes = list(next(iter(rows.values())))
    return grid(
        ["pictures", *sizes],
        [[row, *(cell(found[size]) for size in sizes)] for row, found in rows.items()],
    )


def _effects(first: str, rows: dict[str, Any], more: list[str] | None = None) -> list[str]:
    names = [*(more or []), "beta", "perplexity", "mrr"]
    shares = ["different > 2", "null > 2", "different > null quantile"]
    return grid(
        [first, *names, *shares],
        [
            [
                key,
                *(cell(row[name], 3 if name == "mrr" else 1) for name in names),
                *(percent(row[name]) for name in shares),
            ]
            for key, row in rows.items()
        ],
    )
