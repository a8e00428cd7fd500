"""Pages: how large they are, and the tokens that say where the next one begins.

    token = base64url(JSON [digest, place...]), digest = SHA-256 of RPC, request and place

A token carries all that the next page needs, so the server remembers nothing and any replica can
answer. It is bound to its request: whatever else changes in the request (another filter, another
order) makes it void. The digest catches mistakes, it keeps no secret: a caller who forges a token
sees a page that it could have asked for anyway. This module does not know what is on a page.
"""

import base64
import binascii
import hashlib
import json
from typing import Any

from google.protobuf.message import Message

from inkling_server.errors import ArgumentOutOfRange, BadPageToken

MAX_PAGE_SIZE = 1_000
DEFAULT_PAGE_SIZE = 100
# Longer than any token made here: what is longer is not even decoded.
_MAX_TOKEN_LENGTH = 1_024
_DIGEST_LENGTH = 16


def count_in_range(field: str, value: int) -> int:
    """How many entries an answer may have, where 0 means the default.

    Raises:
        ArgumentOutOfRange: below 0, or over `MAX_PAGE_SIZE`.
    """
    if not 0 <= value <= MAX_PAGE_SIZE:
        raise ArgumentOutOfRange(
            field, f"{value:,}", f"1 to {MAX_PAGE_SIZE:,}, 0 for {DEFAULT_PAGE_SIZE}"
        )
    return value or DEFAULT_PAGE_SIZE


def make_token(request: Message, *place: str) -> str:
    """The token of the page that begins at `place`, for repetitions of `request`."""
    text = json.dumps([_digest(request, place), *place], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_token(token: str, request: Message, part_count: int) -> tuple[str, ...] | None:
    """Where the page of `request` begins; None: at the beginning.

    Args:
        token: that a page of the same request gave; "" for the first page.
        request: what the caller asks now.
        part_count: of what `make_token` got as place.

    Raises:
        BadPageToken: not made here, damaged, or made for another request.
    """
    if not token:
        return None
    if len(token) > _MAX_TOKEN_LENGTH:
        raise BadPageToken
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        parts: Any = json.loads(text)
    except (binascii.Error, ValueError, RecursionError):
        raise BadPageToken from None
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise BadPageToken
    if len(parts) != part_count + 1 or parts[0] != _digest(request, tuple(parts[1:])):
        raise BadPageToken
    return tuple(parts[1:])


def _digest(request: Message, place: tuple[str, ...]) -> str:
    # The token of the page before is no part of what the caller wants.
    wanted = type(request)()
    wanted.CopyFrom(request)
    wanted.ClearField("page_token")
    digest = hashlib.sha256(type(request).__name__.encode())
    digest.update(json.dumps(place).encode())
    digest.update(wanted.SerializeToString(deterministic=True))
    return digest.hexdigest()[:_DIGEST_LENGTH]
