"""What the load generator is asked to do, what it answers, and the bytes that it sends.

    Job ─(one JSON line)─► loadgen ─(one JSON line)─► Outcome

Messages are serialised beforehand and lie in a file, so that the generator, which shares the
processors with what it measures, only moves bytes. Of a stream's requests each has a name of its
own (its place in the file), and is sent again only when it has been answered: the name in the reply
tells which. This module does not know sockets or processes.
"""

import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

Transport = Literal["grpc-unary", "grpc-lean", "grpc-stream", "http"]
TAG = "/inkling.v1.TaggingService/Tag"
TAG_STREAM = "/inkling.v1.TaggingService/TagStream"
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Job:
    """One measurement.

    Attributes:
        transport: how the messages travel.
        address: host:port.
        method: gRPC's full method name, or "" for HTTP (the message holds the path).
        messages: file of `write_messages`.
        seconds: how long it sends.
        concurrency: closed loop: messages under way at a time. Open loop: ignored.
        rate: open loop: arrivals a second by a Poisson process; 0: closed loop.
        seed: of the arrivals.
        deadline_s: answers after this, from the scheduled arrival, are late. In a closed loop: from
            the sending.
        connections: that the messages are spread over.
        ramp_s: open loop: answers before this do not count for the rate.
        cancel_every: every so many-th unary call is cancelled a few milliseconds after it is sent;
            0: none.
        pause_s: closed loop: how long a caller that was refused waits before its next message.
        in_turn: streams: strictly in turn, so that each message is sent equally often. Else one
            that is answered at once (a broken picture) is sent again at once.
        count: closed loop: stops after so many messages, too; 0: by time alone.
    """

    transport: Transport
    address: str
    method: str
    messages: str
    seconds: float
    concurrency: int = 1
    rate: float = 0.0
    seed: int = 1
    deadline_s: float = 30.0
    connections: int = 1
    ramp_s: float = 0.5
    cancel_every: int = 0
    pause_s: float = 0.0
    in_turn: bool = False
    count: int = 0

    def to_line(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Self:
        return cls(**json.loads(line))


@dataclass(slots=True)
class Tally:
    """What came of the messages; the generator fills it.

    `answers` holds (seconds since the start, latency) of answers that came in time; `refusals_s`
    how long a refusal took to come.
    """

    sent: int = 0
    answers: list[tuple[float, float]] = field(default_factory=list)
    refusals_s: list[float] = field(default_factory=list)
    late: int = 0
    cancelled: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    # How far sending lagged behind the schedule: the generator's own share of the latency.
    lags_s: list[float] = field(default_factory=list)

    def fail(self, what: str) -> None:
        self.failed[what] = self.failed.get(what, 0) + 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """A measurement's result, as the generator tells it.

    Attributes:
        rate: answers in time a second. Closed loop: from the start to the last answer. Open loop:
            from the end of the ramp to the end of sending.
        sent, ok, refused, late, cancelled, failed: messages, and what became of them.
        wall_s: until the last answer. cpu_s: what the generator used.
        latency_ms: of answers in time, from the scheduled arrival (open) or the sending (closed).
        refusal_ms: likewise, of refusals.
        lag_ms: of the generator behind its schedule.
    """

    rate: float
    sent: int
    ok: int
    refused: int
    late: int
    cancelled: int
    failed: dict[str, int]
    wall_s: float
    cpu_s: float
    latency_ms: dict[str, float]
    refusal_ms: dict[str, float]
    lag_ms: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def write_messages(path: Path, messages: Iterable[bytes]) -> Path:
    """Each message behind its length (4 bytes, little-endian)."""
    with path.open("wb") as out:
        for message in messages:
            out.write(_LENGTH.pack(len(message)))
            out.write(message)
    return path


def read_messages(path: Path) -> list[bytes]:
    data, at, messages = path.read_bytes(), 0, []
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        messages.append(data[at : at + length])
        at += length
    return messages


def tag_messages(
    pictures: Sequence[bytes], *, top_n: int | None = None, min_score: float | None = None
) -> list[bytes]:
    """TagRequests of these pictures."""
    from inkling.v1 import tagging_pb2

    return [
        tagging_pb2.TagRequest(image=p, top_n=top_n, min_score=min_score).SerializeToString()
        for p in pictures
    ]


def stream_messages(requests: Sequence[bytes], window: int) -> list[bytes]:
    """`window` TagStreamRequests, named by their place, of the TagRequests in turn."""
    from inkling.v1 import tagging_pb2

    return [
        tagging_pb2.TagStreamRequest(
            request_id=str(place),
            request=tagging_pb2.TagRequest.FromString(requests[place % len(requests)]),
        ).SerializeToString()
        for place in range(window)
    ]


def http_messages(bodies: Iterable[tuple[str, bytes]], path: str, host: str) -> list[bytes]:
    """POST requests of (content type, body)."""
    return [
        (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        + body
        for kind, body in bodies
    ]


def parse_stream_reply(reply: bytes) -> tuple[int, bool]:
    """Name and success of a TagStreamResponse without parsing the rest.

    Field 1 (the name) comes first; whether field 2 (an answer, tag byte 0x12) or 3 (an error, 0x1a)
    follows tells the rest.

    Raises:
        ValueError: the reply does not begin with a short name.
    """
    if len(reply) < 3 or reply[0] != 0x0A or len(reply) <= (end := 2 + reply[1]):
        raise ValueError("a reply must begin with its request_id")
    return int(reply[2:end]), reply[end] == 0x12
