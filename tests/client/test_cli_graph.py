"""`inkling graph ...` against a scripted server on a real socket."""

import json
import os
import pty
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner, Result

from inkling.v1 import graph_pb2
from inkling_client.cli import app
from tests.client.cli_process import inkling
from tests.client.fake_graph import OLD_VERSION, OPERATION, VERSION, FakeGraph, interest
from tests.client.fake_server import RunningServer, status

FAILED = status(grpc.StatusCode.INTERNAL, "REFRESH_FAILED", "the worker died")
RUNNING = status(
    grpc.StatusCode.ABORTED,
    "REFRESH_RUNNING",
    "a refresh is running",
    metadata={"operation": OPERATION},
)
NOT_SERVED = status(grpc.StatusCode.FAILED_PRECONDITION, "GRAPH_VERSION_NOT_SERVED", "not here")


@pytest.fixture
def fake() -> FakeGraph:
    return FakeGraph()


@pytest.fixture
def server(fake: FakeGraph) -> Iterator[RunningServer]:
    running = RunningServer(add_more=fake.add_to)
    yield running
    running.stop()


def run(server: RunningServer, *arguments: str, width: int = 80) -> Result:
    environment = {"INKLING_SERVER": server.target, "COLUMNS": str(width)}
    return CliRunner().invoke(app, ["graph", *arguments], env=environment)


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def words(text: str) -> str:
    return " ".join(text.split())


def process(server: RunningServer, *arguments: str, **options: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        inkling("graph", *arguments),
        env={**os.environ, "INKLING_SERVER": server.target, "TERM": "xterm", "COLUMNS": "80"},
        **options,
    )


COMMANDS = [
    ["show"],
    ["show", "--limit", "9"],
    ["neighbors", "cat"],
    ["versions"],
    ["diff", OLD_VERSION],
    ["rollback", OLD_VERSION],
]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_line_is_wider_than_the_terminal(
    server: RunningServer, command: list[str], width: int
) -> None:
    result = run(server, *command, width=width)
    assert result.exit_code == 0
    assert max(len(line.rstrip()) for line in result.stdout.splitlines()) <= min(width, 120)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_lines_for_programs(server: RunningServer, command: list[str]) -> None:
    result = run(server, *command, "--json")
    assert result.exit_code == 0
    assert result.stdout.isascii()
    assert all(isinstance(entry, dict) for entry in lines(result))
    assert lines(result)


def test_without_filters_the_graph_is_shown_as_a_whole(server: RunningServer) -> None:
    text = words(run(server, "show").stdout)
    assert f"{VERSION}, serves now" in text
    assert "5,432, 2 trending" in text
    assert "45,678: 40,000 by meaning, 9,000 by people" in text
    assert "cats, dogs and 0 0 900" in text
    assert "and 4 more communities" in text
    assert "cat, dog, pet" in text
    assert "Northern Lights (aurora) 1,234 +8.5" in text


def test_filters_show_interests_of_one_version(server: RunningServer, fake: FakeGraph) -> None:
    result = run(server, "show", "--prefix", "cat", "--order", "rank", "--limit", "1")
    assert "cat (kitty, cats)" in result.stdout
    assert "catering" not in result.stdout
    assert "--limit N shows more" in words(result.stdout)
    (request,) = fake.seen(graph_pb2.ListInterestsRequest)
    assert (request.graph_version, request.page_size) == (VERSION, 2)
    assert request.order == graph_pb2.INTEREST_ORDER_RANK
    trending = lines(run(server, "show", "--trending", "--json"))
    assert [entry["interest_id"] for entry in trending] == ["northern-lights", "zebra"]
    assert {entry["graph_version"] for entry in trending} == {VERSION}
    community = lines(run(server, "show", "--community", "0", "--json"))
    assert "cat" in [entry["interest_id"] for entry in community]
    assert "no such interest" in run(server, "show", "--prefix", "qq").stdout


@pytest.mark.parametrize("name", ["Northern  lights", "AURORA", "northern-lights"])
def test_neighbours_are_found_by_phrase_alias_or_id(server: RunningServer, name: str) -> None:
    result = run(server, "neighbors", name, "--limit", "2")
    assert "Northern Lights  northern-lights" in result.stdout
    assert "█" in result.stdout
    assert "sourdough" not in result.stdout


def test_a_phrase_goes_before_another_ones_alias(server: RunningServer, fake: FakeGraph) -> None:
    fake.interests[:0] = [interest("house pet", 99_999, aliases=["zebra"])]
    (first, *_) = lines(run(server, "neighbors", "zebra", "--json"))
    assert first["interest_id"] == "zebra"


def test_an_interest_that_is_not_there_is_said_with_what_is(server: RunningServer) -> None:
    result = run(server, "neighbors", "cate")
    assert result.exit_code == 1
    assert f"no interest 'cate' in graph {VERSION}; there is: catering" in words(result.stderr)
    assert run(server, "neighbors", "").exit_code == 2


def test_versions_and_rollback(server: RunningServer) -> None:
    assert f"{VERSION} (now)" in run(server, "versions").stdout
    result = run(server, "rollback", OLD_VERSION)
    assert f"graph {OLD_VERSION} serves now" in result.stdout
    assert f"before: {VERSION}" in result.stdout


def test_a_diff_has_plus_and_minus(server: RunningServer) -> None:
    text = words(run(server, "diff", OLD_VERSION).stdout)
    assert "+30 -1 1 renamed" in text
    assert "+ catering 90" in text
    assert "- sourdough bread" in text
    assert "house cat -> cat" in text
    assert "and 27 more" in text


def test_an_export_is_written_whole_or_not_at_all(
    server: RunningServer, fake: FakeGraph, tmp_path: Path
) -> None:
    out = tmp_path / "graph.gexf"
    result = run(server, "export", "--out", str(out))
    assert (result.exit_code, result.stdout) == (0, "")
    assert out.read_bytes() == b"<graph/>"
    assert fake.requests[-1].format == graph_pb2.EXPORT_FORMAT_GEXF
    fake.refuse["ExportGraph, second piece"] = [status(grpc.StatusCode.INTERNAL, "INTERNAL")]
    assert run(server, "export", "--out", str(tmp_path / "b.json")).exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["graph.gexf"]


def test_an_export_can_go_to_standard_output(server: RunningServer) -> None:
    result = run(server, "export", "--out", "-", "--format", "json")
    assert result.stdout == "<graph/>"
    assert run(server, "export", "--out", "-").exit_code == 2


def test_a_file_that_cannot_be_written_is_said(server: RunningServer, tmp_path: Path) -> None:
    result = run(server, "export", "--out", str(tmp_path / "no" / "x.json"))
    assert result.exit_code == 1
    assert "cannot write" in result.stderr


def refresh_that_ends(
    server: RunningServer, fake: FakeGraph, *arguments: str, after: int = 1, **fields: Any
) -> Result:
    def end() -> None:
        fake.wait_until_watched(after)
        fake.succeed(**fields)

    ending = threading.Thread(target=end)
    ending.start()
    result = run(server, "refresh", *arguments)
    ending.join()
    return result


def test_a_refresh_tells_what_it_has_done(server: RunningServer, fake: FakeGraph) -> None:
    result = refresh_that_ends(server, fake, "--force")
    text = words(result.stdout)
    assert result.exit_code == 0
    assert f"graph {VERSION} serves now" in text
    assert "1,200 items, 1,000 of them mined" in text
    assert "5,432: 12 added, 3 retired" in text
    assert "took 3 min 20 s" in text
    assert "Northern Lights (aurora) 1,234 +8.5" in text
    assert "demo feed" in text
    assert fake.seen(graph_pb2.RefreshGraphRequest)[0].force


def test_a_refresh_without_news_says_so(server: RunningServer, fake: FakeGraph) -> None:
    result = refresh_that_ends(server, fake, graph_version=OLD_VERSION, trending=[])
    assert f"nothing new: graph {OLD_VERSION} goes on serving" in words(result.stdout)


def test_a_refresh_has_lines_for_programs(server: RunningServer, fake: FakeGraph) -> None:
    first, *_, last = lines(refresh_that_ends(server, fake, "--json", after=2))
    assert (first["name"], first["stage"]) == (OPERATION, "loading")
    assert (last["feed"], last["stage_s"]) == ("demo", {"loading": 0.3})
    assert last["result"]["graph_version"] == VERSION
    assert last["result"]["trending"][0]["phrase"] == "Northern Lights"


def test_a_refresh_that_fails_is_exit_code_1(server: RunningServer, fake: FakeGraph) -> None:
    def end() -> None:
        fake.wait_until_watched()
        fake.fail(FAILED)

    ending = threading.Thread(target=end)
    ending.start()
    result = run(server, "refresh", "--json")
    ending.join()
    assert result.exit_code == 1
    assert "the worker died" in result.stderr
    assert lines(result)[-1]["error"]["reason"] == "REFRESH_FAILED"


def test_a_refresh_can_be_started_only_and_joined_later(
    server: RunningServer, fake: FakeGraph
) -> None:
    assert lines(run(server, "refresh", "--no-wait", "--json")) == [{"name": OPERATION}]
    fake.refuse["RefreshGraph"] = [RUNNING, RUNNING]
    refused = run(server, "refresh")
    assert refused.exit_code == 1
    assert "--attach" in words(refused.stderr)
    fake.succeed()
    assert f"graph {VERSION} serves now" in run(server, "refresh", "--attach").stdout


def test_ctrl_c_cancels_the_refresh_and_says_so(server: RunningServer, fake: FakeGraph) -> None:
    with process(server, "refresh", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        fake.wait_until_watched()
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=20)
    assert (started.returncode, out) == (130, b"")
    assert f"cancelled: graph {OLD_VERSION} goes on serving" in words(err.decode())
    assert fake.operation is not None
    assert fake.operation.done


def test_the_terminal_shows_stage_count_and_time_left(
    server: RunningServer, fake: FakeGraph
) -> None:
    terminal, terminal_side = pty.openpty()
    seen, told = bytearray(), threading.Event()
    reader = threading.Thread(target=_read_terminal, args=(terminal, seen, told))
    reader.start()
    with process(server, "refresh", stdout=subprocess.PIPE, stderr=terminal_side) as started:
        os.close(terminal_side)
        fake.wait_until_watched()
        fake.move("embedding", 400, 1_000, left_s=75)
        assert told.wait(20)
        fake.succeed()
        out, _ = started.communicate(timeout=20)
    reader.join()
    assert started.returncode == 0
    assert b"embedding" in seen
    assert b"1 min 15 s left" in seen
    assert b"\x1b" not in out


def _read_terminal(terminal: int, seen: bytearray, told: threading.Event) -> None:
    with suppress(OSError), open(terminal, "rb", buffering=0) as file:
        while data := file.read(4096):  # ends with EIO once nobody holds the other side
            seen.extend(data)
            if b"400/1,000" in seen:
                told.set()


def test_what_the_server_refuses_is_exit_code_1(server: RunningServer, fake: FakeGraph) -> None:
    fake.refuse = {"GetGraph": [NOT_SERVED], "RollbackGraph": [NOT_SERVED]}
    for command in (["show", "--version", "x"], ["rollback", "x"]):
        result = run(server, *command)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "not here" in result.stderr


@pytest.mark.parametrize(
    "command",
    [["show", "--order", "colour"], ["show", "--limit", "0"], ["neighbors"], ["diff"], ["export"]],
    ids=" ".join,
)
def test_wrong_usage(server: RunningServer, command: list[str]) -> None:
    assert run(server, *command).exit_code == 2


@pytest.mark.parametrize("command", [*COMMANDS, ["refresh"]], ids=" ".join)
def test_no_server_is_exit_code_3(server: RunningServer, command: list[str]) -> None:
    server.stop()
    result = run(server, *command)
    assert result.exit_code == 3
    assert "connection refused" in words(result.stderr)


def test_words_of_the_server_cannot_steer_the_terminal(
    server: RunningServer, fake: FakeGraph
) -> None:
    fake.interests = [interest("[red]x\x1b[31m", 1, aliases=["\x1b]0;title\x07"])]
    fake.interests[0].interest_id = "x"
    for command in (["show", "--limit", "1"], ["neighbors", "x"]):
        result = run(server, *command)
        assert "\x1b" not in result.stdout
        assert "[red]x" in result.stdout
