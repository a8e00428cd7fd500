"""Weights in fewer bytes."""

from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch

from inkling_server.runtimes import RuntimeOptions, open_runtime
from inkling_training.export.shrink import matrix_share, shrink_weights

pytestmark = pytest.mark.training


def save(path: Path, model: torch.nn.Module, example: torch.Tensor) -> None:
    torch.onnx.export(model, (example,), path, dynamo=False, opset_version=20)


def reader() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Embedding(100, 64), torch.nn.Linear(64, 64), torch.nn.Linear(64, 128)
    )


def stored(path: Path) -> dict[tuple[int, ...], int]:
    return {
        tuple(t.dims): t.data_type for t in onnx.load(path).graph.initializer if len(t.dims) > 1
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("options", "table", "matrix"),
    [
        ({}, onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT16),
        ({"int8_tables": True}, onnx.TensorProto.INT8, onnx.TensorProto.FLOAT16),
        ({"int8_matrices": True}, onnx.TensorProto.INT8, onnx.TensorProto.INT8),
    ],
)
def test_storage_of_tables_and_matrices(
    options: dict[str, bool], table: int, matrix: int, tmp_path: Path
) -> None:
    path, numbers = tmp_path / "model.onnx", torch.tensor([[3, 97]])
    model = reader()
    save(path, model, numbers)
    shrink_weights(path, **options)
    assert stored(path)[100, 64] == table
    assert stored(path)[64, 64] == stored(path)[64, 128] == matrix
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: numbers.numpy()})[0]
    assert found == pytest.approx(model(numbers).detach().numpy(), abs=0.03)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_share_of_matrix_products_tells_transformers_apart(tmp_path: Path) -> None:
    save(tmp_path / "reader.onnx", reader(), torch.tensor([[3, 97]]))
    save(tmp_path / "filters.onnx", torch.nn.Conv2d(16, 64, 3), torch.rand(1, 16, 8, 8))
    assert matrix_share(tmp_path / "reader.onnx") == 1.0
    assert matrix_share(tmp_path / "filters.onnx") == 0.0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_filters_stay_float16(tmp_path: Path) -> None:
    path, picture = tmp_path / "model.onnx", torch.rand(1, 16, 8, 8)
    save(path, torch.nn.Conv2d(16, 64, 3), picture)
    shrink_weights(path, int8_matrices=True)
    assert stored(path)[64, 16, 3, 3] == onnx.TensorProto.FLOAT16


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_runtimes_agree_on_int8_matrices(runtime: str, tmp_path: Path) -> None:
    path, numbers = tmp_path / "model.onnx", torch.tensor([[3, 97]])
    model = reader()
    save(path, model, numbers)
    shrink_weights(path, int8_matrices=True)
    options = RuntimeOptions(runtime=runtime, precision="f32")  # type: ignore[arg-type]
    name = onnx.load(path).graph.input[0].name
    found = open_runtime(path, options).run({name: numbers.numpy()})
    assert found == pytest.approx(model(numbers).detach().numpy(), abs=0.03)
