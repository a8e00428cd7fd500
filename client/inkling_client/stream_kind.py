"""What one kind of stream carries: pictures to be tagged, items to be stored ...

Every stream of Inkling works alike: a request has a number and a picture, there is one reply of
that number for each request, and asking again is safe. `StreamKind` is all that differs.

This module does not know threads, tasks, connections or retries: `stream.py`, `aio_stream.py` and
`stream_ledger.py` do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from inkling_client.errors import InklingClientError
from inkling_client.requests import Image

I = TypeVar("I")  # noqa: E741 - an input; the letter beside K, a key, and R, a result
R = TypeVar("R")


class Numbered(Protocol):
    """A message of a stream: a request or a reply."""

    request_id: str

    def ByteSize(self) -> int: ...  # noqa: N802 - as protobuf names it


@dataclass(frozen=True, slots=True)
class StreamKind(Generic[I, R]):
    """How inputs of type `I` travel, and how replies become results of type `R`.

    Attributes:
        image_of: an input's picture: bytes, empty where it has none, or a path.
        message_of: the request for an input and its picture's bytes, without a number. Raises
            InklingClientError where the input cannot be sent at all.
        image_bytes: the size of a request's picture.
        outcome_of: a reply's result or error.
    """

    image_of: Callable[[I], Image]
    message_of: Callable[[I, bytes], Numbered]
    image_bytes: Callable[[Any], int]
    outcome_of: Callable[[Any], R | InklingClientError]
