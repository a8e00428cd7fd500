"""Figures equal their definitions, and scores equal the server's."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from inkling_server.model_manifest import Curve
from inkling_server.scoring import offset_logits, prior_logits
from inkling_server.tag_index import SearchThread, Selection, TagIndex
from inkling_training import metrics
from inkling_training.calibration.figures import LIKELY, judge, scorer
from inkling_training.exported import scores
from tests.training.calibration.calibration_kit import CALIBRATION, fit_data

pytestmark = pytest.mark.training

BENT = replace(
    CALIBRATION,
    prior_weight=0.4,
    tag_offsets={"i003": 1.25, "i007": -0.5, "of another graph": 2.0},
    curve=Curve((-6.0, -1.0, 2.0), (-5.5, -1.5, 1.0)),
)


def test_training_scores_are_the_servers() -> None:
    data = fit_data(1, 40)
    rng = np.random.default_rng(0)
    tags_VD = rng.normal(size=(40, 16))
    tags_VD = (tags_VD / np.linalg.norm(tags_VD, axis=1, keepdims=True)).astype(np.float32)
    pictures_BD = tags_VD[:12] * np.float32(0.5) + tags_VD[12:24] * np.float32(0.5)

    async def served() -> list[dict[int, float]]:
        with SearchThread() as thread:
            index = await TagIndex.build(
                thread,
                tags_VD,
                prior_logits(data.counts, BENT),
                scale=BENT.scale,
                bias=BENT.bias,
                offsets_N=offset_logits(data.interest_ids, BENT.tag_offsets),
                curve=BENT.curve,
            )
            answers = await index.search(pictures_BD, [Selection(40, -1.0)] * 12)
            await index.close()
            return [{hit.row: hit.score for hit in hits} for hits in answers]

    cosines_BV = np.einsum(
        "bvd,bd->bv",
        np.broadcast_to(tags_VD.astype(np.float64), (12, 40, 16)),
        pictures_BD.astype(np.float64),
    )
    ours_BV = scores(cosines_BV, data.interests, BENT)
    for ours_V, theirs in zip(ours_BV, asyncio.run(served()), strict=True):
        assert dict(enumerate(ours_V.tolist())) == theirs


def test_perfect_scores_have_the_calibration_error_of_chance() -> None:
    errors, chances = [], []
    for seed in range(20):
        data = fit_data(60, 30, seed=seed)
        figures, _ = judge(data, scorer(data, CALIBRATION))
        errors.append(figures.ece_likely)
        chances.append(figures.ece_chance)
    assert np.mean(errors) == pytest.approx(np.mean(chances), rel=0.1)


def test_figures_are_those_of_their_definitions() -> None:
    data = fit_data(60, 30)
    counted_BV = np.random.default_rng(5).random(data.right_BV.shape) > 0.1
    data = replace(data, counted_BV=counted_BV, right_BV=data.right_BV & counted_BV)
    scores_BV = scorer(data, BENT)(data.all_rows)
    figures, tops = judge(data, scorer(data, BENT))
    loss_BV = np.where(data.right_BV, -np.log(scores_BV), -np.log1p(-scores_BV)) * counted_BV
    assert figures.losses_B == pytest.approx(loss_BV.sum(axis=1))
    assert figures.log_loss == pytest.approx(loss_BV.sum(axis=1).mean())
    assert figures.ece == pytest.approx(
        metrics.expected_calibration_error(scores_BV[counted_BV], data.right_BV[counted_BV])
    )
    likely_BV = counted_BV & (scores_BV > LIKELY)
    assert figures.ece_likely == pytest.approx(
        metrics.expected_calibration_error(scores_BV[likely_BV], data.right_BV[likely_BV])
    )
    assert figures.ece_chance > 0
    ranked_BV = np.where(counted_BV, scores_BV, -1.0)
    assert figures.mean_ap == pytest.approx(
        metrics.mean_average_precision(ranked_BV, data.right_BV)
    )
    assert (tops.scores_BN == -np.sort(-scores_BV, axis=1)[:, :10].astype(np.float32)).all()
    assert (tops.right_count_B == data.right_BV.sum(axis=1)).all()
