"""A follower's own ends: its parent dies, it gets no orders, or orders that it cannot carry out."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import psutil

from inkling_server.interests.snapshot import save_snapshot
from inkling_server.processes.orders import Orders, Shared, Target, orders_to_json
from tests.server.gateway_kit import colour_graph, gateway_settings

FAKE_FOLLOWER = str(Path(__file__).with_name("fake_follower.py"))
# Starts a follower that waits for its orders, says which process it is, and waits, too.
PARENT = f"""
import socket, subprocess, sys
ours, theirs = socket.socketpair()
command = [sys.executable, {FAKE_FOLLOWER!r}]
follower = subprocess.Popen(command, stdin=theirs, start_new_session=True)
print(follower.pid, flush=True)
sys.stdin.read()
"""


def run_follower(orders: Orders) -> tuple[int, str]:
    """Exit status and log of one with these orders."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, FAKE_FOLLOWER],
            stdin=theirs.fileno(),
            stderr=subprocess.PIPE,
            text=True,
        )
        message = {"type": "orders", "orders": orders_to_json(orders)}
        ours.sendall(json.dumps(message).encode() + b"\n")
        _, log = process.communicate(timeout=20)
    return process.returncode, log


def test_one_whose_parent_is_killed_is_killed_too() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        follower = psutil.Process(int(parent.stdout.readline()))
        # It has told the kernel of its parent: it is waiting for its orders.
        while "libuv" not in _maps(follower) and "uvloop" not in _maps(follower):
            assert follower.is_running()
        parent.kill()
        psutil.wait_procs([follower], timeout=10)
        assert not follower.is_running()


def _maps(process: psutil.Process) -> str:
    return Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")


def test_one_without_a_graph_says_so_and_ends(tmp_path: Path) -> None:
    settings = gateway_settings(tmp_path)
    shared = Shared(settings, 1, "fake", True, tmp_path / "graph", tmp_path / "none")
    status, log = run_follower(Orders(3, shared, Target(1, "2026-01-01-00000000")))
    assert status == 1
    assert "cannot serve" in log
    assert "follower=3" in log
    assert "Traceback" not in log


def test_one_that_cannot_have_the_port_says_so_and_ends(tmp_path: Path) -> None:

    folder = save_snapshot(colour_graph(), tmp_path / "graph")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        settings = gateway_settings(tmp_path, host="127.0.0.1")
        (settings.data_dir / "processes").mkdir(parents=True)
        shared = Shared(settings, port, "fake", True, tmp_path / "graph", tmp_path / "none")
        status, log = run_follower(Orders(1, shared, Target(1, folder.name)))
    assert status == 1
    assert f"cannot listen on 127.0.0.1:{port}: port taken" in log
    assert "Traceback" not in log
