"""The serving text encoder as an embedder: batches, and answers that cannot be right."""

from collections.abc import Sequence

import numpy as np
import pytest

from inkling_server.interests.embedders.base import EmbedderUnusable, Float32
from inkling_server.interests.embedders.serving import EncoderEmbedder


def test_phrases_are_sent_in_batches_without_blanks() -> None:
    sent: list[list[str]] = []

    def encode(phrases: Sequence[str]) -> Float32:
        sent.append(list(phrases))
        return np.ones((len(phrases), 4), np.float32)

    vectors_PD = EncoderEmbedder(encode, "00", 4, batch_size=2).embed(["a", "", "b", "c", " "])
    assert sent == [["a", "b"], ["c"]]
    assert vectors_PD[:, 0].tolist() == [0.5, 0, 0.5, 0.5, 0]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (np.ones((1, 4), np.float32), r"shape \[1, 4\]; allowed: \[2, 4\]"),
        (np.full((2, 4), np.nan, np.float32), "not finite"),
    ],
)
def test_wrong_answers_are_refused(rows: Float32, problem: str) -> None:
    with pytest.raises(EmbedderUnusable, match=problem):
        EncoderEmbedder(lambda _: rows, "00", 4).embed(["a", "b"])


def test_the_encoders_own_errors_pass_through() -> None:
    def encode(phrases: Sequence[str]) -> Float32:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        EncoderEmbedder(encode, "00", 4).embed(["a"])


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        EncoderEmbedder(lambda _: np.ones((1, 4), np.float32), "00", 4, batch_size=0)
