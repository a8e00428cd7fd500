"""What bench_taste measures, and that its quick mode runs through."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bench_taste
from benchmarks.taste_draw import draw
from benchmarks.taste_experiments import NULL_LIMIT, at_odds
from benchmarks.taste_measures import (
    Maxima,
    cosine_mrr,
    expected_random_mrr,
    maxima,
    mean_and_band,
    mean_reciprocal_rank,
    oracle_mrr,
    visual_mrr,
)
from benchmarks.taste_pictures import drawn_pictures
from benchmarks.taste_plan import QUICK
from benchmarks.taste_texts import WeightedWords, named_titles
from inkling_server.profiles.compare import CompareSettings
from inkling_server.profiles.rank import RankSettings
from inkling_server.profiles.visual import margins


def test_reciprocal_ranks_by_hand_with_ties_at_their_middle() -> None:
    scores_UU = np.array([[3.0, 1.0, 2.0], [5.0, 4.0, 1.0], [0.0, 0.0, 0.0]])

    # Ranks 1, 2, and the middle of 1 to 3.
    assert mean_reciprocal_rank(scores_UU) == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)


def test_chance_has_the_harmonic_mean() -> None:
    assert expected_random_mrr(4) == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    scores = np.random.default_rng(0).random((400, 400))
    assert mean_reciprocal_rank(scores) == pytest.approx(expected_random_mrr(400), abs=0.02)


def test_bands_are_students() -> None:
    # Standard error 1 / sqrt(3), 2 degrees of freedom: 4.3027.
    assert mean_and_band([1.0, 2.0, 3.0]) == pytest.approx((2.0, 4.3027 / 3**0.5), rel=1e-4)
    assert mean_and_band([0.5]) == (0.5, 0.0)


def test_shares_above_a_level_are_of_different_and_of_null_pairs() -> None:
    found = Maxima(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 1.0, 2.0, 3.0]))

    assert found.shares_above(2) == (0.5, 0.25)
    assert found.null_quantile(0.5) == 1.5


def test_visual_profiles_beat_chance_and_grow_with_pictures() -> None:
    draws = [draw(drawn_pictures(), QUICK.draws, seed=seed) for seed in (1, 2, 3)]
    mrr = {n: np.mean([visual_mrr(one, train_count=n) for one in draws]) for n in (3, 20)}

    assert mrr[3] > 2 * expected_random_mrr(30)
    assert mrr[20] > mrr[3]


def test_texts_that_say_nothing_leave_the_owner_at_chance() -> None:
    words = [f"w{number}" for number in range(200)]
    rng = np.random.default_rng(0)
    titles = [" ".join(rng.choice(words, 8)) for _ in range(400)]
    model = WeightedWords(titles)
    found = []
    for seed in range(12):
        drawn = draw(drawn_pictures(), QUICK.draws, seed=seed)
        names = list(drawn.pictures.classes)
        texts = named_titles(drawn.pictures.labels_N[drawn.pool], names, titles, 0.0, seed)
        found.append(cosine_mrr(drawn.users, model.embed(texts), drawn.pool, train_count=20))

    # It would be half of that if held-out pictures stood in the profiles of others.
    assert np.mean(found) == pytest.approx(expected_random_mrr(30), abs=0.035)


def test_true_classes_are_a_ceiling() -> None:
    draws = [draw(drawn_pictures(), QUICK.draws, seed=seed) for seed in (1, 2, 3)]
    settings = RankSettings()

    oracle = np.mean([oracle_mrr(one, train_count=20, settings=settings) for one in draws])
    visual = np.mean([visual_mrr(one, train_count=20, settings=settings) for one in draws])
    assert oracle >= visual


def test_people_of_one_taste_differ_less_than_others() -> None:
    drawn = draw(drawn_pictures(), QUICK.draws, seed=1)
    found = maxima(drawn, CompareSettings(), train_count=20)

    different, null = found.shares_above(found.null_quantile(1 - NULL_LIMIT))
    assert null <= NULL_LIMIT + 0.01
    assert different > 0.5


def test_odds_are_those_of_the_median_margin() -> None:
    drawn = at_odds(draw(drawn_pictures(), QUICK.draws, seed=1), 7.0)
    own_N = margins(drawn.pictures.embeddings_ND[drawn.background], drawn.clusters.centroids_KD)

    odds = np.exp(drawn.clusters.beta * np.median(own_N) / drawn.clusters.sigma2)
    assert odds == pytest.approx(7.0)
    assert drawn.clusters.general_K == pytest.approx(
        drawn.assign_NK[drawn.background].mean(axis=0), abs=1e-6
    )


def test_the_quick_mode_reports_every_question(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")

    bench_taste.main(["--quick", "--out", str(tmp_path)])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])

    rows = report["attribution"]
    assert list(rows) == [
        "visual profile",
        "mean embedding",
        "text, TF-IDF in clusters",
        "text, TF-IDF",
        "random",
        "true classes, ratio",
        "true classes, cosine",
    ]
    for size in ("10", "20"):
        assert rows["visual profile"][size]["mean"] > rows["random"][size]["mean"]
    assert set(report["pairs"]) == {"10", "20"}
    suffixes = sorted(path.suffix for path in tmp_path.iterdir())
    assert suffixes == [".json", ".md", ".png", ".png", ".png", ".png"]
    written = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert written == report
