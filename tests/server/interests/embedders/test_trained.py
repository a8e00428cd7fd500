"""Word2Vec and FastText of the corpus: what they learn, and that it survives the disk."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inkling_server.interests.embedders.base import EmbedderUnusable
from inkling_server.interests.embedders.joined_sentences import JoinedSentences
from inkling_server.interests.embedders.trained import TrainedKind, train
from inkling_server.interests.embedders.trained_files import load_trained, save_trained
from tests.server.interests.embedders.embedder_kit import BIKES, FOOD, two_themes

KINDS: list[TrainedKind] = ["word2vec", "fasttext"]


@pytest.mark.parametrize("kind", KINDS)
def test_words_of_one_theme_end_nearer_than_words_of_two(kind: TrainedKind) -> None:
    embedder = train(kind, two_themes(), dimension=16)
    vectors_PD = embedder.embed([*FOOD, *BIKES])
    cosines_PP = vectors_PD @ vectors_PD.T
    same_PP = np.equal.outer(np.arange(12) < 6, np.arange(12) < 6)
    off_diagonal_PP = ~np.eye(12, dtype=bool)
    assert cosines_PP[same_PP & off_diagonal_PP].min() > cosines_PP[~same_PP].max() + 0.2


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_it_embeds_the_same(kind: TrainedKind, tmp_path: Path) -> None:
    embedder = train(kind, two_themes(60), dimension=8, phrases=["pasta sauce"])
    save_trained(embedder, tmp_path / "deep" / "folder")
    save_trained(embedder, tmp_path / "deep" / "folder")
    loaded = load_trained(tmp_path / "deep" / "folder")
    phrases = ["pasta sauce", "garlic", "garlics chainring", "zebra"]
    assert np.array_equal(loaded.embed(phrases), embedder.embed(phrases))
    assert (loaded.name, loaded.fingerprint) == (kind, embedder.fingerprint)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["folder"]


def test_fasttext_guesses_unseen_words_from_their_pieces() -> None:
    embedder = train("fasttext", two_themes(), dimension=16)
    garlicky, garlic, chain, nothing = embedder.embed(["garlicky", "garlic", "chain", "wwwww"])
    assert float(garlicky @ garlic) > float(garlicky @ chain) + 0.1
    # Its pieces are in buckets that training never touched: they would be noise.
    assert not nothing.any()


@pytest.mark.parametrize("kind", KINDS)
def test_other_processes_train_the_same(kind: TrainedKind, repository: Path) -> None:
    code = (
        "from inkling_server.interests.embedders.trained import train\n"
        "from tests.server.interests.embedders.embedder_kit import two_themes\n"
        f"print(train({kind!r}, two_themes(60), dimension=8).fingerprint)"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=repository,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(prints) == 1


def test_small_corpora_are_read_more_often() -> None:
    few, chosen = (train("word2vec", two_themes(60), dimension=8, epochs=n) for n in (5, None))
    most = train("word2vec", two_themes(60), dimension=8, epochs=50)
    assert chosen.fingerprint == most.fingerprint != few.fingerprint


def test_a_generator_of_sentences_trains_as_a_list_does() -> None:
    def generate() -> Iterator[list[str]]:
        yield from two_themes(60)

    from_list = train("word2vec", two_themes(60), dimension=8)
    assert train("word2vec", generate(), dimension=8).fingerprint == from_list.fingerprint


def test_frequent_phrases_become_one_token_the_longest_first() -> None:
    sentences = [["in", "new", "york", "city"], ["new", "york"], ["new", "york"], ["rare", "one"]]
    joined = JoinedSentences(sentences, ["new york", "new york city", "rare one"], min_count=1)
    assert list(joined) == [["in", "new_york_city"], ["new_york"], ["new_york"], ["rare_one"]]
    joined = JoinedSentences(sentences, ["new york", "new york city"], min_count=3)
    assert list(joined)[:2] == [["in", "new_york", "city"], ["new_york"]]
    # Too rare to get a vector, a phrase gives its words back.
    joined = JoinedSentences(sentences, ["new york", "new york city", "rare one"], min_count=2)
    assert list(joined) == [["in", "new_york", "city"], ["new_york"], ["new_york"], ["rare", "one"]]


@pytest.mark.parametrize("sentences", [[], [[]], [["once"], ["only"]]])
def test_too_small_a_corpus_is_refused(sentences: list[list[str]]) -> None:
    with pytest.raises(EmbedderUnusable, match="no word of the corpus occurs 3 times"):
        train("word2vec", sentences)


@pytest.mark.parametrize("damage", ["missing", "vectors", "vocabulary", "kind"])
def test_damaged_folders_are_refused(damage: str, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    if damage != "missing":
        save_trained(train("word2vec", two_themes(60), dimension=8), folder)
    if damage == "vectors":
        content = (folder / "vectors.safetensors").read_bytes()
        (folder / "vectors.safetensors").write_bytes(content[:-1] + b"?")
    elif damage == "vocabulary":
        (folder / "vocabulary.json").write_text("{")
    elif damage == "kind":
        text = (folder / "vocabulary.json").read_text()
        (folder / "vocabulary.json").write_text(text.replace('"word2vec"', '"other"'))
    with pytest.raises(EmbedderUnusable, match="unreadable"):
        load_trained(folder)
