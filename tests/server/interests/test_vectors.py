"""Embeddings beside a snapshot: whole, verified, and never taken for another graph's."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from inkling_server.interests.snapshot import SnapshotDamaged, name_draft, write_draft
from inkling_server.interests.vectors import VECTORS_FILE, Vectors, load_vectors, save_vectors
from tests.server.interests.graph_kit import plain, snapshot_of

VECTORS = Vectors("f00d", np.array([[1, 0, 0], [0, 0.6, 0.8]], np.float32))
GRAPH = snapshot_of(plain("dog", "cat"))


def saved(root: Path, vectors: Vectors | None = VECTORS) -> Path:
    def add_files(draft: Path) -> None:
        if vectors is not None:
            save_vectors(vectors, draft)

    return name_draft(write_draft(GRAPH, root, add_files), root)


def test_saved_vectors_load_as_they_were(tmp_path: Path) -> None:
    loaded = load_vectors(saved(tmp_path), 2)
    assert loaded is not None
    assert loaded.fingerprint == "f00d"
    assert loaded.embeddings_ND.dtype == np.float32
    assert np.array_equal(loaded.embeddings_ND, VECTORS.embeddings_ND)


@pytest.mark.parametrize("order", ["C", "F"])
def test_order_in_memory_does_not_matter(tmp_path: Path, order: str) -> None:
    rows_ND = np.arange(6, dtype=np.float32).reshape(2, 3)
    folder = saved(tmp_path, Vectors("f", np.array(rows_ND, order=order)))  # type: ignore[call-overload]
    loaded = load_vectors(folder, 2)
    assert loaded is not None
    assert np.array_equal(loaded.embeddings_ND, rows_ND)


def test_vectors_of_a_draft_can_be_read(tmp_path: Path) -> None:
    draft = write_draft(GRAPH, tmp_path, lambda folder: save_vectors(VECTORS, folder))
    assert load_vectors(draft, 2) is not None


def test_graph_of_no_interests_has_no_rows(tmp_path: Path) -> None:
    loaded = load_vectors(saved(tmp_path, Vectors("f", np.empty((0, 3), np.float32))), 0)
    assert loaded is not None
    assert loaded.embeddings_ND.shape == (0, 3)


def test_snapshot_without_vectors_has_none(tmp_path: Path) -> None:
    assert load_vectors(saved(tmp_path, None), 2) is None


def test_row_for_each_interest_is_wanted(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    for count in (0, 1, 3):
        with pytest.raises(SnapshotDamaged, match="no row for each interest"):
            load_vectors(folder, count)


@pytest.mark.parametrize("rows", [np.zeros((2, 3)), np.zeros(2, np.float32)])
def test_other_shapes_and_types_are_refused(tmp_path: Path, rows: np.ndarray) -> None:
    with pytest.raises(SnapshotDamaged, match="no row for each interest"):
        load_vectors(saved(tmp_path, Vectors("f", rows)), 2)


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = saved(tmp_path) / VECTORS_FILE
    data = path.read_bytes()
    for position in range(0, len(data), 7):
        path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        with pytest.raises(SnapshotDamaged):
            load_vectors(path.parent, 2)


def test_vectors_that_the_manifest_does_not_know_are_damage(tmp_path: Path) -> None:
    folder = saved(tmp_path, None)
    save_vectors(VECTORS, folder)
    with pytest.raises(SnapshotDamaged):
        load_vectors(folder, 2)


def test_vectors_that_do_not_say_whose_they_are_are_damage(tmp_path: Path) -> None:
    def add_files(draft: Path) -> None:
        save_file({"embeddings": VECTORS.embeddings_ND}, draft / VECTORS_FILE)

    with pytest.raises(SnapshotDamaged, match="fingerprint"):
        load_vectors(write_draft(GRAPH, tmp_path, add_files), 2)
