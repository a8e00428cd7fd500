"""Content and people as somebody meets them: the command line, a real server, real photos."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from skimage import data

from tests.server_process import ServerProcess, command_line, wait_until

pytestmark = pytest.mark.triton

PHOTOS = ("chelsea", "coffee", "rocket", "astronaut", "camera")
OWNER = "someone-very-private"


def inkling(server: ServerProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inkling_client.cli", *arguments]
    command += ["--server", server.address]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


def lines(server: ServerProcess, *arguments: str) -> list[dict[str, Any]]:
    done = inkling(server, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def write_feed(folder: Path) -> Path:
    """Each photo three times, by three authors; somebody keeps two of them, and hides one."""
    photos = Path(data.__file__).parent
    entries: list[dict[str, Any]] = []
    for number, name in enumerate(PHOTOS * 3):
        found = next(path for path in photos.glob(f"{name}.*") if path.suffix in (".png", ".jpg"))
        (folder / found.name).write_bytes(found.read_bytes())
        entries.append(
            {
                "id": f"{name}-{number // len(PHOTOS)}",
                "picture": found.name,
                "caption": "a pizza on the table" if name == "coffee" else "",
                "author_id": f"author{number % 3}",
            }
        )
    for kind, item in (("save", "chelsea-0"), ("like", "coffee-0"), ("hide", "rocket-0")):
        entries.append({"user_id": OWNER, "content_id": item, "kind": kind})
    path = folder / "feed.jsonl"
    path.write_text("\n".join(map(json.dumps, entries)) + "\n", encoding="utf-8")
    return path


def mentions(server: ServerProcess, text: str) -> list[str]:
    """Files of the server's folder that hold a text."""
    files = [path for path in server.data_dir.rglob("*") if path.is_file()]
    return [path.name for path in files if text.encode() in path.read_bytes()]


def test_from_a_feed_to_recommendations_and_back_to_nothing(
    warm_data_dir: Path, tmp_path: Path
) -> None:
    feed = write_feed(tmp_path)
    with ServerProcess(warm_data_dir, "--people-refresh-s=0") as server:
        server.wait_serving()
        service = "inkling.v1.ContentService"
        wait_until("the database is up", lambda: server.health(service) == "SERVING", 60)
        for new in (True, False):  # twice changes nothing
            done = inkling(server, "content", "ingest", str(feed))
            assert done.returncode == 0, done.stderr
            assert ("15 new" in done.stderr + done.stdout) is new

        [coffee] = lines(server, "content", "show", "coffee-0")
        tags = {tag["phrase"]: tag["score"] for tag in coffee["tags"]}
        assert tags["coffee"] > 0.5
        assert tags["pizza"] > 0.5  # the caption says so

        [profile] = lines(server, "profile", "get", OWNER)
        assert profile["engagement_count"] == 3
        assert profile["visual"]["picture_count"] == 2
        weights = {i["phrase"]: i["weight"] for i in profile["interests"]}
        assert weights["cat"] > 0
        assert min(weights.values()) < 0

        found = lines(server, "recommend", OWNER, "--limit", "4")
        items = [line["content_id"] for line in found[:4]]
        assert {item.partition("-")[0] for item in items[:2]} <= {"chelsea", "coffee"}
        assert not {"chelsea-0", "coffee-0", "rocket-0"} & set(items)

        assert inkling(server, "profile", "delete", OWNER, "--yes").returncode == 0
        assert inkling(server, "profile", "get", OWNER).returncode == 1
        family = server.family()
        assert any("postgres" in " ".join(command_line(p)) for p in family)
        server.stop()
        # Stopping scrubs what was erased; positive control: an author is still there.
        assert mentions(server, "author1")
        assert mentions(server, OWNER) == []
        wait_until("all are gone", lambda: not any(map(psutil.Process.is_running, family)), 20)
