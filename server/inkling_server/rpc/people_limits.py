"""Checks that requests about content and people share.

What they say names fields and limits, never ids.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from google.protobuf import timestamp_pb2

from inkling_server.errors import ArgumentOutOfRange

MAX_ID_LENGTH = 200
# PostgreSQL's own range ends later; before this no picture was taken.
_EARLIEST = datetime(1800, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=1)


def check_id(field: str, value: str) -> str:
    """An id of the caller's. Raises ArgumentOutOfRange."""
    if not value:
        raise ArgumentOutOfRange(field, "empty", f"1 to {MAX_ID_LENGTH} characters")
    if len(value) > MAX_ID_LENGTH:
        raise ArgumentOutOfRange(
            field, f"{len(value):,} characters", f"1 to {MAX_ID_LENGTH} characters"
        )
    if "\0" in value:
        raise ArgumentOutOfRange(field, "holds a NUL character", "any other characters")
    return value


def check_ids(field: str, values: Sequence[str], most: int, *, least: int = 1) -> tuple[str, ...]:
    """Several ids. Raises ArgumentOutOfRange."""
    if not least <= len(values) <= most:
        raise ArgumentOutOfRange(field, f"{len(values):,} of them", f"{least} to {most:,}")
    for value in values:
        check_id(field, value)
    return tuple(values)


def check_count(field: str, value: int, least: int, most: int) -> int:
    """A number of things. Raises ArgumentOutOfRange."""
    if not least <= value <= most:
        raise ArgumentOutOfRange(field, f"{value:,}", f"{least} to {most:,}")
    return value


def to_datetime(field: str, value: timestamp_pb2.Timestamp) -> datetime:
    """A moment that something happened at. Raises ArgumentOutOfRange."""
    try:
        time = value.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ArgumentOutOfRange(field, "no valid time", "a timestamp") from None
    if not _EARLIEST <= time <= datetime.now(UTC) + _AHEAD:
        raise ArgumentOutOfRange(
            field, "too far from now", f"{_EARLIEST.year} to one day ahead of the server's clock"
        )
    return time
