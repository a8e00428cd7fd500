"""Client of Inkling's gRPC services, for Python and for the command line.

`InklingClient` blocks, `AsyncInklingClient` is for asyncio; both give plain frozen values
(`TagResult`, `GraphInfo`) and one tree of errors (`errors.py`).

Nothing here knows the server's code: `inkling.v1`, the generated messages, is all that they share.
"""

from inkling_client.aio import AsyncInklingClient
from inkling_client.client import InklingClient
from inkling_client.errors import (
    ArgumentOutOfRange,
    BadPageToken,
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
    RefreshCancelled,
    RefreshFailed,
    RefreshRunning,
    RolloutCancelled,
    RolloutFailed,
    RolloutRefused,
    RolloutRunning,
    Unauthenticated,
    Unavailable,
    UnknownInterest,
    UnknownModelVersion,
    UnknownOperation,
)
from inkling_client.graph_aio import AsyncGraphClient, AsyncRefreshHandle
from inkling_client.graph_client import GraphClient, RefreshHandle
from inkling_client.graph_results import (
    Community,
    GraphDiff,
    GraphInfo,
    GraphVersion,
    Interest,
    Neighbor,
    RenamedInterest,
    Topic,
)
from inkling_client.model_aio import AsyncModelClient, AsyncRolloutHandle
from inkling_client.model_client import ModelClient, RolloutHandle
from inkling_client.model_results import (
    CanaryReport,
    ModelStatus,
    ModelVersion,
    RolloutProgress,
    RolloutResult,
)
from inkling_client.refresh_results import RefreshProgress, RefreshResult
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
    "AsyncGraphClient",
    "AsyncInklingClient",
    "AsyncModelClient",
    "AsyncRefreshHandle",
    "AsyncRolloutHandle",
    "BadPageToken",
    "CanaryReport",
    "Community",
    "DeadlineExceeded",
    "Defaults",
    "EncoderDown",
    "EncoderInfo",
    "Explanation",
    "FileUnreadable",
    "GraphClient",
    "GraphDiff",
    "GraphInfo",
    "GraphVersion",
    "GraphVersionNotServed",
    "Image",
    "ImageInvalid",
    "ImageTooLarge",
    "InklingClient",
    "InklingClientError",
    "Interest",
    "InvalidRequest",
    "Limits",
    "ModelClient",
    "ModelStatus",
    "ModelVersion",
    "Neighbor",
    "Overloaded",
    "PermissionDenied",
    "RefreshCancelled",
    "RefreshFailed",
    "RefreshHandle",
    "RefreshProgress",
    "RefreshResult",
    "RefreshRunning",
    "RenamedInterest",
    "RetryPolicy",
    "RolloutCancelled",
    "RolloutFailed",
    "RolloutHandle",
    "RolloutProgress",
    "RolloutRefused",
    "RolloutResult",
    "RolloutRunning",
    "ServerInfo",
    "Tag",
    "TagResult",
    "Topic",
    "Unauthenticated",
    "Unavailable",
    "UnknownInterest",
    "UnknownModelVersion",
    "UnknownOperation",
]
