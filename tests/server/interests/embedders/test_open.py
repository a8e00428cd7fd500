"""Embedders by name."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inkling_server.interests.embedders.base import EmbedderUnusable
from inkling_server.interests.embedders.open import open_embedder
from inkling_server.interests.embedders.serving import EncoderEmbedder
from inkling_server.interests.embedders.spec import EmbedderSpec, check_spec
from tests.server.interests.embedders.embedder_kit import (
    two_themes,
    vectors_of,
    write_bert,
    write_vectors,
)


def test_specs_are_taken_apart() -> None:
    assert check_spec("text_encoder") == EmbedderSpec("text_encoder", "")
    assert check_spec("fasttext") == EmbedderSpec("fasttext", "")
    assert check_spec("vectors:/a/b:c.bin") == EmbedderSpec("vectors", "/a/b:c.bin")
    assert check_spec("sentence-transformers:m") == EmbedderSpec("sentence-transformers", "m")


@pytest.mark.parametrize(
    "spec", ["", "bert", "vectors", "vectors:", "word2vec:", "word2vec:a", "Text_Encoder", ":x"]
)
def test_wrong_specs_are_refused_with_what_is_allowed(spec: str) -> None:
    with pytest.raises(ValueError, match="allowed: text_encoder, word2vec, fasttext, vectors:PATH"):
        open_embedder(spec)


def test_checking_a_spec_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from inkling_server.interests.embedders.spec import check_spec\n"
        "check_spec('word2vec')\n"
        "print({'numpy', 'gensim', 'torch', 'wordfreq'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_opening_one_kind_does_not_import_what_the_others_need(tmp_path: Path) -> None:
    path = write_vectors(tmp_path / "v.txt", vectors_of(), header=True)
    code = (
        "import sys\n"
        "from inkling_server.interests.embedders.open import open_embedder\n"
        f"open_embedder({f'vectors:{path}'!r})\n"
        "print({'gensim', 'torch', 'sentence_transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_files_are_opened(tmp_path: Path) -> None:
    path = write_vectors(tmp_path / "v.bin", vectors_of(), header=True)
    assert open_embedder(f"vectors:{path}").embed(["pizza"]).any()


@pytest.mark.training
def test_directories_are_opened(tmp_path: Path) -> None:
    bert = write_bert(tmp_path / "bert")
    assert open_embedder(f"sentence-transformers:{bert}").embed(["pizza"]).any()


def test_text_encoder_is_the_one_that_is_handed_in() -> None:
    encoder = EncoderEmbedder(lambda _: np.ones((1, 2), np.float32), "00", 2)
    assert open_embedder("text_encoder", text_encoder=encoder) is encoder
    with pytest.raises(EmbedderUnusable, match="no text encoder"):
        open_embedder("text_encoder")


def test_what_was_trained_once_is_loaded_the_next_time(tmp_path: Path) -> None:
    folder = tmp_path / "embedder"
    first = open_embedder("word2vec", trained_folder=folder, sentences=lambda: two_themes(60))
    # Without a corpus it cannot have been trained anew.
    second = open_embedder("word2vec", trained_folder=folder)
    assert second.fingerprint == first.fingerprint
    # Another kind is another embedder.
    other = open_embedder("fasttext", trained_folder=folder, sentences=lambda: two_themes(60))
    assert other.name == "fasttext"
    assert open_embedder("fasttext", trained_folder=folder).fingerprint == other.fingerprint


def test_training_without_a_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbedderUnusable, match="a corpus to train on"):
        open_embedder("fasttext", trained_folder=tmp_path / "none")
