"""What an export writes: every target and precision, whole or not at all, next to what is there."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from inkling_server.model_manifest import PixelSpec, load_calibration, load_manifest
from inkling_server.runtimes import model_file, open_runtime, options_from
from inkling_training.export import ExportReport, ParityFailed, variants, write_version
from inkling_training.export.__main__ import main
from inkling_training.export.repository import RepositoryMismatch
from inkling_training.export.variants import FLOORS, Precision, Target
from inkling_training.models.loaded import LoadedModel
from inkling_training.models.sources import load_source
from tests.training.export.tiny_duals import PHRASES, pictures, save_whole_clip
from tests.training.tiny_towers import SIDE

pytestmark = pytest.mark.training

TEXTS = tuple(PHRASES)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_source(save_whole_clip(tmp_path_factory.mktemp("hub") / "tiny-clip"))


@pytest.fixture(scope="module")
def first(clip: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    """Version 1 of a repository that tests add to."""
    out = tmp_path_factory.mktemp("out") / "models"
    return write_version(clip, out, texts=TEXTS, provisional=True)


@pytest.fixture
def models(first: ExportReport) -> Path:
    return first.vision.parent.parent


def served(report: ExportReport, pixels_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """As the Python backend runs it."""
    options = options_from({}, report.vision)
    rows_BD = open_runtime(model_file(report.vision, options), options).run({"pixels": pixels_BHWC})
    return np.asarray(rows_BD / np.linalg.norm(rows_BD, axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("target", "precision", "files"),
    [
        ("onnxruntime", "fp32", {"model.onnx"}),
        ("onnxruntime", "bf16", {"model.onnx"}),
        ("onnxruntime", "int8", {"model.onnx"}),
        ("openvino", "fp16", {"model.onnx", "model.xml", "model.bin"}),
        ("openvino", "bf16", {"model.onnx", "model.xml", "model.bin"}),
        ("tensorrt", "fp16", {"model.onnx"}),
    ],
)
def test_variant_serves_what_torch_says(
    clip: LoadedModel, models: Path, target: Target, precision: Precision, files: set[str]
) -> None:
    report = write_version(clip, models, target=target, precision=precision, texts=TEXTS)
    around = {"model.py", "manifest.json", "parity.json", "runtime.json"}
    assert {path.name for path in report.vision.iterdir()} == files | around
    pixels_BHWC = pictures(3)
    with torch.inference_mode():
        wanted_BD = clip.vision(torch.from_numpy(pixels_BHWC)).numpy()
    cosines_B = (served(report, pixels_BHWC) * wanted_BD).sum(axis=1)
    assert cosines_B.min() >= FLOORS[precision].least
    assert cosines_B.mean() >= FLOORS[precision].mean
    document = json.loads((report.vision / "parity.json").read_text())
    assert (document["target"], document["precision"]) == (target, precision)
    assert {"runtime", "pictures_least", "tags_kept"} <= document["agreements"][0].keys()
    assert "grey_levels" in document["decoding"]


@pytest.mark.parametrize(("matrices", "chunk"), [(0.9, 8), (0.1, 4)])
def test_transformers_run_more_rows_at_a_time_on_a_cpu(
    clip: LoadedModel, models: Path, monkeypatch: pytest.MonkeyPatch, matrices: float, chunk: int
) -> None:
    monkeypatch.setattr(variants, "matrix_share", lambda path: matrices)
    report = write_version(clip, models, texts=TEXTS)
    assert options_from({"chunk": "4"}, report.vision).chunk == chunk


def test_int8_by_nncf_is_calibrated_on_the_given_pictures(clip: LoadedModel, models: Path) -> None:
    pytest.importorskip("nncf")
    report = write_version(clip, models, target="openvino", precision="int8", texts=TEXTS)
    assert re.search(r"int8 by NNCF on \d+ pictures", report.notes[0])
    assert "FakeQuantize" in (report.vision / "model.xml").read_text()


def test_missing_tensorrt_is_said_and_onnx_serves(clip: LoadedModel, tmp_path: Path) -> None:
    report = write_version(clip, tmp_path, target="tensorrt", texts=TEXTS)
    assert any("NO TENSORRT ENGINE" in note for note in report.notes)
    configs = {path.name for path in (tmp_path / "vision_encoder" / "configs").iterdir()}
    assert configs == {"onnxruntime.pbtxt", "tensorrt_onnx.pbtxt"}
    assert (report.vision / "model.onnx").is_file()


def test_manifest_and_provisional_calibration(first: ExportReport, models: Path) -> None:
    manifest = load_manifest(models, 1)
    assert manifest.model_version == first.model_version
    assert (manifest.name, manifest.dimension) == ("tiny-clip", 16)
    assert manifest.image == PixelSpec(SIDE, "crop", 0.5)
    calibration = load_calibration(models, 1)
    assert "provisional" in calibration.split
    assert calibration.scale == pytest.approx(14.2849, abs=1e-3)
    assert calibration.model_fingerprint == manifest.fingerprint
    assert calibration.ece == 1.0
    assert any("inkling-calibrate" in note for note in first.notes)


def test_without_being_asked_no_calibration_is_written(clip: LoadedModel, tmp_path: Path) -> None:
    write_version(clip, tmp_path, texts=TEXTS)
    with pytest.raises(FileNotFoundError, match=r"calibration\.json"):
        load_calibration(tmp_path)


def test_versions_count_up_and_may_be_replaced_only_when_asked(
    clip: LoadedModel, tmp_path: Path
) -> None:
    assert write_version(clip, tmp_path, texts=TEXTS).version == 1
    config = (tmp_path / "vision_encoder" / "config.pbtxt").read_bytes()
    assert write_version(clip, tmp_path, texts=TEXTS).version == 2
    assert write_version(clip, tmp_path, version=7, texts=TEXTS).version == 7
    with pytest.raises(FileExistsError, match="free is 8"):
        write_version(clip, tmp_path, version=7, texts=TEXTS)
    renamed = replace(clip, name="other")
    write_version(renamed, tmp_path, version=7, texts=TEXTS, replace=True)
    assert load_manifest(tmp_path).name == "other"
    assert (tmp_path / "vision_encoder" / "config.pbtxt").read_bytes() == config
    assert not list(tmp_path.glob("*/.*"))


def test_fingerprint_covers_template_and_weights(clip: LoadedModel, first: ExportReport) -> None:
    out = first.vision.parent.parent
    same = write_version(clip, out, texts=TEXTS)
    assert same.fingerprint == first.fingerprint
    spec = replace(clip.text_spec, template="a photo of {}")
    templated = write_version(replace(clip, text_spec=spec), out, texts=TEXTS)
    other = write_version(clip, out, texts=TEXTS, precision="fp32")
    assert len({first.fingerprint, templated.fingerprint, other.fingerprint}) == 3


class Drifting(torch.nn.Module):
    """Right in torch, wrong in the exported graph."""

    def __init__(self, vision: torch.nn.Module) -> None:
        super().__init__()
        self.vision = vision

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        rows: torch.Tensor = self.vision(pixels)
        return -rows if torch.onnx.is_in_onnx_export() else rows


def test_drift_is_refused_and_leaves_nothing(clip: LoadedModel, tmp_path: Path) -> None:
    drifting = replace(clip, vision=Drifting(clip.vision))
    with pytest.raises(ParityFailed, match=r"least cosine -1\.0+ < 0\.9999.*\n.*parity with torch"):
        write_version(drifting, tmp_path, texts=TEXTS)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    report = write_version(drifting, tmp_path, texts=TEXTS, allow_drift=True)
    assert any("BELOW THE FLOOR" in note for note in report.notes)


def test_repository_of_other_sizes_is_refused(clip: LoadedModel, models: Path) -> None:
    before = sorted(models.rglob("*"))
    with pytest.raises(RepositoryMismatch, match=r"embedding of \[16\], this model \[8\]"):
        write_version(replace(clip, dimension=8), models, texts=TEXTS)
    assert sorted(models.rglob("*")) == before


def test_draft_is_no_version_until_it_is_whole(
    clip: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inkling_training.export import parity

    seen: list[list[str]] = []
    real = parity.decoding_of

    def looking(*args: object) -> object:
        seen.append([path.name for path in tmp_path.glob("*/*") if path.name.isdigit()])
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(parity, "decoding_of", looking)
    write_version(clip, tmp_path, texts=TEXTS)
    assert seen == [[]]
    assert load_manifest(tmp_path).version == 1


def test_command_line_writes_a_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save_whole_clip(tmp_path / "tiny-clip")
    out = tmp_path / "models"
    command = ["--from", str(source), "--out", str(out), "--name", "mine", "--dimension", "8"]
    main([*command, "--template", "a photo of {}"])
    printed = capsys.readouterr().out
    assert "parity with torch" in printed
    assert re.search(r"^mine:1:[0-9a-f]{16} ", printed, re.MULTILINE)
    assert "inkling-calibrate" in printed
    manifest = load_manifest(out)
    assert (manifest.dimension, manifest.text.template) == (8, "a photo of {}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--template", "a photo"], "{}"),
        (["--target", "tensorrt", "--precision", "int8"], "int8 engines are not offered"),
        (["--dimension", "99"], "1 to 16 dimensions, not 99"),
    ],
)
def test_command_line_says_what_is_wrong(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save_whole_clip(tmp_path / "tiny-clip")
    with pytest.raises(SystemExit) as stopped:
        main(["--from", str(source), "--out", str(tmp_path / "models"), *arguments])
    assert said in str(stopped.value) + capsys.readouterr().err


def _weight_types(path: Path) -> Iterator[int]:
    return (tensor.data_type for tensor in onnx.load(path).graph.initializer)


def test_graphs_hold_few_bytes_and_standard_operators(first: ExportReport) -> None:
    graph = onnx.load(first.vision / "model.onnx")
    assert graph.opset_import[0].version == 20
    assert {node.domain for node in graph.graph.node} == {""}
    assert onnx.TensorProto.FLOAT16 in _weight_types(first.vision / "model.onnx")
