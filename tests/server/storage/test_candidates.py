"""What could be shown to somebody, from real indexes."""

import numpy as np
from psycopg import sql

from inkling_server.storage import Storage
from inkling_server.storage.candidates import near_query
from inkling_server.storage.keys import ModelKey
from inkling_server.storage.records import EngagementKind
from inkling_server.storage.vectors import HalfVector
from tests.server.storage_kit import MODEL, NOW, engagement, item, random_units, unit


async def test_near_is_answered_by_its_models_index_and_agrees_with_brute_force(
    storage: Storage,
) -> None:
    count, dimension = 6_000, 96
    # Around centres, as pictures lie: in structureless noise every neighbour is as far as the next.
    centres_CD = random_units(200, dimension, seed=2)
    noise_ND = random_units(count, dimension)
    embeddings_ND = centres_CD[np.arange(count) % len(centres_CD)] + 0.7 * noise_ND
    embeddings_ND /= np.linalg.norm(embeddings_ND, axis=1, keepdims=True)
    names = [f"c{i}" for i in range(count)]
    pictures = [
        item(name, embedding_D=embedding_D)
        for name, embedding_D in zip(names, embeddings_ND, strict=True)
    ]
    for start in range(0, count, 1_000):
        await storage.content.put(pictures[start : start + 1_000])
    await storage.content.put([item("x", embedding_D=random_units(1, 5)[0], fingerprint="b")])
    queries_MD = centres_CD[:20] + 0.7 * random_units(20, dimension, seed=1)

    async with storage.database.connection() as connection:
        await connection.execute("ANALYZE content_embedding")
        for mode in ("force_custom_plan", "force_generic_plan"):
            await connection.execute(f"SET plan_cache_mode = {mode}".encode())
            cursor = await connection.execute(
                sql.SQL("EXPLAIN ANALYZE ") + near_query(ModelKey(1, dimension)),
                [[HalfVector(query_D) for query_D in queries_MD], 10],
            )
            plan = "\n".join(line for (line,) in await cursor.fetchall())
            assert "Index Scan using content_embedding_hnsw_1" in plan
            assert "Seq Scan" not in plan

    keys = await storage.content.keys(names)
    hit_count = 0
    for query_D in queries_MD:
        exact = np.argsort(-(embeddings_ND @ query_D))[:10]
        found = await storage.candidates.near(MODEL, query_D[None] * 3, k=10)
        assert found[0] == keys[names[exact[0]]]
        hit_count += len(set(found) & {keys[names[i]] for i in exact})
    assert hit_count >= 0.95 * 200


async def test_near_merges_what_several_vectors_find(storage: Storage) -> None:
    await storage.content.put(
        [
            item("x", embedding_D=unit(1)),
            item("y", embedding_D=unit(0, 1)),
            item("z", embedding_D=unit(0, 0, 1)),
        ]
    )
    keys = await storage.content.keys(["x", "y", "z"])
    vectors_MD = np.stack([unit(1, 0.5), unit(0.2, 1)])
    assert await storage.candidates.near(MODEL, vectors_MD, k=1) == [keys["y"], keys["x"]]
    assert len(await storage.candidates.near(MODEL, vectors_MD, k=2)) == 2
    assert await storage.candidates.near("unknown", vectors_MD, k=2) == []
    assert await storage.candidates.near(MODEL, vectors_MD[:0], k=2) == []


async def test_by_interests_finds_the_best_and_the_newest(storage: Storage) -> None:
    day = NOW.replace(day=2)
    await storage.content.put(
        [
            item("best", tags=[("cat", 0.9)]),
            item("newest", tags=[("cat", 0.2)], created_time=day),
            item("neither", tags=[("cat", 0.3)]),
            item("tea", tags=[("tea", 0.5)]),
            item("car", tags=[("car", 1.0)], created_time=day),
        ]
    )
    keys = await storage.content.keys(["best", "newest", "tea"])
    found = await storage.candidates.by_interests(["cat", "tea", "unheard of"], k=1)
    assert found == [keys["best"], keys["tea"], keys["newest"]]
    assert await storage.candidates.by_interests([], k=1) == []


async def test_co_engagement_sums_what_the_heaviest_and_newest_items_lead_to(
    storage: Storage,
) -> None:
    await storage.content.put([item(name) for name in "abcdexyz"])
    key = await storage.content.keys(list("abcdexyz"))
    edges = [
        *(("a", "x", 0.5), ("b", "x", 0.25), ("b", "y", 0.5), ("b", "a", 9.0)),
        *(("c", "z", 9.0), ("d", "y", 9.0), ("e", "z", 9.0)),
    ]
    written = await storage.batch.replace_co_engagement(
        np.array([key[a] for a, _, _ in edges] + [10**6]),
        np.array([key[b] for _, b, _ in edges] + [key["x"]]),
        np.array([w for _, _, w in edges] + [1.0], np.float32),
    )
    assert written == len(edges)
    await storage.engagements.record(
        [
            engagement("ann", "c", EngagementKind.HIDE, hours=5),
            engagement("ann", "c", EngagementKind.LIKE, hours=4),
            engagement("ann", "e", EngagementKind.VIEW, hours=4),
            engagement("ann", "a", EngagementKind.VIEW, hours=3),
            engagement("ann", "a", EngagementKind.SHARE, hours=2),
            engagement("ann", "b", EngagementKind.LIKE, hours=1),
            engagement("ann", "d", EngagementKind.LIKE, hours=0),
        ]
    )
    ann = await storage.people.find("ann")
    assert ann is not None
    weights = (0.25, 0.5, 1.0, 1.0)
    # c is hidden, e weighs little, d is old, and what b leads to is a, which she knows.
    led_to = await storage.candidates.led_to(ann.key, k=9, recent=2, kind_weights=weights)
    assert list(led_to) == [key["x"], key["y"]]
    assert led_to[key["x"]] == 0.5 * 1.0 + 0.25 * 0.5
    first = await storage.candidates.led_to(ann.key, k=1, recent=2, kind_weights=weights)
    assert list(first) == [key["x"]]
    because = await storage.candidates.because(
        ann.key, [key["x"], key["z"]], recent=2, kind_weights=weights
    )
    assert because == {key["x"]: ("a", "b")}


async def test_popular_and_newest(storage: Storage) -> None:
    await storage.content.put(
        [
            item(name, created_time=NOW.replace(day=day))
            for name, day in (("a", 3), ("b", 9), ("c", 6))
        ]
    )
    key = await storage.content.keys(["a", "b", "c"])
    assert await storage.candidates.popular(k=2) == []
    for weights in ([9.0, 1.0, 5.0], [1.0, 2.0, 3.0]):
        written = await storage.batch.replace_popularity(
            np.array([key["a"], key["b"], key["c"], 10**6]), np.array([*weights, 99.0], np.float32)
        )
        assert written == 3
    assert await storage.candidates.popular(k=2) == [key["c"], key["b"]]
    assert await storage.candidates.newest(k=2) == [key["b"], key["c"]]


async def test_unwanted_is_what_they_saw_hid_or_posted(storage: Storage) -> None:
    await storage.content.put(
        [item("seen"), item("hidden"), item("own", author_id="ann"), item("new")]
    )
    await storage.engagements.record(
        [
            engagement("ann", "seen", EngagementKind.VIEW),
            engagement("ann", "hidden", EngagementKind.HIDE),
            engagement("bob", "new"),
        ]
    )
    key = await storage.content.keys(["seen", "hidden", "own", "new"])
    ann = await storage.people.find("ann")
    assert ann is not None
    unwanted = await storage.candidates.unwanted(ann.key, list(key.values()))
    assert unwanted == {key["seen"], key["hidden"], key["own"]}


async def test_features_come_in_the_order_of_the_keys(storage: Storage) -> None:
    await storage.content.put(
        [
            item("a", tags=[("cat", 0.25), ("tea", 0.5)], embedding_D=unit(1)),
            item("b", tags=[]),
            item("c", tags=[("tea", 1.0)], embedding_D=unit(0, 1)),
        ]
    )
    key = await storage.content.keys(["a", "b", "c"])
    await storage.batch.replace_popularity(np.array([key["c"]]), np.array([2.5], np.float32))
    features = await storage.candidates.features([key["c"], 10**6, key["b"], key["a"]], MODEL)
    assert features.content_ids == ["c", "b", "a"]
    assert features.keys_N.tolist() == [key["c"], key["b"], key["a"]]
    assert features.offsets_N1.tolist() == [0, 1, 1, 3]
    assert [features.interest_ids[i] for i in features.interest_T] == ["tea", "tea", "cat"]
    assert features.scores_T.tolist() == [1.0, 0.5, 0.25]
    assert features.popularity_N.tolist() == [2.5, 0, 0]
    assert features.created_times_N.tolist() == [NOW.timestamp()] * 3
    assert features.has_embedding_N.tolist() == [True, False, True]
    np.testing.assert_allclose(
        features.embeddings_ND, np.stack([unit(0, 1), 0 * unit(1), unit(1)]), atol=1e-3
    )
    empty = await storage.candidates.features([], "unknown")
    assert (empty.content_ids, empty.offsets_N1.tolist()) == ([], [0])


async def test_interactions_come_in_blocks_ordered_by_person(storage: Storage) -> None:
    await storage.content.put([item(f"c{i}") for i in range(10)])
    rows = [
        engagement(f"u{i % 7}", f"c{i % 10}", EngagementKind(1 + i % 5), hours=i)
        for i in range(200)
    ]
    await storage.engagements.record(rows)
    blocks = [block async for block in storage.batch.interactions(block_count=30)]
    assert len(blocks) > 1
    person_R = np.concatenate([block.person_R for block in blocks])
    assert (np.diff(person_R) >= 0).all()
    keys = await storage.content.keys([f"c{i}" for i in range(10)])
    expected = sorted((keys[row.content_id], int(row.kind), row.time.timestamp()) for row in rows)
    found = sorted(
        (int(content), int(kind), float(time))
        for block in blocks
        for content, kind, time in zip(block.content_R, block.kind_R, block.time_R, strict=True)
    )
    assert found == expected


async def test_no_engagement_makes_no_block(storage: Storage) -> None:
    assert [block async for block in storage.batch.interactions()] == []
