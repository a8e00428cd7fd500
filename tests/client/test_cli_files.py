"""From what a person typed to the pictures that are meant."""

import os
from pathlib import Path

import pytest

from inkling_client import FileUnreadable
from inkling_client.cli_files import find_pictures


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
