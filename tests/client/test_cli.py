"""The command line against a server on a real socket."""

import importlib.metadata
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from inkling_client import cli_serve
from inkling_client.cli import app
from tests.client.cli_process import inkling
from tests.client.fake_server import (
    DOWN,
    INVALID,
    MAX_IMAGE_BYTES,
    FakeInkling,
    RunningServer,
)

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests; a terminal of 80 columns."""
    for name in [name for name in os.environ if name.startswith("INKLING_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def run(server: RunningServer, *arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(
        app, list(arguments), env={"INKLING_SERVER": server.target}, **options
    )


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def write(folder: Path, **pictures: bytes) -> None:
    for name, data in pictures.items():
        (folder / f"{name}.jpg").write_bytes(data)


def test_json_is_one_object_a_line_in_the_documented_shape(
    server: RunningServer, tmp_path: Path
) -> None:
    write(tmp_path, a=b"cat")
    result = run(server, "tag", str(tmp_path / "a.jpg"), "--json")
    assert result.exit_code == 0
    assert lines(result) == [
        {
            "path": str(tmp_path / "a.jpg"),
            "tags": [{"interest_id": "id:cat", "phrase": "cat", "score": 0.75}],
            "graph_version": "g1",
            "model_version": "fake:1:00",
        }
    ]


def test_mixed_folder_gives_a_line_for_each_in_order(
    server: RunningServer, fake: FakeInkling, tmp_path: Path
) -> None:
    for number in range(220):
        broken = number % 11 == 0
        data = b"text" if broken else f"picture {number}".encode()
        (tmp_path / f"{number:03}.jpg").write_bytes(data)
    (tmp_path / "readme.txt").write_text("not taken")
    fake.script[b"text"] = [INVALID] * 20
    result = run(server, "tag", str(tmp_path), "--json")
    assert result.exit_code == 1
    seen = lines(result)
    assert [Path(line["path"]).name for line in seen] == [f"{n:03}.jpg" for n in range(220)]
    assert sum("tags" in line for line in seen) == 200
    assert [line["error"]["reason"] for line in seen if "error" in line] == ["IMAGE_INVALID"] * 20


def test_errors_have_reason_code_and_metadata(
    server: RunningServer, fake: FakeInkling, tmp_path: Path
) -> None:
    (tmp_path / "big.jpg").write_bytes(bytes(MAX_IMAGE_BYTES + 1))
    result = run(server, "tag", str(tmp_path / "big.jpg"), str(tmp_path / "none.jpg"), "--json")
    assert result.exit_code == 1
    big, missing = lines(result)
    assert big["error"]["reason"] == "IMAGE_TOO_LARGE"
    assert big["error"]["code"] == "INVALID_ARGUMENT"
    assert big["error"]["metadata"]["allowed"] == str(MAX_IMAGE_BYTES)
    assert missing["error"]["reason"] == "FILE_UNREADABLE"
    assert missing["error"]["code"] == "NOT_FOUND"
    assert fake.streamed == []


def test_a_table_for_people(server: RunningServer, fake: FakeInkling, tmp_path: Path) -> None:
    write(tmp_path, a=b"cat", b=b"text")
    fake.script[b"text"] = [INVALID]
    result = run(server, "tag", str(tmp_path / "*.jpg"))
    assert result.exit_code == 1
    assert "█" in result.stdout
    assert "75%" in result.stdout
    assert "IMAGE_INVALID" in result.stdout
    assert "2 pictures · 1 failed" in result.stdout
    assert result.stderr == ""


def test_options_reach_the_server(server: RunningServer, tmp_path: Path) -> None:
    write(tmp_path, a=b"cat")
    result = run(server, "tag", str(tmp_path / "a.jpg"), "--json", "--explain", "--top-n", "3")
    assert lines(result)[0]["tags"][0]["explanation"] == {
        "cosine": 0.25,
        "picture_logit": 1.5,
        "prior_logit": -0.5,
        "tag_logit": 0.25,
        "calibrated_logit": None,
        "evidence": [],
    }
    result = run(server, "tag", str(tmp_path / "a.jpg"), "--explain")
    assert "+1.50" in result.stdout


def test_what_is_known_about_pictures_is_sent_with_each(
    server: RunningServer, fake: FakeInkling, tmp_path: Path
) -> None:
    write(tmp_path, **{"a.jpg": b"cat", "b.jpg": b"dog"})
    told = [
        "--caption",
        "two pets",
        "--hashtag",
        "#pets",
        "--hashtag",
        "home",
        "--location",
        "Rome",
    ]
    result = run(server, "tag", str(tmp_path), *told, "--json", "--explain")
    for line in lines(result):
        (tag,) = line["tags"]
        (said,) = tag["explanation"]["evidence"]
        assert said == {"source": "caption", "weight": 0.75, "mention_count": 2, "text": "two pets"}
    assert "reads no texts" in result.stderr  # the fake says so in GetInfo
    result = run(server, "tag", str(tmp_path), *told, "--explain")
    assert "caption 75% ×2 “two pets”" in " ".join(result.stdout.split())


def test_standard_input_is_a_picture(server: RunningServer) -> None:
    result = run(server, "tag", "-", "--json", input=b"cat")
    assert lines(result)[0]["path"] == "-"
    assert lines(result)[0]["tags"][0]["phrase"] == "cat"


@pytest.mark.parametrize(
    "arguments",
    [["tag"], ["tag", "x", "--top-n", "0"], ["tag", "x", "--min-score", "2"], ["tag", "--nope"]],
)
def test_wrong_usage(server: RunningServer, arguments: list[str]) -> None:
    assert run(server, *arguments).exit_code == 2


def test_more_tags_than_the_server_gives_is_wrong_usage(server: RunningServer) -> None:
    result = run(server, "tag", "x.jpg", "--top-n", "101")
    assert result.exit_code == 2
    assert "at most 100" in result.stderr


def test_a_folder_without_pictures_is_said(server: RunningServer, tmp_path: Path) -> None:
    result = run(server, "tag", str(tmp_path))
    assert result.exit_code == 2
    assert "no pictures" in result.stderr


def test_no_server_is_said_with_a_way_out(server: RunningServer) -> None:
    server.stop()
    for command in (["tag", "x.jpg"], ["info"]):
        result = run(server, *command)
        assert result.exit_code == 3
        assert "connection refused" in result.stderr
        assert "inkling serve" in result.stderr
        assert result.stdout == ""


def test_a_server_that_is_starting_is_not_no_server(
    server: RunningServer, fake: FakeInkling
) -> None:
    fake.script[b"GetInfo"] = [DOWN] * 50
    result = run(server, "info")
    assert result.exit_code == 3
    assert "is not ready: because" in " ".join(result.stderr.split())


def test_encoders_that_are_down_are_not_a_lost_server(
    server: RunningServer, fake: FakeInkling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inkling_client.retry.random.uniform", lambda low, high: 0.0)
    monkeypatch.setattr("inkling_client.retry.RetryPolicy.backoff_s", lambda *_: 0.001)
    write(tmp_path, a=b"cat")
    fake.script[b"cat"] = [DOWN] * 50
    result = run(server, "tag", str(tmp_path / "a.jpg"), "--json")
    assert lines(result)[0]["error"]["reason"] == "ENCODER_DOWN"
    assert result.exit_code == 1


def test_info_for_people_and_programs(server: RunningServer) -> None:
    assert "2,345 interests" in run(server, "info").stdout
    (info,) = lines(run(server, "info", "--json"))
    assert info["target"] == server.target
    assert info["limits"]["max_image_bytes"] == MAX_IMAGE_BYTES
    assert info["defaults"]["min_score"] == 0.25
    assert info["encoders"][0]["runtime"] == "fake, bf16"
    assert info["calibrated_time"] == "2026-09-21T14:13:20+00:00"


def test_version_and_help(server: RunningServer) -> None:
    assert run(server, "--version").stdout.startswith("inkling ")
    assert "tag" in run(server, "--help").stdout
    assert "Exit codes" in run(server, "tag", "--help").stdout


def test_serve_becomes_the_server_with_its_flags(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, command: seen.append(command))
    monkeypatch.setattr(cli_serve, "missing_server_packages", list)
    run(server, "serve", "--grpc-port", "0", "--help")
    assert seen == [[sys.executable, "-m", "inkling_server", "--grpc-port", "0", "--help"]]


def test_serve_says_what_is_not_installed(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    requirements = ["grpcio>=1", 'no-such-package>=1; extra == "server"', 'x; extra == "dev"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: requirements)
    result = run(server, "serve")
    assert result.exit_code == 2
    assert "no-such-package" in result.stderr
    assert "inkling[server]" in " ".join(result.stderr.split())


def test_as_a_process(server: RunningServer, tmp_path: Path) -> None:
    write(tmp_path, **{"ä \udce4": b"cat"})  # a name that is no UTF-8
    done = subprocess.run(
        [sys.executable, "-m", "inkling_client.cli", "tag", str(tmp_path)],
        env={**os.environ, "INKLING_SERVER": server.target, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"75%" in done.stdout


@pytest.mark.parametrize("shape", ["--json", "--explain"])
def test_a_progress_bar_on_the_terminal_leaves_stdout_alone(
    server: RunningServer, tmp_path: Path, shape: str
) -> None:
    write(tmp_path, **{f"{number:02}": b"cat" for number in range(20)})
    terminal, terminal_side = pty.openpty()
    seen = bytearray()
    reader = threading.Thread(target=_read_terminal, args=(terminal, seen))
    reader.start()
    done = subprocess.run(
        [sys.executable, "-m", "inkling_client.cli", "tag", str(tmp_path), shape],
        env={**os.environ, "INKLING_SERVER": server.target, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=terminal_side,
        check=False,
        timeout=60,
    )
    os.close(terminal_side)
    reader.join()
    assert done.returncode == 0
    assert b"tagging" in seen
    assert b"cat" not in seen
    assert done.stdout.count(b"cat") >= 20
    assert b"\x1b" not in done.stdout


def _read_terminal(terminal: int, seen: bytearray) -> None:
    with suppress(OSError), open(terminal, "rb", buffering=0) as file:
        while data := file.read(4096):  # ends with EIO once nobody holds the other side
            seen += data


def test_ctrl_c_ends_quietly(server: RunningServer, fake: FakeInkling, tmp_path: Path) -> None:
    write(tmp_path, a=b"cat")
    fake.hung.add(b"cat")
    with subprocess.Popen(
        inkling("tag", str(tmp_path / "a.jpg"), "--json"),
        env={**os.environ, "INKLING_SERVER": server.target},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        fake.wait_for("streamed", 1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, b"", b"")
