"""Building the state that answers, and swapping it under its users."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inkling_server.embedding_cache import CacheKey, EmbeddingCache
from inkling_server.encoders import Embeddings
from inkling_server.errors import EncoderDown, ShuttingDown
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.interests.graph import GraphSnapshot
from inkling_server.model_manifest import CalibrationUnusable, Curve
from inkling_server.scoring import sigmoid
from inkling_server.serving_state import ServingState, StateHolder, build_state
from inkling_server.tag_index import SearchThread, Selection
from tests.serving import CALIBRATION, COLOURS, make_graph, make_manifest, make_state, turns


@pytest.fixture
def thread() -> Iterator[SearchThread]:
    thread = SearchThread()
    yield thread
    thread.close()


async def build(
    thread: SearchThread, graph: GraphSnapshot, cache: EmbeddingCache | None = None
) -> tuple[ServingState, FakeEncoder]:
    encoder = FakeEncoder(make_manifest())
    state = await build_state(graph, encoder, CALIBRATION, search_thread=thread, cache=cache)
    return state, encoder


async def best(state: ServingState, phrase: str) -> str:
    """The interest whose embedding is nearest to the phrase's."""
    encoder = FakeEncoder(make_manifest())
    query_1D = await encoder.encode_texts([phrase], timeout_s=1)
    ((hit,),) = await state.index.search(query_1D, [Selection(1, 0.0)])
    return state.graph.interests[hit.row].phrase


async def is_closed(state: ServingState) -> bool:
    try:
        await best(state, "red")
    except RuntimeError:
        return True
    return False


async def test_state_names_its_versions_and_finds_its_phrases(thread: SearchThread) -> None:
    state, encoder = await build(thread, make_graph("g7"))
    assert state.graph_version == "g7"
    assert state.model_version == encoder.manifest.model_version
    for colour in COLOURS:
        assert await best(state, colour) == colour


async def test_calibration_of_another_model_is_refused(thread: SearchThread) -> None:
    encoder = FakeEncoder(make_manifest())
    other = replace(CALIBRATION, model_fingerprint="feedfeedfeedfeed")
    with pytest.raises(CalibrationUnusable, match=encoder.manifest.fingerprint):
        await build_state(make_graph(), encoder, other, search_thread=thread)
    assert encoder.text_batches == []
    mine = replace(CALIBRATION, model_fingerprint=encoder.manifest.fingerprint)
    state = await build_state(make_graph(), encoder, mine, search_thread=thread)
    assert state.calibration is mine


async def test_offsets_reach_their_interests_whatever_else_the_calibration_knows(
    thread: SearchThread,
) -> None:
    curve = Curve((-4.0, 4.0), (-3.0, 2.0))
    offsets = {"red": 1.5, "a tag of another graph": -2.0}
    calibration = replace(CALIBRATION, tag_offsets=offsets, curve=curve)
    encoder = FakeEncoder(make_manifest())
    state = await build_state(make_graph(), encoder, calibration, search_thread=thread)
    query_1D = await encoder.encode_texts(["red"], timeout_s=1)
    (hits,) = await state.index.search(query_1D, [Selection(100, 0.0)])
    assert len(hits) == len(COLOURS)
    for hit in hits:
        phrase = state.graph.interests[hit.row].phrase
        assert hit.tag_logit == offsets.get(phrase, 0.0)
        assert hit.calibrated_logit is not None
        assert hit.score == float(sigmoid(hit.calibrated_logit))


async def test_phrases_are_embedded_in_batches(thread: SearchThread) -> None:
    graph = make_graph(counts={f"word{i:03}": i for i in range(150)})
    state, encoder = await build(thread, graph)
    assert sum(encoder.text_batches) == 150
    assert max(encoder.text_batches) <= 64
    assert await best(state, "word077") == "word077"


async def test_empty_graph_is_a_state_too(thread: SearchThread, tmp_path: Path) -> None:
    state, _ = await build(thread, make_graph(counts={}), EmbeddingCache(tmp_path))
    assert state.index.count == 0


async def test_second_start_embeds_nothing(thread: SearchThread, tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    first, _ = await build(thread, make_graph(), cache)
    second, encoder = await build(thread, make_graph(), cache)
    assert encoder.text_batches == []
    query_1D = await encoder.encode_texts(["red"], timeout_s=1)
    every = [Selection(100, 0.0)]
    assert await first.index.search(query_1D, every) == await second.index.search(query_1D, every)


async def test_refreshed_graph_embeds_its_new_phrases_only(
    thread: SearchThread, tmp_path: Path
) -> None:
    cache = EmbeddingCache(tmp_path)
    await build(thread, make_graph("g1"), cache)
    counts = {**COLOURS, "cyan": 7, "a dog": 9}
    del counts["black"]
    state, encoder = await build(thread, make_graph("g2", counts), cache)
    assert sum(encoder.text_batches) == 2
    for phrase in counts:
        assert await best(state, phrase) == phrase
    # Back to the first graph: its dropped phrase is still known.
    _, encoder = await build(thread, make_graph("g1"), cache)
    assert encoder.text_batches == []


async def test_damaged_cache_costs_time_only(thread: SearchThread, tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    _, encoder = await build(thread, make_graph(), cache)
    file = tmp_path / CacheKey.of(encoder.manifest).file_name
    (rows,) = sorted(tmp_path.glob("*.rows"))  # noqa: ASYNC240
    file.write_bytes(file.read_bytes()[:-1])
    # Rows that are whole need no embeddings.
    _, encoder = await build(thread, make_graph(), cache)
    assert encoder.text_batches == []
    os.truncate(rows, rows.stat().st_size - 1)
    state, encoder = await build(thread, make_graph(), cache)
    assert sum(encoder.text_batches) == len(COLOURS)
    assert await best(state, "red") == "red"
    _, encoder = await build(thread, make_graph(), cache)
    assert encoder.text_batches == []


class BrokenEncoder(FakeEncoder):
    """Answers what its test wants."""

    answer: Embeddings

    async def encode_texts(self, texts: Sequence[str], *, timeout_s: float) -> Embeddings:
        return self.answer


@pytest.mark.parametrize(
    "answer",
    [
        np.zeros((5, 256), np.float32),
        np.zeros((6, 255), np.float32),
        np.full((6, 256), np.nan, np.float32),
    ],
)
async def test_nonsense_from_the_encoder_is_not_served_and_not_cached(
    thread: SearchThread, tmp_path: Path, answer: Embeddings
) -> None:
    encoder = BrokenEncoder(make_manifest())
    encoder.answer = answer
    cache = EmbeddingCache(tmp_path)
    with pytest.raises(EncoderDown):
        await build_state(make_graph(), encoder, CALIBRATION, search_thread=thread, cache=cache)
    assert cache.load(CacheKey.of(encoder.manifest)) == {}


async def test_old_state_is_freed_when_its_last_user_is_done(thread: SearchThread) -> None:
    old, new = await make_state(thread), await make_state(thread)
    holder = StateHolder(old)
    with holder.lease() as one:
        with holder.lease() as other:
            assert one is other is old
            freed = holder.swap(new)
            assert holder.current is new
            with holder.lease() as latest:
                assert latest is new
            await turns()
            assert not freed.done()
        await turns()
        assert not freed.done()
        assert await best(old, "red") == "red"  # in use: still whole
    await freed
    assert await is_closed(old)
    assert old.encoder.closed  # type: ignore[attr-defined]
    assert not new.encoder.closed  # type: ignore[attr-defined]


async def test_unused_old_state_is_freed_at_once(thread: SearchThread) -> None:
    old, new = await make_state(thread), await make_state(thread)
    holder = StateHolder(old)
    await holder.swap(new)
    assert await is_closed(old)
    assert not await is_closed(new)


async def test_encoder_that_the_new_state_shares_stays_open(thread: SearchThread) -> None:
    encoder = FakeEncoder(make_manifest())
    states = [await make_state(thread, encoder=encoder) for _ in range(3)]
    holder = StateHolder(states[0])
    with holder.lease():
        first = holder.swap(states[1])
        second = holder.swap(states[2])
        await second
        assert not encoder.closed
    await first
    assert not encoder.closed
    await holder.close()
    assert encoder.closed


async def test_close_waits_for_leases_and_refuses_new_ones(thread: SearchThread) -> None:
    state = await make_state(thread)
    holder = StateHolder(state)
    with holder.lease():
        closing = asyncio.create_task(holder.close())
        await turns()
        assert not closing.done()
        with pytest.raises(ShuttingDown), holder.lease():
            pass
        with pytest.raises(ShuttingDown):
            holder.swap(state)
    await closing
    assert await is_closed(state)
    await holder.close()


async def test_failure_while_freeing_is_logged_and_disturbs_nobody(
    thread: SearchThread, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = await make_state(thread), await make_state(thread)
    holder = StateHolder(old)

    async def fail() -> None:
        raise OSError("connection lost")

    monkeypatch.setattr(old.encoder, "close", fail)
    await holder.swap(new)
    assert "could not be freed cleanly" in caplog.text
    assert holder.current is new
