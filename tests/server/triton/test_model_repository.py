"""The configurations that ship: Triton can parse them, and they fit the ONNX files beside them."""

from pathlib import Path
from typing import Any

import openvino
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from inkling_server.model_manifest import ModelManifest

MODELS = ("vision_encoder", "text_encoder")
TYPES = {"u8": "TYPE_UINT8", "i64": "TYPE_INT64", "f32": "TYPE_FP32"}


def read_config(path: Path) -> Any:
    """Raises text_format.ParseError on any word that Triton does not know."""
    return text_format.Parse(path.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())


def tensors(specs: Any) -> list[tuple[str, str, list[int]]]:
    return sorted(
        (spec.name, model_config_pb2.DataType.Name(spec.data_type), list(spec.dims))
        for spec in specs
        if spec.name != "report"
    )


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("file", "backend"),
    [("config.pbtxt", "python"), ("configs/onnxruntime.pbtxt", "onnxruntime")],
)
def test_configuration_parses_and_says_what_serving_needs(
    model_repository: Path, model: str, file: str, backend: str
) -> None:
    config = read_config(model_repository / model / file)
    assert (config.name, config.backend) == (model, backend)
    assert config.max_batch_size >= 32
    assert config.HasField("dynamic_batching")
    assert config.instance_group
    assert config.model_warmup
    # A rollout serves two versions side by side.
    assert config.version_policy.HasField("all")
    # With one, requests stall for half a second (triton-inference-server/server #8870).
    assert not config.dynamic_batching.HasField("default_queue_policy")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("file", ["config.pbtxt", "configs/onnxruntime.pbtxt"])
def test_configuration_fits_the_onnx_file(
    model_repository: Path, manifest: ModelManifest, model: str, file: str
) -> None:
    config = read_config(model_repository / model / file)
    onnx = openvino.Core().read_model(
        model_repository / model / str(manifest.version) / "model.onnx"
    )
    expected = sorted(
        (
            port.get_any_name(),
            TYPES[port.get_element_type().get_type_name()],
            [
                side.get_length() if side.is_static else -1
                for side in list(port.get_partial_shape())[1:]
            ],
        )
        for port in onnx.inputs
    )
    assert tensors(config.input) == expected
    assert all(not port.get_partial_shape()[0].is_static for port in onnx.inputs)
    assert tensors(config.output) == [("embedding", "TYPE_FP32", [manifest.dimension])]
