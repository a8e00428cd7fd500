"""Where every RPC of ours enters and every error leaves: the servicers inside hold no `try`.

    call ─► room for it? ─► read and parse the request ─► servicer ─► reply
              │ no             │ not a message               │ any error
              └────────────────┴──────────► status.to_status ─► abort

An interceptor rather than a decorator, so that no servicer can forget it. `google.longrunning` is a
standard's name, and the operations are ours; health and reflection pass through untouched.

    one request, one reply       async def Rpc(request, context) -> reply
    one request, many replies    async def Rpc(request, context) -> None: it writes
    streams both ways            async def Rpc(requests, context) -> None: it reads and writes
    many requests, one reply     async def Rpc(requests, context) -> reply: it reads

This module does not know what the RPCs do.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from inkling_server.errors import ArgumentOutOfRange, DeadlineExceeded, Overloaded
from inkling_server.rpc.draining import UnderWay
from inkling_server.rpc.status import ending, to_status

_PREFIXES = ("/inkling.", "/google.longrunning.")
# A caller that opens a call and then dribbles its message holds room that others want.
_REQUEST_TIMEOUT_S = 60.0
# When a caller is told to come back whose message was not even read.
RETRY_AFTER_S = 1.0

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_Behaviour: TypeAlias = Callable[[Any, Context], Awaitable[Any]]


def is_ours(method: str) -> bool:
    """Whether a full method name is of this API: health and reflection are not."""
    return method.startswith(_PREFIXES)


class RpcObserver(Protocol):
    """Telemetry's view of the boundary. Called on the event loop; must not block or raise."""

    def rpc_started(self, rpc: str) -> None:
        """A call of "Tag", "TagStream", ... has arrived."""

    def rpc_finished(self, rpc: str, code: str, reason: str, duration_s: float) -> None:
        """It has ended; `reason` is "" unless an error carried one."""


class NotAMessage(ArgumentOutOfRange):
    """Bytes that are no protobuf message. Stands in the request's place until a handler sees it."""

    def __init__(self) -> None:
        super().__init__("request", "not a protobuf message of this RPC", "see the .proto files")


class Boundary(grpc.aio.ServerInterceptor):
    """Wraps each method of ours once.

    Args:
        observer: told about every call.
        max_unary_calls: calls of one RPC with a single request, between arrival and end, those
            included whose message is still on its way: more are refused *before* their message is
            read, so that a crowd of callers with large pictures cannot fill the memory.
    """

    def __init__(self, observer: RpcObserver, *, max_unary_calls: int) -> None:
        self._observer = observer
        self._max_unary_calls = max_unary_calls
        self._unary_calls: Counter[str] = Counter()
        self._under_way = UnderWay()
        self._wrapped: dict[str, _Handler] = {}

    async def idle(self) -> None:
        """Returns as soon as no RPC of ours is under way."""
        await self._under_way.idle()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], "Awaitable[_Handler | None]"],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "_Handler | None":
        method = handler_call_details.method
        if wrapped := self._wrapped.get(method):
            return wrapped
        handler = await continuation(handler_call_details)
        if handler is None or not is_ours(method):
            return handler
        self._wrapped[method] = self._wrap(method.rpartition("/")[2], handler)
        return self._wrapped[method]

    def _wrap(self, rpc: str, handler: _Handler) -> _Handler:
        parse = _lenient(handler.request_deserializer)
        serialize = handler.response_serializer
        if handler.request_streaming and handler.response_streaming:
            behaviour: _Behaviour = handler.stream_stream  # type: ignore[assignment]  # ours are async

            async def stream(requests: object, context: Context) -> None:
                await self._guard(rpc, context, behaviour(requests, context))

            return grpc.stream_stream_rpc_method_handler(stream, parse, serialize)
        if handler.request_streaming:
            gather: _Behaviour = handler.stream_unary  # type: ignore[assignment]  # ours are async

            async def upload(requests: object, context: Context) -> Any:
                return await self._guard(rpc, context, gather(requests, context))

            return grpc.stream_unary_rpc_method_handler(upload, parse, serialize)
        answer: _Behaviour = handler.unary_stream or handler.unary_unary  # type: ignore[assignment]

        # To gRPC a unary request is a stream of one message. Registered as such, the message stays
        # on the wire until this code asks for it.
        async def unary(_requests: object, context: Context) -> Any:
            return await self._guard(rpc, context, self._answer_one(rpc, answer, context))

        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(unary, parse, serialize)
        return grpc.stream_unary_rpc_method_handler(unary, parse, serialize)

    async def _answer_one(self, rpc: str, answer: _Behaviour, context: Context) -> Any:
        if self._unary_calls[rpc] >= self._max_unary_calls:
            raise Overloaded(RETRY_AFTER_S)
        self._unary_calls[rpc] += 1
        try:
            return await answer(await _read_one(context), context)
        finally:
            self._unary_calls[rpc] -= 1

    async def _guard(self, rpc: str, context: Context, work: Awaitable[Any]) -> Any:
        started = time.perf_counter()
        code, reason = "OK", ""
        self._under_way.begin()
        self._observer.rpc_started(rpc)
        try:
            return await work
        except asyncio.CancelledError:
            # Never swallowed: grpc.aio leaks a little of every call whose handler returns normally
            # after its client has gone.
            code = "DEADLINE_EXCEEDED" if context.time_remaining() == 0 else "CANCELLED"
            raise
        except Exception as error:
            end = ending(error)
            code, reason = end.code, end.reason
            await context.abort_with_status(end.status)
        finally:
            self._under_way.end()
            self._observer.rpc_finished(rpc, code, reason, time.perf_counter() - started)


async def or_status(work: Awaitable[Any]) -> Any | status_pb2.Status:
    """The result of `work`, or the status of its error, for RPCs that answer item by item."""
    try:
        return await work
    except Exception as error:
        return to_status(error)


async def _read_one(context: Context) -> Any:
    try:
        async with asyncio.timeout(_REQUEST_TIMEOUT_S):
            request = await context.read()
    except TimeoutError:
        raise DeadlineExceeded from None
    if request is grpc.aio.EOF:
        # Cancelled before the message came: nobody is there to be answered.
        raise asyncio.CancelledError
    if isinstance(request, NotAMessage):
        raise request
    return request


def _lenient(parse: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """Parses like `parse`, but hands on what cannot be parsed instead of failing inside gRPC, which
    would answer UNKNOWN and write the parser's text to the log."""
    assert parse is not None

    def lenient(data: bytes) -> Any:
        try:
            return parse(data)
        except DecodeError:
            return NotAMessage()

    return lenient
