"""Slots that Triton reads from: taken, given back, and never left in /dev/shm."""

from pathlib import Path
from typing import cast

import grpc
import numpy as np
import pytest

from inkling_server.triton.client import TritonCallFailed, TritonClient
from inkling_server.triton.shared_memory import SharedSlots

SHM = Path("/dev/shm")
SLOT_BYTES = 64


class Registry:
    """Stands in for Triton: opens what is registered, as Triton does, or refuses."""

    def __init__(self) -> None:
        self.refuses = False
        self.contents: dict[str, bytes] = {}

    async def register_region(
        self, name: str, key: str, size_bytes: int, *, timeout_s: float
    ) -> None:
        if self.refuses:
            raise TritonCallFailed("", grpc.StatusCode.INVALID_ARGUMENT, "no")
        self.contents[name] = (SHM / key.removeprefix("/")).read_bytes()
        assert len(self.contents[name]) == size_bytes

    async def unregister_region(self, name: str, *, timeout_s: float) -> None:
        del self.contents[name]


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def slots(registry: Registry) -> SharedSlots:
    return SharedSlots(cast(TritonClient, registry), SLOT_BYTES, slot_count=2)


def left_in_shm() -> list[Path]:
    return list(SHM.glob("inkling_pictures_*"))


async def test_slots_run_out_and_come_back(slots: SharedSlots) -> None:
    await slots.open(timeout_s=1)
    data = np.arange(SLOT_BYTES, dtype=np.uint8)
    first, second = slots.take([data]), slots.take([data])
    assert first is not None
    assert second is not None
    assert first.part.offset_bytes != second.part.offset_bytes
    assert slots.take([data]) is None
    first.give_back()
    assert slots.free_count == 1
    again = slots.take([data[:10]])
    assert again is not None
    assert again.part.size_bytes == 10


async def test_too_big_for_a_slot_is_refused(slots: SharedSlots) -> None:
    await slots.open(timeout_s=1)
    assert slots.take([np.zeros(SLOT_BYTES + 1, np.uint8)]) is None
    assert slots.free_count == 2


async def test_nothing_stays_in_shm_even_while_in_use(
    slots: SharedSlots, registry: Registry
) -> None:
    before = left_in_shm()
    await slots.open(timeout_s=1)
    assert len(registry.contents) == 1
    assert left_in_shm() == before
    await slots.close(abandoned=False, timeout_s=1)
    assert registry.contents == {}
    assert not slots.is_open


async def test_refused_region_leaves_nothing(slots: SharedSlots, registry: Registry) -> None:
    registry.refuses = True
    before = left_in_shm()
    with pytest.raises(TritonCallFailed):
        await slots.open(timeout_s=1)
    assert left_in_shm() == before
    assert slots.take([np.zeros(1, np.uint8)]) is None


async def test_slot_of_an_old_region_does_not_come_back_into_the_new_one(
    slots: SharedSlots,
) -> None:
    await slots.open(timeout_s=1)
    old = slots.take([np.zeros(1, np.uint8)])
    assert old is not None
    await slots.open(timeout_s=1)  # Triton was restarted
    assert slots.free_count == 2
    old.give_back()
    assert slots.free_count == 2


async def test_region_that_triton_may_still_read_is_not_taken_from_it(
    slots: SharedSlots, registry: Registry
) -> None:
    await slots.open(timeout_s=1)
    await slots.close(abandoned=True, timeout_s=1)
    assert len(registry.contents) == 1
