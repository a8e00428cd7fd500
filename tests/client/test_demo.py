"""The demo, with a scripted server in the place of the real one (tests/e2e runs the real one)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from inkling_client import demo, demo_server
from inkling_client.demo_server import ServerFailed, running_server

# A server as the demo sees one: JSON lines on stdout, ends at SIGTERM. It leaves a child behind.
FAKE_SERVER = """
import json, os, signal, subprocess, sys, threading
from tests.client.fake_server import RunningServer
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
server = RunningServer()
seen = {"pids": [os.getpid(), child.pid], "env": dict(os.environ), "args": sys.argv[1:]}
open(sys.argv[3].removeprefix("--data-dir=") + ".seen", "w").write(json.dumps(seen))
print("a line that is not for programs")
print(json.dumps({"event": "listening", "grpc_port": server.port}))
print(json.dumps({"event": "serving", "grpc_port": server.port}), flush=True)
done = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: done.set())
done.wait()
"""


@pytest.fixture
def fake_command(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    monkeypatch.setattr(
        demo_server,
        "server_command",
        lambda arguments: [sys.executable, "-c", FAKE_SERVER, *arguments],
    )
    monkeypatch.setattr(demo, "missing_server_packages", list)
    python_path = os.pathsep.join([str(repository), *sys.path])
    monkeypatch.setenv("PYTHONPATH", python_path)


@pytest.mark.usefixtures("fake_command")
def test_the_server_and_its_children_are_gone_after_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INKLING_TRITON_URL", "elsewhere:1")
    monkeypatch.setenv("INKLING_MODEL_REPOSITORY", "/models")
    with running_server(tmp_path) as target:
        assert target.startswith("127.0.0.1:")
        seen = json.loads((tmp_path / "data.seen").read_text())
        assert all(psutil.pid_exists(pid) for pid in seen["pids"])
    assert seen["args"][:2] == ["--grpc-port=0", "--http-port=0"]
    assert "INKLING_TRITON_URL" not in seen["env"]
    assert seen["env"]["INKLING_MODEL_REPOSITORY"] == "/models"
    for pid in seen["pids"]:
        assert _is_gone(pid)


def test_a_server_that_ends_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import sys; sys.stderr.write('no model here\\n'); sys.exit(1)"
    monkeypatch.setattr(demo_server, "server_command", lambda _: [sys.executable, "-c", program])
    with pytest.raises(ServerFailed, match="no model here"), running_server(tmp_path):
        pass


def test_a_server_that_never_serves_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import signal; signal.pause()"
    monkeypatch.setattr(demo_server, "server_command", lambda _: [sys.executable, "-c", program])
    monkeypatch.setattr(demo_server, "_START_TIMEOUT_S", 0.3)
    with pytest.raises(ServerFailed, match="without a word"), running_server(tmp_path):
        pass


@pytest.mark.usefixtures("fake_command")
def test_photos_become_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main([]) == 0
    out = capsys.readouterr().out
    assert "chelsea.png" in out
    assert out.count("75%") == len(demo.bundled_photos())
    assert "model fake:1:00 · graph g1" in out
    assert "fake, bf16" in out


@pytest.mark.usefixtures("fake_command")
def test_photos_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.jpg").write_bytes(b"cat")
    assert demo.main([str(tmp_path)]) == 0
    assert "mine.jpg" in capsys.readouterr().out


def test_bundled_photos_are_there_and_nothing_was_fetched() -> None:
    photos = demo.bundled_photos()
    assert len(photos) >= 5
    assert all(Path(photo).is_file() for photo in photos)


def _is_gone(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        process.wait(timeout=10)
    except (psutil.NoSuchProcess, subprocess.TimeoutExpired, psutil.TimeoutExpired):
        return not psutil.pid_exists(pid)
    return True
