"""What every embedder promises: one suite for all kinds, each on a tiny real input."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from inkling_server.interests.embedders.base import Embedder, Float32
from inkling_server.interests.embedders.sentence_transformer import SentenceTransformerEmbedder
from inkling_server.interests.embedders.serving import EncoderEmbedder
from inkling_server.interests.embedders.trained import train
from inkling_server.interests.embedders.trained_files import load_trained, save_trained
from inkling_server.interests.embedders.word_vectors import WordVectorEmbedder
from tests.server.interests.embedders.embedder_kit import (
    two_themes,
    vectors_of,
    write_bert,
    write_vectors,
)

PRETRAINED = ["pizza", "new york pizza", "trail running", "Café"]
OF_CORPUS = ["pasta", "garlic sauce", "brake pedal", "chain"]


def _encoder(folder: Path, variant: int) -> Embedder:
    def encode(phrases: Sequence[str]) -> Float32:
        seeds = [hashlib.sha256(f"{variant} {phrase}".encode()).digest() for phrase in phrases]
        rows = [np.random.default_rng(list(seed)).normal(size=8) for seed in seeds]
        return np.array(rows, np.float32)

    return EncoderEmbedder(encode, f"{variant:064x}", 8, batch_size=3)


def _vectors(name: str, *, header: bool) -> Callable[[Path, int], Embedder]:
    def make(folder: Path, variant: int) -> Embedder:
        path = write_vectors(folder / name, vectors_of(seed=variant), header=header)
        return WordVectorEmbedder(path)

    return make


def _word2vec(folder: Path, variant: int) -> Embedder:
    return train("word2vec", two_themes(60), dimension=8, seed=variant)


def _fasttext(folder: Path, variant: int) -> Embedder:
    save_trained(train("fasttext", two_themes(60), dimension=8, seed=variant), folder / "saved")
    return load_trained(folder / "saved")


def _bert(folder: Path, variant: int) -> Embedder:
    return SentenceTransformerEmbedder(write_bert(folder / "bert", seed=variant), batch_size=3)


@dataclass(frozen=True)
class Case:
    """How to make an embedder in an empty folder; variants 0 and 1 give different vectors."""

    make: Callable[[Path, int], Embedder]
    known: list[str]
    unknown: list[str]


CASES = {
    "text_encoder": Case(_encoder, PRETRAINED, []),
    "word2vec text": Case(_vectors("v.txt", header=True), PRETRAINED, ["zebra"]),
    "word2vec text gz": Case(_vectors("v.txt.gz", header=True), PRETRAINED, ["zebra"]),
    "word2vec binary": Case(_vectors("v.bin", header=True), PRETRAINED, ["zebra"]),
    "word2vec binary gz": Case(_vectors("v.bin.gz", header=True), PRETRAINED, ["zebra"]),
    "glove": Case(_vectors("glove.txt", header=False), PRETRAINED, ["zebra"]),
    "glove gz": Case(_vectors("glove.txt.gz", header=False), PRETRAINED, ["zebra"]),
    "word2vec": Case(_word2vec, OF_CORPUS, ["zebra", "pastas"]),
    "fasttext saved": Case(_fasttext, [*OF_CORPUS, "pastas"], ["123"]),
    "bert": Case(_bert, PRETRAINED, []),
}
_NEED_TORCH = ["bert"]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[pytest.mark.training] if name in _NEED_TORCH else [])
        for name in CASES
    ],
)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(scope="module")
def embedder(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return case.make(tmp_path_factory.mktemp("first"), 0)


def test_rows_have_length_1(embedder: Embedder, case: Case) -> None:
    vectors_PD = embedder.embed(case.known)
    assert vectors_PD.dtype == np.float32
    assert vectors_PD.shape == (len(case.known), embedder.dimension)
    assert np.linalg.norm(vectors_PD, axis=1) == pytest.approx(np.ones(len(case.known)), abs=1e-5)
    # They are not all one vector.
    assert np.abs(vectors_PD - vectors_PD[0]).max() > 0.01


def test_blank_and_unknown_phrases_give_zeros(embedder: Embedder, case: Case) -> None:
    phrases = ["", case.known[0], "  ", *case.unknown]
    vectors_PD = embedder.embed(phrases)
    assert vectors_PD.any(axis=1).tolist() == [phrase == case.known[0] for phrase in phrases]


def test_no_phrases_give_no_rows(embedder: Embedder) -> None:
    vectors_PD = embedder.embed([])
    assert vectors_PD.shape == (0, embedder.dimension)
    assert vectors_PD.dtype == np.float32


def test_a_phrase_gets_its_vector_whatever_it_comes_with(embedder: Embedder, case: Case) -> None:
    phrases = [*case.known, "", *case.known[::-1]]
    together_PD = embedder.embed(phrases)
    alone_PD = np.concatenate([embedder.embed([phrase]) for phrase in phrases])
    assert np.allclose(together_PD, alone_PD, atol=1e-5)


def test_same_call_gives_the_same_bits(embedder: Embedder, case: Case) -> None:
    assert np.array_equal(embedder.embed(case.known), embedder.embed(case.known))


def test_made_again_it_is_the_same_and_of_other_content_it_is_not(
    embedder: Embedder, case: Case, tmp_path_factory: pytest.TempPathFactory
) -> None:
    again = case.make(tmp_path_factory.mktemp("again"), 0)
    other = case.make(tmp_path_factory.mktemp("other"), 1)
    assert again.fingerprint == embedder.fingerprint
    assert np.array_equal(again.embed(case.known), embedder.embed(case.known))
    assert other.fingerprint != embedder.fingerprint
    assert not np.allclose(other.embed(case.known), embedder.embed(case.known), atol=0.01)
    assert len(bytes.fromhex(embedder.fingerprint)) == 32
