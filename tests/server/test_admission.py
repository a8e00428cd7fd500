"""Who gets in, who waits, who is refused."""

import asyncio

import pytest

from inkling_server.admission import Admission
from inkling_server.errors import Overloaded, ShuttingDown
from tests.serving import turns, until


class Guest:
    """Holds a slot in a task of its own until told to leave."""

    def __init__(self, admission: Admission, *, wait: bool) -> None:
        self.inside = False
        self._leave = asyncio.Event()
        self.task = asyncio.create_task(self._stay(admission, wait))

    async def _stay(self, admission: Admission, wait: bool) -> None:
        async with admission.slot(wait=wait):
            self.inside = True
            await self._leave.wait()
        self.inside = False

    async def leave(self) -> None:
        self._leave.set()
        await self.task


async def test_full_server_rejects_unary_call() -> None:
    admission = Admission(2)
    guests = [Guest(admission, wait=False) for _ in range(2)]
    await until(lambda: all(guest.inside for guest in guests))
    with pytest.raises(Overloaded) as refused:
        async with admission.slot(wait=False):
            pass
    assert refused.value.retry_after_s > 0
    await guests[0].leave()
    async with admission.slot(wait=False):
        assert admission.used == 2
    await guests[1].leave()
    assert admission.used == 0


async def test_those_who_wait_are_served_in_the_order_of_arrival() -> None:
    admission = Admission(1)
    line = [Guest(admission, wait=True) for _ in range(4)]
    for i, first in enumerate(line):
        await turns()
        assert [guest.inside for guest in line[i:]] == [True, *[False] * (3 - i)]
        await first.leave()
    assert (admission.used, admission.waiting) == (0, 0)


async def test_newcomer_cannot_overtake_the_line() -> None:
    admission = Admission(1)
    owner, patient = Guest(admission, wait=True), Guest(admission, wait=True)
    await until(lambda: owner.inside and admission.waiting == 1)
    await owner.leave()  # the slot is handed over in this very turn
    with pytest.raises(Overloaded):
        async with admission.slot(wait=False):
            pass
    await until(lambda: patient.inside)
    await patient.leave()


async def test_streams_leave_the_reserve_to_unary_calls() -> None:
    admission = Admission(4, reserved_for_unary=1)
    streams = [Guest(admission, wait=True) for _ in range(6)]
    await until(lambda: sum(guest.inside for guest in streams) == 3)
    await turns()
    assert (admission.used, admission.waiting) == (3, 3)
    async with admission.slot(wait=False):
        assert admission.used == 4
    assert admission.used == 3
    for guest in streams:
        await guest.leave()
    assert admission.used == 0


async def test_cancelled_waiter_leaves_the_line() -> None:
    admission = Admission(1)
    owner, leaver, patient = (Guest(admission, wait=True) for _ in range(3))
    await until(lambda: owner.inside and admission.waiting == 2)
    leaver.task.cancel()
    await asyncio.wait([leaver.task])
    assert admission.waiting == 1
    await owner.leave()
    await until(lambda: patient.inside)
    await patient.leave()
    assert admission.used == 0


async def test_slot_handed_to_a_waiter_that_is_cancelled_in_the_same_turn_is_passed_on() -> None:
    admission = Admission(1)
    owner, leaver, patient = (Guest(admission, wait=True) for _ in range(3))
    await until(lambda: owner.inside and admission.waiting == 2)
    owner._leave.set()
    # The owner's task runs in the next turn and hands over; the cancellation comes right behind it.
    asyncio.get_running_loop().call_soon(leaver.task.cancel)
    await asyncio.wait([owner.task, leaver.task])
    assert leaver.task.cancelled()
    await until(lambda: patient.inside)
    await patient.leave()
    assert admission.used == 0


async def test_closing_refuses_newcomers_and_the_line_and_waits_for_those_inside() -> None:
    admission = Admission(1)
    owner, patient = Guest(admission, wait=True), Guest(admission, wait=True)
    await until(lambda: owner.inside and admission.waiting == 1)
    admission.close()
    with pytest.raises(ShuttingDown):
        await patient.task
    with pytest.raises(ShuttingDown):
        async with admission.slot(wait=True):
            pass
    drained = asyncio.create_task(admission.drained())
    await turns()
    assert not drained.done()
    await owner.leave()
    await drained


async def test_retry_hint_is_the_time_that_the_present_work_takes() -> None:
    now = 0.0
    admission = Admission(4, clock=lambda: now)
    guests = [Guest(admission, wait=False) for _ in range(4)]
    await until(lambda: admission.used == 4)
    assert admission.retry_after_s() == 1.0  # nothing is known yet
    for guest in guests[:2]:
        now += 0.5
        await guest.leave()
    # 2 a second, 2 inside.
    assert admission.retry_after_s() == pytest.approx(1.0)
    now += 9.0
    assert admission.retry_after_s() == pytest.approx(10.0)  # it stalls: 0.2 a second
    for guest in guests[2:]:
        await guest.leave()


async def test_idle_time_does_not_slow_the_retry_hint() -> None:
    now = 0.0
    admission = Admission(2, clock=lambda: now)
    async with admission.slot(wait=False):
        now += 0.1
    now += 3600.0
    async with admission.slot(wait=False):
        assert admission.retry_after_s() == pytest.approx(0.1)


async def test_a_busy_server_refuses_who_would_be_gone_before_the_answer() -> None:
    now = 0.0
    admission = Admission(8, clock=lambda: now)
    for _ in range(3):
        await admission.enter(wait=False, patience_s=0.001)  # nothing is known yet
    now += 1.0
    admission.leave()  # 1 a second, 2 inside: the next answer is due in 2 s
    with pytest.raises(Overloaded) as caught:
        await admission.enter(wait=False, patience_s=1.9)
    assert caught.value.retry_after_s == pytest.approx(2.0)
    await admission.enter(wait=False, patience_s=2.1)
    await admission.enter(wait=False)  # who waits for as long as it takes may come in
    await admission.enter(wait=True, patience_s=0.1)
    assert admission.used == 5


async def test_a_server_that_is_not_busy_takes_everybody() -> None:
    now = 0.0
    admission = Admission(100, clock=lambda: now)
    for _ in range(25):
        await admission.enter(wait=False)
    now += 1.0
    admission.leave()
    await admission.enter(wait=False, patience_s=0.001)
    with pytest.raises(Overloaded):
        await admission.enter(wait=False, patience_s=0.001)


async def test_who_gave_up_says_nothing_about_the_rate() -> None:
    now = 0.0
    admission = Admission(8, clock=lambda: now)
    for _ in range(6):
        await admission.enter(wait=False)
    now += 1.0
    admission.leave()
    for _ in range(3):
        admission.leave(answered=False)
    # 1 a second and 2 inside, not 4 a second.
    with pytest.raises(Overloaded):
        await admission.enter(wait=False, patience_s=1.5)


@pytest.mark.parametrize(("capacity", "reserved"), [(0, 0), (2, 2), (2, -1)])
def test_senseless_limits_are_refused(capacity: int, reserved: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        Admission(capacity, reserved_for_unary=reserved)
