"""Configurations and tokenizers of a model repository."""

import os
import subprocess
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from inkling_server.model_manifest import TextSpec
from inkling_training.export.repository import (
    drafted,
    most_rows,
    next_version,
    write_configs,
    write_tokenizer,
)
from inkling_training.text_start import MAX_TOKENS
from tests.training import tiny_towers

pytestmark = pytest.mark.training

ENCODERS = ("vision_encoder", "text_encoder")


def test_what_ships_is_what_the_templates_say(repository: Path, tmp_path: Path) -> None:
    write_configs(tmp_path, 224, 256, names=("onnxruntime",))
    for encoder in ENCODERS:
        for name in ("config.pbtxt", "configs/onnxruntime.pbtxt"):
            ours = (tmp_path / encoder / name).read_text(encoding="utf-8")
            assert ours == (repository / "model_repository" / encoder / name).read_text(
                encoding="utf-8"
            )


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_configuration_parses_with_the_models_sizes(encoder: str, tmp_path: Path) -> None:
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    names = ("onnxruntime", "tensorrt", "tensorrt_onnx")
    write_configs(tmp_path, 384, 768, names=names)
    for path in [
        tmp_path / encoder / "config.pbtxt",
        *(tmp_path / encoder / "configs" / f"{name}.pbtxt" for name in names),
    ]:
        config = model_config_pb2.ModelConfig()
        text_format.Parse(path.read_text(encoding="utf-8"), config)
        assert config.name == encoder
        sizes = {spec.name: list(spec.dims) for spec in (*config.input, *config.output)}
        assert sizes["embedding"] == [768]
        assert sizes.get("pixels", [384, 384, 3]) == [384, 384, 3]
        assert config.model_warmup[0].inputs


def test_heavy_models_get_fewer_rows_a_call(tmp_path: Path) -> None:
    assert most_rows(6e8, 2e8) == (32, 64)
    assert most_rows(34e9, 11e9) == (16, 8)  # SigLIP base
    assert most_rows(1e13, 1e13) == (1, 1)
    write_configs(tmp_path, 224, 8, rows=(8, 16), names=())
    assert "max_batch_size: 8\n" in (tmp_path / "vision_encoder" / "config.pbtxt").read_text()
    assert "max_batch_size: 16\n" in (tmp_path / "text_encoder" / "config.pbtxt").read_text()


def test_configuration_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "vision_encoder" / "config.pbtxt"
    path.parent.mkdir()
    path.write_text("mine")
    write_configs(tmp_path, 224, 256, names=())
    assert path.read_text() == "mine"


def test_tokenizer_cuts_and_pads_to_the_longest(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_towers.save_text_model(tmp_path / "hub"))
    write_tokenizer(tokenizer, TextSpec(MAX_TOKENS), tmp_path / "tokenizer.json")
    encodings = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode_batch(
        ["dog", "a red ball", "cat " * 99]
    )
    assert [len(encoding.ids) for encoding in encodings] == [MAX_TOKENS] * 3
    assert encodings[0].attention_mask[:2] == [1, 0]
    assert encodings[0].ids[1] == 0


def test_draft_of_a_killed_export_is_swept(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = tmp_path / "vision_encoder" / f".draft-1-{gone.pid}"
    left.mkdir(parents=True)
    running = tmp_path / "vision_encoder" / f".draft-1-{os.getppid()}"
    running.mkdir()
    with pytest.raises(RuntimeError, match="stop"), drafted(tmp_path, 1):
        raise RuntimeError("stop")
    assert [path.name for path in (tmp_path / "vision_encoder").iterdir()] == [running.name]


def test_version_that_is_replaced_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    with drafted(tmp_path, 1) as draft:
        (draft.vision / "manifest.json").write_text("old")
    with drafted(tmp_path, 1, replace=True) as draft:
        (draft.vision / "manifest.json").write_text("new")
        assert (tmp_path / "vision_encoder" / "1" / "manifest.json").read_text() == "old"
    assert (tmp_path / "vision_encoder" / "1" / "manifest.json").read_text() == "new"
    assert next_version(tmp_path) == 2
    assert not list(tmp_path.glob("*/.*"))
