"""The benchmark's quick mode runs through, and its table says what held."""

import json
from pathlib import Path

import pytest

from benchmarks import bench_siamese
from benchmarks.siamese_table import shape, table
from tests.training import tiny_towers

pytestmark = pytest.mark.training


def test_the_quick_mode_reports_every_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    tower = tiny_towers.save_classifier(tmp_path / "tower")

    arguments = ["--quick", "--tower", tower, "--tower-size", "64", "--work", str(tmp_path / "w")]
    bench_siamese.main([*arguments, "--out", str(tmp_path / "out")])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    bench_siamese.main(arguments)  # reads what it measured

    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == report
    rows = report["sets"]["drawn"]["rows"]
    assert list(rows)[:3] == ["random", "SIFT bag of words", "AlexNet, classification"]
    assert len(rows) == 16
    assert all(0 <= value <= 1 for row in rows.values() for value in row["mAP"])
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".json", ".md", ".png"]


def _rows(hybrid: float, sift: float = 0.2) -> dict[str, dict[str, list[float]]]:
    return {
        "random": {"mAP": [0.1]},
        "SIFT bag of words": {"mAP": [sift]},
        "net, classification": {"mAP": [0.5, 0.5]},
        "net, siamese, warm": {"mAP": [0.4, 0.6]},
        "hybrid, plain: net, classification + siamese, warm": {"mAP": [hybrid, hybrid]},
    }


def test_the_shape_is_judged_by_the_better_half() -> None:
    (held,) = shape(_rows(0.55)).values()
    (missed,) = shape(_rows(0.49, sift=0.05)).values()

    assert held["hybrid >= singles"] is True
    assert held["singles > SIFT"] is True
    assert held["lead over the better half, each seed"] == [0.05, -0.05]
    assert missed["hybrid >= singles"] is False
    assert missed["SIFT > random"] is False


def test_the_table_says_no_where_the_shape_does_not_hold() -> None:
    found = {
        "classes": 4,
        "train": 10,
        "val": 5,
        "rows": _rows(0.3),
        "chosen": {"AlexNet": {"siamese": {"margin": 1.0, "weight": 0.5}}},
        "budget": {"size": 48, "width": 0.5, "epochs": 2, "warm_epochs": 1, "seeds": 2},
        "shape": shape(_rows(0.3)),
    }
    report = {
        "hardware": "here",
        "date": "2026-01-01",
        "threads": 1,
        "cpu_s": 1,
        "versions": {},
        "tower": None,
        "sets": {"places": found},
    }
    text = "\n".join(table(report))

    assert "hybrid >= singles: NO" in text
    assert "| net, siamese, warm | 0.500 ± 0.141 |" in text
    assert "margin 1.0, weight 0.5" in text
