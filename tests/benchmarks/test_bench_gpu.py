"""The GPU benchmark runs whole on a CPU, tiny; its report holds what sections have left."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from benchmarks import bench_gpu, gpu_report
from benchmarks.gpu_models import SHAPES, TINY, flops_per_picture, make_encoder
from benchmarks.gpu_path import Run, make_repository, runs


def test_sections_run_small_and_make_one_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apart, here = "encoder,ort", "ceilings,index-torch,index,decode"
    for name in here.split(","):
        bench_gpu.run_section(name, tmp_path, small=True, seconds=1.0)
    bench_gpu.main(
        ["--small", "--only", apart, "--work", str(tmp_path), "--out", str(tmp_path / "out")]
    )
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(report["ends"].values()) == {"done"}
    assert set(report["sections"]) == {*apart.split(","), *here.split(",")}
    ways = {(row["network"], row["way"]) for row in report["shares"]}
    assert ways == {(name, way) for name in TINY for way in ("eager", "ort", "served")}
    assert {row["way"] for row in report["sections"]["index"]} == {"faiss", "TagIndex"}
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".md"}


def test_report_is_made_of_whatever_is_there(tmp_path: Path) -> None:
    (tmp_path / "decode.json").write_text('{"cores": 2, "cpu": {"1": 300.0}, "nvjpeg": {}}')
    report = gpu_report.collect(tmp_path, tuple(bench_gpu.SECTIONS), {"path": "stopped after 1 s"})
    page = "\n".join(gpu_report.as_markdown(report))
    assert "CPU, 1 threads: 300" in page
    assert "Not whole: path: stopped after 1 s" in page


def test_shares_are_of_the_measured_ceilings(tmp_path: Path) -> None:
    ceilings = {"matmul_bfloat16_tflops": 100.0, "matmul_float16_tflops": 200.0, "copy_tbps": 2.0}
    network = {"dtype": "bfloat16", "gflop_per_picture": 10.0, "mb_per_picture": 4.0}
    (tmp_path / "ceilings.json").write_text(json.dumps(ceilings))
    (tmp_path / "encoder.json").write_text(json.dumps({"x": network | {"eager": {"8": 5_000.0}}}))
    (tmp_path / "ort.json").write_text(json.dumps({"x": {"ort": {"8": 5_000.0}}}))
    eager, ort = gpu_report.collect(tmp_path, tuple(bench_gpu.SECTIONS), {})["shares"]
    assert eager["of_matmul"] == pytest.approx(0.5)  # 5,000 * 10 GFLOP of 100 TFLOP/s
    assert ort["of_matmul"] == pytest.approx(0.25)  # float16's own ceiling
    assert eager["of_copy"] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("name", "gflop"), [("mobilenet-v2", 0.6), ("vit-b-32", 8.7), ("vit-b-16", 35.1)]
)
def test_networks_cost_what_is_published(name: str, gflop: float) -> None:
    """Twice the multiply-adds: 300 M (Sandler et al.), 4.4 G and 17.6 G (timm's table)."""
    import torch

    with torch.device("meta"):
        encoder = make_encoder(SHAPES[name], device="meta", dtype=torch.float32)
        pixels = torch.empty(1, 224, 224, 3, dtype=torch.uint8)
    assert flops_per_picture(encoder, pixels) / 1e9 == pytest.approx(gflop, rel=0.04)


def test_repository_for_a_gpu_has_a_float16_graph_and_asks_for_it(tmp_path: Path) -> None:
    run = Run("inkling-small", "cuda", processes=1, clients=1)
    repository = make_repository(run, tmp_path / "models", tmp_path)
    (vision,) = (repository / "vision_encoder").glob("*/runtime.json")
    assert json.loads(vision.read_text())["device"] == "cuda"
    assert (vision.parent / "model_f16.onnx").is_file()
    config = (repository / "vision_encoder" / "config.pbtxt").read_text()
    assert "max_batch_size: 64" in config


def test_the_most_telling_runs_come_first() -> None:
    plan = runs(16)
    assert plan[0].model == "inkling-small"
    assert plan[0].device == "cuda"
    assert {run.device for run in plan} == {"cuda", "cpu"}
