"""VideoTagger on fakes: one model for all frames, texts joined, nothing left behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from inkling_server.errors import (
    ArgumentOutOfRange,
    DeadlineExceeded,
    EncoderDown,
    GraphVersionNotServed,
    Overloaded,
    ShuttingDown,
    VideoInvalid,
)
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.images import ImageLimits
from inkling_server.interests.content import ContentItem
from inkling_server.interests.mentions.reading import TextReaders, missing_packages
from inkling_server.scoring import sigmoid
from inkling_server.serving_state import StateHolder
from inkling_server.tag_index import SearchThread
from inkling_server.tagging import Tagger, TaggerLimits, TagQuery
from inkling_server.video import VideoLimits
from inkling_server.video_queries import VideoQuery, VideoTags
from inkling_server.video_tagging import VideoTagger, VideoTaggerLimits
from tests.server.video_kit import (
    FakeDecoder,
    FakeOverlays,
    FakeSpeech,
    FakeSpool,
    Spoken,
    video_file,
)
from tests.serving import make_graph, make_manifest, make_state, picture, until

needs_texts = pytest.mark.skipif(bool(missing_packages()), reason="needs the extra `discovery`")
RED_BLUE = (("red", 3.0), ("blue", 2.0))


@dataclass
class Bench:
    """A VideoTagger with everything within reach."""

    folder: Path
    thread: SearchThread
    encoder: FakeEncoder
    states: StateHolder
    tagger: Tagger
    decoder: FakeDecoder
    videos: VideoTagger

    async def tag(self, *scenes: tuple[str, float], **options: Any) -> VideoTags:
        """Sends a video and tags it, as a servicer does."""
        async with self.videos.room() as spool:
            await spool.write(video_file(*scenes))
            return await self.videos.tag_video(VideoQuery(await spool.finish(), **options))

    @property
    def files(self) -> list[Path]:
        return list((self.folder / "spool").glob("*"))


MakeBench = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def make_bench(tmp_path: Path) -> AsyncIterator[MakeBench]:
    thread = SearchThread()
    readers = TextReaders()
    benches: list[Bench] = []

    async def make(
        limits: VideoTaggerLimits | None = None, *, texts: bool = False, **parts: Any
    ) -> Bench:
        encoder = FakeEncoder(make_manifest())
        states = StateHolder(
            await make_state(thread, encoder=encoder, readers=readers if texts else None)
        )
        tagger = Tagger(
            states,
            limits=TaggerLimits(capacity=16, reserved_for_unary=4, max_batch_size=8),
            image_limits=ImageLimits(),
        )
        decoder = FakeDecoder()
        video_limits = VideoLimits(max_bytes=2_000, max_frames=40)
        videos = VideoTagger(
            tagger,
            states,
            decoder,
            open_spool=lambda: FakeSpool(tmp_path / "spool", video_limits),
            limits=limits or VideoTaggerLimits(capacity=2, max_working=1),
            video_limits=video_limits,
            **parts,
        )
        bench = Bench(tmp_path, thread, encoder, states, tagger, decoder, videos)
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        await bench.tagger.close()
        await bench.states.close()
    readers.close()
    thread.close()


async def test_tags_have_intervals_best_times_and_shares(make_bench: MakeBench) -> None:
    bench = await make_bench()
    result = await bench.tag(*RED_BLUE, ("red", 5.0))
    by_phrase = {one.tag.phrase: one for one in result.tags}
    red, blue = by_phrase["red"], by_phrase["blue"]
    assert [(i.start_s, i.end_s) for i in red.intervals] == [(0, 3), (5, 10)]
    assert [(i.start_s, i.end_s) for i in blue.intervals] == [(3, 5)]
    assert (red.best_time_s, blue.best_time_s) == (1.5, 4.0)
    assert red.share == pytest.approx(0.8)
    assert blue.share == pytest.approx(0.2)
    assert (result.graph_version, result.model_version) == ("g1", make_manifest().model_version)
    assert (result.frame_count, result.frames, result.contact_sheet) == (3, (), b"")
    assert result.facts.duration_s == 10


async def test_scene_scores_as_its_picture_alone(make_bench: MakeBench) -> None:
    bench = await make_bench()
    alone = await bench.tagger.tag(TagQuery(picture("blue"), top_n=1))
    result = await bench.tag(*RED_BLUE)
    (blue,) = [one.tag for one in result.tags if one.tag.phrase == "blue"]
    assert blue == alone.tags[0]


async def test_tags_descend_and_obey_top_n_and_min_score(make_bench: MakeBench) -> None:
    bench = await make_bench()
    everything = await bench.tag(*RED_BLUE, top_n=6, min_score=0.0)
    scores = [one.tag.score for one in everything.tags]
    assert len(scores) == 6
    assert scores == sorted(scores, reverse=True)
    assert (await bench.tag(*RED_BLUE, top_n=1)).tags == (everything.tags[0],)
    assert (await bench.tag(*RED_BLUE, min_score=1.0)).tags == ()


async def test_frames_are_answered_as_pictures_are(make_bench: MakeBench) -> None:
    bench = await make_bench()
    alone = await bench.tagger.tag(TagQuery(picture("red"), explain=True))
    result = await bench.tag(*RED_BLUE, include_frames=True, explain=True)
    assert [(one.start_s, one.time_s, one.end_s) for one in result.frames] == [
        (0, 1.5, 3),
        (3, 4, 5),
    ]
    assert result.frames[0].tags == alone.tags


async def test_explanation_adds_up_to_the_score(make_bench: MakeBench) -> None:
    bench = await make_bench()
    result = await bench.tag(("red", 0.5), ("blue", 3.0), explain=True, min_score=0.0, top_n=6)
    for one in result.tags:
        assert one.tag.explanation is not None
        assert one.tag.explanation.calibrated_logit is not None
        assert one.tag.score == pytest.approx(
            float(sigmoid(one.tag.explanation.calibrated_logit)), abs=1e-5
        )
    by_phrase = {one.tag.phrase: one.tag for one in result.tags}
    # It shows for half of its best second only; the cosine is that of the frame.
    assert by_phrase["red"].score < by_phrase["blue"].score
    assert by_phrase["red"].explanation.cosine > 0.5  # type: ignore[union-attr]


async def test_all_frames_have_one_model_where_it_changes_between(make_bench: MakeBench) -> None:
    bench = await make_bench(VideoTaggerLimits(max_frames_in_flight=1))
    bench.encoder.gate.clear()
    tagging = asyncio.create_task(bench.tag(*[("red", 1.0)] * 4, ("blue", 2.0)))
    await until(lambda: bench.encoder.in_flight)
    second = FakeEncoder(make_manifest(2))
    bench.states.swap(await make_state(bench.thread, graph=make_graph("g2"), encoder=second))
    bench.encoder.gate.set()
    result = await tagging
    assert (result.graph_version, result.model_version) == ("g2", second.manifest.model_version)
    assert sum(second.image_batches) >= 5
    assert len(bench.decoder.specs) == 1
    assert {one.tag.phrase for one in result.tags} >= {"red", "blue"}


async def test_video_is_decoded_again_where_the_new_model_wants_other_pixels(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench()
    bench.encoder.gate.clear()
    tagging = asyncio.create_task(bench.tag(*RED_BLUE))
    await until(lambda: bench.encoder.in_flight)
    second = FakeEncoder(make_manifest(2, size=48))
    bench.states.swap(await make_state(bench.thread, encoder=second))
    bench.encoder.gate.set()
    result = await tagging
    assert result.model_version == second.manifest.model_version
    assert [spec.size for spec in bench.decoder.specs] == [32, 48]


@needs_texts
async def test_texts_overlays_and_speech_are_evidence(make_bench: MakeBench) -> None:
    overlays = FakeOverlays("a yellow\nkite")
    speech = FakeSpeech((Spoken("here they come"), Spoken("everything is green")))
    bench = await make_bench(texts=True, overlays=overlays, speech=speech)
    result = await bench.tag(
        *RED_BLUE,
        top_n=6,
        explain=True,
        read_text=True,
        transcribe=True,
        include_frames=True,
        context=ContentItem(id="-", caption="my black cat"),
    )
    assert result.texts.overlay == "a yellow\nkite"
    assert result.texts.transcript == "here they come\neverything is green"
    assert [one.text for one in result.frames] == ["a yellow\nkite"] * 2
    by_phrase = {one.tag.phrase: one for one in result.tags}
    sources = {
        phrase: [said.source for said in one.tag.explanation.evidence]
        for phrase, one in by_phrase.items()
        if one.tag.explanation is not None and one.tag.explanation.evidence
    }
    assert sources == {"yellow": ["overlay"], "black": ["caption"], "green": ["speech"]}
    # Nothing shows it: it has no time.
    assert by_phrase["black"].intervals == ()
    assert by_phrase["black"].best_time_s is None
    assert by_phrase["black"].share == 0


async def test_texts_that_cannot_be_read_cost_no_video(make_bench: MakeBench) -> None:
    bench = await make_bench(
        overlays=FakeOverlays(failure=VideoInvalid("broken")),
        speech=FakeSpeech(failure=DeadlineExceeded()),
    )
    result = await bench.tag(*RED_BLUE, read_text=True, transcribe=True)
    assert (result.texts.overlay, result.texts.transcript) == ("", "")
    assert result.tags


async def test_nothing_is_read_unless_asked_for(make_bench: MakeBench) -> None:
    overlays = FakeOverlays("yellow")
    bench = await make_bench(overlays=overlays)
    assert (await bench.tag(*RED_BLUE)).texts.overlay == ""
    assert overlays.read_count == 0


async def test_contact_sheet_is_a_picture_of_the_frames(make_bench: MakeBench) -> None:
    bench = await make_bench()
    assert (await bench.tag(*RED_BLUE, sheet="png")).contact_sheet.startswith(b"\x89PNG")
    assert (await bench.tag(*RED_BLUE, sheet="jpeg")).contact_sheet.startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"top_n": 0}, ArgumentOutOfRange),
        ({"top_n": 101}, ArgumentOutOfRange),
        ({"min_score": 1.5}, ArgumentOutOfRange),
        ({"min_score": float("nan")}, ArgumentOutOfRange),
        ({"max_frames": 0}, ArgumentOutOfRange),
        ({"max_frames": 41}, ArgumentOutOfRange),
        ({"graph_version": "g0"}, GraphVersionNotServed),
    ],
)
async def test_wrong_options_are_refused_before_decoding(
    make_bench: MakeBench, options: dict[str, Any], error: type[Exception]
) -> None:
    bench = await make_bench()
    with pytest.raises(error):
        await bench.tag(*RED_BLUE, **options)
    assert not bench.decoder.specs


async def test_frame_limit_reaches_the_decoder(make_bench: MakeBench) -> None:
    bench = await make_bench()
    await bench.tag(*RED_BLUE, max_frames=7)
    await bench.tag(*RED_BLUE)
    assert bench.decoder.max_frames == [7, 40]


async def test_full_server_refuses_and_recovers(make_bench: MakeBench) -> None:
    bench = await make_bench()
    bench.decoder.gate.clear()
    tagging = [asyncio.create_task(bench.tag(*RED_BLUE)) for _ in range(2)]
    await until(lambda: bench.videos.used == 2)
    with pytest.raises(Overloaded):
        await bench.tag(*RED_BLUE)
    assert bench.decoder.running == 1  # the other one waits for its turn
    bench.decoder.gate.set()
    for result in await asyncio.gather(*tagging):
        assert result.tags
    assert (bench.videos.used, bench.files) == (0, [])


@pytest.mark.parametrize("stage", ["decode", "encode"])
async def test_cancelled_video_leaves_nothing_behind(make_bench: MakeBench, stage: str) -> None:
    bench = await make_bench()
    gate = bench.decoder.gate if stage == "decode" else bench.encoder.gate
    gate.clear()
    tagging = asyncio.create_task(bench.tag(*RED_BLUE))
    await until(lambda: bench.decoder.running if stage == "decode" else bench.encoder.in_flight)
    assert len(bench.files) == 1
    tagging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await tagging
    assert (bench.videos.used, bench.files, bench.tagger.used) == (0, [], 0)
    gate.set()
    assert (await bench.tag(*RED_BLUE)).tags


async def test_deadline_ends_the_work(make_bench: MakeBench) -> None:
    bench = await make_bench()
    bench.decoder.gate.clear()
    deadline = asyncio.get_running_loop().time() + 0.02
    with pytest.raises(DeadlineExceeded):
        await bench.tag(*RED_BLUE, deadline=deadline)
    assert (bench.videos.used, bench.files, bench.decoder.running) == (0, [], 0)


async def test_errors_of_decoder_and_encoder_reach_the_caller(make_bench: MakeBench) -> None:
    bench = await make_bench()
    bench.decoder.failure = VideoInvalid("no video stream")
    with pytest.raises(VideoInvalid, match="no video stream"):
        await bench.tag(*RED_BLUE)
    bench.decoder.failure = None
    bench.encoder.failure = EncoderDown("gone")
    with pytest.raises(EncoderDown):
        await bench.tag(*RED_BLUE)
    assert (bench.videos.used, bench.files, bench.tagger.used) == (0, [], 0)


async def test_many_frames_go_through_a_small_queue(make_bench: MakeBench) -> None:
    bench = await make_bench()
    scenes = [("red", 1.0), ("green", 1.0)] * 20
    result = await bench.tag(*scenes)
    assert result.frame_count == 40
    assert max(bench.encoder.image_batches) <= 8
    assert {one.tag.phrase for one in result.tags} >= {"red", "green"}


async def test_closed_tagger_ends_videos(make_bench: MakeBench) -> None:
    bench = await make_bench()
    bench.encoder.gate.clear()
    tagging = asyncio.create_task(bench.tag(*RED_BLUE))
    await until(lambda: bench.encoder.in_flight)
    await bench.tagger.close()
    with pytest.raises(ShuttingDown):
        await tagging
    bench.encoder.gate.set()
