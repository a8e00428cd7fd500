"""What no force helps against: a state that does not hang together."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from inkling_server.encoders import Embeddings
from inkling_server.errors import EncoderDown, RolloutRefused
from inkling_server.images import ImageLimits
from inkling_server.interests.graph import GraphSnapshot
from inkling_server.rollout.proving import prove_model
from inkling_server.serving_state import ServingState
from inkling_server.tag_index import SearchThread
from tests.server.rollout.rollout_kit import SpacedEncoder
from tests.serving import CREATED, make_graph, make_manifest, make_state, picture

PICTURES = [picture("red"), picture("blue"), picture("white")]


class Changed(SpacedEncoder):
    """Changes what comes out for pictures."""

    change: Callable[[Embeddings], Embeddings]

    async def encode_images(self, pixels_BHWC: Any, *, timeout_s: float) -> Embeddings:
        return type(self).change(await super().encode_images(pixels_BHWC, timeout_s=timeout_s))


@asynccontextmanager
async def state_of(
    thread: SearchThread, encoder: SpacedEncoder, graph: GraphSnapshot | None = None
) -> AsyncIterator[ServingState]:
    state = await make_state(thread, encoder=encoder, graph=graph)
    try:
        yield state
    finally:
        await state.index.close()


async def prove(state: ServingState) -> None:
    await prove_model(state, PICTURES, image_limits=ImageLimits(), timeout_s=5.0)


async def test_sound_model_is_proven(thread: SearchThread) -> None:
    async with state_of(thread, SpacedEncoder(make_manifest(4))) as state:
        await prove(state)


async def test_large_graph_is_proven(thread: SearchThread) -> None:
    graph = make_graph("big", {f"thing {n} of {n % 7}": 3 for n in range(3_000)})
    async with state_of(thread, SpacedEncoder(make_manifest(4)), graph) as state:
        await prove(state)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda rows: rows * 0.9, "not of length 1"),
        (lambda rows: np.full_like(rows, np.nan), "not of length 1"),
        (lambda rows: np.broadcast_to(rows[:1], rows.shape), "the same embedding"),
    ],
)
async def test_pictures_without_sense_are_found_out(
    thread: SearchThread, change: Callable[[Embeddings], Embeddings], problem: str
) -> None:
    class Broken(Changed):
        pass

    Broken.change = staticmethod(change)
    async with state_of(thread, Broken(make_manifest(4))) as state:
        with pytest.raises(RolloutRefused, match=problem):
            await prove(state)


async def test_text_encoder_other_than_that_of_the_index_is_found_out(
    thread: SearchThread,
) -> None:
    async with (
        state_of(thread, SpacedEncoder(make_manifest(4))) as one,
        state_of(thread, SpacedEncoder(make_manifest(5))) as other,
    ):
        mixed = replace(one, encoder=other.encoder)
        with pytest.raises(RolloutRefused, match="do not belong"):
            await prove(mixed)


async def test_rows_of_other_phrases_are_found_out(thread: SearchThread) -> None:
    interests = make_graph().interests
    others = (*interests[1:], interests[0])
    wrong = tuple(replace(i, phrase=j.phrase) for i, j in zip(interests, others, strict=True))
    rolled = GraphSnapshot("g1", CREATED, wrong)
    async with state_of(thread, SpacedEncoder(make_manifest(4))) as state:
        with pytest.raises(RolloutRefused, match="do not belong"):
            await prove(replace(state, graph=rolled))


async def test_encoder_that_does_not_answer_proves_nothing(thread: SearchThread) -> None:
    encoder = SpacedEncoder(make_manifest(4))
    async with state_of(thread, encoder) as state:
        encoder.failure = EncoderDown("away")
        with pytest.raises(EncoderDown):
            await prove(state)
