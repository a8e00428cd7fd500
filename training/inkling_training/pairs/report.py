"""What a person wants to know of mined pairs: how many, how much of the graph, and how right.

Mined phrases are judged against gold tags in two ways, where an item has both:

    strict      a mined phrase is right if a gold tag names the same interest
    by meaning  ... or if a gold tag implies it, or it implies a gold tag, with a strength of 0.7 (a
                mined "man" is a "person"); what is only likely (0.2 to 0.7) counts neither way

Gold tags are partial: nobody annotated the sky. So precision is a lower bound. Captions take no
part in the gold here, as they do elsewhere: they are what is judged.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from inkling_server.interests.graph import Interest
from inkling_server.interests.mentions.table import PhraseTable
from inkling_training.data import Record
from inkling_training.gold import POSSIBLE, SURE, strengths
from inkling_training.pairs.mining import MinedItem
from inkling_training.pairs.samples import TAG_WEIGHT


@dataclass(slots=True)
class Agreement:
    """Counts of mined phrases (weight >= 0.5) against gold tags.

    Attributes:
        items: that have both gold tags and texts with a mined phrase.
        mined: phrases.
        right: of them, right strictly.
        right_by_meaning: of them, right by meaning.
        unsure: of them, neither right nor wrong by meaning.
        gold: gold tags that the graph has.
        found: of them, mined.
        found_by_meaning: of them, mined or implied by what was mined.
    """

    items: int = 0
    mined: int = 0
    right: int = 0
    right_by_meaning: int = 0
    unsure: int = 0
    gold: int = 0
    found: int = 0
    found_by_meaning: int = 0

    def shares(self) -> dict[str, float | int | None]:
        """Precision and recall in [0, 1]; None where there is nothing to count."""
        return {
            "items": self.items,
            "mined": self.mined,
            "precision_strict": _share(self.right, self.mined),
            "precision_by_meaning": _share(self.right_by_meaning, self.mined - self.unsure),
            "gold": self.gold,
            "recall_strict": _share(self.found, self.gold),
            "recall_by_meaning": _share(self.found_by_meaning, self.gold),
        }


def judge(mined: Iterable[MinedItem], interests: Sequence[Interest]) -> dict[str, Agreement]:
    """Agreement by source, of pairs that were mined without gold tags."""
    table = PhraseTable(interests)
    rows = {interest.id: row for row, interest in enumerate(interests)}
    found: dict[str, Agreement] = {}
    for one in mined:
        phrases = {rows[pair.interest_id] for pair in one.pairs if pair.weight >= TAG_WEIGHT}
        if not one.item.tags or not phrases:
            continue
        tags_only = _record(one)
        gold, implied = strengths(tags_only, table)
        if gold:
            counts = found.setdefault(one.item.source, Agreement())
            _count(counts, phrases, gold, implied, tags_only, table)
    return found


def summary(manifest: Mapping[str, Any], interest_count: int) -> Iterator[str]:
    """A few lines about a set."""
    samples = manifest["samples"]
    covered = manifest["interests_covered"]
    yield (
        f"{samples:,} pictures, {manifest['pairs']:,} pairs "
        f"({_per(manifest['pairs'], samples)} a picture), "
        f"{manifest['negatives']:,} hard negatives ({_per(manifest['negatives'], samples)})"
    )
    yield (
        f"{covered:,} of {interest_count:,} interests covered "
        f"({100 * covered / max(interest_count, 1):.1f} %)"
    )
    for source, counts in sorted(manifest["counts"].items()):
        yield f"  {source}: {counts['train']:,} train, {counts['val']:,} val"
    for reason, count in manifest["skipped"].items():
        yield f"  skipped, {reason}: {count:,}"
    size = sum(shard["bytes"] for shard in manifest["shards"])
    yield f"{len(manifest['shards'])} shards, {size / 1e6:.1f} MB"


def examples(mined: Iterable[MinedItem]) -> Iterator[str]:
    """One line a picture."""
    for one in mined:
        pairs = ", ".join(f"{pair.phrase} {pair.weight:.2f}" for pair in one.pairs)
        yield f"  {one.item.key}: {pairs} | not: {', '.join(one.negatives[:4]) or '-'}"


def _record(one: MinedItem) -> Record:
    item = one.item
    return Record(item.key, item.source, item.split or "train", b"", item.tags, item.label)


def _count(
    counts: Agreement,
    phrases: set[int],
    gold: set[int],
    implied: dict[int, float],
    tags_only: Record,
    table: PhraseTable,
) -> None:
    spoken = [table.phrase(row).casefold() for row in sorted(phrases)]
    _, meant = strengths(replace(tags_only, tags=tuple(spoken)), table)
    counts.items += 1
    counts.mined += len(phrases)
    counts.gold += len(gold)
    counts.right += len(phrases & gold)
    counts.found += len(phrases & gold)
    counts.found_by_meaning += sum(meant.get(row, 0.0) >= SURE for row in gold)
    for row in phrases:
        _, implies = strengths(replace(tags_only, tags=(table.phrase(row).casefold(),)), table)
        strength = max(
            implied.get(row, 0.0), max((implies.get(tag, 0.0) for tag in gold), default=0.0)
        )
        if strength >= SURE:
            counts.right_by_meaning += 1
        elif strength > POSSIBLE:
            counts.unsure += 1


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None


def _per(count: int, samples: int) -> str:
    return f"{count / max(samples, 1):.1f}"
