"""A stream of items: one reply for each, the item's answer or the status that it failed with.

    request ─► a message? its request_id short enough? ─► answer ─► reply(id, answer or status)

A bad item never ends the stream. It knows neither pictures nor content; see `streaming.py` for
order, back-pressure and draining.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from google.rpc import status_pb2

from inkling_server.errors import ArgumentOutOfRange
from inkling_server.rpc.boundary import Context, NotAMessage, or_status
from inkling_server.rpc.draining import Drain
from inkling_server.rpc.status import reason_of
from inkling_server.rpc.streaming import OutOfOrderStream

MAX_REQUEST_ID_LENGTH = 128
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class StreamPolicy:
    """How streams of items are served.

    Attributes:
        max_in_flight: items of one stream that are worked on at a time.
        drain: ends the reading of open streams.
        on_answer: told the reason of each answer, "" for success.
    """

    max_in_flight: int
    drain: Drain
    on_answer: Callable[[str], None]


async def answer_items(
    context: Context,
    answer: Callable[[Any], Awaitable[A]],
    reply: Callable[[str, A | status_pb2.Status], Any],
    policy: StreamPolicy,
) -> None:
    """Answers every item of a stream; returns when all have their reply.

    Args:
        context: the call; its messages have a `request_id`.
        answer: of one message; what it raises becomes the item's status.
        reply: the message that carries an item's answer, or its status.
        policy: how.
    """

    async def checked(request: Any) -> A:
        if isinstance(request, NotAMessage):
            raise request
        if len(request.request_id) > MAX_REQUEST_ID_LENGTH:
            raise ArgumentOutOfRange(
                "request_id",
                f"{len(request.request_id):,} characters",
                f"at most {MAX_REQUEST_ID_LENGTH}",
            )
        return await answer(request)

    async def replied(request: Any) -> Any:
        result = await or_status(checked(request))
        failed = isinstance(result, status_pb2.Status)
        policy.on_answer(reason_of(result) if failed else "")
        return reply(getattr(request, "request_id", "")[:MAX_REQUEST_ID_LENGTH], result)

    await OutOfOrderStream(
        read=context.read,
        answer=replied,
        write=context.write,
        max_in_flight=policy.max_in_flight,
        drain=policy.drain,
    ).run()


def deadline_of(context: Context) -> float | None:
    """When the caller stops waiting, on the running loop's clock."""
    remaining_s: Any = context.time_remaining()
    return None if remaining_s is None else asyncio.get_running_loop().time() + remaining_s
