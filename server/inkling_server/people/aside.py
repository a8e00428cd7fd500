"""Runs a computation in a process of low priority: bytes in, bytes out.

    pieces ─► standard input ─► the process (see `child_process`) ─► standard output ─► bytes

The gateway goes on serving meanwhile; cancelling ends the process. It does not know what is
computed.
"""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


async def run_aside(
    command: Sequence[str], pieces: AsyncIterator[bytes | memoryview]
) -> tuple[int, bytes]:
    """Runs a command of ours to its end.

    Args:
        command: program and arguments.
        pieces: written to it one after another.

    Returns:
        its exit status, and all that it wrote.

    Raises:
        BrokenPipeError: it ended before it had read everything.
    """
    # Not asyncio's own: see refresh/job.py. On the main thread, whose end the process watches.
    process = subprocess.Popen(  # noqa: ASYNC220, S603 - a millisecond; our own command
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **_ONE_THREAD},
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        async for piece in pieces:
            await asyncio.to_thread(process.stdin.write, piece)
        return await asyncio.to_thread(_receive, process)
    finally:
        process.kill()
        # Also while this task is being cancelled; and a thread that reads or writes ends with it.
        await asyncio.shield(asyncio.to_thread(_end, process))


def _receive(process: "subprocess.Popen[bytes]") -> tuple[int, bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    data = process.stdout.read()
    return process.wait(), data


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
