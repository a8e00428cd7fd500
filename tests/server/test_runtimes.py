"""Options of a version folder, and which of its files a runtime opens."""

import json
from pathlib import Path

import pytest

from inkling_server.runtimes import RuntimeOptions, model_file, options_from

CONFIG = {"runtime": "openvino", "precision": "bf16", "threads": "2", "chunk": "8"}


def test_version_overrides_what_config_says_for_all(tmp_path: Path) -> None:
    assert options_from(CONFIG, tmp_path) == RuntimeOptions("openvino", "bf16", threads=2, chunk=8)
    (tmp_path / "runtime.json").write_text(json.dumps({"precision": "f32", "chunk": 4}))
    assert options_from(CONFIG, tmp_path) == RuntimeOptions("openvino", "f32", threads=2, chunk=4)


def test_parameters_that_are_tritons_own_are_left_alone() -> None:
    assert options_from({"EXECUTION_ENV_PATH": "/x"}) == RuntimeOptions()


@pytest.mark.parametrize(
    ("overrides", "named"),
    [({"precision": "f64"}, "f32 or bf16"), ({"presicion": "f32"}, "presicion")],
)
def test_mistakes_are_named(overrides: dict[str, str], named: str, tmp_path: Path) -> None:
    (tmp_path / "runtime.json").write_text(json.dumps(overrides))
    with pytest.raises(ValueError, match=named):
        options_from(CONFIG, tmp_path)


def test_openvino_opens_its_own_format_where_there_is_one(tmp_path: Path) -> None:
    openvino, onnxruntime = RuntimeOptions(), RuntimeOptions(runtime="onnxruntime")
    assert model_file(tmp_path, openvino).name == "model.onnx"
    (tmp_path / "model.xml").touch()
    assert model_file(tmp_path, openvino).name == "model.xml"
    assert model_file(tmp_path, onnxruntime).name == "model.onnx"


def test_a_gpu_wants_onnxruntime_and_float16_wants_a_gpu() -> None:
    with pytest.raises(ValueError, match='allowed: runtime "onnxruntime"'):
        options_from({"runtime": "openvino", "device": "cuda"})
    with pytest.raises(ValueError, match="allowed: f32 or bf16"):
        options_from({"runtime": "onnxruntime", "precision": "f16"})
    given = {"runtime": "onnxruntime", "device": "cuda", "precision": "f16", "chunk": "128"}
    assert options_from(given).device == "cuda"


def test_float16_opens_a_file_of_its_own(tmp_path: Path) -> None:
    options = RuntimeOptions("onnxruntime", "f16", device="cuda")
    with pytest.raises(FileNotFoundError, match=r"inkling_training\.export\.half"):
        model_file(tmp_path, options)
    (tmp_path / "model_f16.onnx").touch()
    assert model_file(tmp_path, options).name == "model_f16.onnx"
