"""From bytes to tags: validation, capacity, and one picture's failure staying its own."""

import asyncio
import math
from collections.abc import AsyncIterator

import numpy as np
import pytest

from inkling_server.encoders import Embeddings, PixelBatch
from inkling_server.errors import (
    ArgumentOutOfRange,
    DeadlineExceeded,
    EncoderDown,
    GraphVersionNotServed,
    ImageInvalid,
    ImageTooLarge,
    InklingError,
    Overloaded,
    ShuttingDown,
)
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.scoring import sigmoid
from inkling_server.tagging import TagQuery
from tests.server.tagging_kit import RED, MakeBench, bench_maker, outcome
from tests.serving import CALIBRATION, COLOURS, make_manifest, picture, turns, until


@pytest.fixture
async def make_bench() -> AsyncIterator[MakeBench]:
    async with bench_maker() as make:
        yield make


async def test_picture_gets_its_tags_with_the_versions_that_made_them(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench()
    result = await bench.tagger.tag(TagQuery(RED))
    assert result.tags[0].interest_id == result.tags[0].phrase == "red"
    assert result.graph_version == "g1"
    assert result.model_version == bench.encoder.manifest.model_version


async def test_defaults_come_from_the_calibration(make_bench: MakeBench) -> None:
    bench = await make_bench()
    every = await bench.tagger.tag(TagQuery(RED, top_n=100, min_score=0.0))
    assert {tag.phrase for tag in every.tags} == set(COLOURS)
    default = await bench.tagger.tag(TagQuery(RED))
    recommended = CALIBRATION.recommended
    assert default.tags == tuple(
        tag for tag in every.tags[: recommended.top_n] if tag.score > recommended.min_score
    )


async def test_tags_descend_and_stay_strictly_above_the_threshold(make_bench: MakeBench) -> None:
    bench = await make_bench()
    every = (await bench.tagger.tag(TagQuery(RED, top_n=100, min_score=0.0))).tags
    scores = [tag.score for tag in every]
    assert scores == sorted(scores, reverse=True)
    above = (await bench.tagger.tag(TagQuery(RED, top_n=100, min_score=scores[2]))).tags
    assert above == every[:2]
    assert (await bench.tagger.tag(TagQuery(RED, top_n=1, min_score=0.0))).tags == every[:1]


async def test_explanation_adds_up_and_comes_only_when_asked(make_bench: MakeBench) -> None:
    bench = await make_bench()
    silent = await bench.tagger.tag(TagQuery(RED, min_score=0.0))
    assert all(tag.explanation is None for tag in silent.tags)
    explained = await bench.tagger.tag(TagQuery(RED, min_score=0.0, explain=True))
    for tag in explained.tags:
        why = tag.explanation
        assert why is not None
        assert why.calibrated_logit is None
        assert tag.score == float(sigmoid(why.picture_logit + why.prior_logit + why.tag_logit))
        expected = CALIBRATION.scale * why.cosine + CALIBRATION.bias
        assert why.picture_logit == pytest.approx(expected)
        assert abs(why.prior_logit) <= CALIBRATION.prior_cap


@pytest.mark.parametrize("top_n", [0, -1, 101, 2**31 - 1])
async def test_top_n_out_of_range_is_named(make_bench: MakeBench, top_n: int) -> None:
    bench = await make_bench()
    with pytest.raises(ArgumentOutOfRange, match="1 to 100") as refused:
        await bench.tagger.tag(TagQuery(RED, top_n=top_n))
    assert refused.value.field == "top_n"


@pytest.mark.parametrize("min_score", [-0.01, 1.01, math.nan, math.inf, -math.inf])
async def test_min_score_out_of_range_is_named(make_bench: MakeBench, min_score: float) -> None:
    bench = await make_bench()
    with pytest.raises(ArgumentOutOfRange, match="0 to 1") as refused:
        await bench.tagger.tag(TagQuery(RED, min_score=min_score))
    assert refused.value.field == "min_score"


async def test_ends_of_the_ranges_are_accepted(make_bench: MakeBench) -> None:
    bench = await make_bench()
    assert len((await bench.tagger.tag(TagQuery(RED, top_n=100, min_score=0.0))).tags) == 6
    assert (await bench.tagger.tag(TagQuery(RED, top_n=1, min_score=1.0))).tags == ()


async def test_invalid_query_takes_no_slot_and_no_decoder(make_bench: MakeBench) -> None:
    bench = await make_bench(capacity=1)
    held = await bench.hold()
    before = list(bench.observer.stages)
    # The server is full: whatever is refused for its own fault was refused before that mattered.
    for query, error in [
        (TagQuery(b"x" * 100_001), ImageTooLarge),
        (TagQuery(b""), ImageInvalid),
        (TagQuery(RED, top_n=0), ArgumentOutOfRange),
        (TagQuery(RED, graph_version="g0"), GraphVersionNotServed),
    ]:
        with pytest.raises(error):
            await bench.tagger.tag(query)
    assert bench.observer.stages == before
    bench.encoder.gate.set()
    await held


async def test_pinned_graph_version_is_served_or_refused(make_bench: MakeBench) -> None:
    bench = await make_bench()
    assert (await bench.tagger.tag(TagQuery(RED, graph_version="g1"))).graph_version == "g1"
    with pytest.raises(GraphVersionNotServed, match="'g1'"):
        await bench.tagger.tag(TagQuery(RED, graph_version="g2"))


async def test_full_server_rejects_unary_call_before_decoding(make_bench: MakeBench) -> None:
    bench = await make_bench(capacity=1)
    held = await bench.hold()
    decoded = [stage for stage, _ in bench.observer.stages].count("decode")
    with pytest.raises(Overloaded) as refused:
        # Not even a picture: a full server does not look.
        await bench.tagger.tag(TagQuery(b"garbage"))
    assert refused.value.retry_after_s > 0
    assert bench.observer.overloaded_count == 1
    assert [stage for stage, _ in bench.observer.stages].count("decode") == decoded
    bench.encoder.gate.set()
    await held
    assert (await bench.tagger.tag(TagQuery(RED))).tags


async def test_stream_waits_for_room_and_is_answered(make_bench: MakeBench) -> None:
    bench = await make_bench(capacity=1)
    held = await bench.hold()
    patient = bench.send(RED, RED, wait=True)
    await turns()
    assert bench.tagger.used == 1
    bench.encoder.gate.set()
    assert len({task.tags for task in await asyncio.gather(held, *patient)}) == 1


async def test_bad_picture_fails_alone(make_bench: MakeBench) -> None:
    bench = await make_bench()
    held = await bench.hold()
    truncated = picture("green", form="JPEG", side=200)[:300]
    tasks = bench.send(RED, b"text renamed .jpg", picture("blue"), truncated, picture("green"))
    await until(lambda: bench.tagger.queue_depth == 3)
    bench.encoder.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    tops = [outcome(result) for result in results]
    assert tops == ["red", ImageInvalid, "blue", ImageInvalid, "green"]
    assert bench.encoder.image_batches == [1, 3]
    await held
    assert bench.tagger.used == 0


async def test_answer_does_not_depend_on_the_company(make_bench: MakeBench) -> None:
    bench = await make_bench()
    images = [picture(colour) for colour in COLOURS] * 4
    alone = [await bench.tagger.tag(TagQuery(image, explain=True)) for image in images]
    together = await asyncio.gather(*bench.send(*images, explain=True))
    assert alone == together
    assert max(bench.encoder.image_batches) > 1


class HalfBrokenEncoder(FakeEncoder):
    """Fails as its test wants when a blue picture is in the batch."""

    mode = ""

    async def encode_images(self, pixels_BHWC: PixelBatch, *, timeout_s: float) -> Embeddings:
        embeddings_BD = await super().encode_images(pixels_BHWC, timeout_s=timeout_s)
        blue_B = (np.stack(list(pixels_BHWC))[:, 0, 0] == (0, 0, 255)).all(axis=1)
        if self.mode == "raise" and blue_B.any():
            raise RuntimeError("poison")
        if self.mode == "nan":
            embeddings_BD[blue_B] = np.nan
        if self.mode == "shape":
            return embeddings_BD[:, :-1]
        return embeddings_BD


@pytest.mark.parametrize(("mode", "error"), [("raise", RuntimeError), ("nan", EncoderDown)])
async def test_picture_that_breaks_the_encoder_fails_alone(
    make_bench: MakeBench, mode: str, error: type[Exception]
) -> None:
    encoder = HalfBrokenEncoder(make_manifest())
    bench = await make_bench(encoder)
    encoder.mode = mode
    images = [RED, picture("green"), picture("blue"), picture("white"), RED]
    results = await asyncio.gather(*bench.send(*images), return_exceptions=True)
    tops = [outcome(result) for result in results]
    assert tops == ["red", "green", error, "white", "red"]


async def test_encoder_of_another_dimension_is_down(make_bench: MakeBench) -> None:
    encoder = HalfBrokenEncoder(make_manifest())
    bench = await make_bench(encoder)
    encoder.mode = "shape"
    with pytest.raises(EncoderDown):
        await bench.tagger.tag(TagQuery(RED))


async def test_encoder_down_fails_fast_and_recovers(make_bench: MakeBench) -> None:
    bench = await make_bench()
    bench.encoder.failure = EncoderDown("no answer")
    results = await asyncio.gather(*bench.send(*[RED] * 10), return_exceptions=True)
    assert {type(result) for result in results} == {EncoderDown}
    assert sum(bench.encoder.image_batches) == 10  # nothing was tried twice
    bench.encoder.failure = None
    assert (await bench.tagger.tag(TagQuery(RED))).tags
    assert bench.tagger.used == 0


async def test_stuck_encoder_fails_after_the_timeout(make_bench: MakeBench) -> None:
    bench = await make_bench(encode_timeout_s=0.02)
    bench.encoder.gate.clear()
    with pytest.raises(EncoderDown):
        await bench.tagger.tag(TagQuery(RED))


async def test_cancelled_request_never_reaches_the_encoder(make_bench: MakeBench) -> None:
    bench = await make_bench()
    held = await bench.hold()
    (leaver,) = bench.send(RED)
    await until(lambda: bench.tagger.queue_depth == 1)
    leaver.cancel()
    await asyncio.wait([leaver])
    assert (bench.tagger.queue_depth, bench.tagger.used) == (0, 1)
    bench.encoder.gate.set()
    await held
    assert bench.encoder.image_batches == [1]


async def test_expired_request_never_reaches_the_encoder(make_bench: MakeBench) -> None:
    bench = await make_bench()
    held = await bench.hold()
    now = asyncio.get_running_loop().time()
    (soon, late) = (*bench.send(RED, deadline=now + 0.02), *bench.send(RED, deadline=now - 1))
    for task in (soon, late):
        with pytest.raises(DeadlineExceeded):
            await task
    assert bench.tagger.used == 1
    bench.encoder.gate.set()
    await held
    assert bench.encoder.image_batches == [1]


async def test_canary_passes_a_full_server_and_proves_the_whole_way(make_bench: MakeBench) -> None:
    bench = await make_bench(capacity=1, max_batches_in_flight=2, max_batch_delay_s=0.0)
    held = await bench.hold()
    check = asyncio.create_task(bench.tagger.check(RED, timeout_s=10))
    await until(lambda: bench.encoder.in_flight == 2)
    bench.encoder.gate.set()
    assert (await check).tags[0].phrase == "red"
    await held
    bench.encoder.gate.clear()
    with pytest.raises(DeadlineExceeded):
        await bench.tagger.check(RED, timeout_s=0.02)
    bench.encoder.gate.set()
    bench.encoder.failure = EncoderDown("no answer")
    with pytest.raises(EncoderDown):
        await bench.tagger.check(RED, timeout_s=10)


async def test_every_stage_is_observed(make_bench: MakeBench) -> None:
    bench = await make_bench()
    await asyncio.gather(*bench.send(RED, RED))
    counted: dict[str, int] = {}
    for stage, count in bench.observer.stages:
        counted[stage] = counted.get(stage, 0) + count
    assert counted == {"admission": 2, "decode": 2, "encode": 2, "search": 2}


async def test_close_lets_accepted_pictures_finish(make_bench: MakeBench) -> None:
    bench = await make_bench()
    held = await bench.hold()
    closing = asyncio.create_task(bench.tagger.close(grace_s=10))
    await turns()
    with pytest.raises(ShuttingDown):
        await bench.tagger.tag(TagQuery(RED))
    assert not closing.done()
    bench.encoder.gate.set()
    await closing
    assert (await held).tags


async def test_close_fails_what_does_not_finish_in_time(make_bench: MakeBench) -> None:
    bench = await make_bench()
    held = await bench.hold()
    queued = bench.send(RED, RED)
    await until(lambda: bench.tagger.queue_depth == 2)
    await bench.tagger.close(grace_s=0.02)
    results = await asyncio.gather(held, *queued, return_exceptions=True)
    assert {type(result) for result in results} == {ShuttingDown}
    assert bench.tagger.used == 0


async def test_errors_are_all_typed(make_bench: MakeBench) -> None:
    bench = await make_bench()
    broken = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF....WEBP", b"GIF89a", b"BM", b"\0" * 99]
    results = await asyncio.gather(*bench.send(*broken), return_exceptions=True)
    assert all(isinstance(result, InklingError) for result in results)
