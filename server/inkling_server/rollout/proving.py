"""Proves that a state with a new model hangs together, before anyone is served by it.

- its encoders give finite rows of length 1, and different ones for different pictures and phrases;
- a phrase that is encoded again is found in the index in its own row, at a cosine of 1: rows of
  index, embeddings and interests belong together, and to this text encoder;
- each canary picture gets scores in [0, 1], best first.

No force helps where this fails. It does not compare models: `comparing` does.

Shapes: B pictures or phrases, D dimensions.
"""

import asyncio
from collections.abc import Sequence

import numpy as np

from inkling_server import images
from inkling_server.encoders import Embeddings
from inkling_server.errors import RolloutRefused
from inkling_server.images import ImageLimits
from inkling_server.serving_state import ServingState
from inkling_server.tag_index import Selection

# Phrases that are looked up. Of rows that are wrong by chance, none of so many would be right.
_PHRASES = 32
_TOP_N = 1_000
# The same phrase in another batch differs by the rounding of a half-precision encoder.
_SAME_COSINE = 0.03
# Cosine from which on two embeddings count as one: a collapsed encoder gives all the same.
_COLLAPSED = 0.99999


async def prove_model(
    new: ServingState,
    pictures: Sequence[bytes],
    *,
    image_limits: ImageLimits,
    timeout_s: float,
) -> None:
    """Returns if the state may serve.

    Args:
        new: to be proven.
        pictures: encoded files that differ from one another.
        image_limits: what a picture may be.
        timeout_s: for each call of the encoder.

    Raises:
        RolloutRefused: it may not.
        EncoderDown: the encoder does not answer.
    """
    interests = new.graph.interests
    if not interests:
        raise RolloutRefused("the graph has no interests")
    rows = np.unique(np.linspace(0, len(interests) - 1, _PHRASES).astype(int)).tolist()
    phrases = [interests[row].phrase for row in rows]
    texts_BD = await new.encoder.encode_texts(phrases, timeout_s=timeout_s)
    _require_unit_rows(texts_BD, "text")
    hits_B = await new.index.search(texts_BD, [Selection(_TOP_N, 0.0)] * len(rows))
    for row, hits in zip(rows, hits_B, strict=True):
        own = next((hit.cosine for hit in hits if hit.row == row), None)
        if own is None or abs(own - 1) > _SAME_COSINE:
            raise RolloutRefused("the new model's tags do not belong to its embeddings")
    spec = new.manifest.image
    pixels = [await asyncio.to_thread(images.decode, data, spec, image_limits) for data in pictures]
    pictures_BD = await new.encoder.encode_images(np.stack(pixels), timeout_s=timeout_s)
    _require_unit_rows(pictures_BD, "vision")
    for hits in await new.index.search(pictures_BD, [Selection(_TOP_N, 0.0)] * len(pixels)):
        scores = [hit.score for hit in hits]
        if not scores or sorted(scores, reverse=True) != scores or not 0 <= scores[0] <= 1:
            raise RolloutRefused("the new model gives a canary picture no sensible tags")


def _require_unit_rows(embeddings_BD: Embeddings, which: str) -> None:
    lengths_B = np.linalg.norm(embeddings_BD, axis=1)
    if not np.all(np.abs(lengths_B - 1) < 0.01):  # also false for NaN
        raise RolloutRefused(f"the new {which} encoder's rows are not of length 1")
    if len(embeddings_BD) > 1:
        cosines_B = embeddings_BD[1:] @ embeddings_BD[0]
        if float(cosines_B.min()) > _COLLAPSED:
            raise RolloutRefused(f"the new {which} encoder gives everything the same embedding")
