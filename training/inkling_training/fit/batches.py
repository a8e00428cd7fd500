"""Pictures and texts of each step, made ready by threads while the model computes.

    (step, piece, rank) -> rows of pictures -> decode, augment -> pixels           [B, S, S, 3]
                        -> a pair of each, by weight -> a phrasing -\\
                        -> hard negatives of each    -> a phrasing -+-> tokens     [T, L]
                        -> a caption of each, where captions are learnt -> tokens  [B, M]

Everything random comes from a generator seeded by the seed, the step and the place in the step: it
does not matter which thread or rank makes an example, nor when. A batch always has
T = B * (1 + hard negatives) texts, so that ranks can be gathered. This module knows no model; the
caller brings decoding, phrasing and tokenising.

Legend: B pictures, S side in pixels, T texts, L and M tokens, K pairs and H negatives of a picture.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inkling_training.fit.distributed import World
from inkling_training.fit.relations import Known
from inkling_training.fit.sampling import BalancedOrder

MOST_PAIRS, MOST_NEGATIVES = 24, 16
_AHEAD = 2  # batches that are made ready


class Pairs(Protocol):
    """What of `pairs.PairDataset` is used here."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Any: ...

    def rows(self, split: str) -> NDArray[np.int64]: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What is kept of every picture of a split: all but its bytes.

    Attributes:
        rows: numbers in the set of pairs.
        sources: of each.
        pairs: rows and weights of its interests, most certain first.
        negatives: rows of interests that do not fit, hardest first.
    """

    rows: NDArray[np.int64]
    sources: tuple[str, ...]
    pairs: tuple[tuple[tuple[int, float], ...], ...]
    negatives: tuple[tuple[int, ...], ...]

    def known(self, places: Sequence[int] | NDArray[np.int64]) -> Known:
        """What is known of some pictures, padded with -1."""
        pairs_BK = torch.full((len(places), MOST_PAIRS), -1, dtype=torch.int64)
        weights_BK = torch.zeros(len(places), MOST_PAIRS)
        wrong_BH = torch.full((len(places), MOST_NEGATIVES), -1, dtype=torch.int64)
        for number, place in enumerate(places):
            for slot, (row, weight) in enumerate(self.pairs[place][:MOST_PAIRS]):
                pairs_BK[number, slot], weights_BK[number, slot] = row, weight
            chosen = self.negatives[place][:MOST_NEGATIVES]
            wrong_BH[number, : len(chosen)] = torch.tensor(chosen, dtype=torch.int64)
        return Known(pairs_BK, weights_BK, wrong_BH)


def gather_facts(pairs: Pairs, split: str, row_of: dict[str, int]) -> Facts:
    """Reads a split once, and keeps the pictures that have a pair in the graph.

    Args:
        pairs: see `inkling_training.pairs.open_pairs`.
        split: "train" or "val".
        row_of: graph row of each interest's id.

    Raises:
        ValueError: no picture of the split has a pair in the graph.
    """
    rows, sources, kept, negatives = [], [], [], []
    for number in pairs.rows(split).tolist():
        sample = pairs[number]
        known = tuple(
            (row_of[pair.interest_id], float(pair.weight))
            for pair in sample.pairs
            if pair.interest_id in row_of
        )
        if known:
            rows.append(number)
            sources.append(sample.source)
            kept.append(known)
            named = [*sample.negatives, *getattr(sample, "random_negatives", ())]
            own = {row for row, _ in known}
            found = dict.fromkeys(row_of[one] for one in named if one in row_of)
            negatives.append(tuple(row for row in found if row not in own))
    if not rows:
        raise ValueError(f"no picture of the split {split!r} has a pair in this graph")
    return Facts(np.array(rows), tuple(sources), tuple(kept), tuple(negatives))


@dataclass(frozen=True, slots=True)
class Batch:
    """One piece of a step on one rank."""

    pixels_BSSC: Tensor
    input_ids_TL: Tensor
    attention_mask_TL: Tensor
    texts_T: Tensor
    known: Known
    captions: tuple[Tensor, Tensor] | None = None

    def on(self, device: torch.device) -> "Batch":
        """The same on a device."""
        return Batch(
            self.pixels_BSSC.to(device, non_blocking=True),
            self.input_ids_TL.to(device),
            self.attention_mask_TL.to(device),
            self.texts_T.to(device),
            Known(*(part.to(device) for part in self.known)),
            None if self.captions is None else tuple(part.to(device) for part in self.captions),  # type: ignore[arg-type]
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """How batches are made.

    Attributes:
        batch: B, of one piece on one rank.
        accumulate: pieces of a step.
        steps: of the run: nothing is made ready beyond.
        seed: of everything random.
        hard_negatives: texts a picture that do not fit it.
        captions: each picture brings a caption, too.
        workers: threads that make examples; 0 makes them when they are asked for.
    """

    batch: int
    accumulate: int
    steps: int
    seed: int
    hard_negatives: int = 1
    captions: bool = False
    workers: int = 2


@dataclass(frozen=True, slots=True)
class Makers:
    """How an example becomes pixels, words and tokens.

    Attributes:
        pixels: picture and generator -> uint8 [S, S, 3]. Runs in threads.
        phrase: graph row and generator -> a wording. Runs in threads.
        caption: sample and generator -> a sentence about it, or None. Runs in threads.
        tokens: texts -> token numbers and mask, int64 [N, L]. Runs in the caller's thread.
        interests: V.
    """

    pixels: Callable[[bytes, np.random.Generator], NDArray[np.uint8]]
    phrase: Callable[[int, np.random.Generator], str]
    caption: Callable[[Any, np.random.Generator], str | None]
    tokens: Callable[[Sequence[str]], tuple[Tensor, Tensor]]
    interests: int


@dataclass(frozen=True, slots=True)
class _Example:
    pixels: NDArray[np.uint8]
    texts: list[tuple[int, str]]
    caption: str


class Batches:
    """The batches of a run, by step and piece; one thread asks."""

    def __init__(
        self, pairs: Pairs, facts: Facts, makers: Makers, plan: Plan, world: World | None = None
    ) -> None:
        self._pairs, self._facts, self._makers, self._plan = pairs, facts, makers, plan
        self._world = world or World()
        per_step = plan.batch * plan.accumulate * self._world.size
        self.order = BalancedOrder(facts.sources, per_step, plan.seed)
        self._pool = ThreadPoolExecutor(plan.workers) if plan.workers else None
        self._ready: dict[tuple[int, int], list[Future[_Example]]] = {}

    def batch(self, step: int, piece: int) -> Batch:
        """This rank's pictures and texts of one piece of a step."""
        places, offsets = self._places(step, piece)
        if self._pool is None:
            examples = [
                self._example(step, place, offset)
                for place, offset in zip(places, offsets, strict=True)
            ]
        else:
            futures = self._ready.pop((step, piece), None) or self._submit(step, piece)
            following = [self._after(step, piece, count + 1) for count in range(_AHEAD)]
            wanted = [key for key in following if key[0] < self._plan.steps]
            for key in wanted:
                if key not in self._ready:
                    self._ready[key] = self._submit(*key)
            for key in [key for key in self._ready if key not in wanted]:
                for future in self._ready.pop(key):
                    future.cancel()
            examples = [future.result() for future in futures]
        texts = [text for example in examples for text in example.texts]
        ids, mask = self._makers.tokens([wording for _, wording in texts])
        captions = None
        if self._plan.captions:
            captions = self._makers.tokens([example.caption for example in examples])
        return Batch(
            torch.from_numpy(np.stack([example.pixels for example in examples])),
            ids,
            mask,
            torch.tensor([row for row, _ in texts]),
            self._facts.known(places),
            captions,
        )

    def close(self) -> None:
        """Ends the threads."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _places(self, step: int, piece: int) -> tuple[list[int], range]:
        start = (piece * self._world.size + self._world.rank) * self._plan.batch
        offsets = range(start, start + self._plan.batch)
        return self.order.rows(step)[offsets.start : offsets.stop].tolist(), offsets

    def _after(self, step: int, piece: int, count: int) -> tuple[int, int]:
        return divmod(step * self._plan.accumulate + piece + count, self._plan.accumulate)

    def _submit(self, step: int, piece: int) -> list[Future[_Example]]:
        assert self._pool is not None
        return [
            self._pool.submit(self._example, step, place, offset)
            for place, offset in zip(*self._places(step, piece), strict=True)
        ]

    def _example(self, step: int, place: int, offset: int) -> _Example:
        rng = np.random.default_rng([self._plan.seed, 3, step, offset])
        sample = self._pairs[int(self._facts.rows[place])]
        pairs, makers = self._facts.pairs[place], self._makers
        weights = np.array([weight for _, weight in pairs])
        rows = [pairs[rng.choice(len(pairs), p=weights / weights.sum())][0]]
        rows += self._negatives(place, rng)
        texts = [(row, makers.phrase(row, rng)) for row in rows]
        caption = makers.caption(sample, rng) if self._plan.captions else None
        return _Example(makers.pixels(sample.picture, rng), texts, caption or texts[0][1])

    def _negatives(self, place: int, rng: np.random.Generator) -> list[int]:
        """Hard negatives by chance; where mining found too few, any interest that is no pair."""
        found, count = self._facts.negatives[place], self._plan.hard_negatives
        chosen = [found[index] for index in rng.permutation(len(found))[:count]]
        own = {row for row, _ in self._facts.pairs[place]}
        while len(chosen) < count:
            row = int(rng.integers(self._makers.interests))
            # A tiny graph may hold nothing else: the loss then knows the text as right.
            if row not in own or len(own) >= self._makers.interests:
                chosen.append(row)
        return chosen
