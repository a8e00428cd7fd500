"""What is known about one refresh: plain values, for whoever shows or stores them.

Nothing here knows processes, gRPC or how a refresh works.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from inkling_server.errors import InklingError
from inkling_server.interests.graph import Interest
from inkling_server.interests.stages import Stage

__all__ = ["Progress", "RefreshOperation", "RefreshSummary", "Refresher", "Stage"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a refresh is.

    Attributes:
        stage: the present one.
        done_count: of this stage, in its unit.
        total_count: 0 where not known.
        remaining_s: until the whole refresh is done; None where not known yet.
    """

    stage: Stage = Stage.LOADING
    done_count: int = 0
    total_count: int = 0
    remaining_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshSummary:
    """What a refresh has done.

    Attributes:
        graph_version: serves now; equals `base_version` where nothing was new.
        base_version: what it was built on.
        item_count: content items that were read: the sum of the next four.
        kept_count: items that were mined.
        near_duplicate_count: items that repeat an earlier one.
        other_language_count: items set aside for their language.
        empty_count: items without a word.
        invalid_count: lines of the feed that are neither item nor engagement.
        engagement_count: engagements that were read.
        interest_count: interests of the new version.
        added_count: interests that the base does not have.
        retired_count: interests of the base that are gone.
        edge_count: edges of the new version.
        trending: trending interests, the surest first, at most 50.
    """

    graph_version: str
    base_version: str
    item_count: int = 0
    kept_count: int = 0
    near_duplicate_count: int = 0
    other_language_count: int = 0
    empty_count: int = 0
    invalid_count: int = 0
    engagement_count: int = 0
    interest_count: int = 0
    added_count: int = 0
    retired_count: int = 0
    edge_count: int = 0
    trending: tuple[Interest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshOperation:
    """One refresh at one moment.

    Attributes:
        name: "operations/refresh-<id>".
        create_time: when it was asked for.
        base_version: what it builds on.
        feed: what it reads: "demo" where this server was given no content, else "content".
        progress: how far it is.
        stage_s: seconds that each finished stage took.
        end_time: None while it runs.
        summary: set where it has succeeded.
        error: set where it has failed or was cancelled.
    """

    name: str
    create_time: datetime
    base_version: str
    feed: str
    progress: Progress = Progress()
    stage_s: dict[Stage, float] = field(default_factory=dict)
    end_time: datetime | None = None
    summary: RefreshSummary | None = None
    error: InklingError | None = None

    @property
    def is_done(self) -> bool:
        """It has succeeded, failed, or was cancelled."""
        return self.end_time is not None


class Refresher(Protocol):
    """Starts refreshes and knows about them; belongs to one event loop. `RefreshManager` is one."""

    async def start(self, *, force: bool = False) -> RefreshOperation:
        """Starts a refresh.

        Raises:
            RefreshRunning: one is running, here or at another gateway of the same graph folder.
        """

    def get(self, name: str) -> RefreshOperation:
        """A refresh, running or ended. Raises UnknownOperation."""

    def list(self) -> list[RefreshOperation]:
        """All that are known, newest first."""

    async def wait(self, name: str, timeout_s: float | None) -> RefreshOperation:
        """The refresh when it has ended, or after `timeout_s`. Raises UnknownOperation."""

    async def cancel(self, name: str) -> None:
        """Ends a refresh; returns when it has ended. Too late is fine. Raises UnknownOperation."""

    def delete(self, name: str) -> None:
        """Forgets a refresh that has ended; one that runs goes on. Raises UnknownOperation."""

    async def roll_back(self, version: str) -> str:
        """Proves, publishes and serves a version that is kept; returns the one served before.

        Raises:
            GraphVersionNotServed: it is not kept.
            RefreshRunning: a refresh is running.
            RefreshFailed: it could not be proven.
        """
