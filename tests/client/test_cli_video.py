"""`inkling tag` with videos: timeline, lines of JSON, contact sheets, pictures beside them."""

import io
import json
import os
from pathlib import Path
from typing import Any

import grpc
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from inkling_client import (
    Evidence,
    Explanation,
    Interval,
    Tag,
    VideoFacts,
    VideoResult,
    VideoTag,
)
from inkling_client.cli import app
from inkling_client.cli_video_view import clock, strip, video_view
from tests.client.fake_server import FakeInkling, RunningServer, status

FACTS = VideoFacts(62.4, 1920, 1080, "h264", "aac", 14, 900)
SHOWN = Tag("i1", "hot air balloon", 0.92)
NAMED = Tag(
    "i2",
    "breakfast",
    0.5,
    Explanation(0.1, -3.0, 0.0, evidence=(Evidence("speech", 0.4, 2, "breakfast"),)),
)


def result(*tags: VideoTag, **changes: Any) -> VideoResult:
    fields: dict[str, Any] = {
        "tags": tags,
        "facts": FACTS,
        "frames": (),
        "overlay_text": "",
        "transcript": "",
        "contact_sheet": b"",
        "graph_version": "g1",
        "model_version": "m1",
    }
    return VideoResult(**(fields | changes))


TWO = result(
    VideoTag(SHOWN, (Interval(0.0, 31.2), Interval(60.0, 62.4)), 14.25, 0.54),
    VideoTag(NAMED, (), None, 0.0),
    overlay_text="GOOD\nMORNING\x1b[31m",
    transcript="breakfast is ready",
)


def draw(shown: VideoResult, width: int, *, encoding: str = "utf-8", **options: bool) -> list[str]:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    console = Console(file=file, width=width, highlight=False)
    console.print(video_view(console, "films/morning.mp4", shown, **options))
    file.flush()
    return [line.rstrip() for line in raw.getvalue().decode(encoding).splitlines()]


@pytest.mark.parametrize(
    ("intervals", "drawn"),
    [
        ([], "··········"),
        ([(0, 10)], "██████████"),
        ([(0, 5)], "█████·····"),
        ([(2.5, 4.5)], "··▐█▌·····"),
        ([(9.99, 10)], "·········▐"),
        ([(0, 0.001)], "▌·········"),
        ([(1, 2), (3, 4)], "·█·█······"),
    ],
)
def test_strip_shows_every_interval_however_short(
    intervals: list[tuple[float, float]], drawn: str
) -> None:
    spans = [Interval(*one) for one in intervals]
    assert strip(spans, 10.0, 10, blocks=True) == drawn
    plain = strip(spans, 10.0, 10, blocks=False)
    assert [sign == "#" for sign in plain] == [sign != "·" for sign in drawn]


def test_strip_of_a_video_without_a_length_is_full() -> None:
    assert strip([Interval(0, 0)], 0.0, 4, blocks=True) == "████"


def test_clock() -> None:
    assert [clock(one) for one in (0, 59.99, 62.4, 3_600)] == ["0:00", "0:59", "1:02", "1:00:00"]
    assert clock(75.25, tenths=True) == "1:15.2"


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_timeline_fits_and_says_everything(width: int, encoding: str) -> None:
    if encoding == "ascii":
        lines = draw(result(*TWO.tags[:1], facts=FACTS), width, encoding=encoding)
    else:
        lines = draw(TWO, width, explain=True)
    text = "\n".join(lines)
    assert all(len(line) <= width for line in lines)
    assert "1:02.4" in text
    assert "1920x1080 h264 + aac" in text
    assert "14 frames" in text
    (balloon,) = [line for line in lines if line.startswith("hot air")]
    assert "92%" in balloon
    assert "0:14.2" in balloon
    if encoding == "utf-8":
        (breakfast,) = [line for line in lines if line.startswith("breakfast")]
        assert "named, not shown" in breakfast
        assert "speech 40% ×2" in text
        assert "said: “breakfast is ready”" in text
        assert "\x1b" not in text


def test_first_half_is_drawn_as_the_first_half() -> None:
    (balloon,) = [line for line in draw(TWO, 100) if line.startswith("hot air")]
    drawn = balloon.split("92%")[1].split("0:14.2")[0].strip()
    assert abs(drawn.index("·") / len(drawn) - 0.5) < 0.05


def test_video_without_tags_says_so() -> None:
    assert "no tag above the threshold" in "\n".join(draw(result(), 80))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("INKLING_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("FORCE_COLOR", raising=False)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"balloon")
    return path


def run(server: RunningServer, *arguments: str | Path, **options: Any) -> Result:
    return CliRunner().invoke(
        app, [str(one) for one in arguments], env={"INKLING_SERVER": server.target}, **options
    )


def test_json_is_one_object_in_the_documented_shape(server: RunningServer, clip: Path) -> None:
    done = run(server, "tag", clip, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {
        "path": str(clip),
        "tags": [
            {
                "interest_id": "id:balloon",
                "phrase": "balloon",
                "score": 0.75,
                "intervals": [[1.5, 4.0], [8.0, 9.0]],
                "best_time_s": 2.0,
                "share": 0.35,
            },
            {
                "interest_id": "id:caption",
                "phrase": "caption",
                "score": 0.5,
                "intervals": [],
                "best_time_s": None,
                "share": 0.0,
            },
        ],
        "video": {
            "duration_s": 10.0,
            "width": 1920,
            "height": 1080,
            "video_codec": "h264",
            "audio_codec": "",
            "frame_count": 4,
            "decoded_frame_count": 300,
        },
        "overlay_text": "",
        "transcript": "",
        "graph_version": "g1",
        "model_version": "fake:1:00",
    }


def test_people_get_a_timeline_and_a_count(server: RunningServer, clip: Path) -> None:
    done = run(server, "tag", clip)
    assert done.exit_code == 0
    assert "0:00 ─" in done.stdout
    assert "balloon" in done.stdout
    assert "1 video ·" in done.stdout
    assert "Picture" not in done.stdout


def test_options_reach_the_server(server: RunningServer, fake: FakeInkling, clip: Path) -> None:
    run(
        server,
        *("tag", clip, "--top-n", "7", "--min-score", "0.5", "--explain", "--transcribe"),
        *("--max-frames", "9", "--caption", "up", "--read-text"),
    )
    ((options, _),) = fake.videos
    assert (options.top_n, options.min_score, options.explain) == (7, 0.5, True)
    assert (options.transcribe, options.max_frame_count) == (True, 9)
    assert (options.context.caption, options.context.read_text) == ("up", True)


def test_what_the_server_cannot_do_is_said(server: RunningServer, clip: Path) -> None:
    done = run(server, "tag", clip, "--transcribe")
    assert "recognises no speech" in done.stderr
    assert done.exit_code == 0
    assert "recognises no speech" not in run(server, "tag", clip).stderr


def test_folder_of_both_keeps_its_order(server: RunningServer, clip: Path) -> None:
    for name in ("a.jpg", "d.jpg"):
        (clip.parent / name).write_bytes(name.encode())
    (clip.parent / "e.webm").write_bytes(b"kite")
    done = run(server, "tag", clip.parent, "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(one["path"]).name for one in lines] == ["a.jpg", "clip.mp4", "d.jpg", "e.webm"]
    assert ["video" in one for one in lines] == [False, True, False, True]
    shown = run(server, "tag", clip.parent).stdout
    assert "2 pictures · 2 videos" in shown


def test_bad_video_costs_one_line(server: RunningServer, fake: FakeInkling, clip: Path) -> None:
    invalid = status(grpc.StatusCode.INVALID_ARGUMENT, "VIDEO_INVALID", "no video stream")
    fake.script[b"broken"] = [invalid] * 2
    broken = clip.with_name("a.mov")
    broken.write_bytes(b"broken")
    done = run(server, "tag", clip.parent, "--json")
    first, second = [json.loads(line) for line in done.stdout.splitlines()]
    assert first["error"]["reason"] == "VIDEO_INVALID"
    assert second["tags"]
    assert done.exit_code == 1
    shown = run(server, "tag", broken)
    assert "VIDEO_INVALID  no video stream" in shown.stdout
    assert shown.exit_code == 1


def test_standard_input_may_be_a_video(server: RunningServer, fake: FakeInkling) -> None:
    done = run(server, "tag", "--video", "-", "--json", input=b"balloon")
    assert json.loads(done.stdout)["path"] == "-"
    assert fake.videos[0][1] == b"balloon"


@pytest.mark.parametrize(("name", "written"), [("s.png", b"png sheet"), ("s.JPG", b"jpeg sheet")])
def test_contact_sheet_is_written(
    server: RunningServer, clip: Path, name: str, written: bytes
) -> None:
    sheet = clip.with_name("out") / name
    sheet.parent.mkdir()
    done = run(server, "tag", clip, "--contact-sheet", sheet)
    assert done.exit_code == 0
    assert sheet.read_bytes() == written


@pytest.mark.parametrize("sheet", ["s.gif", "s", "missing/s.png"])
def test_contact_sheet_that_cannot_be_made_is_wrong_usage(
    server: RunningServer, fake: FakeInkling, clip: Path, sheet: str
) -> None:
    done = run(server, "tag", clip, "--contact-sheet", clip.with_name("x").parent / sheet)
    assert done.exit_code == 2
    assert not fake.videos


def test_contact_sheet_needs_exactly_one_video(server: RunningServer, clip: Path) -> None:
    (clip.parent / "a.jpg").write_bytes(b"cat")
    picture = run(server, "tag", clip.parent / "a.jpg", "--contact-sheet", "s.png")
    assert picture.exit_code == 2
    assert "exactly one video" in picture.stderr
