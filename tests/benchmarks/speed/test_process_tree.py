"""Whose processor time and memory is whose."""

import os

import psutil
import pytest

from benchmarks.speed.process_tree import cpu_seconds, memory, role_of, used_between


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("python -m inkling_server --grpc-port=0", "gateway"),
        ("python -m inkling_server.processes.follower", "gateway"),
        ("python -m inkling_server.people.co_engaging {}", "helpers"),
        ("/x/tritonserver/bin/tritonserver --model-repository=/m", "triton"),
        ("/x/triton_python_backend_stub /m/model.py", "stub"),
        ("postgres: walwriter", "database"),
        ("python -m benchmarks.peers.plain_grpc", "server"),
    ],
)
def test_role_by_command_line(command: str, role: str) -> None:
    assert role_of(command.split()) == role


def test_own_process_is_measured() -> None:
    before = cpu_seconds(os.getpid())
    sum(n * n for n in range(300_000))
    used = used_between(before, cpu_seconds(os.getpid()))
    assert sum(used.values()) >= 0
    # Other tests may have left servers under this process.
    mine = memory(os.getpid())[role_of(psutil.Process().cmdline())]
    assert mine.rss_mib >= mine.greatest_mib > 10


def test_used_time_is_never_negative() -> None:
    assert used_between({"stub": 5.0}, {"stub": 1.0, "triton": 2.0}) == {"stub": 0.0, "triton": 2.0}
