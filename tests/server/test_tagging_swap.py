"""Graphs and models that change under load: every answer comes from one state."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from inkling_server.encoders import Embeddings, PixelBatch
from inkling_server.errors import GraphVersionNotServed
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.images import ImageLimits
from inkling_server.serving_state import ServingState, StateHolder
from inkling_server.tagging import Tagger, TaggerLimits, TagQuery, TagResult
from tests.server.tagging_kit import RED, MakeBench, bench_maker
from tests.serving import COLOURS, make_graph, make_manifest, make_state, picture, until


@pytest.fixture
async def make_bench() -> AsyncIterator[MakeBench]:
    async with bench_maker() as make:
        yield make


async def test_swap_while_a_picture_waits_answers_from_the_new_state(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench()
    new = await make_state(bench.thread, graph=make_graph("g2"), encoder=bench.encoder)
    held = await bench.hold()
    free, pinned = (*bench.send(RED), *bench.send(RED, graph_version="g1"))
    await until(lambda: bench.tagger.queue_depth == 2)
    freed = bench.holder.swap(new)
    bench.encoder.gate.set()
    assert (await held).graph_version == "g1"
    assert (await free).graph_version == "g2"
    with pytest.raises(GraphVersionNotServed, match="'g2'"):
        await pinned
    await freed


async def test_picture_is_decoded_again_when_the_new_model_wants_other_pixels(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench()
    held = await bench.hold()
    waiting = bench.send(RED, picture("blue"))
    await until(lambda: bench.tagger.queue_depth == 2)
    encoder = FakeEncoder(make_manifest(2, size=48))
    bench.holder.swap(await make_state(bench.thread, graph=make_graph("g2"), encoder=encoder))
    bench.encoder.gate.set()
    results = await asyncio.gather(*waiting)
    assert [result.tags[0].phrase for result in results] == ["red", "blue"]
    assert {result.model_version for result in results} == {encoder.manifest.model_version}
    assert (await held).model_version == bench.encoder.manifest.model_version


class TurningEncoder(FakeEncoder):
    """Each model version has an embedding space of its own: mixing two gives wrong scores."""

    def _turn(self, embeddings_BD: Embeddings) -> Embeddings:
        return np.ascontiguousarray(np.roll(embeddings_BD, 37 * self.manifest.version, axis=1))

    async def encode_images(self, pixels_BHWC: PixelBatch, *, timeout_s: float) -> Embeddings:
        return self._turn(await super().encode_images(pixels_BHWC, timeout_s=timeout_s))

    async def encode_texts(self, texts: Sequence[str], *, timeout_s: float) -> Embeddings:
        return self._turn(await super().encode_texts(texts, timeout_s=timeout_s))


async def test_swap_under_load_never_mixes_versions(make_bench: MakeBench) -> None:
    """For two seconds, models (with pixels of different size) and graphs change while many tag."""
    bench = await make_bench(
        TurningEncoder(make_manifest(0)),
        capacity=24,
        max_batch_size=8,
        max_batches_in_flight=3,
        max_batch_delay_s=0.001,
    )
    images = [picture(colour) for colour in COLOURS]
    # What each version answers, by the sum of its parts and nothing else.
    expected: dict[str, dict[bytes, TagResult]] = {}
    made = itertools.count()

    async def next_state() -> ServingState:
        number = next(made)
        counts = {**COLOURS, "red": 20 + 10 * (number % 5)}
        encoder = TurningEncoder(make_manifest(number, size=32 + 8 * (number % 2)))
        encoder.delay_s = 0.002
        state = await make_state(
            bench.thread, graph=make_graph(f"g{number}", counts), encoder=encoder
        )
        alone = Tagger(StateHolder(state), limits=TaggerLimits(), image_limits=ImageLimits())
        expected[state.graph_version] = {
            image: await alone.tag(TagQuery(image, explain=True)) for image in images
        }
        await alone.close()
        return state

    loop = asyncio.get_running_loop()
    end = loop.time() + 2.0
    served: set[str] = set()
    answer_count = 0

    async def client(number: int) -> None:
        nonlocal answer_count
        for image in itertools.cycle(images[number % 6 :] + images[: number % 6]):
            if loop.time() > end:
                return
            result = await bench.tagger.tag(TagQuery(image, explain=True, wait=True))
            assert result == expected[result.graph_version][image]
            served.add(result.graph_version)
            answer_count += 1

    async def operator() -> None:
        while loop.time() < end:
            await bench.holder.swap(await next_state())

    await bench.holder.swap(await next_state())
    clients = [client(number) for number in range(40)]
    async with asyncio.timeout(30):
        await asyncio.gather(operator(), *clients)
    assert len(served) >= 5
    assert answer_count >= 100
    assert (bench.tagger.used, bench.tagger.queue_depth) == (0, 0)
