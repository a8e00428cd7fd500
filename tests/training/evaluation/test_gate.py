"""The gate lets noise pass, stops what is worse, and refuses to compare apples with pears."""

import copy
from typing import Any

import numpy as np
import pytest

from inkling_training.data import Record
from inkling_training.evaluation import gate, headline
from inkling_training.evaluation.bootstrap import Ratio
from tests.training.evaluation import small

pytestmark = pytest.mark.training

PICTURES = 400
RECORDS = [Record(f"p/{n}", "p", "val", b"", (), None) for n in range(PICTURES)]


def _report(columns: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A report with these figures, each the mean of a column."""
    ratios = {
        name: Ratio(np.asarray(values, dtype=np.float64), np.ones(len(values)))
        for name, values in columns.items()
    }
    kept = {"judged": headline.stored(RECORDS, ratios)}
    return {
        "schema": 2,
        "model": "new:1:00",
        "graph": "g",
        "data": {"fingerprint": "abc"},
        "settings": {"pictures": "all"},
        "operating point": {"top_n": 5, "min_score": 0.3},
        "headline": {name: {"value": ratio.value} for name, ratio in ratios.items()},
        "per picture": kept,
    } | changes


def _precisions(seed: int = 0) -> Any:
    return np.random.default_rng(seed).random(PICTURES)


def _verdicts(before: dict[str, Any], now: dict[str, Any]) -> dict[str, str]:
    found = gate.compare(before, now)
    return {difference.figure.name: difference.verdict for difference in found.differences}


def test_equal_reports_are_the_same() -> None:
    report = _report({"mAP a picture": _precisions()})
    comparison = gate.compare(report, report)
    assert [d.verdict for d in comparison.differences] == ["same"]
    assert comparison.exit_code() == gate.PASSED


def test_steady_gain_is_better_and_steady_loss_is_worse() -> None:
    before = _report({"mAP a picture": _precisions(), "precision": _precisions()})
    now = _report({"mAP a picture": _precisions() + 0.02, "precision": _precisions() - 0.02})
    assert _verdicts(before, now) == {"mAP a picture": "better", "precision": "worse"}
    assert gate.compare(before, now).exit_code() == gate.WORSE


def test_noise_passes_when_pictures_are_paired() -> None:
    shaken = _precisions() + np.random.default_rng(5).normal(-0.012, 0.6, PICTURES)
    before, now = (_report({"mAP a picture": values}) for values in (_precisions(), shaken))
    difference = gate.compare(before, now).differences[0]
    assert difference.change is not None
    assert abs(difference.change) > difference.figure.tolerance
    assert difference.verdict == "same"
    for report in (before, now):
        report.pop("per picture")
    assert gate.compare(before, now).differences[0].verdict in ("better", "worse")


def test_sure_but_tiny_change_is_the_same() -> None:
    before = _report({"mAP a picture": _precisions()})
    now = _report({"mAP a picture": _precisions() - 0.001})
    difference = gate.compare(before, now).differences[0]
    assert difference.around is not None
    assert difference.around.high < 0
    assert difference.verdict == "same"


def test_lower_is_better_for_errors() -> None:
    before, now = (_report({"Brier score": np.full(PICTURES, value)}) for value in (0.1, 0.11))
    assert _verdicts(before, now) == {"Brier score": "worse"}
    assert _verdicts(now, before) == {"Brier score": "better"}
    close = _report({"Brier score": np.full(PICTURES, 0.101)})  # within 2 % of the previous value
    assert _verdicts(before, close) == {"Brier score": "same"}


def test_figure_that_disappeared_fails_and_a_new_one_passes() -> None:
    both = _report({"mAP a picture": _precisions(), "precision": _precisions()})
    one = _report({"precision": _precisions()})
    assert _verdicts(both, one)["mAP a picture"] == "missing"
    assert gate.compare(both, one).exit_code() == gate.WORSE
    assert _verdicts(one, both)["mAP a picture"] == "new"
    assert gate.compare(one, both).exit_code() == gate.PASSED


def test_figure_of_nothing_counts_as_missing() -> None:
    before = _report({"precision": _precisions()})
    now = copy.deepcopy(before)
    now["headline"]["precision"]["value"] = None
    assert gate.compare(before, now).exit_code() == gate.WORSE


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": {"fingerprint": "other"}}, "the data changed: abc before, other now"),
        ({"data": {"fingerprint": "abc", "gold": "x"}}, "what counts as right changed"),
        ({"graph": "h"}, "the graph changed: g before, h now"),
        ({"data": {}}, "does not name its data"),
        ({"settings": {"pictures": "half"}}, "other pictures were judged"),
    ],
)
def test_other_data_or_graph_is_refused_unless_allowed(changes: dict[str, Any], told: str) -> None:
    before = _report({"precision": _precisions()})
    now = _report({"precision": _precisions()}, **changes)
    comparison = gate.compare(before, now)
    assert told in comparison.obstacles[0]
    assert told in gate.as_text(comparison)
    assert comparison.exit_code() == gate.REFUSED
    assert comparison.exit_code(allow_other_data=True) == gate.PASSED


def test_pictures_of_other_names_are_never_paired() -> None:
    before = _report({"precision": _precisions()})
    now = copy.deepcopy(before)
    now["per picture"]["judged"]["keys"] = "0" * 16
    assert gate.compare(before, now).differences[0].around is None


def test_moved_operating_point_is_said() -> None:
    before = _report({"precision": _precisions()})
    now = _report({"precision": _precisions()}, **{"operating point": {"top_n": 3}})
    assert "from 5 tags above 0.3 to 3 tags" in gate.compare(before, now).notes[0]


def test_report_of_the_first_schema_is_understood() -> None:
    before, now = small.old_report(), small.old_report(model="old:2:00")
    now["tagging, all parts"] = copy.deepcopy(now["tagging, all parts"])
    now["tagging, all parts"]["with prior"]["mean AP a picture"] = 0.3
    now["class accuracy"] = {"a": {"top1": 0.5}, "b": {"top1": 0.5}}
    verdicts = _verdicts(before, now)
    assert verdicts["mAP a picture"] == "worse"
    assert verdicts["class top-1, mean of parts"] == "better"
    assert verdicts["ECE pairs above .05"] == "same"
    assert "image->text R@1" not in verdicts
    assert gate.compare(before, now).exit_code() == gate.REFUSED
    assert gate.compare(before, now).exit_code(allow_other_data=True) == gate.WORSE


def test_stored_ratios_come_back() -> None:
    ratio = Ratio(np.array([1.0, 0.123456789]), np.array([2.0, 3.0]))
    kept = headline.stored(RECORDS[:2], {"precision": ratio, "coverage": Ratio(*np.ones((2, 2)))})
    assert "lower" not in kept["ratios"]["coverage"]
    keys, back = headline.ratios_of({"per picture": {"judged": kept}})["precision"]
    assert len(keys) == 16
    assert back.value == pytest.approx(ratio.value, rel=1e-6)
    assert headline.ratios_of({}) == {}
