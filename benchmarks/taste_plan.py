"""How much of bench_taste is run: in full, or quickly on drawn points and made-up words."""

from dataclasses import dataclass

import numpy as np

from benchmarks.taste_draw import DrawSettings
from benchmarks.taste_users import TasteSettings
from inkling_server.profiles.fit_clusters import FitSettings


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is run.

    Attributes:
        draws: of the main experiments.
        unseen: the same with pictures that the model never saw; fewer pictures a person.
        sizes, unseen_sizes: pictures that a profile is made of.
        seeds: draws that report.
        choosing_seeds: draws that choose.
        naming_seeds: of `seeds`, how many answer how plain texts must be.
    """

    draws: DrawSettings
    unseen: DrawSettings
    sizes: tuple[int, ...] = (10, 20, 30, 40, 50)
    unseen_sizes: tuple[int, ...] = (5, 10, 15, 20)
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    choosing_seeds: tuple[int, ...] = (101, 102, 103)
    naming_seeds: int = 3


FULL = Plan(
    DrawSettings(TasteSettings()),
    DrawSettings(TasteSettings(train_count=20), fewest_pictures=4, unseen_only=True),
)
QUICK = Plan(
    DrawSettings(
        TasteSettings(user_count=30, train_count=20),
        class_count=20,
        fewest_pictures=5,
        pair_count=40,
        fit=FitSettings(cluster_count=20, pictures_per_cluster=4),
    ),
    DrawSettings(
        TasteSettings(user_count=30, train_count=10, held_out_count=5),
        class_count=20,
        fewest_pictures=3,
        pair_count=40,
        fit=FitSettings(cluster_count=20, pictures_per_cluster=4),
        unseen_only=True,
    ),
    sizes=(10, 20),
    unseen_sizes=(5, 10),
    seeds=(1, 2),
    choosing_seeds=(101,),
    naming_seeds=1,
)


def drawn_titles(communities: int = 24, each: int = 120, seed: int = 0) -> dict[str, list[str]]:
    """Titles of made-up words for a quick run: one word in five is of the community's own."""
    rng = np.random.default_rng(seed)

    def title(community: int) -> str:
        own = rng.random(8) < 0.2
        numbers = np.where(
            own, 1_000 + community * 10 + rng.integers(0, 10, 8), rng.integers(0, 500, 8)
        )
        return " ".join(f"w{number}" for number in numbers)

    return {f"c{place:02d}": [title(place) for _ in range(each)] for place in range(communities)}
