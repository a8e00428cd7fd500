"""Batches are a function of the seed and the step: not of threads, ranks or what came before."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from inkling_training.fit.batches import Batch, Batches, Makers, Plan, gather_facts
from inkling_training.fit.distributed import World
from inkling_training.fit.relations import Known, Neighbours
from inkling_training.fit.sampling import BalancedOrder
from inkling_training.pairs.samples import PairSample
from tests.training.fit import tiny_pairs

pytestmark = pytest.mark.training
GRAPH = tiny_pairs.graph()
ROW_OF = {interest.id: row for row, interest in enumerate(GRAPH.interests)}
PAIRS = tiny_pairs.FakePairs(tiny_pairs.samples())
PLAN = Plan(batch=4, accumulate=2, steps=9, seed=5, hard_negatives=2, captions=True)


def _pixels(picture: bytes, rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (2, 2, 3)).astype(np.uint8) + picture[60]


def _phrase(row: int, rng: np.random.Generator) -> str:
    return f"{GRAPH.interests[row].phrase} {rng.integers(1000)}"


def _caption(sample: PairSample, rng: np.random.Generator) -> str | None:
    return sample.captions[int(rng.integers(len(sample.captions)))]


def _tokens(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    ids = torch.tensor([[sum(text.encode()), len(text)] for text in texts])
    return ids, torch.ones_like(ids)


MAKERS = Makers(_pixels, _phrase, _caption, _tokens, len(GRAPH.interests))
FACTS = gather_facts(PAIRS, "train", ROW_OF)


def _batches(plan: Plan = PLAN, world: World | None = None) -> Batches:
    return Batches(PAIRS, FACTS, MAKERS, plan, world)


def _same(first: Batch, second: Batch) -> bool:
    assert first.captions is not None
    assert second.captions is not None
    ours = [*first.known, first.pixels_BSSC, first.input_ids_TL, first.texts_T, first.captions[0]]
    theirs = [
        *second.known,
        second.pixels_BSSC,
        second.input_ids_TL,
        second.texts_T,
        second.captions[0],
    ]
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_threads_and_history_change_nothing() -> None:
    alone, threads = _batches(replace(PLAN, workers=0)), _batches(replace(PLAN, workers=3))
    asked = [(0, 0), (0, 1), (1, 0), (5, 1), (6, 0), (8, 1)]
    for step, piece in asked:
        fresh = _batches(replace(PLAN, workers=0)).batch(step, piece)
        assert _same(alone.batch(step, piece), fresh)
        assert _same(threads.batch(step, piece), fresh)
    threads.close()


def test_steps_and_seeds_differ() -> None:
    batches = _batches(replace(PLAN, workers=0))
    assert not _same(batches.batch(0, 0), batches.batch(0, 1))
    assert not _same(batches.batch(0, 0), batches.batch(3, 0))
    other = _batches(replace(PLAN, workers=0, seed=6))
    assert not _same(batches.batch(0, 0), other.batch(0, 0))


def test_ranks_share_what_one_process_would_have() -> None:
    plan = replace(PLAN, workers=0)
    whole = _batches(replace(plan, batch=8)).batch(2, 1)
    parts = [_batches(plan, World(rank, 2)).batch(2, 1) for rank in range(2)]
    assert torch.equal(torch.cat([part.pixels_BSSC for part in parts]), whole.pixels_BSSC)
    assert torch.equal(torch.cat([part.texts_T for part in parts]), whole.texts_T)


def test_every_picture_brings_a_right_text_and_its_own_negatives() -> None:
    neighbours = Neighbours(GRAPH, 0.6)
    for step in range(4):
        batch = _batches(replace(PLAN, workers=0)).batch(step, 0)
        assert batch.texts_T.shape == (12,)
        weights_BT, ignored_BT = neighbours.relate(batch.known, batch.texts_T)
        for number in range(4):
            own = slice(3 * number, 3 * number + 3)
            assert weights_BT[number, own][0] > 0
            assert not weights_BT[number, own][1:].any()
            assert not ignored_BT[number, own].any()


def test_a_text_is_right_wrong_or_neither_by_its_interest() -> None:
    ball, beach, cat, dog, red = range(5)
    known = Known(
        torch.tensor([[cat, -1], [ball, red], [dog, -1]]),
        torch.tensor([[1.0, 0.0], [1.0, 0.5], [0.7, 0.0]]),
        torch.tensor([[-1], [beach], [cat]]),
    )
    weights_BT, ignored_BT = Neighbours(GRAPH, 0.6).relate(
        known, torch.tensor([cat, dog, red, beach, cat])
    )
    assert weights_BT.tolist() == [
        [1, 0, 0, 0, 1],
        [0, 0, 0.5, 0, 0],
        [0, pytest.approx(0.7), 0, 0, 0],
    ]
    # A dog may be near enough to a cat, but mining knows that the third picture shows no cat.
    assert ignored_BT.tolist() == [
        [False, True, False, False, False],
        [False] * 5,
        [False] * 5,
    ]
    assert not Neighbours(GRAPH, 0.9).relate(known, torch.tensor([dog])).ignored_BT.any()


def test_pictures_without_a_pair_in_the_graph_are_left_out() -> None:
    assert len(FACTS.rows) == len(PAIRS.rows("train"))
    some = gather_facts(PAIRS, "train", {"cat": 0})
    assert 0 < len(some.rows) < len(FACTS.rows)
    with pytest.raises(ValueError, match="no picture of the split 'train'"):
        gather_facts(PAIRS, "train", {"horse": 0})


def test_sources_are_balanced_by_a_power_of_their_size() -> None:
    order = BalancedOrder(["a"] * 1000 + ["b"] * 10, 101, seed=1)
    met = np.concatenate([order.rows(step) for step in range(order.steps_per_epoch)])
    share = (met >= 1000).mean()
    assert share == pytest.approx(10**0.6 / (1000**0.6 + 10**0.6), abs=0.01)


def test_no_picture_comes_again_before_all_of_its_source_came() -> None:
    order = BalancedOrder(["a"] * 7 + ["b"] * 3, 4, seed=2)
    met = np.concatenate([order.rows(step) for step in range(40)])
    for rows in (range(7), range(7, 10)):
        counts = Counter(row for row in met.tolist() if row in rows)
        assert set(counts) == set(rows)
        assert max(counts.values()) - min(counts.values()) <= 2  # the last epoch is shuffled


def test_a_set_smaller_than_a_step_repeats() -> None:
    assert len(BalancedOrder(["a"] * 3, 8, seed=0).rows(5)) == 8
