"""When batches start, who is dropped, and who fails alone."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from inkling_server.admission import Admission
from inkling_server.batching import BatchLimits, MicroBatcher, deadline_scope
from inkling_server.errors import (
    DeadlineExceeded,
    EncoderDown,
    ImageInvalid,
    Overloaded,
    ShuttingDown,
)
from tests.server.batching_kit import (
    FOREVER_S,
    Consumer,
    Observer,
    hold,
    hold_all,
    make_batcher,
    send,
)
from tests.serving import turns, until


async def test_lone_item_is_not_delayed() -> None:
    consumer = Consumer()
    batcher = make_batcher(consumer, delay_s=FOREVER_S)
    async with asyncio.timeout(5):
        assert await batcher.submit(1) == 2
        assert await batcher.submit(2) == 4
    assert consumer.batches == [[1], [2]]


async def test_items_that_arrive_together_share_a_batch() -> None:
    consumer = Consumer()
    assert await asyncio.gather(*send(make_batcher(consumer), 1, 2, 3)) == [2, 4, 6]
    assert consumer.batches == [[1, 2, 3]]


async def test_items_that_arrive_while_the_consumer_works_form_the_next_batches() -> None:
    consumer = Consumer()
    batcher = make_batcher(consumer)
    held = await hold(batcher, consumer)
    tasks = send(batcher, *range(1, 7))
    await until(lambda: batcher.queue_depth == 6)
    consumer.gate.set()
    assert await asyncio.gather(held, *tasks) == [2 * item for item in range(7)]
    assert consumer.batches == [[0], [1, 2, 3, 4], [5, 6]]


@pytest.mark.parametrize(("running", "worth"), [(1, 1), (3, 3), (4, 4), (5, 4), (8, 4)])
async def test_as_many_as_are_at_work_or_half_a_batch_start_beside_them(
    running: int, worth: int
) -> None:
    consumer = Consumer()
    batcher = make_batcher(consumer, size=8, in_flight=2)
    held = await hold_all(batcher, consumer, *range(running))
    waiting = list(range(10, 10 + worth))
    tasks = send(batcher, *waiting[1:])
    await turns(20)
    assert len(consumer.batches) == 1
    tasks += send(batcher, waiting[0])
    await until(lambda: consumer.batches[1:] == [[*waiting[1:], waiting[0]]])
    consumer.gate.set()
    await asyncio.gather(*held, *tasks)


@pytest.mark.parametrize("callers", [6, 7, 11])
async def test_callers_share_themselves_out_over_two_batches(callers: int) -> None:
    consumer = Consumer()
    decoder, encoder = asyncio.Lock(), asyncio.Lock()

    async def encode(items: Sequence[int]) -> Sequence[int | Exception]:
        async with encoder:
            await asyncio.sleep(0.002 * len(items))
            return await consumer(items)

    batcher = MicroBatcher(encode, BatchLimits(16, 2, FOREVER_S), admission=Admission(100))
    asked = 0

    async def caller() -> None:
        nonlocal asked
        while asked < 200:
            asked += 1
            async with decoder:
                await asyncio.sleep(0.0005)
            await batcher.submit(asked)

    await asyncio.gather(*(caller() for _ in range(callers)))
    sizes = sorted(len(batch) for batch in consumer.batches[10:-10])
    assert callers // 2 - 1 <= sizes[len(sizes) // 2] <= callers // 2 + 1


async def test_fewer_than_are_at_work_start_beside_them_after_their_delay() -> None:
    consumer = Consumer()
    batcher = make_batcher(consumer, in_flight=2, delay_s=0.01)
    held = await hold_all(batcher, consumer, 0, 1)
    tasks = send(batcher, 2)
    await until(lambda: consumer.batches == [[0, 1], [2]])
    consumer.gate.set()
    await asyncio.gather(*held, *tasks)


async def test_while_the_consumer_has_room_a_batch_of_any_size_starts() -> None:
    consumer = Consumer()
    batcher = make_batcher(consumer, in_flight=3, parallel=2)  # of four
    held = await hold(batcher, consumer)
    tasks = send(batcher, 1)
    await until(lambda: consumer.batches == [[0], [1]])
    tasks += send(batcher, 2)
    await turns(20)
    assert consumer.batches == [[0], [1]]
    consumer.gate.set()
    await asyncio.gather(held, *tasks)


async def test_what_waits_goes_as_soon_as_the_running_batch_has_ended() -> None:
    consumer = Consumer()
    batcher = make_batcher(consumer, in_flight=2, delay_s=FOREVER_S)
    held = await hold_all(batcher, consumer, 0, 1)
    tasks = send(batcher, 2)
    await turns(20)
    assert consumer.batches == [[0, 1]]
    consumer.gate.set()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*held, *tasks) == [0, 2, 4]
    assert consumer.batches == [[0, 1], [2]]


async def test_no_more_batches_run_than_allowed() -> None:
    consumer = Consumer()
    batcher = make_batcher(consumer, size=2, in_flight=3, delay_s=0.0)
    held = await hold(batcher, consumer)
    tasks = send(batcher, *range(1, 30))
    await until(lambda: consumer.running == 3)
    await turns(20)
    assert batcher.in_flight == 3
    consumer.gate.set()
    await asyncio.gather(held, *tasks)
    assert consumer.most_running == 3


async def test_full_batcher_rejects_unary_call_and_lets_a_stream_wait() -> None:
    consumer = Consumer()
    batcher = make_batcher(consumer, capacity=2)
    held = await hold(batcher, consumer)
    (second,) = send(batcher, 1)
    await until(lambda: batcher.admission.used == 2)
    with pytest.raises(Overloaded):
        await batcher.submit(2)
    patient = asyncio.create_task(batcher.submit(3, wait=True))
    await turns()
    assert not patient.done()
    consumer.gate.set()
    assert [await held, await second, await patient] == [0, 2, 6]
    assert 2 not in consumer.seen


async def test_cancelled_request_never_reaches_the_consumer() -> None:
    consumer, observer = Consumer(), Observer()
    batcher = make_batcher(consumer, observer=observer)
    held = await hold(batcher, consumer)
    leaver, stayer = send(batcher, 1, 2)
    await until(lambda: batcher.queue_depth == 2)
    leaver.cancel()
    await asyncio.wait([leaver])
    assert leaver.cancelled()
    assert (batcher.queue_depth, batcher.admission.used) == (1, 2)
    consumer.gate.set()
    assert [await held, await stayer] == [0, 4]
    assert 1 not in consumer.seen
    assert observer.dropped == ["cancelled"]


async def test_request_cancelled_in_the_consumer_frees_its_slot_at_once() -> None:
    consumer = Consumer()
    batcher = make_batcher(consumer)
    held = await hold(batcher, consumer)
    held.cancel()
    await asyncio.wait([held])
    assert batcher.admission.used == 0
    consumer.gate.set()
    assert await batcher.submit(1) == 2


async def test_expired_request_fails_and_never_reaches_the_consumer() -> None:
    consumer = Consumer()
    batcher = make_batcher(consumer)
    held = await hold(batcher, consumer)
    now = asyncio.get_running_loop().time()
    with pytest.raises(DeadlineExceeded):
        await batcher.submit(1, deadline=now + 0.01)
    with pytest.raises(DeadlineExceeded):
        await batcher.submit(2, deadline=now)
    assert (batcher.queue_depth, batcher.admission.used) == (0, 1)
    consumer.gate.set()
    await held
    assert consumer.seen == {0}


async def test_deadline_ends_the_wait_for_a_slot() -> None:
    consumer = Consumer()
    batcher = make_batcher(consumer, capacity=1)
    held = await hold(batcher, consumer)
    deadline = asyncio.get_running_loop().time() + 0.01
    with pytest.raises(DeadlineExceeded):
        await batcher.submit(1, deadline=deadline, wait=True)
    assert batcher.admission.waiting == 0
    consumer.gate.set()
    await held


async def test_item_that_expired_unwatched_is_dropped_when_its_batch_forms() -> None:
    consumer, observer = Consumer(), Observer()
    batcher = make_batcher(consumer, observer=observer)
    past = asyncio.get_running_loop().time() - 1
    late = asyncio.create_task(batcher.submit_admitted(1, deadline=past))
    (fine,) = send(batcher, 2)
    with pytest.raises(DeadlineExceeded):
        await late
    assert await fine == 4
    assert consumer.batches == [[2]]
    assert observer.dropped == ["expired"]


async def test_poisonous_item_fails_alone() -> None:
    consumer, observer = Consumer(), Observer()
    consumer.poison[5] = ValueError("poison")
    batcher = make_batcher(consumer, size=8, observer=observer)
    results = await asyncio.gather(*send(batcher, *range(8)), return_exceptions=True)
    assert [type(result) for result in results] == [int] * 5 + [ValueError] + [int] * 2
    # Halving finds it in 1 + 2 * log2(8) calls.
    assert len(consumer.batches) == 7
    assert observer.finished == [(8, True)]


async def test_item_with_an_error_of_its_own_fails_alone_in_one_call() -> None:
    consumer = Consumer()
    consumer.bad_items[1] = ImageInvalid("broken")
    results = await asyncio.gather(*send(make_batcher(consumer), 0, 1, 2), return_exceptions=True)
    assert [type(result) for result in results] == [int, ImageInvalid, int]
    assert len(consumer.batches) == 1


async def test_consumer_that_is_down_fails_the_whole_batch_at_once() -> None:
    consumer = Consumer()
    consumer.poison[1] = EncoderDown("no answer")
    batcher = make_batcher(consumer)
    results = await asyncio.gather(*send(batcher, 0, 1, 2), return_exceptions=True)
    assert {type(result) for result in results} == {EncoderDown}
    assert consumer.batches == [[0, 1, 2]]
    assert await batcher.submit(3) == 6


async def test_cancelled_item_is_not_tried_again_after_its_batch_failed() -> None:
    consumer = Consumer()
    consumer.poison[1] = ValueError("poison")
    batcher = make_batcher(consumer)
    consumer.gate.clear()
    tasks = send(batcher, 0, 1, 2, 3)
    await until(lambda: consumer.running == 1)
    tasks[3].cancel()
    await asyncio.wait([tasks[3]])
    consumer.gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert consumer.batches == [[0, 1, 2, 3], [0, 1], [0], [1], [2]]


async def test_wrong_number_of_results_is_an_error_and_not_a_mix_up() -> None:
    async def forgetful(items: Sequence[int]) -> Sequence[int | Exception]:
        return [*items][: 1 if len(items) == 1 else -1]

    batcher = MicroBatcher[int, int](forgetful, BatchLimits(), admission=Admission(9))
    # Alone, each gets its own; together, a result is missing and nobody gets a neighbour's.
    assert await asyncio.gather(*send(batcher, 1, 2, 3)) == [1, 2, 3]


async def test_drain_waits_for_accepted_work_and_refuses_more() -> None:
    consumer = Consumer()
    batcher = make_batcher(consumer)
    held = await hold(batcher, consumer)
    (queued,) = send(batcher, 1)
    await until(lambda: batcher.queue_depth == 1)
    drain = asyncio.create_task(batcher.drain())
    await turns()
    with pytest.raises(ShuttingDown):
        await batcher.submit(2)
    assert not drain.done()
    consumer.gate.set()
    await drain
    assert [await held, await queued] == [0, 2]
    await batcher.close()


async def test_close_fails_what_is_left_and_leaves_no_task() -> None:
    consumer = Consumer()
    batcher = make_batcher(consumer, in_flight=2, size=2, delay_s=0.0)
    held = await hold(batcher, consumer)
    tasks = send(batcher, 1, 2, 3)
    await until(lambda: consumer.running == 2)
    await batcher.close()
    results = await asyncio.gather(held, *tasks, return_exceptions=True)
    assert {type(result) for result in results} == {ShuttingDown}
    assert (batcher.in_flight, batcher.queue_depth, batcher.admission.used) == (0, 0, 0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    with pytest.raises(ShuttingDown):
        await batcher.submit(4)
    await batcher.close()


async def test_batch_that_is_cancelled_before_its_first_step_still_answers() -> None:
    consumer = Consumer()
    batcher = make_batcher(consumer)
    (task,) = send(batcher, 1)
    # The batch's task exists and has not run yet.
    await turns(1)
    while batcher.in_flight == 0:
        await turns(1)
    await batcher.close()
    with pytest.raises(ShuttingDown):
        await task


async def test_observer_sees_sizes_waits_and_depth() -> None:
    consumer, observer = Consumer(), Observer()
    batcher = make_batcher(consumer, size=2, observer=observer)
    await asyncio.gather(*send(batcher, 1, 2, 3))
    assert observer.started == [(2, 1), (1, 0)]
    assert observer.finished == [(2, False), (1, False)]
    assert len(observer.waits_s) == 3
    assert min(observer.waits_s) >= 0


async def test_storm_of_cancellations_and_deadlines_leaks_nothing() -> None:
    chance = random.Random(3)
    consumer = Consumer()
    consumer.poison = {item: ValueError("poison") for item in range(0, 600, 37)}
    batcher = make_batcher(consumer, size=8, in_flight=2, delay_s=0.0, capacity=32)
    loop = asyncio.get_running_loop()
    tasks = []
    for item in range(600):
        deadline = loop.time() + chance.random() * 0.02 if chance.random() < 0.3 else None
        wait = chance.random() < 0.7
        task = asyncio.create_task(batcher.submit(item, deadline=deadline, wait=wait))
        tasks.append(task)
        if chance.random() < 0.3:
            loop.call_later(chance.random() * 0.01, task.cancel)
        if chance.random() < 0.2:
            await turns(1)
    async with asyncio.timeout(20):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for item, result in enumerate(results):
        if isinstance(result, int):
            assert result == 2 * item
        else:
            allowed = (asyncio.CancelledError, DeadlineExceeded, Overloaded, ValueError)
            assert isinstance(result, allowed)
            assert not isinstance(result, ValueError) or item % 37 == 0
    assert any(isinstance(result, int) for result in results)
    await until(lambda: batcher.in_flight == 0)
    assert (batcher.queue_depth, batcher.admission.used, batcher.admission.waiting) == (0, 0, 0)


async def test_deadline_scope_lets_other_timeouts_through() -> None:
    deadline = asyncio.get_running_loop().time() + FOREVER_S
    with pytest.raises(TimeoutError):
        async with deadline_scope(deadline):
            raise TimeoutError


@pytest.mark.parametrize(
    "limits", [(0, 1, 0.0, 1), (1, 0, 0.0, 1), (1, 1, -1.0, 1), (1, 1, 0.0, 0)]
)
def test_senseless_limits_are_refused(limits: tuple[int, int, float, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        BatchLimits(*limits)
