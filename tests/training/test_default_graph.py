"""The default graph's corpus and settings; mining itself is tested with the server."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from inkling_server.interests.content import ContentItem
from inkling_server.interests.corpus_state import CorpusState
from inkling_server.interests.feed import FolderFeed
from inkling_server.interests.graph import Interest, make_snapshot
from inkling_server.interests.snapshot import save_snapshot
from inkling_training.default_corpus import content_items
from inkling_training.default_graph import default_settings, mined_state, seed_graph, write_feed

CREATED = datetime(2026, 2, 14, tzinfo=UTC)


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A little of each corpus."""
    folder = tmp_path / "data"
    write_rows(
        folder / "corpora" / "reddit.jsonl.gz",
        [{"title": "My lighthouse", "selftext": "It is red.", "created_utc": 0, "author": None}],
    )
    write_rows(
        folder / "corpora" / "hashtags.jsonl.gz",
        [
            {"source": "harrison", "hashtags": ["sea", "boats"], "query": "sea"},
            {
                "source": "tweeteval",
                "hashtags": ["bff"],
                "text": "At the pier #bff",
                "set": "emoji",
            },
        ],
    )
    write_rows(folder / "corpora" / "news.jsonl.gz", [{"headline": "Ferry sold", "body": "Yes."}])
    write_rows(
        folder / "corpora" / "recipes.jsonl",
        [
            {
                "id": "soup",
                "title": "Soup",
                "body": "Boil.",
                "tags": ["dinner"],
                "date": "2021-03-16",
            }
        ],
    )
    write_rows(
        folder / "engagement" / "flickr_dresden.jsonl.gz",
        [{"photo": "p1", "user": "u1", "tags": ["bridge"], "published": "2010-05-23"}],
    )
    return folder


def test_each_corpus_becomes_items_of_its_source(data: Path) -> None:
    items = {item.id: item for item in content_items(data)}
    assert list(items) == [
        "reddit-0",
        "harrison-0",
        "tweeteval-1",
        "news-0",
        "recipe-soup",
        "flickr-p1",
    ]
    assert items["reddit-0"].created_time == datetime(1970, 1, 1, tzinfo=UTC)
    assert items["tweeteval-1"].caption == "At the pier #bff"
    assert items["news-0"].source == items["recipe-soup"].source == "publisher"
    assert items["recipe-soup"].hashtags == ("dinner",)
    assert items["flickr-p1"].author_id == "u1"


def test_missing_corpora_are_left_out(tmp_path: Path) -> None:
    assert list(content_items(tmp_path)) == []


def test_feed_holds_the_items_as_they_are(data: Path, tmp_path: Path) -> None:
    items = list(content_items(data))
    write_feed(items, tmp_path / "feed" / "items.jsonl")
    read = list(FolderFeed(tmp_path / "feed").open({}))
    assert all(isinstance(entry, ContentItem) for entry in read)
    assert read == items


def test_mined_state_is_taken_from_the_work_folder(data: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    first = mined_state(data, work, CREATED)
    assert first.document_count == 6
    again = mined_state(tmp_path / "nowhere", work, CREATED)
    assert again.records.keys() == first.records.keys()
    assert ("lighthouse",) in first.records
    assert isinstance(again, CorpusState)


def test_only_pinned_interests_are_seeds(tmp_path: Path) -> None:
    interests = [Interest("cat", "cat", pinned=True), Interest("moat", "moat", count=9)]
    save_snapshot(make_snapshot(interests, CREATED), tmp_path)
    assert [interest.id for interest in seed_graph(tmp_path, CREATED).interests] == ["cat"]


def test_nothing_retires_and_blocked_words_are_known() -> None:
    settings = default_settings()
    assert settings.activity.retire_after_days > 10**6
    assert "photooftheday" in settings.selection.blocked
    assert not any(word.startswith("#") for word in settings.selection.blocked)
