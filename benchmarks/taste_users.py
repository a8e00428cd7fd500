"""People who keep pictures by a taste: a simulation, as no sample data has a person's collection.

    taste ~ Dirichlet(concentration) over classes
    collection: again and again a class by the taste, then a picture of it that they do not have yet
                (a class that has no more pictures drops out, the others share its part)
    one pool of pictures -> what profiles are made of;   another -> held out, to be attributed

Two people may keep the same picture, as people do; one person never keeps it twice. Pairs are
compared by other collections: each taste draws two without a common picture; those two are a null
pair, one of them and one of another taste's are a pair of different people. Both kinds of pair are
then made of the same collections. It knows no embedding, text or cluster.

Legend: U people, T pictures to train on, H held-out pictures, C classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TasteSettings:
    """Who is drawn.

    Attributes:
        user_count: U.
        train_count: pictures that a profile is made of at most, T.
        held_out_count: pictures of each held-out collection, H.
        concentration: of the symmetric Dirichlet, above 0. A taste then has about
            (C c + 1) / (c + 1) effective classes (1 / expected sum of squared shares).
    """

    user_count: int = 200
    train_count: int = 50
    held_out_count: int = 10
    concentration: float = 0.1

    def effective_classes(self, class_count: int) -> float:
        """1 / E[sum of squared shares], from the Dirichlet's second moment."""
        c = self.concentration
        return (class_count * c + 1) / (c + 1)


@dataclass(frozen=True, slots=True)
class Users:
    """Collections as indexes of pictures.

    Attributes:
        tastes_UC: shares of the classes.
        train_UT: pictures for the profile, in the order in which they were kept.
        held_out_UH: others of the same taste; in nobody's `train_UT` where the pools are apart.
    """

    tastes_UC: NDArray[np.float64]
    train_UT: Ints
    held_out_UH: Ints


class NotEnoughPictures(ValueError):
    """A collection is larger than what there is to keep."""

    def __init__(self, wanted: int, available: int) -> None:
        super().__init__(f"{wanted} pictures a person, but there are only {available} to keep")


def draw_tastes(
    count: int, class_count: int, concentration: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Shares [count, C]; each row sums to 1."""
    return rng.dirichlet(np.full(class_count, concentration), count)


def draw_collection(
    taste_C: NDArray[np.float64],
    by_class: list[Ints],
    count: int,
    rng: np.random.Generator,
) -> Ints:
    """Pictures that somebody of this taste keeps, none twice, in the order of keeping.

    Args:
        taste_C: shares.
        by_class: pictures of each class.
        count: how many.
        rng: source of chance.

    Raises:
        NotEnoughPictures: the classes have fewer than `count` in all.
    """
    left_C = np.array([len(pictures) for pictures in by_class])
    if count > left_C.sum():
        raise NotEnoughPictures(count, int(left_C.sum()))
    orders = [rng.permutation(pictures) for pictures in by_class]
    kept = np.empty(count, np.int64)
    # Shares so small that they are 0 in floating point must not end the draw early.
    shares_C = np.maximum(taste_C, np.finfo(np.float64).tiny * 1e6)
    for place in range(count):
        open_C = np.where(left_C > 0, shares_C, 0.0)
        cumulated_C = np.cumsum(open_C)
        label = int(np.searchsorted(cumulated_C, rng.random() * cumulated_C[-1], side="right"))
        label = min(label, int(np.flatnonzero(open_C)[-1]))
        left_C[label] -= 1
        kept[place] = orders[label][left_C[label]]
    return kept


def draw_users(
    kept_by_class: list[Ints], held_by_class: list[Ints], settings: TasteSettings, *, seed: int
) -> Users:
    """U people, each with T pictures of the one pool and H of the other, by the same taste.

    Args:
        kept_by_class: pictures for profiles, of each class.
        held_by_class: pictures to be attributed, of each class.
        settings: who is drawn.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    tastes_UC = draw_tastes(settings.user_count, len(kept_by_class), settings.concentration, rng)
    train, held = settings.train_count, settings.held_out_count
    return Users(
        tastes_UC,
        np.stack([draw_collection(taste_C, kept_by_class, train, rng) for taste_C in tastes_UC]),
        np.stack([draw_collection(taste_C, held_by_class, held, rng) for taste_C in tastes_UC]),
    )


def draw_pairs(
    by_class: list[Ints], settings: TasteSettings, *, pair_count: int, seed: int
) -> tuple[Ints, Ints]:
    """Two collections [pair_count, T] of each taste, without a common picture.

    One draw of 2 T pictures, dealt out in turn: both halves feel a class run out alike.
    """
    rng = np.random.default_rng(seed)
    tastes = draw_tastes(pair_count, len(by_class), settings.concentration, rng)
    size = 2 * settings.train_count
    kept = np.stack([draw_collection(taste_C, by_class, size, rng) for taste_C in tastes])
    return kept[:, 0::2], kept[:, 1::2]
