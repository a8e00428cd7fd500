"""The process: it answers, and whatever becomes of it costs one answer."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from inkling_server.errors import DeadlineExceeded, Overloaded, ShuttingDown, SpeechFailed
from inkling_server.speech import RATE_HZ, SpeechWorker, WorkerLimits, speech_problem
from tests.server.speech.sounds import dog_in_the_lake, silence

# A process that does to a sound what its first sample says.
_FAKE = """
import os, signal, sys, time
from inkling_server.refresh.pipe import ProcessPipe
from inkling_server.speech.process import limit, serve
from inkling_server.speech.recognizer import Said
limit(int(sys.argv[2]), int(sys.argv[3]))
class Fake:
    name = "fake"
    def transcribe(self, samples_N, rate_hz):
        match int(samples_N[0]):
            case 1: os.kill(os.getpid(), signal.SIGKILL)
            case 2: signal.pause()
            case 3: return len(bytearray(8 * 1024**3))
            case 4: raise ValueError("a secret")
            case 5: return (Said("x", "no", "numbers", None),)
            case 6: open(__file__ + ".out", "w").write("x" * 9999)
            case 7: return (Said(str(os.getpid()), 0.0, float(os.nice(0)), 7.0),)
        return (Said("words", 0.0, 1.0, 0.5),)
if sys.argv[1] == "crashes": sys.exit(3)
if sys.argv[1] == "hangs": signal.pause()
serve(ProcessPipe(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(0), "wb")), Fake())
"""
OK, CRASH, HANG, MEMORY, RAISE, NONSENSE, WRITE, TELL = range(8)
Make = Callable[..., SpeechWorker]


def sound(what: int) -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    return np.full(1_600, what, np.int16)


@pytest_asyncio.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    script = tmp_path / "fake_process.py"
    script.write_text(_FAKE, encoding="utf-8")
    workers: list[SpeechWorker] = []

    def made(spec: str = "fake", **limits: float) -> SpeechWorker:
        chosen = WorkerLimits(**{"start_s": 60, "least_s": 60, **limits})  # type: ignore[arg-type]
        workers.append(SpeechWorker(spec, chosen, command=(sys.executable, str(script))))
        return workers[-1]

    yield made
    for worker in workers:
        await worker.close()


async def _words(worker: SpeechWorker) -> list[str]:
    return [one.text for one in await worker.transcribe(sound(OK), RATE_HZ)]


async def test_one_process_of_low_priority_answers_all(make: Make) -> None:
    worker = make(nice=7)
    (first,) = await worker.transcribe(sound(TELL), RATE_HZ)
    (second,) = await worker.transcribe(sound(TELL), RATE_HZ)

    assert first.text == second.text != str(os.getpid())
    assert first.end_s == min(os.nice(0) + 7, 19)
    assert first.confidence == 1.0  # whatever the process says


@pytest.mark.parametrize("what", [CRASH, MEMORY, RAISE, NONSENSE, WRITE])
async def test_a_crash_costs_one_answer(make: Make, what: int) -> None:
    worker = make()
    with pytest.raises(SpeechFailed) as failure:
        await worker.transcribe(sound(what), RATE_HZ)

    assert "secret" not in str(failure.value)
    assert await _words(worker) == ["words"]


async def test_what_takes_too_long_is_ended(make: Make) -> None:
    worker = make(least_s=0.2, per_sound_s=0)
    with pytest.raises(SpeechFailed, match="too long"):
        await worker.transcribe(sound(HANG), RATE_HZ)


async def test_the_limit_grows_with_the_sound(make: Make) -> None:
    worker = make(least_s=0.0, per_sound_s=600)  # 1,600 samples may take a minute
    assert await _words(worker) == ["words"]


@pytest.mark.parametrize("spec", ["crashes", "hangs"])
async def test_a_recogniser_that_does_not_load_fails_the_sound(make: Make, spec: str) -> None:
    worker = make(spec, start_s=5 if spec == "crashes" else 0.3)
    with pytest.raises(SpeechFailed):
        await worker.transcribe(sound(OK), RATE_HZ)


async def test_a_deadline_holds_for_waiting_and_for_working(make: Make) -> None:
    worker = make()
    await _words(worker)
    loop = asyncio.get_running_loop()
    hanging = asyncio.create_task(worker.transcribe(sound(HANG), RATE_HZ, deadline=loop.time() + 1))
    waiting = asyncio.create_task(
        worker.transcribe(sound(OK), RATE_HZ, deadline=loop.time() + 0.05)
    )
    with pytest.raises(DeadlineExceeded):
        await waiting
    with pytest.raises(DeadlineExceeded):
        await hanging
    assert await _words(worker) == ["words"]


async def test_too_many_waiting_are_sent_away(make: Make) -> None:
    worker = make(waiting=1)
    inside = [asyncio.create_task(worker.transcribe(sound(HANG), RATE_HZ)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await worker.transcribe(sound(OK), RATE_HZ)
    for task in inside:
        task.cancel()
    await asyncio.gather(*inside, return_exceptions=True)

    assert await _words(worker) == ["words"]


async def test_closing_ends_the_process_and_everybody_inside(make: Make) -> None:
    worker = make()
    (told,) = await worker.transcribe(sound(TELL), RATE_HZ)
    inside = [asyncio.create_task(worker.transcribe(sound(HANG), RATE_HZ)) for _ in range(2)]
    await asyncio.sleep(0)
    await worker.close()

    results = await asyncio.gather(*inside, return_exceptions=True)
    assert [type(result) for result in results] == [ShuttingDown, ShuttingDown]
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.text), 0)
    with pytest.raises(ShuttingDown):
        await worker.transcribe(sound(OK), RATE_HZ)
    await worker.close()


async def test_a_wrong_rate_is_refused_and_an_empty_sound_starts_nothing(make: Make) -> None:
    worker = make("crashes")
    with pytest.raises(ValueError, match="16000"):
        await worker.transcribe(sound(OK), 8_000)
    assert await worker.transcribe(silence(0), RATE_HZ) == ()


async def test_the_real_recogniser_answers_through_its_process() -> None:
    if problem := speech_problem("moonshine"):
        pytest.skip(problem)
    worker = SpeechWorker("moonshine")
    try:
        (said,) = await worker.transcribe(dog_in_the_lake(), RATE_HZ)
        assert await worker.transcribe(silence(2), RATE_HZ) == ()
    finally:
        await worker.close()

    assert "dog" in said.text.split()
    assert worker.name.startswith("moonshine-voice 0.")
