"""Rows on disk: mapped by several processes, refused when damaged."""

import json
import mmap
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inkling_server.tag_index import RowsFolder, SearchThread, Selection, TagIndex, fold_rows
from tests.server.tag_index.index_kit import BIAS, SCALE, unit_rows

DIGEST = "d" * 32


def make_rows(count: int = 40, dimension: int = 8, seed: int = 0):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    return fold_rows(unit_rows(rng, count, dimension), rng.normal(size=count))


def test_what_was_stored_is_mapped_bit_by_bit(tmp_path: Path) -> None:
    rows, folder = make_rows(), RowsFolder(tmp_path / "new" / "folder")
    assert folder.open(DIGEST, (40, 9)) is None
    stored = folder.store(DIGEST, rows)
    opened = folder.open(DIGEST, (40, 9))
    assert opened is not None
    for mapped in (stored, opened):
        assert np.array_equal(mapped.rows_NE, rows.rows_NE)
        assert mapped.longest_row == rows.longest_row
        assert isinstance(mapped.mapping, mmap.mmap)
        assert not mapped.rows_NE.flags.owndata
        assert not mapped.rows_NE.flags.writeable
        assert mapped.rows_NE.flags.c_contiguous


def test_flipped_bit_or_cut_file_is_refused_and_made_anew(tmp_path: Path) -> None:
    rows, folder = make_rows(), RowsFolder(tmp_path)
    folder.store(DIGEST, rows)
    path = folder.path(DIGEST)
    sound = path.read_bytes()
    header = sound[:4096].rstrip()
    places = [*range(0, len(header), 7), 4096, 5000, len(sound) - 1]
    for place in places:
        damaged = bytearray(sound)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        assert folder.open(DIGEST, (40, 9)) is None, place
    for length in (0, 10, 4096, len(sound) - 4):
        path.write_bytes(sound[:length])
        assert folder.open(DIGEST, (40, 9)) is None
    path.write_bytes(sound + b"more")
    assert folder.open(DIGEST, (40, 9)) is None
    assert folder.store(DIGEST, rows).mapping is not None
    assert folder.open(DIGEST, (41, 9)) is None
    assert folder.open(DIGEST, (40, 9)) is not None


def test_disk_that_cannot_be_written_leaves_rows_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    rows = make_rows()
    assert RowsFolder(tmp_path / "file" / "below").store(DIGEST, rows) is rows
    assert "cannot be written" in caplog.text


def test_only_the_rows_used_last_are_kept(tmp_path: Path) -> None:
    folder = RowsFolder(tmp_path, max_files=2)
    for age, name in zip((30, 20, 10), "abc", strict=True):
        folder.store(name, make_rows())
        old = folder.path(name).stat().st_mtime - age
        os.utime(folder.path(name), (old, old))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.rows", "c.rows"]
    mapped = folder.open("b", (40, 9))
    assert mapped is not None  # a use makes it young again
    folder.store("d", make_rows())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.rows", "d.rows"]
    folder.path("b").unlink()
    assert np.isfinite(mapped.rows_NE).all()  # what is mapped survives its name


async def test_index_on_a_file_answers_as_one_in_memory(
    thread: SearchThread, tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    tags_ND, priors_N = unit_rows(rng, 500, 16), rng.normal(size=500)
    rows = RowsFolder(tmp_path).store(DIGEST, fold_rows(tags_ND, BIAS + priors_N))
    on_file = await TagIndex.build(thread, rows, priors_N, scale=SCALE, bias=BIAS)
    in_memory = await TagIndex.build(thread, tags_ND, priors_N, scale=SCALE, bias=BIAS)
    selections = [Selection(7, 0.01)] * 5
    pictures_BD = unit_rows(rng, 5, 16)
    assert await on_file.search(pictures_BD, selections) == await in_memory.search(
        pictures_BD, selections
    )
    await in_memory.close()
    mapping = rows.mapping
    assert mapping is not None
    await on_file.close()
    del rows
    mapping.close()  # BufferError where anything of the index still looked at it


_CHILD = """
import json, sys
from pathlib import Path
from inkling_server.tag_index import RowsFolder
rows = RowsFolder(Path(sys.argv[1])).open(sys.argv[2], (20000, 257))
assert float(rows.rows_NE.sum()) == float(sys.argv[3])
def mapped(kind):
    size, inside = 0, False
    for line in open("/proc/self/smaps"):
        if "-" in line.split(" ")[0]:
            inside = ".rows" in line
        elif inside and line.startswith(kind + ":"):
            size += int(line.split()[1])
    return size
before = {kind: mapped(kind) for kind in ("Rss", "Private_Dirty", "Anonymous")}
rows.release_pages()
print(json.dumps([before, mapped("Rss")]), flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux only")
def test_processes_share_the_pages_and_own_none(tmp_path: Path) -> None:
    rows = make_rows(20_000, 256)
    stored = RowsFolder(tmp_path).store(DIGEST, rows)
    total = repr(float(stored.rows_NE.sum()))
    for _ in range(2):
        child = subprocess.run(
            [sys.executable, "-c", _CHILD, str(tmp_path), DIGEST, total],
            input="",
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        before, released_kb = json.loads(child.stdout)
        assert before["Rss"] >= 20_000 * 257 * 4 // 1024
        assert before["Private_Dirty"] == before["Anonymous"] == 0
        assert released_kb == 0
