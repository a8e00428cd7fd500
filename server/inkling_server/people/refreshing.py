"""Brings up to date what is computed for all people together, in the background, one at a time.

    clusters ─► co-engagement, popularity ─► retention ─► profiles that have become stale
       │ fitted where there are none of the model that serves, or where asked for

It runs now and then by itself, and when asked. Of several gateways on one database, one does it at
a time: whoever holds the database's lock. The heavy parts run in processes of low priority. It
knows no RPCs and no SQL.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from inkling_server.errors import (
    InklingError,
    PeopleRefreshCancelled,
    PeopleRefreshFailed,
    PeopleRefreshRunning,
    StorageDown,
)
from inkling_server.operations import OperationBook, OperationFiles, new_name
from inkling_server.people.clusters import ClusterKeeper
from inkling_server.people.co_engaging import refresh_co_engagement
from inkling_server.people.fit_worker import fit_aside
from inkling_server.people.operation import (
    KIND,
    PeopleOperation,
    PeopleOrder,
    PeopleStage,
    PeopleSummary,
)
from inkling_server.people.profiles import ProfileReader
from inkling_server.profiles.clusters import VisualClusters
from inkling_server.profiles.visual import typical
from inkling_server.serving_state import StateHolder
from inkling_server.storage import Storage
from inkling_server.storage.records import ClusterRecord, Exemplar

_log = logging.getLogger(__name__)
# Pictures that clusters are fitted to, at most: more cost memory and time, and move little.
_BACKGROUND = 100_000
_EXEMPLARS = 20
_STALE_PER_ROUND = 500
# After a failure by itself: a database that is down must not be asked all the time.
_RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class PeoplePolicy:
    """How a gateway refreshes people.

    Attributes:
        period_s: pause between two refreshes that nobody asked for; 0: none.
        cluster_count: of a fit, at most.
        beta: sharpness of fitted clusters; None: from the margin.
        retention_days: engagements that are older go; 0: none.
        nice: niceness of the processes.
    """

    period_s: float = 3_600.0
    cluster_count: int = 200
    beta: float | None = None
    retention_days: int = 0
    nice: int = 19


class PeopleRefresher:
    """Implements `PeopleRefreshes`; belongs to one event loop.

    Args:
        storage: raises StorageDown while there is none.
        states: says which model serves.
        clusters: told when there are new ones.
        reader: computes profiles.
        files: refreshes of the past.
        policy: how.
    """

    def __init__(
        self,
        storage: Callable[[], Storage],
        states: StateHolder,
        clusters: ClusterKeeper,
        reader: ProfileReader,
        files: OperationFiles[PeopleOperation],
        policy: PeoplePolicy,
    ) -> None:
        self._storage = storage
        self._states = states
        self._clusters = clusters
        self._reader = reader
        self._book = OperationBook(files)
        self._policy = policy
        self._running: asyncio.Task[None] | None = None
        self._running_name = ""

    async def run(self) -> None:
        """Refreshes now and then, for ever; cancel it to end it."""
        if not self._policy.period_s:
            return
        while True:
            pause_s = self._policy.period_s
            try:
                operation = await self.start(PeopleOrder())
                ended = await self.wait(operation.name, None)
                if ended.error is not None:
                    pause_s = min(pause_s, _RETRY_S)
            except PeopleRefreshRunning:
                pass
            except StorageDown:
                pause_s = min(pause_s, _RETRY_S)
            await asyncio.sleep(pause_s)

    async def start(self, order: PeopleOrder) -> PeopleOperation:
        """See `PeopleRefreshes.start`."""
        if self._running is not None and not self._running.done():
            raise PeopleRefreshRunning(self._running_name)
        self._storage()
        now = datetime.now(UTC)
        operation = PeopleOperation(new_name(KIND, now), now)
        self._book.begin(operation)
        self._running_name = operation.name
        self._running = asyncio.create_task(self._refresh(operation, order), name=KIND)
        return operation

    def get(self, name: str) -> PeopleOperation:
        """See `Operations.get`."""
        return self._book.get(name)

    def list(self) -> list[PeopleOperation]:
        """See `Operations.list`."""
        return self._book.list()

    async def wait(self, name: str, timeout_s: float | None) -> PeopleOperation:
        """See `Operations.wait`."""
        return await self._book.wait(name, timeout_s)

    async def cancel(self, name: str) -> None:
        """See `Operations.cancel`."""
        if self.get(name).is_done:
            return
        if self._running is not None:
            self._running.cancel()
        await self.wait(name, None)

    def delete(self, name: str) -> None:
        """See `Operations.delete`."""
        self._book.delete(name)

    async def close(self) -> None:
        """Cancels the refresh that runs, and returns when it has ended."""
        if self._running is not None and not self._running.done():
            self._running.cancel()
            await asyncio.wait({self._running})

    async def _refresh(self, operation: PeopleOperation, order: PeopleOrder) -> None:
        start = time.monotonic()
        error: InklingError | None = None
        summary = None
        try:
            # Another gateway of the same database may be at it.
            async with self._storage().refresh_lock() as is_ours:
                if not is_ours:
                    raise PeopleRefreshRunning("")
                summary = await self._stages(operation, order)
        except asyncio.CancelledError:
            error = PeopleRefreshCancelled()
        except InklingError as failure:
            error = failure
        except Exception as failure:  # whatever it is, it must end as an operation that failed
            _log.exception("refreshing people failed")
            error = PeopleRefreshFailed(f"unexpected {type(failure).__name__}; see the log")
        noted = self._book.get(operation.name)
        self._book.finish(replace(noted, end_time=datetime.now(UTC), summary=summary, error=error))
        outcome = "done" if error is None else type(error).__name__
        duration_s = round(time.monotonic() - start, 3)
        _log.info("people refreshed", extra={"outcome": outcome, "duration_s": duration_s})

    async def _stages(self, operation: PeopleOperation, order: PeopleOrder) -> PeopleSummary:
        storage = self._storage()
        refitted = await self._fit(order)
        clusters = await self._clusters.current()
        self._note(operation, PeopleStage.CO_ENGAGEMENT)
        engaged = await refresh_co_engagement(storage, nice=self._policy.nice)
        self._note(operation, PeopleStage.RETENTION)
        expired = await self._expire()
        self._note(operation, PeopleStage.PROFILES)
        profile_count = 0 if clusters is None else await self._recompute(clusters.version)
        return PeopleSummary(
            clusters_version="" if clusters is None else clusters.version,
            clusters_refitted=refitted,
            co_engaged_content_count=engaged.co_engaged_content_count,
            popular_content_count=engaged.popular_content_count,
            expired_engagement_count=expired,
            profile_count=profile_count,
        )

    def _note(self, operation: PeopleOperation, stage: PeopleStage) -> None:
        self._book.note(replace(self._book.get(operation.name), stage=stage))

    async def _fit(self, order: PeopleOrder) -> bool:
        """Fits clusters where that is wanted and can be done; whether it was.

        Clusters that stay get exemplars of what is stored by now: those that came with a model
        have none of their own.
        """
        present = await self._clusters.current()
        storage = self._storage()
        fingerprint = self._states.current.manifest.fingerprint
        ids, embeddings_ND = await storage.clusters.background(
            fingerprint, limit=_BACKGROUND, seed=0
        )
        if present is not None and not order.refit_clusters:
            if ids:
                await self._save(present, ids, embeddings_ND)
            return False
        clusters = await fit_aside(
            embeddings_ND,
            fingerprint=fingerprint,
            created_time=datetime.now(UTC),
            cluster_count=order.cluster_count or self._policy.cluster_count,
            beta=self._policy.beta,
            nice=self._policy.nice,
        )
        if clusters is None:
            if order.refit_clusters:
                raise PeopleRefreshFailed(
                    f"{len(ids)} pictures are stored for this model: too few to fit clusters to"
                )
            return False
        await self._save(clusters, ids, embeddings_ND)
        return True

    async def _save(
        self, clusters: VisualClusters, ids: Sequence[str], embeddings_ND: NDArray[np.float32]
    ) -> None:
        """Stores clusters with the pictures of the background that are most typical of each."""
        exemplars = await asyncio.to_thread(typical, clusters, embeddings_ND, _EXEMPLARS)
        record = ClusterRecord(
            clusters.version,
            clusters.fingerprint,
            clusters.to_bytes(),
            clusters.created_time,
            clusters.background_count,
        )
        await self._storage().clusters.save(
            record, [Exemplar(cluster, place, ids[row]) for cluster, place, row in exemplars]
        )
        self._clusters.forget()

    async def _expire(self) -> int:
        if not self._policy.retention_days:
            return 0
        before = datetime.now(UTC) - timedelta(days=self._policy.retention_days)
        return await self._storage().engagements.expire(before)

    async def _recompute(self, stamp: str) -> int:
        """Computes what has become stale, so that a ranking of everybody misses nobody."""
        count = 0
        while stale := await self._storage().people.stale(stamp, limit=_STALE_PER_ROUND):
            for user_id in stale:
                await self._reader.read(user_id)
            count += len(stale)
            if len(stale) < _STALE_PER_ROUND:
                break
        return count


async def end(task: asyncio.Task[None]) -> None:
    """Cancels a task and returns when it has ended."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.wait({task})
