"""Kills the whole server while items and engagements come in: nothing acknowledged is lost, nothing
counts twice after the retry. Real server, Triton and PostgreSQL."""

import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from inkling.v1 import content_pb2, content_pb2_grpc, profile_pb2, profile_pb2_grpc
from tests.server.people.people_kit import SAVE, did, picture
from tests.server_process import ServerProcess, wait_until

pytestmark = [pytest.mark.triton, pytest.mark.timeout(300)]

ITEMS = 240
PEOPLE = 20
PER_REQUEST = 40
COLOURS = ("red", "green", "blue", "white", "black", "yellow")
CONTENT = "inkling.v1.ContentService"


@contextmanager
def _may_end_with(code: grpc.StatusCode) -> Iterator[None]:
    """Whatever else goes wrong is an error."""
    try:
        yield
    except grpc.RpcError as error:
        if error.code() is not code:
            raise


def _requests(numbers: list[int]) -> list[content_pb2.IngestContentRequest]:
    return [picture(f"item{n}", COLOURS[n % len(COLOURS)], caption=f"number {n}") for n in numbers]


def _engagements() -> list[content_pb2.Engagement]:
    return [
        did(f"user{person}", SAVE, f"item{item}")
        for person in range(PEOPLE)
        for item in range(person, ITEMS, 4)
    ]


def _stubs(server: ServerProcess) -> tuple[Any, Any]:
    return (
        content_pb2_grpc.ContentServiceStub(server.channel),
        profile_pb2_grpc.ProfileServiceStub(server.channel),
    )


def _start(data_dir: Path) -> ServerProcess:
    server = ServerProcess(data_dir, "--people-refresh-s=0")
    server.wait_serving()
    wait_until("content serves", lambda: server.health(CONTENT) == "SERVING", 60)
    return server


def _kill_at(server: ServerProcess, count: int, done: list[Any]) -> threading.Thread:
    """SIGKILL for the gateway alone as soon as `done` has so many entries."""

    def wait_and_kill() -> None:
        wait_until("enough is acknowledged", lambda: len(done) >= count, 120)
        server.process.send_signal(signal.SIGKILL)

    thread = threading.Thread(target=wait_and_kill)
    thread.start()
    return thread


def _ingest(server: ServerProcess, numbers: list[int], acknowledged: list[str]) -> None:
    """Streams items in until all have a reply, or the server is gone."""
    content, _ = _stubs(server)

    def sent() -> Iterator[content_pb2.IngestContentRequest]:
        yield from _requests(numbers)

    with _may_end_with(grpc.StatusCode.UNAVAILABLE):
        for reply in content.IngestContent(sent(), timeout=120):
            assert reply.HasField("content"), reply
            acknowledged.append(reply.content.content_id)


def _missing(server: ServerProcess, content_ids: list[str]) -> list[str]:
    content, _ = _stubs(server)
    gone = []
    for content_id in content_ids:
        gone.append(content_id)
        with _may_end_with(grpc.StatusCode.NOT_FOUND):
            request = content_pb2.GetContentRequest(content_id=content_id)
            stored = content.GetContent(request, timeout=20)
            assert stored.has_embedding
            assert stored.item.context.caption == f"number {content_id.removeprefix('item')}"
            gone.pop()
    return gone


def _record(server: ServerProcess, recorded: list[int]) -> None:
    content, _ = _stubs(server)
    entries = _engagements()
    for first in range(0, len(entries), PER_REQUEST):
        request = content_pb2.RecordEngagementsRequest(
            engagements=entries[first : first + PER_REQUEST]
        )
        reply = None
        with _may_end_with(grpc.StatusCode.UNAVAILABLE):
            reply = content.RecordEngagements(request, timeout=60)
        if reply is None:
            return
        assert not reply.errors
        recorded.append(reply.recorded_count)


def test_a_kill_loses_nothing_acknowledged_and_counts_nothing_twice(tmp_path: Path) -> None:
    rng = random.Random(5)
    data_dir = tmp_path / "data"
    acknowledged: list[str] = []
    server = _start(data_dir)
    killer = _kill_at(server, rng.randrange(40, 160), acknowledged)
    _ingest(server, list(range(ITEMS)), acknowledged)
    killer.join()
    server.kill()
    assert 40 <= len(acknowledged) < ITEMS

    server = _start(data_dir)
    assert _missing(server, acknowledged) == []
    # The retry: what has no reply, and some that have one, as a client without memory would.
    known = set(acknowledged)
    again = [n for n in range(ITEMS) if f"item{n}" not in known or n % 3 == 0]
    _ingest(server, again, [])
    assert _missing(server, [f"item{n}" for n in range(ITEMS)]) == []

    before: list[int] = []
    killer = _kill_at(server, rng.randrange(3, 8), before)
    _record(server, before)
    killer.join()
    server.kill()

    server = _start(data_dir)
    try:
        after: list[int] = []
        _record(server, after)
        entries = _engagements()
        assert len(before) < len(after) == -(-len(entries) // PER_REQUEST)
        # What was acknowledged before the kill is there, so the retry records only the rest.
        assert sum(after) <= len(entries) - sum(before)
        _, profiles = _stubs(server)
        counts = [
            profiles.GetProfile(profile_pb2.GetProfileRequest(user_id=f"user{n}")).engagement_count
            for n in range(PEOPLE)
        ]
        assert sum(counts) == len(entries)
    finally:
        server.kill()
