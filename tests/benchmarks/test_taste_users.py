"""The simulation of people who keep pictures."""

import numpy as np
import pytest

from benchmarks.taste_draw import DrawSettings, draw
from benchmarks.taste_pictures import Pictures, chosen_classes, drawn_pictures, split_classes
from benchmarks.taste_users import (
    NotEnoughPictures,
    TasteSettings,
    draw_collection,
    draw_pairs,
    draw_users,
)
from inkling_server.profiles.fit_clusters import FitSettings

SMALL = DrawSettings(
    TasteSettings(user_count=20, train_count=12, held_out_count=6),
    class_count=12,
    fewest_pictures=6,
    pair_count=30,
    fit=FitSettings(cluster_count=12, pictures_per_cluster=4),
)


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return drawn_pictures()


def _pools(pictures: Pictures) -> tuple[list[np.ndarray], list[np.ndarray]]:
    kept, held = split_classes(pictures, np.arange(len(pictures)), (0.7, 0.3), seed=3)
    classes = range(len(pictures.classes))
    return (
        [kept[pictures.labels_N[kept] == label] for label in classes],
        [held[pictures.labels_N[held] == label] for label in classes],
    )


def test_nobody_keeps_a_picture_twice(pictures: Pictures) -> None:
    users = draw_users(*_pools(pictures), SMALL.tastes, seed=1)

    for kept in (*users.train_UT, *users.held_out_UH):
        assert len(set(kept)) == len(kept)


def test_held_out_pictures_and_the_background_are_in_nobodys_profile(pictures: Pictures) -> None:
    drawn = draw(pictures, SMALL, seed=1)

    profiles = set(drawn.users.train_UT.flat)
    held_out = set(drawn.users.held_out_UH.flat)
    background = set(drawn.background)
    assert not profiles & held_out
    assert not (profiles | held_out | set(drawn.first_PT.flat)) & background


def test_people_keep_classes_by_their_taste(pictures: Pictures) -> None:
    settings = TasteSettings(user_count=200, train_count=5, held_out_count=3, concentration=0.1)
    users = draw_users(*_pools(pictures), settings, seed=2)

    of_favourites = users.tastes_UC[np.arange(200)[:, None], pictures.labels_N[users.train_UT]]
    # A class is met with the probability that the taste gives it: E[share] = sum of squared shares.
    expected = (users.tastes_UC**2).sum(axis=1).mean()
    assert of_favourites.mean() == pytest.approx(expected, abs=0.03)
    assert expected > 0.2


def test_null_pairs_share_a_taste_and_no_picture(pictures: Pictures) -> None:
    by_class, _ = _pools(pictures)
    settings = TasteSettings(user_count=1, train_count=10, concentration=0.1)
    first_PT, second_PT = draw_pairs(by_class, settings, pair_count=100, seed=4)

    for first, second in zip(first_PT, second_PT, strict=True):
        assert not set(first) & set(second)

    def mean_common_share(one_PT: np.ndarray, other_PT: np.ndarray) -> float:
        counts_2PC = np.array(
            [
                [np.bincount(pictures.labels_N[kept], minlength=24) for kept in some]
                for some in (one_PT, other_PT)
            ]
        )
        return float(counts_2PC.min(axis=0).sum(axis=1).mean()) / 10

    # Pairs have most of their classes in common; strangers (the next pair's second half) do not.
    assert mean_common_share(first_PT, second_PT) > 0.6
    assert mean_common_share(first_PT, np.roll(second_PT, 1, axis=0)) < 0.3


def test_a_class_that_runs_out_gives_its_part_to_the_others() -> None:
    by_class = [np.array([0, 1]), np.array([2, 3, 4])]

    kept = draw_collection(np.array([1.0, 0.0]), by_class, 5, np.random.default_rng(0))

    assert set(kept[:2]) == {0, 1}
    assert set(kept[2:]) == {2, 3, 4}


def test_more_pictures_than_there_are_is_refused() -> None:
    with pytest.raises(NotEnoughPictures, match="6 pictures a person, but there are only 5"):
        draw_collection(np.array([1.0]), [np.arange(5)], 6, np.random.default_rng(0))


def test_a_seed_repeats_a_draw_and_another_does_not(pictures: Pictures) -> None:
    first, again, other = (draw(pictures, SMALL, seed=seed) for seed in (1, 1, 2))

    assert np.array_equal(first.users.train_UT, again.users.train_UT)
    assert np.array_equal(first.second_PT, again.second_PT)
    assert np.array_equal(first.assign_NK, again.assign_NK)
    assert first.classes != other.classes
    assert not np.array_equal(first.users.train_UT, other.users.train_UT)


def test_parts_of_classes_are_apart_and_whole(pictures: Pictures) -> None:
    parts = split_classes(pictures, np.arange(len(pictures)), (0.5, 0.25, 0.25), seed=0)

    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(pictures)))
    assert [np.bincount(pictures.labels_N[part]).tolist() for part in parts] == [
        [12] * 24,
        [6] * 24,
        [6] * 24,
    ]


def test_only_classes_with_enough_pictures_are_chosen(pictures: Pictures) -> None:
    few = np.concatenate([np.flatnonzero(pictures.labels_N < 3), np.array([24 * 5])])

    assert chosen_classes(pictures, few, 10, fewest=2, seed=0) == [0, 1, 2]


def test_unseen_draws_keep_only_pictures_that_the_model_was_trained_without(
    pictures: Pictures,
) -> None:
    settings = DrawSettings(
        TasteSettings(user_count=5, train_count=6, held_out_count=3),
        class_count=20,
        fewest_pictures=3,
        pair_count=5,
        fit=SMALL.fit,
        unseen_only=True,
    )
    drawn = draw(pictures, settings, seed=1)

    assert pictures.unseen_N[drawn.pool].all()
    assert not pictures.unseen_N[drawn.background].any()


def test_effective_classes_are_the_dirichlets_second_moment() -> None:
    rng = np.random.default_rng(0)
    tastes_UC = rng.dirichlet(np.full(85, 0.1), 4_000)

    expected = TasteSettings(concentration=0.1).effective_classes(85)
    assert expected == pytest.approx(9.5 / 1.1)
    assert 1 / (tastes_UC**2).sum(axis=1).mean() == pytest.approx(expected, rel=0.05)
