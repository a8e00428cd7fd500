"""Everything that answers one request, as one immutable value, and the one reference that swaps it.

    graph snapshot + encoder + calibration + reader of texts
                          └──build_state──► ServingState ──► StateHolder.swap

Embeddings that were computed, and the rows that the index searches, are kept on disk: a second
start maps the rows and needs neither encoder nor embeddings, and processes that share the folder
share the memory. While one of them embeds, the others wait for its rows.

A state that was swapped out is freed only when the last batch that uses it is done. All methods of
StateHolder belong to one event loop: there is no lock on the way of a request. Nothing here knows
pictures, batching or gRPC.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkling_server.embedding_cache import CacheKey, EmbeddingCache
from inkling_server.encoders import Embeddings, Encoder
from inkling_server.errors import EncoderDown, ShuttingDown
from inkling_server.freed_memory import give_back_freed_memory
from inkling_server.interests.graph import GraphSnapshot
from inkling_server.interests.mentions.reading import TextReader, TextReaders
from inkling_server.interests.vectors import Vectors
from inkling_server.model_manifest import Calibration, ModelManifest, require_same_model
from inkling_server.scoring import offset_logits, prior_logits
from inkling_server.tag_index import EXACT_UP_TO, SearchThread, TagIndex, logit_shifts
from inkling_server.tag_rows import open_rows

NOT_FINITE = "the encoder returned numbers that are not finite"
_log = logging.getLogger(__name__)
# A batch that a text encoder's dynamic batching takes whole.
_TEXTS_PER_CALL = 64
OnBatch = Callable[[int, int], Awaitable[None]]
TypicalPictures = Callable[[ModelManifest], Embeddings | None]


@dataclass(frozen=True, slots=True)
class ServingState:
    """Graph, model, calibration and index that belong together. `build_state` makes it.

    `reader` finds the graph's interests in texts; None: this server cannot read texts.
    """

    graph: GraphSnapshot
    encoder: Encoder
    manifest: ModelManifest
    calibration: Calibration
    index: TagIndex
    reader: TextReader | None = None

    @property
    def graph_version(self) -> str:
        return self.graph.version

    @property
    def model_version(self) -> str:
        return self.manifest.model_version


async def build_state(
    graph: GraphSnapshot,
    encoder: Encoder,
    calibration: Calibration,
    *,
    search_thread: SearchThread,
    vectors: Vectors | None = None,
    cache: EmbeddingCache | None = None,
    readers: TextReaders | None = None,
    timeout_s: float = 30.0,
    texts_per_call: int = _TEXTS_PER_CALL,
    on_batch: OnBatch | None = None,
    typical_pictures: TypicalPictures | None = None,
    exact_up_to: int = EXACT_UP_TO,
) -> ServingState:
    """Embeds the graph's phrases (those that nobody has embedded yet) and builds the index.

    Args:
        graph: the interests.
        encoder: the model; embeds the phrases and, later, the pictures.
        calibration: of the same model version.
        search_thread: the process's one owner of FAISS.
        vectors: embeddings that came with the graph; used if they are this encoder's.
        cache: where phrase embeddings are kept between starts.
        readers: make the graph's reader of texts; None: it has none.
        timeout_s: for one batch of phrases.
        texts_per_call: phrases of one batch. Smaller: requests beside it wait less.
        on_batch: awaited after each batch that was computed, with phrases done and in all.
        typical_pictures: embeddings of a model's typical pictures, see `TagIndex.build`.
        exact_up_to: with more tags they are searched approximately.

    Raises:
        CalibrationUnusable: the calibration was made for another model.
        EncoderDown: the encoder does not answer, or answers nonsense.
    """
    require_same_model(calibration, encoder.manifest)
    priors_N = prior_logits([interest.count for interest in graph.interests], calibration)
    offsets_N = offset_logits(
        [interest.id for interest in graph.interests], calibration.tag_offsets
    )

    async def embed() -> Embeddings:
        return await _embeddings(
            graph,
            encoder,
            vectors,
            cache,
            timeout_s=timeout_s,
            texts_per_call=texts_per_call,
            on_batch=on_batch,
        )

    rows = await open_rows(
        graph,
        CacheKey.of(encoder.manifest),
        logit_shifts(priors_N, offsets_N, calibration.bias),
        embed,
        None if cache is None else cache.folder,
        search_thread,
    )
    index = await TagIndex.build(
        search_thread,
        rows,
        priors_N,
        scale=calibration.scale,
        bias=calibration.bias,
        offsets_N=offsets_N,
        curve=calibration.curve,
        typical_SD=typical_pictures(encoder.manifest) if typical_pictures is not None else None,
        exact_up_to=exact_up_to,
    )
    # In a thread of its own: the index is there, and others are being searched.
    await search_thread.build(give_back_freed_memory)
    try:
        reader = await readers.open(graph) if readers is not None else None
    except BaseException:
        await index.close()
        raise
    return ServingState(graph, encoder, encoder.manifest, calibration, index, reader)


async def _embeddings(
    graph: GraphSnapshot,
    encoder: Encoder,
    vectors: Vectors | None,
    cache: EmbeddingCache | None,
    *,
    timeout_s: float,
    texts_per_call: int,
    on_batch: OnBatch | None,
) -> Embeddings:
    """The graph's embeddings: those that came with it, else kept ones, else computed."""
    key = CacheKey.of(encoder.manifest)
    if vectors is not None and vectors.fingerprint == key.digest:
        return vectors.embeddings_ND
    phrases = [interest.phrase for interest in graph.interests]
    known = await asyncio.to_thread(cache.load, key) if cache is not None else {}
    embeddings_ND = await embed_phrases(
        phrases,
        encoder,
        known,
        timeout_s=timeout_s,
        texts_per_call=texts_per_call,
        on_batch=on_batch,
    )
    fresh_count = sum(phrase not in known for phrase in phrases)
    _log.info("tag embeddings: %d computed, %d reused", fresh_count, len(phrases) - fresh_count)
    if cache is not None and fresh_count:
        await asyncio.to_thread(cache.store, key, phrases, embeddings_ND, spare=known)
    return embeddings_ND


async def embed_phrases(
    phrases: Sequence[str],
    encoder: Encoder,
    known: Mapping[str, NDArray[np.float32]],
    *,
    timeout_s: float,
    texts_per_call: int = _TEXTS_PER_CALL,
    on_batch: OnBatch | None = None,
) -> Embeddings:
    """Embeds phrases, float32 [P, D], in their order; only those that `known` does not have.

    Arguments as those of `build_state`.

    Raises:
        EncoderDown: the encoder does not answer, or answers nonsense.
    """
    missing = sorted({phrase for phrase in phrases if phrase not in known}, key=len)
    fresh: dict[str, NDArray[np.float32]] = {}
    # Sorted by length: a batch is padded to its longest text.
    for start in range(0, len(missing), texts_per_call):
        batch = missing[start : start + texts_per_call]
        rows_BD = await encoder.encode_texts(batch, timeout_s=timeout_s)
        require_shape(rows_BD, len(batch), encoder.manifest.dimension)
        if not np.isfinite(rows_BD).all():
            raise EncoderDown(NOT_FINITE)
        fresh.update(zip(batch, rows_BD, strict=True))
        if on_batch is not None:
            await on_batch(len(fresh), len(missing))
    embeddings_PD = np.empty((len(phrases), encoder.manifest.dimension), np.float32)
    for i, phrase in enumerate(phrases):
        embeddings_PD[i] = fresh[phrase] if phrase in fresh else known[phrase]
    return embeddings_PD


def require_shape(embeddings_BD: Embeddings, count: int, dimension: int) -> None:
    """Raises EncoderDown unless the array holds `count` embeddings."""
    if embeddings_BD.shape != (count, dimension):
        raise EncoderDown(f"the encoder returned {embeddings_BD.shape}, not {(count, dimension)}")


class _Tenure:
    """One living state, and who still uses it."""

    __slots__ = ("freed", "retired", "state", "user_count")

    def __init__(self, state: ServingState) -> None:
        self.state = state
        self.user_count = 0
        self.retired = False
        self.freed: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class StateHolder:
    """The current ServingState and those that are still in use. Owns the states and their encoders.

    Args:
        initial: the first current state. Construct on the event loop.
    """

    def __init__(self, initial: ServingState) -> None:
        self._current = _Tenure(initial)
        self._living = [self._current]
        self._freeing: set[asyncio.Task[None]] = set()

    @property
    def current(self) -> ServingState:
        """The state that new work uses. For longer than one synchronous step, use `lease`."""
        return self._current.state

    @contextlib.contextmanager
    def lease(self) -> Iterator[ServingState]:
        """The current state, kept alive until the block ends."""
        tenure = self._current
        if tenure.retired:
            raise ShuttingDown()
        tenure.user_count += 1
        try:
            yield tenure.state
        finally:
            tenure.user_count -= 1
            self._free_if_unused(tenure)

    def swap(self, new: ServingState) -> asyncio.Future[None]:
        """Makes `new` current at once.

        Returns:
            a future that is done when the old state is out of use and freed. Its encoder is closed
            too, unless another living state shares it.
        """
        if self._current.retired:
            raise ShuttingDown()
        old, self._current = self._current, _Tenure(new)
        self._living.append(self._current)
        self._retire(old)
        return old.freed

    async def close(self) -> None:
        """Waits until no state is in use, then frees them all. No lease may start afterwards."""
        if not self._current.retired:
            self._retire(self._current)
        # shield: a caller that gives up must not undo the others' wait.
        await asyncio.gather(*(asyncio.shield(tenure.freed) for tenure in list(self._living)))

    def _retire(self, tenure: _Tenure) -> None:
        tenure.retired = True
        self._free_if_unused(tenure)

    def _free_if_unused(self, tenure: _Tenure) -> None:
        if not tenure.retired or tenure.user_count > 0:
            return
        task = asyncio.get_running_loop().create_task(self._free(tenure))
        self._freeing.add(task)
        task.add_done_callback(self._freeing.discard)

    async def _free(self, tenure: _Tenure) -> None:
        self._living.remove(tenure)
        encoder = tenure.state.encoder
        try:
            await tenure.state.index.close()
            if all(other.state.encoder is not encoder for other in self._living):
                await encoder.close()
        except Exception:
            # Nobody waits for this on the way of a request; the new state serves regardless.
            _log.exception("a retired serving state could not be freed cleanly")
        finally:
            tenure.freed.set_result(None)
