"""Exact top N of the calibrated score, whatever FAISS rounds.

Shapes: B pictures, N tags, D dimensions.
"""

import asyncio
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkling_server.model_manifest import MAX_TAG_OFFSET, Curve
from inkling_server.scoring import Float64, bent, sigmoid
from inkling_server.tag_index import SearchThread, Selection, TagIndex
from tests.server.tag_index.index_kit import BIAS, SCALE, exact, pairs, search, unit_rows

FLAT = Curve((-9.0, -2.0, 1.0, 5.0), (-8.0, -3.0, -2.999, -2.0))
STEEP = Curve((-7.0, -6.9, 3.0, 3.1), (-9.0, -5.0, 2.0, 9.0))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 300),
    batch=st.integers(1, 12),
    dimension=st.sampled_from([1, 3, 16, 256]),
    levels=st.sampled_from([None, 1, 2]),
    priors=st.sampled_from(["none", "normal", "steps"]),
    offsets=st.sampled_from(["none", "largest", "normal"]),
    curve=st.sampled_from([None, FLAT, STEEP]),
)
def test_search_equals_the_definition(
    thread: SearchThread,
    seed: int,
    count: int,
    batch: int,
    dimension: int,
    levels: int | None,
    priors: str,
    offsets: str,
    curve: Curve | None,
) -> None:
    rng = np.random.default_rng(seed)
    tags_ND = unit_rows(rng, count, dimension, levels)
    pictures_BD = unit_rows(rng, batch, dimension, levels)
    priors_N = {
        "none": np.zeros(count),
        "normal": rng.normal(size=count),
        "steps": rng.integers(-1, 2, count).astype(float),
    }[priors]
    offsets_by_name: dict[str, Float64 | None] = {
        "none": None,
        # All that the calibration allows: far tags overtake near ones.
        "largest": MAX_TAG_OFFSET * rng.integers(-1, 2, count).astype(np.float64),
        "normal": np.clip(rng.normal(size=count), -MAX_TAG_OFFSET, MAX_TAG_OFFSET),
    }
    offsets_N = offsets_by_name[offsets]
    selections = [
        Selection(int(top_n), float(min_score))
        for top_n, min_score in zip(
            rng.choice([1, 2, 5, 100], batch), rng.choice([0, 0.01, 0.5, 1], batch), strict=True
        )
    ]
    answers = asyncio.run(
        search(thread, tags_ND, priors_N, pictures_BD, selections, offsets_N, curve)
    )
    for hits, picture_D, selection in zip(answers, pictures_BD, selections, strict=True):
        assert pairs(hits) == exact(tags_ND, priors_N, picture_D, selection, offsets_N, curve)
        for hit in hits:
            logit = hit.picture_logit + hit.prior_logit + hit.tag_logit
            assert hit.calibrated_logit == (None if curve is None else float(bent(logit, curve)))
            if hit.calibrated_logit is not None:
                logit = hit.calibrated_logit
            assert hit.score == float(sigmoid(logit))


async def test_batch_composition_changes_no_bit_of_an_answer(thread: SearchThread) -> None:
    rng = np.random.default_rng(1)
    tags_ND, pictures_BD = unit_rows(rng, 3000, 256), unit_rows(rng, 33, 256)
    index = await TagIndex.build(thread, tags_ND, rng.normal(size=3000), scale=SCALE, bias=BIAS)
    five, hundred = Selection(5, 0.0), Selection(100, 0.0)
    together = await index.search(pictures_BD, [five] * 33)
    mixed = await index.search(pictures_BD, [five, hundred] * 16 + [five])
    for b in range(33):
        (alone,) = await index.search(pictures_BD[b : b + 1], [five])
        assert alone == together[b] == mixed[b][:5]
    await index.close()


async def test_ties_go_to_the_earlier_row_also_at_the_boundary_of_top_n(
    thread: SearchThread,
) -> None:
    rng = np.random.default_rng(2)
    one_D = unit_rows(rng, 1, 64)
    # 400 equal tags: far more than there are spare candidates.
    tags_ND = np.concatenate([unit_rows(rng, 50, 64), np.repeat(one_D, 400, axis=0)])
    (hits,) = await search(thread, tags_ND, np.zeros(450), one_D, [Selection(7, 0.0)])
    assert [hit.row for hit in hits] == list(range(50, 57))
    assert len({hit.score for hit in hits}) == 1


async def test_scores_that_round_to_1_tie_although_their_logits_differ(
    thread: SearchThread,
) -> None:
    tags_ND = np.ones((60, 1), np.float32)
    priors_N = np.linspace(20, 50, 60)  # rising: FAISS prefers the last ones
    (hits,) = await search(thread, tags_ND, priors_N, tags_ND[:1], [Selection(3, 0.0)])
    assert pairs(hits) == [(0, 1.0), (1, 1.0), (2, 1.0)]


async def test_threshold_is_strict(thread: SearchThread) -> None:
    rng = np.random.default_rng(3)
    tags_ND, picture_1D = unit_rows(rng, 40, 16), unit_rows(rng, 1, 16)
    (every,) = await search(thread, tags_ND, np.zeros(40), picture_1D, [Selection(40, 0.0)])
    assert len(every) == 40
    third = every[2].score
    (above,) = await search(thread, tags_ND, np.zeros(40), picture_1D, [Selection(40, third)])
    assert [hit.row for hit in above] == [hit.row for hit in every[:2]]
    (none,) = await search(thread, tags_ND, np.zeros(40), picture_1D, [Selection(40, 1.0)])
    assert none == ()


async def test_prior_decides_the_candidates_and_not_just_their_order(thread: SearchThread) -> None:
    # 200 tags lie nearer to the picture than the one whose prior lifts it above them all.
    tags_ND = np.zeros((201, 2), np.float32)
    tags_ND[:, 0] = 1
    tags_ND[200] = [0.8, 0.6]
    priors_N = np.zeros(201)
    priors_N[200] = 5.0
    picture_1D = np.array([[1, 0]], np.float32)
    (hits,) = await search(thread, tags_ND, priors_N, picture_1D, [Selection(1, 0.0)])
    assert hits[0].row == 200
    assert hits[0].prior_logit == 5.0
    assert hits[0].cosine == pytest.approx(0.8)
    assert hits[0].picture_logit == pytest.approx(SCALE * 0.8 + BIAS)
    assert hits[0].score == float(sigmoid(hits[0].picture_logit + hits[0].prior_logit))


async def test_offset_decides_the_candidates_and_a_curve_only_the_score(
    thread: SearchThread,
) -> None:
    # More tags than spare candidates lie nearer to the picture than the one that is lifted.
    tags_ND = np.zeros((201, 2), np.float32)
    tags_ND[:, 0] = 1
    tags_ND[200] = [0.9, math.sqrt(1 - 0.81)]
    offsets_N = np.zeros(201)
    offsets_N[200] = MAX_TAG_OFFSET
    picture_1D = np.array([[1, 0]], np.float32)
    chosen = [Selection(1, 0.0)]
    (plain,) = await search(thread, tags_ND, np.zeros(201), picture_1D, chosen, offsets_N)
    (bent_hits,) = await search(thread, tags_ND, np.zeros(201), picture_1D, chosen, offsets_N, FLAT)
    assert plain[0].row == bent_hits[0].row == 200
    assert plain[0].tag_logit == MAX_TAG_OFFSET
    assert plain[0].calibrated_logit is None
    assert bent_hits[0].score < plain[0].score


async def test_each_picture_has_its_own_selection(thread: SearchThread) -> None:
    rng = np.random.default_rng(4)
    tags_ND, picture_1D = unit_rows(rng, 30, 8), unit_rows(rng, 1, 8)
    selections = [Selection(1, 0.0), Selection(30, 0.0), Selection(30, 0.5), Selection(2, 0.0)]
    pictures_BD = np.repeat(picture_1D, 4, axis=0)
    answers = await search(thread, tags_ND, np.zeros(30), pictures_BD, selections)
    assert [len(hits) for hits in answers[:2]] == [1, 30]
    assert all(hit.score > 0.5 for hit in answers[2])
    assert answers[0] + answers[1][1:2] == answers[3] == answers[1][:2]


async def test_rows_asked_for_come_behind_the_best_with_the_same_hits(
    thread: SearchThread,
) -> None:
    rng = np.random.default_rng(12)
    tags_ND, priors_N = unit_rows(rng, 300, 32), np.linspace(-1.0, 1.0, 300)
    pictures_BD = unit_rows(rng, 2, 32)
    best = Selection(5, 1e-4)
    plain, other = await search(thread, tags_ND, priors_N, pictures_BD, [best, best])
    rows = (*(hit.row for hit in plain[:2]), 17, 3, 17, 250)
    asked, same = await search(
        thread, tags_ND, priors_N, pictures_BD, [Selection(5, 1e-4, rows), best]
    )
    assert (asked[:5], same) == (plain, other)
    behind = asked[5:]
    assert {hit.row for hit in behind} == set(rows) - {hit.row for hit in plain}
    every = {
        hit.row: hit
        for hit in (
            await search(thread, tags_ND, priors_N, pictures_BD, [Selection(300, -1.0)] * 2)
        )[0]
    }
    assert behind == tuple(
        sorted((every[hit.row] for hit in behind), key=lambda h: (-h.score, h.row))
    )


async def test_rows_asked_for_are_answered_where_nothing_is_above_the_threshold(
    thread: SearchThread,
) -> None:
    tags_ND = unit_rows(np.random.default_rng(3), 4, 8)
    ((hit,), ()) = await search(
        thread, tags_ND, np.zeros(4), tags_ND[:2], [Selection(3, 1.0, (2,)), Selection(3, 1.0)]
    )
    assert hit.row == 2


async def test_rows_are_scored_as_search_scores_them(thread: SearchThread) -> None:
    rng = np.random.default_rng(11)
    tags_ND, pictures_BD = unit_rows(rng, 40, 16), unit_rows(rng, 3, 16)
    priors_N = rng.normal(0, 1, 40)
    index = await TagIndex.build(thread, tags_ND, priors_N, scale=SCALE, bias=BIAS, curve=STEEP)
    rows = [39, 0, 7]
    scores_BK = await index.score_rows(pictures_BD, rows)
    everything = await index.search(pictures_BD, [Selection(40, -1.0)] * 3)
    expected = [[dict(pairs(hits))[row] for row in rows] for hits in everything]
    assert scores_BK.tolist() == expected
    assert (await index.score_rows(pictures_BD, [])).shape == (3, 0)
    with pytest.raises(ValueError, match="pictures_BD"):
        await index.score_rows(pictures_BD[:, :5], rows)
    await index.close()
    with pytest.raises(RuntimeError, match="closed"):
        await index.score_rows(pictures_BD, rows)


async def test_empty_index_and_empty_batch_have_empty_answers(thread: SearchThread) -> None:
    empty_0D, picture_1D = np.empty((0, 4), np.float32), np.full((1, 4), 0.5, np.float32)
    assert await search(thread, empty_0D, np.zeros(0), picture_1D, [Selection(5, 0.0)]) == [()]
    assert await search(thread, picture_1D, np.zeros(1), empty_0D, []) == []


async def test_wrong_shapes_and_numbers_that_are_not_finite_are_refused(
    thread: SearchThread,
) -> None:
    rows_ND = np.full((2, 4), 0.5, np.float32)
    for embeddings, priors in [
        (rows_ND, np.zeros(3)),
        (rows_ND[0], np.zeros(4)),
        (rows_ND * np.float32(np.nan), np.zeros(2)),
        (rows_ND, np.array([0, np.inf])),
    ]:
        with pytest.raises(ValueError, match="must be"):
            await TagIndex.build(thread, embeddings, priors, scale=SCALE, bias=BIAS)
    for offsets_N in (np.zeros(3), np.array([0, np.nan])):
        with pytest.raises(ValueError, match="must be"):
            await search(thread, rows_ND, np.zeros(2), rows_ND[:0], [], offsets_N)
    index = await TagIndex.build(thread, rows_ND, np.zeros(2), scale=SCALE, bias=BIAS)
    with pytest.raises(ValueError, match="pictures_BD"):
        await index.search(rows_ND, [Selection(1, 0.0)])
    await index.close()
    await index.close()
    with pytest.raises(RuntimeError, match="closed"):
        await index.search(rows_ND, [Selection(1, 0.0)] * 2)


async def test_many_tasks_search_one_index_at_a_time(thread: SearchThread) -> None:
    rng = np.random.default_rng(5)
    tags_ND, pictures_BD = unit_rows(rng, 500, 32), unit_rows(rng, 40, 32)
    index = await TagIndex.build(thread, tags_ND, np.zeros(500), scale=SCALE, bias=BIAS)
    five = Selection(5, 0.0)
    together = await index.search(pictures_BD, [five] * 40)
    alone = await asyncio.gather(*(index.search(pictures_BD[b : b + 1], [five]) for b in range(40)))
    assert [hits for (hits,) in alone] == together
    await index.close()
