"""How much a mined pair is worth: weight in (0, 1].

    weight = discount(interest) * (1 - product over sources of (1 - reliability of the source))

a noisy-or of sources, see `inkling_server.interests.mentions.reliability`. The table of
reliabilities is a setting; its defaults are judgements of how often the picture shows what the
source names:

    source        once   most   why
    tag           1.00   1.00   a gold tag: somebody looked
    title         0.85   0.95   names the thing in few words
    caption       0.75   0.95   says what is seen, and sometimes what is felt
    hashtag       0.65   0.85   also moods, places and what brings viewers
    overlay       0.50   0.70   text on the picture: slogans, too
    transcript    0.25   0.50   speech leaves the picture
    speech        0.20   0.40   the same, through a recogniser
    body          0.25   0.45   an article tells more than its picture shows
    location      0.30   0.30   where, seldom what
    comment       0.20   0.35   what others say: weak alone, whatever their number

A generic interest, one that more than `GENERIC_SHARE` of the items have, is discounted by its
inverse document frequency, ln(1 / share) / ln(1 / GENERIC_SHARE), to no less than a half: it tells
items apart badly, and would otherwise fill every batch. Too few items tell no share.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from inkling_server.interests.mentions.matching import Mention
from inkling_server.interests.mentions.reliability import Reliability, Witnesses

GENERIC_SHARE = 0.2
MOST_DISCOUNT = 0.5
_FEWEST_ITEMS = 50
TAG = "tag"

# Not the server's table, though it says the same today: that one asks what an item is about, and
# whoever changes it must not change what is mined.
RELIABILITIES: Mapping[str, Reliability] = {
    TAG: Reliability(1.0, 1.0),
    "title": Reliability(0.85, 0.95),
    "caption": Reliability(0.75, 0.95),
    "hashtag": Reliability(0.65, 0.85),
    "overlay": Reliability(0.5, 0.7),
    "transcript": Reliability(0.25, 0.5),
    "speech": Reliability(0.2, 0.4),
    "body": Reliability(0.25, 0.45),
    "location": Reliability(0.3, 0.3),
    "comment": Reliability(0.2, 0.35),
}


@dataclass(frozen=True, slots=True)
class WeighedRow:
    """An interest of one item, before the discount.

    Attributes:
        row: the interest's.
        confidence: in (0, 1].
        sources: that name it, sorted.
        extractors: that picked it, sorted.
    """

    row: int
    confidence: float
    sources: tuple[str, ...]
    extractors: tuple[str, ...] = ()


def weigh(
    mentions: Iterable[Mention],
    gold_rows: Iterable[int] = (),
    reliabilities: Mapping[str, Reliability] = RELIABILITIES,
) -> list[WeighedRow]:
    """Interests of one item, most certain first, ties by row.

    Args:
        mentions: in the item's texts.
        gold_rows: interests that its gold tags name.
        reliabilities: of every source, by name.
    """
    heard: dict[int, Witnesses] = defaultdict(lambda: Witnesses(reliabilities))
    extractors: dict[int, set[str]] = defaultdict(set)
    for row in gold_rows:
        heard[row].hear(TAG, 1.0)
    for mention in mentions:
        heard[mention.row].hear(mention.field.value, mention.agreement)
        extractors[mention.row].update(mention.extractors)
    weighed = []
    for row, witnesses in heard.items():
        doubts = witnesses.doubts()
        confidence = 1 - math.prod(doubts.values())
        weighed.append(
            WeighedRow(row, confidence, tuple(sorted(doubts)), tuple(sorted(extractors[row])))
        )
    return sorted(weighed, key=lambda found: (-found.confidence, found.row))


def discounts(items: Sequence[Iterable[int]]) -> dict[int, float]:
    """Discount in [0.5, 1) of each generic interest; the others have none.

    Args:
        items: for each item, the interests that it has.
    """
    count = len(items)
    if count < _FEWEST_ITEMS:
        return {}
    having = Counter(row for rows in items for row in set(rows))
    return {
        row: max(MOST_DISCOUNT, math.log(count / had) / math.log(1 / GENERIC_SHARE))
        for row, had in sorted(having.items())
        if had > GENERIC_SHARE * count
    }
