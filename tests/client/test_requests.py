"""Reading pictures is bounded, and every way to fail is typed."""

import os
import threading
from pathlib import Path

import pytest

from inkling_client import FileUnreadable, ImageTooLarge
from inkling_client.requests import read_image


def test_bytes_and_files_up_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_image(tmp_path / "a", 5) == b"12345"
    assert read_image(b"12345", 5) == b"12345"


def test_a_file_over_the_limit_is_refused_by_its_size(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**40)  # a hole: reading it would take a terabyte
    with pytest.raises(ImageTooLarge) as caught:
        read_image(tmp_path / "huge", 1000)
    assert caught.value.metadata == {
        "what": "image bytes",
        "actual": str(2**40),
        "allowed": "1000",
    }


def test_bytes_over_the_limit(tmp_path: Path) -> None:
    with pytest.raises(ImageTooLarge, match="6 is over the limit of 5"):
        read_image(b"123456", 5)


def test_endless_devices_are_read_no_further_than_the_limit() -> None:
    with pytest.raises(ImageTooLarge):
        read_image(Path("/dev/zero"), 1000)


def test_pipes_are_read_to_their_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"x" * 900,))
    writer.start()
    assert len(read_image(tmp_path / "pipe", 1000)) == 900
    writer.join()


@pytest.mark.parametrize(
    ("name", "code"), [("missing", "NOT_FOUND"), (".", "UNKNOWN"), ("a\0b", "UNKNOWN")]
)
def test_unreadable_files(tmp_path: Path, name: str, code: str) -> None:
    with pytest.raises(FileUnreadable) as caught:
        read_image(tmp_path / name, 1000)
    assert caught.value.code.name == code
    assert str(tmp_path) not in str(caught.value)
