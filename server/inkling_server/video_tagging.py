"""VideoTagger: a video file -> what it is about, and when each tag shows.

    room ─► spool ◄─ chunks                                   (whoever receives the file writes it)
              └─► decode ─┬► frames ─► the Tagger's batches ─► embeddings ─┐
                          ├► frames ─► read overlays ─┐                    ├► search ─► tags
                          └► sound  ─► recognise ─────┴► texts ─► evidence ┘

Frames wait in line and share batches with pictures. Searching, the reading of texts and the
timeline happen under one lease of the serving state, and all frames must have been encoded by that
state's model: where a rollout came between, they are encoded (and, where it wants other pixels,
decoded) again. What the caller gives up is dropped at once, the spool file first of all.

This module knows neither gRPC nor how videos are decoded, overlays read or speech recognised.

Shapes: F frames, D dimensions, K candidate tags.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from inkling_server.batching import deadline_scope
from inkling_server.contact_sheet import Tile, contact_sheet
from inkling_server.encoders import Embeddings
from inkling_server.errors import (
    ArgumentOutOfRange,
    EncoderDown,
    GraphVersionNotServed,
    Overloaded,
)
from inkling_server.joining import RowEvidence
from inkling_server.model_manifest import PixelSpec
from inkling_server.serving_state import ServingState, StateHolder
from inkling_server.tag_batch import Answer, PrepareAgain
from inkling_server.tag_index import Selection
from inkling_server.tagging import Tagger
from inkling_server.video import Frame, Video, VideoLimits
from inkling_server.video_queries import FrameTags, VideoQuery, VideoTags
from inkling_server.video_scoring import ScoredVideo, score_frames
from inkling_server.video_texts import (
    OverlayReader,
    Speech,
    VideoTexts,
    read_texts,
    with_texts,
)

# As in `tagging`: more changes of model than this during one request are nobody's honest doing.
_MAX_PREPARATIONS = 4
_RETRY_AFTER_S = 2.0
_log = logging.getLogger(__name__)


class Spool(Protocol):
    """Takes in one file; see `VideoSpool`."""

    async def write(self, chunk: bytes) -> None: ...
    async def finish(self) -> Path: ...


class Decoder(Protocol):
    """What decodes; see `VideoDecoder`."""

    async def decode(
        self,
        path: Path,
        spec: PixelSpec,
        *,
        max_frames: int,
        want_sound: bool = False,
        want_full: bool = False,
        deadline: float | None = None,
    ) -> Video: ...


@dataclass(frozen=True, slots=True)
class VideoTaggerLimits:
    """What the VideoTagger may take in and hold.

    Attributes:
        capacity: videos between the first byte and the answer; each holds a file on disk.
        max_working: videos that are decoded or tagged at a time; each holds its frames in memory.
        max_frames_in_flight: frames of one video that wait for a batch or are in one: few enough
            that a picture never waits for a whole video.
        max_top_n: most tags that a query may ask for.
    """

    capacity: int = 8
    max_working: int = 2
    max_frames_in_flight: int = 32
    max_top_n: int = 100


@dataclass(frozen=True, slots=True, eq=False)
class _Encoded:
    """What one model made of all frames."""

    fingerprint: str
    embeddings_FD: Embeddings


class VideoTagger:
    """Tags videos; all methods belong to one event loop.

    Args:
        tagger: encodes frames.
        states: the same ones that `tagger` uses.
        decoder: closed by whoever made it.
        open_spool: makes the file of one video; it is gone after the block.
        limits: how much work is taken in.
        video_limits: what a video may be.
        overlays: reads texts off frames; None: nothing does.
        speech: recognises speech; None: nothing does.
    """

    def __init__(
        self,
        tagger: Tagger,
        states: StateHolder,
        decoder: Decoder,
        *,
        open_spool: Callable[[], contextlib.AbstractAsyncContextManager[Spool]],
        limits: VideoTaggerLimits,
        video_limits: VideoLimits,
        overlays: OverlayReader | None = None,
        speech: Speech | None = None,
    ) -> None:
        self._tagger = tagger
        self._states = states
        self._decoder = decoder
        self._open_spool = open_spool
        self._limits = limits
        self._video_limits = video_limits
        self._overlays = overlays
        self._speech = speech
        self._under_way = 0
        self._working = asyncio.Semaphore(limits.max_working)

    @property
    def used(self) -> int:
        """Videos between the first byte and the answer now."""
        return self._under_way

    @contextlib.asynccontextmanager
    async def room(self) -> AsyncIterator[Spool]:
        """Holds room for one video during the block; its file is gone afterwards.

        Raises:
            Overloaded: there is none.
        """
        if self._under_way >= self._limits.capacity:
            raise Overloaded(_RETRY_AFTER_S)
        self._under_way += 1
        try:
            async with self._open_spool() as spool:
                yield spool
        finally:
            self._under_way -= 1

    def check(self, query: VideoQuery) -> None:
        """Refuses what cannot be answered, before a file is taken in.

        Raises:
            ArgumentOutOfRange, GraphVersionNotServed: see `errors`.
        """
        _in_range("top_n", query.top_n, 1, self._limits.max_top_n)
        _in_range("max_frame_count", query.max_frames, 1, self._video_limits.max_frames)
        _in_range("min_score", query.min_score, 0, 1)
        _require_version(query.graph_version, self._states.current)

    async def tag_video(self, query: VideoQuery) -> VideoTags:
        """Tags one video.

        Raises:
            VideoInvalid, VideoTooLarge, ArgumentOutOfRange, GraphVersionNotServed, EncoderDown,
            ShuttingDown, DeadlineExceeded: see `errors`.
        """
        self.check(query)
        async with deadline_scope(query.deadline), self._working:
            spec = self._states.current.manifest.image
            video = await self._decode(query, spec)
            reading = asyncio.create_task(
                read_texts(
                    video,
                    overlays=self._overlays if query.read_text else None,
                    speech=self._speech if query.transcribe else None,
                    deadline=query.deadline,
                )
            )
            try:
                return await self._answer(query, video, spec, reading)
            finally:
                await _ended([reading])

    async def _answer(
        self, query: VideoQuery, video: Video, spec: PixelSpec, reading: asyncio.Task[VideoTexts]
    ) -> VideoTags:
        for _ in range(_MAX_PREPARATIONS):
            wanted = self._states.current.manifest.image
            if wanted != spec:
                video, spec = await self._decode(query, wanted), wanted
            encoded = await self._encode(video.frames, spec, query.deadline)
            texts = await reading
            with self._states.lease() as state:
                if encoded is not None and encoded.fingerprint == state.manifest.fingerprint:
                    return await self._search(query, video, encoded.embeddings_FD, texts, state)
        raise EncoderDown("the model changes faster than a video can be encoded")

    async def _decode(self, query: VideoQuery, spec: PixelSpec) -> Video:
        start = time.monotonic()
        video = await self._decoder.decode(
            query.path,
            spec,
            max_frames=query.max_frames or self._video_limits.max_frames,
            want_sound=query.transcribe and self._speech is not None,
            want_full=query.sheet is not None or (query.read_text and self._overlays is not None),
            deadline=query.deadline,
        )
        # Not the length of the file nor its name: those are the caller's business.
        _log.debug(
            "video decoded",
            extra={
                "frame_count": len(video.frames),
                "decoded_frame_count": video.facts.decoded_frame_count,
                "took_s": round(time.monotonic() - start, 3),
            },
        )
        return video

    async def _encode(
        self, frames: Sequence[Frame], spec: PixelSpec, deadline: float | None
    ) -> _Encoded | None:
        """Encodes all frames with one model; None: another one came between."""
        room = asyncio.Semaphore(self._limits.max_frames_in_flight)

        async def encode(frame: Frame) -> Answer:
            async with room:
                return await self._tagger.embed(frame.pixels_SS3, spec, deadline=deadline)

        tasks = [asyncio.create_task(encode(frame)) for frame in frames]
        try:
            answers = await asyncio.gather(*tasks)
        except PrepareAgain:
            return None
        finally:
            await _ended(tasks)
        fingerprints = {answer.fingerprint for answer in answers}
        if len(fingerprints) > 1:
            return None
        embeddings_FD = np.stack([answer.embedding_D for answer in answers])
        return _Encoded(fingerprints.pop(), embeddings_FD)

    async def _search(
        self,
        query: VideoQuery,
        video: Video,
        embeddings_FD: Embeddings,
        texts: VideoTexts,
        state: ServingState,
    ) -> VideoTags:
        """Everything that needs the graph, with a state that the caller keeps alive."""
        _require_version(query.graph_version, state)
        recommended = state.calibration.recommended
        evidence: RowEvidence = {}
        item = with_texts(query.context, texts)
        if item is not None and state.reader is not None:
            evidence = await state.reader.read(item, quoting=query.explain, deadline=query.deadline)
        scored = await score_frames(
            video.frames,
            embeddings_FD,
            state,
            evidence,
            selection=Selection(
                recommended.top_n if query.top_n is None else query.top_n,
                recommended.min_score if query.min_score is None else query.min_score,
            ),
            duration_s=video.facts.duration_s,
            explain=query.explain,
        )
        sheet = b""
        if query.sheet is not None:
            sheet = await asyncio.to_thread(
                contact_sheet, _tiles(video.frames, scored), query.sheet
            )
        return VideoTags(
            scored.tags,
            _frame_tags(video.frames, scored, texts) if query.include_frames else (),
            len(video.frames),
            video.facts,
            texts,
            sheet,
            state.graph_version,
            state.model_version,
        )


def _tiles(frames: Sequence[Frame], scored: ScoredVideo) -> list[Tile]:
    return [
        Tile(frame.pixels_SS3, frame.full, frame.time_s, [(tag.phrase, tag.score) for tag in tags])
        for frame, tags in zip(frames, scored.frame_tags, strict=True)
    ]


def _frame_tags(
    frames: Sequence[Frame], scored: ScoredVideo, texts: VideoTexts
) -> tuple[FrameTags, ...]:
    read = texts.frames or [""] * len(frames)
    return tuple(
        FrameTags(frame.time_s, frame.start_s, frame.end_s, tags, text)
        for frame, tags, text in zip(frames, scored.frame_tags, read, strict=True)
    )


async def _ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancels what still runs, and waits for its end; nobody will look at its errors."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _in_range(field: str, value: float | None, least: int, most: int) -> None:
    # Written so that NaN fails, too.
    if value is not None and not least <= value <= most:
        raise ArgumentOutOfRange(field, f"{value:g}", f"{least} to {most}")


def _require_version(wanted: str, state: ServingState) -> None:
    if wanted and wanted != state.graph_version:
        raise GraphVersionNotServed(state.graph_version)
