"""Approximate candidates: most of the best tags, and every score exact.

The rows are words' vectors in few directions and in clumps, the pictures vary in some of them only:
as in the shipped model, where `benchmarks/bench_search.py` measures with real ones.

Shapes: B pictures, N tags, S typical pictures, D dimensions.
"""

import asyncio
import threading
from dataclasses import dataclass

import numpy as np
import pytest

from inkling_server.encoders import Embeddings
from inkling_server.scoring import Float64
from inkling_server.tag_index import SearchThread, Selection, TagIndex
from inkling_server.tag_index import approximate as approximate_module
from inkling_server.tag_index.rows import fold_queries, fold_rows
from tests.server.tag_index.index_kit import BIAS, SCALE, exact, pairs, unit_rows

DIMENSION = 64


@dataclass(frozen=True)
class World:
    tags_ND: Embeddings
    priors_N: Float64
    typical_SD: Embeddings
    pictures_BD: Embeddings


def normed(rows: Embeddings) -> Embeddings:
    unit: Embeddings = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def make_world(count: int = 6000, seed: int = 1) -> World:
    rng = np.random.default_rng(seed)
    strength_D = (1 / np.arange(1, DIMENSION + 1) ** 0.7).astype(np.float32)
    clumps = rng.standard_normal((count // 20, DIMENSION), np.float32)
    tags = np.repeat(clumps, 20, axis=0) + 0.6 * rng.standard_normal((count, DIMENSION), np.float32)
    middle_D = rng.standard_normal(DIMENSION).astype(np.float32)
    pictures = middle_D + 3 * strength_D * rng.standard_normal((264, DIMENSION), np.float32)
    pictures = normed(pictures)
    return World(normed(tags), rng.normal(0, 0.4, count), pictures[:200], pictures[200:])


@pytest.fixture(scope="module")
def world() -> World:
    return make_world()


async def build(thread: SearchThread, world: World, exact_up_to: int = 1000) -> TagIndex:
    return await TagIndex.build(
        thread,
        world.tags_ND,
        world.priors_N,
        scale=SCALE,
        bias=BIAS,
        typical_SD=world.typical_SD,
        exact_up_to=exact_up_to,
    )


async def test_finds_the_best_tags_and_scores_them_exactly(
    thread: SearchThread, world: World
) -> None:
    index = await build(thread, world)
    assert not index.is_exact
    assert "approximate" in index.description
    ten = Selection(10, 0.0)
    answers = await index.search(world.pictures_BD, [ten] * len(world.pictures_BD))
    found = 0
    for hits, picture_D in zip(answers, world.pictures_BD, strict=True):
        every = exact(world.tags_ND, world.priors_N, picture_D, Selection(len(world.tags_ND), 0.0))
        assert set(pairs(hits)) <= set(every)
        assert pairs(hits) == sorted(pairs(hits), key=lambda pair: (-pair[1], pair[0]))
        found += len({hit.row for hit in hits} & {row for row, _ in every[:10]})
    assert found / (10 * len(answers)) >= 0.99
    await index.close()
    with pytest.raises(RuntimeError, match="closed"):
        await index.search(world.pictures_BD[:1], [ten])


def test_candidates_are_scored_from_the_rows_themselves(world: World) -> None:
    rows_NE = fold_rows(world.tags_ND, world.priors_N).rows_NE
    made = approximate_module.ApproximateCandidates.build(rows_NE, world.typical_SD, SCALE)
    assert made is not None
    queries_BE = fold_queries(world.pictures_BD, SCALE)
    logits_BK, rows_BK = made.search(queries_BE, 13)
    expected_BK = np.einsum("be,bke->bk", queries_BE, rows_NE[rows_BK])
    assert np.allclose(logits_BK, expected_BK, atol=1e-4)
    assert (np.diff(logits_BK, axis=1) <= 0).all()
    assert all(len(set(rows)) == 13 for rows in rows_BK.tolist())
    # FAISS says -1 where it found fewer than asked for.
    assert made._logits(queries_BE[:1], np.array([[-1, 3]])).tolist()[0][0] == -np.inf


async def test_batch_composition_changes_no_answer(thread: SearchThread, world: World) -> None:
    index = await build(thread, world)
    five = Selection(5, 0.0)
    together = await index.search(world.pictures_BD[:9], [five] * 9)
    for b in range(9):
        assert await index.search(world.pictures_BD[b : b + 1], [five]) == together[b : b + 1]
    await index.close()


async def test_threshold_and_rows_asked_for_hold_as_in_exact_search(
    thread: SearchThread, world: World
) -> None:
    index = await build(thread, world)
    precise = await build(thread, world, exact_up_to=10**9)
    picture_1D = world.pictures_BD[:1]
    (every,) = await index.search(picture_1D, [Selection(20, 0.0)])
    third = every[2].score
    (above,) = await index.search(picture_1D, [Selection(20, third)])
    assert above == every[:2]
    asked = Selection(2, third, (5, 17, every[0].row))
    (with_rows,) = await index.search(picture_1D, [asked])
    assert [with_rows] == await precise.search(picture_1D, [asked])
    assert {hit.row for hit in with_rows[2:]} == {5, 17}
    assert np.array_equal(
        await index.score_rows(picture_1D, [5, 17]), await precise.score_rows(picture_1D, [5, 17])
    )
    await index.close()
    await precise.close()


async def test_equal_tags_are_answered_in_their_order(thread: SearchThread) -> None:
    world = make_world(4000, seed=3)
    tags_ND = world.tags_ND.copy()
    tags_ND[100:104] = tags_ND[100]
    priors_N = np.zeros(4000)
    index = await build(thread, World(tags_ND, priors_N, world.typical_SD, world.pictures_BD))
    (hits,) = await index.search(tags_ND[100:101], [Selection(4, 0.0)])
    assert [hit.row for hit in hits] == [100, 101, 102, 103]
    await index.close()


async def test_more_tags_can_be_asked_for_than_candidates(
    thread: SearchThread, world: World
) -> None:
    index = await build(thread, world)
    (hits,) = await index.search(world.pictures_BD[:1], [Selection(10_000, -1.0)])
    assert len(hits) == len(world.tags_ND)
    await index.close()


@pytest.mark.parametrize(
    "case", ["few tags", "no typical pictures", "too few typical pictures", "not proven"]
)
async def test_stays_exact(
    thread: SearchThread, world: World, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    if case == "not proven":
        monkeypatch.setattr(approximate_module, "MIN_RECALL", 1.1)
    typical = {"no typical pictures": None, "too few typical pictures": world.typical_SD[:9]}
    index = await TagIndex.build(
        thread,
        world.tags_ND,
        world.priors_N,
        scale=SCALE,
        bias=BIAS,
        typical_SD=typical.get(case, world.typical_SD),
        exact_up_to=6000 if case == "few tags" else 5999,
    )
    assert index.is_exact
    assert index.description == "faiss cpu, exact inner product"
    (hits,) = await index.search(world.pictures_BD[:1], [Selection(10, 0.0)])
    assert pairs(hits) == exact(
        world.tags_ND, world.priors_N, world.pictures_BD[0], Selection(10, 0.0)
    )
    await index.close()


async def test_searches_are_answered_while_another_index_is_built(
    thread: SearchThread, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = await build(thread, world, exact_up_to=10**9)
    building, go_on = threading.Event(), threading.Event()
    make = approximate_module.ApproximateCandidates.build

    def slow(*args: object) -> object:
        building.set()
        assert go_on.wait(10)
        return make(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(approximate_module.ApproximateCandidates, "build", slow)
    task = asyncio.create_task(build(thread, world))
    assert await asyncio.to_thread(building.wait, 10)
    (hits,) = await serving.search(world.pictures_BD[:1], [Selection(3, 0.0)])
    assert len(hits) == 3
    assert not task.done()
    go_on.set()
    index = await task
    assert not index.is_exact
    await index.close()
    await serving.close()


async def test_dimension_that_is_small_or_odd_works(thread: SearchThread) -> None:
    rng = np.random.default_rng(5)
    tags_ND, typical_SD = unit_rows(rng, 2000, 7), unit_rows(rng, 100, 7)
    world = World(tags_ND, np.zeros(2000), typical_SD, typical_SD[:3])
    index = await build(thread, world)
    answers = await index.search(world.pictures_BD, [Selection(5, 0.0)] * 3)
    assert [len(hits) for hits in answers] == [5, 5, 5]
    await index.close()
