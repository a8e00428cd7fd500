"""The encoder that serves: both halves of a pairwise model behind Triton.

Pictures go as uint8 through shared memory when Triton runs on this machine, by message when it does
not, or when there is no free slot. Every request names the model's version, so a picture is always
encoded by the version that encoded the tags that it is compared with. Failures become EncoderDown,
and are told to whoever keeps Triton alive (`on_failure`).

This module starts no process and knows no graph or index.

Shapes: B pictures or texts, H x W pixels, C = 3 channels (RGB), L tokens, D dimensions.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Self

import grpc
import numpy as np
from numpy.typing import NDArray

from inkling_server.encoders import (
    Embeddings,
    EncoderDescription,
    PixelBatch,
    Pixels,
    require_pixels,
)
from inkling_server.errors import EncoderDown
from inkling_server.model_manifest import ModelManifest
from inkling_server.tokens import PhraseTokenizer, TokenBatch
from inkling_server.triton.client import InputTensor, TritonCallFailed, TritonClient
from inkling_server.triton.probe import ModelProbe
from inkling_server.triton.shared_memory import SharedSlots, Slot

VISION, TEXT = "vision_encoder", "text_encoder"
# Calls of each encoder that Triton has at a time: one that it computes, one that waits, and room
# for what callers abandoned. More would only queue up where nobody can take them back.
_IN_FLIGHT = 4
_ABANDONED_S = 60.0  # longer than any request stays in Triton's queue
_TEXT_CALLS_IN_FLIGHT = 2  # keeps Triton busy and leaves room for requests that users wait for

_log = logging.getLogger(__name__)


class TritonEncoder:
    """One version of a pairwise model. Make it by `connect`; use it from one event loop."""

    def __init__(
        self,
        client: TritonClient,
        manifest: ModelManifest,
        tokenizer: PhraseTokenizer,
        *,
        batch_limits: tuple[int, int],
        shared_memory: bool,
        on_failure: Callable[[EncoderDown], None] | None,
        on_close: Callable[[], Awaitable[None]] | None,
    ) -> None:
        self._client = client
        self._manifest = manifest
        self._tokenizer = tokenizer
        self.max_image_batch, self.max_text_batch = batch_limits
        self._on_failure = on_failure
        self._on_close = on_close
        side = manifest.image.size
        slot_bytes = self.max_image_batch * side * side * 3
        self._slots = SharedSlots(client, slot_bytes, _IN_FLIGHT) if shared_memory else None
        self._places = {model: asyncio.Semaphore(_IN_FLIGHT) for model in (VISION, TEXT)}
        self._reopening: asyncio.Task[None] | None = None
        self._closed = False

    @classmethod
    async def connect(
        cls,
        address: str,
        model_repository: Path,
        manifest: ModelManifest,
        *,
        shared_memory: bool = False,
        on_failure: Callable[[EncoderDown], None] | None = None,
        on_close: Callable[[], Awaitable[None]] | None = None,
        timeout_s: float = 10.0,
    ) -> Self:
        """Connects to a Triton that serves the manifest's version already.

        Args:
            address: gRPC target of Triton.
            model_repository: the same models as files; the tokenizer is read from there.
            manifest: says which version, and what it takes.
            shared_memory: Triton runs on this machine and may open our memory.
            on_failure: told every EncoderDown before it is raised; must be quick.
            on_close: awaited once, when the encoder is closed: nothing uses this version then.
            timeout_s: for each call that connecting takes.

        Raises:
            EncoderDown: Triton does not serve this version.
            OSError, ValueError: the repository has no usable tokenizer for it.
        """
        folder = model_repository / TEXT / str(manifest.version)
        tokenizer = await asyncio.to_thread(
            PhraseTokenizer, folder / "tokenizer.json", manifest.text
        )
        client = TritonClient(address)
        try:
            configs = [
                await client.config(model, manifest.version, timeout_s=timeout_s)
                for model in (VISION, TEXT)
            ]
            limits = (max(1, configs[0].max_batch_size), max(1, configs[1].max_batch_size))
            encoder = cls(
                client,
                manifest,
                tokenizer,
                batch_limits=limits,
                shared_memory=shared_memory,
                on_failure=on_failure,
                on_close=on_close,
            )
            await encoder._open_slots(timeout_s)
            await encoder.check(timeout_s=timeout_s)
        except BaseException:
            await client.close()
            raise
        return encoder

    @property
    def manifest(self) -> ModelManifest:
        return self._manifest

    @property
    def uses_shared_memory(self) -> bool:
        """Pictures go through shared memory now, as far as slots are free."""
        return self._slots is not None and self._slots.is_open

    async def describe(self) -> Sequence[EncoderDescription]:
        timeout_s = 5.0
        version = self._manifest.version
        server = await self._client.server_version(timeout_s=timeout_s)
        descriptions = []
        for model in (VISION, TEXT):
            config = await self._client.config(model, version, timeout_s=timeout_s)
            probe = await ModelProbe.prepare(self._client, model, version, timeout_s=timeout_s)
            runtime = await probe.run(timeout_s=timeout_s)
            backend = config.backend or config.platform
            descriptions.append(
                EncoderDescription(model, version, f"triton {server} {backend}", runtime or backend)
            )
        return descriptions

    async def encode_images(self, pixels_BHWC: PixelBatch, *, timeout_s: float) -> Embeddings:
        require_pixels(pixels_BHWC, self._manifest.image.size)
        deadline_s = time.monotonic() + timeout_s
        limit = self.max_image_batch
        if len(pixels_BHWC) <= limit:
            return await self._encode_batch(pixels_BHWC, deadline_s)
        parts = [
            await self._encode_batch(pixels_BHWC[start : start + limit], deadline_s)
            for start in range(0, len(pixels_BHWC), limit)
        ]
        return np.concatenate(parts)

    async def encode_texts(self, texts: Sequence[str], *, timeout_s: float) -> Embeddings:
        embeddings_BD = np.empty((len(texts), self._manifest.dimension), np.float32)
        if not texts:
            return embeddings_BD
        deadline_s = time.monotonic() + timeout_s
        # A long list would hold up the event loop.
        batches = iter(await asyncio.to_thread(self._tokenizer.batches, texts, self.max_text_batch))

        async def worker() -> None:
            for batch in batches:
                embeddings_BD[batch.rows] = await self._encode_tokens(batch, deadline_s)

        workers = [asyncio.create_task(worker()) for _ in range(_TEXT_CALLS_IN_FLIGHT)]
        try:
            await asyncio.gather(*workers)
        finally:
            for task in workers:
                task.cancel()
        return embeddings_BD

    async def check(self, *, timeout_s: float) -> None:
        side = self._manifest.image.size
        await asyncio.gather(
            self.encode_images(np.zeros((1, side, side, 3), np.uint8), timeout_s=timeout_s),
            self.encode_texts(["check"], timeout_s=timeout_s),
        )

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._reopening is not None:
            await asyncio.wait({self._reopening})
        if self._slots is not None:
            drained = await self._client.drain(timeout_s=1.0)
            timed_out_lately = time.monotonic() - self._client.last_timeout_s < _ABANDONED_S
            abandoned = timed_out_lately or not drained
            await self._slots.close(abandoned=abandoned, timeout_s=1.0)
        await self._client.close()
        if self._on_close is not None:
            await self._on_close()

    async def _encode_batch(self, pixels_BHWC: PixelBatch, deadline_s: float) -> Embeddings:
        await self._take_place(VISION, deadline_s)
        slot = self._slots.take(pixels_BHWC) if self._slots is not None else None
        if slot is None:
            tensor = InputTensor.of("pixels", _together(pixels_BHWC))
        else:
            shape = (len(pixels_BHWC), *pixels_BHWC[0].shape)
            tensor = InputTensor("pixels", shape, np.dtype(np.uint8), slot.part)
        try:
            return await self._infer(VISION, [tensor], deadline_s, slot)
        except TritonCallFailed as error:
            if not (slot and error.region_unknown):
                raise
        # Triton was restarted and has forgotten the region: send this batch by message, and
        # make a new region meanwhile.
        if self._reopening is None or self._reopening.done():
            self._reopening = asyncio.create_task(self._open_slots(5.0))
        await self._take_place(VISION, deadline_s)
        tensor = InputTensor.of("pixels", _together(pixels_BHWC))
        return await self._infer(VISION, [tensor], deadline_s)

    async def _encode_tokens(self, batch: TokenBatch, deadline_s: float) -> Embeddings:
        inputs = [
            InputTensor.of("input_ids", batch.input_ids_BL),
            InputTensor.of("attention_mask", batch.attention_mask_BL),
        ]
        await self._take_place(TEXT, deadline_s)
        return await self._infer(TEXT, inputs, deadline_s)

    async def _take_place(self, model: str, deadline_s: float) -> None:
        """Waits until Triton may have one more call; `_infer` gives the place back."""
        if self._closed:
            raise EncoderDown("the encoder is closed")
        try:
            async with asyncio.timeout(max(0.0, deadline_s - time.monotonic())):
                await self._places[model].acquire()
        except TimeoutError:
            raise TritonCallFailed(
                model, grpc.StatusCode.DEADLINE_EXCEEDED, "earlier calls have not ended"
            ) from None

    async def _infer(
        self,
        model: str,
        inputs: Sequence[InputTensor],
        deadline_s: float,
        slot: Slot | None = None,
    ) -> Embeddings:
        """Makes the call that `_take_place` made room for."""

        def on_end() -> None:
            self._places[model].release()
            if slot is not None:
                slot.give_back()

        try:
            (raw_BD,) = await self._client.infer(
                model,
                self._manifest.version,
                inputs,
                ("embedding",),
                timeout_s=max(0.001, deadline_s - time.monotonic()),
                on_end=on_end,
            )
            return self._unit_rows(model, raw_BD, rows=inputs[0].shape[0])
        except TritonCallFailed as error:
            if not error.region_unknown:
                _log.debug("%s: %s", error, error.detail[:300])
                if self._on_failure is not None:
                    self._on_failure(error)
            raise

    def _unit_rows(self, model: str, raw_BD: NDArray[Any], rows: int) -> Embeddings:
        """Half-precision runtimes normalise only roughly; anything else is damage on the way."""
        if raw_BD.shape != (rows, self._manifest.dimension):
            raise TritonCallFailed(
                model,
                grpc.StatusCode.DATA_LOSS,
                f"embeddings of shape {list(raw_BD.shape)} for {rows} rows",
            )
        embeddings_BD = raw_BD.astype(np.float32)
        lengths_B1 = np.linalg.norm(embeddings_BD, axis=1, keepdims=True)
        if not np.all(np.abs(lengths_B1 - 1.0) < 0.05):  # also false for NaN
            raise TritonCallFailed(model, grpc.StatusCode.DATA_LOSS, "rows are not of length 1")
        unit_BD: Embeddings = embeddings_BD / lengths_B1
        return unit_BD

    async def _open_slots(self, timeout_s: float) -> None:
        """Without shared memory everything works by message, only slower."""
        if self._slots is None:
            return
        try:
            await self._slots.open(timeout_s=timeout_s)
        except (OSError, TritonCallFailed) as error:
            _log.warning("no shared memory with Triton, sending pictures by message: %s", error)


def _together(pixels_BHWC: PixelBatch) -> Pixels:
    """One array of the pictures, C-contiguous."""
    return pixels_BHWC if isinstance(pixels_BHWC, np.ndarray) else np.stack(pixels_BHWC)
