"""Content for tests and benchmarks of refreshing: posts about a subject, no two of them alike.

    posts("latte art", 40, seed=1) ─► content items ─► write_posts ─► <folder>/<name>.jsonl

Posts are made of whole clauses drawn at random, so that near-duplicate detection keeps them.
It does not know what a refresh makes of them.
"""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

_OPENINGS = (
    "My sister finally showed me her",
    "Nobody in this street understands",
    "Three hours on the train just to see",
    "We spent the rainy weekend with",
    "The neighbours keep talking about",
    "Yesterday evening I fell in love with",
    "Before breakfast there was already some",
    "After years of trying I can do",
    "Our teacher brought us",
    "You would not believe this",
    "Grandfather laughed about my",
    "The market opened with",
)
_MIDDLES = (
    "and the whole kitchen smelled wonderful",
    "while it was snowing outside the window",
    "which took far longer than the recipe said",
    "and the children clapped until midnight",
    "so we invited everybody from the office",
    "because the weather would not improve",
    "although my camera battery was empty",
    "and then the radio played our song",
    "just as the ferry left the harbour",
    "with a little help from an old friend",
    "until the lights of the village went out",
    "between two meetings and a dentist appointment",
)
_ENDINGS = (
    "Next month we want to try again somewhere by the sea.",
    "Tell me in the comments what you would have done!",
    "I am still smiling about the look on her face.",
    "Honestly the best decision of the entire year.",
    "The bicycle ride home was cold but worth every minute.",
    "Photographs will follow as soon as I find the cable.",
    "My brother says that he would have paid double.",
    "There is a museum nearby that hardly anyone visits.",
    "Tomorrow the garden needs water and the dog a walk.",
    "Somebody should write a book about afternoons like that.",
    "The library had nothing on it, so we asked around.",
    "A stranger on the platform wanted to know everything.",
)


def posts(
    subject: str, count: int, *, seed: int, now: datetime | None = None
) -> Iterator[dict[str, Any]]:
    """Content items that name the subject, from the last hours before `now`.

    Args:
        subject: a phrase, as people write it.
        count: how many.
        seed: the same seed gives the same texts.
        now: default: the present.
    """
    draw = random.Random(seed)
    now = now or datetime.now(UTC)
    for number in range(count):
        parts = [draw.choice(clauses) for clauses in (_OPENINGS, _MIDDLES, _ENDINGS, _ENDINGS)]
        mood = draw.sample(("great", "slow", "quiet", "strange", "lovely", "loud", "honest"), 2)
        yield {
            "id": f"{seed}-{subject}-{number}",
            "source": "user_generated",
            "caption": f"{parts[0]} {subject} {parts[1]}. {parts[2]} What a {mood[0]}, {mood[1]}"
            f" day for {subject}! {parts[3]}",
            "author_id": f"person {draw.randrange(1000)}",
            "created_time": (now - timedelta(minutes=number)).isoformat(),
        }


def write_posts(folder: Path, name: str, items: Iterator[dict[str, Any]]) -> None:
    """Appends items to one file of a feed."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(item) + "\n" for item in items)
