import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkling_server.profiles.interest import (
    Engaged,
    InterestProfile,
    InterestSettings,
    interest_profile,
    interest_weights,
)
from inkling_server.profiles.interest_graph import InterestGraph
from tests.server.profiles.kit import graph_of

VIEW, LIKE, SAVE, SHARE, HIDE = range(1, 6)
_DAY_S = 86_400.0
_NOW_S = 1_000 * _DAY_S
# So large that nothing saturates; no smoothing.
_PLAIN = InterestSettings(saturation=1e9, smoothing=0.0)


def _engaged(*entries: tuple[int, float, int, int, float]) -> Engaged:
    """From (kind, age in days, item, row, score)."""
    kinds, ages, items, rows, scores = (
        zip(*entries, strict=True) if entries else ((), (), (), (), ())
    )
    return Engaged(
        np.array(kinds, np.int8),
        _NOW_S - np.array(ages, np.float64) * _DAY_S,
        np.array(items, np.int64),
        np.array(rows, np.int32),
        np.array(scores, np.float32),
    )


def _weights(engaged: Engaged, chosen: InterestSettings = _PLAIN, count: int = 4) -> list[float]:
    weights: list[float] = interest_weights(engaged, count, now_s=_NOW_S, settings=chosen).tolist()
    return weights


def _profile(
    engaged: Engaged, graph: InterestGraph, chosen: InterestSettings = _PLAIN
) -> InterestProfile:
    return interest_profile(engaged, graph, now_s=_NOW_S, settings=chosen)


_ISLANDS = InterestGraph.of(graph_of("abcd"))
_PAIR = InterestGraph.of(graph_of("ab", (0, 1, 1.0)))


def test_an_engagement_counts_by_kind_age_and_score() -> None:
    # like: 1 * .5^(90/90) * .8 = .4; save: 2 * .5^(180/90) * .5 = .25; view: .1; hide: -2 * .25
    weights = _weights(
        _engaged(
            (LIKE, 90, 1, 0, 0.8), (SAVE, 180, 2, 1, 0.5), (VIEW, 0, 3, 2, 1), (HIDE, 0, 4, 3, 0.25)
        )
    )

    np.testing.assert_allclose(weights, [0.4, 0.25, 0.1, -0.5], rtol=1e-6)


def test_items_add_up() -> None:
    weights = _weights(_engaged((LIKE, 0, 1, 0, 0.5), (LIKE, 0, 2, 0, 0.75)))

    np.testing.assert_allclose(weights, [1.25, 0, 0, 0])


def test_coming_back_to_one_item_saturates() -> None:
    # Strengths 1, 2, ... of one item: 3 (1 - exp(-n / 3)) = .850406, 1.459749, ... -> 3.
    chosen = InterestSettings(saturation=3.0)
    ones = [(LIKE, 0.0, 7, 0, 1.0)] * 40

    grown = [_weights(_engaged(*ones[:n]), chosen)[0] for n in (1, 2, 40)]

    np.testing.assert_allclose(grown, [0.850406, 1.459749, 3 * (1 - math.exp(-40 / 3))], rtol=1e-5)


def test_two_items_outweigh_one_item_seen_twice() -> None:
    chosen = InterestSettings()

    twice = _weights(_engaged((LIKE, 0, 1, 0, 1), (LIKE, 0, 1, 0, 1)), chosen)
    two = _weights(_engaged((LIKE, 0, 1, 0, 1), (LIKE, 0, 2, 0, 1)), chosen)

    assert two[0] > twice[0]


def test_a_hidden_item_counts_as_hidden_alone() -> None:
    weights = _weights(_engaged((SHARE, 0, 1, 0, 1), (HIDE, 0, 1, 0, 1), (SHARE, 0, 2, 1, 1)))

    np.testing.assert_allclose(weights, [-2, 2, 0, 0])


def test_what_lies_in_the_future_is_new() -> None:
    assert _weights(_engaged((LIKE, -500, 1, 0, 1))) == _weights(_engaged((LIKE, 0, 1, 0, 1)))


def test_interests_that_the_graph_lacks_are_left_out() -> None:
    weights = _weights(_engaged((LIKE, 0, 1, -1, 1), (LIKE, 0, 1, 2, 1)))

    np.testing.assert_allclose(weights, [0, 0, 1, 0])


def test_rows_beyond_the_graph_are_refused() -> None:
    with pytest.raises(ValueError, match="rows of the graph"):
        _weights(_engaged((LIKE, 0, 1, 4, 1)))


def test_smoothing_by_hand() -> None:
    # w = (1, 0), a = .2, two steps: b is given .2, a .04 of its own back.
    # v = (1.04, .2); of 1.24: .838710, .161290. Given: .04 / 1.04 = .038462, all of b.
    profile = _profile(
        _engaged((LIKE, 0, 1, 0, 1)), _PAIR, dataclasses.replace(_PLAIN, smoothing=0.2, steps=2)
    )

    assert profile.rows_R.tolist() == [0, 1]
    np.testing.assert_allclose(profile.weights_R, [0.838710, 0.161290], rtol=1e-5)
    np.testing.assert_allclose(profile.smoothed_R, [0.038462, 1], rtol=1e-4)


def test_without_smoothing_everything_is_the_persons_own() -> None:
    profile = _profile(_engaged((LIKE, 0, 1, 0, 1)), _PAIR)

    assert profile.rows_R.tolist() == [0]
    assert profile.smoothed_R.tolist() == [0]


def test_an_aversion_spreads_and_is_no_taste() -> None:
    profile = _profile(
        _engaged((HIDE, 0, 1, 0, 1)), _PAIR, dataclasses.replace(_PLAIN, smoothing=0.2)
    )

    assert (profile.weights_R < 0).all()
    assert profile.tastes == ()


def test_likes_and_hides_of_one_interest_cancel_out() -> None:
    profile = _profile(_engaged((SAVE, 0, 1, 0, 1), (HIDE, 0, 2, 0, 1)), _ISLANDS)

    assert profile.rows_R.tolist() == []


def test_nothing_engaged_with_is_an_empty_profile() -> None:
    profile = _profile(_engaged(), _ISLANDS)

    assert len(profile.rows_R) == len(profile.weights_R) == len(profile.smoothed_R) == 0
    assert profile.tastes == ()
    assert len(_profile(_engaged((LIKE, 0, 1, -1, 1)), InterestGraph.of(graph_of(""))).rows_R) == 0


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_sizes_sum_to_one_and_come_greatest_first(seed: int) -> None:
    rng = np.random.default_rng(seed)
    entries = [
        (
            int(rng.integers(1, 6)),
            float(rng.uniform(0, 400)),
            int(rng.integers(20)),
            int(rng.integers(6)),
            float(rng.uniform(0.1, 1)),
        )
        for _ in range(30)
    ]
    graph = InterestGraph.of(graph_of("abcdef", (0, 1, 0.5), (1, 2, 0.25), (3, 4, 1.0)))

    profile = _profile(_engaged(*entries), graph, InterestSettings())

    sizes_R = np.abs(profile.weights_R)
    assert sizes_R.sum() == pytest.approx(1, abs=1e-5)
    assert (np.diff(sizes_R) <= 0).all()
    assert ((profile.smoothed_R >= 0) & (profile.smoothed_R <= 1)).all()
    assert sum(taste.share for taste in profile.tastes) <= 1 + 1e-6
    assert all(taste.medoid_row in taste.rows for taste in profile.tastes)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_the_order_of_entries_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    entries = [
        (int(rng.integers(1, 6)), float(n), n % 7, int(rng.integers(4)), 0.5) for n in range(20)
    ]

    first = _weights(_engaged(*entries), InterestSettings())
    shuffled = [entries[n] for n in rng.permutation(20)]

    np.testing.assert_allclose(first, _weights(_engaged(*shuffled), InterestSettings()), atol=1e-9)


def test_only_the_strongest_interests_are_kept() -> None:
    engaged = _engaged((LIKE, 0, 1, 0, 0.3), (LIKE, 0, 2, 1, 0.9), (HIDE, 0, 3, 2, 0.3))

    profile = _profile(engaged, _ISLANDS, dataclasses.replace(_PLAIN, max_interests=2))

    assert profile.rows_R.tolist() == [1, 2]
    np.testing.assert_allclose(profile.weights_R, [0.6, -0.4], rtol=1e-6)


def test_two_tastes_are_two_medoids_and_no_average() -> None:
    # a, b, c point one way, b in their middle; d another. Weights 1, 1, 1 and 3, of 6.
    angles = np.array([0.0, 0.2, 0.4, 2.0])
    embeddings_ND = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    graph = InterestGraph.of(graph_of("abcd"), embeddings_ND)
    engaged = _engaged(
        *((LIKE, 0.0, row, row, 1.0) for row in range(3)),
        *((LIKE, 0.0, 10 + n, 3, 1.0) for n in range(3)),
    )

    tastes = _profile(engaged, graph).tastes

    assert [taste.medoid_row for taste in tastes] == [3, 1]
    assert [taste.rows for taste in tastes] == [(3,), (0, 1, 2)]
    np.testing.assert_allclose([taste.share for taste in tastes], [0.5, 0.5])


def test_what_neighbours_gave_is_nobodys_medoid() -> None:
    profile = _profile(
        _engaged((LIKE, 0, 1, 0, 1)), _PAIR, dataclasses.replace(_PLAIN, smoothing=0.9)
    )

    assert [taste.rows for taste in profile.tastes] == [(0,)]
    assert profile.tastes[0].share < 1


@pytest.mark.parametrize(
    "change",
    [
        {"kind_weights": (0.1, -1.0, 2.0, 2.0, -2.0)},
        {"kind_weights": (0.1, 1.0, 2.0, 2.0, 2.0)},
        {"half_life_days": 0.0},
        {"saturation": 0.0},
        {"smoothing": 1.0},
        {"steps": -1},
        {"max_interests": 0},
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        dataclasses.replace(_PLAIN, **change)  # type: ignore[arg-type]


def test_engagements_must_be_whole() -> None:
    with pytest.raises(ValueError, match="1 to 5"):
        _engaged((6, 0, 1, 0, 1))
    with pytest.raises(ValueError, match="as many"):
        dataclasses.replace(_engaged((LIKE, 0, 1, 0, 1)), rows_J=np.zeros(2, np.int32))
