"""From what a person typed to the pictures and videos that are meant: files, folders, globs, "-".

Files that are named are always taken. Folders give the files with a picture's (or video's)
extension, in order, without hidden ones. A file is a video by its extension; where that says
nothing, by its first bytes.

This module does not know the server.
"""

import glob
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inkling_client.errors import InklingClientError
from inkling_client.local_errors import file_unreadable

STDIN = "-"

# fmt: off
PICTURE_EXTENSIONS = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff",
    ".avif", ".heic", ".heif",
})
VIDEO_EXTENSIONS = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm"})
# fmt: on
_ALL_EXTENSIONS = PICTURE_EXTENSIONS | VIDEO_EXTENSIONS
_MATROSKA = b"\x1a\x45\xdf\xa3"
_PICTURE_BRANDS = frozenset({b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1"})


@dataclass(frozen=True, slots=True)
class Found:
    """One picture or video to tag, or the reason why there is none.

    Args:
        path: what is shown and printed; "-" is standard input.
        error: why this path gives nothing; None where it may.
        is_video: it is a video, as far as one can tell from outside.
    """

    path: str
    error: InklingClientError | None = None
    is_video: bool = False


def find_files(
    arguments: list[str], *, recursive: bool, all_videos: bool = False
) -> Iterator[Found]:
    """Yields what `arguments` mean, pictures and videos; see `find_pictures`.

    Args:
        arguments: as there.
        recursive: as there.
        all_videos: every file that is named is a video.
    """
    for found in _find(arguments, recursive=recursive, extensions=_ALL_EXTENSIONS):
        is_video = found.error is None and (all_videos or _is_video(found.path))
        yield Found(found.path, found.error, is_video)


def find_pictures(arguments: list[str], *, recursive: bool) -> Iterator[Found]:
    """Yields what `arguments` mean, in their order; within a folder by name.

    Args:
        arguments: paths, glob patterns (also those that a shell did not expand) and "-".
        recursive: whether folders inside folders count.
    """
    return _find(arguments, recursive=recursive, extensions=PICTURE_EXTENSIONS)


def _find(arguments: list[str], *, recursive: bool, extensions: frozenset[str]) -> Iterator[Found]:
    for argument in arguments:
        if argument == STDIN:
            yield Found(STDIN)
        elif not os.path.lexists(argument) and glob.has_magic(argument):
            matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 - keeps "./a" as typed
            if not matches:
                yield Found(argument, file_unreadable(FileNotFoundError(0, "no file matches")))
            for match in matches:
                yield from _one(match, recursive=recursive, extensions=extensions)
        else:
            yield from _one(argument, recursive=recursive, extensions=extensions)


def _one(path: str, *, recursive: bool, extensions: frozenset[str]) -> Iterator[Found]:
    if Path(path).is_dir():
        yield from _folder(path, recursive=recursive, extensions=extensions)
    else:
        yield Found(path)  # also where nothing is there: reading it says so


def _folder(path: str, *, recursive: bool, extensions: frozenset[str]) -> Iterator[Found]:
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError as error:
        yield Found(path, file_unreadable(error))
        return
    folders = []
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry.path)
        elif Path(entry.name).suffix.lower() in extensions and _is_file(entry):
            yield Found(entry.path)
    if recursive:
        for folder in folders:
            yield from _folder(folder, recursive=True, extensions=extensions)


def _is_file(entry: "os.DirEntry[str]") -> bool:
    """Whether it is, or points to, a regular file: a named pipe would wait for ever."""
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return True  # a broken link, say: reading it gives the typed error


def _is_video(path: str) -> bool:
    """By the name; where that says nothing, by the first bytes."""
    suffix = Path(path).suffix.lower()
    if suffix in _ALL_EXTENSIONS or path == STDIN:
        return suffix in VIDEO_EXTENSIONS
    try:
        # Opening a named pipe would wait for ever.
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
            return False
        with Path(path).open("rb") as file:
            head = file.read(12)
    except (OSError, ValueError):
        return False  # reading it as a picture says why
    is_mp4 = head[4:8] == b"ftyp" and head[8:12] not in _PICTURE_BRANDS
    return is_mp4 or head.startswith(_MATROSKA)
