"""Rows of many batches in one line: who takes how many, and who gets what back."""

import random
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue

import numpy as np
import pytest
from numpy.typing import NDArray

from inkling_server.row_batches import Arrays, Batch, run_joined
from inkling_server.row_queue import RowQueue, Share
from tests.serving import until

Answer = NDArray[np.float32] | Exception


class Caller:
    """A batch, and what it was answered."""

    def __init__(self, rows: Sequence[float], width: int = 1) -> None:
        self.answers: list[Answer] = []
        x_BW = np.repeat(np.array(rows, np.float32)[:, np.newaxis], width, axis=1)
        self.batch = Batch({"x": x_BW}, self.answers.append)

    @property
    def answer(self) -> Answer:
        (answer,) = self.answers
        return answer


def taken(queue: RowQueue) -> Share:
    share = queue.take()
    assert share is not None
    return share


def numbers(share: Share) -> list[float]:
    return [float(x) for piece in share for x in piece.inputs["x"][:, 0]]


def doubled(inputs: Arrays) -> NDArray[np.float32]:
    rows: NDArray[np.float32] = 2 * inputs["x"]
    return rows


def compute(
    queue: RowQueue, share: Share, run: Callable[[Arrays], NDArray[np.float32]] = doubled
) -> None:
    """What a runtime does with a share."""
    results = run_joined(run, [piece.inputs for piece in share])
    queue.computed()
    for piece, result in zip(share, results, strict=True):
        queue.finish(piece, result)


def test_a_lone_row_is_taken_at_once() -> None:
    queue, caller = RowQueue(streams=2, chunk=4, most_shares=4), Caller([7])
    queue.put([caller.batch])
    compute(queue, taken(queue))
    np.testing.assert_array_equal(caller.answer, [[14]])


@pytest.mark.parametrize(
    ("chunk", "shares"),
    [(4, [[1, 2], [3]]), (1, [[1], [2]]), (0, [[1, 2], [3]])],
)
def test_rows_are_spread_over_idle_streams(chunk: int, shares: list[list[float]]) -> None:
    queue = RowQueue(streams=2, chunk=chunk, most_shares=4)
    queue.put([Caller([1, 2, 3]).batch])
    assert [numbers(taken(queue)), numbers(taken(queue))] == shares


def test_beside_busy_streams_a_full_share_goes_and_less_waits_for_company() -> None:
    queue = RowQueue(streams=1, chunk=3, most_shares=2)
    queue.put([Caller([1]).batch])
    running = taken(queue)
    queue.put([Caller([2, 3]).batch])
    assert queue.take() is None
    queue.put([Caller([4, 5]).batch])
    ahead = taken(queue)
    assert numbers(ahead) == [2, 3, 4]
    compute(queue, running)
    assert queue.take() is None  # the one that was taken ahead has the stream now
    compute(queue, ahead)
    assert numbers(taken(queue)) == [5]


def test_no_more_shares_are_out_than_allowed() -> None:
    queue = RowQueue(streams=1, chunk=1, most_shares=2)
    queue.put([Caller([1, 2, 3]).batch])
    first = taken(queue)
    taken(queue)
    assert queue.take() is None
    compute(queue, first)
    assert numbers(taken(queue)) == [3]


def test_batches_share_inferences_and_get_their_own_rows() -> None:
    queue, callers = (
        RowQueue(streams=1, chunk=4, most_shares=4),
        [Caller([1, 2, 3]), Caller([4, 5]), Caller([6])],
    )
    queue.put([caller.batch for caller in callers])
    first = taken(queue)
    assert numbers(first) == [1, 2, 3, 4]
    compute(queue, first)
    np.testing.assert_array_equal(callers[0].answer, [[2], [4], [6]])
    assert not callers[1].answers
    compute(queue, taken(queue))
    np.testing.assert_array_equal(callers[1].answer, [[8], [10]])
    np.testing.assert_array_equal(callers[2].answer, [[12]])


def test_rows_of_other_shapes_do_not_share_an_inference() -> None:
    queue = RowQueue(streams=1, chunk=8, most_shares=4)
    callers = [Caller([1]), Caller([2]), Caller([3], width=5), Caller([4])]
    queue.put([caller.batch for caller in callers])
    order = []
    for _ in range(3):
        share = taken(queue)
        order.append(numbers(share))
        compute(queue, share)
    assert order == [[1, 2], [3], [4]]
    assert isinstance(callers[2].answer, np.ndarray)
    assert callers[2].answer.shape == (1, 5)


def test_a_batch_fails_whole_and_alone() -> None:
    def picky(inputs: Arrays) -> NDArray[np.float32]:
        if (inputs["x"] == 13).any():
            raise ValueError("13")
        return inputs["x"]

    queue = RowQueue(streams=1, chunk=4, most_shares=4)
    bad, good = Caller([1, 2, 13, 4, 5]), Caller([6, 7])
    queue.put([bad.batch, good.batch])
    for _ in range(2):
        compute(queue, taken(queue), picky)
    assert isinstance(bad.answer, ValueError)
    np.testing.assert_array_equal(good.answer, [[6], [7]])


def test_a_batch_without_rows_fails_at_once_and_holds_up_nobody() -> None:
    queue, empty, caller = RowQueue(streams=1, chunk=4, most_shares=4), Caller([]), Caller([1])
    queue.put([empty.batch, caller.batch])
    assert isinstance(empty.answer, ValueError)
    assert numbers(taken(queue)) == [1]


@pytest.mark.parametrize(("streams", "chunk"), [(1, 4), (3, 2), (2, 0)])
async def test_in_a_storm_everybody_gets_all_of_their_own_rows_once(
    streams: int, chunk: int
) -> None:
    most_shares = 2 * streams
    queue = RowQueue(streams, chunk, most_shares)
    work: SimpleQueue[Share] = SimpleQueue()
    sizes: list[int] = []
    out: list[int] = []

    def start_next() -> None:
        while (share := queue.take()) is not None:
            sizes.append(len(numbers(share)))
            out.append(queue._computing)
            work.put(share)

    def worker() -> None:
        while True:
            compute(queue, work.get())
            start_next()

    for _ in range(most_shares):
        threading.Thread(target=worker, daemon=True).start()
    rng = random.Random(streams)
    callers = [
        Caller([rng.random() for _ in range(rng.randrange(1, 9))], width=rng.choice([1, 1, 2]))
        for _ in range(1_200)
    ]

    def put(mine: Sequence[Caller]) -> None:
        for caller in mine:
            queue.put([caller.batch])
            start_next()

    putters = [threading.Thread(target=put, args=(callers[n::4],)) for n in range(4)]
    for thread in putters:
        thread.start()
    await until(lambda: all(caller.answers for caller in callers), timeout_s=10)
    for caller in callers:
        np.testing.assert_array_equal(caller.answer, 2 * caller.batch.inputs["x"])
    assert max(out) <= most_shares
    assert not chunk or max(sizes) <= chunk
