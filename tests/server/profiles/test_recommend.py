"""Scores in parts, and what is picked."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inkling_server.profiles.recommend import (
    Candidates,
    Part,
    Ranked,
    RankSettings,
    Taste,
    interest_contributions,
    rank,
    top_cluster,
)

NOTHING = np.empty((0, 0), np.float32)
NOBODY = Taste(np.zeros(8, np.float32), None, NOTHING, None)


def some(count: int, **columns: Any) -> Candidates:
    """Candidates about which nothing is known but what is given."""
    values: dict[str, Any] = {
        "co_engaged_n": np.zeros(count, np.float32),
        "tag_offsets": np.zeros(count + 1, np.int64),
        "tag_interests_T": np.empty(0, np.int64),
        "tag_scores_T": np.empty(0, np.float32),
        "embeddings_nD": np.empty((count, 0), np.float32),
        "has_embedding_n": np.zeros(count, bool),
        "assign_nK": None,
        "popularity_n": np.zeros(count, np.float32),
        "ages_s_n": np.full(count, 1e12),
    }
    return Candidates(**(values | columns))


def one_tag_each(*tags: tuple[int, float]) -> dict[str, NDArray[Any]]:
    return {
        "tag_offsets": np.arange(len(tags) + 1),
        "tag_interests_T": np.array([interest for interest, _ in tags]),
        "tag_scores_T": np.array([score for _, score in tags], np.float32),
    }


def taste(*weights: float, **columns: Any) -> Taste:
    values: dict[str, Any] = {
        "interest_weights_I": np.array(weights, np.float32),
        "shares_K": None,
        "kept_embeddings_MD": NOTHING,
        "general_K": None,
    }
    return Taste(**(values | columns))


def drawn(seed: int, count: int = 40) -> tuple[Candidates, Taste]:
    """Everything known, at random."""
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(count, 6)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    counts = rng.integers(0, 5, count)
    general_K = rng.dirichlet(np.ones(4))
    return Candidates(
        co_engaged_n=np.maximum(rng.normal(size=count), 0).astype(np.float32),
        tag_offsets=np.concatenate([[0], np.cumsum(counts)]),
        tag_interests_T=rng.integers(0, 8, counts.sum()),
        tag_scores_T=rng.random(counts.sum()).astype(np.float32),
        embeddings_nD=embeddings,
        has_embedding_n=rng.random(count) < 0.8,
        assign_nK=rng.dirichlet(np.ones(4), count).astype(np.float32),
        popularity_n=rng.integers(0, 30, count).astype(np.float32),
        ages_s_n=rng.random(count) * 1e7 - 1e5,
    ), Taste(
        interest_weights_I=rng.normal(size=8).astype(np.float32),
        shares_K=rng.dirichlet(np.ones(4)),
        kept_embeddings_MD=embeddings[:3],
        general_K=general_K,
    )


def order(ranked: Ranked) -> list[int]:
    found: list[int] = ranked.order_L.tolist()
    return found


@given(st.integers(0, 10_000), st.floats(0, 1), st.integers(1, 50))
def test_contributions_sum_to_the_score_and_nothing_comes_twice(
    seed: int, diversity: float, limit: int
) -> None:
    candidates, person = drawn(seed)
    ranked = rank(candidates, person, limit=limit, diversity=diversity)
    assert ranked.contributions_LP.sum(axis=1) == pytest.approx(ranked.scores_L)
    assert len(set(order(ranked))) == len(ranked.order_L) == min(limit, candidates.count)
    weights = np.array(RankSettings().weights)
    assert (np.abs(ranked.contributions_LP) <= weights + 1e-9).all()


@given(st.integers(0, 10_000))
def test_interests_split_their_part_among_them(seed: int) -> None:
    candidates, person = drawn(seed)
    ranked = rank(candidates, person, limit=40, diversity=0)
    for place, row in enumerate(ranked.order_L):
        split = interest_contributions(candidates, person, row, ranked.interest_scale)
        part = ranked.contributions_LP[place, Part.INTERESTS]
        assert sum(share for _, share in split) == pytest.approx(part, abs=1e-6)
        sizes = [abs(share) for _, share in split]
        assert sizes == sorted(sizes, reverse=True)


def test_the_same_question_has_the_same_answer() -> None:
    candidates, person = drawn(7)
    first, second = (rank(candidates, person, limit=20, diversity=0.4) for _ in range(2))
    assert first.order_L.tobytes() == second.order_L.tobytes()
    assert first.scores_L.tobytes() == second.scores_L.tobytes()


def test_without_diversity_scores_fall() -> None:
    candidates, person = drawn(3)
    ranked = rank(candidates, person, limit=40, diversity=0)
    assert (np.diff(ranked.scores_L) <= 0).all()


def test_each_part_is_worth_its_weight_at_its_greatest() -> None:
    # Co-engagement 4 and 2 of 4; interests 0.5 * 0.8 = 0.4 and -0.25 * 0.8 = -0.2 of 0.4;
    # popularity ln(1 + 0) and ln(1 + 9) of the latter; fresh: now, and one half-life old.
    candidates = some(
        2,
        co_engaged_n=np.array([4.0, 2.0], np.float32),
        **one_tag_each((0, 0.8), (1, 0.8)),
        popularity_n=np.array([0.0, 9.0], np.float32),
        ages_s_n=np.array([-5.0, 100.0]),
    )
    settings = RankSettings(
        co_engagement=1, interests=0.5, popularity=0.2, freshness=0.1, freshness_half_life_s=100
    )
    ranked = rank(candidates, taste(0.5, -0.25), limit=2, diversity=0, settings=settings)
    assert order(ranked) == [0, 1]
    assert ranked.contributions_LP == pytest.approx(
        np.array([[1, 0.5, 0, 0, 0.1], [0.5, -0.25, 0, 0.2, 0.05]])
    )
    assert not ranked.cold_start


def test_the_visual_part_is_the_log_ratio_of_the_picture_worked_out_by_hand() -> None:
    # Shares 0.8 and 0.2 against 0.5 and 0.5. Assignments (1, 0): ln 1.6 = 0.470; (0, 1): ln 0.4 =
    # -0.916, the greatest size; (0.5, 0.5): ln 1 = 0. The last one has no picture.
    candidates = some(
        4,
        assign_nK=np.array([[1, 0], [0, 1], [0.5, 0.5], [1, 0]], np.float32),
        has_embedding_n=np.array([True, True, True, False]),
    )
    person = taste(0, shares_K=np.array([0.8, 0.2]), general_K=np.array([0.5, 0.5]))
    settings = RankSettings(visual=1, nearest_share=0)
    ranked = rank(candidates, person, limit=4, diversity=0, settings=settings)
    assert order(ranked) == [0, 2, 3, 1]
    greatest = np.log(2.5)
    assert ranked.scores_L == pytest.approx([np.log(1.6) / greatest, 0, 0, -1], abs=1e-6)
    assert [top_cluster(candidates, person, row) for row in range(4)] == [0, 0, 0, None]


def test_the_nearest_kept_picture_speaks_where_there_are_no_clusters() -> None:
    candidates = some(
        3,
        embeddings_nD=np.array([[0, 1], [1, 0], [0, 0]], np.float32),
        has_embedding_n=np.array([True, True, False]),
    )
    person = taste(0, kept_embeddings_MD=np.array([[1, 0], [0.6, 0.8]], np.float32))
    ranked = rank(candidates, person, limit=3, diversity=0, settings=RankSettings(visual=1))
    assert order(ranked) == [1, 0, 2]
    assert ranked.scores_L == pytest.approx([1, 0.8, 0])
    assert not ranked.cold_start


def test_what_somebody_hides_sinks() -> None:
    candidates = some(3, **one_tag_each((0, 0.9), (1, 0.9), (2, 0.9)))
    ranked = rank(candidates, taste(-0.5, 0.0, 0.5), limit=3, diversity=0)
    assert order(ranked) == [2, 1, 0]


def test_equal_candidates_keep_their_order() -> None:
    assert order(rank(some(5), NOBODY, limit=5, diversity=0)) == [0, 1, 2, 3, 4]


def test_nobody_known_gets_what_is_popular_and_new() -> None:
    candidates = some(
        3,
        popularity_n=np.array([1.0, 50.0, 1.0], np.float32),
        ages_s_n=np.array([1e9, 1e9, 0.0]),
    )
    ranked = rank(candidates, NOBODY, limit=3, diversity=0)
    assert ranked.cold_start
    assert order(ranked) == [1, 2, 0]


def test_nobody_known_gets_a_list_in_proportion_to_what_people_in_general_keep() -> None:
    # All that is popular is of cluster 0; people in general keep as much of cluster 1.
    count = 20
    assign = np.zeros((count, 2), np.float32)
    assign[:10, 0] = assign[10:, 1] = 1
    candidates = some(
        count,
        assign_nK=assign,
        has_embedding_n=np.ones(count, bool),
        embeddings_nD=np.ones((count, 1), np.float32),
        popularity_n=np.arange(count, 0, -1).astype(np.float32),
    )
    person = taste(0, general_K=np.array([0.5, 0.5]))
    by_score = rank(candidates, person, limit=10, diversity=0)
    spread = rank(candidates, person, limit=10, diversity=0.9)
    assert by_score.cold_start
    assert sum(row >= 10 for row in order(by_score)) == 0
    assert sum(row >= 10 for row in order(spread)) == 5


def test_diversity_never_reaches_beyond_the_pool() -> None:
    candidates, person = drawn(1, count=40)
    settings = RankSettings(pool=2)
    best = order(rank(candidates, person, limit=10, diversity=0, settings=settings))
    diverse = order(rank(candidates, person, limit=5, diversity=1, settings=settings))
    assert set(diverse) <= set(best)


def test_diversity_makes_pictures_of_a_list_less_alike() -> None:
    def mean_likeness(diversity: float) -> float:
        found = []
        for seed in range(10):
            candidates, person = drawn(seed, count=60)
            rows = order(rank(candidates, person, limit=8, diversity=diversity))
            near = candidates.embeddings_nD[rows] @ candidates.embeddings_nD[rows].T
            found.append(np.clip(near, 0, 1)[np.triu_indices(8, 1)].mean())
        return float(np.mean(found))

    assert mean_likeness(0.8) < 0.8 * mean_likeness(0)


def test_nothing_to_rank_is_an_empty_list() -> None:
    assert order(rank(some(0), NOBODY, limit=5, diversity=0.3)) == []


@pytest.mark.parametrize(("limit", "diversity"), [(0, 0.3), (5, -0.1), (5, 1.1), (5, float("nan"))])
def test_questions_out_of_range_are_refused(limit: int, diversity: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        rank(some(2), NOBODY, limit=limit, diversity=diversity)


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="3 candidates"):
        some(3, popularity_n=np.zeros(2, np.float32))
    with pytest.raises(ValueError, match="tag_offsets"):
        some(1, tag_offsets=np.array([0, 2]))


@pytest.mark.parametrize(
    "settings", [{"visual": -1}, {"freshness_half_life_s": 0}, {"nearest_share": 2}, {"pool": 0}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"at least|in \[0, 1\]"):
        RankSettings(**settings)  # type: ignore[arg-type]


def test_values_show_nothing_of_a_person() -> None:
    candidates, person = drawn(0)
    assert repr(person) == "Taste()"
    assert repr(candidates) == "Candidates()"
