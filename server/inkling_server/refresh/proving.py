"""Proves a new serving state on canary pictures before anyone is served by it.

What is asked of it, by the one encoder that both states share:

- it tags each canary picture, with scores in [0, 1], best first;
- an interest that both graphs have has the same cosine with the same picture in both: rows of
  index, embeddings and interests belong together;
- it has not lost most of its interests: a feed gone wrong must not empty the graph.

It does not know where states come from, nor what is done with the verdict.
"""

import asyncio
from collections.abc import Sequence

import numpy as np

from inkling_server import images
from inkling_server.errors import RefreshRefused
from inkling_server.images import ImageLimits
from inkling_server.serving_state import ServingState
from inkling_server.tag_index import Selection

# Tags compared for each picture. Of wrong rows about _TOP_N^2 / N carry names that both lists have:
# enough of them to be found out in any graph of up to 100,000 interests.
_TOP_N = 1_000
# Share of the interests that a refresh must keep.
LEAST_KEPT = 0.5
# Another gateway's embeddings of the same phrase differ by the rounding of a half-precision encoder
# (its batches were others): by some thousandths. Another phrase's differ by tenths.
_SAME_COSINE = 0.03


async def prove(
    new: ServingState,
    old: ServingState,
    pictures: Sequence[bytes],
    *,
    image_limits: ImageLimits,
    timeout_s: float,
    least_kept: float = LEAST_KEPT,
) -> None:
    """Returns if `new` may serve.

    Args:
        new: to be proven.
        old: serves now.
        pictures: encoded files.
        image_limits: what a picture may be.
        timeout_s: for encoding them.
        least_kept: share of the old interests that must still be there.

    Raises:
        RefreshRefused: it may not.
        EncoderDown: the encoder does not answer: nothing is known.
    """
    _require_interests(new, old, least_kept)
    spec = new.manifest.image
    pixels = [await asyncio.to_thread(images.decode, data, spec, image_limits) for data in pictures]
    embeddings_BD = await new.encoder.encode_images(np.stack(pixels), timeout_s=timeout_s)
    selections = [Selection(_TOP_N, 0.0)] * len(pictures)
    hits_new = await new.index.search(embeddings_BD, selections)
    same_space = new.model_version == old.model_version
    hits_old = (
        await old.index.search(embeddings_BD, selections) if same_space else [()] * len(pixels)
    )
    for mine, theirs in zip(hits_new, hits_old, strict=True):
        scores = [hit.score for hit in mine]
        if not scores or sorted(scores, reverse=True) != scores or not 0 <= scores[0] <= 1:
            raise RefreshRefused("the new graph gives a canary picture no sensible tags")
        before = {_name(old, hit.row): hit.cosine for hit in theirs}
        for hit in mine:
            known = before.get(_name(new, hit.row), hit.cosine)
            if abs(known - hit.cosine) > _SAME_COSINE:
                raise RefreshRefused("the new graph's tags do not belong to its embeddings")


def _require_interests(new: ServingState, old: ServingState, least_kept: float) -> None:
    if not new.graph.interests:
        raise RefreshRefused("the new graph has no interests")
    kept = {interest.id for interest in new.graph.interests}
    before = [interest.id in kept for interest in old.graph.interests]
    if sum(before) < least_kept * len(before):
        raise RefreshRefused(
            f"the new graph keeps {sum(before):,} of {len(before):,} interests;"
            f" allowed: at least {least_kept:.0%}"
        )


def _name(state: ServingState, row: int) -> tuple[str, str]:
    interest = state.graph.interests[row]
    return interest.id, interest.phrase
