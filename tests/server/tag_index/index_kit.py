"""What the tests of the index share: rows, and the definition that answers must equal.

Shapes: B pictures, N tags, D dimensions.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inkling_server.encoders import Embeddings
from inkling_server.model_manifest import Curve
from inkling_server.scoring import Float64, bent, sigmoid
from inkling_server.tag_index import Hit, SearchThread, Selection, TagIndex

SCALE, BIAS = 20.0, -8.0


def unit_rows(
    rng: np.random.Generator, count: int, dimension: int, levels: int | None = None
) -> Embeddings:
    """Random directions; with few `levels` per number, many rows are equal."""
    if levels is None:
        rows_ND = rng.standard_normal((count, dimension))
    else:
        rows_ND = rng.integers(-levels, levels + 1, (count, dimension)).astype(float)
        rows_ND[:, 0] += 0.5  # never all zero
    rows_ND /= np.linalg.norm(rows_ND, axis=1, keepdims=True)
    return rows_ND.astype(np.float32)


def exact(
    tags_ND: Embeddings,
    priors_N: Float64,
    picture_D: NDArray[np.float32],
    selection: Selection,
    offsets_N: Float64 | None = None,
    curve: Curve | None = None,
) -> list[tuple[int, float]]:
    """The definition, spelled out: (row, score) of every tag above the threshold, best first."""
    cosines_N = (tags_ND.astype(np.float64) * picture_D.astype(np.float64)).sum(axis=1)
    logits_N = SCALE * cosines_N + BIAS + priors_N + (0.0 if offsets_N is None else offsets_N)
    scores_N = sigmoid(logits_N if curve is None else bent(logits_N, curve)).tolist()
    ranked = sorted(enumerate(scores_N), key=lambda pair: (-pair[1], pair[0]))
    return [pair for pair in ranked[: selection.top_n] if pair[1] > selection.min_score]


async def search(
    thread: SearchThread,
    tags_ND: Embeddings,
    priors_N: Float64,
    pictures_BD: Embeddings,
    selections: Sequence[Selection],
    offsets_N: Float64 | None = None,
    curve: Curve | None = None,
) -> list[tuple[Hit, ...]]:
    index = await TagIndex.build(
        thread, tags_ND, priors_N, scale=SCALE, bias=BIAS, offsets_N=offsets_N, curve=curve
    )
    try:
        return await index.search(pictures_BD, selections)
    finally:
        await index.close()


def pairs(hits: Sequence[Hit]) -> list[tuple[int, float]]:
    return [(hit.row, hit.score) for hit in hits]
