"""Runs `python -m inkling_server` as a child process for tests and benchmarks.

Knows the server only from outside: flags, DATA_DIR/server.json, gRPC health and signals.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
import psutil
from grpc_health.v1 import health_pb2

SERVICE = "inkling.v1.TaggingService"


def wait_until(what: str, condition: Callable[[], bool], timeout_s: float) -> float:
    """Polls until the condition holds; returns the seconds it took. Raises TimeoutError."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > timeout_s:
            raise TimeoutError(f"after {timeout_s} s still not so: {what}")
        time.sleep(0.02)
    return time.monotonic() - start


def command_line(process: psutil.Process) -> list[str]:
    """Program and arguments; [] for one that has ended since it was listed, waited for or not.

    Children come and go while a server serves: PostgreSQL's backends, a refresh.
    """
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


class ServerProcess:
    """One server on free loopback ports; leaving the context ends it and all that it started.

    Args:
        data_dir: its INKLING_DATA_DIR; its output goes to `data_dir`/server.out.
        flags: more flags, such as "--drain-s=5".
        python: the interpreter, whose environment decides which server this is.
    """

    def __init__(self, data_dir: Path, *flags: str, python: str = sys.executable) -> None:
        self.data_dir = data_dir
        self.output = data_dir / "server.out"
        data_dir.mkdir(parents=True, exist_ok=True)
        ports = data_dir / "server.json"
        ports.unlink(missing_ok=True)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("INKLING_")}
        with self.output.open("ab") as out:
            self.process = subprocess.Popen(
                [
                    python,
                    *("-m", "inkling_server", "--grpc-port=0", "--http-port=0"),
                    *(f"--data-dir={data_dir}", *flags),
                ],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=inherited,
                start_new_session=True,
            )
        try:
            wait_until("server.json is written", lambda: self._alive() and ports.exists(), 60)
            document = json.loads(ports.read_text(encoding="utf-8"))
        except BaseException:
            self.kill()
            raise
        self.address = f"127.0.0.1:{document['grpc_port']}"
        self.http_url = f"http://127.0.0.1:{document['http_port']}"
        self.channel = grpc.insecure_channel(
            self.address,
            options=[
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.min_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 500),
            ],
        )

    def _alive(self) -> bool:
        if self.process.poll() is not None:
            tail = self.output.read_text(encoding="utf-8", errors="replace")[-4000:]
            raise RuntimeError(f"the server ended with {self.process.returncode}:\n{tail}")
        return True

    def health(self, service: str = SERVICE) -> str:
        """SERVING, NOT_SERVING, or the code's name where the health service does not answer."""
        check = self.channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            reply = check(health_pb2.HealthCheckRequest(service=service), timeout=2)
        except grpc.RpcError as error:
            return str(error.code().name)
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))

    def wait_serving(self, timeout_s: float = 90) -> float:
        """Waits for health SERVING; returns the seconds it took."""
        return wait_until(
            "health is SERVING", lambda: self._alive() and self.health() == "SERVING", timeout_s
        )

    def family(self) -> list[psutil.Process]:
        """All processes that the server started, by whatever way."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, *words: str) -> psutil.Process:
        """The one child process whose program has the first word in its path, and whose arguments
        hold the others."""
        lines = {process: command_line(process) for process in self.family()}
        found = [
            process
            for process, line in lines.items()
            if line and words[0] in line[0] and all(word in " ".join(line) for word in words)
        ]
        if len(found) != 1:
            others = [" ".join(line)[:200] for line in lines.values()]
            raise LookupError(f"{len(found)} processes match {words}: {others}")
        return found[0]

    def stop(self, timeout_s: float = 30) -> int:
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        """Ends the server and everything that it started, at once."""
        family = self.family() if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        for child in family:
            if child.is_running():
                child.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.channel.close()
        if self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
                raise
