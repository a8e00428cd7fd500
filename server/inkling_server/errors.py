"""Every error that a caller of Inkling may see, as one tree.

    InklingError
    ├── InvalidRequest              the caller can mend it
    │   ├── ImageInvalid            IMAGE_INVALID
    │   ├── ImageTooLarge           IMAGE_TOO_LARGE
    │   ├── VideoInvalid            VIDEO_INVALID
    │   ├── VideoTooLarge           VIDEO_TOO_LARGE
    │   ├── VideosNotServed         VIDEOS_NOT_SERVED
    │   ├── ArgumentOutOfRange      ARGUMENT_OUT_OF_RANGE
    │   └── BadPageToken            BAD_PAGE_TOKEN
    ├── UnknownInterest             UNKNOWN_INTEREST
    ├── UnknownOperation            UNKNOWN_OPERATION
    ├── UnknownUser                 UNKNOWN_USER
    ├── UnknownContent              UNKNOWN_CONTENT
    ├── ProfileEmpty                PROFILE_EMPTY
    ├── NoClusters                  NO_CLUSTERS
    ├── PeopleRefreshRunning        PEOPLE_REFRESH_RUNNING
    ├── PeopleRefreshFailed         PEOPLE_REFRESH_FAILED
    ├── PeopleRefreshCancelled      PEOPLE_REFRESH_CANCELLED
    ├── GraphVersionNotServed       GRAPH_VERSION_NOT_SERVED
    ├── RefreshRunning              REFRESH_RUNNING
    ├── RefreshFailed               REFRESH_FAILED
    │   └── RefreshRefused          REFRESH_FAILED
    ├── RefreshCancelled            REFRESH_CANCELLED
    ├── UnknownModelVersion         UNKNOWN_MODEL_VERSION
    ├── RolloutRunning              ROLLOUT_RUNNING
    ├── RolloutFailed               ROLLOUT_FAILED
    │   └── RolloutRefused          ROLLOUT_REFUSED
    ├── RolloutCancelled            ROLLOUT_CANCELLED
    ├── Overloaded                  OVERLOADED
    ├── EncoderDown                 ENCODER_DOWN
    ├── SpeechFailed                SPEECH_FAILED
    ├── StorageDown                 STORAGE_DOWN
    ├── ShuttingDown                SHUTTING_DOWN
    └── DeadlineExceeded            DEADLINE_EXCEEDED

`reason` is the word that clients switch on; the text names what is wrong and what is allowed, and
never repeats the caller's data. This module does not know gRPC: `rpc/status.py` alone translates.
"""

from collections.abc import Sequence
from typing import ClassVar


class InklingError(Exception):
    """Base of everything that Inkling raises on purpose."""

    reason: ClassVar[str]

    @property
    def metadata(self) -> dict[str, str]:
        """Machine-readable details that travel in ErrorInfo.metadata."""
        return {}


class InvalidRequest(InklingError):
    """The request cannot succeed as it is."""


class ImageInvalid(InvalidRequest):
    """The bytes are not a picture in a known format, or the picture is damaged."""

    reason = "IMAGE_INVALID"


class ImageTooLarge(InvalidRequest):
    """A limit on bytes, pixels or sides is exceeded; found out before anything is decoded.

    Args:
        what: the measured quantity, such as "image bytes".
        actual: its value.
        allowed: the greatest value that is accepted.
    """

    reason = "IMAGE_TOO_LARGE"

    def __init__(self, what: str, actual: int, allowed: int) -> None:
        super().__init__(f"{what}: {actual:,} is over the limit of {allowed:,}")
        self.what, self.actual, self.allowed = what, actual, allowed

    @property
    def metadata(self) -> dict[str, str]:
        return {"what": self.what, "actual": str(self.actual), "allowed": str(self.allowed)}


class VideoInvalid(InvalidRequest):
    """The bytes are not a video in a known format, or the video is damaged."""

    reason = "VIDEO_INVALID"


class VideoTooLarge(InvalidRequest):
    """A limit on a video's bytes, duration, pixels, or on what decoding it costs, is exceeded.

    Args:
        what: the measured quantity with its unit, such as "video seconds".
        actual: its value; None where it is known only to be over the limit.
        allowed: the greatest value that is accepted.
    """

    reason = "VIDEO_TOO_LARGE"

    def __init__(self, what: str, actual: float | None, allowed: float) -> None:
        found = "more" if actual is None else f"{actual:,.10g}"
        super().__init__(f"{what}: {found} is over the limit of {allowed:,.10g}")
        self.what, self.actual, self.allowed = what, actual, allowed

    @property
    def metadata(self) -> dict[str, str]:
        details = {"what": self.what, "allowed": f"{self.allowed:.10g}"}
        return details if self.actual is None else {**details, "actual": f"{self.actual:.10g}"}


class VideosNotServed(InvalidRequest):
    """This server cannot decode videos."""

    reason = "VIDEOS_NOT_SERVED"

    def __init__(self) -> None:
        super().__init__(
            "this server tags no videos: it lacks the packages of its extra `video`;"
            " allowed: pictures"
        )


class ArgumentOutOfRange(InvalidRequest):
    """A field holds a value outside its documented range.

    Args:
        field: the field's name in the request.
        problem: what is wrong with it.
        allowed: the accepted values, in words.
    """

    reason = "ARGUMENT_OUT_OF_RANGE"

    def __init__(self, field: str, problem: str, allowed: str) -> None:
        super().__init__(f"{field}: {problem}; allowed: {allowed}")
        self.field, self.allowed = field, allowed

    @property
    def metadata(self) -> dict[str, str]:
        return {"field": self.field, "allowed": self.allowed}


class BadPageToken(InvalidRequest):
    """A page token that this server did not make, or made for another request."""

    reason = "BAD_PAGE_TOKEN"

    def __init__(self) -> None:
        super().__init__(
            "page_token: not made here, or made for another request; allowed: empty, or the"
            " next_page_token of the same request"
        )


class UnknownInterest(InklingError):
    """The graph version has no interest with this id."""

    reason = "UNKNOWN_INTEREST"

    def __init__(self, graph_version: str) -> None:
        super().__init__(f"interest_id: graph {graph_version} has no such interest")
        self.graph_version = graph_version

    @property
    def metadata(self) -> dict[str, str]:
        return {"graph_version": self.graph_version}


class UnknownOperation(InklingError):
    """No operation has this name (any more)."""

    reason = "UNKNOWN_OPERATION"

    def __init__(self) -> None:
        super().__init__(
            "name: no such operation here; allowed: a name that an RPC of this server returned"
        )


class UnknownUser(InklingError):
    """Nothing is stored of this person.

    Args:
        field: the field that names the person.
    """

    reason = "UNKNOWN_USER"

    def __init__(self, field: str = "user_id") -> None:
        super().__init__(
            f"{field}: nothing of this person is stored; allowed: somebody who engaged with an item"
            " or posted one"
        )
        self.field = field

    @property
    def metadata(self) -> dict[str, str]:
        return {"field": self.field}


class UnknownContent(InklingError):
    """No item of this id is stored.

    Args:
        field: the field that names the item.
    """

    reason = "UNKNOWN_CONTENT"

    def __init__(self, field: str = "content_id") -> None:
        super().__init__(f"{field}: no such item is stored; allowed: an item that was ingested")
        self.field = field

    @property
    def metadata(self) -> dict[str, str]:
        return {"field": self.field}


class ProfileEmpty(InklingError):
    """The person is known, and has kept no picture that a visual profile could be made of.

    Args:
        field: the field that names the person, or the collection.
    """

    reason = "PROFILE_EMPTY"

    def __init__(self, field: str = "user_id") -> None:
        super().__init__(
            f"{field}: no picture with an embedding of the model that serves; allowed: pictures"
            " that were liked, saved or shared, and ingested with this model"
        )
        self.field = field

    @property
    def metadata(self) -> dict[str, str]:
        return {"field": self.field}


class NoClusters(InklingError):
    """There are no visual clusters of the model that serves yet."""

    reason = "NO_CLUSTERS"

    def __init__(self) -> None:
        super().__init__(
            "there are no visual clusters of the model that serves yet; ingest pictures, then"
            " refresh people"
        )


class PeopleRefreshRunning(InklingError):
    """What is computed for all people is being refreshed; there is one at a time.

    Args:
        operation: its name, or "" where another gateway runs it.
    """

    reason = "PEOPLE_REFRESH_RUNNING"

    def __init__(self, operation: str) -> None:
        where = f"as {operation}" if operation else "at another gateway"
        super().__init__(f"people are being refreshed {where}; wait for it, or cancel it")
        self.operation = operation

    @property
    def metadata(self) -> dict[str, str]:
        return {"operation": self.operation}


class PeopleRefreshFailed(InklingError):
    """A refresh of people came to no good end; what had been computed before stays."""

    reason = "PEOPLE_REFRESH_FAILED"


class PeopleRefreshCancelled(InklingError):
    """A refresh of people was cancelled; what had been computed before stays."""

    reason = "PEOPLE_REFRESH_CANCELLED"

    def __init__(self) -> None:
        super().__init__("the refresh of people was cancelled")


class GraphVersionNotServed(InklingError):
    """The request insists on a graph version that this server does not serve (any more)."""

    reason = "GRAPH_VERSION_NOT_SERVED"

    def __init__(self, served: str) -> None:
        super().__init__(f"graph_version: not served here; allowed: empty or {served!r}")
        self.served = served

    @property
    def metadata(self) -> dict[str, str]:
        return {"served": self.served}


class RefreshRunning(InklingError):
    """A refresh of the same graph is under way; there is one at a time.

    Args:
        operation: its name, or "" where another gateway runs it, or a version is just swapped.
    """

    reason = "REFRESH_RUNNING"

    def __init__(self, operation: str) -> None:
        where = f"as {operation}" if operation else "at another gateway, or being taken over"
        super().__init__(f"a refresh is running {where}; wait for it, or cancel it")
        self.operation = operation

    @property
    def metadata(self) -> dict[str, str]:
        return {"operation": self.operation}


class RefreshFailed(InklingError):
    """A refresh came to no good end; the version that served before goes on serving."""

    reason = "REFRESH_FAILED"


class RefreshRefused(RefreshFailed):
    """The new graph was built, and is not fit to serve."""


class RefreshCancelled(InklingError):
    """A refresh was cancelled; the version that served before goes on serving."""

    reason = "REFRESH_CANCELLED"

    def __init__(self) -> None:
        super().__init__("the refresh was cancelled")


class UnknownModelVersion(InklingError):
    """The model repository has no such version.

    Args:
        problem: what is wrong.
        versions: those that it has.
    """

    reason = "UNKNOWN_MODEL_VERSION"

    def __init__(self, problem: str, versions: Sequence[int]) -> None:
        known = ", ".join(map(str, versions)) or "none"
        super().__init__(f"version: {problem}; in the model repository: {known}")
        self.versions = tuple(versions)

    @property
    def metadata(self) -> dict[str, str]:
        return {"versions": ",".join(map(str, self.versions))}


class RolloutRunning(InklingError):
    """A model is being rolled out; nothing else may change what serves meanwhile.

    Args:
        operation: its name.
    """

    reason = "ROLLOUT_RUNNING"

    def __init__(self, operation: str) -> None:
        where = f"as {operation}" if operation else "from this moment on"
        super().__init__(f"a rollout is running {where}; wait for it, or cancel it")
        self.operation = operation

    @property
    def metadata(self) -> dict[str, str]:
        return {"operation": self.operation}


class RolloutFailed(InklingError):
    """A rollout came to no good end; the model that served before goes on serving."""

    reason = "ROLLOUT_FAILED"


class RolloutRefused(RolloutFailed):
    """The model works, and is not to serve; or it must not be tried at all."""

    reason = "ROLLOUT_REFUSED"


class RolloutCancelled(InklingError):
    """A rollout was cancelled; the model that served before goes on serving."""

    reason = "ROLLOUT_CANCELLED"

    def __init__(self) -> None:
        super().__init__("the rollout was cancelled")


class Overloaded(InklingError):
    """The server is full; the same request may succeed later.

    Args:
        retry_after_s: when a retry has a fair chance, in seconds.
    """

    reason = "OVERLOADED"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"the server is full; retry in {retry_after_s:.2f} s")
        self.retry_after_s = retry_after_s


class EncoderDown(InklingError):
    """The encoders do not answer. The gateway keeps trying to get them back by itself."""

    reason = "ENCODER_DOWN"


class SpeechFailed(InklingError):
    """A sound's words could not be recognised: too slow, too much memory, or a crash."""

    reason = "SPEECH_FAILED"


class StorageDown(InklingError):
    """The database does not answer. What was acknowledged is safe; the gateway reconnects."""

    reason = "STORAGE_DOWN"


class ShuttingDown(InklingError):
    """The server is about to stop: what it has not answered yet, it will not answer."""

    reason = "SHUTTING_DOWN"

    def __init__(self) -> None:
        super().__init__("the server is shutting down; send what is unanswered to another one")


class DeadlineExceeded(InklingError):
    """The caller's deadline passed before the work was done; what was left of it was dropped."""

    reason = "DEADLINE_EXCEEDED"

    def __init__(self) -> None:
        super().__init__("the deadline passed before the request was done")
