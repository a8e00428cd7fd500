"""Does our recommender find what people like next: beside popularity, item-kNN, ALS and BPR?

    python -m benchmarks.bench_recommend                            a table; JSON as the last line
    python -m benchmarks.bench_recommend --out benchmarks/results   and both as files
    python -m benchmarks.bench_recommend --quick                    few parameters: a quick look

References: implicit 0.7.3 (requirements/people-references.txt). Data: 407 people's ratings of
films, see recommend_data.py. Flickr's sample beside it has no engagement of people with others'
photos (a photo belongs to who took it; likes are bare counts): nothing in it to recommend.

Split by time: of each person the latest fifth is the test, and of what is left the latest fifth the
validation part. Every parameter, ours and the references', is chosen by nDCG@20 on the validation
part; then everything is learnt anew from both. Nobody is judged on what came before what was learnt
of them. A split at one moment for all would be stricter still (here later ratings of other people
are known), but most of these people rated for less than a day: only about 20 of them would have
both a past and a future.

    recall    hits among the 20 / min(20, films liked later that they had not rated before)
    nDCG      of the same, with binary gains
    interval  95 %, bootstrap over people; ours minus another: of the differences, person by person
    items     distinct films recommended to anybody

Rows without a part, and those with diversity, have the parameters of "ours", unchanged. EASE by its
whole matrix is what ours approaches (profiles/co_engagement.py).

Films have no pictures: the visual part of the score is measured alone, see recommend_pictures.py.
"""

import argparse
import json
import os
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

# Before numpy's own BLAS reads it.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

from benchmarks.recommend_data import Films, Judged, Trial, interval, judge, latest, mean_of, read
from benchmarks.recommend_models import (
    Model,
    Ours,
    Parameters,
    drawn,
    exact_ease,
    factors,
    grid,
    nearest,
    popular,
)
from benchmarks.recommend_pictures import visual_recalls
from benchmarks.report import hardware, versions, write_report
from inkling_server.profiles.co_engagement import CoEngagementSettings
from inkling_server.profiles.recommend import KIND_WEIGHTS, RankSettings
from inkling_training.data import sample_data_dir

SEEDS, PICTURE_SEEDS = 5, 5
REPOSITORY = Path(__file__).resolve().parent.parent / "model_repository"
REFERENCES: dict[str, tuple[Model, list[Parameters]]] = {
    "popularity": (popular, list(grid(view=[0.0, 0.3, 1.0]))),
    "item-kNN": (
        nearest,
        list(
            grid(kind=["cosine", "tf-idf", "bm25"], k=[20, 50, 100, 200, 500], view=[0.0, 0.3, 1.0])
        ),
    ),
    "ALS": (
        partial(factors, kind="als"),
        drawn(
            60,
            factors=[8, 16, 32, 64, 128],
            regularization=[0.01, 0.1, 1.0, 10.0],
            alpha=[1.0, 5.0, 20.0],
            iterations=[15, 30],
            view=[0.0, 0.3],
        ),
    ),
    "BPR": (
        partial(factors, kind="bpr"),
        drawn(
            60,
            factors=[16, 32, 64],
            learning_rate=[0.01, 0.05, 0.1],
            regularization=[0.001, 0.01, 0.05, 0.1],
            iterations=[100, 300],
            view=[0.0, 0.3],
        ),
    ),
    "EASE, whole matrix": (
        exact_ease,
        list(grid(view=[0.0, 0.1, 0.3], ridge=[50.0, 100.0, 200.0, 400.0])),
    ),
}
SEEDED = ("ALS", "BPR")
VIEWS, RIDGES = [0.1, 0.3], [50.0, 100.0, 200.0]
WEIGHTS = [0.0, 0.05, 0.1, 0.2, 0.3, 0.5]
YEAR_S = 365.25 * 86_400


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(arguments)
    log, films = read(sample_data_dir() / "engagement" / "movielens.jsonl.gz")
    test = latest(log, 0.2)
    past = log.where(~test)
    validation = latest(past, 0.2)
    tuning = Trial.of(past.where(~validation), past.where(validation), films.count)
    final = Trial.of(past, log.where(test), films.count)
    report: dict[str, Any] = {
        "hardware": hardware(),
        "versions": versions(["implicit", "numpy", "scipy"]),
        "people": log.person_count,
        "items": films.count,
        "engagements": len(log.people_M),
        "people_judged": len(final.people_U),
        "people_of_validation": len(tuning.people_U),
        "models": {},
    }
    judged: dict[str, Judged] = {}
    for name, (model, choices) in REFERENCES.items():
        start = time.perf_counter()
        chosen, found = tuned(model, choices[:2] if options.quick else choices, tuning, films)
        seeds = [{"random_state": seed} for seed in range(SEEDS)] if name in SEEDED else [{}]
        judged[name] = mean_of(
            [judge(model(final, films, **chosen, **seed), final) for seed in seeds]
        )
        note(report, name, judged[name], chosen, found, time.perf_counter() - start)
    start = time.perf_counter()
    settings, fit, found = tuned_ours(tuning, films, quick=options.quick)
    shipped_fit = {"view": KIND_WEIGHTS[0], "ridge": CoEngagementSettings().ridge}
    fits = {"ours, as shipped": (Ours.of(final, films, **shipped_fit), shipped_fit)}
    by_itself = (Ours.of(final, films, **fit), fit)
    for name, variant, diversity in variants(settings):
        ours, fit = fits.get(name, by_itself)
        judged[name] = judge(ours.top(variant, diversity), final)
        chosen = {**fit, **asdict(variant), "diversity": diversity}
        note(report, name, judged[name], chosen, found, time.perf_counter() - start)
    for name, other in judged.items():
        gain_U = judged["ours"].ndcg_U - other.ndcg_U
        report["models"][name]["ours_minus_this_ndcg"] = [
            round(float(gain_U.mean()), 4),
            interval(gain_U),
        ]
    recalls = visual_recalls(
        sample_data_dir(), REPOSITORY, range(1 if options.quick else PICTURE_SEEDS)
    )
    report["pictures"] = {
        name: {
            "recall_at_20": round(float(recall_U.mean()), 4),
            "interval": interval(recall_U),
            "visual_part_minus_this": interval(recalls["visual part"] - recall_U),
        }
        for name, recall_U in recalls.items()
    }
    lines = table(report)
    print("\n".join(lines))
    if options.out:
        write_report(options.out, "recommend", lines, report)
    print(json.dumps(report))


def tuned(
    model: Model, choices: list[Parameters], trial: Trial, films: Films
) -> tuple[Parameters, float]:
    """The best parameters, and their nDCG@20."""
    seed = {"random_state": 0} if "factors" in choices[0] else {}
    scored = [(score(model(trial, films, **choice, **seed), trial), choice) for choice in choices]
    best = max(scored, key=lambda pair: pair[0])
    return best[1], best[0]


def tuned_ours(
    trial: Trial, films: Films, *, quick: bool
) -> tuple[RankSettings, Parameters, float]:
    """Our weights and the fit's parameters, one after the other, twice over."""
    settings = RankSettings(co_engagement=1.0, interests=0, visual=0, popularity=0, freshness=0)
    fits = [
        (Ours.of(trial, films, **fit), fit)
        for fit in grid(view=VIEWS[-1:] if quick else VIEWS, ridge=RIDGES[1:2] if quick else RIDGES)
    ]
    best, fit, ours = -1.0, fits[0][1], fits[0][0]
    for _ in range(1 if quick else 2):
        for candidate, choice in fits:
            found = score(candidate.top(settings), trial)
            if found > best:
                best, fit, ours = found, choice, candidate
        steps: list[dict[str, Any]] = [
            *({"interests": weight} for weight in WEIGHTS),
            *({"popularity": weight} for weight in WEIGHTS),
            *(
                {"freshness": weight, "freshness_half_life_s": years * YEAR_S}
                for weight in WEIGHTS
                for years in (2, 10)
            ),
        ]
        for names in ("interests", "popularity", "freshness"):
            for step in steps:
                if names in step:
                    found = score(ours.top(replace(settings, **step)), trial)
                    if found > best:
                        best, settings = found, replace(settings, **step)
    return settings, fit, best


def variants(settings: RankSettings) -> list[tuple[str, RankSettings, float]]:
    """Ours, with less of it, and with diversity."""
    shipped = RankSettings()
    return [
        ("ours", settings, 0.0),
        ("ours, as shipped", shipped, 0.0),
        ("ours without co-engagement", replace(settings, co_engagement=0), 0.0),
        ("ours without interests", replace(settings, interests=0), 0.0),
        ("ours without popularity", replace(settings, popularity=0), 0.0),
        ("ours without freshness", replace(settings, freshness=0), 0.0),
        ("ours, diversity 0.1", settings, 0.1),
        ("ours, diversity 0.3", settings, 0.3),
        ("ours, diversity 0.6", settings, 0.6),
    ]


def score(top_UL: Any, trial: Trial) -> float:
    return float(judge(top_UL, trial).ndcg_U.mean())


def note(
    report: dict[str, Any],
    name: str,
    judged: Judged,
    parameters: Parameters,
    validation_ndcg: float,
    duration_s: float,
) -> None:
    report["models"][name] = {
        "recall_at_20": round(float(judged.recall_U.mean()), 4),
        "recall_interval": interval(judged.recall_U),
        "ndcg_at_20": round(float(judged.ndcg_U.mean()), 4),
        "ndcg_interval": interval(judged.ndcg_U),
        "distinct_items": judged.distinct_count,
        "validation_ndcg_at_20": round(validation_ndcg, 4),
        "parameters": parameters,
        "tuning_and_test_s": round(duration_s, 1),
    }


def table(report: dict[str, Any]) -> list[str]:
    lines = [
        f"# Recommendations on {report['hardware']}",
        "",
        f"{report['people']} people, {report['items']} films, {report['engagements']} ratings; "
        f"{report['people_judged']} people are judged. "
        f"References: implicit {report['versions'].get('implicit')}.",
        "",
        "| | recall@20 | interval | nDCG@20 | interval | ours minus this | interval | items |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in report["models"].items():
        gain, spread = row["ours_minus_this_ndcg"]
        lines.append(
            f"| {name} | {row['recall_at_20']:.3f} | {_pair(row['recall_interval'])} "
            f"| {row['ndcg_at_20']:.3f} | {_pair(row['ndcg_interval'])} "
            f"| {gain:+.3f} | {_pair(spread)} | {row['distinct_items']:.0f} |"
        )
    lines += [
        "",
        "The visual part alone, pictures of simulated people:",
        "",
        "| picked by | recall@20 | interval | visual part minus this |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {row['recall_at_20']:.3f} | {_pair(row['interval'])} "
        f"| {_pair(row['visual_part_minus_this'])} |"
        for name, row in report["pictures"].items()
    ]
    lines += ["", "Parameters, chosen on the validation part:", ""]
    lines += [
        f"- {name}: {json.dumps(row['parameters'])}" for name, row in report["models"].items()
    ]
    return [*lines, "", *__doc__.splitlines()[2:]]


def _pair(values: list[float]) -> str:
    return f"{values[0]:.3f} to {values[1]:.3f}"


if __name__ == "__main__":
    main()
