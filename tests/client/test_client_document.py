"""The examples of docs/client.md about content and people run as they stand."""

import re
import threading
from pathlib import Path

import pytest

from inkling_client import InklingClient, InklingClientError
from tests.client.fake_content import FakeContent
from tests.client.fake_profiles import FakeProfiles
from tests.client.fake_server import RunningServer


def examples(repository: Path, word: str) -> list[str]:
    text = (repository / "docs" / "client.md").read_text(encoding="utf-8")
    return [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if word in block]


@pytest.fixture
def names(
    people_server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, object]:
    """What the document's earlier examples have imported; its client meets the scripted server."""
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_bytes(b"cat")
    monkeypatch.chdir(tmp_path)
    return {
        "Path": Path,
        "InklingClient": lambda: InklingClient(people_server.target),
        "InklingClientError": InklingClientError,
    }


def test_content(
    repository: Path,
    names: dict[str, object],
    content: FakeContent,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content.keep("pin-1")
    (example,) = examples(repository, "client.content")
    exec(example, names)
    assert content.stored == ["beach"]
    assert [key[0] for key in content.engagements] == ["ann"]
    assert "beach ['by the sea']" in capsys.readouterr().out


def test_people(
    repository: Path,
    names: dict[str, object],
    profiles: FakeProfiles,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def end() -> None:
        profiles.wait_until_watched()
        profiles.succeed()

    thread = threading.Thread(target=end)
    thread.start()
    (example,) = examples(repository, "client.profiles")
    exec(example, names)
    thread.join()
    printed = capsys.readouterr().out
    assert "+0.50 latte art" in printed
    assert "3.5 False" in printed
    assert "1234" in printed


def test_videos(
    repository: Path,
    names: dict[str, object],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"kite")
    (example,) = examples(repository, "tag_video")
    exec(example, names)
    printed = capsys.readouterr().out
    assert "kite 75%: 1.5-4.0 s, 8.0-9.0 s, best at 2.0 s" in printed
    assert "2.0 s ['kite']" in printed
    assert names["sheet"] == b"png sheet"
