"""Client of Inkling's gRPC services, for Python and for the command line.

`InklingClient` blocks, `AsyncInklingClient` is for asyncio; both give plain frozen values
(`TagResult`, `ServerInfo`) and one tree of errors (`errors.py`).

Nothing here knows the server's code: `inkling.v1`, the generated messages, is all that they share.
"""

from inkling_client.aio import AsyncInklingClient
from inkling_client.client import InklingClient
from inkling_client.errors import (
    ArgumentOutOfRange,
    DeadlineExceeded,
    EncoderDown,
    FileUnreadable,
    GraphVersionNotServed,
    ImageInvalid,
    ImageTooLarge,
    InklingClientError,
    InvalidRequest,
    Overloaded,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from inkling_client.requests import Image
from inkling_client.results import (
    Defaults,
    EncoderInfo,
    Explanation,
    Limits,
    ServerInfo,
    Tag,
    TagResult,
)
from inkling_client.retry import RetryPolicy

__all__ = [
    "ArgumentOutOfRange",
    "AsyncInklingClient",
    "DeadlineExceeded",
    "Defaults",
    "EncoderDown",
    "EncoderInfo",
    "Explanation",
    "FileUnreadable",
    "GraphVersionNotServed",
    "Image",
    "ImageInvalid",
    "ImageTooLarge",
    "InklingClient",
    "InklingClientError",
    "InvalidRequest",
    "Limits",
    "Overloaded",
    "PermissionDenied",
    "RetryPolicy",
    "ServerInfo",
    "Tag",
    "TagResult",
    "Unauthenticated",
    "Unavailable",
]
