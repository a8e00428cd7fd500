"""Tagger: decode -> batch -> encode -> search -> calibrated tags, for one item at a time.

    query ─► validate ─► admission ─┬► decode (threads) ─┬► MicroBatcher ─► encode ─► search ─► tags
                            │       └► read texts ───────┘                                  │
                            └─ one slot of the gateway's capacity, held until the answer ───┘

Where a query asks for it, what is written in its picture is read first, and is a text like others.

A full server refuses (or makes a stream wait) *before* anything is decoded. A batch is encoded and
searched with the one serving state that is current when the batch starts, so a picture, its texts
and its tags always belong to the same model and graph. An item of texts alone needs no batch. This
module knows neither gRPC nor Triton nor FAISS.

Shapes: B pictures of a batch, H x W pixels, C = 3 channels (RGB), D dimensions.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from inkling_server.admission import Admission
from inkling_server.answers import (
    ContentTags,
    Explanation,
    ScoredTag,
    TagResult,
    explanation_fields,
    explanation_of,
    find_row,
    joined_tags,
)
from inkling_server.batching import BatchLimits, MicroBatcher, deadline_scope
from inkling_server.decoding import DecodePool
from inkling_server.encoders import Pixels
from inkling_server.errors import (
    ArgumentOutOfRange,
    EncoderDown,
    GraphVersionNotServed,
    ImageInvalid,
    ImageTooLarge,
    Overloaded,
)
from inkling_server.images import ImageLimits
from inkling_server.interests.content import ContentItem
from inkling_server.interests.mentions.reading import has_text
from inkling_server.joining import AuthorInterest, RowEvidence, author_evidence
from inkling_server.model_manifest import PixelSpec
from inkling_server.observers import SilentObserver, TagObserver
from inkling_server.queries import STORED_MIN_SCORE, STORED_TOP_N, ContentQuery, TagQuery
from inkling_server.serving_state import ServingState, StateHolder
from inkling_server.tag_batch import (
    Answer,
    Job,
    PrepareAgain,
    Texts,
    refusal,
    selection_of,
    tag_batch,
)
from inkling_server.text_reading import TextReader, joined_overlay

# Whoever tags needs what comes out of it.
__all__ = [
    "STORED_MIN_SCORE",
    "STORED_TOP_N",
    "ContentQuery",
    "ContentTags",
    "Explanation",
    "ScoredTag",
    "TagQuery",
    "TagResult",
    "Tagger",
    "TaggerLimits",
    "explanation_fields",
    "explanation_of",
]
# A model rollout may change the pixels that an encoder wants while a picture waits, and a refresh
# the graph that its texts were read for; it is then prepared again. More of them than this during
# one request cannot happen to an honest operator.
_MAX_PREPARATIONS = 4


@dataclass(frozen=True, slots=True)
class TaggerLimits:
    """What the tagger may take in and hold.

    Attributes:
        capacity: pictures between arrival and answer. Bounds memory (about capacity times the
            largest file plus its pixels) and the longest wait (capacity / throughput).
        reserved_for_unary: part of `capacity` that streams leave free, so that a bulk stream cannot
            shut interactive callers out.
        max_batch_size: pictures per encoder call; at most the model's max_batch_size in Triton.
        max_batches_in_flight: 2 keeps the encoder busy while the previous batch is searched.
        max_batch_delay_s: the longest that a picture waits for company while the encoder is busy;
            one with an idle stream gets it at once.
        encoder_streams: pictures that the encoder computes side by side.
        decode_threads: the CPU cores that decoding may fill.
        encode_timeout_s: a batch fails with ENCODER_DOWN after this long.
        max_top_n: most tags that a query may ask for.
    """

    capacity: int = 128
    reserved_for_unary: int = 32
    max_batch_size: int = 32
    max_batches_in_flight: int = 2
    max_batch_delay_s: float = 0.1
    encoder_streams: int = 1
    decode_threads: int = 2
    encode_timeout_s: float = 10.0
    max_top_n: int = 100


class Tagger:
    """Tags pictures; all methods belong to one event loop.

    Args:
        states: holds the current graph, model and index. The tagger never closes it.
        limits: how much work is taken in.
        image_limits: what a picture may be.
        observer: told about every stage.
        on_tagged: given the file of each picture that was tagged for somebody; must be quick.
        text_reader: reads what is written in pictures; None: nothing does. Never closed here.
    """

    def __init__(
        self,
        states: StateHolder,
        *,
        limits: TaggerLimits,
        image_limits: ImageLimits,
        observer: TagObserver | None = None,
        on_tagged: Callable[[bytes], None] | None = None,
        text_reader: TextReader | None = None,
    ) -> None:
        self._states = states
        self._limits = limits
        self._image_limits = image_limits
        self._observer = observer or SilentObserver()
        self._on_tagged = on_tagged
        self._text_reader = text_reader
        self._admission = Admission(limits.capacity, reserved_for_unary=limits.reserved_for_unary)
        self._decoder = DecodePool(limits.decode_threads, image_limits)
        self._batcher = MicroBatcher[Job, Answer](
            self._run_batch,
            BatchLimits(
                limits.max_batch_size,
                limits.max_batches_in_flight,
                limits.max_batch_delay_s,
                limits.encoder_streams,
            ),
            admission=self._admission,
            observer=self._observer,
        )

    @property
    def used(self) -> int:
        """Pictures between admission and answer now."""
        return self._admission.used

    @property
    def queue_depth(self) -> int:
        """Decoded pictures that wait for a batch."""
        return self._batcher.queue_depth

    async def tag(self, query: TagQuery) -> TagResult:
        """Tags one picture.

        Raises:
            ArgumentOutOfRange, ImageInvalid, ImageTooLarge, GraphVersionNotServed, Overloaded,
            EncoderDown, DeadlineExceeded: see `errors`.
        """
        self._validate(query)
        _require_version(query, self._states.current)
        async with deadline_scope(query.deadline), self._slot(query):
            answer = await self._prepare_and_tag(await self._with_written(query))
        if self._on_tagged is not None:
            self._on_tagged(query.image)
        return answer.result

    async def tag_content(self, query: ContentQuery) -> ContentTags:
        """Tags one item for storage: its best `STORED_TOP_N` tags above `STORED_MIN_SCORE`.

        Raises:
            ImageInvalid, ImageTooLarge, Overloaded, EncoderDown, DeadlineExceeded: as `tag`; an
                item without a picture needs no encoder.
        """
        as_tag = TagQuery(
            query.image or b"",
            top_n=STORED_TOP_N,
            min_score=STORED_MIN_SCORE,
            explain=True,
            deadline=query.deadline,
            wait=query.wait,
            context=query.context,
            read_text=query.read_text,
        )
        if query.image is None:
            async with deadline_scope(as_tag.deadline), self._slot(as_tag):
                return await self._tag_texts(as_tag, query.author_interests)
        self._validate(as_tag)
        async with deadline_scope(as_tag.deadline), self._slot(as_tag):
            as_tag = await self._with_written(as_tag)
            answer = await self._prepare_and_tag(as_tag, query.author_interests)
        if self._on_tagged is not None:
            self._on_tagged(query.image)
        result = answer.result
        return ContentTags(
            result.tags,
            result.graph_version,
            result.model_version,
            answer.fingerprint,
            # A copy: the row would keep its whole batch.
            answer.embedding_D.copy(),
            "" if as_tag.context is None else as_tag.context.overlay_text,
        )

    async def embed(
        self, pixels_HWC: Pixels, spec: PixelSpec, *, deadline: float | None = None
    ) -> Answer:
        """Encodes one frame of a video, already cut. It waits in line like a stream's picture.

        Raises:
            PrepareAgain: the model that serves now wants other pixels than `spec` says.
            EncoderDown, DeadlineExceeded, ShuttingDown: as `tag`.
        """
        # Above every score: its tags are found later, together with the video's other frames.
        query = TagQuery(b"", top_n=1, min_score=1.0, deadline=deadline, wait=True)
        async with deadline_scope(query.deadline), self._slot(query):
            return await self._batcher.submit_admitted(
                Job(pixels_HWC, spec, query, None), deadline=deadline
            )

    async def check(self, image: bytes, *, timeout_s: float) -> TagResult:
        """Proves the whole way (decoder, batcher, encoder, index) with a canary picture.

        It passes by the admission: a full server is busy, not ill.

        Raises:
            DeadlineExceeded: no answer within `timeout_s`.
            InklingError: as `tag`.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        async with deadline_scope(deadline):
            return (await self._prepare_and_tag(TagQuery(image, deadline=deadline))).result

    async def close(self, *, grace_s: float = 0.0) -> None:
        """Refuses new queries, lets accepted ones finish for `grace_s`, then fails the rest."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._batcher.drain()
        await self._batcher.close()
        self._decoder.close()

    def _slot(self, query: TagQuery) -> "_Slot":
        """Holds one slot of the capacity during an `async with` block."""
        return _Slot(self._admission, self._observer, query)

    def _validate(self, query: TagQuery) -> None:
        if len(query.image) > self._image_limits.max_bytes:
            raise ImageTooLarge("image bytes", len(query.image), self._image_limits.max_bytes)
        if not query.image:
            raise ImageInvalid("the picture is empty: 0 bytes")
        if query.top_n is not None and not 1 <= query.top_n <= self._limits.max_top_n:
            raise ArgumentOutOfRange("top_n", str(query.top_n), f"1 to {self._limits.max_top_n}")
        # Written so that NaN fails, too.
        if query.min_score is not None and not 0 <= query.min_score <= 1:
            raise ArgumentOutOfRange("min_score", str(query.min_score), "0 to 1")

    async def _with_written(self, query: TagQuery) -> TagQuery:
        """The query with what is written in its picture among its texts, where it asks for that."""
        if self._text_reader is None or not query.read_text or self._states.current.reader is None:
            return query
        start = time.monotonic()
        found = await self._text_reader.read(query.image, deadline=query.deadline, wait=query.wait)
        self._observer.stage_finished("read_picture", time.monotonic() - start, 1)
        if not found.text:
            return query
        # As `to_context` makes one of a request.
        context = query.context or ContentItem(id="-")
        overlay = joined_overlay(context.overlay_text, found.text)
        return replace(query, context=replace(context, overlay_text=overlay))

    async def _prepare_and_tag(
        self, query: TagQuery, author_interests: Sequence[AuthorInterest] = ()
    ) -> Answer:
        for _ in range(_MAX_PREPARATIONS):
            state = self._states.current
            # Beside the decoding; without a context there is no task.
            reading = None
            if query.context is not None or author_interests:
                reading = asyncio.create_task(self._read(query, author_interests, state))
            try:
                start = time.monotonic()
                spec = state.manifest.image
                pixels_HWC = await self._decoder.decode(query.image, spec, deadline=query.deadline)
                self._observer.stage_finished("decode", time.monotonic() - start, 1)
                texts = None if reading is None else await reading
            except BaseException:
                if reading is not None:
                    reading.cancel()
                    # Nobody will look at its error.
                    await asyncio.gather(reading, return_exceptions=True)
                raise
            with contextlib.suppress(PrepareAgain):
                return await self._batcher.submit_admitted(
                    Job(pixels_HWC, spec, query, texts), deadline=query.deadline
                )
        raise EncoderDown("model or graph change faster than pictures can be decoded")

    async def _read(
        self, query: TagQuery, author_interests: Sequence[AuthorInterest], state: ServingState
    ) -> Texts | None:
        """Reads an item's texts for a state; None where that can say nothing."""
        evidence: RowEvidence = {}
        if state.reader is not None and query.context is not None and has_text(query.context):
            start = time.monotonic()
            evidence = await state.reader.read(
                query.context, quoting=query.explain, deadline=query.deadline
            )
            self._observer.stage_finished("read", time.monotonic() - start, 1)
        interests = state.graph.interests
        author = author_evidence(author_interests, lambda name: find_row(interests, name))
        return Texts(state.graph_version, evidence, author) if evidence or author else None

    async def _tag_texts(
        self, query: TagQuery, author_interests: Sequence[AuthorInterest]
    ) -> ContentTags:
        """Tags an item that has no picture."""
        state = self._states.current
        texts = await self._read(query, author_interests, state)
        tags: tuple[ScoredTag, ...] = ()
        if texts is not None:
            tags = joined_tags(
                (),
                texts.evidence,
                texts.author,
                state.graph.interests,
                selection_of(query, texts, state),
                explain=query.explain,
            )
        fingerprint = state.manifest.fingerprint
        return ContentTags(
            tags,
            state.graph_version,
            state.model_version,
            fingerprint,
            overlay_text="" if query.context is None else query.context.overlay_text,
        )

    async def _run_batch(self, jobs: Sequence[Job]) -> list[Answer | Exception]:
        """Encodes and searches one batch with the state that is current now."""
        with self._states.lease() as state:
            results: list[Answer | Exception | None] = [refusal(job, state) for job in jobs]
            going = [i for i, refusal in enumerate(results) if refusal is None]
            if going:
                answers = await tag_batch(
                    [jobs[i] for i in going],
                    state,
                    observer=self._observer,
                    timeout_s=self._limits.encode_timeout_s,
                )
                for i, answer in zip(going, answers, strict=True):
                    results[i] = answer
        return [result for result in results if result is not None]


class _Slot:
    """One picture's place on the server. A class: see `Admission.slot`."""

    __slots__ = ("_admission", "_observer", "_query")

    def __init__(self, admission: Admission, observer: TagObserver, query: TagQuery) -> None:
        self._admission, self._observer, self._query = admission, observer, query

    async def __aenter__(self) -> None:
        start = time.monotonic()
        patience_s = None
        if self._query.deadline is not None:
            patience_s = self._query.deadline - asyncio.get_running_loop().time()
        try:
            await self._admission.enter(wait=self._query.wait, patience_s=patience_s)
        except Overloaded:
            self._observer.overloaded()
            raise
        self._observer.stage_finished("admission", time.monotonic() - start, 1)

    async def __aexit__(self, _: object, error: BaseException | None, *__: object) -> None:
        self._admission.leave(answered=error is None)
        # The reader of texts has room of its own.
        if isinstance(error, Overloaded):
            self._observer.overloaded()


def _require_version(query: TagQuery, state: ServingState) -> None:
    if query.graph_version and query.graph_version != state.graph_version:
        raise GraphVersionNotServed(state.graph_version)
