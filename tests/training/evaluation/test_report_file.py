"""Reports are JSON that any reader takes, with lists on one line."""

import json
from pathlib import Path

import numpy as np
import pytest

from inkling_training.evaluation.report_file import (
    ReportInvalid,
    as_json,
    read_report,
    write_report,
)
from tests.training.evaluation import small

pytestmark = pytest.mark.training


def test_written_reports_come_back(tmp_path: Path) -> None:
    report = small.old_report(extra={"list": [1, 2.5], "none": None, "ü": "ß"})
    write_report(tmp_path / "new" / "report.json", report)
    assert read_report(tmp_path / "new" / "report.json") == report


def test_numbers_that_json_lacks_are_null_and_lists_are_short() -> None:
    value = {"a": float("nan"), "b": [np.float64(1 / 3), np.int64(7), float("inf")], "c": {}}
    assert json.loads(as_json(value)) == {"a": None, "b": [0.33333, 7, None], "c": {}}
    assert as_json({"rows": [[1, 2], [3]]}) == '{\n "rows": [\n  [1, 2],\n  [3]\n ]\n}'
    assert json.loads(as_json({"f": np.float64(1 / 3)}))["f"] == 1 / 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "is no evaluation"),
        ('{"model": "m"}', "is no evaluation"),
        ('{"model": "m", "operating point": {}, "schema": 99}', "schema 99; this program knows 1"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ReportInvalid, match=told):
        read_report(path)
    with pytest.raises(ReportInvalid, match="cannot be read"):
        read_report(tmp_path / "missing.json")
