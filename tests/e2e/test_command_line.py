"""`inkling tag` as a person runs it: good and broken files together, against a real server."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.broken_images import broken_pictures, huge_headers, png_bomb
from tests.image_factory import small_files
from tests.server_process import ServerProcess

pytestmark = pytest.mark.triton

BROKEN = {"IMAGE_INVALID", "IMAGE_TOO_LARGE"}


def inkling(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inkling_client.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


def write_broken(folder: Path) -> int:
    """Truncated, empty, renamed, bombs and lying headers; returns how many."""
    files = {broken.name: broken.data for broken in broken_pictures()}
    files |= {f"huge {name}": data for name, data in huge_headers().items()}
    files["bomb"] = png_bomb()
    for name, data in files.items():
        (folder / f"broken {name}.jpg").write_bytes(data)
    return len(files)


def tag(server: ServerProcess, folder: Path) -> list[dict[str, Any]]:
    done = inkling("tag", str(folder), "--json", "--server", server.address)
    assert done.returncode == 1, done.stderr  # documented: some pictures failed
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(lines: list[dict[str, Any]], good: int, broken: int) -> None:
    errors = {Path(x["path"]).name: x["error"]["reason"] for x in lines if "error" in x}
    assert len(lines) - len(errors) == good, errors
    assert len(errors) == broken
    assert all(name.startswith("broken") for name in errors), errors
    assert set(errors.values()) == BROKEN


def test_broken_files_fail_alone_and_every_format_is_tagged(
    server: ServerProcess, tmp_path: Path
) -> None:
    formats = small_files()
    for number in range(200):
        name, data = list(formats.items())[number % len(formats)]
        (tmp_path / f"{number} {name}.png").write_bytes(data)
    broken = write_broken(tmp_path)
    assert broken >= 20
    check(tag(server, tmp_path), good=200, broken=broken)
    assert server.health() == "SERVING"


def test_real_photos_among_broken_files(
    server: ServerProcess, tmp_path: Path, sample_data: Path
) -> None:
    shards = sorted((sample_data / "images").glob("*.tar*"))
    for shard in shards:
        with tarfile.open(shard) as archive:
            pictures = (m for m in archive if m.name.endswith(".webp"))
            for _, member in zip(range(20), pictures, strict=False):
                content = archive.extractfile(member)
                assert content is not None
                (tmp_path / f"{shard.name} {Path(member.name).name}").write_bytes(content.read())
    good = len(list(tmp_path.iterdir()))
    assert good >= 200
    broken = write_broken(tmp_path)
    check(tag(server, tmp_path), good, broken)
    assert server.health() == "SERVING"


def test_table_shows_phrases_and_versions(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(small_files()["JPEG"])
    address = ("--server", server.address)
    done = inkling("tag", str(tmp_path / "photo.jpg"), "--min-score", "0", *address)
    assert done.returncode == 0, done.stderr
    assert "photo.jpg" in done.stdout
    info = inkling("info", "--json", *address)
    assert info.returncode == 0, info.stderr
    assert json.loads(info.stdout)["interest_count"] >= 2000


def test_no_server_is_said_so() -> None:
    done = inkling("info", "--server", "127.0.0.1:1")
    assert done.returncode == 3
    assert "127.0.0.1:1" in done.stderr
