"""Items in a real database."""

import numpy as np
import pytest

from inkling_server.storage import Storage
from inkling_server.storage.records import StoredTag
from tests.server.storage_kit import MODEL, NOW, engagement, item, random_units, unit


async def test_an_item_comes_back_as_it_was_stored(storage: Storage) -> None:
    stored = item(
        "photo/ü 1",
        tags=[("cat", 0.25), ("tea", 0.75)],
        embedding_D=unit(1, 2),
        author_id="ann",
        texts={"caption": "Tee & Katze", "hashtags": ["tea"]},
        location="Lisbon",
        point=(38.7, -9.1),
    )
    assert await storage.content.put([stored]) == [True]
    found = await storage.content.get("photo/ü 1")
    assert found is not None
    assert found.tags == (
        StoredTag("tea", 0.75, {"cosine": 0.5}),
        StoredTag("cat", 0.25, {"cosine": 0.5}),
    )
    assert (found.texts, found.author_id, found.location) == (stored.texts, "ann", "Lisbon")
    assert (found.point, found.created_time) == ((38.7, -9.1), NOW)
    assert (found.graph_version, found.model_version, found.fingerprint) == ("graph-1", "1", MODEL)
    assert found.embedding_D is not None
    assert stored.embedding_D is not None
    assert float(found.embedding_D @ stored.embedding_D) == pytest.approx(1, abs=1e-6)


async def test_unknown_items_are_none(storage: Storage) -> None:
    assert await storage.content.get("nothing") is None
    assert await storage.content.put([]) == []


async def test_an_item_of_the_same_id_is_replaced(storage: Storage) -> None:
    await storage.content.put([item("a", embedding_D=unit(1), author_id="ann")])
    assert await storage.content.put([item("a", tags=[("dog", 0.5)]), item("b")]) == [False, True]
    found = await storage.content.get("a")
    assert found is not None
    assert [tag.interest_id for tag in found.tags] == ["dog"]
    assert found.author_id is None
    assert found.embedding_D is None
    assert (await storage.content.embeddings(["a"], MODEL))[0] == []


async def test_of_an_id_that_is_given_twice_the_later_one_stays(storage: Storage) -> None:
    assert await storage.content.put([item("a"), item("a", tags=[("dog", 0.5)])]) == [True, False]
    found = await storage.content.get("a")
    assert found is not None
    assert found.tags[0].interest_id == "dog"


async def test_an_embedding_of_another_model_stays(storage: Storage) -> None:
    await storage.content.put([item("a", embedding_D=unit(1))])
    await storage.content.put([item("a", embedding_D=random_units(1, 5)[0], fingerprint="model-b")])
    for fingerprint, dimension in ((MODEL, 8), ("model-b", 5)):
        names, embeddings_ND = await storage.content.embeddings(["a", "x"], fingerprint)
        assert (names, embeddings_ND.shape) == (["a"], (1, dimension))
    found = await storage.content.get("a")
    assert found is not None
    assert found.fingerprint == "model-b"


async def test_an_embedding_of_the_wrong_dimension_is_refused(storage: Storage) -> None:
    await storage.content.put([item("a", embedding_D=unit(1))])
    with pytest.raises(ValueError, match="embeddings have 5 dimensions, and this model's have 8"):
        await storage.content.put([item("b", embedding_D=random_units(1, 5)[0])])
    assert await storage.content.get("b") is None


async def test_texts_with_nul_lose_it_and_nothing_else(storage: Storage) -> None:
    await storage.content.put([item("a", texts={"caption": "x\0y", "comments": ["\\u0000", "\0"]})])
    found = await storage.content.get("a")
    assert found is not None
    assert found.texts == {"caption": "xy", "comments": ["\\u0000", ""]}


async def test_deleting_takes_everything_along(storage: Storage) -> None:
    await storage.content.put([item("a", embedding_D=unit(1)), item("b")])
    await storage.engagements.record([engagement("ann", "a"), engagement("ann", "b")])
    keys = await storage.content.keys(["a", "b"])
    pair = np.array([keys["a"], keys["b"]])
    await storage.batch.replace_co_engagement(pair, pair[::-1].copy(), np.ones(2, np.float32))
    await storage.batch.replace_popularity(pair, np.ones(2, np.float32))
    before = await storage.people.find("ann")
    assert await storage.content.delete(["a", "unknown"]) == 1
    after = await storage.people.find("ann")
    assert before is not None
    assert after is not None
    assert after.engagement_count == 1
    assert after.engagement_version > before.engagement_version
    assert await storage.content.get("a") is None
    assert await storage.candidates.popular(k=9) == [keys["b"]]
    async with storage.database.cursor() as cursor:
        for table in ("content_neighbor", "content_embedding"):
            await cursor.execute(f"SELECT count(*) FROM {table}".encode())
            assert await cursor.fetchone() == (0,)


async def test_replacing_raises_versions_of_those_who_engaged_only_where_it_changes_something(
    storage: Storage,
) -> None:
    first = item("a", embedding_D=unit(1, 1))
    await storage.content.put([first, item("b")])
    await storage.engagements.record([engagement("ann", "a"), engagement("bob", "b")])

    async def versions() -> list[int]:
        people = [await storage.people.find(name) for name in ("ann", "bob")]
        return [person.engagement_version for person in people if person]

    ann, bob = await versions()
    await storage.content.put([first])
    assert await versions() == [ann, bob]
    await storage.content.put([item("a", embedding_D=unit(1, 2))])
    assert await versions() == [ann + 1, bob]
    await storage.content.put([item("a", embedding_D=unit(1, 2), tags=[("cat", 0.8)])])
    assert await versions() == [ann + 2, bob]
    await storage.content.put([item("a", tags=[("cat", 0.8)])])
    assert await versions() == [ann + 3, bob]


async def test_what_an_author_posts_about(storage: Storage) -> None:
    await storage.content.put(
        [
            item("1", author_id="ann", tags=[("cat", 0.5), ("tea", 1.0)]),
            item("2", author_id="ann", tags=[("cat", 0.75)]),
            item("3", author_id="ann", tags=[("car", 1.0)]),
            item("4", author_id="bob", tags=[("car", 1.0)]),
        ]
    )
    found = await storage.content.author_interests("ann", limit=5, besides="3")
    assert [(i.interest_id, i.mean_score, i.item_count, i.author_item_count) for i in found] == [
        ("cat", 0.625, 2, 2),
        ("tea", 1.0, 1, 2),
    ]
    assert len(await storage.content.author_interests("ann", limit=1)) == 1
    assert await storage.content.author_interests("nobody", limit=5) == []


async def test_interests_of_items(storage: Storage) -> None:
    await storage.content.put([item("1", tags=[("cat", 0.5), ("tea", 1.0)]), item("2", tags=[])])
    assert await storage.content.interests(["1", "2", "3"]) == {
        "1": [("tea", 1.0), ("cat", 0.5)],
        "2": [],
    }


def test_printed_values_show_nothing_of_a_person() -> None:
    shown = repr(
        item("secret-id", author_id="secret-ann", location="secret", texts={"a": "secret"})
    )
    assert "secret" not in shown
    assert "secret" not in repr(engagement("secret-ann", "secret-id"))
