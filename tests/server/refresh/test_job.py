"""One refresh process from the gateway's side, with small stand-ins for the real one."""

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvloop

from inkling_server.encoders import Embeddings
from inkling_server.errors import EncoderDown, RefreshFailed
from inkling_server.interests.stages import Stage
from inkling_server.refresh.job import JobResult, run_job
from inkling_server.refresh.orders import RefreshOrders, from_json, to_json
from tests.own_processes import OwnChildren
from tests.serving import until

# What every stand-in begins with: ways to speak and to listen.
PRELUDE = """
import json, struct, sys
def tell(**message):
    sys.stdout.write(json.dumps(message) + "\\n"); sys.stdout.flush()
def hear():
    message = json.loads(sys.stdin.buffer.readline())
    return message, sys.stdin.buffer.read(message.get("bytes", 0))
orders = hear()[0]["orders"]
"""
COUNTS = {"item_count": 5, "kept_count": 4}


@pytest.fixture(autouse=True)
def no_process_is_left(own_children: OwnChildren) -> Any:
    """Whatever happens to a job: afterwards it has no process, not even a zombie."""
    yield
    assert own_children() == []


class Job:
    """Runs stand-ins and keeps what they told."""

    def __init__(self, folder: Path) -> None:
        self.orders = RefreshOrders(
            root=folder / "graph",
            base=folder / "graph" / "g1",
            feed=folder / "content",
            force=False,
            now=datetime(2026, 11, 22, tzinfo=UTC),
            embedder="text_encoder",
            fingerprint="f",
            dimension=4,
        )
        self.log = folder / "refresh.log"
        self.progress: list[tuple[Stage, int, int]] = []
        self.asked: list[list[str]] = []
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def encode(self, phrases: Sequence[str]) -> Embeddings:
        self.asked.append(list(phrases))
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return np.array([[len(p), 0.5, -1, 0] for p in phrases], np.float32)

    async def run(self, script: str) -> JobResult:
        async with asyncio.timeout(30):
            return await run_job(
                self.orders,
                encode=self.encode,
                on_progress=lambda *p: self.progress.append(p),
                log=self.log,
                command=(sys.executable, "-S", "-c", PRELUDE + script),
            )


@pytest.fixture
async def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


async def test_draft_progress_and_counts_come_back(job: Job) -> None:
    result = await job.run(f"""
tell(type="progress", stage="loading", done=0, total=1)
tell(type="progress", stage="reading", done=5, total=9)
tell(type="built", draft=".draft-x", counts={COUNTS}, added_count=3, retired_count=2)
""")
    assert result == JobResult(job.orders.root / ".draft-x", COUNTS, 3, 2)
    assert job.progress == [(Stage.LOADING, 0, 1), (Stage.READING, 5, 9)]


async def test_nothing_new_gives_no_draft(job: Job) -> None:
    assert await job.run(f'tell(type="unchanged", counts={COUNTS})') == JobResult(None, COUNTS)


async def test_orders_arrive_as_they_were(job: Job) -> None:
    with pytest.raises(RefreshFailed) as caught:
        await job.run('tell(type="failed", problem=json.dumps(orders))')
    assert from_json(json.loads(str(caught.value))) == job.orders


async def test_phrases_go_out_and_embeddings_come_back(job: Job) -> None:
    result = await job.run("""
tell(type="embed", phrases=["ab", "caf\\u00e9"])
message, body = hear()
first = struct.unpack("<8f", body)
tell(type="embed", phrases=[])
nothing = hear()
ok = message["type"] == "embedded" and first == (2, .5, -1, 0, 4, .5, -1, 0) and not nothing[1]
tell(type="unchanged", counts={"item_count": int(ok)})
""")
    assert result.counts == {"item_count": 1}
    assert job.asked == [["ab", "café"], []]


async def test_rows_of_any_layout_travel_as_float32(job: Job) -> None:
    async def encode(phrases: Sequence[str]) -> Any:
        return np.asfortranarray(np.arange(8, dtype=np.float64).reshape(2, 4))

    job.encode = encode  # type: ignore[method-assign]
    result = await job.run("""
tell(type="embed", phrases=["a", "b"])
tell(type="unchanged", counts={"item_count": int(struct.unpack("<8f", hear()[1])[5])})
""")
    assert result.counts == {"item_count": 5}


async def test_process_hears_that_the_encoder_is_down(job: Job) -> None:
    job.failure = EncoderDown("no answer within 10 s")
    with pytest.raises(RefreshFailed, match="refused: no answer within 10 s"):
        await job.run("""
tell(type="embed", phrases=["a"])
message, _ = hear()
tell(type="failed", problem=message["type"] + ": " + message["problem"])
""")


async def test_fault_of_the_encoder_is_not_hidden(job: Job) -> None:
    job.failure = ValueError("a bug")
    with pytest.raises(ValueError, match="a bug"):
        await job.run('tell(type="embed", phrases=["a"]); hear()')


async def test_problem_of_the_process_is_told(job: Job) -> None:
    with pytest.raises(RefreshFailed, match="disk full"):
        await job.run('tell(type="failed", problem="disk full")')


async def test_silent_death_is_a_failure_and_the_log_says_why(job: Job) -> None:
    with pytest.raises(RefreshFailed, match="ended before it was done"):
        await job.run('raise SystemExit("because")')
    assert "because" in job.log.read_text(encoding="utf-8")


async def test_death_before_the_orders_are_read_is_a_failure(job: Job) -> None:
    with pytest.raises(RefreshFailed, match="log says more"):
        async with asyncio.timeout(30):
            await run_job(
                job.orders,
                encode=job.encode,
                on_progress=lambda *_: None,
                log=job.log,
                command=(sys.executable, "-S", "-c", "raise SystemExit(3)"),
            )


async def test_death_while_it_waits_for_embeddings_is_a_failure(job: Job) -> None:
    with pytest.raises(RefreshFailed, match="log says more"):
        await job.run("""
import os, signal
tell(type="embed", phrases=["a"])
os.kill(os.getpid(), signal.SIGKILL)
""")


@pytest.mark.parametrize(
    "script",
    [
        'print("hello", flush=True)',
        'sys.stdout.buffer.write(b"\\xff\\xfe\\n"); sys.stdout.flush()',
        'tell(type="sing")',
        'tell(type="progress", stage="brewing", done=0, total=1)',
        'tell(type="progress", stage="loading")',
        'tell(type="progress", stage="loading", done=[], total=None)',
        'tell(type="embed")',
        'tell(type="embed", phrases=7)',
        'tell(type="built", counts={})',
        'tell(type="built", draft=None, counts={}, added_count=0, retired_count=0)',
        'tell(type="unchanged")',
        'sys.stdout.write("x" * (17 << 20)); sys.stdout.flush()',
    ],
)
async def test_garbage_is_a_failure(job: Job, script: str) -> None:
    with pytest.raises(RefreshFailed, match="log says more"):
        await job.run(script + "\nhear()")


async def test_log_of_the_last_refresh_is_replaced(job: Job) -> None:
    for word in ("first", "second"):
        with pytest.raises(RefreshFailed):
            await job.run(f"raise SystemExit({word!r})")
    assert job.log.read_text(encoding="utf-8").split() == ["second"]


@pytest.mark.parametrize(
    "script",
    [
        "hear()",  # hangs quietly
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); hear()",
        'while True: tell(type="progress", stage="reading", done=1, total=2)',
    ],
)
async def test_cancelling_ends_the_process_at_once(
    job: Job, script: str, own_children: OwnChildren
) -> None:
    tell = 'tell(type="progress", stage="loading", done=0, total=1)\n'
    task = asyncio.create_task(job.run(tell + script))
    await until(lambda: job.progress)
    (process,) = own_children()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not process.is_running()


async def test_cancelling_while_the_encoder_works_ends_the_process(job: Job) -> None:
    job.gate.clear()
    task = asyncio.create_task(job.run('tell(type="embed", phrases=["a"]); hear()'))
    await until(lambda: job.asked)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_process_that_goes_on_after_its_result_is_ended(job: Job) -> None:
    result = await job.run(f'tell(type="unchanged", counts={COUNTS}); hear()')
    assert result.draft is None


async def test_orders_survive_as_json(job: Job) -> None:
    assert from_json(json.loads(json.dumps(to_json(job.orders)))) == job.orders


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ('tell(type="embed", phrases=["ab"]); hear(); tell(type="failed", problem="no")', "no"),
        ("raise SystemExit(1)", "log says more"),
        ("import os; os.close(0); os.close(1); __import__('signal').pause()", "log says more"),
    ],
)
def test_ends_are_the_same_on_the_loop_that_serves(
    tmp_path: Path, script: str, problem: str, own_children: OwnChildren
) -> None:
    async def run() -> None:
        job = Job(tmp_path)
        with pytest.raises(RefreshFailed, match=problem):
            await job.run(script)
        task = asyncio.create_task(job.run("hear()"))
        await until(lambda: own_children())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
