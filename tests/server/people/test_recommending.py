"""Recommendations from a real PostgreSQL."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inkling_server.people.co_engaging import CoEngagingOrder, refresh_co_engagement
from inkling_server.people.reasons import (
    CoEngagementReason,
    FreshnessReason,
    InterestReason,
    PopularityReason,
    VisualReason,
)
from inkling_server.people.recommending import (
    Recommended,
    Recommender,
    RecommenderSettings,
    RecommendQuery,
)
from inkling_server.profiles.clusters import VisualClusters
from inkling_server.storage import Storage
from inkling_server.storage.records import EngagementKind
from tests.server.storage_kit import MODEL, NOW, engagement, item, unit

NOW_S = NOW.timestamp()
OLD = NOW - timedelta(days=400)
# Two people in common are enough where there are six people.
ORDER = CoEngagingOrder(NOW_S, co_engagement={"ridge": 1.0, "min_people": 2})


@dataclass
class Someone:
    """What is known of a person."""

    person_key: int | None = None
    interest_weights: dict[str, float] = field(default_factory=dict)
    visual_sums_K: NDArray[np.float64] | None = None
    medoid_embeddings_MD: NDArray[np.float32] = field(
        default_factory=lambda: np.empty((0, 0), np.float32)
    )


def two_clusters() -> VisualClusters:
    """One around each of the first two axes."""
    return VisualClusters(
        centroids_KD=np.stack([unit(1), unit(0, 1)]),
        general_K=np.array([0.5, 0.5], np.float32),
        sigma2=1.0,
        beta=5.0,
        fingerprint=MODEL,
        background_count=100,
        created_time=datetime(2026, 11, 1, tzinfo=UTC),
    )


async def known(storage: Storage, user_id: str, **columns: Any) -> Someone:
    person = await storage.people.find(user_id)
    assert person is not None
    return Someone(person.key, **columns)


async def ask(
    storage: Storage,
    person: Someone,
    clusters: VisualClusters | None = None,
    settings: RecommenderSettings | None = None,
    **query: Any,
) -> Recommended:
    values: dict[str, Any] = {"user_id": "u", "diversity": 0.0, "explain": True}
    asked = RecommendQuery(**(values | query))
    recommender = Recommender(storage, settings)
    return await recommender.recommend(asked, person, clusters, MODEL, NOW_S)


def ids(recommended: Recommended) -> list[str]:
    return [item.content_id for item in recommended.items]


async def put(storage: Storage, *names: str, **columns: Any) -> None:
    values: dict[str, Any] = {"tags": (), "created_time": OLD}
    await storage.content.put([item(name, **(values | columns)) for name in names])


async def film_club(storage: Storage) -> None:
    """Five people like a, b and c, three more x and y; u likes a alone."""
    await put(storage, "a", "b", "c", "x", "y", "z")
    await storage.engagements.record(
        [engagement(f"p{n}", name) for n in range(5) for name in "abc"]
        + [engagement(f"q{n}", name) for n in range(3) for name in "xy"]
        + [engagement("u", "a", EngagementKind.LIKE)]
    )
    await refresh_co_engagement(storage, order=ORDER)


async def test_neighbours_come_first_with_the_items_that_lead_to_them(storage: Storage) -> None:
    await film_club(storage)
    recommended = await ask(storage, await known(storage, "u"))
    assert set(ids(recommended)[:2]) == {"b", "c"}
    assert not recommended.cold_start
    reason = recommended.items[0].reasons[0]
    assert isinstance(reason, CoEngagementReason)
    assert reason.content_ids == ("a",)
    assert any(isinstance(r, PopularityReason) for r in recommended.items[0].reasons)


async def test_reasons_sum_to_the_score(storage: Storage) -> None:
    await film_club(storage)
    await put(storage, "new", tags=(("cat", 0.9), ("dog", 0.4)), created_time=NOW)
    await put(storage, "seen", embedding_D=unit(1, 0.2))
    person = await known(
        storage,
        "u",
        interest_weights={"cat": 0.5, "dog": -0.2, "never seen": 0.3},
        visual_sums_K=np.array([3.0, 0.1]),
        medoid_embeddings_MD=unit(1)[None],
    )
    recommended = await ask(storage, person, two_clusters(), diversity=0.3)
    for one in recommended.items:
        assert sum(reason.contribution for reason in one.reasons) == pytest.approx(one.score)
        sizes = [abs(reason.contribution) for reason in one.reasons]
        assert sizes == sorted(sizes, reverse=True)
    by_id = {one.content_id: one.reasons for one in recommended.items}
    interests = [r for r in by_id["new"] if isinstance(r, InterestReason)]
    assert [(r.interest_id, r.contribution > 0) for r in interests] == [
        ("cat", True),
        ("dog", False),
    ]
    assert any(isinstance(r, FreshnessReason) for r in by_id["new"])
    [visual] = [r for r in by_id["seen"] if isinstance(r, VisualReason)]
    assert visual.cluster == 0
    assert visual.contribution > 0


async def test_what_was_seen_hidden_or_posted_never_comes_back(storage: Storage) -> None:
    await film_club(storage)
    await put(storage, "mine", author_id="u", created_time=NOW)
    await storage.engagements.record(
        [
            engagement("u", "b", EngagementKind.HIDE),
            engagement("u", "x", EngagementKind.VIEW),
        ]
    )
    recommended = await ask(storage, await known(storage, "u"), limit=100)
    assert sorted(ids(recommended)) == ["c", "y", "z"]


async def test_a_view_says_less_than_a_like(storage: Storage) -> None:
    await put(storage, *"abcd")
    await storage.engagements.record(
        [engagement(f"p{n}", name) for n in range(4) for name in "ab"]
        + [engagement(f"q{n}", name) for n in range(4) for name in "cd"]
        + [
            engagement("u", "a", EngagementKind.VIEW),
            engagement("u", "c", EngagementKind.LIKE),
        ]
    )
    await refresh_co_engagement(storage, order=ORDER)
    assert ids(await ask(storage, await known(storage, "u"))) == ["d", "b"]


async def test_pictures_like_those_kept_are_found_and_ranked(storage: Storage) -> None:
    await put(storage, "near", embedding_D=unit(1, 0.1))
    await put(storage, "far", embedding_D=unit(0, 1))
    await put(storage, "words")
    person = Someone(visual_sums_K=np.array([9.0, 1.0]), medoid_embeddings_MD=unit(1)[None])
    recommended = await ask(storage, person, two_clusters())
    assert ids(recommended)[0] == "near"
    assert ids(recommended)[-1] == "far"
    assert not recommended.cold_start


async def test_interests_find_their_items_and_aversions_sink_theirs(storage: Storage) -> None:
    await put(storage, "cat", tags=(("cat", 0.9),))
    await put(storage, "dog", tags=(("dog", 0.9),))
    await put(storage, "owl", tags=(("owl", 0.9),))
    person = Someone(interest_weights={"cat": 0.6, "dog": -0.4})
    assert ids(await ask(storage, person)) == ["cat", "owl", "dog"]


async def test_only_items_with_an_interest_that_was_asked_for(storage: Storage) -> None:
    await film_club(storage)
    await put(storage, "cat", tags=(("cat", 0.2), ("sofa", 0.1)))
    await put(storage, "dog", tags=(("dog", 0.9),))
    person = await known(storage, "u")
    assert ids(await ask(storage, person, interest_ids=("sofa", "nothing"))) == ["cat"]
    assert ids(await ask(storage, person, interest_ids=("nothing",))) == []


async def test_excluded_items_are_left_out_and_others_take_their_place(storage: Storage) -> None:
    names = [f"item{n}" for n in range(30)]
    await put(storage, *names)
    settings = RecommenderSettings(popular_count=3, newest_count=3, candidate_count=6)
    first = ids(await ask(storage, Someone(), settings=settings, limit=5))
    second = ids(
        await ask(storage, Someone(), settings=settings, limit=5, excluded_content_ids=tuple(first))
    )
    assert len(first) == len(second) == 5
    assert not set(first) & set(second)


async def test_somebody_who_saw_all_that_is_popular_gets_something_else(storage: Storage) -> None:
    names = [f"item{n}" for n in range(30)]
    await put(storage, *names)
    settings = RecommenderSettings(popular_count=5, newest_count=5, candidate_count=10)
    newest = await storage.candidates.newest(k=10)
    features = await storage.candidates.features(newest, MODEL)
    await storage.engagements.record(
        [engagement("u", name, EngagementKind.VIEW) for name in features.content_ids]
    )
    found = ids(await ask(storage, await known(storage, "u"), settings=settings, limit=10))
    assert len(found) == 10
    assert not set(found) & set(features.content_ids)


async def test_a_stranger_gets_what_people_keep_and_what_is_new(storage: Storage) -> None:
    await film_club(storage)
    await put(storage, "new", created_time=NOW)
    recommended = await ask(storage, Someone())
    assert recommended.cold_start
    assert ids(recommended)[0] == "a"  # six people
    assert ids(recommended).index("new") < ids(recommended).index("z")


async def test_a_strangers_list_follows_the_general_distribution(storage: Storage) -> None:
    for n in range(10):
        await put(storage, f"first{n}", embedding_D=unit(1, 0.01 * n), created_time=NOW)
        await put(storage, f"second{n}", embedding_D=unit(0.01 * n, 1))
    spread = ids(await ask(storage, Someone(), two_clusters(), limit=10, diversity=0.9))
    alone = ids(await ask(storage, Someone(), two_clusters(), limit=10))
    assert sum(name.startswith("second") for name in alone) == 0
    assert 4 <= sum(name.startswith("second") for name in spread) <= 6


async def test_an_empty_database_recommends_nothing(storage: Storage) -> None:
    recommended = await ask(storage, Someone())
    assert recommended == Recommended((), True)


async def test_without_being_asked_for_there_are_no_reasons(storage: Storage) -> None:
    await film_club(storage)
    recommended = await ask(storage, await known(storage, "u"), explain=False)
    assert recommended.items
    assert all(one.reasons == () for one in recommended.items)


async def test_another_models_pictures_do_not_count(storage: Storage) -> None:
    await put(storage, "old model", embedding_D=unit(1), fingerprint="model-b")
    person = Someone(visual_sums_K=np.array([9.0, 1.0]), medoid_embeddings_MD=unit(1)[None])
    [one] = (await ask(storage, person, two_clusters())).items
    assert not any(isinstance(reason, VisualReason) for reason in one.reasons)


def test_values_show_no_ids() -> None:
    query = RecommendQuery(user_id="secret", excluded_content_ids=("secret",))
    assert "secret" not in repr(query)
    assert "secret" not in repr(CoEngagementReason(1.0, ("secret",)))
