"""Pretrained vectors: every format reads alike, phrases are composed, wrong files are named."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from inkling_server.interests.embedders.base import EmbedderUnusable, Float32, unit_rows
from inkling_server.interests.embedders.word_vector_files import read_word_vectors
from inkling_server.interests.embedders.word_vectors import WordVectorEmbedder
from tests.server.interests.embedders.embedder_kit import (
    DIMENSION,
    WORDS,
    vectors_of,
    write_vectors,
)

FILES = [
    ("v.txt", True),
    ("v.txt.gz", True),
    ("v.bin", True),
    ("v.bin.gz", True),
    ("g.txt", False),
    ("g.gz", False),
]


def _unit(row: list[float]) -> Float32:
    unit_D: Float32 = unit_rows(np.array([row]))[0]
    return unit_D


@pytest.fixture
def embedder(tmp_path: Path) -> WordVectorEmbedder:
    return WordVectorEmbedder(write_vectors(tmp_path / "v.txt", vectors_of(), header=True))


@pytest.mark.parametrize(("name", "header"), FILES)
def test_files_read_as_gensim_reads_them(tmp_path: Path, name: str, header: bool) -> None:
    from gensim.models import KeyedVectors

    path = write_vectors(tmp_path / name, vectors_of(), header=header)
    words = read_word_vectors(path, max_words=100)
    if not header:  # gensim counts such a file's words first, and leaves it open
        path = write_vectors(tmp_path / f"counted-{name}", vectors_of(), header=True)
    reference = KeyedVectors.load_word2vec_format(str(path), binary=".bin" in name)
    assert list(words.places) == reference.index_to_key == list(WORDS)
    assert np.array_equal(words.vectors_WD, reference.vectors)


def test_binary_file_larger_than_a_block_is_read_whole(tmp_path: Path) -> None:
    vectors = {f"word{i}": [float(i)] * DIMENSION for i in range(40_000)}
    words = read_word_vectors(
        write_vectors(tmp_path / "v.bin", vectors, header=True), max_words=10**6
    )
    assert list(words.places) == list(vectors)
    assert words.vectors_WD[:, 3].tolist() == list(range(40_000))


@pytest.mark.parametrize(("name", "header"), FILES)
def test_rare_words_beyond_the_limit_are_left_out(tmp_path: Path, name: str, header: bool) -> None:
    path = write_vectors(tmp_path / name, vectors_of(), header=header)
    assert list(read_word_vectors(path, max_words=4).places) == list(WORDS[:4])
    limited = WordVectorEmbedder(path, max_words=4)
    assert not limited.embed(["pizza"]).any()
    assert limited.fingerprint != WordVectorEmbedder(path).fingerprint


def test_words_with_spaces_and_repeated_words_are_read(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_bytes(b"first 1 2 3\n. . . 4 5 6\nfirst 7 8 9\nna\xc3 1 1 1\n")
    words = read_word_vectors(path, max_words=100)
    assert list(words.places) == ["first", ". . .", "na\ufffd"]
    assert words.vectors_WD.tolist() == [[1, 2, 3], [4, 5, 6], [1, 1, 1]]


def test_entry_of_several_words_goes_before_its_words(embedder: WordVectorEmbedder) -> None:
    vectors = vectors_of()
    assert embedder.embed(["New York"])[0] == pytest.approx(_unit(vectors["new_york"]), abs=1e-6)
    # Both entries are rare next to a = 1e-3: their weights are nearly 1.
    both = _unit(vectors["new_york"]) + _unit(vectors["pizza"])
    assert float(embedder.embed(["new york pizza"])[0] @ _unit(both.tolist())) > 0.99


@pytest.mark.parametrize(
    ("phrase", "entry"),
    [("PIZZA", "pizza"), ("paris", "Paris"), ("Paris", "Paris"), ("CAFÉ", "café")],
)
def test_words_are_found_as_the_vocabulary_spells_them(
    embedder: WordVectorEmbedder, phrase: str, entry: str
) -> None:
    assert embedder.embed([phrase])[0] == pytest.approx(_unit(vectors_of()[entry]), abs=1e-6)


def test_parts_of_a_hyphenated_word_stand_in_for_it(embedder: WordVectorEmbedder) -> None:
    apart, joined = embedder.embed(["trail running", "trail-running"])
    assert joined == pytest.approx(apart)


def test_frequent_words_count_little(embedder: WordVectorEmbedder) -> None:
    plain, with_the, with_trail = embedder.embed(["pizza", "the pizza", "trail pizza"])
    # "the" is 5 % of English: its weight is 0.001 / 0.051.
    assert float(plain @ with_the) > 0.99
    assert float(plain @ with_trail) < 0.98


def test_words_that_cancel_each_other_give_zeros(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_text("zqx 1 2 3\nqzx -1 -2 -3\n")
    assert not WordVectorEmbedder(path).embed(["zqx qzx"]).any()


def test_fingerprint_sees_a_change_in_the_middle_of_the_file(tmp_path: Path) -> None:
    vectors = vectors_of()
    first = WordVectorEmbedder(write_vectors(tmp_path / "a.txt", vectors, header=True))
    vectors["york"][0] += 1 / 64
    second = WordVectorEmbedder(write_vectors(tmp_path / "b.txt", vectors, header=True))
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("v.txt", None, "no such file"),
        ("v.txt", b"", "first line"),
        ("v.txt", b"<html>\n<p>not vectors</p>", "first line"),
        ("v.txt", b"2 3\na 1 2 3\nb 1 2\n", "line 3 does not end in 3 numbers"),
        ("v.txt", b"a 1 2 3\nb 1 x 3\n", "line 2 does not end in 3 numbers"),
        ("v.txt", b"3 3\na 1 2 3\n", "ends after 1 of 3 words"),
        ("v.txt", b"0 3\n", "holds no word"),
        ("v.txt", b"a 1 2 nan\n", "not finite"),
        ("v.txt", b"a inf -inf 3\n", "not finite"),
        ("v.txt", b"5 99999999\n", "first line"),
        ("v.bin", b"a 1 2 3\n", "a .bin file without"),
        ("v.bin", b"2 3\na " + b"\0" * 12 + b"b \0\0", "ends after 1 of 2 words"),
        ("v.bin", b"2 3\n" + b"x" * 5000, "a word without end"),
        ("v.gz", gzip.compress(b"a 1 2 3\n" * 99)[:-12], "unreadable"),
    ],
)
def test_wrong_files_are_refused_by_name(
    tmp_path: Path, name: str, content: bytes | None, problem: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EmbedderUnusable, match=problem) as caught:
        WordVectorEmbedder(path)
    assert str(path) in str(caught.value)
    assert "allowed:" in str(caught.value)
