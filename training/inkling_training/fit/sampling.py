"""Which pictures stand in which step: a function of the seed and the step, and of nothing else.

    step -> epoch -> each source's share, from its own endless shuffled stream -> shuffled together

A source of n pictures is met in proportion to n ** 0.6: large ones more often, small ones more
often than their size. Because nothing is remembered, a resumed run needs no position but its step,
and every rank knows the whole batch. Knows no pictures.

Source of the power: Mahajan et al., "Exploring the Limits of Weakly Supervised Pretraining" (2018)
balance by a power of the frequency; 0.6 lies between their square root and no balance.

Legend: N pictures, G pictures of a step.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


class BalancedOrder:
    """The rows of each step. An epoch is about as many pictures as there are."""

    def __init__(
        self, sources: Sequence[str], rows_per_step: int, seed: int, power: float = 0.6
    ) -> None:
        """Args:
        sources: of each of the N pictures.
        rows_per_step: G, of all ranks and pieces together.
        power: 1 meets sources by their size, 0 all alike.

        Raises:
            ValueError: no pictures, or no rows.
        """
        if not sources or rows_per_step < 1:
            raise ValueError(f"{len(sources)} pictures, {rows_per_step} a step: nothing to order")
        self._seed, self._rows_per_step = seed, rows_per_step
        self.steps_per_epoch = max(1, len(sources) // rows_per_step)
        names = sorted(set(sources))
        place = {name: number for number, name in enumerate(names)}
        which_N = np.array([place[name] for name in sources])
        self._rows = [np.flatnonzero(which_N == number) for number in range(len(names))]
        shares = np.array([len(rows) ** power for rows in self._rows])
        wanted = shares / shares.sum() * self.steps_per_epoch * rows_per_step
        quotas = np.floor(wanted).astype(int)
        missing = self.steps_per_epoch * rows_per_step - quotas.sum()
        quotas[np.argsort(quotas - wanted, kind="stable")[:missing]] += 1
        self._quotas = quotas.tolist()
        self._epoch: tuple[int, Rows] = (-1, np.empty(0, np.int64))

    def rows(self, step: int) -> Rows:
        """The rows [G] of a step, in order: pieces one after another, in each the ranks."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._order(epoch))
        start = place * self._rows_per_step
        return self._epoch[1][start : start + self._rows_per_step]

    def _order(self, epoch: int) -> Rows:
        drawn = [
            self._stream(number, epoch * quota, quota) for number, quota in enumerate(self._quotas)
        ]
        order = np.concatenate(drawn)
        np.random.default_rng([self._seed, 1, epoch]).shuffle(order)
        return order

    def _stream(self, number: int, start: int, count: int) -> Rows:
        """`count` rows of a source's endless stream: every picture once before any comes again."""
        rows = self._rows[number]
        taken, place = [], start
        while place < start + count:
            cycle, offset = divmod(place, len(rows))
            rng = np.random.default_rng([self._seed, 2, number, cycle])
            part = rng.permutation(rows)[offset : offset + start + count - place]
            taken.append(part)
            place += len(part)
        return np.concatenate(taken) if taken else np.empty(0, np.int64)
