"""From what a person typed to the pictures that are meant."""

import os
from pathlib import Path

import pytest

from inkling_client import FileUnreadable
from inkling_client.cli_files import find_files, find_pictures


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("b.JPG", "a.heic", "notes.txt", ".hidden.png", "sub/c.webp", ".git/d.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def paths(*arguments: str, recursive: bool = True) -> list[str]:
    return [found.path for found in find_pictures(list(arguments), recursive=recursive)]


def test_folders_give_pictures_by_extension_and_nothing_hidden(folder: Path) -> None:
    assert paths(".") == ["./a.heic", "./b.JPG", "./sub/c.webp"]


def test_folders_inside_folders_are_optional(folder: Path) -> None:
    assert paths(".", recursive=False) == ["./a.heic", "./b.JPG"]


def test_named_files_are_taken_whatever_they_are_called(folder: Path) -> None:
    assert paths("notes.txt", ".hidden.png", "missing.jpg", "-") == [
        "notes.txt",
        ".hidden.png",
        "missing.jpg",
        "-",
    ]


def test_globs_that_no_shell_expanded(folder: Path) -> None:
    assert paths("*.JPG", "**/*.webp") == ["b.JPG", "sub/c.webp"]


def test_a_glob_without_a_match_is_an_error_of_its_own(folder: Path) -> None:
    (found,) = find_pictures(["*.bmp"], recursive=True)
    assert isinstance(found.error, FileUnreadable)
    assert found.error.message == "no file matches"


def test_a_file_whose_name_looks_like_a_glob_is_that_file(folder: Path) -> None:
    (folder / "holiday [1].jpg").write_bytes(b"x")
    assert paths("holiday [1].jpg") == ["holiday [1].jpg"]


def test_pipes_and_links_in_circles_do_not_hang(folder: Path) -> None:
    os.mkfifo(folder / "pipe.jpg")
    (folder / "sub" / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "broken.png").symlink_to(folder / "nowhere")
    assert paths(".") == ["./a.heic", "./b.JPG", "./broken.png", "./sub/c.webp"]


def test_a_folder_that_cannot_be_listed_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("inkling_client.cli_files.os.scandir", refuse)
    (found,) = find_pictures(["."], recursive=True)
    assert found.error is not None
    assert found.error.code.name == "PERMISSION_DENIED"


@pytest.fixture
def clips(folder: Path) -> Path:
    mp4, heic = b"\0\0\0\x20ftypisom" + bytes(8), b"\0\0\0\x20ftypheic" + bytes(8)
    (folder / "film.MP4").write_bytes(b"x")
    (folder / "sub" / "film.webm").write_bytes(b"x")
    (folder / "mp4").write_bytes(mp4)
    (folder / "mkv").write_bytes(b"\x1a\x45\xdf\xa3" + bytes(20))
    (folder / "heic").write_bytes(heic)
    (folder / "wrong.jpg").write_bytes(mp4)
    return folder


def kinds(*arguments: str, **options: bool) -> dict[str, bool]:
    found = find_files(list(arguments), recursive=True, **options)
    return {one.path: one.is_video for one in found}


def test_folders_give_videos_where_they_are_wanted(clips: Path) -> None:
    assert kinds(".") == {
        "./a.heic": False,
        "./b.JPG": False,
        "./film.MP4": True,
        "./wrong.jpg": False,
        "./sub/c.webp": False,
        "./sub/film.webm": True,
    }
    assert "./film.MP4" not in paths(".")


def test_files_without_an_extension_are_told_by_their_first_bytes(clips: Path) -> None:
    assert kinds("mp4", "mkv", "heic", "notes.txt", "missing", "-") == {
        "mp4": True,
        "mkv": True,
        "heic": False,
        "notes.txt": False,
        "missing": False,
        "-": False,
    }


def test_everything_is_a_video_where_a_person_says_so(clips: Path) -> None:
    assert kinds("b.JPG", "-", all_videos=True) == {"b.JPG": True, "-": True}
    (found,) = find_files(["*.bmp"], recursive=True, all_videos=True)
    assert found.error is not None
    assert not found.is_video


def test_telling_videos_opens_no_pipe(clips: Path) -> None:
    os.mkfifo(clips / "pipe")
    assert kinds("pipe") == {"pipe": False}
