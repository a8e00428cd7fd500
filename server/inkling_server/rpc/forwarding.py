"""Hands calls on to another process of the same server, byte for byte.

    caller ─► Forwarder ─► channel ─► the process that can answer
           ◄─ headers, messages, trailers, status ◄─┘

What is copied: metadata both ways, the deadline that is left, every message as bytes, the end of
the caller's stream, the status with its details, and a cancellation. Messages are never parsed, and
never more than one of them is held in each direction. It does not know what the calls do: an
interceptor that stands before the boundary, which therefore does not see them here, but there.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias

import grpc

from inkling_server.errors import Overloaded
from inkling_server.rpc.boundary import RETRY_AFTER_S, is_ours
from inkling_server.rpc.draining import UnderWay
from inkling_server.rpc.status import ending

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
_STATUS_DETAILS = "grpc-status-details-bin"


class Forwarder(grpc.aio.ServerInterceptor):
    """Hands on all calls of ours but those that are answered here.

    Args:
        channel: to who answers the others.
        own: methods that are answered here, such as "/inkling.v1.TaggingService/Tag".
        max_calls: of one method at a time; more are refused before their message is read.
    """

    def __init__(self, channel: grpc.aio.Channel, own: Iterable[str], *, max_calls: int) -> None:
        self._channel = channel
        self._own = frozenset(own)
        self._max_calls = max_calls
        self._calls: Counter[str] = Counter()
        self._under_way = UnderWay()
        self._handlers: dict[str, _Handler] = {}

    async def idle(self) -> None:
        """Returns as soon as no call is being handed on."""
        await self._under_way.idle()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], "Awaitable[_Handler | None]"],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "_Handler | None":
        method = handler_call_details.method
        if method in self._own or not is_ours(method):
            return await continuation(handler_call_details)
        if method not in self._handlers:
            # Names come from callers: there must be no room for as many as they like.
            if len(self._handlers) >= 1_000:
                self._handlers.clear()
            self._handlers[method] = self._handler(method)
        return self._handlers[method]

    def _handler(self, method: str) -> _Handler:
        # To gRPC every call is a stream of messages both ways.
        start: Any = self._channel.stream_stream(method)

        async def forward(_requests: object, context: _Context) -> None:
            if self._calls[method] >= self._max_calls:
                await context.abort_with_status(ending(Overloaded(RETRY_AFTER_S)).status)
            self._calls[method] += 1
            self._under_way.begin()
            try:
                await _forward(start, context)
            finally:
                self._calls[method] -= 1
                if not self._calls[method]:
                    del self._calls[method]
                self._under_way.end()

        return grpc.stream_stream_rpc_method_handler(forward)


async def _forward(start: Any, context: _Context) -> None:
    """One call from its headers to its status."""
    call = start(timeout=context.time_remaining(), metadata=_onward(context.invocation_metadata()))
    sending = asyncio.create_task(_send(context, call))
    try:
        await _receive(context, call)
    except grpc.aio.AioRpcError as error:
        trailers = tuple(error.trailing_metadata() or ())
        details = error.details() or ""
        if error.code() is grpc.StatusCode.UNAVAILABLE and _STATUS_DETAILS not in dict(trailers):
            details = "the server's main process does not answer"  # gRPC's own words name paths
        await context.abort(error.code(), details, trailers)
    finally:
        sending.cancel()
        await asyncio.wait({sending})
        call.cancel()


async def _send(context: _Context, call: Any) -> None:
    """The caller's messages, one by one, and their end."""
    try:
        while (message := await context.read()) is not grpc.aio.EOF:
            await call.write(message)
        await call.done_writing()
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError, grpc.aio.UsageError):
        return  # the call has ended, and its status says why


async def _receive(context: _Context, call: Any) -> None:
    """The answers, and what comes before and after them. Raises AioRpcError."""
    if headers := tuple(await call.initial_metadata() or ()):
        await context.send_initial_metadata(headers)
    while (message := await call.read()) is not grpc.aio.EOF:
        await context.write(message)
    context.set_trailing_metadata(tuple(await call.trailing_metadata() or ()))


def _onward(metadata: Any) -> tuple[tuple[str, str | bytes], ...]:
    """The caller's metadata without what gRPC itself says on each connection."""
    return tuple(
        (key, value)
        for key, value in metadata or ()
        if key not in ("user-agent", "te", "content-type") and not key.startswith(("grpc-", ":"))
    )
