"""A mined sample as a value, and as the JSON document beside its picture in a shard.

The document has the fields of the labelled pictures that `data.read_shard` reads, so that pair
shards serve as labelled pictures, too, and pairs and negatives besides. It never holds comments,
authors or ids of people. It knows no files.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TAG_WEIGHT = 0.5  # a mined phrase of this weight stands in for gold tags where there are none


class PairsDamaged(ValueError):
    """A folder of pairs cannot be read: the text says what is wrong, and what was expected."""


@dataclass(frozen=True, slots=True)
class MinedPair:
    """One (picture, interest) pair.

    Attributes:
        interest_id: of the graph that the manifest names.
        phrase: what a person reads.
        weight: how far it is to be believed, in (0, 1]: see `weights`.
        sources: parts of the item that name it: "caption", "tag", ...
        extractors: keyphrase extractors that picked it.
    """

    interest_id: str
    phrase: str
    weight: float
    sources: tuple[str, ...] = ()
    extractors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PairSample:
    """One picture with all its pairs.

    Attributes:
        key: unique: "<source>/<id>".
        source: where it comes from.
        split: "train" or "val".
        picture: encoded bytes.
        pairs: most certain first.
        negatives: ids of interests that are near its own and do not fit it, hardest first.
        captions: texts that describe it.
        tags: gold tags; where the item has none, its mined phrases of weight >= 0.5.
        label: the one class, or None.
        title: the one of its captions that is a title, or "".
        random_negatives: ids of interests anywhere in the graph that do not fit it.
        has_gold_tags: `tags` are gold, not mined.
    """

    key: str
    source: str
    split: str
    picture: bytes
    pairs: tuple[MinedPair, ...]
    negatives: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    label: str | None = None
    title: str = ""
    random_negatives: tuple[str, ...] = ()
    has_gold_tags: bool = False


def document_of(sample: PairSample) -> dict[str, Any]:
    """The JSON document of a sample."""
    captions = [caption for caption in sample.captions if caption != sample.title]
    return {
        "key": sample.key,
        "source": sample.source,
        "split": sample.split,
        "class": sample.label,
        "tags": list(sample.tags),
        "tags_from": "gold" if sample.has_gold_tags else "pairs",
        "title": sample.title,
        "caption": captions[0] if captions else "",
        "captions": captions,
        "hashtags": [],
        "pairs": [
            {
                "interest_id": pair.interest_id,
                "phrase": pair.phrase,
                "weight": pair.weight,
                "sources": list(pair.sources),
                "extractors": list(pair.extractors),
            }
            for pair in sample.pairs
        ],
        "negatives": list(sample.negatives),
        "random_negatives": list(sample.random_negatives),
    }


def sample_of(text: bytes, picture: bytes, where: str) -> PairSample:
    """Reads a document back.

    Args:
        text: JSON.
        picture: encoded bytes.
        where: names the shard in an error.

    Raises:
        PairsDamaged: a field is missing or of a wrong type.
    """
    try:
        document: Mapping[str, Any] = json.loads(text)
        pairs = tuple(
            MinedPair(
                str(pair["interest_id"]),
                str(pair["phrase"]),
                float(pair["weight"]),
                tuple(pair["sources"]),
                tuple(pair["extractors"]),
            )
            for pair in document["pairs"]
        )
        if not all(0 < pair.weight <= 1 for pair in pairs):
            raise ValueError("a weight must lie in (0, 1]")
        title = str(document["title"])
        captions = [*document["captions"], *([title] if title else [])]
        return PairSample(
            key=str(document["key"]),
            source=str(document["source"]),
            split=str(document["split"]),
            picture=picture,
            pairs=pairs,
            negatives=tuple(document["negatives"]),
            captions=tuple(dict.fromkeys(captions)),
            tags=tuple(document["tags"]),
            label=document["class"],
            title=title,
            random_negatives=tuple(document["random_negatives"]),
            has_gold_tags=document["tags_from"] == "gold",
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PairsDamaged(f"{where}: a sample that is no pair sample: {error}") from None
