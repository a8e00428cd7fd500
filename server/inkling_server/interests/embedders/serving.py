"""The serving text encoder as an embedder.

Pictures, tags and the graph's semantic edges then live in one space. It does not know how the
encoder is reached: whoever runs a refresh hands in a callable.
"""

from collections.abc import Callable, Sequence

from inkling_server.interests.embedders.base import Float32, embed_in_batches


class EncoderEmbedder:
    """Calls the serving text encoder.

    Args:
        encode: phrases, at most `batch_size` of them, to float32 [P, D]; may raise what it likes.
        fingerprint: of the encoder's weights and of how it reads text.
        dimension: D.
        batch_size: phrases a call, >= 1: each call waits for its answer, so few are slow, and huge
            ones hold up the pictures that the same encoder serves.
    """

    name = "text_encoder"

    def __init__(
        self,
        encode: Callable[[Sequence[str]], Float32],
        fingerprint: str,
        dimension: int,
        *,
        batch_size: int = 64,
    ) -> None:
        if batch_size < 1 or dimension < 1:
            raise ValueError(f"batch_size {batch_size}, dimension {dimension}: each at least 1")
        self._encode = encode
        self._fingerprint = fingerprint
        self._dimension = dimension
        self._batch_size = batch_size

    @property
    def fingerprint(self) -> str:
        """As given."""
        return self._fingerprint

    @property
    def dimension(self) -> int:
        """D."""
        return self._dimension

    def embed(self, phrases: Sequence[str]) -> Float32:
        """See `Embedder.embed`."""
        return embed_in_batches(
            phrases,
            self._encode,
            what=self.name,
            dimension=self._dimension,
            batch_size=self._batch_size,
        )
