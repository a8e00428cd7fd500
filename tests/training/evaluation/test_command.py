"""The whole command on a tiny model that is right by construction, and on a worse one."""

import json
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path
from typing import Any

import pytest

from inkling_training.data import load_records
from inkling_training.evaluation import plots
from inkling_training.evaluation.__main__ import main
from inkling_training.evaluation.headline import HEADLINE
from inkling_training.held_out import keys_digest, validation
from tests.training.evaluation import tiny_repository

pytestmark = pytest.mark.training


class Workplace:
    """A folder with data, graph and two models; runs the command there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tiny_repository.write_data(folder / "data")
        tiny_repository.write_data(folder / "data", pictures=8, split="train")
        tiny_repository.write_graph(folder / "graph")
        tiny_repository.write_model(folder / "good")
        tiny_repository.write_model(folder / "bad", blurred=0.45, fingerprint="blurred")

    def run(self, *arguments: str, model: str = "good", data: str = "data") -> int:
        where = ("--data", str(self.folder / data), "--graph", str(self.folder / "graph"))
        return main(["--model-repository", str(self.folder / model), *where, *arguments])

    def report(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    def path(self, name: str) -> str:
        return str(self.folder / name)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    made = Workplace(tmp_path_factory.mktemp("evaluation"))
    assert made.run("--json", made.path("good.json")) == 0
    assert made.run("--json", made.path("bad.json"), model="bad") == 0
    return made


def test_report_holds_every_figure_and_says_how_it_was_made(place: Workplace) -> None:
    report = place.report("good.json")
    assert report["schema"] == 2
    assert report["model"] == "tiny:1:tiny"
    assert report["data"]["sources"] == {"coco-mini": 48, "photos": 48}
    assert set(report["headline"]) == {figure.name for figure in HEADLINE}
    for figure in report["headline"].values():
        assert figure["low"] <= figure["value"] <= figure["high"]
    everyday = report["tagging, by part"]["coco-mini"]
    assert set(everyday) == {"pictures", "with prior", "without prior", "most frequent tags"}
    assert everyday["with prior"]["mean AP a picture"] > 0.9
    assert report["class accuracy"]["photos"]["top1"] > 0.8
    assert set(report["slices"]) == {"source", "longer side", "right tags"}
    assert report["settings"]["seconds"] > 0


def test_equal_evaluations_give_equal_figures(place: Workplace) -> None:
    assert place.run("--json", place.path("again.json")) == 0
    first, second = place.report("good.json"), place.report("again.json")
    for report in (first, second):
        del report["settings"]["seconds"], report["settings"]["peak memory MiB"]
    assert first == second


def test_gate_passes_the_same_model_and_stops_a_worse_one(
    place: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    against = ("--baseline", place.path("good.json"), "--gate")
    assert main(["--report", place.path("good.json"), *against]) == 0
    assert "gate: passed" in capsys.readouterr().out
    assert main(["--report", place.path("bad.json"), *against]) == 1
    assert "gate: WORSE" in capsys.readouterr().out
    # the other way round it is progress
    assert main(["--report", place.path("good.json"), "--baseline", place.path("bad.json")]) == 0
    assert "better" in capsys.readouterr().out


def test_gate_refuses_other_data_unless_allowed(
    place: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_repository.write_data(place.folder / "other", seed=7)
    against = ("--baseline", place.path("good.json"), "--gate")
    assert place.run(*against, "--json", place.path("other.json"), data="other") == 2
    assert "the data changed" in capsys.readouterr().out
    again = ("--report", place.path("other.json"), *against, "--allow-other-data")
    assert main([*again]) in (0, 1)
    assert "REFUSED" not in capsys.readouterr().out


def test_page_is_written_with_and_without_pictures(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "draw", lambda report: {})  # slow, and seen by test_page
    options = ("--dimensions", "2", "--baseline", place.path("bad.json"))
    written = ("--html", place.path("page.html"), "--json", place.path("page.json"))
    assert place.run(*written, *options) == 0
    assert set(place.report("page.json")["nested dimensions"]) == {"3", "2"}
    page = place.folder.joinpath("page.html").read_text()
    ET.fromstring(page)
    assert page.count("<img") == 8
    assert 'id="comparison"' in page
    assert place.run("--html", place.path("plain.html"), "--no-pictures") == 0
    plain = place.folder.joinpath("plain.html").read_text()
    ET.fromstring(plain)
    assert "<img" not in plain


def test_page_can_be_made_from_a_report_alone(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "draw", lambda report: {})
    page = place.path("later/page.html")
    assert main(["--report", place.path("good.json"), "--html", page]) == 0
    ET.parse(page)


def test_cache_is_of_these_pictures_and_this_model(place: Workplace) -> None:
    cache = place.folder / "cache"
    with_cache = ("--cache", str(cache), "--json")
    for _ in range(2):
        assert place.run(*with_cache, place.path("cached.json")) == 0
    assert len(list(cache.iterdir())) == 2
    assert place.report("cached.json")["headline"] == place.report("good.json")["headline"]
    tiny_repository.write_data(place.folder / "third", seed=3)
    assert place.run(*with_cache, place.path("third.json"), data="third") == 0
    assert len(list(cache.iterdir())) == 3


def test_unseen_classes_and_small_reports(place: Workplace) -> None:
    chosen = place.folder / "unseen.json"
    chosen.write_text('["red", "blue"]')
    options = ("--unseen", str(chosen), "--no-per-picture", "--json", place.path("unseen.json.out"))
    assert place.run(*options) == 0
    report = place.report("unseen.json.out")
    assert report["unseen classes"]["photos"]["unseen classes"] == 2
    assert report["unseen classes"]["photos"]["top1 of unseen"] > 0.8
    assert "per picture" not in report


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--dimensions", "4"), "3 dimensions: cannot be cut to 4"),
        (("--version", "9"), "manifest.json"),
        (("--data", "nowhere"), "no pictures of split 'val'"),
        (("--baseline", "nowhere.json"), "cannot be read"),
    ],
)
def test_wrong_inputs_are_explained(
    place: Workplace,
    arguments: tuple[str, ...],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert place.run(*arguments) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--report", "x", "--gate"], ["--dimensions", "a,b"]])
def test_wrong_arguments_end_early(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_pictures_that_fitted_the_calibration_are_not_judged(
    place: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_repository.write_model(place.folder / "fitted")
    path = place.folder / "fitted" / "vision_encoder" / "1" / "calibration.json"
    document = json.loads(path.read_text())
    half = [
        record
        for record in validation(load_records(place.folder / "data"))
        if zlib.crc32(record.key.encode()) % 2 == 0
    ]
    path.write_text(
        json.dumps(
            document | {"fitted_on": keys_digest(record.key for record in half), "format": 2}
        )
    )
    assert place.run("--pictures", "all", model="fitted") == 2
    assert "fitted the calibration" in capsys.readouterr().err
    assert place.run("--pictures", "all") == 0
