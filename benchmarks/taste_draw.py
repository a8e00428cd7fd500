"""One draw of the simulation: pictures parted, clusters fitted, people drawn.

    pictures ─► background ─► clusters, general distribution
            ├─► kept ────────► people's profiles ──┐
            └─► held out ────► what is attributed ─┴─► pairs (from both)

No held-out picture is in anybody's profile. Were it in another's, as people do share pictures, the
owner would be the one person whose profile it cannot be in, and rank below chance for that alone.

Clusters and soft assignments are the server's own (inkling_server.profiles). It measures nothing.

Legend: N pictures, U people, P pairs, K clusters, T pictures of a person.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from benchmarks.taste_pictures import Pictures, chosen_classes, split_classes
from benchmarks.taste_users import TasteSettings, Users, draw_pairs, draw_users
from inkling_server.profiles.clusters import VisualClusters
from inkling_server.profiles.fit_clusters import FitSettings, fit_clusters
from inkling_server.profiles.visual import general_distribution, soft_assign

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# Clusters say when they were made; figures must not depend on it.
_MADE = datetime(2026, 11, 26, tzinfo=UTC)
# Keep what one seed draws apart.
_USERS, _NULL = 1_000, 2_000


@dataclass(frozen=True, slots=True)
class DrawSettings:
    """What a draw is made of.

    Attributes:
        tastes: who is drawn.
        class_count: classes that people keep from, by chance.
        fewest_pictures: of a class outside the background, else nobody keeps from it.
        background_share, held_out_share: of each class; the rest is for profiles.
        pair_count: tastes with two collections, for pairs.
        fit: of the clusters.
        unseen_only: people keep only pictures that the model was trained without; all others are
            the background.
    """

    tastes: TasteSettings
    class_count: int = 85
    fewest_pictures: int = 15
    background_share: float = 0.3
    held_out_share: float = 0.2
    pair_count: int = 500
    fit: FitSettings = FitSettings()  # noqa: RUF009 - frozen
    unseen_only: bool = False


@dataclass(frozen=True, slots=True)
class Draw:
    """Pictures parted, clusters fitted, people drawn.

    Attributes:
        pictures: all of them.
        background: indexes that the clusters were fitted to.
        classes: those that people keep from.
        kept_by_class, held_by_class: their pictures for profiles, and those to be attributed.
        clusters: of the background.
        assign_NK: soft assignments of all pictures.
        users: people of different tastes.
        first_PT, second_PT: two collections of each of P tastes, for pairs.
        seed: of the draw.
    """

    pictures: Pictures
    background: Ints
    classes: list[int]
    kept_by_class: list[Ints]
    held_by_class: list[Ints]
    clusters: VisualClusters
    assign_NK: NDArray[np.float32]
    users: Users
    first_PT: Ints
    second_PT: Ints
    seed: int

    @property
    def pool(self) -> Ints:
        """All pictures that somebody may keep, ascending."""
        return np.sort(np.concatenate([*self.kept_by_class, *self.held_by_class]))

    def sums(self, kept_UT: Ints) -> Floats:
        """Sums of soft assignments [U, K] of collections."""
        return np.stack(
            [self.assign_NK[kept_T].sum(axis=0, dtype=np.float64) for kept_T in kept_UT]
        )

    def with_beta(self, beta: float) -> "Draw":
        """The same people and centroids, another sharpness."""
        clusters = self.clusters.with_beta(beta, self.clusters.general_K)
        assign_NK = soft_assign(self.pictures.embeddings_ND, clusters)
        general_K = general_distribution(assign_NK[self.background])
        return replace(self, clusters=clusters.with_beta(beta, general_K), assign_NK=assign_NK)

    def with_people(self, tastes: TasteSettings, *, pair_count: int) -> "Draw":
        """Other people over the same classes and clusters."""
        people = _people(self.kept_by_class, self.held_by_class, tastes, pair_count, self.seed)
        return replace(self, users=people[0], first_PT=people[1], second_PT=people[2])

    def with_clusters(self, fit: FitSettings) -> "Draw":
        """The same people, clusters fitted otherwise."""
        clusters = _fit(self.pictures, self.background, fit, self.seed)
        assign_NK = soft_assign(self.pictures.embeddings_ND, clusters)
        return replace(self, clusters=clusters, assign_NK=assign_NK)


def draw(pictures: Pictures, settings: DrawSettings, *, seed: int) -> Draw:
    """Parts the pictures, fits clusters, draws people: everything anew for each seed."""
    rest = 1 - settings.background_share - settings.held_out_share
    if settings.unseen_only:
        background, unseen = np.flatnonzero(~pictures.unseen_N), np.flatnonzero(pictures.unseen_N)
        held_share = settings.held_out_share / (settings.held_out_share + rest)
        kept, held = split_classes(pictures, unseen, (1 - held_share, held_share), seed=seed)
    else:
        shares = (settings.background_share, rest, settings.held_out_share)
        everything = np.arange(len(pictures))
        background, kept, held = split_classes(pictures, everything, shares, seed=seed)
    classes = chosen_classes(
        pictures,
        np.concatenate([kept, held]),
        settings.class_count,
        fewest=settings.fewest_pictures,
        seed=seed,
    )
    kept_by_class = [kept[pictures.labels_N[kept] == label] for label in classes]
    held_by_class = [held[pictures.labels_N[held] == label] for label in classes]
    clusters = _fit(pictures, background, settings.fit, seed)
    users, first_PT, second_PT = _people(
        kept_by_class, held_by_class, settings.tastes, settings.pair_count, seed
    )
    return Draw(
        pictures,
        background,
        classes,
        kept_by_class,
        held_by_class,
        clusters,
        soft_assign(pictures.embeddings_ND, clusters),
        users,
        first_PT,
        second_PT,
        seed,
    )


def _people(
    kept_by_class: list[Ints],
    held_by_class: list[Ints],
    tastes: TasteSettings,
    pair_count: int,
    seed: int,
) -> tuple[Users, Ints, Ints]:
    users = draw_users(kept_by_class, held_by_class, tastes, seed=seed + _USERS)
    both = [np.concatenate(parts) for parts in zip(kept_by_class, held_by_class, strict=True)]
    first_PT, second_PT = draw_pairs(both, tastes, pair_count=pair_count, seed=seed + _NULL)
    return users, first_PT, second_PT


def _fit(pictures: Pictures, background: Ints, fit: FitSettings, seed: int) -> VisualClusters:
    return clusters_of(pictures.embeddings_ND[background], pictures.model, replace(fit, seed=seed))


def clusters_of(vectors_ND: NDArray[np.float32], model: str, fit: FitSettings) -> VisualClusters:
    """Clusters of any vectors, always of one date."""
    return fit_clusters(vectors_ND, fingerprint=model, created_time=_MADE, settings=fit)
