"""One follower process as the owner sees it: started, asked, ended.

    launch ─► orders ─► ask ─► answer ─► ask ... ─► SIGTERM ─► it drains ─► gone

Whatever happens here, the process is gone after `end`. It does not know what is asked.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from inkling_server.processes.orders import Orders, orders_to_json
from inkling_server.refresh.pipe import MAX_LINE_BYTES, GatewayPipe, Message, PipeBroken

COMMAND = (sys.executable, "-m", "inkling_server.processes.follower")


class FollowerLink:
    """A running follower. Make it by `launch`, on the main thread: the process watches that one.

    Attributes:
        pid: of the process.
        exited: done when it has ended; the result is its exit status.
    """

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._pipe = GatewayPipe(reader, writer)
        self._writer = writer
        self._asking = asyncio.Lock()
        self._last_id = 0
        self._is_draining = False
        self.pid = process.pid
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int] = loop.create_future()
        self._pidfd = os.pidfd_open(process.pid)
        loop.add_reader(self._pidfd, self._reap, loop)

    @classmethod
    async def launch(cls, orders: Orders, command: Sequence[str] = COMMAND) -> "FollowerLink":
        """Starts a follower and gives it its orders.

        Args:
            orders: what it is to do.
            command: the process.

        Raises:
            OSError: no process can be started.
            PipeBroken: it ended at once.
        """
        # A socket and not two pipes, and not asyncio's own way of starting: see `refresh.job`.
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = subprocess.Popen(  # noqa: ASYNC220, S603 - a millisecond; our own command
                    command,
                    stdin=theirs.fileno(),
                    # Its standard output is the socket, too, until it turns that to its log.
                    stdout=theirs.fileno(),
                    # Ctrl-C in a terminal is the owner's to understand.
                    start_new_session=True,
                )
            ours.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=ours, limit=MAX_LINE_BYTES)
        except BaseException:
            ours.close()
            raise
        link = cls(process, reader, writer)
        try:
            await link._pipe.send({"type": "orders", "orders": orders_to_json(orders)})
        except BaseException:
            await link.end(grace_s=0)
            raise
        return link

    async def ask(self, question: Message, *, timeout_s: float) -> Message:
        """Its answer. Raises PipeBroken: it is gone; TimeoutError: it does not answer in time."""
        async with asyncio.timeout(timeout_s), self._asking:
            self._last_id += 1
            await self._pipe.send({**question, "id": self._last_id})
            while True:
                answer = await self._pipe.receive()
                if answer is None:
                    raise PipeBroken("the follower has ended")
                # An answer to a question that nobody waited for any longer is passed over.
                if answer.get("id") == self._last_id:
                    return answer

    def drain(self) -> None:
        """Has it answer what it has begun, and end. Idempotent."""
        if not self._is_draining:
            self._is_draining = True
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it at once."""
        self._signal(signal.SIGKILL)

    async def end(self, *, grace_s: float) -> int:
        """Returns its exit status when it has ended; after `grace_s` it is killed. Idempotent."""
        if grace_s > 0:
            self.drain()
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self.exited), grace_s)
        self.kill()
        status = await asyncio.shield(self.exited)
        self._writer.transport.abort()
        return status

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def _reap(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        status = self._process.wait()
        if not self.exited.done():
            self.exited.set_result(status)
