"""The gateway's end of the process that recognises speech.

    transcribe ─► a short line ─► one at a time ─► process ─► Said, Said, ...
                                       └─ too slow, crashed, out of memory ─► SpeechFailed, and the
                                          next one gets a new process

The process starts with the first sound and stays. It is of low priority: pictures come first. This
module knows no recognisers, videos or requests.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkling_server.errors import DeadlineExceeded, Overloaded, ShuttingDown, SpeechFailed
from inkling_server.refresh.pipe import MAX_LINE_BYTES, GatewayPipe, Message, PipeBroken
from inkling_server.speech.recognizer import (
    OFF,
    WHISPER,
    Said,
    check_samples,
    recognizer_name,
    speech_problem,
)

COMMAND = (sys.executable, "-m", "inkling_server.speech.process")
_GIB = 1024**3
_RETRY_S = 5.0


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What recognising may take.

    Attributes:
        start_s: seconds to load the model.
        least_s: seconds that every sound may take ...
        per_sound_s: ... and so many more for each of its seconds.
        memory_bytes: address space of the process.
        waiting: sounds that may wait while one is worked on.
        nice: of the process, from the gateway's.
    """

    start_s: float = 60.0
    least_s: float = 5.0
    per_sound_s: float = 4.0
    memory_bytes: int = _GIB
    waiting: int = 4
    nice: int = 5


class SpeechWorker:
    """Recognises speech in one process. One event loop; make it on the main thread, whose end the
    process watches.

    Args:
        spec: see `recognizer`.
        limits: what it may take.
        command: the process, without its arguments.

    Attributes:
        name: of the recogniser, for people.
    """

    def __init__(
        self,
        spec: str,
        limits: WorkerLimits | None = None,
        *,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.name = recognizer_name(spec)
        self._limits = limits or WorkerLimits()
        self._command = [
            *command,
            spec,
            str(self._limits.nice),
            str(self._limits.memory_bytes),
        ]
        self._turn = asyncio.Lock()
        self._inside = 0
        self._process: _Process | None = None
        self._closed = False

    async def transcribe(
        self, samples_N: NDArray[np.int16], rate_hz: int, *, deadline: float | None = None
    ) -> tuple[Said, ...]:
        """What is said, in order; () where nobody speaks. Cancelling ends the process.

        Args:
            samples_N: one channel.
            rate_hz: `RATE_HZ`.
            deadline: on the loop's clock, for waiting and working.

        Raises:
            ValueError: another rate, or no int16 of one channel.
            SpeechFailed: it took too long or too much memory, or crashed.
            Overloaded: too many wait already.
            DeadlineExceeded: `deadline` passed.
            ShuttingDown: `close` was called.
        """
        check_samples(samples_N, rate_hz)
        if self._closed:
            raise ShuttingDown
        if not len(samples_N):
            return ()
        if self._inside > self._limits.waiting:
            raise Overloaded(_RETRY_S)
        self._inside += 1
        scope = asyncio.timeout_at(deadline)
        try:
            async with scope, self._turn:
                return await self._work(samples_N, rate_hz)
        except TimeoutError as error:
            raise DeadlineExceeded from error
        finally:
            self._inside -= 1

    async def close(self) -> None:
        """Ends the process; who is inside gets ShuttingDown. Idempotent."""
        self._closed = True
        if self._process is not None:
            # Its end wakes the one who waits for its answer.
            await self._process.end()
        async with self._turn:  # one may just have been starting
            await self._abandon()

    async def _work(self, samples_N: NDArray[np.int16], rate_hz: int) -> tuple[Said, ...]:
        limits = self._limits
        limit_s = limits.least_s + limits.per_sound_s * len(samples_N) / rate_hz
        answered = False
        try:
            process = await self._started()
            async with _Within(limit_s, "recognising took too long"):
                order = {"type": "transcribe", "rate_hz": rate_hz}
                await process.pipe.send(order, np.ascontiguousarray(samples_N).tobytes())
                answer = await process.pipe.receive()
            said = _said(answer)
            answered = True
            return said
        except PipeBroken as error:
            if self._closed:
                raise ShuttingDown from error
            raise SpeechFailed("the recogniser crashed on this sound") from error
        finally:
            if not answered:
                await self._abandon()

    async def _started(self) -> "_Process":
        if self._closed:
            raise ShuttingDown
        if self._process is None:
            process = self._process = await _Process.start(self._command)
            if self._closed:
                raise ShuttingDown
            async with _Within(self._limits.start_s, "the recogniser took too long to load"):
                ready = await process.pipe.receive()
            if ready is None or ready["type"] != "ready":
                raise PipeBroken("the recogniser did not load")
        return self._process

    async def _abandon(self) -> None:
        """The next sound gets a new process."""
        process, self._process = self._process, None
        if process is not None:
            # Also while this task is being cancelled: who is not waited for stays a zombie.
            await asyncio.shield(process.end())


class _Within:
    """`asyncio.timeout` that tells its own end from others': SpeechFailed."""

    def __init__(self, seconds: float, problem: str) -> None:
        self._scope = asyncio.timeout(seconds)
        self._problem = problem

    async def __aenter__(self) -> None:
        await self._scope.__aenter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            await self._scope.__aexit__(type(error) if error else None, error, None)
        except TimeoutError as late:
            raise SpeechFailed(self._problem) from late


class _Process:
    """The process and the socket to it."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", pipe: GatewayPipe, writer: asyncio.StreamWriter
    ) -> None:
        self.pipe = pipe
        self._process = process
        self._writer = writer

    @classmethod
    async def start(cls, command: Sequence[str]) -> "_Process":
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        ours, theirs = socket.socketpair()
        with theirs:
            # Not asyncio's own: see refresh/job.py.
            process = subprocess.Popen(  # noqa: ASYNC220, S603 - a millisecond; our own command
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        try:
            ours.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=ours, limit=MAX_LINE_BYTES)
        except BaseException:  # cancelled in between
            process.kill()
            process.wait()
            ours.close()
            raise
        return cls(process, GatewayPipe(reader, writer), writer)

    async def end(self) -> None:
        self._process.kill()
        self._writer.transport.abort()
        await asyncio.to_thread(self._process.wait)


def _said(answer: Message | None) -> tuple[Said, ...]:
    if answer is None:
        raise PipeBroken("the recogniser is gone")
    if answer["type"] == "failed":
        raise SpeechFailed("the recogniser failed on this sound")
    try:
        rows = [
            Said(str(text), float(start_s), float(end_s), min(max(float(confidence), 0.0), 1.0))
            for text, start_s, end_s, confidence in answer["said"]
        ]
    except (LookupError, TypeError, ValueError) as error:
        raise PipeBroken("the recogniser says what nobody understands") from error
    return tuple(rows)


def open_speech(spec: str) -> SpeechWorker | None:
    """The worker of a recogniser, None for "off".

    Args:
        spec: see `recognizer`.

    Raises:
        ValueError: it cannot be had here; says why.
    """
    if spec == OFF:
        return None
    if problem := speech_problem(spec):
        raise ValueError(problem)
    is_whisper = spec.startswith(WHISPER)
    return SpeechWorker(spec, WorkerLimits(memory_bytes=8 * _GIB if is_whisper else _GIB))
