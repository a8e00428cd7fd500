"""The report as JSON: for the gate, for comparisons over time, for the page.

Lists of numbers stay on one line, so that a committed report has readable differences; a number
that does not exist (a precision of nothing) is null. It does not know what the numbers mean.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

SCHEMA = 2
_DIGITS = 5  # significant, within long lists; figures outside of lists are written in full


class ReportInvalid(ValueError):
    """A file that should hold an evaluation does not."""


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Writes `report`, making folders as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_json(report) + "\n", encoding="utf-8")


def read_report(path: Path) -> dict[str, Any]:
    """Reads a report of any schema.

    Raises:
        ReportInvalid: the file is no evaluation, or of a newer schema than this program knows.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ReportInvalid(f"{path.name} cannot be read as JSON: {error}") from error
    if not isinstance(report, dict) or "model" not in report or "operating point" not in report:
        raise ReportInvalid(f"{path.name} is no evaluation: it names no model or operating point")
    if report.get("schema", 1) > SCHEMA:
        raise ReportInvalid(
            f"{path.name} has schema {report['schema']}; this program knows 1 to {SCHEMA}"
        )
    return report


def as_json(value: Any, indent: int = 0) -> str:
    """JSON text with one level of indentation a level, and flat lists on one line."""
    inner = " " * (indent + 1)
    if isinstance(value, Mapping) and value:
        rows = [
            f"{inner}{json.dumps(str(key), ensure_ascii=False)}: {as_json(item, indent + 1)}"
            for key, item in value.items()
        ]
        return "{\n" + ",\n".join(rows) + "\n" + " " * indent + "}"
    if isinstance(value, list | tuple):
        if any(isinstance(item, Mapping | list | tuple) for item in value):
            rows = [inner + as_json(item, indent + 1) for item in value]
            return "[\n" + ",\n".join(rows) + "\n" + " " * indent + "]"
        return json.dumps([_short(item) for item in value], ensure_ascii=False)
    return json.dumps(_plain(value), ensure_ascii=False)


def _short(value: Any) -> Any:
    plain = _plain(value)
    return float(f"{plain:.{_DIGITS}g}") if isinstance(plain, float) else plain


def _plain(value: Any) -> Any:
    """A value that JSON has; nan and infinity are null."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {}
    return value
