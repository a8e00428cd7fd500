"""Item-to-item weights: EASE by hand, and what bounds them; popularity."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inkling_server.profiles.co_engagement import (
    CoEngagementSettings,
    Neighbours,
    co_engagement,
    popularity,
)

# Three items, four people: 0 and 1 are had together by three, 2 by one of them and one other.
HAS_PN = np.array([[1, 1, 0], [1, 1, 0], [1, 1, 1], [0, 0, 1]], np.float64)
# Nothing is left out by chance or by size.
ALL = CoEngagementSettings(ridge=1.0, min_people=2, min_common=1)


def fit(has_PN: NDArray[np.float64], settings: CoEngagementSettings | None = None) -> Neighbours:
    people_M, items_M = np.nonzero(has_PN)
    return co_engagement(
        people_M,
        items_M,
        has_PN[people_M, items_M],
        person_count=len(has_PN),
        item_count=has_PN.shape[1],
        settings=settings,
    )


def dense(found: Neighbours) -> NDArray[np.float64]:
    count = len(found.offsets) - 1
    weights_NN = np.zeros((count, count))
    rows = np.repeat(np.arange(count), np.diff(found.offsets))
    weights_NN[rows, found.items_E] = found.weights_E
    return weights_NN


def random_has(seed: int, people: int = 60, items: int = 12) -> NDArray[np.float64]:
    """Two groups of people with a taste each, and noise."""
    rng = np.random.default_rng(seed)
    taste_PN = (np.arange(people)[:, None] % 2) == (np.arange(items) % 2)
    drawn: NDArray[np.float64] = (
        rng.random((people, items)) < np.where(taste_PN, 0.5, 0.1)
    ).astype(np.float64)
    return drawn


def test_three_items_have_the_weights_of_ease_worked_out_by_hand() -> None:
    # G = X'X = [[3, 3, 1], [3, 3, 1], [1, 1, 2]]. Item 2 meets 0 and 1 less often than chance does
    # (1 < 3 * 2 / 4), so only 0 and 1 speak for each other, each alone:
    # B_01 = G_01 / (G_00 + ridge) = 3 / (3 + 1).
    assert dense(fit(HAS_PN, ALL)) == pytest.approx(
        np.array([[0, 0.75, 0], [0.75, 0, 0], [0, 0, 0]])
    )


def test_with_all_items_as_sources_the_weights_are_exactly_ease() -> None:
    # X has one group of items, so that all pairs meet more often than chance; 4 of the 10 people
    # have nothing. G = [[6, 5, 4], [5, 5, 3], [4, 3, 4]]; with ridge 2, G + 2 I has the determinant
    # 8 (7 * 6 - 9) - 5 (5 * 6 - 3 * 4) + 4 (5 * 3 - 7 * 4) = 264 - 90 - 52 = 122 and the inverse
    # P = [[33, -18, -13], [-18, 32, -4], [-13, -4, 31]] / 122, so that B_ij = -P_ij / P_jj:
    has_PN = np.zeros((10, 3))
    has_PN[:6, 0] = 1
    has_PN[[0, 1, 2, 3, 4], 1] = 1
    has_PN[[0, 1, 2, 5], 2] = 1
    expected = [[0, 18 / 32, 13 / 31], [18 / 33, 0, 4 / 31], [13 / 33, 4 / 32, 0]]
    found = dense(fit(has_PN, CoEngagementSettings(ridge=2.0, min_people=2, min_common=1)))
    assert found == pytest.approx(np.array(expected))


@given(st.integers(0, 1_000))
def test_sources_solve_ridge_regression_for_what_they_speak_for(seed: int) -> None:
    has_PN = random_has(seed)
    found = dense(fit(has_PN, CoEngagementSettings(ridge=3.0, min_people=2, min_common=1)))
    gram = has_PN.T @ has_PN
    mass_N = has_PN.sum(axis=0)
    for target in range(has_PN.shape[1]):
        near = gram[:, target] > mass_N * mass_N[target] / len(has_PN)
        near &= (np.arange(len(near)) != target) & (mass_N >= 2)
        if mass_N[target] < 2 or not near.any():
            continue
        solved = np.linalg.solve(
            gram[np.ix_(near, near)] + 3 * np.eye(near.sum()), gram[near, target]
        )
        assert found[near, target] == pytest.approx(np.maximum(solved, 0), abs=1e-6)
        assert not found[~near, target].any()


def test_items_of_one_taste_are_neighbours() -> None:
    weights_NN = dense(fit(random_has(0), CoEngagementSettings(ridge=5.0)))
    same = (np.arange(12)[:, None] - np.arange(12)) % 2 == 0
    assert weights_NN[same].sum() > 10 * weights_NN[~same].sum()


def test_an_item_names_its_strongest_neighbours_in_order() -> None:
    everything = fit(random_has(1), CoEngagementSettings(ridge=5.0))
    bounded = fit(random_has(1), CoEngagementSettings(ridge=5.0, k=2))
    for item in range(12):
        full = slice(everything.offsets[item], everything.offsets[item + 1])
        few = slice(bounded.offsets[item], bounded.offsets[item + 1])
        assert (np.diff(everything.weights_E[full]) <= 0).all()
        assert bounded.items_E[few].tolist() == everything.items_E[full][:2].tolist()


def test_items_of_few_people_take_no_part() -> None:
    has_PN = random_has(2)
    has_PN[:, 3] = 0
    has_PN[[0, 2], 3] = 1
    weights_NN = dense(fit(has_PN, CoEngagementSettings(ridge=5.0, min_people=3)))
    assert not weights_NN[3].any()
    assert not weights_NN[:, 3].any()


def test_one_person_in_common_joins_nothing_where_two_are_wanted() -> None:
    has_PN = np.zeros((40, 4))
    has_PN[:5, 0] = 1
    has_PN[4:8, 1] = 1
    assert not dense(fit(has_PN, CoEngagementSettings(min_people=2))).any()
    assert dense(fit(has_PN, CoEngagementSettings(min_people=2, min_common=1))).any()


def test_what_is_looked_up_and_what_is_computed_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = CoEngagementSettings(ridge=5.0)
    expected = dense(fit(random_has(3), settings))
    for count in (0, 5):
        monkeypatch.setattr("inkling_server.profiles.co_engagement._LOOKED_UP", count)
        monkeypatch.setattr("inkling_server.profiles.co_engagement._BLOCK_PAIRS", 10)
        assert dense(fit(random_has(3), settings)) == pytest.approx(expected)


def test_order_of_engagements_makes_no_difference_bit_by_bit() -> None:
    has_PN = random_has(4)
    people_M, items_M = np.nonzero(has_PN)
    shuffled = np.random.default_rng(0).permutation(len(people_M))
    found = [
        co_engagement(
            people_M[order],
            items_M[order],
            np.ones(len(order)),
            person_count=60,
            item_count=12,
        )
        for order in (np.arange(len(people_M)), shuffled)
    ]
    assert found[0].items_E.tobytes() == found[1].items_E.tobytes()
    assert found[0].weights_E.tobytes() == found[1].weights_E.tobytes()


def test_of_several_engagements_with_one_item_the_weightiest_counts() -> None:
    people_M, items_M = np.nonzero(HAS_PN)
    once = fit(HAS_PN, ALL)
    again = co_engagement(
        np.append(people_M, [0, 0]),
        np.append(items_M, [0, 1]),
        np.append(np.ones(len(people_M)), [0.3, 0.3]),
        person_count=4,
        item_count=3,
        settings=ALL,
    )
    assert again.weights_E.tolist() == once.weights_E.tolist()


def test_engagements_that_weigh_nothing_do_not_count() -> None:
    people_M, items_M = np.nonzero(HAS_PN)
    weights_M = np.where(items_M == 2, 0.0, 1.0)
    found = co_engagement(people_M, items_M, weights_M, person_count=4, item_count=3, settings=ALL)
    assert np.unique(found.items_E).tolist() == [0, 1]


def test_a_person_with_too_many_items_counts_with_the_weightiest() -> None:
    has_PN = np.zeros((20, 4))
    has_PN[:5, :3] = [3, 2, 1]
    two = CoEngagementSettings(min_people=2, max_person_items=2)
    assert np.unique(fit(has_PN, two).items_E).tolist() == [0, 1]


def test_nobody_engaged_gives_no_neighbours() -> None:
    found = fit(np.zeros((3, 2)))
    assert found.offsets.tolist() == [0, 0, 0]
    assert len(found.items_E) == len(found.weights_E) == 0


@pytest.mark.parametrize(
    ("people", "items", "weights", "named"),
    [
        ([0], [0, 1], [1.0], "one length"),
        ([5], [0], [1.0], "people_M"),
        ([0], [-1], [1.0], "items_M"),
        ([0], [0], [-1.0], "weights_M"),
        ([0], [0], [np.nan], "weights_M"),
    ],
)
def test_what_is_no_engagement_is_refused(
    people: list[int], items: list[int], weights: list[float], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        co_engagement(
            np.array(people), np.array(items), np.array(weights), person_count=2, item_count=2
        )


@pytest.mark.parametrize(
    "settings", [{"ridge": 0.0}, {"min_people": 1}, {"k": 0}, {"min_common": 0}, {"sources": 0}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least"):
        CoEngagementSettings(**settings)  # type: ignore[arg-type]


def test_popularity_counts_people_by_the_age_of_their_latest_engagement() -> None:
    # Item 0: person 0 now (1) and, once more, long ago (does not count); person 1 a half-life ago
    # (1/2). Item 2: two half-lives ago (1/4), and after now, which is now (1).
    found = popularity(
        np.array([0, 0, 1, 0, 1]),
        np.array([0, 0, 0, 2, 2]),
        np.array([100.0, 0.0, 90.0, 80.0, 999.0]),
        item_count=3,
        now_s=100.0,
        half_life_s=10.0,
    )
    assert found.tolist() == [1.5, 0.0, 1.25]
    nobody, never = np.empty(0, np.int64), np.empty(0)
    none = popularity(nobody, nobody, never, item_count=2, now_s=0.0, half_life_s=1.0)
    assert none.tolist() == [0, 0]
