"""One batch of pictures through one serving state: encode -> search -> join with texts -> tags.

    jobs ─► refusal (another graph, other pixels?) ─► tag_batch ─► an answer or an error for each

Everything here happens with the one state that is current when the batch starts. It knows no
queues, decoders or callers.

Shapes: B pictures of a batch, H x W pixels, C = 3 channels (RGB), D dimensions.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkling_server.answers import TagResult, joined_tags, picture_tags
from inkling_server.encoders import Pixels
from inkling_server.errors import EncoderDown, GraphVersionNotServed
from inkling_server.joining import Evidence, RowEvidence
from inkling_server.model_manifest import PixelSpec
from inkling_server.observers import TagObserver
from inkling_server.queries import TagQuery
from inkling_server.serving_state import NOT_FINITE, ServingState, require_shape
from inkling_server.tag_index import Hit, Selection


@dataclass(frozen=True, slots=True)
class Texts:
    """What is known of an item besides its picture.

    Attributes:
        graph_version: whose rows the evidence names.
        evidence: of its texts, by row.
        author: of what its author posts about, by row.
    """

    graph_version: str
    evidence: RowEvidence
    author: Mapping[int, Evidence]


@dataclass(frozen=True, slots=True)
class Job:
    """A decoded picture in the batcher's queue; `texts` is None where it has none."""

    pixels_HWC: Pixels
    spec: PixelSpec
    query: TagQuery
    texts: Texts | None


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One picture's tags, and what they were made from."""

    result: TagResult
    fingerprint: str
    embedding_D: NDArray[np.float32]


class PrepareAgain(Exception):
    """The serving state now wants other pixels, or texts read for another graph."""


async def tag_batch(
    jobs: Sequence[Job], state: ServingState, *, observer: TagObserver, timeout_s: float
) -> list[Answer | Exception]:
    """Encodes and searches one batch; one answer, or what went wrong, for each job.

    Args:
        jobs: at least one; none that this state refuses.
        state: kept alive by the caller.
        observer: told how long encoding and searching took.
        timeout_s: for the encoder.

    Raises:
        EncoderDown: the encoder does not answer, or answers nonsense.
    """
    start = time.monotonic()
    # Not stacked: where there is shared memory, each goes there straight from its decoder.
    pictures = [job.pixels_HWC for job in jobs]
    embeddings_BD = await state.encoder.encode_images(pictures, timeout_s=timeout_s)
    encoded = time.monotonic()
    observer.stage_finished("encode", encoded - start, len(jobs))
    require_shape(embeddings_BD, len(jobs), state.manifest.dimension)
    finite_B: NDArray[np.bool_] = np.asarray(np.isfinite(embeddings_BD).all(axis=1))
    if not finite_B.all():
        # One picture's NaN must cost neither the index its sanity nor the others their answer.
        embeddings_BD = np.where(finite_B[:, np.newaxis], embeddings_BD, np.float32(0))
    selections = [selection_of(job.query, job.texts, state) for job in jobs]
    hits_B = await state.index.search(embeddings_BD, selections)
    observer.stage_finished("search", time.monotonic() - encoded, len(jobs))
    return [
        _answer(hits, job, selection, embeddings_BD[b], state)
        if finite_B[b]
        else EncoderDown(NOT_FINITE)
        for b, (job, hits, selection) in enumerate(zip(jobs, hits_B, selections, strict=True))
    ]


def refusal(job: Job, state: ServingState) -> Exception | None:
    """Why this state, which may be newer than the job, cannot answer it."""
    if job.query.graph_version and job.query.graph_version != state.graph_version:
        return GraphVersionNotServed(state.graph_version)
    if job.spec != state.manifest.image:
        return PrepareAgain()
    if job.texts is not None and job.texts.graph_version != state.graph_version:
        return PrepareAgain()
    return None


def selection_of(query: TagQuery, texts: Texts | None, state: ServingState) -> Selection:
    """Which tags a query gets from a state."""
    recommended = state.calibration.recommended
    return Selection(
        recommended.top_n if query.top_n is None else query.top_n,
        recommended.min_score if query.min_score is None else query.min_score,
        # What texts and author say needs the picture's word, too, however little that is.
        () if texts is None else (*texts.evidence, *texts.author),
    )


def _answer(
    hits: Sequence[Hit],
    job: Job,
    selection: Selection,
    embedding_D: NDArray[np.float32],
    state: ServingState,
) -> Answer:
    query, texts, interests = job.query, job.texts, state.graph.interests
    if texts is None:
        tags = picture_tags(hits, interests, explain=query.explain)
    else:
        tags = joined_tags(
            hits, texts.evidence, texts.author, interests, selection, explain=query.explain
        )
    result = TagResult(tags, state.graph_version, state.model_version)
    return Answer(result, state.manifest.fingerprint, embedding_D)
