"""From what a person typed to the pictures that are meant: files, folders, globs and "-".

Files that are named are always taken. Folders give the files with a picture's extension, in order,
without hidden ones.

This module does not open pictures and does not know the server.
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
# fmt: on


@dataclass(frozen=True, slots=True)
class Found:
    """One picture to tag, or the reason why there is none.

    Args:
        path: what is shown and printed; "-" is standard input.
        error: why this path gives no picture; None where it may.
    """

    path: str
    error: InklingClientError | None = None


def find_pictures(arguments: list[str], *, recursive: bool) -> Iterator[Found]:
    """Yields what `arguments` mean, in their order; within a folder by name.

    Args:
        arguments: paths, glob patterns (also those that a shell did not expand) and "-".
        recursive: whether folders inside folders count.
    """
    for argument in arguments:
        if argument == STDIN:
            yield Found(STDIN)
        elif not os.path.lexists(argument) and glob.has_magic(argument):
            matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 - keeps "./a" as typed
            if not matches:
                yield Found(argument, file_unreadable(FileNotFoundError(0, "no file matches")))
            for match in matches:
                yield from _one(match, recursive=recursive)
        else:
            yield from _one(argument, recursive=recursive)


def _one(path: str, *, recursive: bool) -> Iterator[Found]:
    if Path(path).is_dir():
        yield from _folder(path, recursive=recursive)
    else:
        yield Found(path)  # also where nothing is there: reading it says so


def _folder(path: str, *, recursive: bool) -> Iterator[Found]:
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
        elif Path(entry.name).suffix.lower() in PICTURE_EXTENSIONS and _is_file(entry):
            yield Found(entry.path)
    if recursive:
        for folder in folders:
            yield from _folder(folder, recursive=True)


def _is_file(entry: "os.DirEntry[str]") -> bool:
    """Whether it is, or points to, a regular file: a named pipe would wait for ever."""
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return True  # a broken link, say: reading it gives the typed error
