"""The control flow of building engines, against a stand-in that records calls.

TensorRT itself has not run here: these tests say that the documented calls are made in order, and
that failures fall back, and nothing about engines.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from inkling_training.export import tensorrt
from inkling_training.export.tensorrt import (
    EngineNotBuilt,
    Gpu,
    build_engine,
    fitting_config,
    text_profile,
    vision_profile,
)

pytestmark = pytest.mark.training

H100 = Gpu("NVIDIA H100", "9.0")


@pytest.fixture
def trt(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """A TensorRT that builds b"plan"."""
    module = MagicMock()
    module.__version__ = "10.9"
    module.BuilderFlag = SimpleNamespace(FP16="FP16", BF16="BF16")
    module.Builder().build_serialized_network.return_value = b"plan"
    module.Builder().create_builder_config().get_timing_cache().serialize.return_value = b"times"
    module.OnnxParser().parse_from_file.return_value = True
    module.reset_mock()
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    monkeypatch.setattr(tensorrt, "this_gpu", lambda: H100)
    return module


def build(folder: Path, **options: Any) -> Path:
    settings = {"profile": vision_profile(64), "precision": "fp16"} | options
    return build_engine(folder / "model.onnx", timing_cache=folder / "times", **settings)


def test_engine_profile_flag_and_cache(trt: MagicMock, tmp_path: Path) -> None:
    assert build(tmp_path).read_bytes() == b"plan"
    config = trt.Builder().create_builder_config()
    config.set_flag.assert_called_once_with("FP16")
    shapes = trt.Builder().create_optimization_profile()
    shapes.set_shape.assert_called_once_with(
        "pixels", (1, 64, 64, 3), (32, 64, 64, 3), (64, 64, 64, 3)
    )
    config.add_optimization_profile.assert_called_once_with(shapes)
    config.create_timing_cache.assert_called_once_with(b"")
    assert (tmp_path / "times").read_bytes() == b"times"
    note = json.loads((tmp_path / "engine.json").read_text())
    assert note["compute_capability"] == "9.0"
    assert note["tensorrt"] == "10.9"
    build(tmp_path)
    config.create_timing_cache.assert_called_with(b"times")


def test_fp32_sets_no_flag(trt: MagicMock, tmp_path: Path) -> None:
    build(tmp_path, precision="fp32", profile=text_profile(77))
    trt.Builder().create_builder_config().set_flag.assert_not_called()
    shapes = trt.Builder().create_optimization_profile()
    assert [call.args[0] for call in shapes.set_shape.call_args_list] == [
        "input_ids",
        "attention_mask",
    ]


def test_what_goes_wrong_is_one_error(
    trt: MagicMock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trt.OnnxParser().parse_from_file.return_value = False
    trt.OnnxParser().num_errors = 1
    trt.OnnxParser().get_error.return_value = "no such operator"
    with pytest.raises(EngineNotBuilt, match="no such operator"):
        build(tmp_path)
    trt.OnnxParser().parse_from_file.return_value = True
    trt.Builder().build_serialized_network.return_value = None
    with pytest.raises(EngineNotBuilt, match="built no engine"):
        build(tmp_path)
    monkeypatch.setattr(tensorrt, "this_gpu", lambda: None)
    with pytest.raises(EngineNotBuilt, match="no NVIDIA GPU"):
        build(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(EngineNotBuilt, match="not installed"):
        build(tmp_path)
    assert not (tmp_path / "model.plan").exists()


def test_engine_of_another_gpu_falls_back_to_onnx(trt: MagicMock, tmp_path: Path) -> None:
    folder = tmp_path / "vision_encoder" / "1"
    folder.mkdir(parents=True)
    assert fitting_config([folder], H100)[0] == "onnxruntime"  # no engine yet
    build(folder)
    assert fitting_config([folder], H100)[0] == "tensorrt"
    for other in (Gpu("NVIDIA L4", "8.9"), None):
        name, why = fitting_config([folder], other)
        assert name == "onnxruntime"
        assert "H100" in why
