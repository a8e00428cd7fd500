"""Values as PostgreSQL's jsonb takes them: it has no NUL in texts, and no NaN."""

import json
from collections.abc import Mapping
from typing import Any


def to_json(value: Mapping[str, Any]) -> str:
    """JSON that PostgreSQL takes: it has no NUL in texts. Raises ValueError for NaN."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if "\\u0000" in text:
        text = json.dumps(without_nul(value), ensure_ascii=False, allow_nan=False)
    return text


def without_nul(value: Any) -> Any:
    """The same without NUL in any text of it."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, Mapping):
        return {without_nul(key): without_nul(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nul(part) for part in value]
    return value
