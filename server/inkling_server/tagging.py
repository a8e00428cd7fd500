"""Tagger: decode -> batch -> encode -> search -> calibrated tags, for one picture at a time.

    query ─► validate ─► admission ─► decode (threads) ─► MicroBatcher ─► encode ─► search ─► tags
                            └─ one slot of the gateway's capacity, held until the answer ─┘

A full server refuses (or makes a stream wait) *before* anything is decoded. A batch is encoded and
searched with the one serving state that is current when the batch starts, so a picture and its tags
always belong to the same model and graph. This module knows neither gRPC nor Triton nor FAISS.

Shapes: B pictures of a batch, H x W pixels, C = 3 channels (RGB), D dimensions.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkling_server.admission import Admission
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
from inkling_server.model_manifest import PixelSpec
from inkling_server.observers import SilentObserver, TagObserver
from inkling_server.serving_state import NOT_FINITE, ServingState, StateHolder, require_shape
from inkling_server.tag_index import Hit, Selection

# A model rollout may change the pixels that an encoder wants while a picture waits; it is then
# decoded again. More rollouts than this during one request cannot happen to an honest operator.
_MAX_DECODES = 4


@dataclass(frozen=True, slots=True)
class TagQuery:
    """One picture to tag.

    Attributes:
        image: the encoded file.
        top_n: 1 to 100; None: what the model's calibration recommends.
        min_score: in [0, 1], only tags that score strictly more; None: as recommended.
        graph_version: insist on this version; empty: the current one.
        explain: fill in `ScoredTag.explanation`.
        deadline: when the caller stops waiting, on the running loop's clock (`loop.time()`).
        wait: on a full server wait for room (streams) instead of failing with Overloaded (unary).
    """

    image: bytes
    top_n: int | None = None
    min_score: float | None = None
    graph_version: str = ""
    explain: bool = False
    deadline: float | None = None
    wait: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """score = sigmoid(calibrated_logit), picture_logit = scale * cosine + bias.

    calibrated_logit is the calibration's curve at picture_logit + prior_logit + tag_logit; None:
    there is no curve, it is that sum itself.
    """

    cosine: float
    picture_logit: float
    prior_logit: float
    tag_logit: float = 0.0
    calibrated_logit: float | None = None


@dataclass(frozen=True, slots=True)
class ScoredTag:
    """One interest that the picture is about. float32 holds `score`, a probability, exactly."""

    interest_id: str
    phrase: str
    score: float
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True)
class TagResult:
    """Tags in descending order, ties by interest_id, and the versions that produced all of them."""

    tags: tuple[ScoredTag, ...]
    graph_version: str
    model_version: str


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
            half of a recent batch's duration where that is less. An idle encoder gets it at once.
        decode_threads: the CPU cores that decoding may fill.
        encode_timeout_s: a batch fails with ENCODER_DOWN after this long.
        max_top_n: most tags that a query may ask for.
    """

    capacity: int = 128
    reserved_for_unary: int = 32
    max_batch_size: int = 32
    max_batches_in_flight: int = 2
    max_batch_delay_s: float = 0.1
    decode_threads: int = 2
    encode_timeout_s: float = 10.0
    max_top_n: int = 100


@dataclass(frozen=True, slots=True)
class _Job:
    """A decoded picture in the batcher's queue."""

    pixels_HWC: Pixels
    spec: PixelSpec
    query: TagQuery


class _DecodeAgain(Exception):
    """The serving state now wants other pixels than the picture was decoded to."""


class Tagger:
    """Tags pictures; all methods belong to one event loop.

    Args:
        states: holds the current graph, model and index. The tagger never closes it.
        limits: how much work is taken in.
        image_limits: what a picture may be.
        observer: told about every stage.
        on_tagged: given the file of each picture that was tagged for somebody; must be quick.
    """

    def __init__(
        self,
        states: StateHolder,
        *,
        limits: TaggerLimits,
        image_limits: ImageLimits,
        observer: TagObserver | None = None,
        on_tagged: Callable[[bytes], None] | None = None,
    ) -> None:
        self._states = states
        self._limits = limits
        self._image_limits = image_limits
        self._observer = observer or SilentObserver()
        self._on_tagged = on_tagged
        self._admission = Admission(limits.capacity, reserved_for_unary=limits.reserved_for_unary)
        self._decoder = DecodePool(limits.decode_threads, image_limits)
        self._batcher = MicroBatcher[_Job, TagResult](
            self._run_batch,
            BatchLimits(
                limits.max_batch_size, limits.max_batches_in_flight, limits.max_batch_delay_s
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
        start = time.monotonic()
        try:
            async with (
                deadline_scope(query.deadline),
                self._admission.slot(wait=query.wait),
            ):
                self._observer.stage_finished("admission", time.monotonic() - start, 1)
                result = await self._decode_and_tag(query)
        except Overloaded:
            self._observer.overloaded()
            raise
        if self._on_tagged is not None:
            self._on_tagged(query.image)
        return result

    async def check(self, image: bytes, *, timeout_s: float) -> TagResult:
        """Proves the whole way (decoder, batcher, encoder, index) with a canary picture.

        It passes by the admission: a full server is busy, not ill.

        Raises:
            DeadlineExceeded: no answer within `timeout_s`.
            InklingError: as `tag`.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        async with deadline_scope(deadline):
            return await self._decode_and_tag(TagQuery(image, deadline=deadline))

    async def close(self, *, grace_s: float = 0.0) -> None:
        """Refuses new queries, lets accepted ones finish for `grace_s`, then fails the rest."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._batcher.drain()
        await self._batcher.close()
        self._decoder.close()

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

    async def _decode_and_tag(self, query: TagQuery) -> TagResult:
        for _ in range(_MAX_DECODES):
            spec = self._states.current.manifest.image
            start = time.monotonic()
            pixels_HWC = await self._decoder.decode(query.image, spec, deadline=query.deadline)
            self._observer.stage_finished("decode", time.monotonic() - start, 1)
            with contextlib.suppress(_DecodeAgain):
                return await self._batcher.submit_admitted(
                    _Job(pixels_HWC, spec, query), deadline=query.deadline
                )
        raise EncoderDown("the model changes faster than pictures can be decoded")

    async def _run_batch(self, jobs: Sequence[_Job]) -> list[TagResult | Exception]:
        """Encodes and searches one batch with the state that is current now."""
        with self._states.lease() as state:
            results: list[TagResult | Exception | None] = [_refusal(job, state) for job in jobs]
            going = [i for i, refusal in enumerate(results) if refusal is None]
            if going:
                answers = await self._tag_batch([jobs[i] for i in going], state)
                for i, answer in zip(going, answers, strict=True):
                    results[i] = answer
        return [result for result in results if result is not None]

    async def _tag_batch(
        self, jobs: Sequence[_Job], state: ServingState
    ) -> list[TagResult | Exception]:
        start = time.monotonic()
        if len(jobs) == 1:
            pixels_BHWC = jobs[0].pixels_HWC[np.newaxis]
        else:
            pixels_BHWC = np.stack([job.pixels_HWC for job in jobs])
        embeddings_BD = await state.encoder.encode_images(
            pixels_BHWC, timeout_s=self._limits.encode_timeout_s
        )
        encoded = time.monotonic()
        self._observer.stage_finished("encode", encoded - start, len(jobs))
        require_shape(embeddings_BD, len(jobs), state.manifest.dimension)
        finite_B: NDArray[np.bool_] = np.asarray(np.isfinite(embeddings_BD).all(axis=1))
        if not finite_B.all():
            # One picture's NaN must cost neither the index its sanity nor the others their answer.
            embeddings_BD = np.where(finite_B[:, np.newaxis], embeddings_BD, np.float32(0))
        selections = [_selection(job.query, state) for job in jobs]
        hits_B = await state.index.search(embeddings_BD, selections)
        self._observer.stage_finished("search", time.monotonic() - encoded, len(jobs))
        return [
            _result(hits, job.query, state) if finite else EncoderDown(NOT_FINITE)
            for job, hits, finite in zip(jobs, hits_B, finite_B.tolist(), strict=True)
        ]


def _require_version(query: TagQuery, state: ServingState) -> None:
    if query.graph_version and query.graph_version != state.graph_version:
        raise GraphVersionNotServed(state.graph_version)


def _refusal(job: _Job, state: ServingState) -> Exception | None:
    """Why this state, which may be newer than the job, cannot answer it."""
    if job.query.graph_version and job.query.graph_version != state.graph_version:
        return GraphVersionNotServed(state.graph_version)
    if job.spec != state.manifest.image:
        return _DecodeAgain()
    return None


def _selection(query: TagQuery, state: ServingState) -> Selection:
    recommended = state.calibration.recommended
    return Selection(
        recommended.top_n if query.top_n is None else query.top_n,
        recommended.min_score if query.min_score is None else query.min_score,
    )


def _result(hits: Sequence[Hit], query: TagQuery, state: ServingState) -> TagResult:
    interests = state.graph.interests
    tags = tuple(
        ScoredTag(
            interests[hit.row].id,
            interests[hit.row].phrase,
            hit.score,
            _explanation(hit) if query.explain else None,
        )
        for hit in hits
    )
    return TagResult(tags, state.graph_version, state.model_version)


def _explanation(hit: Hit) -> Explanation:
    return Explanation(
        hit.cosine, hit.picture_logit, hit.prior_logit, hit.tag_logit, hit.calibrated_logit
    )
