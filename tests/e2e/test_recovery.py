"""Killing what the server depends on, under load: errors are typed, and it heals by itself."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import cast

import grpc
import pytest
import skimage.data
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from inkling.v1 import tagging_pb2, tagging_pb2_grpc
from tests.server_process import ServerProcess, command_line, wait_until

ALLOWED = {"OK", "ENCODER_DOWN", "OVERLOADED"}


def reason_of(error: grpc.RpcError) -> str:
    """ErrorInfo.reason, or the bare code where a status has no details."""
    status = rpc_status.from_call(cast(grpc.Call, error))
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return f"bare {error.code().name}: {error.details()}"


class Load:
    """Four callers that tag one photo again and again until told to stop."""

    def __init__(self, server: ServerProcess) -> None:
        image = (Path(skimage.data.data_dir) / "rocket.jpg").read_bytes()
        self._request = tagging_pb2.TagRequest(image=image)
        self._stub = tagging_pb2_grpc.TaggingServiceStub(server.channel)
        self._stop = threading.Event()
        self.outcomes: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._run) for _ in range(4)]

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._stub.Tag(self._request, timeout=15)
                outcome = "OK"
            except grpc.RpcError as error:
                outcome = reason_of(error)
                self._stop.wait(0.05)
            self.outcomes[outcome] += 1

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        wait_until("the load gets answers", lambda: self.outcomes["OK"] > 20, 30)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


def tritonserver(server: ServerProcess) -> Callable[[], None]:
    return server.child("tritonserver", "--model-repository").kill


def python_stub(server: ServerProcess) -> Callable[[], None]:
    return server.child("triton_python_backend_stub", "vision_encoder").kill


@pytest.mark.triton
@pytest.mark.parametrize("victim", [tritonserver, python_stub])
def test_serves_again_by_itself_after_a_kill_under_load(
    own_server: ServerProcess, victim: Callable[[ServerProcess], Callable[[], None]]
) -> None:
    gateway = own_server.process.pid
    with Load(own_server) as load:
        victim(own_server)()
        wait_until("health is NOT_SERVING", lambda: own_server.health() == "NOT_SERVING", 10)
        took = own_server.wait_serving(15)
        answered = load.outcomes["OK"]
        wait_until("the load is served again", lambda: load.outcomes["OK"] > answered + 20, 15)
    assert took < 15
    assert set(load.outcomes) <= ALLOWED, load.outcomes
    assert own_server.process.pid == gateway
    assert own_server.process.poll() is None


@pytest.mark.triton
def test_killed_gateway_leaves_no_process_behind(own_server: ServerProcess) -> None:
    family = own_server.family()
    assert any("tritonserver" in " ".join(command_line(p)) for p in family)
    own_server.process.kill()
    own_server.process.wait()
    wait_until("every child is gone", lambda: not any(p.is_running() for p in family), 10)
