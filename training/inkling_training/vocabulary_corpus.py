"""The documents that the default vocabulary is counted in.

    images/*.tar*            gold tags, captions and titles of the train split
    corpora/hashtags         posts: their hashtags and text
    corpora/reddit           titles of posts
    corpora/recipes          titles and tags
    engagement/flickr        tags of photos

Only single words, short phrases and their counts leave this module's documents; the licences of the
sources are in the sample data's README. This module does not know which words are interests.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from inkling_training.data import read_rows, read_shard

# A tag on more than this share of a collection of photos tells where the collection comes from (the
# city whose photos it holds), not what a picture shows.
_COLLECTION_SHARE = 0.1
_CLUTTER = re.compile(r"https?://\S+|[@#]\w+|\b/?[ru]/\w+")


@dataclass(frozen=True, slots=True)
class Document:
    """One picture, post, title or recipe.

    Attributes:
        source: the corpus.
        names: tags and hashtags, each the name of one thing.
        texts: sentences and titles.
        published: when, where the corpus says so.
    """

    source: str
    names: tuple[str, ...]
    texts: tuple[str, ...] = ()
    published: date | None = None


def read_documents(data: Path) -> Iterator[Document]:
    """All documents below `data`, in a fixed order; corpora that are not there are left out."""
    yield from _pictures(data / "images")
    yield from _posts(data / "corpora" / "hashtags.jsonl.gz")
    yield from _reddit(data / "corpora" / "reddit.jsonl.gz")
    yield from _recipes(data / "corpora" / "recipes.jsonl")
    yield from _without_collection_tags(_flickr(data / "engagement" / "flickr_dresden.jsonl.gz"))


def _pictures(folder: Path) -> Iterator[Document]:
    for path in sorted(folder.glob("*.tar*")):
        for record in read_shard(path):
            if record.split != "train":
                continue  # the validation split must not shape what it measures
            names = record.tags
            if record.source == "tiny-imagenet-200":
                names = names[
                    :1
                ]  # the rest are dictionary synonyms that nobody said: "painter" for a cougar
            yield Document(record.source, names, record.captions)


def _posts(path: Path) -> Iterator[Document]:
    for row in read_rows(path):
        text = _CLUTTER.sub(" ", str(row.get("text", "")))
        yield Document(str(row["source"]), tuple(row["hashtags"]), (text,))


def _reddit(path: Path) -> Iterator[Document]:
    for row in read_rows(path):
        day = datetime.fromtimestamp(row["created_utc"], UTC).date()
        yield Document("reddit", (), (_CLUTTER.sub(" ", row["title"]),), day)


def _recipes(path: Path) -> Iterator[Document]:
    for row in read_rows(path):
        yield Document("recipes", tuple(row["tags"]), (row["title"],), _day(row.get("date")))


def _flickr(path: Path) -> Iterator[Document]:
    for row in read_rows(path):
        yield Document("flickr", tuple(row["tags"]), (), _day(row.get("published")))


def _without_collection_tags(documents: Iterator[Document]) -> Iterator[Document]:
    kept = list(documents)
    uses = Counter(name for document in kept for name in set(document.names))
    common = {name for name, count in uses.items() if count > _COLLECTION_SHARE * len(kept)}
    for document in kept:
        names = tuple(name for name in document.names if name not in common)
        yield Document(document.source, names, document.texts, document.published)


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None
