"""Asking a server to read what is written in pictures."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from inkling_client import Context, IngestItem
from inkling_client.cli import app
from inkling_client.cli_content_feed import FeedFile
from inkling_client.errors import InvalidRequest
from tests.client.fake_server import RunningServer


def item(folder: Path, **values: Any) -> IngestItem | InvalidRequest:
    path = folder / "feed.jsonl"
    path.write_text(json.dumps({"id": "a"} | values), encoding="utf-8")
    (line,) = FeedFile(path, folder).lines()
    assert isinstance(line.value, IngestItem | InvalidRequest)
    return line.value


def test_a_context_asks_only_where_it_is_told_to() -> None:
    assert not Context(caption="a").message().read_text
    assert Context(read_text=True).message().read_text


def test_the_command_line_asks_for_every_picture(server: RunningServer, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"cat")
    command = ["tag", str(tmp_path), "--json", "--explain", "--server", server.target]
    sources = []
    for options in ([], ["--read-text"]):
        result = CliRunner().invoke(app, [*command, *options])
        (tag,) = json.loads(result.stdout)["tags"]
        sources.append([one["source"] for one in tag["explanation"]["evidence"]])
    assert sources == [[], ["overlay"]]


@pytest.mark.parametrize(("value", "asked"), [(True, True), (False, False), (None, False)])
def test_an_item_of_a_file_asks_for_itself(tmp_path: Path, value: bool | None, asked: bool) -> None:
    found = item(tmp_path, read_text=value)
    assert isinstance(found, IngestItem)
    assert found.context is not None
    assert found.context.read_text is asked


def test_an_item_that_asks_with_words_is_a_bad_line(tmp_path: Path) -> None:
    found = item(tmp_path, read_text="yes")
    assert isinstance(found, InvalidRequest)
    assert "read_text must be true or false" in found.message
