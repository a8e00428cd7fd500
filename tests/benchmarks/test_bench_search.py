"""The search benchmark runs whole, small, and its data are what they are said to be."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bench_search, search_data
from benchmarks.search_ways import ways


def test_runs_small_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--quick", "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out")]
    bench_search.main([*arguments, "--alternatives", "rabitq"])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [result["tags"] for result in report["results"]] == [1_000, 3_000]
    for result in report["results"]:
        assert result["recall"]["exact"] == 1.0
        assert result["recall"]["approximate"] >= 0.95
        assert all(value > 0 for value in (*result["ms"].values(), result["batch_ms"]))
    assert report["criterion"]["met"] is False  # of a million tags, nothing was measured
    assert [other["way"] for other in report["alternatives"]] == ["RaBitQ fast scan"] * 2
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".md", ".png"}


def test_fewer_phrases_are_the_beginning_of_more() -> None:
    more, fewer = search_data.phrases(20_000), search_data.phrases(9_000)
    assert more[:9_000] == fewer
    assert len(set(more)) == 20_000
    assert (search_data.tag_counts(9_000) == search_data.tag_counts(20_000)[:9_000]).all()


def test_exponent_is_that_of_the_points() -> None:
    points = [(n, 3.0 * n**0.8) for n in (10_000, 30_000, 100_000)]
    assert bench_search.exponent(points) == pytest.approx(0.8)
    assert bench_search.exponent(points[:1]) is None


@pytest.mark.parametrize("name", ["hnsw", "ivf-rabitq", "ivf-sq8", "rabitq"])
def test_alternatives_find_what_is_near(name: str) -> None:
    rng = np.random.default_rng(0)
    rows_NE = rng.standard_normal((6_000, 33), np.float32)
    for way in ways(rows_NE, 20.0)[name]():
        found_BK = way.search(20 * rows_NE[:5])
        assert found_BK.shape == (5, 10)
        assert (found_BK[:, 0] == np.arange(5)).all()
