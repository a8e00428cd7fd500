"""Feeds and states of a small corpus for tests of refreshing."""

import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from inkling_server.interests.corpus_state import CorpusState
from inkling_server.interests.corpus_state_files import load_state, save_state
from inkling_server.interests.feed import FolderFeed
from inkling_server.interests.mining import MiningCounts, mine
from inkling_server.interests.text.preprocess import TextSettings

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
THINGS = ("mountain bike", "jumping spider", "sourdough bread", "vintage camera", "tree frog")
_PLACES = ("forest", "harbour", "garden", "kitchen", "market", "valley", "museum")
_ENDS = ("before breakfast", "with my uncle", "in heavy rain")
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]


def caption(number: int) -> str:
    """One of many captions that are no near duplicates; names `THINGS[number % 5]`."""
    thing, place = THINGS[number % 5], _PLACES[number % 7]
    rng = random.Random(number)
    words = " ".join("".join(rng.choices(_SYLLABLES, k=4)) for _ in range(4))
    return f"We saw a {thing} near the old {place} {_ENDS[number % 3]}. Notes: {words}."


def item(name: str, text: str, *, days_ago: float = 0, author: str | None = None) -> str:
    """A line of a feed."""
    time = (NOW - timedelta(days=days_ago)).isoformat()
    return json.dumps({"id": name, "caption": text, "created_time": time, "author_id": author})


def engagement(user: str, content: str, kind: str = "like") -> str:
    """A line of a feed."""
    return json.dumps({"user_id": user, "content_id": content, "kind": kind})


def append(folder: Path, lines: Iterable[str]) -> None:
    """Adds lines to a feed."""
    folder.mkdir(exist_ok=True)
    with (folder / "feed.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def mine_folder(
    folder: Path,
    state: CorpusState,
    *,
    read_time: datetime = NOW,
    max_records: int = 200_000,
) -> MiningCounts:
    """Mines what is new in the folder."""
    return mine(
        FolderFeed(folder).open(state.watermark),
        state,
        text=TextSettings(near_duplicate_memory=1_000),
        read_time=read_time,
        max_records=max_records,
        on_progress=lambda done, total: None,
    )


def reloaded(state: CorpusState, folder: Path) -> CorpusState:
    """The state as another process would find it."""
    folder.mkdir()
    save_state(state, folder)
    return load_state(folder)
