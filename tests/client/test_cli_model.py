"""`inkling model ...` against a scripted server on a real socket."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner, Result

from inkling.v1 import model_pb2
from inkling_client.cli import app
from tests.client.cli_process import inkling
from tests.client.fake_model import NEW, OLD, OPERATION, FakeModel, report
from tests.client.fake_server import RunningServer, status

REFUSED = status(
    grpc.StatusCode.FAILED_PRECONDITION, "ROLLOUT_REFUSED", "tag overlap 0.03 is under 0.2"
)


@pytest.fixture
def fake() -> FakeModel:
    return FakeModel()


@pytest.fixture
def server(fake: FakeModel) -> Iterator[RunningServer]:
    running = RunningServer(add_more=fake.add_to)
    yield running
    running.stop()


def run(server: RunningServer, *arguments: str, width: int = 80) -> Result:
    environment = {"INKLING_SERVER": server.target, "COLUMNS": str(width)}
    return CliRunner().invoke(app, ["model", *arguments], env=environment)


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def words(text: str) -> str:
    return " ".join(text.split())


def ending(fake: FakeModel, *how: Any) -> threading.Thread:
    """Ends the rollout as soon as somebody watches it."""

    def end() -> None:
        fake.wait_until_watched()
        fake.fail(*how) if how else fake.succeed()

    thread = threading.Thread(target=end)
    thread.start()
    return thread


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(
    server: RunningServer, fake: FakeModel, width: int
) -> None:
    ending(fake)
    for command in (["deploy", "2"], ["status"]):
        result = run(server, *command, width=width)
        assert result.exit_code == 0, result.output
        assert max(len(line.rstrip()) for line in result.stdout.splitlines()) <= width


def test_status_shows_versions(server: RunningServer) -> None:
    text = words(run(server, "status").stdout)
    assert f"serves {OLD}" in text
    assert "rollback to 2" in text
    assert "serves, loaded" in text
    assert "it is not calibrated" in text


def test_status_tells_how_the_last_rollout_went(server: RunningServer, fake: FakeModel) -> None:
    ending(fake, REFUSED)
    run(server, "deploy", "2")
    text = words(run(server, "status").stdout)
    assert "last rollout 2026-11-02 10:00 to version 2: tag overlap 0.03" in text
    first, *versions = lines(run(server, "status", "--json"))
    assert first["last_error"]["reason"] == "ROLLOUT_REFUSED"
    assert [version["version"] for version in versions] == [1, 2, 3]


def test_deploy_shows_the_report(server: RunningServer, fake: FakeModel) -> None:
    ending(fake)
    result = run(server, "deploy", "2", "--min-overlap", "0.4", "--force")
    assert result.exit_code == 0
    text = words(result.stdout)
    assert f"model {NEW} serves now" in text
    assert f"before {OLD}" in text
    assert "took 60.0 s" in text
    assert "pictures with a tag 75% 80%" in text
    assert "overlap of their tags 0.62" in text
    assert "40 of the canary folder, 32 of recent requests, 1 unreadable" in text
    (request,) = fake.seen(model_pb2.DeployModelRequest)
    assert (request.min_overlap, request.force) == (0.4, True)
    assert not request.HasField("max_latency_ratio")


def test_refused_deploy_shows_report_and_reason(server: RunningServer, fake: FakeModel) -> None:
    why = report(decision=model_pb2.CANARY_DECISION_REFUSED, problems=["tag overlap 0.03"])
    ending(fake, REFUSED, why)
    result = run(server, "deploy", "2")
    assert result.exit_code == 1
    assert "refused" in result.stdout
    assert "- tag overlap 0.03" in result.stdout
    assert "inkling: tag overlap 0.03 is under 0.2" in words(result.stderr)


def test_json_tells_of_stages_and_result(server: RunningServer, fake: FakeModel) -> None:
    ending(fake)
    result = run(server, "deploy", "2", "--json")
    assert result.stdout.isascii()
    *_, last = lines(result)
    assert last["result"]["model_version"] == NEW
    assert last["result"]["report"]["tag_overlap"] == 0.62


def test_json_of_a_refused_deploy(server: RunningServer, fake: FakeModel) -> None:
    ending(fake, REFUSED, report(decision=model_pb2.CANARY_DECISION_REFUSED))
    result = run(server, "deploy", "2", "--json")
    assert result.exit_code == 1
    *_, last = lines(result)
    assert last["error"]["reason"] == "ROLLOUT_REFUSED"
    assert last["report"]["decision"] == "refused"


def test_rollback_is_watched_like_a_deploy(server: RunningServer, fake: FakeModel) -> None:
    ending(fake)
    assert run(server, "rollback").exit_code == 0
    assert len(fake.seen(model_pb2.RollbackModelRequest)) == 1


def test_without_waiting_it_only_starts(server: RunningServer) -> None:
    assert f"{OPERATION} runs" in words(run(server, "deploy", "2", "--no-wait").stdout)
    assert lines(run(server, "rollback", "--no-wait", "--json")) == [{"name": OPERATION}]


@pytest.mark.parametrize("arguments", [["deploy"], ["deploy", "0"], ["deploy", "two"]])
def test_wrong_usage_is_said_without_asking(
    server: RunningServer, fake: FakeModel, arguments: list[str]
) -> None:
    assert run(server, *arguments).exit_code == 2
    assert fake.requests == []


def test_server_that_says_no_is_exit_1(server: RunningServer, fake: FakeModel) -> None:
    fake.refuse["DeployModel"] = [
        status(grpc.StatusCode.NOT_FOUND, "UNKNOWN_MODEL_VERSION", "there are 1, 2")
    ]
    result = run(server, "deploy", "9")
    assert result.exit_code == 1
    assert "there are 1, 2" in result.stderr


def test_no_server_is_exit_3() -> None:
    result = CliRunner().invoke(app, ["model", "status", "--server", "127.0.0.1:1"])
    assert result.exit_code == 3


def test_ctrl_c_cancels(server: RunningServer, fake: FakeModel) -> None:
    process = subprocess.Popen(
        inkling("model", "deploy", "2"),
        env={**os.environ, "INKLING_SERVER": server.target, "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    fake.wait_until_watched()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"cancelled: model {OLD} goes on serving" in words(errors.decode())
