"""The seam between the gateway and whatever turns pixels and phrases into embeddings.

    Encoder (protocol)
    ├── TritonEncoder   inkling_server.triton.encoder
    └── FakeEncoder     inkling_server.fake_encoder, deterministic, for tests

Both pass `tests/contract/test_encoder_contract.py`. Nothing here knows graph, index or gRPC.

Shapes: B pictures or texts, H x W pixels, C = 3 channels (RGB), D dimensions.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inkling_server.model_manifest import ModelManifest

Pixels = NDArray[np.uint8]
# A batch [B, H, W, C], or B pictures [H, W, C] that need not lie together: they are copied once.
PixelBatch = Pixels | Sequence[Pixels]
Embeddings = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EncoderDescription:
    """What runs one encoder, for GetInfo.

    Attributes:
        name: the model's name in Triton, such as "vision_encoder".
        version: its version folder.
        backend: what serves it, such as "triton 2.51.0 python".
        runtime: what computes, such as "OpenVINO 2026.4.1 bf16, 2 threads".
    """

    name: str
    version: int
    backend: str
    runtime: str


class Encoder(Protocol):
    """One version of a pairwise model. Safe to call from many tasks of one event loop.

    A cancelled call is forgotten at once; nothing that it held is reused before the encoder has
    let go of it.
    """

    @property
    def manifest(self) -> ModelManifest:
        """The model that this encoder runs; never changes during the encoder's life."""

    async def describe(self) -> Sequence[EncoderDescription]:
        """What runs the encoders. Raises EncoderDown."""

    async def encode_images(self, pixels_BHWC: PixelBatch, *, timeout_s: float) -> Embeddings:
        """Embeds pictures.

        Args:
            pixels_BHWC: uint8 RGB [B, size, size, 3], B >= 1, or B pictures; each C-contiguous. Any
                B: a batch that is over the model's own limit is split.
            timeout_s: the call ends within about this time.

        Returns:
            float32 [B, D], rows of length 1.

        Raises:
            EncoderDown: no answer in time, or the encoder is broken.
            ValueError: wrong shape or dtype (a bug of the caller).
        """

    async def encode_texts(self, texts: Sequence[str], *, timeout_s: float) -> Embeddings:
        """Embeds phrases, float32 [B, D] with rows of length 1; no texts give [0, D].

        Same errors as `encode_images`.
        """

    async def check(self, *, timeout_s: float) -> None:
        """Proves that both encoders work by a real inference. Raises EncoderDown."""

    async def close(self) -> None:
        """Frees connections and shared memory. Idempotent."""


@dataclass(frozen=True, slots=True)
class EncoderAddress:
    """How other processes reach the same encoders.

    Attributes:
        target: gRPC target.
        is_local: they run on this machine, so shared memory works.
    """

    target: str
    is_local: bool


class EncoderBackend(Protocol):
    """Has versions of one model repository encode, side by side where that is wanted.

    Belongs to one event loop. The first version that is opened serves; `serve` passes that on.
    """

    async def open(self, version: int) -> Encoder:
        """Makes a version encode beside those that do; closing the encoder frees what it took.

        Raises:
            EncoderDown: it cannot be made to; the text says why. Nothing else has changed.
            OSError, ValueError: the model repository lacks a file, or holds a damaged one.
        """

    def serve(self, encoder: Encoder) -> None:
        """From now on this one is kept alive, and its failures are the server's."""

    async def loaded_versions(self) -> Collection[int]:
        """What could encode at once. Raises EncoderDown."""

    @property
    def address(self) -> EncoderAddress:
        """Where its encoders are, once one was opened. Raises EncoderDown."""


def require_pixels(pixels_BHWC: PixelBatch, size: int) -> None:
    """Raises ValueError unless it is what `encode_images` takes."""
    if not isinstance(pixels_BHWC, np.ndarray):
        if not pixels_BHWC:
            raise ValueError("pixels must be of at least one picture")
        for pixels_HWC in pixels_BHWC:
            require_pixels(pixels_HWC[np.newaxis], size)
        return
    shape, dtype = pixels_BHWC.shape, pixels_BHWC.dtype
    if dtype != np.uint8:
        raise ValueError(f"pixels must be uint8, not {dtype}")
    if len(shape) != 4 or shape[0] < 1 or shape[1:] != (size, size, 3):
        raise ValueError(f"pixels must be [B >= 1, {size}, {size}, 3], not {list(shape)}")
    if not pixels_BHWC.flags.c_contiguous:
        raise ValueError("pixels must be C-contiguous")
