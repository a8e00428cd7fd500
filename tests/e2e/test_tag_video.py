"""A real video of real photos through a real server: are the tags right, and their times?"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from inkling_client import InklingClient, InklingClientError, VideoInvalid, VideoResult
from tests.server_process import ServerProcess

pytest.importorskip("av")

from tests.video_factory import Scene, make_video

# Photos, for how long each shows, and what a person would accept as a right tag.
SHOWN = [
    ("chelsea.png", 3.0, {"cat", "kitten", "tabby cat"}),
    ("coffee.png", 2.5, {"coffee", "espresso", "cup"}),
    ("camera.png", 2.0, {"camera", "tripod"}),
    ("motorcycle_left.png", 3.0, {"motorcycle", "motorbike"}),
]
pytestmark = pytest.mark.triton


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(skimage.data.data_dir)
    scenes = [
        Scene(np.asarray(Image.open(folder / name).convert("RGB")), s) for name, s, _ in SHOWN
    ]
    return make_video(
        tmp_path_factory.mktemp("video") / "clip.mp4", scenes, size=(640, 480), fps=25
    )


@pytest.fixture(scope="module")
def result(server: ServerProcess, clip: Path) -> VideoResult:
    with InklingClient(server.address) as client:
        return client.tag_video(clip, top_n=20, include_frames=True, contact_sheet="jpeg")


@pytest.mark.parametrize("place", range(len(SHOWN)), ids=[name for name, *_ in SHOWN])
def test_photo_is_found_when_it_shows(result: VideoResult, place: int) -> None:
    _, seconds, right = SHOWN[place]
    start_s = sum(shown for _, shown, _ in SHOWN[:place])
    found = {
        one.tag.phrase: [(i.start_s, i.end_s) for i in one.intervals]
        for one in result.tags
        if one.tag.phrase in right
    }
    assert any(
        abs(start - start_s) <= 1 and abs(end - start_s - seconds) <= 1
        for intervals in found.values()
        for start, end in intervals
    ), (start_s, found)


def test_frames_and_facts_are_those_of_the_file(result: VideoResult) -> None:
    assert result.facts.duration_s == pytest.approx(10.5, abs=0.2)
    assert (result.facts.width, result.facts.height) == (640, 480)
    assert len(result.frames) == result.facts.frame_count >= len(SHOWN)
    assert result.frames[0].start_s == 0
    for one, after in zip(result.frames, result.frames[1:], strict=False):
        assert one.end_s == after.start_s
    assert result.frames[-1].end_s == pytest.approx(result.facts.duration_s)
    assert result.contact_sheet.startswith(b"\xff\xd8")


def test_frame_gets_the_tags_of_its_photo(server: ServerProcess, result: VideoResult) -> None:
    photo = Path(skimage.data.data_dir) / "chelsea.png"
    with InklingClient(server.address) as client:
        alone = client.tag(photo)
    # The video is scaled and compressed: its scores are near those of the photo.
    frame = {tag.phrase: tag.score for tag in result.frames[0].tags}
    assert alone.tags[0].phrase in frame
    assert frame[alone.tags[0].phrase] == pytest.approx(alone.tags[0].score, abs=0.25)


def test_broken_files_are_typed_errors_and_leave_nothing(server: ServerProcess, clip: Path) -> None:
    whole = clip.read_bytes()
    with InklingClient(server.address) as client:
        for data in (b"", b"no video at all" * 10, whole[:40], whole[: len(whole) // 3]):
            with pytest.raises(InklingClientError) as caught:
                client.tag_video(data)
            assert isinstance(caught.value, VideoInvalid), caught.value
        assert client.tag_video(whole).tags
    assert list((server.data_dir / "video").iterdir()) == []


def test_command_line_prints_a_timeline_and_writes_the_sheet(
    server: ServerProcess, clip: Path, tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.png"
    command = [sys.executable, "-m", "inkling_client.cli", "tag", str(clip)]
    command += ["--server", server.address, "--top-n", "10"]
    shown = subprocess.run(
        [*command, "--contact-sheet", str(sheet)], capture_output=True, text=True, timeout=120
    )
    assert shown.returncode == 0, shown.stderr
    assert "640x480" in shown.stdout
    assert "cat" in shown.stdout
    assert sheet.read_bytes().startswith(b"\x89PNG")
    line = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=120)
    answer = json.loads(line.stdout)
    assert answer["video"]["width"] == 640
    assert answer["tags"][0]["intervals"]
