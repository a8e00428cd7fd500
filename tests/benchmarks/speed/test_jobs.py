"""Prepared messages and the parsing of replies."""

from pathlib import Path

import pytest

from benchmarks.speed.jobs import (
    Job,
    http_messages,
    parse_stream_reply,
    read_messages,
    stream_messages,
    tag_messages,
    write_messages,
)
from benchmarks.speed.loadgen_http import content_length
from benchmarks.speed.systems import form_body
from inkling.v1 import tagging_pb2


def test_messages_survive_the_file(tmp_path: Path) -> None:
    messages = [b"", b"a" * 70_000, b"\x00\x01"]
    assert read_messages(write_messages(tmp_path / "m", messages)) == messages


def test_a_job_survives_the_pipe() -> None:
    job = Job("http", "127.0.0.1:1", "", "m", 2.0, rate=3.0, deadline_s=1.0)
    assert Job.from_line(job.to_line()) == job


def test_stream_messages_are_named_by_their_place() -> None:
    messages = stream_messages(tag_messages([b"one", b"two"]), 3)
    requests = [tagging_pb2.TagStreamRequest.FromString(m) for m in messages]
    assert [r.request_id for r in requests] == ["0", "1", "2"]
    assert [r.request.image for r in requests] == [b"one", b"two", b"one"]


def test_replies_are_told_apart_without_parsing() -> None:
    good = tagging_pb2.TagStreamResponse(request_id="63", response=tagging_pb2.TagResponse())
    bad = tagging_pb2.TagStreamResponse(request_id="7")
    bad.error.code = 3
    assert parse_stream_reply(good.SerializeToString()) == (63, True)
    assert parse_stream_reply(bad.SerializeToString()) == (7, False)
    with pytest.raises(ValueError, match="request_id"):
        parse_stream_reply(b"")


def test_http_requests_say_how_long_they_are() -> None:
    (message,) = http_messages([form_body(b"\xff\xd8picture")], "/predict", "127.0.0.1:1")
    head, _, body = message.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /predict HTTP/1.1")
    assert content_length(head) == len(body)
    assert b"\xff\xd8picture" in body
    with pytest.raises(ValueError, match="Content-Length"):
        content_length(b"HTTP/1.1 200 OK\r\n\r\n")
