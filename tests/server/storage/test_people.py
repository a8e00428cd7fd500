"""What people keep, what they engaged with, and what was computed of it."""

from datetime import timedelta

import numpy as np

from inkling_server.storage import Storage
from inkling_server.storage.records import EngagementKind, Person, StoredProfile
from tests.server.storage_kit import MODEL, NOW, engagement, item, random_units, unit

LIKE, SAVE, SHARE, VIEW, HIDE = (
    EngagementKind.LIKE,
    EngagementKind.SAVE,
    EngagementKind.SHARE,
    EngagementKind.VIEW,
    EngagementKind.HIDE,
)


async def known(storage: Storage, user_id: str) -> Person:
    person = await storage.people.find(user_id)
    assert person is not None
    return person


async def test_nobody_is_none_and_an_author_is_somebody(storage: Storage) -> None:
    assert await storage.people.find("ann") is None
    await storage.content.put([item("a", author_id="ann")])
    assert (await known(storage, "ann")).engagement_count == 0
    assert (await known(storage, "ann")).last_time is None


async def test_kept_pictures_are_distinct_not_hidden_and_newest_first(storage: Storage) -> None:
    embeddings_ND = random_units(6)
    names = ["liked", "saved", "shared", "viewed", "hidden", "twice"]
    await storage.content.put(
        [item(name, embedding_D=embeddings_ND[i]) for i, name in enumerate(names)]
    )
    await storage.content.put([item("text")])
    await storage.engagements.record(
        [
            engagement("ann", "liked", LIKE, hours=1),
            engagement("ann", "saved", SAVE, hours=3),
            engagement("ann", "shared", SHARE, hours=2),
            engagement("ann", "viewed", VIEW, hours=9),
            engagement("ann", "hidden", LIKE, hours=9),
            engagement("ann", "hidden", HIDE, hours=-9),
            engagement("ann", "twice", LIKE, hours=0),
            engagement("ann", "twice", SHARE, hours=4),
            engagement("ann", "text", SAVE, hours=5),
            engagement("bob", "viewed", SAVE),
        ]
    )
    ann = await known(storage, "ann")
    kept = await storage.people.kept(ann.key, MODEL, limit=10)
    assert kept.content_ids == ["twice", "saved", "shared", "liked"]
    assert kept.outdated_count == 0
    expected_ND = embeddings_ND[[5, 1, 2, 0]]
    np.testing.assert_allclose((kept.embeddings_ND * expected_ND).sum(axis=1), 1, atol=1e-6)
    newest = await storage.people.kept(ann.key, MODEL, limit=2)
    assert newest.content_ids == ["twice", "saved"]


async def test_pictures_of_other_models_are_outdated(storage: Storage) -> None:
    await storage.content.put([item("new", embedding_D=unit(1)), item("old", embedding_D=unit(2))])
    other = random_units(2, 5)
    await storage.content.put(
        [
            item("new", embedding_D=other[0], fingerprint="model-b"),
            item("only", embedding_D=other[1], fingerprint="model-b"),
        ]
    )
    await storage.engagements.record([engagement("ann", name) for name in ("new", "old", "only")])
    ann = await known(storage, "ann")
    kept = await storage.people.kept(ann.key, "model-b", limit=10)
    assert (set(kept.content_ids), kept.outdated_count) == ({"new", "only"}, 1)
    assert kept.embeddings_ND.shape == (2, 5)
    nothing = await storage.people.kept(ann.key, "model-c", limit=10)
    assert (nothing.content_ids, nothing.outdated_count) == ([], 3)


async def test_engaged_has_an_entry_for_each_engagement_and_interest(storage: Storage) -> None:
    await storage.content.put(
        [
            item("a", tags=[("cat", 0.5), ("tea", 0.25)]),
            item("b", tags=[("tea", 1.0)]),
            item("c", tags=[]),
        ]
    )
    await storage.engagements.record(
        [
            engagement("ann", "a", LIKE, hours=0),
            engagement("ann", "b", HIDE, hours=1),
            engagement("ann", "c", VIEW, hours=2),
            engagement("ann", "a", VIEW, hours=3),
        ]
    )
    ann = await known(storage, "ann")
    engaged = await storage.people.engaged(ann.key, limit=3)
    assert engaged.engagement_count == 3
    entries = sorted(
        (
            int(engaged.item_M[i]),
            EngagementKind(int(engaged.kinds_M[i])),
            float(engaged.times_M[i]),
            engaged.interest_ids[engaged.interest_M[i]],
            float(engaged.scores_M[i]),
        )
        for i in range(len(engaged.item_M))
    )
    start_s = NOW.timestamp()
    assert entries == [
        (0, VIEW, start_s + 3 * 3600, "cat", 0.5),
        (0, VIEW, start_s + 3 * 3600, "tea", 0.25),
        (1, HIDE, start_s + 1 * 3600, "tea", 1.0),
    ]
    again = await storage.people.engaged(ann.key, limit=4)
    assert sorted(again.item_M.tolist()) == [0, 0, 0, 0, 1]
    await storage.content.put([item("d", author_id="dan")])
    dan = await storage.people.engaged((await known(storage, "dan")).key, limit=3)
    assert (dan.engagement_count, len(dan.item_M), dan.interest_ids) == (0, 0, [])


def profile(
    version: int, stamp: str = "s1", visual: tuple[float, ...] | None = None
) -> StoredProfile:
    return StoredProfile(
        engagement_version=version,
        stamp=stamp,
        visual=None if visual is None else np.array(visual, "<f4").tobytes(),
        picture_count=3,
        outdated_count=1,
        interests={"cat": 0.5},
        computed_time=NOW,
    )


async def test_a_profile_is_kept_and_only_a_newer_one_replaces_it(storage: Storage) -> None:
    await storage.content.put([item("a", author_id="ann")])
    ann = await known(storage, "ann")
    assert await storage.people.load_profile(ann.key) is None
    await storage.people.save_profile(ann.key, profile(2, visual=(0.25, 0.75)))
    loaded = await storage.people.load_profile(ann.key)
    assert loaded is not None
    assert (loaded.stamp, loaded.interests, loaded.picture_count) == ("s1", {"cat": 0.5}, 3)
    assert np.frombuffer(loaded.visual or b"", "<f4").tolist() == [0.25, 0.75]
    for version, stamp, expected in (
        (1, "s1", (2, "s1")),
        (3, "s1", (3, "s1")),
        (1, "s2", (1, "s2")),
    ):
        await storage.people.save_profile(ann.key, profile(version, stamp))
        loaded = await storage.people.load_profile(ann.key)
        assert loaded is not None
        assert (loaded.engagement_version, loaded.stamp) == expected
    await storage.people.save_profile(ann.key + 1_000, profile(1))


async def test_profiles_of_one_stamp_make_a_matrix(storage: Storage) -> None:
    await storage.content.put([item(f"i{n}", author_id=n) for n in ("ann", "bob", "cy", "dan")])
    for name, stamp, visual in (
        ("bob", "s1", (1.0, 0.0, 7.0)),
        ("ann", "s1", (0.25, 0.75)),
        ("cy", "s2", (0.5, 0.5)),
        ("dan", "s1", None),
    ):
        await storage.people.save_profile(
            (await known(storage, name)).key, profile(1, stamp, visual)
        )
    names, profiles_UK = await storage.people.visual_profiles("s1", 2)
    assert (names, profiles_UK.tolist()) == (["ann", "bob"], [[0.25, 0.75], [1.0, 0.0]])
    assert profiles_UK.dtype == np.float32
    assert (await storage.people.visual_profiles("s1", 2, user_ids=["bob", "cy"]))[0] == ["bob"]
    assert (await storage.people.visual_profiles("s3", 2))[1].shape == (0, 0)


async def test_who_keeps_what(storage: Storage) -> None:
    await storage.content.put([item(name) for name in "abc"])
    await storage.engagements.record(
        [
            engagement("ann", "a", LIKE),
            engagement("ann", "b", VIEW),
            engagement("bob", "a", SAVE),
            engagement("bob", "a", HIDE),
            engagement("bob", "c", SHARE),
            engagement("bob", "c", VIEW),
        ]
    )
    keeps_UM = await storage.people.keeps(["bob", "nobody", "ann"], ["c", "b", "a", "unknown"])
    assert keeps_UM.tolist() == [
        [True, False, False, False],
        [False, False, False, False],
        [False, False, True, False],
    ]


async def test_stale_people_are_those_whose_profile_says_nothing_of_now(storage: Storage) -> None:
    names = ["fresh", "missing", "restamped", "older", "poster"]
    await storage.content.put([item("a", author_id="poster")])
    await storage.engagements.record([engagement(name, "a") for name in names[:4]])
    for name, change, stamp in (("fresh", 0, "s1"), ("restamped", 0, "s0"), ("older", -1, "s1")):
        person = await known(storage, name)
        await storage.people.save_profile(
            person.key, profile(person.engagement_version + change, stamp)
        )
    assert set(await storage.people.stale("s1", limit=9)) == {"missing", "restamped", "older"}
    assert len(await storage.people.stale("s1", limit=2)) == 2


async def test_erasing_somebody_counts_what_is_gone_and_spares_the_others(storage: Storage) -> None:
    await storage.content.put(
        [item("own", author_id="ann"), item("other", author_id="bob"), item("nobody's")]
    )
    await storage.engagements.record(
        [
            engagement("ann", "own"),
            engagement("ann", "other"),
            engagement("bob", "own"),
            engagement("bob", "other"),
        ]
    )
    ann, bob = await known(storage, "ann"), await known(storage, "bob")
    await storage.people.save_profile(ann.key, profile(1))
    erased = await storage.people.erase("ann")
    assert (erased.engagement_count, erased.content_count) == (2, 1)
    assert await storage.people.find("ann") is None
    assert await storage.people.load_profile(ann.key) is None
    assert set(await storage.content.keys(["own", "other", "nobody's"])) == {"other", "nobody's"}
    after = await known(storage, "bob")
    assert after.engagement_count == 1
    assert after.engagement_version > bob.engagement_version
    again = await storage.people.erase("ann")
    assert (again.engagement_count, again.content_count) == (0, 0)
    await storage.engagements.record([engagement("ann", "other", hours=9)])
    assert (await known(storage, "ann")).key != ann.key


async def test_times_keep_their_moment(storage: Storage) -> None:
    await storage.content.put([item("a")])
    await storage.engagements.record([engagement("ann", "a", hours=0.5)])
    found = await known(storage, "ann")
    assert found.last_time == NOW + timedelta(minutes=30)
