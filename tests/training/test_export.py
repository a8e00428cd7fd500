"""Exported files answer like torch, are small, and carry their fingerprint."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from tokenizers import Tokenizer

from inkling_server.model_manifest import PixelSpec, TextSpec, load_manifest
from inkling_training import export
from inkling_training.heads import ConseHead
from inkling_training.text_tower import MAX_TOKENS, load_text_tower, tokenize
from inkling_training.vision_tower import load_vision_tower
from tests.training import tiny_towers

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings(
        "ignore::torch.jit.TracerWarning", "ignore:Constant folding:UserWarning"
    ),
]


def test_vision_graph_takes_uint8_pixels_and_any_batch(tmp_path: Path) -> None:
    tower = load_vision_tower(tiny_towers.save_classifier(tmp_path / "hub"))
    assert tower.classifier is not None
    head = ConseHead(tower.classifier, torch.randn(5, 8), hidden=4).eval()
    path = tmp_path / "model.onnx"
    parity = export.export_vision(export.PairwiseVision(tower, head), tiny_towers.SIDE, path)
    assert parity >= export.PARITY
    for batch in (1, 3):
        pixels = np.zeros((batch, tiny_towers.SIDE, tiny_towers.SIDE, 3), np.uint8)
        embedding_BD = export.run(path, {"pixels": pixels})
        assert embedding_BD.shape == (batch, 8)
        assert np.linalg.norm(embedding_BD, axis=1) == pytest.approx(1, abs=1e-5)


def test_text_graph_stores_small_weights_and_keeps_parity(tmp_path: Path) -> None:
    tower, tokenizer = load_text_tower(tiny_towers.save_text_model(tmp_path / "hub"), dimension=64)
    tokens = tokenize(tokenizer, ["a dog", "two red ball on a beach"])
    path = tmp_path / "model.onnx"
    assert export.export_text(tower, tokens, path) >= export.PARITY
    kinds = {
        tensor.data_type for tensor in onnx.load(path).graph.initializer if len(tensor.dims) == 2
    }
    assert onnx.TensorProto.FLOAT16 in kinds
    feeds = {"input_ids": np.array([[3], [4], [5]]), "attention_mask": np.ones((3, 1), np.int64)}
    assert export.run(path, feeds).shape == (3, 64)  # other batch, other length


def test_int8_is_for_embedding_tables(tmp_path: Path) -> None:
    tower = torch.nn.Sequential(
        torch.nn.Embedding(100, 64), torch.nn.Linear(64, 64), torch.nn.Linear(64, 128)
    )
    path = tmp_path / "model.onnx"
    torch.onnx.export(
        tower, (torch.zeros(1, 2, dtype=torch.int64),), path, dynamo=False, opset_version=20
    )
    export.shrink_weights(path, int8=True)
    stored = {
        tuple(t.dims): t.data_type for t in onnx.load(path).graph.initializer if len(t.dims) == 2
    }
    assert stored[100, 64] == onnx.TensorProto.INT8
    assert stored[64, 64] == stored[64, 128] == onnx.TensorProto.FLOAT16


def test_tokenizer_cuts_and_pads_to_the_longest(tmp_path: Path) -> None:
    _, tokenizer = load_text_tower(tiny_towers.save_text_model(tmp_path / "hub"), dimension=8)
    export.write_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    encodings = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode_batch(
        ["dog", "a red ball", "cat " * 99]
    )
    assert [len(encoding.ids) for encoding in encodings] == [MAX_TOKENS] * 3
    assert encodings[0].attention_mask[:2] == [1, 0]
    assert encodings[0].ids[1] == 0


def _manifest(folder: Path) -> str:
    return export.write_manifest(folder, 1, "tiny", PixelSpec(64, "squash"), TextSpec(), 8)


def test_fingerprint_covers_all_that_answers_depend_on(tmp_path: Path) -> None:
    parts = [
        tmp_path / "vision_encoder" / "1" / "model.onnx",
        tmp_path / "text_encoder" / "1" / "model.onnx",
        tmp_path / "text_encoder" / "1" / "tokenizer.json",
    ]
    for part in parts:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(b"first")
    seen = {_manifest(tmp_path)}
    for part in parts:
        part.write_bytes(b"other")
        seen.add(_manifest(tmp_path))
    assert len(seen) == 4
    assert load_manifest(tmp_path).image.fit == "squash"
    assert json.loads((parts[0].parent / "manifest.json").read_text())["fingerprint"] in seen


def test_labels_recall_their_names_except_background() -> None:
    labels_KD = torch.eye(3, 4)
    labels_KD[0] = 0
    head = ConseHead(torch.nn.Linear(5, 3), labels_KD)
    export.recall_names(head, torch.ones(3, 4), share=0.5)
    assert head.labels_KD[0].tolist() == [0, 0, 0, 0]
    assert head.labels_KD[1].tolist() == [0.5, 1.5, 0.5, 0.5]
