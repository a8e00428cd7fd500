"""Clusters, exemplars, the background sample."""

from datetime import timedelta

import numpy as np
import pytest

from inkling_server.storage import Storage
from inkling_server.storage.records import ClusterRecord, Exemplar
from tests.server.storage_kit import MODEL, NOW, item, random_units


def record(version: str, days: int = 0, fingerprint: str = MODEL) -> ClusterRecord:
    return ClusterRecord(version, fingerprint, version.encode(), NOW + timedelta(days=days), 7)


async def test_the_newest_clusters_of_a_model_are_current(storage: Storage) -> None:
    await storage.content.put([item("a", embedding_D=random_units(1)[0])])
    assert await storage.clusters.load(MODEL) is None
    for day in (1, 3, 2):
        await storage.clusters.save(record(f"v{day}", day))
    found = await storage.clusters.load(MODEL)
    assert found is not None
    assert (found.version, found.data, found.background_count) == ("v3", b"v3", 7)
    assert await storage.clusters.current_version(MODEL) == "v3"
    assert await storage.clusters.current_version("unknown") is None
    with pytest.raises(LookupError, match="no embeddings of the model"):
        await storage.clusters.save(record("x", fingerprint="unknown"))


async def test_old_versions_go(storage: Storage) -> None:
    await storage.content.put([item("a", embedding_D=random_units(1)[0])])
    for day in range(5):
        await storage.clusters.save(record(f"v{day}", day), [Exemplar(0, 0, "a")])
    kept = [
        version
        for version in map("v{}".format, range(5))
        if await storage.clusters.exemplars(version, count=1)
    ]
    assert kept == ["v2", "v3", "v4"]


async def test_exemplars_go_with_their_items(storage: Storage) -> None:
    await storage.content.put([item(name, embedding_D=random_units(1)[0]) for name in "abc"])
    exemplars = [
        Exemplar(0, 1, "b"),
        Exemplar(0, 0, "a"),
        Exemplar(3, 0, "c"),
        Exemplar(4, 0, "gone"),
    ]
    await storage.clusters.save(record("v1"), exemplars)
    assert await storage.clusters.exemplars("v1", count=5) == {0: ["a", "b"], 3: ["c"]}
    assert await storage.clusters.exemplars("v1", count=1) == {0: ["a"], 3: ["c"]}
    assert await storage.clusters.exemplars("v1", count=5, only=[3, 4]) == {3: ["c"]}
    await storage.content.delete(["a", "c"])
    assert await storage.clusters.exemplars("v1", count=5) == {0: ["b"]}


async def test_the_background_is_a_repeatable_sample(storage: Storage) -> None:
    embeddings_ND = random_units(40)
    await storage.content.put([item(f"{i}", embedding_D=embeddings_ND[i]) for i in range(40)])
    names, sample_ND = await storage.clusters.background(MODEL, limit=10, seed=1)
    assert len(set(names)) == 10
    np.testing.assert_allclose(sample_ND, embeddings_ND[[int(name) for name in names]], atol=1e-3)
    assert (await storage.clusters.background(MODEL, limit=10, seed=1))[0] == names
    assert (await storage.clusters.background(MODEL, limit=10, seed=2))[0] != names
    assert len((await storage.clusters.background(MODEL, limit=99, seed=1))[0]) == 40
    assert (await storage.clusters.background("unknown", limit=9, seed=1))[0] == []
