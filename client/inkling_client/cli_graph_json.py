"""The shapes of `inkling graph ... --json`: one object a line, keys only ever added.

The keys are the fields of the client's values (`graph_results.py`, `refresh_results.py`); times are
ISO 8601 in UTC. Lines are pure ASCII, as in `cli_json.py`.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from inkling_client.cli_json import DIGITS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def value_line(value: "DataclassInstance", **more: Any) -> str:
    """One value's line, without the line's end; `more` are further keys, in front."""
    return json.dumps(_plain({**more, **asdict(value)}))


def line(**fields: Any) -> str:
    """A line of these keys; values of the client become objects."""
    return json.dumps(
        _plain(
            {k: asdict(v) if hasattr(v, "__dataclass_fields__") else v for k, v in fields.items()}
        )
    )


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
