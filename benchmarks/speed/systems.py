"""The servers that are measured: the gateway and its peers, each in a process group of its own.

A system says where it listens and how it wants its requests; who measures it does not know what it
is. All systems of a run are started before the first round and stay idle while another is measured.
"""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from benchmarks.speed.jobs import TAG, TAG_STREAM, Transport
from benchmarks.speed.tags import ServedModel
from tests.server_process import ServerProcess

REPOSITORY = Path(__file__).resolve().parents[2]
PEERS_PYTHON = REPOSITORY / "build" / "peers" / "bin" / "python"
INFINITY_MODEL = "clip"
_BOUNDARY = "inkling-bench"
# infinity needs an older transformers than everything else here.
INFINITY = REPOSITORY / "build" / "infinity"
_START_TIMEOUT_S = 120.0
# The first start with a big text encoder embeds thousands of phrases.
_GATEWAY_TIMEOUT_S = 600.0


class PeerMissing(Exception):
    """A peer that is not installed, or does not start; the text says why."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One way to ask a system: a name, and what a Job needs to know.

    `path` and `body_kind` are for HTTP only: where to post, and in what.
    """

    name: str
    transport: Transport
    address: str
    method: str = ""
    path: str = ""
    body_kind: Literal["form", "json", "infinity"] = "form"

    def body(self, picture: bytes) -> tuple[str, bytes]:
        """Content type and body of an HTTP request about one picture."""
        if self.body_kind == "form":
            return form_body(picture)
        coded = base64.b64encode(picture).decode()
        if self.body_kind == "json":
            return "application/json", json.dumps({"image": coded}).encode()
        asked = {
            "model": INFINITY_MODEL,
            "modality": "image",
            "encoding_format": "base64",
            "input": [f"data:image/jpeg;base64,{coded}"],
        }
        return "application/json", json.dumps(asked).encode()


def form_body(picture: bytes) -> tuple[str, bytes]:
    """A picture as the file "request" of a form."""
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="request"; filename="a.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = head.encode() + picture + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return f"multipart/form-data; boundary={_BOUNDARY}", body


class System(Protocol):
    """A running server."""

    @property
    def name(self) -> str: ...

    @property
    def pid(self) -> int: ...

    @property
    def endpoints(self) -> Sequence[Endpoint]: ...


@dataclass(frozen=True, slots=True)
class Gateway:
    """Inkling's own server."""

    process: ServerProcess
    name: str = "inkling"

    @property
    def pid(self) -> int:
        return self.process.process.pid

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        return grpc_endpoints("inkling", self.process.address)


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that is not ours."""

    name: str
    process: "subprocess.Popen[str]"
    endpoints: Sequence[Endpoint]

    @property
    def pid(self) -> int:
        return self.process.pid


def grpc_endpoints(name: str, address: str) -> list[Endpoint]:
    """The two RPCs of a server that speaks our API."""
    return [
        Endpoint(f"{name} TagStream", "grpc-stream", address, TAG_STREAM),
        Endpoint(f"{name} Tag", "grpc-unary", address, TAG),
    ]


@contextlib.contextmanager
def open_gateway(data_dir: Path, *flags: str) -> Iterator[Gateway]:
    """A gateway that serves, ended after the block."""
    with ServerProcess(data_dir, *flags) as process:
        process.wait_serving(_GATEWAY_TIMEOUT_S)
        yield Gateway(process)


@contextlib.contextmanager
def open_plain(model: ServedModel, log: Path, *, tuned: bool = False) -> Iterator[Peer]:
    """The plain grpc.aio server."""
    name = "plain gRPC, tuned" if tuned else "plain gRPC"
    command = [sys.executable, "-m", "benchmarks.peers.plain_grpc", *_files(model)]
    with _running(command + ["--tuned"] * tuned, log, prints=True) as process:
        address = f"127.0.0.1:{_printed_port(process, name, log)}"
        yield Peer(name, process, grpc_endpoints(name, address))


@contextlib.contextmanager
def open_litserve(model: ServedModel, log: Path, *flags: str) -> Iterator[Peer]:
    """LitServe. Raises PeerMissing."""
    port = free_port()
    command = [
        *(_peers_python(), "-m", "benchmarks.peers.litserve_app"),
        *(*_files(model), "--port", str(port), *flags),
    ]
    with _running(command, log) as process:
        address = f"127.0.0.1:{port}"
        _wait_http(process, f"http://{address}/health", "LitServe", log)
        yield Peer("LitServe", process, [Endpoint("LitServe", "http", address, path="/predict")])


@contextlib.contextmanager
def open_infinity(hub: Path, log: Path) -> Iterator[Peer]:
    """infinity with a model's directory, by torch. Raises PeerMissing."""
    if not INFINITY.exists():
        raise PeerMissing(f"{INFINITY.relative_to(REPOSITORY)} is missing: make build/infinity")
    port = free_port()
    command = [
        *(_peers_python(), "-c", "from infinity_emb.cli import cli; cli()", "v2"),
        *("--model-id", str(hub), "--served-model-name", INFINITY_MODEL, "--engine", "torch"),
        *("--device", "cpu", "--batch-size", "32", "--port", str(port), "--host", "127.0.0.1"),
        *("--log-level", "warning"),
    ]
    with _running(command, log, packages=INFINITY) as process:
        address = f"127.0.0.1:{port}"
        _wait_http(process, f"http://{address}/health", "infinity", log)
        asked = Endpoint("infinity", "http", address, path="/embeddings", body_kind="infinity")
        yield Peer("infinity", process, [asked])


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(packages: Path | None) -> dict[str, str]:
    """Ours, offline; and a folder of packages that come before all others."""
    found = os.environ | {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}
    found |= {"INFINITY_ANONYMOUS_USAGE_STATS": "0"}
    if packages is not None:
        found["PYTHONPATH"] = os.pathsep.join([str(packages), found.get("PYTHONPATH", "")])
    return found


def _peers_python() -> str:
    if not PEERS_PYTHON.exists():
        raise PeerMissing(f"{PEERS_PYTHON.relative_to(REPOSITORY)} is missing: make build/peers")
    return str(PEERS_PYTHON)


def _files(model: ServedModel) -> list[str]:
    return ["--model", str(model.onnx), "--tags", str(model.tags)]


@contextlib.contextmanager
def _running(
    command: Sequence[str], log: Path, *, prints: bool = False, packages: Path | None = None
) -> "Iterator[subprocess.Popen[str]]":
    with log.open("a", encoding="utf-8") as out:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE if prints else out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            cwd=REPOSITORY,
            env=_environment(packages),
            start_new_session=True,
            text=True,
        )
    try:
        yield process
    finally:
        end_group(process)


def end_group(process: "subprocess.Popen[str]") -> None:
    """Ends the process and all of its group: asks, waits, then makes."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
    if process.stdout is not None:
        process.stdout.close()


def _printed_port(process: "subprocess.Popen[str]", name: str, log: Path) -> int:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("READY "):
            return int(line.split()[1])
    raise PeerMissing(f"{name} does not start: {_last_line(log)}")


def _wait_http(
    process: "subprocess.Popen[str]",
    url: str,
    name: str,
    log: Path,
    timeout_s: float = _START_TIMEOUT_S,
) -> None:
    def answers() -> bool:
        if process.poll() is not None:
            raise PeerMissing(f"{name} does not start: {_last_line(log)}")
        try:
            with urllib.request.urlopen(url, timeout=2) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False

    _poll(f"{name} answers", answers, timeout_s)


def _poll(what: str, condition: Callable[[], bool], timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise PeerMissing(f"after {timeout_s:g} s still not so: {what}")
        time.sleep(0.1)


def _last_line(log: Path) -> str:
    lines = [x for x in log.read_text(encoding="utf-8", errors="replace").splitlines() if x.strip()]
    return lines[-1][:300] if lines else "it says nothing"
