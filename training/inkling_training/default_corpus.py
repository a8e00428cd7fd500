"""The content items that the default graph is mined from: the sample corpora as one stream.

    corpora/reddit       user_generated   title and text of posts
    corpora/hashtags     user_generated   hashtags of photos; tweets with theirs
    corpora/news         publisher        headline and body
    corpora/recipes      publisher        title, body and tags
    engagement/flickr    user_generated   tags of photos, with whose they are

Each file is read by one small function, so that corpora come and go without touching what mines
them. This module knows no phrases and no graph; what is missing from the folder is left out.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from inkling_server.interests.content import ContentItem
from inkling_training.data import read_rows


def content_items(data: Path) -> Iterator[ContentItem]:
    """All items below the folder of sample data, in a fixed order."""
    yield from _reddit(data / "corpora" / "reddit.jsonl.gz")
    yield from _posts(data / "corpora" / "hashtags.jsonl.gz")
    yield from _news(data / "corpora" / "news.jsonl.gz")
    yield from _recipes(data / "corpora" / "recipes.jsonl")
    yield from _flickr(data / "engagement" / "flickr_dresden.jsonl.gz")


def _reddit(path: Path) -> Iterator[ContentItem]:
    for number, row in enumerate(read_rows(path)):
        yield ContentItem(
            id=f"reddit-{number}",
            title=row["title"],
            body=row["selftext"],
            created_time=datetime.fromtimestamp(row["created_utc"], UTC),
        )


def _posts(path: Path) -> Iterator[ContentItem]:
    for number, row in enumerate(read_rows(path)):
        yield ContentItem(
            id=f"{row['source']}-{number}",
            caption=row.get("text", ""),
            hashtags=tuple(row["hashtags"]),
        )


def _news(path: Path) -> Iterator[ContentItem]:
    for number, row in enumerate(read_rows(path)):
        yield ContentItem(
            id=f"news-{number}", source="publisher", title=row["headline"], body=row["body"]
        )


def _recipes(path: Path) -> Iterator[ContentItem]:
    for row in read_rows(path):
        yield ContentItem(
            id=f"recipe-{row['id']}",
            source="publisher",
            title=row["title"],
            body=row["body"],
            hashtags=tuple(row["tags"]),
            created_time=_day(row.get("date")),
        )


def _flickr(path: Path) -> Iterator[ContentItem]:
    for row in read_rows(path):
        yield ContentItem(
            id=f"flickr-{row['photo']}",
            hashtags=tuple(row["tags"]),
            author_id=row["user"],
            created_time=_day(row.get("published")),
        )


def _day(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value)[:10]).replace(tzinfo=UTC)
    except ValueError:
        return None
