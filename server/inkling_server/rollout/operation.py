"""What is known about one rollout: plain values, for whoever shows or stores them.

Nothing here knows encoders, gRPC or how a rollout works.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol

from inkling_server.errors import InklingError
from inkling_server.operations import Operations
from inkling_server.rollout.repository import RepositoryVersion


class RolloutStage(StrEnum):
    """Where a rollout is; in this order."""

    LOADING = "loading"  # the new version, beside the old one
    EMBEDDING = "embedding"  # the graph's phrases, with the new text encoder
    CANARY = "canary"  # pictures, with both
    SWAPPING = "swapping"  # cannot be cancelled any more
    UNLOADING = "unloading"  # the old one, when its last request is answered
    DONE = "done"


@dataclass(frozen=True, slots=True)
class CanaryLimits:
    """How different a new model may be.

    Attributes:
        min_overlap: least `CanaryReport.tag_overlap`, in [0, 1].
        max_latency_ratio: most that new p50 / old p50 may be, > 0.
        max_lost_coverage: most that coverage may fall by, in [0, 1].
    """

    min_overlap: float = 0.2
    max_latency_ratio: float = 3.0
    max_lost_coverage: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryReport:
    """How a new model does beside the old one, on the same pictures and the same graph.

    Attributes:
        folder_count: pictures of the canary folder.
        live_count: pictures of recent requests.
        built_in_count: pictures that the server draws itself.
        unreadable_count: pictures that could not be read; not counted elsewhere.
        tag_overlap: mean Jaccard index of the two models' tags, each at its own operating point,
            over the pictures that get a tag of either, in [0, 1].
        overlap_count: how many pictures those are; 0: `tag_overlap` means nothing.
        top1_kept: share of pictures whose best tag by the old model is among the new one's best 5.
        old_coverage, new_coverage: share of pictures with at least one tag.
        old_p50_ms, old_p95_ms, new_p50_ms, new_p95_ms: encoding one picture; both models took turns
            while the server served, so each time has waiting behind other requests in it.
        problems: what is beyond a limit, in words.
        decision: "accepted", "refused", "forced" (refused, but somebody insisted) or "informative"
            (nobody asked for a verdict).
    """

    folder_count: int = 0
    live_count: int = 0
    built_in_count: int = 0
    unreadable_count: int = 0
    tag_overlap: float = 0.0
    overlap_count: int = 0
    top1_kept: float = 0.0
    old_coverage: float = 0.0
    new_coverage: float = 0.0
    old_p50_ms: float = 0.0
    old_p95_ms: float = 0.0
    new_p50_ms: float = 0.0
    new_p95_ms: float = 0.0
    problems: tuple[str, ...] = ()
    decision: Literal["accepted", "refused", "forced", "informative"] = "accepted"

    @property
    def picture_count(self) -> int:
        """Pictures that were compared."""
        return self.folder_count + self.live_count + self.built_in_count

    @property
    def latency_ratio(self) -> float:
        """New p50 over old p50; 0 where nothing was measured."""
        return self.new_p50_ms / self.old_p50_ms if self.old_p50_ms > 0 else 0.0


@dataclass(frozen=True, slots=True)
class RolloutProgress:
    """How far a rollout is.

    Attributes:
        stage: the present one.
        done_count: phrases while embedding, pictures while comparing.
        total_count: 0 where there is nothing to count.
    """

    stage: RolloutStage = RolloutStage.LOADING
    done_count: int = 0
    total_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutSummary:
    """What a rollout has done.

    Attributes:
        version, model_version: serves now.
        previous_version, previous_model_version: served before; equal where it serves already.
    """

    version: int
    model_version: str
    previous_version: int
    previous_model_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutOperation:
    """One rollout at one moment.

    Attributes:
        name: "operations/rollout-<id>".
        create_time: when it was asked for.
        version, model_version: to be served.
        base_version, base_model_version: served when it began.
        is_rollback: back to the version before; nobody asks for a verdict.
        progress: how far it is.
        stage_s: seconds that each finished stage took.
        report: of the canary pictures, once they are compared.
        end_time: None while it runs.
        summary: set where it has succeeded.
        error: set where it has failed or was cancelled.
    """

    name: str
    create_time: datetime
    version: int
    model_version: str
    base_version: int
    base_model_version: str
    is_rollback: bool = False
    progress: RolloutProgress = RolloutProgress()
    stage_s: dict[RolloutStage, float] = field(default_factory=dict)
    report: CanaryReport | None = None
    end_time: datetime | None = None
    summary: RolloutSummary | None = None
    error: InklingError | None = None

    @property
    def is_done(self) -> bool:
        """It has succeeded, failed, or was cancelled."""
        return self.end_time is not None


@dataclass(frozen=True, slots=True)
class DeployOrder:
    """What somebody wants.

    Attributes:
        version: folder of the model repository.
        limits: of the canary.
        force: serve it although it is beyond them.
    """

    version: int
    limits: CanaryLimits
    force: bool = False


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """Which versions there are, and which of them serves.

    Attributes:
        version, model_version: serves now.
        previous_version: what a rollback would serve; None: nothing.
        versions: of the model repository, ascending.
        loaded: those that could encode at once; empty where nobody can tell.
        last_rollout: the latest, running or ended.
    """

    version: int
    model_version: str
    previous_version: int | None
    versions: Sequence[RepositoryVersion]
    loaded: frozenset[int]
    last_rollout: RolloutOperation | None


class Rollouts(Operations, Protocol):
    """Rolls models out and knows about it; belongs to one event loop. `RolloutManager` is one."""

    @property
    def limits(self) -> CanaryLimits:
        """Of orders that name none."""

    async def deploy(self, order: DeployOrder) -> RolloutOperation:
        """Starts a rollout.

        Raises:
            UnknownModelVersion: the repository has no such version.
            RolloutRefused: it must not be tried; the text says why.
            RolloutRunning, RefreshRunning: something else changes what serves.
        """

    async def roll_back(self) -> RolloutOperation:
        """Starts a rollout of the version that served before; errors as those of `deploy`."""

    async def status(self) -> ModelStatus:
        """What there is, and what serves."""
