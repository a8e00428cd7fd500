"""Fits visual clusters in a process of its own: the server goes on serving meanwhile.

    python -m inkling_server.people.fit_worker ORDER < embeddings.npy > clusters.safetensors

ORDER is JSON: fingerprint, created_time, cluster_count, beta, nice. Exit status 3: the background
is too small. The server starts it (`fit_aside`); nobody types it. It knows no database and no ids.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkling_server.child_process import be_nice, end_with_parent
from inkling_server.errors import PeopleRefreshFailed
from inkling_server.people.aside import run_aside
from inkling_server.profiles.clusters import VisualClusters

_COMMAND = (sys.executable, "-m", "inkling_server.people.fit_worker")
_TOO_SMALL = 3


async def fit_aside(
    embeddings_ND: NDArray[np.float32],
    *,
    fingerprint: str,
    created_time: datetime,
    cluster_count: int,
    beta: float | None,
    nice: int,
) -> VisualClusters | None:
    """Fits clusters at low priority; None: the background is too small for any.

    Args:
        embeddings_ND: the background.
        fingerprint: of the model.
        created_time: what the clusters say of when they were made.
        cluster_count: at most.
        beta: sharpness; None: from the margin.
        nice: niceness of the process.

    Raises:
        PeopleRefreshFailed: the process ended badly.
    """
    order = {
        "fingerprint": fingerprint,
        "created_time": created_time.isoformat(),
        "cluster_count": cluster_count,
        "beta": beta,
        "nice": nice,
    }
    file = BytesIO()
    np.save(file, embeddings_ND)
    try:
        status, data = await run_aside([*_COMMAND, json.dumps(order)], _once(file.getbuffer()))
    except BrokenPipeError as error:
        raise PeopleRefreshFailed("fitting clusters ended before it had begun") from error
    if status == _TOO_SMALL:
        return None
    if status != 0:
        raise PeopleRefreshFailed(f"fitting clusters ended with status {status}")
    return await asyncio.to_thread(VisualClusters.from_bytes, data)


async def _once(piece: memoryview) -> AsyncIterator[memoryview]:
    yield piece


def main() -> int:
    """What runs in the process."""
    end_with_parent()
    order: dict[str, Any] = json.loads(sys.argv[1])
    be_nice(order["nice"])
    # Here: this process alone needs scikit-learn.
    from inkling_server.profiles.fit_clusters import BackgroundTooSmall, FitSettings, fit_clusters

    embeddings_ND = np.load(BytesIO(sys.stdin.buffer.read()))
    try:
        clusters = fit_clusters(
            embeddings_ND,
            fingerprint=order["fingerprint"],
            created_time=datetime.fromisoformat(order["created_time"]),
            settings=FitSettings(cluster_count=order["cluster_count"], beta=order["beta"]),
        )
    except BackgroundTooSmall:
        return _TOO_SMALL
    sys.stdout.buffer.write(clusters.to_bytes())
    return 0


if __name__ == "__main__":
    sys.exit(main())
