"""One refresh of what is computed for all people together: values, and their JSON.

It does not know how a refresh runs, nor (see `operations`) how files are written.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from inkling_server.errors import InklingError, PeopleRefreshFailed
from inkling_server.operations import Codec, OperationFiles

KIND = "people"


class PeopleStage(StrEnum):
    """What a refresh is doing; in this order."""

    CLUSTERS = "clusters"
    CO_ENGAGEMENT = "co-engagement"
    RETENTION = "retention"
    PROFILES = "profiles"


@dataclass(frozen=True, slots=True)
class PeopleOrder:
    """What is asked for.

    Attributes:
        refit_clusters: although there are some that were fitted.
        cluster_count: None: the settings'.
    """

    refit_clusters: bool = False
    cluster_count: int | None = None


@dataclass(frozen=True, slots=True)
class PeopleSummary:
    """What a refresh has done.

    Attributes:
        clusters_version: that serve now; "": there are none.
        clusters_refitted: by this refresh.
        co_engaged_content_count: items that lead to others.
        popular_content_count: items that somebody engaged with.
        expired_engagement_count: that were older than the retention.
        profile_count: profiles that were computed anew.
    """

    clusters_version: str = ""
    clusters_refitted: bool = False
    co_engaged_content_count: int = 0
    popular_content_count: int = 0
    expired_engagement_count: int = 0
    profile_count: int = 0


@dataclass(frozen=True, slots=True)
class PeopleOperation:
    """One refresh at one moment. Implements `operations.Operation`."""

    name: str
    create_time: datetime
    stage: PeopleStage = PeopleStage.CLUSTERS
    end_time: datetime | None = None
    summary: PeopleSummary | None = None
    error: InklingError | None = None

    @property
    def is_done(self) -> bool:
        """It has ended, well or not."""
        return self.end_time is not None


class PeopleRefreshes(Protocol):
    """Starts refreshes of people, and knows those of the past."""

    async def start(self, order: PeopleOrder) -> PeopleOperation:
        """Starts one. Raises PeopleRefreshRunning, StorageDown."""

    def list(self) -> Sequence[PeopleOperation]:
        """All that are known, newest first."""


def people_files(folder: Path) -> OperationFiles[PeopleOperation]:
    """A folder of refreshes."""
    return OperationFiles(folder, Codec(KIND, _to_json, _from_json, _abandoned))


def _abandoned(operation: PeopleOperation) -> PeopleOperation:
    return replace(
        operation,
        end_time=datetime.now(UTC),
        error=PeopleRefreshFailed("the server ended before the refresh did"),
    )


def _to_json(operation: PeopleOperation) -> dict[str, Any]:
    return {
        "name": operation.name,
        "create_time": operation.create_time.isoformat(),
        "end_time": operation.end_time and operation.end_time.isoformat(),
        "stage": operation.stage,
        "summary": operation.summary and asdict(operation.summary),
        "error": operation.error and str(operation.error),
    }


def _from_json(values: dict[str, Any]) -> PeopleOperation:
    error = values["error"]
    return PeopleOperation(
        name=values["name"],
        create_time=datetime.fromisoformat(values["create_time"]),
        stage=PeopleStage(values["stage"]),
        end_time=values["end_time"] and datetime.fromisoformat(values["end_time"]),
        summary=values["summary"] and PeopleSummary(**values["summary"]),
        error=None if error is None else PeopleRefreshFailed(error),
    )
