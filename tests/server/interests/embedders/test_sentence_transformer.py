"""Directories of sentence-transformers: agree with the package, reach no network, run no code."""

import json
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

from inkling_server.interests.embedders.base import EmbedderUnusable
from inkling_server.interests.embedders.sentence_transformer import SentenceTransformerEmbedder
from tests.server.interests.embedders.embedder_kit import write_bert

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert(tmp_path_factory.mktemp("model") / "bert")


def test_vectors_are_the_mean_of_berts_last_layer(bert: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(bert)
    model = AutoModel.from_pretrained(bert).eval()
    with torch.no_grad():
        rows_LD = model(**tokenizer("new york pizza", return_tensors="pt")).last_hidden_state[0]
    mean_D = rows_LD.mean(dim=0).numpy()
    vector_D = SentenceTransformerEmbedder(bert).embed(["trail", "new york pizza"])[1]
    assert vector_D == pytest.approx(mean_D / np.linalg.norm(mean_D), abs=1e-5)


def test_nothing_reaches_the_network(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert SentenceTransformerEmbedder(bert).embed(["trail"]).any()


def test_fingerprint_passes_over_the_model_card_only(tmp_path: Path) -> None:
    folder = write_bert(tmp_path / "bert")
    before = SentenceTransformerEmbedder(folder).fingerprint
    (folder / "README.md").write_text("# A model")
    assert SentenceTransformerEmbedder(folder).fingerprint == before
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 16, "pooling_mode_cls_token": True})
    )
    assert SentenceTransformerEmbedder(folder).fingerprint != before


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("missing", "no such directory"),
        ("modules.json", r"no modules\.json"),
        ("model.safetensors", "cannot be loaded"),
        ("code", "cannot be loaded"),
    ],
)
def test_wrong_directories_are_refused_by_name(tmp_path: Path, damage: str, problem: str) -> None:
    folder = tmp_path / "bert"
    if damage != "missing":
        write_bert(folder)
    if damage == "code":
        # A module of the directory's own would be code from whoever made it.
        (folder / "own.py").write_text("raise SystemExit('this must not run')")
        modules = json.loads((folder / "modules.json").read_text())
        modules[1]["type"] = "own.Pooling"
        (folder / "modules.json").write_text(json.dumps(modules))
    elif damage != "missing":
        (folder / damage).unlink()
    with pytest.raises(EmbedderUnusable, match=problem) as caught:
        SentenceTransformerEmbedder(folder)
    assert str(folder) in str(caught.value)


def test_without_the_package_the_error_says_what_to_install(
    bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(EmbedderUnusable, match=r"pip install 'inkling\[sentence\]'"):
        SentenceTransformerEmbedder(bert)
