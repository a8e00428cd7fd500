"""The processes that read: they may die, hang or lie, and no text is all that comes of it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from inkling_server.errors import Overloaded, ShuttingDown
from inkling_server.text_reading import NOTHING_READ, ProcessTextReader, TextReadingLimits
from inkling_server.text_reading import reader as reader_module
from tests.own_processes import OwnChildren
from tests.serving import until

# Answers b"say X" with the line X; does what it is told otherwise.
_WORKER = """
import json, os, struct, sys, time
replies = os.fdopen(1, "wb", closefd=False)
def send(message):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    replies.write(struct.pack(">I", len(body)) + body); replies.flush()
send({"ready": True})
while header := sys.stdin.buffer.read(4):
    order = sys.stdin.buffer.read(*struct.unpack(">I", header)).decode()
    if order == "die": os._exit(1)
    if order == "hang": time.sleep(600)
    if order == "lie": send(b"[1, 2]")
    elif order == "boast": replies.write(struct.pack(">I", 2**31)); replies.flush()
    elif order == "bad": send({"problem": "picture"})
    if order.startswith("say "):
        box = {"left": 0.1, "top": 0.1, "right": 0.9, "bottom": 0.2}
        text = order[4:].replace("PID", str(os.getpid()))
        send({"lines": [{"text": text, "confidence": 0.95, "box": box}]})
"""


@asynccontextmanager
async def opened(
    tmp_path: Path, *, code: str = _WORKER, **limits: float
) -> AsyncIterator[ProcessTextReader]:
    script = tmp_path / "worker.py"
    script.write_text(code, encoding="utf-8")
    reader = ProcessTextReader(
        TextReadingLimits(**limits),  # type: ignore[arg-type]
        command=[sys.executable, str(script)],
    )
    try:
        yield reader
    finally:
        await reader.close()


async def test_no_process_before_the_first_picture_and_none_after_the_end(
    tmp_path: Path, own_children: OwnChildren
) -> None:
    async with opened(tmp_path) as reader:
        assert own_children() == []
        assert (await reader.read(b"say latte art")).text == "latte art"
        assert len(own_children()) == 1
    assert own_children() == []


async def test_one_process_serves_one_picture_after_another(tmp_path: Path) -> None:
    async with opened(tmp_path) as reader:
        found = await asyncio.gather(*(reader.read(b"say %d PID" % n) for n in range(8)))
    assert [one.text.split()[0] for one in found] == [str(n) for n in range(8)]
    assert len({one.text.split()[1] for one in found}) == 1


@pytest.mark.parametrize("order", [b"die", b"lie", b"boast", b"bad"])
async def test_a_picture_that_cannot_be_read_has_no_text_and_the_next_one_has(
    tmp_path: Path, order: bytes
) -> None:
    async with opened(tmp_path) as reader:
        assert await reader.read(order) == NOTHING_READ
        assert (await reader.read(b"say fine")).text == "fine"


async def test_a_picture_that_takes_too_long_is_given_up(
    tmp_path: Path, own_children: OwnChildren
) -> None:
    async with opened(tmp_path, timeout_s=0.3) as reader:
        assert (await reader.read(b"say warm")).text == "warm"
        (stuck,) = own_children()
        assert await reader.read(b"hang") == NOTHING_READ
        assert not stuck.is_running()
        assert (await reader.read(b"say fine")).text == "fine"


async def test_a_worker_that_was_killed_between_two_pictures_is_replaced(
    tmp_path: Path, own_children: OwnChildren
) -> None:
    async with opened(tmp_path) as reader:
        await reader.read(b"say first")
        (worker,) = own_children()
        worker.kill()
        await until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
        # The very next one may meet the dead process; the one after it does not.
        await reader.read(b"say second")
        assert (await reader.read(b"say third")).text == "third"


async def test_a_caller_who_leaves_costs_the_worker_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as reader:
        pid = (await reader.read(b"say PID")).text
        leaving = asyncio.create_task(reader.read(b"say late"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert (await reader.read(b"say PID")).text == pid


async def test_who_does_not_wait_is_refused_where_many_do(tmp_path: Path) -> None:
    async with opened(tmp_path, capacity=1, timeout_s=30.0) as reader:
        stuck = asyncio.create_task(reader.read(b"hang"))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await reader.read(b"say no", wait=False)
        waiting = asyncio.create_task(reader.read(b"say later", wait=True))
        await asyncio.sleep(0)
        await reader.close()
        for task in (stuck, waiting):
            with pytest.raises(ShuttingDown):
                await task
        with pytest.raises(ShuttingDown):
            await reader.read(b"say late")


async def test_nothing_is_begun_after_the_deadline(
    tmp_path: Path, own_children: OwnChildren
) -> None:
    async with opened(tmp_path) as reader:
        now = asyncio.get_running_loop().time()
        assert await reader.read(b"say late", deadline=now) == NOTHING_READ
        assert own_children() == []


async def test_a_worker_that_never_comes_up_is_not_tried_for_every_picture(
    tmp_path: Path,
) -> None:
    log = tmp_path / "starts"
    code = f"open({str(log)!r}, 'a').write('x')"
    async with opened(tmp_path, code=code) as reader:
        for _ in range(5):
            assert await reader.read(b"say hello") == NOTHING_READ
    assert log.read_text(encoding="ascii") == "x"


async def test_without_its_packages_there_is_no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "missing_packages", lambda: ("rapidocr",))
    assert reader_module.open_text_reader(TextReadingLimits()) is None
    monkeypatch.setattr(reader_module, "missing_packages", lambda: ())
    assert reader_module.open_text_reader(TextReadingLimits(workers=0)) is None
