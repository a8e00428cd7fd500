"""`inkling profile ...` against a scripted server on a real socket."""

import json
import os
import pty
import signal
import subprocess
import threading
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner, Result

from inkling.v1 import profile_pb2
from inkling_client.cli import app
from tests.client.cli_process import inkling
from tests.client.fake_content import STORAGE_DOWN
from tests.client.fake_profiles import OPERATION, FakeProfiles
from tests.client.fake_server import RunningServer, status

NO_CLUSTERS = status(grpc.StatusCode.FAILED_PRECONDITION, "NO_CLUSTERS", "there are no clusters")


def run(server: RunningServer, *arguments: str, width: int = 80) -> Result:
    environment = {"INKLING_SERVER": server.target, "COLUMNS": str(width)}
    return CliRunner().invoke(app, ["profile", *arguments], env=environment)


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def words(text: str) -> str:
    return " ".join(text.split())


def ending(profiles: FakeProfiles, why: Any = None) -> threading.Thread:
    """Ends the refresh as soon as somebody watches it."""

    def end() -> None:
        profiles.wait_until_watched()
        profiles.succeed() if why is None else profiles.fail(why)

    thread = threading.Thread(target=end)
    thread.start()
    return thread


def test_a_profile_is_drawn(people_server: RunningServer) -> None:
    result = run(people_server, "get", "ann")
    assert result.exit_code == 0
    text = words(result.stdout)
    assert "person ann engagements 1,234" in text
    assert "40; 3 more of an older model do not count" in text
    assert "17 ████████████ 50.0% 25.0% x2.0 pin-1, pin-2" in text
    assert "+ latte art ████████████ +0.500 25%" in text
    assert "- gym ██████ -0.250" in text
    assert "latte art █████████ 75.0%" in text
    assert "clusters clusters-1" in text


def test_somebody_without_pictures_is_told_so(people_server: RunningServer) -> None:
    assert "no visual profile" in run(people_server, "get", "new").stdout


def test_a_profile_for_programs(people_server: RunningServer) -> None:
    (found,) = lines(run(people_server, "get", "ann", "--json"))
    assert found["user_id"] == "ann"
    assert found["visual"]["clusters"][0]["share"] == 0.5
    assert found["last_engagement_time"] == "2026-11-02T10:00:00+00:00"


def test_a_comparison_has_stars_signs_and_a_verdict(people_server: RunningServer) -> None:
    text = words(run(people_server, "compare", "ann", "ben").stdout)
    assert "they differ at 99 %: max |z| 3.50; at 95 % also when corrected" in text
    assert "17 +3.50 ** ████████████ 25.0% 12.5%" in text
    assert "3 -2.00 * " in text
    assert "5 +0.50 █▊" in text
    assert "gym -0.250 +0.500" in text
    assert "latte art +0.500 +0.250" in text


def test_a_comparison_with_everybody(people_server: RunningServer, profiles: FakeProfiles) -> None:
    result = run(people_server, "compare", "ann", "--variance", "approximate")
    assert "ann and everybody" in result.stdout
    (request,) = profiles.seen(profile_pb2.CompareProfilesRequest)
    assert request.second_user_id == ""
    assert request.variance == profile_pb2.LOG_ODDS_VARIANCE_APPROXIMATE
    (found,) = lines(run(people_server, "compare", "ann", "--json"))
    assert (found["second_user_id"], found["max_abs_z"]) == ("", 3.5)
    assert [entry["z"] for entry in found["clusters"]] == [3.5, -2.0, 0.5]


def test_a_ranking(people_server: RunningServer, profiles: FakeProfiles) -> None:
    text = words(run(people_server, "rank", "a", "b", "--hold-out", "--user", "ann").stdout)
    assert "1 ann ████████████ +1.500" in text
    assert "2 ben ████ -0.500" in text
    assert "2 people compared, by 1 picture;" in text
    (request,) = profiles.seen(profile_pb2.RankProfilesRequest)
    assert (list(request.content_ids), list(request.user_ids)) == (["a", "b"], ["ann"])
    assert request.hold_out
    first, _ = lines(run(people_server, "rank", "a", "--json"))
    assert first == {"place": 1, "candidate_count": 2, "user_id": "ann", "score": 1.5}


def test_clusters(people_server: RunningServer, profiles: FakeProfiles) -> None:
    text = words(run(people_server, "clusters").stdout)
    assert "fitted to 5,000 pictures" in text
    assert "latte art, coffee pin-1, pin-2" in text
    first, _ = lines(run(people_server, "clusters", "--json", "--exemplars", "3"))
    assert (first["clusters_version"], first["cluster"]) == ("clusters-1", 0)
    assert profiles.seen(profile_pb2.ListClustersRequest)[-1].exemplar_count == 3


def test_erasing_without_a_terminal_needs_yes(
    people_server: RunningServer, profiles: FakeProfiles
) -> None:
    result = run(people_server, "delete", "ann")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert profiles.seen(profile_pb2.DeleteProfileRequest) == []
    result = run(people_server, "delete", "ann", "--yes")
    assert "erased: 1,234 engagements, and 1 item that they had posted" in words(result.stdout)
    assert lines(run(people_server, "delete", "nobody", "--yes", "--json")) == [
        {"engagement_count": 0, "content_count": 0}
    ]


@pytest.mark.parametrize(("answer", "exit_code"), [(b"y\n", 0), (b"n\n", 1), (b"\n", 1)])
def test_erasing_at_a_terminal_is_asked_for(
    people_server: RunningServer, profiles: FakeProfiles, answer: bytes, exit_code: int
) -> None:
    terminal, terminal_side = pty.openpty()
    with subprocess.Popen(
        inkling("profile", "delete", "ann"),
        env={**os.environ, "INKLING_SERVER": people_server.target, "COLUMNS": "80"},
        stdin=terminal_side,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(terminal_side)
        os.write(terminal, answer)
        out, errors = process.communicate(timeout=30)
    os.close(terminal)
    assert process.returncode == exit_code
    assert "Erase everything of ann?" in errors.decode()
    erased = profiles.seen(profile_pb2.DeleteProfileRequest)
    assert len(erased) == (exit_code == 0)
    assert ("erased" in out.decode()) == (exit_code == 0)


def test_a_refresh_is_watched_to_its_end(
    people_server: RunningServer, profiles: FakeProfiles
) -> None:
    thread = ending(profiles)
    result = run(people_server, "refresh", "--refit-clusters", "--cluster-count", "50")
    thread.join()
    assert result.exit_code == 0, result.output
    text = words(result.stdout)
    assert "people are up to date" in text
    assert "clusters clusters-1, fitted now" in text
    assert "expired 7 engagements" in text
    assert "took 60.0 s" in text
    (request,) = profiles.seen(profile_pb2.RefreshPeopleRequest)
    assert (request.refit_clusters, request.cluster_count) == (True, 50)


def test_a_refresh_for_programs(people_server: RunningServer, profiles: FakeProfiles) -> None:
    thread = ending(profiles)
    *_, last = lines(run(people_server, "refresh", "--json"))
    thread.join()
    assert last["name"] == OPERATION
    assert last["result"]["popular_content_count"] == 400


def test_a_refresh_that_fails_is_exit_1(
    people_server: RunningServer, profiles: FakeProfiles
) -> None:
    thread = ending(profiles, STORAGE_DOWN)
    result = run(people_server, "refresh", "--json")
    thread.join()
    assert result.exit_code == 1
    assert lines(result)[-1]["error"]["reason"] == "STORAGE_DOWN"
    assert "the database does not answer" in words(result.stderr)


def test_detached_it_only_starts(people_server: RunningServer) -> None:
    assert f"{OPERATION} runs" in words(run(people_server, "refresh", "--detach").stdout)
    assert lines(run(people_server, "refresh", "--detach", "--json")) == [{"name": OPERATION}]


def test_ctrl_c_cancels_the_refresh(people_server: RunningServer, profiles: FakeProfiles) -> None:
    with subprocess.Popen(
        inkling("profile", "refresh"),
        env={**os.environ, "INKLING_SERVER": people_server.target, "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        profiles.wait_until_watched()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "cancelled: what was computed before goes on serving" in words(errors.decode())


def test_what_the_server_refuses_is_exit_1(
    people_server: RunningServer, profiles: FakeProfiles
) -> None:
    result = run(people_server, "get", "nobody")
    assert result.exit_code == 1
    assert "nothing of such a person" in result.stderr
    profiles.refuse["ListClusters"] = [NO_CLUSTERS]
    result = run(people_server, "clusters")
    assert result.exit_code == 1
    assert "there are no clusters" in result.stderr


def test_a_database_that_is_away_is_exit_3(
    people_server: RunningServer, profiles: FakeProfiles
) -> None:
    profiles.refuse["GetProfile"] = [STORAGE_DOWN] * 5
    result = run(people_server, "get", "ann")
    assert result.exit_code == 3
    assert "is not ready: the database does not answer" in words(result.stderr)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(people_server: RunningServer, width: int) -> None:
    for command in (["get", "ann"], ["compare", "ann", "ben"], ["rank", "a"], ["clusters"]):
        result = run(people_server, *command, width=width)
        assert result.exit_code == 0, result.output
        assert max(len(line.rstrip()) for line in result.stdout.splitlines()) <= width


def test_names_do_not_steer_the_terminal(people_server: RunningServer) -> None:
    result = run(people_server, "compare", "ann", "\x1b[31m[bold]x[/bold]")
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "[bold]x" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["get"],
        ["compare"],
        ["rank"],
        ["get", "u", "--limit", "0"],
        ["refresh", "--cluster-count", "1"],
    ],
)
def test_wrong_usage_is_said_without_asking(
    people_server: RunningServer, profiles: FakeProfiles, arguments: list[str]
) -> None:
    assert run(people_server, *arguments).exit_code == 2
    assert profiles.requests == []
