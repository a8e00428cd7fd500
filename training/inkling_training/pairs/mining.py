"""Mines pairs: items and a graph in, samples out.

    items ─► splits ─► matcher ─► weights ─► discounts ─┐
                          └─► what is often together ───┴─► negatives ─► MinedItem

Everything but the pictures is in memory at once: what is generic, and what goes together, is only
known at the end. Same items, graph, settings and seed, same result. It reads and writes no files.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from inkling_server.interests.graph import GraphSnapshot
from inkling_server.interests.mentions.matching import InterestMatcher
from inkling_server.interests.mentions.reliability import Reliability
from inkling_server.interests.text.preprocess import TextSettings
from inkling_training.pairs.competing import Competing
from inkling_training.pairs.content import PictureItem, stable_hash
from inkling_training.pairs.fitting import MayFit, often_together
from inkling_training.pairs.negatives import NegativeMiner
from inkling_training.pairs.samples import TAG_WEIGHT, MinedPair, PairSample
from inkling_training.pairs.splits import assign_splits
from inkling_training.pairs.weights import (
    RELIABILITIES,
    WeighedRow,
    discounts,
    weigh,
)
from inkling_training.wordnet import Nouns

_DIGITS = 4  # of a weight: more says nothing


@dataclass(frozen=True, slots=True)
class MiningSettings:
    """How pairs are mined.

    Attributes:
        use_gold_tags: gold tags are pairs, too; else they are only kept beside the pairs.
        use_extractors: the keyphrase extractors have a say, at several times the work.
        min_weight: pairs below it are dropped.
        max_pairs: of one item; the most certain stay.
        hard_negatives, random_negatives: at most so many for one item.
        reliabilities: of every source: see `weights`.
        languages: of texts that are read; others only keep negatives clean.
    """

    use_gold_tags: bool = True
    use_extractors: bool = False
    min_weight: float = 0.1
    max_pairs: int = 24
    hard_negatives: int = 8
    random_negatives: int = 4
    reliabilities: Mapping[str, Reliability] = field(default_factory=lambda: dict(RELIABILITIES))
    languages: tuple[str, ...] = ("en",)


@dataclass(frozen=True, slots=True)
class MinedItem:
    """An item with what was mined; `sample` puts its picture in."""

    item: PictureItem
    pairs: tuple[MinedPair, ...]
    negatives: tuple[str, ...]
    random_negatives: tuple[str, ...]

    def sample(self, picture: bytes) -> PairSample:
        """The sample as shards hold it."""
        item = self.item
        mined_tags = tuple(pair.phrase for pair in self.pairs if pair.weight >= TAG_WEIGHT)
        return PairSample(
            key=item.key,
            source=item.source,
            split=item.split or "train",
            picture=picture,
            pairs=self.pairs,
            negatives=self.negatives,
            captions=item.captions,
            tags=item.tags or mined_tags,
            label=item.label,
            title=item.title,
            random_negatives=self.random_negatives,
            has_gold_tags=bool(item.tags),
        )


@dataclass(slots=True)
class Mined:
    """What mining made of items.

    Attributes:
        items: those with at least one pair, in the order they came.
        skipped: the others, by reason.
        moved: items whose given split gave way, see `splits`.
        generic: ids of interests that were discounted, with their discount.
    """

    items: list[MinedItem] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    moved: Counter[str] = field(default_factory=Counter)
    generic: dict[str, float] = field(default_factory=dict)


def mine(
    items: Sequence[PictureItem],
    graph: GraphSnapshot,
    settings: MiningSettings,
    *,
    seed: int = 0,
    nouns: Nouns | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Mined:
    """Mines all items.

    Args:
        items: with unique keys.
        graph: whose interests are looked for.
        settings: how.
        seed: of random negatives.
        nouns: WordNet, where there is one.
        on_progress: told how many items were read.
    """
    mined = Mined()
    placed, mined.moved = assign_splits(items)
    matcher = InterestMatcher(
        graph.interests,
        settings=TextSettings(languages=settings.languages),
        use_extractors=settings.use_extractors,
    )
    weighed: list[list[WeighedRow]] = []
    named: list[frozenset[int]] = []
    languages: list[str | None] = []
    for number, (item, read) in enumerate(
        zip(placed, matcher.read_all(item.content for item in placed), strict=True), 1
    ):
        gold = {row for row in map(matcher.table.find, item.tags) if row is not None}
        counted = gold if settings.use_gold_tags else set[int]()
        weighed.append(weigh(read.mentions, sorted(counted), settings.reliabilities))
        # Gold tags keep negatives clean even where they make no pairs.
        named.append(read.named | gold)
        languages.append(read.language)
        on_progress(number)
    discount = discounts([[found.row for found in rows] for rows in weighed])
    mined.generic = {graph.interests[row].id: round(by, 4) for row, by in discount.items()}
    miner = NegativeMiner(
        graph,
        MayFit(graph, nouns, often_together(named)),
        Competing(graph.interests, nouns),
        generic=discount.keys(),
        hard_count=settings.hard_negatives,
        random_count=settings.random_negatives,
    )
    shown: dict[str, set[int]] = defaultdict(set)
    for item, rows in zip(placed, named, strict=True):
        shown[item.digest] |= rows
    for item, found, language in zip(placed, weighed, languages, strict=True):
        pairs = _pairs(found, discount, graph, settings)
        if not pairs:
            mined.skipped[f"language: {language}" if language else "no interest found"] += 1
            continue
        chosen = miner.choose(
            {row: pair.weight for row, pair in pairs.items()},
            shown[item.digest] | {found.row for found in found},
            Random(stable_hash(f"{seed}/{item.key}")),
        )
        mined.items.append(
            MinedItem(
                item,
                tuple(pairs.values()),
                tuple(graph.interests[row].id for row in chosen.hard),
                tuple(graph.interests[row].id for row in chosen.random),
            )
        )
    return mined


def _pairs(
    found: Sequence[WeighedRow],
    discount: Mapping[int, float],
    graph: GraphSnapshot,
    settings: MiningSettings,
) -> dict[int, MinedPair]:
    """Pairs by row, heaviest first."""
    pairs: dict[int, MinedPair] = {}
    for one in found:
        weight = round(one.confidence * discount.get(one.row, 1.0), _DIGITS)
        if weight >= settings.min_weight:
            interest = graph.interests[one.row]
            pairs[one.row] = MinedPair(
                interest.id, interest.phrase, weight, one.sources, one.extractors
            )
    best = sorted(pairs, key=lambda row: (-pairs[row].weight, row))[: settings.max_pairs]
    return {row: pairs[row] for row in best}
