"""Targets and channel arguments."""

import pytest

from inkling_client.channel import channel_options, full_target


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("localhost", "localhost:50051"),
        ("10.0.0.1", "10.0.0.1:50051"),
        ("example.org:443", "example.org:443"),
        ("::1", "[::1]:50051"),
        ("[::1]", "[::1]:50051"),
        ("[::1]:9", "[::1]:9"),
        ("dns:///example.org:443", "dns:///example.org:443"),
        ("unix:///run/inkling.sock", "unix:///run/inkling.sock"),
    ],
)
def test_the_port_is_added_where_it_is_missing(given: str, full: str) -> None:
    assert full_target(given) == full


def test_an_empty_target_is_refused() -> None:
    with pytest.raises(ValueError, match="host:port"):
        full_target("")


@pytest.mark.parametrize("target", ["127.0.0.1:1", "localhost:1", "[::1]:1", "unix:/tmp/x"])
def test_loopback_never_goes_through_a_proxy(target: str) -> None:
    assert ("grpc.enable_http_proxy", 0) in channel_options(target)


def test_other_hosts_may_use_the_proxy() -> None:
    assert "grpc.enable_http_proxy" not in dict(channel_options("example.org:443"))


def test_one_connection_attempt_may_take_seconds() -> None:
    # The argument of this name is gRPC's connection timeout: small values lock slow links out.
    assert dict(channel_options("example.org:443"))["grpc.min_reconnect_backoff_ms"] >= 5_000
