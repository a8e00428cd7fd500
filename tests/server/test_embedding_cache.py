"""Phrase embeddings on disk: reuse, damage, bounds."""

import hashlib
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inkling_server.embedding_cache import CacheKey, EmbeddingCache
from inkling_server.encoders import Embeddings
from tests.serving import make_manifest

KEY = CacheKey("f" * 16, "{}", 32, 8)


def vectors(count: int, seed: int = 0) -> Embeddings:
    rows_PD: Embeddings = np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)
    rows_PD /= np.linalg.norm(rows_PD, axis=1, keepdims=True)
    return rows_PD


def write(folder: Path, **arrays: NDArray[Any]) -> None:
    """A file with the right checksum and any content."""
    body = io.BytesIO()
    np.savez(body, allow_pickle=True, **arrays)
    content = body.getvalue()
    (folder / KEY.file_name).write_bytes(hashlib.sha256(content).digest() + content)


def test_what_was_stored_is_loaded_bit_by_bit(tmp_path: Path) -> None:
    cache, rows_PD = EmbeddingCache(tmp_path / "new" / "folder"), vectors(3)
    phrases = ["hot air balloon", "Zürich – 東京", 'quote " and\nline']
    cache.store(KEY, phrases, rows_PD)
    loaded = cache.load(KEY)
    assert list(loaded) == phrases
    assert np.array_equal(np.stack(list(loaded.values())), rows_PD)


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, fingerprint="e" * 16),
        replace(KEY, template="a photo of {}"),
        replace(KEY, max_tokens=16),
        replace(KEY, dimension=16),
    ],
)
def test_another_model_or_template_shares_nothing(tmp_path: Path, other: CacheKey) -> None:
    cache = EmbeddingCache(tmp_path)
    cache.store(KEY, ["cat"], vectors(1))
    assert cache.load(other) == {}


def test_key_follows_the_manifest() -> None:
    one, other = CacheKey.of(make_manifest(1)), CacheKey.of(make_manifest(2))
    assert one != other
    assert one.file_name != other.file_name
    assert "/" not in CacheKey("../../etc", "{}", 1, 1).file_name


def test_absent_file_is_empty(tmp_path: Path) -> None:
    assert EmbeddingCache(tmp_path / "nowhere").load(KEY) == {}


def test_flipped_bit_anywhere_is_noticed(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    cache.store(KEY, ["cat", "dog"], vectors(2))
    path = tmp_path / KEY.file_name
    sound = path.read_bytes()
    for position in range(len(sound)):
        damaged = bytearray(sound)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        assert cache.load(KEY) == {}
    for length in (0, 1, len(sound) // 2, len(sound) - 1):
        path.write_bytes(sound[:length])
        assert cache.load(KEY) == {}


@pytest.mark.parametrize(
    "content",
    [
        {"phrases": b'["cat"]', "embeddings": vectors(2)},
        {"phrases": b'["cat"]', "embeddings": vectors(1)[:, :4]},
        {"phrases": b'["cat"]', "embeddings": vectors(1).astype(np.float64)},
        {"phrases": b'["cat"]', "embeddings": vectors(1) * 2},
        {"phrases": b'["cat"]', "embeddings": vectors(1) * np.float32("nan")},
        {"phrases": b"{}", "embeddings": vectors(1)[:0]},
        {"phrases": b"[1]", "embeddings": vectors(1)},
        {"phrases": b"[", "embeddings": vectors(1)},
        {"other": b"[]"},
    ],
)
def test_file_of_another_shape_counts_as_absent(
    tmp_path: Path, content: dict[str, bytes | Embeddings]
) -> None:
    arrays = {
        name: np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value
        for name, value in content.items()
    }
    write(tmp_path, **arrays)
    assert EmbeddingCache(tmp_path).load(KEY) == {}


def test_pickled_content_is_never_executed(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (str(tmp_path / "executed"),))

    bombs = np.empty(1, object)
    bombs[0] = Bomb()
    write(tmp_path, phrases=bombs, embeddings=vectors(1))
    assert EmbeddingCache(tmp_path).load(KEY) == {}
    assert not (tmp_path / "executed").exists()


def test_only_the_models_used_last_are_kept(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, max_files=2)
    keys = [replace(KEY, fingerprint=str(i)) for i in range(4)]
    for age, key in zip((40, 30, 20), keys, strict=False):
        cache.store(key, ["cat"], vectors(1))
        old = (tmp_path / key.file_name).stat().st_mtime - age
        os.utime(tmp_path / key.file_name, (old, old))
    assert cache.load(keys[0]) == {}
    assert cache.load(keys[1])  # a use makes it young again
    cache.store(keys[3], ["cat"], vectors(1))
    assert [bool(cache.load(key)) for key in keys] == [False, True, False, True]
    assert len(list(tmp_path.iterdir())) == 2


def test_phrases_of_an_earlier_graph_are_kept_while_there_is_room(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, max_phrases=3)
    cache.store(KEY, ["a", "b"], vectors(2))
    cache.store(KEY, ["b", "c"], vectors(2, seed=1), spare=cache.load(KEY))
    loaded = cache.load(KEY)
    assert sorted(loaded) == ["a", "b", "c"]
    assert np.array_equal(loaded["b"], vectors(2, seed=1)[0])
    cache.store(KEY, ["d", "e", "f", "g"], vectors(4), spare=loaded)
    assert sorted(cache.load(KEY)) == ["d", "e", "f", "g"]


def test_leftovers_of_a_crash_go_and_drafts_of_a_neighbour_stay(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    stale, young = tmp_path / ".draft-1", tmp_path / ".draft-2"
    stale.touch()
    young.touch()
    os.utime(stale, (0, 0))
    cache.store(KEY, ["cat"], vectors(1))
    assert not stale.exists()
    assert young.exists()


def test_folder_that_cannot_be_written_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    EmbeddingCache(tmp_path / "file").store(KEY, ["cat"], vectors(1))
    assert "cannot be written" in caplog.text
