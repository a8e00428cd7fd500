"""A new state serves only where canaries prove it; each reason to refuse it is found."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from inkling_server.errors import EncoderDown, RefreshRefused
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.images import ImageLimits
from inkling_server.interests.graph import GraphSnapshot, Interest
from inkling_server.refresh.proving import prove
from inkling_server.serving_state import ServingState
from inkling_server.tag_index import SearchThread, TagIndex
from tests.serving import (
    CALIBRATION,
    COLOURS,
    CREATED,
    make_graph,
    make_manifest,
    make_state,
    picture,
)


@pytest.fixture
def thread() -> Iterator[SearchThread]:
    with SearchThread() as thread:
        yield thread


@pytest.fixture
async def encoder() -> FakeEncoder:
    return FakeEncoder(make_manifest())


async def check(new: ServingState, old: ServingState, **changes: object) -> None:
    arguments = {"image_limits": ImageLimits(), "timeout_s": 5.0} | changes
    await prove(new, old, [picture("red"), picture("blue")], **arguments)  # type: ignore[arg-type]


async def with_rows(
    state: ServingState, thread: SearchThread, rows_ND: np.ndarray, scale: float = 20.0
) -> ServingState:
    """The state with another index."""
    index = await TagIndex.build(thread, rows_ND, np.zeros(len(rows_ND)), scale=scale, bias=-8.0)
    return replace(state, index=index)


async def rows_of(state: ServingState, encoder: FakeEncoder) -> np.ndarray:
    return await encoder.encode_texts([i.phrase for i in state.graph.interests], timeout_s=1)


async def test_same_graph_and_a_grown_one_are_proven(
    thread: SearchThread, encoder: FakeEncoder
) -> None:
    old = await make_state(thread, encoder=encoder)
    grown = make_graph("g2", COLOURS | {"latte art": 3, "cyan": 7})
    await check(await make_state(thread, encoder=encoder), old)
    await check(await make_state(thread, graph=grown, encoder=encoder), old)


async def test_interest_may_change_its_phrase(thread: SearchThread, encoder: FakeEncoder) -> None:
    old = await make_state(thread, encoder=encoder)
    interests = tuple(
        replace(i, phrase="white") if i.id == "red" else i for i in old.graph.interests
    )
    renamed = GraphSnapshot("g2", CREATED, interests)
    await check(await make_state(thread, graph=renamed, encoder=encoder), old)


async def test_rows_of_other_interests_are_found_out(
    thread: SearchThread, encoder: FakeEncoder
) -> None:
    old = await make_state(thread, encoder=encoder)
    shifted_ND = np.roll(await rows_of(old, encoder), 1, axis=0)
    with pytest.raises(RefreshRefused, match="do not belong"):
        await check(await with_rows(old, thread, shifted_ND), old)


async def test_rows_of_other_interests_are_found_out_in_a_large_graph(
    thread: SearchThread, encoder: FakeEncoder
) -> None:
    interests = tuple(Interest(f"{n:05}", f"word{n} thing{n}", (), 1) for n in range(20_000))
    graph = GraphSnapshot("g1", CREATED, interests)
    rng = np.random.default_rng(3)
    rows_ND = rng.standard_normal((len(interests), 256)).astype(np.float32)
    rows_ND /= np.linalg.norm(rows_ND, axis=1, keepdims=True)
    base = replace(await make_state(thread, encoder=encoder), graph=graph)
    old = await with_rows(base, thread, rows_ND)
    await check(await with_rows(base, thread, rows_ND.copy()), old)
    with pytest.raises(RefreshRefused, match="do not belong"):
        await check(await with_rows(base, thread, np.roll(rows_ND, 1, axis=0)), old)


async def test_another_gateways_rounding_is_no_reason_to_refuse(
    thread: SearchThread, encoder: FakeEncoder
) -> None:
    """A half-precision encoder's vectors of one phrase differ with what else was in the batch."""
    old = await make_state(thread, encoder=encoder)
    rows_ND = await rows_of(old, encoder)
    coarse_ND = (np.round(rows_ND * 2**7) / 2**7).astype(np.float32)  # coarser than bfloat16 here
    coarse_ND /= np.linalg.norm(coarse_ND, axis=1, keepdims=True)
    assert np.abs(coarse_ND - rows_ND).max() > 1e-3
    await check(await with_rows(old, thread, coarse_ND), old)


async def test_vectors_of_another_model_are_found_out(
    thread: SearchThread, encoder: FakeEncoder
) -> None:
    old = await make_state(thread, encoder=encoder)
    rows_ND = await rows_of(old, encoder)
    with pytest.raises(RefreshRefused, match="do not belong"):
        await check(await with_rows(old, thread, -rows_ND), old)


async def test_other_model_is_not_held_against_the_old_cosines(
    thread: SearchThread, encoder: FakeEncoder
) -> None:
    old = await make_state(thread, encoder=FakeEncoder(make_manifest(1)))
    other = await make_state(thread, encoder=FakeEncoder(make_manifest(2)))
    rows_ND = await rows_of(old, encoder)
    await check(await with_rows(other, thread, np.roll(rows_ND, 1, axis=0)), old)


async def test_no_tag_at_all_is_no_sensible_tag(thread: SearchThread, encoder: FakeEncoder) -> None:
    old = await make_state(thread, encoder=encoder)
    empty = await with_rows(old, thread, np.empty((0, 256), np.float32))
    with pytest.raises(RefreshRefused, match="no sensible tags"):
        await check(empty, old)


async def test_empty_graph_is_refused(thread: SearchThread, encoder: FakeEncoder) -> None:
    old = await make_state(thread, encoder=encoder)
    empty = replace(old, graph=make_graph("g2", {}))
    with pytest.raises(RefreshRefused, match="no interests"):
        await check(empty, old, least_kept=0.0)


async def test_lost_interests_are_counted_and_refused(
    thread: SearchThread, encoder: FakeEncoder
) -> None:
    old = await make_state(thread, encoder=encoder)
    few = make_graph("g2", {"red": 1, "blue": 1})
    new = await make_state(thread, graph=few, encoder=encoder)
    with pytest.raises(RefreshRefused, match="keeps 2 of 6 interests; allowed: at least 50%"):
        await check(new, old)
    await check(new, old, least_kept=0.0)


async def test_exactly_half_is_enough(thread: SearchThread, encoder: FakeEncoder) -> None:
    old = await make_state(thread, encoder=encoder)
    half = make_graph("g2", {"red": 1, "blue": 1, "green": 1})
    await check(await make_state(thread, graph=half, encoder=encoder), old)


async def test_encoder_that_does_not_answer_proves_nothing(
    thread: SearchThread, encoder: FakeEncoder
) -> None:
    old = await make_state(thread, encoder=encoder)
    encoder.gate.clear()
    with pytest.raises(EncoderDown):
        async with asyncio.timeout(5):
            await check(old, old, timeout_s=0.05)


async def test_calibration_of_the_kit_is_the_one_that_is_used() -> None:
    # `with_rows` builds indexes by hand: they must score as `build_state` does.
    assert (CALIBRATION.scale, CALIBRATION.bias) == (20.0, -8.0)
