"""Items and engagements for tests of storage."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkling_server.storage.records import (
    EngagementKind,
    EngagementRow,
    StoredContent,
    StoredTag,
)

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
MODEL = "model-a"
DIMENSION = 8


def unit(*coordinates: float) -> NDArray[np.float32]:
    """An embedding of length 1 that begins with these coordinates."""
    embedding_D = np.zeros(DIMENSION, np.float32)
    embedding_D[: len(coordinates)] = coordinates
    return embedding_D / np.linalg.norm(embedding_D)


def random_units(count: int, dimension: int = DIMENSION, seed: int = 0) -> NDArray[np.float32]:
    """Random embeddings, [count, dimension]."""
    embeddings_ND = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    lengths_N1 = np.linalg.norm(embeddings_ND, axis=1, keepdims=True)
    normalised: NDArray[np.float32] = embeddings_ND / lengths_N1
    return normalised


def item(
    content_id: str,
    *,
    tags: Sequence[tuple[str, float]] = (("cat", 0.9),),
    embedding_D: NDArray[np.float32] | None = None,
    author_id: str | None = None,
    fingerprint: str = MODEL,
    created_time: datetime = NOW,
    **changes: Any,
) -> StoredContent:
    """An item, with what a test does not care for filled in."""
    values: dict[str, Any] = {
        "source": "user_generated",
        "texts": {"caption": "a cat"},
        "location": "",
        "point": None,
        "graph_version": "graph-1",
        "model_version": "1",
    }
    return StoredContent(
        content_id=content_id,
        author_id=author_id,
        created_time=created_time,
        tags=tuple(StoredTag(name, score, {"cosine": 0.5}) for name, score in tags),
        fingerprint=fingerprint,
        embedding_D=embedding_D,
        **(values | changes),
    )


def engagement(
    user_id: str,
    content_id: str,
    kind: EngagementKind = EngagementKind.SAVE,
    *,
    request_id: str = "",
    hours: float = 0,
) -> EngagementRow:
    """Somebody did something, `hours` after NOW; of a request id of its own where none is given."""
    return EngagementRow(
        request_id=request_id or f"{user_id}/{content_id}/{kind.name}/{hours}",
        user_id=user_id,
        content_id=content_id,
        kind=kind,
        time=NOW + timedelta(hours=hours),
    )
