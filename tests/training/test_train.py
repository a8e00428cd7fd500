"""The whole sequence on tiny towers and drawn pictures: features, train, resume, export,
calibrate, evaluate.
"""

import io
import json
import sys
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inkling_server.interests.graph import Interest, make_snapshot
from inkling_server.interests.snapshot import save_snapshot
from inkling_server.model_manifest import load_calibration, load_manifest
from inkling_training import calibrate, evaluate, export, features, train
from tests.training import tiny_towers

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings(
        "ignore::torch.jit.TracerWarning", "ignore:Constant folding:UserWarning"
    ),
]

COLOURS = {
    "dog": (160, 110, 60),
    "cat": (90, 90, 90),
    "beach": (230, 210, 140),
    "ball": (220, 30, 30),
}


def _write_data(folder: Path) -> None:
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    for source in ("caltech-101", "coco-mini"):
        with tarfile.open(folder / "images" / f"{source}-000.tar", "w") as shard:
            for number in range(24):
                tag = list(COLOURS)[number % 4]
                noise = rng.integers(-20, 20, (40, 50, 3))
                drawn = np.clip(np.array(COLOURS[tag]) + noise, 0, 255).astype(np.uint8)
                picture = io.BytesIO()
                Image.fromarray(drawn).save(picture, "webp")
                document = {
                    "source": source,
                    "split": "train" if number < 12 else "val",
                    "tags": [tag],
                    "class": tag,
                    "captions": [f"a red {tag}"],
                }
                bodies = {"webp": picture.getvalue(), "json": json.dumps(document).encode()}
                for suffix, body in bodies.items():
                    member = tarfile.TarInfo(f"{number:03}.{suffix}")
                    member.size = len(body)
                    shard.addfile(member, io.BytesIO(body))


def _call(monkeypatch: pytest.MonkeyPatch, module: object, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [str(module), *arguments])
    module.main()  # type: ignore[attr-defined]


def test_the_whole_sequence_makes_a_calibrated_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, cache, run, out = (tmp_path / name for name in ("data", "cache", "run", "repository"))
    _write_data(data)
    phrases = ["animal", "ball", "beach", "cat", "dog", "pet", "sand"]
    interests = [Interest(phrase, phrase, (), 10 * n) for n, phrase in enumerate(phrases)]
    save_snapshot(make_snapshot(interests, datetime(2026, 1, 1, tzinfo=UTC)), tmp_path / "graph")
    vision = tiny_towers.save_classifier(tmp_path / "vision")
    text = tiny_towers.save_text_model(tmp_path / "text")
    side = str(tiny_towers.SIDE)
    where = ("--data", str(data), "--graph", str(tmp_path / "graph"))
    towers = ("--vision", vision, "--text", text)

    _call(
        monkeypatch,
        features,
        "--data",
        str(data),
        "--vision",
        vision,
        "--out",
        str(cache),
        "--views",
        "3",
        "--size",
        side,
    )
    assert features.open_view(cache, 2).shape[:2] == (48, 1)

    learn = (
        *where,
        *towers,
        "--cache",
        str(cache),
        "--views",
        "3",
        "--batch",
        "16",
        "--dimension",
        "16",
    )
    _call(monkeypatch, train, *learn, "--out", str(run), "--steps", "6", "--contrast", "sigmoid")
    first = torch.load(run / "checkpoint.pt")
    assert first["step"] == 6
    _call(monkeypatch, train, *learn, "--out", str(run), "--steps", "8")
    assert torch.load(run / "checkpoint.pt")["step"] == 8

    _call(
        monkeypatch,
        export,
        "--run",
        str(run),
        *towers,
        "--out",
        str(out),
        "--size",
        side,
        "--name",
        "tiny",
    )
    assert load_manifest(out).dimension == 16

    measure = (*where, "--model-repository", str(out), "--cache", str(cache))
    _call(monkeypatch, calibrate, *measure)
    calibration = load_calibration(out)
    assert 0 <= calibration.ece < 1
    assert calibration.recommended.top_n == calibrate.TOP_N

    card = tmp_path / "evaluation.json"
    _call(monkeypatch, evaluate, *measure, "--json", str(card))
    figures = json.loads(card.read_text())
    assert figures["model"].startswith("tiny:1:")
    everyday = figures["tagging, by part"]["coco-mini"]
    assert set(everyday) == {"pictures", "with prior", "without prior", "most frequent tags"}
    assert "step 8/8" in capsys.readouterr().out
