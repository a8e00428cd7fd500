"""Reads the text in pictures beside a serving event loop, in processes of its own.

    read(picture) ─► line of those who wait (bounded) ─► a free worker ─► lines ─► ReadText
                                                            └ too slow or dead: killed, started anew

Nothing is loaded before the first picture comes. Reading is a help and never a duty: a picture that
cannot be read in time, or that kills its worker, has no text, and is tagged all the same. It knows
no tags; the recogniser itself is known to the worker alone.
"""

import asyncio
import json
import logging
import os
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from inkling_server.admission import Admission
from inkling_server.errors import ShuttingDown
from inkling_server.images import ImageLimits
from inkling_server.text_reading.lines import NOTHING_READ, Box, Line, ReadText, read_text
from inkling_server.text_reading.recognizer import MIN_CONFIDENCE, missing_packages
from inkling_server.text_reading.worker import LENGTH

_log = logging.getLogger(__name__)
_COMMAND = (sys.executable, "-m", "inkling_server.text_reading.worker")
_MOST_REPLY_BYTES = 16 * 1024 * 1024
_START_TIMEOUT_S = 60.0
# A worker that does not come up (a damaged installation) is not tried for every picture.
_RESTART_PAUSE_S = 10.0
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class TextReadingLimits:
    """How much is read at a time.

    Attributes:
        workers: processes, 0.4 to 0.8 GB each once they have read something.
        capacity: pictures that wait or are read. Beyond it, callers who do not wait are refused.
        timeout_s: longest that one picture may take; a caption takes 0.1 s of a core that is free,
            a page full of small print five.
    """

    workers: int = 1
    capacity: int = 32
    timeout_s: float = 20.0


class TextReader(Protocol):
    """Reads the text in pictures."""

    async def read(
        self, image: bytes, *, deadline: float | None = None, wait: bool = True
    ) -> ReadText:
        """What is written in a picture; nothing, where it cannot be read in time.

        Args:
            image: the encoded file.
            deadline: on the loop's clock; after it nothing is begun.
            wait: stand in line where many wait, instead of being refused.

        Raises:
            Overloaded: too many wait, and `wait` is false.
            ShuttingDown: it was closed.
        """
        ...

    async def close(self) -> None:
        """Ends it at once. Idempotent."""
        ...


class ProcessTextReader:
    """Reads in worker processes; all methods belong to one event loop.

    Args:
        limits: how much is read at a time.
        image_limits: what a picture may be.
        command: of a worker; its argument is the image limits as JSON.
    """

    def __init__(
        self,
        limits: TextReadingLimits | None = None,
        image_limits: ImageLimits | None = None,
        *,
        command: Sequence[str] = _COMMAND,
    ) -> None:
        self._limits = limits or TextReadingLimits()
        arguments = json.dumps(asdict(image_limits or ImageLimits()))
        self._admission = Admission(self._limits.capacity)
        self._workers = [_Worker([*command, arguments]) for _ in range(self._limits.workers)]
        self._free: asyncio.LifoQueue[_Worker] = asyncio.LifoQueue()
        for worker in reversed(self._workers):
            self._free.put_nowait(worker)
        self._jobs: set[asyncio.Task[list[Line]]] = set()
        self._closed = False

    async def read(
        self, image: bytes, *, deadline: float | None = None, wait: bool = True
    ) -> ReadText:
        """As `TextReader.read`."""
        async with self._admission.slot(wait=wait):
            worker = await self._free.get()
            late = deadline is not None and asyncio.get_running_loop().time() >= deadline
            if self._closed or late:
                self._free.put_nowait(worker)
                if self._closed:
                    raise ShuttingDown
                return NOTHING_READ
            # A task of its own: a caller who goes leaves a worker that is busy for a moment, not
            # one that must be killed because a reply is still to come.
            job = asyncio.create_task(self._work(worker, image))
            self._jobs.add(job)
            job.add_done_callback(self._jobs.discard)
            try:
                lines = await asyncio.shield(job)
            except asyncio.CancelledError:
                if job.cancelled():  # by `close`, and not the caller
                    raise ShuttingDown from None
                raise
        return read_text(lines, min_confidence=MIN_CONFIDENCE)

    async def close(self) -> None:
        """As `TextReader.close`."""
        self._closed = True
        self._admission.close()
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self._workers))

    async def _work(self, worker: "_Worker", image: bytes) -> list[Line]:
        try:
            return await worker.read(image, timeout_s=self._limits.timeout_s)
        finally:
            self._free.put_nowait(worker)


def open_text_reader(
    limits: TextReadingLimits, image_limits: ImageLimits | None = None
) -> ProcessTextReader | None:
    """The reader of this server; None where it is switched off or its packages are missing.

    Args:
        limits: no workers: it is switched off.
        image_limits: what a picture may be.
    """
    if limits.workers < 1 or missing_packages():
        return None
    return ProcessTextReader(limits, image_limits)


class _Worker:
    """One process, started when it is needed; one caller at a time."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: Process | None = None
        self._not_before = 0.0  # on the loop's clock

    async def read(self, image: bytes, *, timeout_s: float) -> list[Line]:
        """The lines of a picture; none where it cannot be read, which costs the process its life
        where that is not the picture's fault alone.
        """
        problem = "ended"
        if asyncio.get_running_loop().time() < self._not_before:
            return []
        try:
            process = await self._running()
            async with asyncio.timeout(timeout_s):
                reply = await _exchange(process, image)
            problem = str(reply.get("problem", ""))
            if problem == "picture":
                return []
            if not problem:
                return [_line(one) for one in reply["lines"]]
        except TimeoutError:
            problem = "timeout"
        except (OSError, EOFError, ValueError, KeyError, TypeError):
            pass
        except BaseException:
            # Cancelled: the reply that is still to come must not be taken for the next one's.
            await self.stop()
            raise
        await self.stop()
        _log.warning("a picture's text could not be read", extra={"problem": problem})
        return []

    async def stop(self) -> None:
        """Kills the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()

    async def _running(self) -> Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        await self.stop()
        self._not_before = asyncio.get_running_loop().time() + _RESTART_PAUSE_S
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Decoders quote what they read.
            stderr=asyncio.subprocess.DEVNULL,
            env=os.environ | _ONE_THREAD,
        )
        async with asyncio.timeout(_START_TIMEOUT_S):
            if not (await _receive(process)).get("ready"):
                raise ValueError("the worker is not ready")
        self._not_before = 0.0
        return process


async def _exchange(process: Process, image: bytes) -> dict[str, Any]:
    assert process.stdin is not None
    process.stdin.write(LENGTH.pack(len(image)))
    process.stdin.write(image)
    await process.stdin.drain()
    return await _receive(process)


async def _receive(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
    if length > _MOST_REPLY_BYTES:
        raise ValueError("a reply of no sensible length")
    reply: object = json.loads(await process.stdout.readexactly(length))
    if not isinstance(reply, dict):
        raise ValueError("a reply that is no object")
    return reply


def _line(fields: dict[str, Any]) -> Line:
    return Line(str(fields["text"]), float(fields["confidence"]), Box(**fields["box"]))
