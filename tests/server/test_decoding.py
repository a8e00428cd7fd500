"""Decoder threads do wanted work only."""

import asyncio
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from inkling_server import images
from inkling_server.decoding import DecodePool
from inkling_server.encoders import Pixels
from inkling_server.errors import DeadlineExceeded, ImageInvalid, ShuttingDown
from inkling_server.images import ImageLimits
from inkling_server.model_manifest import PixelSpec
from tests.serving import picture, until

SPEC = PixelSpec(size=32)


class Gate:
    """Stands before `images.decode` and lets work through when its test says so."""

    def __init__(self) -> None:
        self.started: list[bytes] = []
        self.opened = threading.Event()

    def decode(self, data: bytes, spec: PixelSpec, limits: ImageLimits) -> Pixels:
        self.started.append(data)
        assert self.opened.wait(10)
        return self.real_decode(data, spec, limits)

    real_decode = staticmethod(images.decode)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(images, "decode", gate.decode)
    yield gate
    gate.opened.set()


async def test_decodes_as_the_model_wants_it() -> None:
    pool = DecodePool(2, ImageLimits())
    pixels_HWC = await pool.decode(picture("red"), SPEC)
    assert pixels_HWC.shape == (32, 32, 3)
    assert pixels_HWC[0, 0].tolist() == [255, 0, 0]
    with pytest.raises(ImageInvalid):
        await pool.decode(b"no picture", SPEC)
    pool.close()


async def test_threads_work_side_by_side_and_no_more_than_allowed(gate: Gate) -> None:
    pool = DecodePool(2, ImageLimits())
    tasks = [asyncio.create_task(pool.decode(picture(), SPEC)) for _ in range(5)]
    await until(lambda: len(gate.started) == 2)
    gate.opened.set()
    assert len(await asyncio.gather(*tasks)) == 5
    pool.close()


async def test_cancelled_work_is_not_begun_and_its_bytes_are_dropped(gate: Gate) -> None:
    class Bytes(bytearray):
        """Stands for bytes, which cannot be watched by a weak reference."""

    pool = DecodePool(1, ImageLimits())
    first = asyncio.create_task(pool.decode(picture("red"), SPEC))
    await until(lambda: len(gate.started) == 1)
    unwanted = Bytes(picture("blue"))
    gone = weakref.ref(unwanted)
    second = asyncio.create_task(pool.decode(cast(bytes, unwanted), SPEC))
    del unwanted
    third = asyncio.create_task(pool.decode(picture("green"), SPEC))
    second.cancel()
    await asyncio.wait([second])
    del second
    assert gone() is None  # although the thread is still busy with the first
    gate.opened.set()
    await asyncio.gather(first, third)
    assert gate.started == [picture("red"), picture("green")]
    pool.close()


async def test_expired_work_is_not_begun(gate: Gate) -> None:
    gate.opened.set()
    pool = DecodePool(1, ImageLimits())
    with pytest.raises(DeadlineExceeded):
        await pool.decode(picture(), SPEC, deadline=asyncio.get_running_loop().time())
    assert gate.started == []
    pool.close()


async def test_a_closed_pool_answers_everybody(gate: Gate) -> None:
    pool = DecodePool(1, ImageLimits())
    tasks = [asyncio.create_task(pool.decode(picture(), SPEC)) for _ in range(3)]
    await until(lambda: len(gate.started) == 1)
    pool.close()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(answer, ShuttingDown) for answer in answers)
    gate.opened.set()
    with pytest.raises(ShuttingDown):
        await pool.decode(picture(), SPEC)
    assert len(gate.started) == 1


async def test_pictures_that_are_done_together_wake_the_loop_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = DecodePool(1, ImageLimits())
    loop = asyncio.get_running_loop()
    wakes: list[object] = []
    last_begun = threading.Event()
    real_wake = loop.call_soon_threadsafe

    def decode(data: bytes, spec: PixelSpec, limits: ImageLimits) -> Pixels:
        if data == picture("green"):
            last_begun.set()
        return Gate.real_decode(data, spec, limits)

    def wake(callback: Callable[[], None]) -> None:
        wakes.append(callback)
        real_wake(callback)

    monkeypatch.setattr(images, "decode", decode)
    monkeypatch.setattr(loop, "call_soon_threadsafe", wake)
    tasks = [asyncio.create_task(pool.decode(picture("red"), SPEC)) for _ in range(20)]
    tasks.append(asyncio.create_task(pool.decode(picture("green"), SPEC)))
    await asyncio.sleep(0)
    assert last_begun.wait(10)  # the loop stands still meanwhile
    assert len(wakes) == 1
    assert len(await asyncio.gather(*tasks)) == 21
    pool.close()
