"""The shapes of `--json`: one object a line, keys only ever added.

    {"path": "a.jpg", "tags": [{"interest_id": "…", "phrase": "cat", "score": 0.8123}],
     "graph_version": "…", "model_version": "…"}
    {"path": "b.jpg", "error": {"reason": "IMAGE_INVALID", "code": "INVALID_ARGUMENT",
     "message": "…", "metadata": {}}}

    {"path": "c.mp4", "tags": [{…, "intervals": [[1.5, 4.0]], "best_time_s": 2.0, "share": 0.25}],
     "video": {"duration_s": 10.0, …}, "overlay_text": "", "transcript": "", …}

Lines are pure ASCII, so that no terminal's or pipe's encoding can break them.
"""

import json
import sys
from dataclasses import asdict
from typing import Any

from inkling_client.errors import InklingClientError
from inkling_client.results import ServerInfo, Tag, TagResult
from inkling_client.video_results import VideoResult

# float32 carries no more; and 0.8 prints as 0.8.
DIGITS = 6


def outcome_line(path: str, outcome: TagResult | InklingClientError) -> str:
    """One picture's line, without the line's end."""
    if isinstance(outcome, InklingClientError):
        return json.dumps({"path": path, "error": error_fields(outcome)})
    return json.dumps(
        {
            "path": path,
            "tags": [tag_fields(tag) for tag in outcome.tags],
            "graph_version": outcome.graph_version,
            "model_version": outcome.model_version,
        }
    )


def video_line(path: str, result: VideoResult) -> str:
    """One video's line, without the line's end."""
    return json.dumps(
        {
            "path": path,
            "tags": [
                {
                    **tag_fields(one.tag),
                    "intervals": [
                        [round(i.start_s, DIGITS), round(i.end_s, DIGITS)] for i in one.intervals
                    ],
                    "best_time_s": one.best_time_s,
                    "share": round(one.share, DIGITS),
                }
                for one in result.tags
            ],
            "video": _rounded(asdict(result.facts)),
            "overlay_text": result.overlay_text,
            "transcript": result.transcript,
            "graph_version": result.graph_version,
            "model_version": result.model_version,
        }
    )


def info_line(info: ServerInfo, target: str) -> str:
    """A server's line: the fields of `ServerInfo`, and the target that was asked."""
    time = info.calibrated_time
    return json.dumps(
        {
            "target": target,
            **_rounded(asdict(info)),
            "calibrated_time": time.isoformat() if time else None,
        }
    )


def tag_fields(tag: Tag) -> dict[str, Any]:
    """A tag as an object."""
    fields = _rounded(asdict(tag))
    if tag.explanation is None:
        del fields["explanation"]
    return fields


def error_fields(error: InklingClientError) -> dict[str, Any]:
    """An error as an object."""
    fields: dict[str, Any] = {
        "reason": error.reason,
        "code": error.code.name,
        "message": error.message,
        "metadata": error.metadata,
    }
    if error.retry_after_s is not None:
        fields["retry_after_s"] = error.retry_after_s
    return fields


def _rounded(fields: dict[str, Any]) -> dict[str, Any]:
    """Rounds floats, also in nested dictionaries and in lists of them."""
    return {
        key: round(value, DIGITS)
        if isinstance(value, float)
        else _rounded(value)
        if isinstance(value, dict)
        else [_rounded(one) if isinstance(one, dict) else one for one in value]
        if isinstance(value, list | tuple)
        else value
        for key, value in fields.items()
    }


def write(text: str) -> None:
    """One line to stdout, at once: a program may be reading."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
