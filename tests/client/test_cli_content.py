"""`inkling content ...` and `inkling recommend` against a scripted server on a real socket."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from inkling.v1 import content_pb2
from inkling_client.cli import app
from tests.client.cli_process import inkling
from tests.client.fake_content import STORAGE_DOWN, FakeContent
from tests.client.fake_server import INVALID, RunningServer


def run(server: RunningServer, *arguments: str, width: int = 80) -> Result:
    environment = {"INKLING_SERVER": server.target, "COLUMNS": str(width)}
    return CliRunner().invoke(app, list(arguments), env=environment)


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def words(text: str) -> str:
    return " ".join(text.split())


def feed(folder: Path, *entries: dict[str, Any] | str) -> str:
    path = folder / "feed.jsonl"
    texts = [entry if isinstance(entry, str) else json.dumps(entry) for entry in entries]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return str(path)


def like(user: str, item: str, **more: Any) -> dict[str, Any]:
    return {"user_id": user, "content_id": item, "kind": "like", **more}


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once."""
    monkeypatch.setattr("inkling_client.retry.RetryPolicy.backoff_s", lambda *_: 0.001)


def test_items_go_before_the_engagements_that_need_them(
    people_server: RunningServer, content: FakeContent, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"cat")
    path = feed(
        tmp_path,
        like("u1", "p1"),
        {"id": "p1", "picture": "photos/a.jpg", "caption": "a cat"},
        {"id": "p2", "caption": "words alone"},
        like("u2", "p2"),
    )
    result = run(people_server, "content", "ingest", path)
    assert result.exit_code == 0, result.output
    assert "2 items stored (2 new, 0 replaced) · 2 engagements recorded" in words(result.stdout)
    assert content.items["p1"].image == b"cat"
    assert {user for user, _ in content.engagements} == {"u1", "u2"}


def test_twice_is_once(people_server: RunningServer, content: FakeContent, tmp_path: Path) -> None:
    path = feed(tmp_path, {"id": "p1"}, *(like(f"u{n}", "p1") for n in range(1_500)))
    run(people_server, "content", "ingest", path)
    result = run(people_server, "content", "ingest", path, "--json")
    assert result.exit_code == 0
    *_, last = lines(result)
    summary = last["summary"]
    assert (summary["created_count"], summary["replaced_count"]) == (0, 1)
    assert (summary["recorded_count"], summary["duplicate_count"]) == (0, 1_500)
    assert len(content.engagements) == 1_500
    assert len(content.seen(content_pb2.RecordEngagementsRequest)) == 4


def test_pictures_are_looked_for_where_one_says(
    people_server: RunningServer, content: FakeContent, tmp_path: Path
) -> None:
    images = tmp_path / "elsewhere"
    images.mkdir()
    (images / "a.jpg").write_bytes(b"cat")
    path = feed(tmp_path, {"id": "p1", "picture": "a.jpg"})
    assert run(people_server, "content", "ingest", path).exit_code == 1
    assert run(people_server, "content", "ingest", path, "--images", str(images)).exit_code == 0
    assert content.items["p1"].image == b"cat"


def test_bad_lines_cost_themselves_and_are_told_by_number(
    people_server: RunningServer, content: FakeContent, tmp_path: Path
) -> None:
    content.script["p3"] = [INVALID]
    path = feed(
        tmp_path,
        {"id": "p1"},
        "{broken",
        {"id": "p2", "picture": "missing.jpg"},
        {"id": "p3"},
        like("u1", "p1"),
        like("u1", "nothing"),
    )
    result = run(people_server, "content", "ingest", path, "--json")
    assert result.exit_code == 1
    assert result.stdout.isascii()
    *seen, last = lines(result)
    errors = {line["line"]: line["error"]["reason"] for line in seen if "error" in line}
    assert errors == {
        2: "LINE_INVALID",
        3: "FILE_UNREADABLE",
        4: "IMAGE_INVALID",
        6: "UNKNOWN_CONTENT",
    }
    (stored,) = [line for line in seen if "tags" in line]
    assert (stored["line"], stored["content_id"], stored["created"]) == (1, "p1", True)
    assert (stored["graph_version"], stored["model_version"]) == ("g1", "fake:1:00")
    assert last["summary"]["failed_count"] == 4
    assert last["summary"]["recorded_count"] == 1


def test_people_see_the_first_failures_and_how_many_more(
    people_server: RunningServer, tmp_path: Path
) -> None:
    result = run(people_server, "content", "ingest", feed(tmp_path, {"id": "a"}, *["no"] * 50))
    assert result.exit_code == 1
    assert result.stdout.count("LINE_INVALID") == 20
    assert "and 30 more that failed; --json shows all" in words(result.stdout)
    assert "50 failed" in result.stdout


def test_a_broken_connection_in_mid_file_costs_nothing(
    people_server: RunningServer, content: FakeContent, tmp_path: Path, no_waits: None
) -> None:
    content.break_at = 20
    content.lose_answer_of = ["RecordEngagements"]
    path = feed(
        tmp_path,
        *({"id": f"p{n}"} for n in range(100)),
        *(like(f"u{n}", f"p{n}") for n in range(100)),
    )
    result = run(people_server, "content", "ingest", path)
    assert result.exit_code == 0, result.output
    assert len(content.items) == 100
    assert len(content.engagements) == 100
    assert "100 items stored (99 new, 1 replaced)" in words(result.stdout)


def test_a_database_lost_on_the_way_stops_and_says_what_to_do(
    people_server: RunningServer, content: FakeContent, tmp_path: Path, no_waits: None
) -> None:
    content.refuse["RecordEngagements"] = [STORAGE_DOWN] * 50
    path = feed(tmp_path, {"id": "p1"}, *(like(f"u{n}", "p1") for n in range(5_000)))
    result = run(people_server, "content", "ingest", path)
    assert result.exit_code == 3
    assert "stopped: the database does not answer" in words(result.stderr)
    assert "doing it again" in words(result.stderr)
    assert "1 item stored" in result.stdout
    assert run(people_server, "content", "ingest", path).exit_code == 3
    content.refuse.clear()
    assert run(people_server, "content", "ingest", path).exit_code == 0
    assert len(content.engagements) == 5_000


def test_nothing_to_do_is_wrong_usage(people_server: RunningServer, tmp_path: Path) -> None:
    assert run(people_server, "content", "ingest", feed(tmp_path)).exit_code == 2
    assert run(people_server, "content", "ingest", str(tmp_path / "none")).exit_code == 2
    assert run(people_server, "content", "ingest", str(tmp_path)).exit_code == 2
    os.mkfifo(tmp_path / "pipe")
    assert run(people_server, "content", "ingest", str(tmp_path / "pipe")).exit_code == 2


def test_no_server_is_exit_3(tmp_path: Path) -> None:
    path = feed(tmp_path, {"id": "p1"})
    for command in (["content", "ingest", path], ["content", "show", "a"], ["recommend", "u"]):
        result = CliRunner().invoke(app, [*command, "--server", "127.0.0.1:1"])
        assert result.exit_code == 3
        assert "no server" in result.stderr


def test_ctrl_c_says_how_far_it_came(
    people_server: RunningServer, content: FakeContent, tmp_path: Path
) -> None:
    content.hold = True
    with subprocess.Popen(
        inkling("content", "ingest", feed(tmp_path, {"id": "p1"}, {"id": "p2"})),
        env={**os.environ, "INKLING_SERVER": people_server.target, "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        content.wait_for_received(1)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "stopped: interrupted; doing it again stores the rest" in words(errors.decode())
    assert "0 items stored" in out.decode()


def test_show_has_texts_tags_and_who_says_so(
    people_server: RunningServer, content: FakeContent
) -> None:
    content.keep("p1")
    result = run(people_server, "content", "show", "p1")
    assert result.exit_code == 0
    assert "caption a cat" in words(result.stdout)
    assert "█" in result.stdout
    assert "75%" in result.stdout
    (found,) = lines(run(people_server, "content", "show", "p1", "--json"))
    assert found["content_id"] == "p1"
    assert found["context"]["caption"] == "a cat"
    assert found["tags"][0]["explanation"]["picture_logit"] == 1.5


def test_an_item_that_is_not_there_is_exit_1(people_server: RunningServer) -> None:
    result = run(people_server, "content", "show", "p1")
    assert result.exit_code == 1
    assert "no such item" in result.stderr


def test_delete_counts(people_server: RunningServer, content: FakeContent) -> None:
    content.keep("p1", "p2")
    assert "1 of 2 deleted" in run(people_server, "content", "delete", "p1", "none").stdout
    assert lines(run(people_server, "content", "delete", "p2", "--json")) == [{"deleted_count": 1}]


def test_recommendations_for_people_and_programs(
    people_server: RunningServer, content: FakeContent
) -> None:
    text = words(run(people_server, "recommend", "ann", "--explain").stdout)
    assert "1 pin-7" in text
    assert "cares for latte art +0.750" in text
    assert "looks like what they keep, cluster 17 +0.500" in text
    assert "with pin-1, pin-2" in text
    assert "new -0.125" in text
    assert "cares for" not in run(people_server, "recommend", "ann").stdout
    first, second = lines(
        run(people_server, "recommend", "ann", "--json", "--explain", "--limit", "2")
    )
    assert (first["content_id"], first["score"], first["cold_start"]) == ("pin-7", 1.5, False)
    assert first["reasons"][0]["kind"] == "interest"
    assert second["reasons"] == []
    request = content.seen(content_pb2.RecommendRequest)[-1]
    assert (request.limit, request.explain) == (2, True)
    assert not request.HasField("diversity")


def test_a_cold_start_is_said(people_server: RunningServer, content: FakeContent) -> None:
    content.cold_start = True
    assert "nothing is known of new yet" in run(people_server, "recommend", "new").stdout


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(
    people_server: RunningServer, content: FakeContent, width: int
) -> None:
    content.keep("p" * 150)
    for command in (["content", "show", "p" * 150], ["recommend", "ann", "--explain"]):
        result = run(people_server, *command, width=width)
        assert result.exit_code == 0, result.output
        assert max(len(line.rstrip()) for line in result.stdout.splitlines()) <= width


@pytest.mark.parametrize(
    "arguments",
    [
        ["content"],
        ["content", "show"],
        ["content", "delete"],
        ["recommend"],
        ["recommend", "u", "--limit", "101"],
        ["recommend", "u", "--diversity", "2"],
    ],
)
def test_wrong_usage_is_said_without_asking(
    people_server: RunningServer, content: FakeContent, arguments: list[str]
) -> None:
    assert run(people_server, *arguments).exit_code == 2
    assert content.requests == []
