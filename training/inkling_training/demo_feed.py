"""Writes the demo's content feed: posts that nobody wrote, by people who do not exist.

    python -m inkling_training.demo_feed --out server/inkling_server/interests/demo_feed

Eight weeks of everyday posts about a dozen themes, put together from parts that are listed in
`resources/demo_feed.txt`; in the last week, people begin to talk of two things that the shipped
graph does not know. A refresh therefore finds two new interests that trend. Everybody likes posts
of a few themes only, so that co-engagement joins what belongs together.

The same parts give the same bytes: the seed and the newest day are fixed.
"""

import argparse
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

PARTS = Path(__file__).resolve().parent / "resources" / "demo_feed.txt"
NEWEST = datetime(2026, 11, 24, 20, tzinfo=UTC)
DAYS, TREND_DAYS, SEED = 56, 6, 7
POSTS_A_DAY, TREND_POSTS_A_DAY = 8, 8
PEOPLE, THEMES_OF_PERSON, LIKES = 80, 3, 3


@dataclass(slots=True)
class Theme:
    """What posts of one theme are made of.

    Attributes:
        name: for reading only; never in a post.
        trending: only in the last days.
        subjects: what a post begins with.
        details: what it goes on with.
        hashtags: without '#'.
    """

    name: str
    trending: bool
    subjects: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    hashtags: list[str] = field(default_factory=list)


def read_themes(path: Path) -> tuple[list[Theme], list[str]]:
    """Themes and closing words of a file of parts; its first lines say how it is written."""
    themes: list[Theme] = []
    closings: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, _, text = line.partition(" ")
        if kind in ("theme", "trend"):
            themes.append(Theme(text, trending=kind == "trend"))
        elif kind == "s":
            themes[-1].subjects.append(text)
        elif kind == "d":
            themes[-1].details.append(text)
        elif kind == "#":
            themes[-1].hashtags += text.split()
        elif kind == "c":
            closings.append(text)
    return themes, closings


def posts(themes: list[Theme], closings: list[str]) -> Iterator[dict[str, Any]]:
    """Items and likes, oldest first."""
    generator = random.Random(SEED)
    people = {
        f"demo-person-{number:02}": generator.sample(themes, THEMES_OF_PERSON)
        for number in range(PEOPLE)
    }
    number = 0
    for day in range(DAYS, -1, -1):
        usual = [theme for theme in themes if not theme.trending]
        chosen = generator.choices(usual, k=POSTS_A_DAY)
        if day < TREND_DAYS:
            trending = [theme for theme in themes if theme.trending]
            chosen += [trending[i % len(trending)] for i in range(TREND_POSTS_A_DAY)]
        for theme in chosen:
            time = NEWEST - timedelta(days=day, minutes=generator.randrange(12 * 60))
            fans = [name for name, own in people.items() if theme in own]
            item = {
                "id": f"demo-{number:04}",
                "source": "user_generated",
                "caption": caption(theme, closings, generator),
                "hashtags": generator.sample(theme.hashtags, 2),
                "author_id": generator.choice(fans),
                "created_time": time.isoformat(),
            }
            yield item
            for fan in generator.sample(fans, min(LIKES, len(fans))):
                later = time + timedelta(minutes=generator.randrange(1, 600))
                yield {
                    "user_id": fan,
                    "content_id": item["id"],
                    "kind": "like",
                    "time": later.isoformat(),
                }
            number += 1


def caption(theme: Theme, closings: list[str], generator: random.Random) -> str:
    """Two or three sentences."""
    first, second = generator.sample(theme.details, 2)
    subject = generator.choice(theme.subjects).rstrip(":")
    parts = [f"{subject}: {first}.", f"{second[0].upper()}{second[1:]}."]
    if generator.random() < 0.7:
        parts.append(generator.choice(closings))
    return " ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the feed")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(post, ensure_ascii=False) for post in posts(*read_themes(PARTS))]
    (out / "demo.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines):,} lines -> {out / 'demo.jsonl'}")


if __name__ == "__main__":
    main()
