"""What telemetry may watch of the tagging pipeline, as protocols.

The pipeline calls these on the event loop; an implementation must neither block nor raise. Nothing
here knows Prometheus: `telemetry` implements the protocol.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

from inkling_server.batching import BatchObserver

Stage = Literal["admission", "decode", "read_picture", "read", "encode", "search"]


class TagObserver(BatchObserver, Protocol):
    """Telemetry's view of the pipeline. Called on the event loop; must not block or raise."""

    def stage_finished(self, stage: Stage, duration_s: float, picture_count: int) -> None:
        """One picture was admitted or decoded, the text in it was read ("read_picture"), one item's
        texts were read (no picture is counted), or a batch of pictures was encoded or searched.
        """

    def overloaded(self) -> None:
        """A query was refused because the server is full."""


class SilentObserver:
    """Observes nothing."""

    def stage_finished(self, stage: Stage, duration_s: float, picture_count: int) -> None: ...
    def overloaded(self) -> None: ...
    def batch_started(self, size: int, queue_depth: int, waits_s: Sequence[float]) -> None: ...
    def batch_finished(self, size: int, duration_s: float, *, failed: bool) -> None: ...
    def item_dropped(self, why: Literal["expired", "cancelled"]) -> None: ...
