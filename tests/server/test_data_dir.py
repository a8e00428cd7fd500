"""One server for each data folder, and a note where it listens."""

import json
import os
from pathlib import Path

import pytest

from inkling_server.data_dir import DataDir, DataDirInUse


def test_second_holder_is_told_who_holds_it(tmp_path: Path) -> None:
    with (
        DataDir.hold(tmp_path),
        pytest.raises(DataDirInUse, match=f"pid {os.getpid()}.*--data-dir"),
        DataDir.hold(tmp_path),
    ):
        pass


def test_folder_is_free_again_after_use(tmp_path: Path) -> None:
    for _ in range(2):
        with DataDir.hold(tmp_path / "deep" / "folder") as data_dir:
            assert data_dir.root.is_absolute()


def test_lock_file_that_was_left_behind_locks_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("4194304\n")
    with DataDir.hold(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_note_says_where_the_server_listens_while_it_does(tmp_path: Path) -> None:
    note = tmp_path / "server.json"
    with DataDir.hold(tmp_path) as data_dir:
        assert not note.exists()
        data_dir.announce(host="127.0.0.1", grpc_port=1, http_port=2)
        assert json.loads(note.read_text()) == {
            "pid": os.getpid(),
            "host": "127.0.0.1",
            "grpc_port": 1,
            "http_port": 2,
        }
    assert not note.exists()


def test_note_of_a_killed_server_does_not_survive_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text("{}")
    with DataDir.hold(tmp_path):
        assert not (tmp_path / "server.json").exists()
