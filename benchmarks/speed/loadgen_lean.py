"""The load generator's lean gRPC: unary calls as HTTP/2 frames over plain sockets.

    call ─► HEADERS ─► DATA, as the server's windows allow ─► HEADERS that end it: grpc-status

The generator shares its processors with the server that it loads. In Python a call by gRPC's own
client costs a quarter of a millisecond, which at three times the saturating rate is a tenth of two
cores that the server would need; this costs half of that. It is no client for anybody else: it
knows one kind of call, reads of a reply only how it ended, and takes every surprise for an error
that ends the connection. What a real client's messages look like to the server (frames, windows,
indexed headers, deadlines) is the same.

Formats: RFC 9113 (HTTP/2), RFC 7541 (HPACK), gRPC over HTTP2.
"""

import asyncio
import contextlib
import itertools
import struct
from collections.abc import AsyncIterator
from typing import cast

from benchmarks.speed.jobs import Job
from benchmarks.speed.pacing import Fate, Send

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEAD = struct.Struct(">HBBBI")  # a frame's length (16 + 8 bits), type, flags, stream
_HEAD_BYTES = 9
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 0x1, 0x1, 0x4
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE = 1, 2, 4, 5
_DEFAULT_WINDOW, _DEFAULT_FRAME = 65_535, 16_384
_LARGEST_WINDOW = 2**31 - 1
_CANCEL = struct.pack(">I", 8)
# As a header without Huffman code and without index: what a server sends who may keep no table.
_STATUS_NAME = b"\x0bgrpc-status"
_FATES: dict[bytes, Fate] = {b"0": "ok", b"8": "refused", b"4": "late"}
# A server ends a call that is late by itself; one that does not gets so much longer.
_GRACE_S = 1.0


class _Upload:
    """A message on its way."""

    __slots__ = ("body", "place", "window")

    def __init__(self, body: bytes, window: int) -> None:
        self.body, self.window, self.place = memoryview(body), window, 0


class _Connection(asyncio.Protocol):
    """One HTTP/2 connection. All on its event loop."""

    def __init__(self, address: str, method: str) -> None:
        self.ready = asyncio.get_running_loop().create_future()
        self._lost = asyncio.Event()
        self._headers, self._later_headers = _fixed_headers(address, method)
        self._transport: asyncio.Transport  # from connection_made on
        self._calls: dict[int, asyncio.Future[Fate]] = {}
        self._uploads: dict[int, _Upload] = {}  # by stream, first come first
        self._received = b""
        self._next_stream = 1
        self._window = self._initial_window = _DEFAULT_WINDOW
        self._frame = _DEFAULT_FRAME

    async def call(self, message: bytes, timeout_s: float) -> Fate:
        """Sends one message; returns what became of it."""
        if self._transport.is_closing():
            return "connection lost"
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        timeout = b"\x00\x0cgrpc-timeout" + _text(b"%dm" % max(1, round(1000 * timeout_s)))
        self._transport.write(_frame(_HEADERS, _END_HEADERS, stream, self._headers + timeout))
        self._headers = self._later_headers
        body = b"\x00" + struct.pack(">I", len(message)) + message
        self._uploads[stream] = _Upload(body, self._initial_window)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Fate] = loop.create_future()
        self._calls[stream] = answer
        self._send()
        late = loop.call_later(timeout_s + _GRACE_S, self._give_up, stream)
        try:
            return await answer
        finally:
            late.cancel()

    async def close(self) -> None:
        """Ends the connection, and waits for its end."""
        self._transport.close()
        await self._lost.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        settings = struct.pack(
            ">HIHIHI",
            *(_HEADER_TABLE_SIZE, 0),
            *(_ENABLE_PUSH, 0),
            *(_INITIAL_WINDOW_SIZE, _LARGEST_WINDOW),
        )
        more = struct.pack(">I", _LARGEST_WINDOW - _DEFAULT_WINDOW)
        self._transport.write(
            _PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, more)
        )

    def connection_lost(self, _exc: Exception | None) -> None:
        self._lost.set()
        lost = ConnectionError("the server closed the connection")
        if not self.ready.done():
            self.ready.set_exception(lost)
        for stream in list(self._calls):
            self._end(stream, "connection lost")

    def data_received(self, data: bytes) -> None:
        data, place = self._received + data, 0
        while len(data) - place >= _HEAD_BYTES:
            high, low, kind, flags, stream = _HEAD.unpack_from(data, place)
            end = place + _HEAD_BYTES + (high << 8 | low)
            if len(data) < end:
                break
            self._take(kind, flags, stream, data[place + _HEAD_BYTES : end])
            place = end
        self._received = data[place:]

    def _take(self, kind: int, flags: int, stream: int, body: bytes) -> None:
        if kind == _HEADERS and flags & _END_STREAM:
            self._end(stream, _fate(body))
        elif kind == _RST_STREAM:
            self._end(stream, "reset")
        elif kind == _WINDOW_UPDATE:
            self._widen(stream, int.from_bytes(body) & _LARGEST_WINDOW)
        elif kind == _SETTINGS and not flags & _ACK:
            self._settle(body)
        elif kind == _PING and not flags & _ACK:
            self._transport.write(_frame(_PING, _ACK, 0, body))
        elif kind == _GOAWAY:
            self._transport.close()

    def _settle(self, body: bytes) -> None:
        for number, value in struct.iter_unpack(">HI", body):
            if number == _INITIAL_WINDOW_SIZE:
                for upload in self._uploads.values():
                    upload.window += value - self._initial_window
                self._initial_window = value
            elif number == _MAX_FRAME_SIZE:
                self._frame = value
        self._transport.write(_frame(_SETTINGS, _ACK, 0, b""))
        self._send()
        if not self.ready.done():
            self.ready.set_result(None)

    def _widen(self, stream: int, by: int) -> None:
        if stream == 0:
            self._window += by
        elif upload := self._uploads.get(stream):
            upload.window += by
        self._send()

    def _send(self) -> None:
        """Sends of the messages, first come first, what the windows allow."""
        for stream, upload in list(self._uploads.items()):
            while (left := len(upload.body) - upload.place) and self._window > 0:
                size = min(left, self._frame, self._window, upload.window)
                if size <= 0:
                    break  # this one's own window: others may go on
                last = _END_STREAM if size == left else 0
                self._transport.write(_frame_head(size, _DATA, last, stream))
                self._transport.write(upload.body[upload.place : upload.place + size])
                upload.place += size
                upload.window -= size
                self._window -= size
            if not left:
                del self._uploads[stream]
            if self._window <= 0:
                return

    def _give_up(self, stream: int) -> None:
        """Of a call whose server has forgotten its deadline."""
        self._end(stream, "late")
        self._transport.write(_frame(_RST_STREAM, 0, stream, _CANCEL))

    def _end(self, stream: int, fate: Fate) -> None:
        self._uploads.pop(stream, None)
        answer = self._calls.pop(stream, None)
        if answer is not None and not answer.done():
            answer.set_result(fate)


@contextlib.asynccontextmanager
async def lean_connections(job: Job) -> AsyncIterator[Send]:
    """Opens the connections; yields what sends over each in turn.

    Raises:
        ConnectionError: the server cannot be reached, or does not speak HTTP/2.
    """
    host, port = job.address.rsplit(":", 1)
    loop = asyncio.get_running_loop()
    connections: list[_Connection] = []
    try:
        for _ in range(job.connections):
            _, connection = await loop.create_connection(
                lambda: _Connection(job.address, job.method), host, int(port)
            )
            connections.append(connection)
            await connection.ready
        turn = itertools.cycle(connections)

        async def send(message: bytes, timeout_s: float, cancel: bool) -> Fate:
            assert not cancel, "lean calls are not cancelled"
            return await next(turn).call(message, timeout_s)

        yield send
    finally:
        for connection in connections:
            await connection.close()


def _fixed_headers(address: str, method: str) -> tuple[bytes, bytes]:
    """What does not change, as a connection's first call sends it and as later ones do: the first
    puts it into the connection's table (RFC 7541, 6.2.1), and then it is a byte a header."""
    new = [
        b"\x44" + _text(method.encode()),  # :path
        b"\x41" + _text(address.encode()),  # :authority
        b"\x40\x02te" + _text(b"trailers"),
        b"\x5f" + _text(b"application/grpc"),  # content-type
        b"\x7a" + _text(b"inkling-loadgen"),  # user-agent
    ]
    pseudo = b"\x83\x86"  # :method POST, :scheme http
    # The last one in has the lowest number, 62.
    indexed = bytes(0x80 | 62 + place for place in reversed(range(len(new))))
    return pseudo + b"".join(new), pseudo + indexed


def _text(value: bytes) -> bytes:
    assert len(value) < 127, "longer ones have another prefix"
    return bytes([len(value)]) + value


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return _frame_head(len(body), kind, flags, stream) + body


def _frame_head(size: int, kind: int, flags: int, stream: int) -> bytes:
    return _HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream)


def _fate(trailers: bytes) -> Fate:
    """What became of a call, by the block of headers that ended it.

    Raises:
        ConnectionError: there is no plain grpc-status in it.
    """
    at = trailers.find(_STATUS_NAME)
    if at < 0:
        raise ConnectionError("trailers without a grpc-status that can be read")
    at += len(_STATUS_NAME)
    code = trailers[at + 1 : at + 1 + trailers[at]]
    return _FATES.get(code, f"gRPC status {code.decode(errors='replace')}")
