"""The GPU runtime's plan for a batch, its refusals, and its path with the CPU in a GPU's place."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from inkling_server import cuda_runtime
from inkling_server.cuda_runtime import CudaRuntime, CudaUnavailable, parts_of, sizes_up_to
from inkling_server.runtimes import RuntimeOptions, model_file, open_runtime

# With the CPU in place of the GPU it is named twice.
pytestmark = pytest.mark.filterwarnings("ignore:Duplicate provider")

SIZES = sizes_up_to(64)


@pytest.mark.parametrize(
    ("rows", "parts"),
    [(1, [1]), (3, [4]), (20, [16, 4]), (33, [64]), (64, [64]), (130, [64, 64, 1, 1])],
)
def test_batch_is_cut_into_captured_sizes(rows: int, parts: list[int]) -> None:
    assert parts_of(rows, SIZES) == parts


def test_no_batch_is_padded_by_more_than_half() -> None:
    for rows in range(1, 300):
        assert rows <= sum(parts_of(rows, SIZES)) < 2 * rows + 1
        assert len(parts_of(rows, SIZES)) <= rows // 64 + 7


def test_sizes_end_with_one() -> None:
    assert sizes_up_to(64) == (64, 16, 4, 1)
    assert sizes_up_to(6) == (6, 1)
    assert sizes_up_to(1) == (1,)


def test_says_that_this_onnx_runtime_has_no_gpu(tmp_path: Path) -> None:
    options = RuntimeOptions("onnxruntime", "f32", device="cuda")
    with pytest.raises(CudaUnavailable, match="onnxruntime-gpu"):
        open_runtime(model_file(tmp_path, options), options)


@pytest.fixture
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime's bindings, overrides and sessions work alike; only the graphs are missing."""
    monkeypatch.setattr(cuda_runtime, "PROVIDER", "CPUExecutionProvider")
    monkeypatch.setattr(cuda_runtime, "_DEVICE", "cpu")


@pytest.mark.usefixtures("on_the_cpu")
@pytest.mark.parametrize("rows", [1, 3, 7, 21])
@pytest.mark.parametrize("lanes", [1, 2])
def test_every_row_gets_its_own_answer(tmp_path: Path, rows: int, lanes: int) -> None:
    runtime = CudaRuntime(_sums_of_pixels(tmp_path), "f32", chunk=8, lanes=lanes)
    rng = np.random.default_rng(rows)
    for _ in range(2):  # buffers are used again
        pixels_BSSC = rng.integers(0, 256, (rows, 4, 4, 3), np.uint8)
        sums_BC = runtime.run({"pixels": pixels_BSSC})
        assert np.array_equal(sums_BC, pixels_BSSC.sum(axis=(1, 2), dtype=np.float32))


@pytest.mark.usefixtures("on_the_cpu")
def test_answers_are_the_callers_own(tmp_path: Path) -> None:
    runtime = CudaRuntime(_sums_of_pixels(tmp_path), "f32", chunk=4, lanes=1)
    first_BC = runtime.run({"pixels": np.full((4, 4, 4, 3), 1, np.uint8)})
    runtime.run({"pixels": np.full((4, 4, 4, 3), 2, np.uint8)})
    assert np.all(first_BC == 16)


@pytest.mark.usefixtures("on_the_cpu")
def test_a_batch_dimension_of_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'rows'; allowed: 'batch'"):
        CudaRuntime(_sums_of_pixels(tmp_path, batch="rows"), "f32")


@pytest.mark.usefixtures("on_the_cpu")
def test_free_lengths_run_as_they_come(tmp_path: Path) -> None:
    runtime = CudaRuntime(_sums_of_pixels(tmp_path, side="side"), "f32", chunk=4)
    assert "no graphs" in runtime.description
    for side in (2, 5):
        sums_BC = runtime.run({"pixels": np.ones((9, side, side, 3), np.uint8)})
        assert sums_BC.shape == (9, 3)
        assert np.all(sums_BC == side * side)


def _sums_of_pixels(folder: Path, batch: str = "batch", side: int | str = 4) -> Path:
    """pixels uint8 [B, S, S, 3] -> embedding float32 [B, 3]."""
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["pixels"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["numbers", "axes"], ["embedding"], keepdims=0),
        ],
        "sums",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [batch, side, side, 3])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [batch, 3])],
        [helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path
