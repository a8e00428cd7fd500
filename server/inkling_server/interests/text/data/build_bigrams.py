"""Counts pairs of neighbouring words for the hashtag splitter: writes `bigrams.txt.gz`.

    python -m inkling_server.interests.text.data.build_bigrams SAMPLE_DATA WORDNET_FOLDER

Reads what may be shipped: posts dedicated to the public domain, public-domain recipes, WordNet's
glosses and compounds. Nothing of the hashtags, tweets or news of the sample data. One line per
first word: `first total kinds second count second count ...`; total and kinds count also the pairs
that are left out as too rare.
"""

import gzip
import html
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

_HERE = Path(__file__).parent
_FEWEST = 2
_LINK = re.compile(r"https?://\S+|www\.\S+")
_CLAUSE = re.compile(r'[.!?;:,()\[\]"\n|/]+|\s-+\s')
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")


def texts(sample_data: Path, wordnet: Path) -> Iterator[str]:
    """Every text that is counted."""
    with gzip.open(sample_data / "corpora" / "reddit.jsonl.gz", "rt", encoding="utf-8") as posts:
        for line in posts:
            post = json.loads(line)
            yield post["title"]
            yield post["selftext"]
    recipes = sample_data / "corpora" / "recipes.jsonl"
    for line in recipes.read_text(encoding="utf-8").splitlines():
        recipe = json.loads(line)
        yield recipe["title"]
        yield recipe["body"]
    for part in ("noun", "verb", "adj", "adv"):
        for line in (wordnet / f"data.{part}").read_text(encoding="latin-1").splitlines():
            if line.startswith("  "):
                continue
            head, _, gloss = line.partition("|")
            yield gloss
            columns = head.split()
            for lemma in columns[4 : 4 + 2 * int(columns[3], 16) : 2]:
                yield re.sub(r"\(.*\)", "", lemma).replace("_", " ")


def count(all_texts: Iterator[str]) -> dict[str, Counter[str]]:
    """For each word, how often each word follows it within a clause."""
    followers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for text in all_texts:
        plain = _LINK.sub(" ", html.unescape(text)).lower().replace("’", "'")
        for clause in _CLAUSE.split(plain):
            words = [word.replace("'", "") for word in _WORD.findall(clause)]
            for first, second in pairwise(words):
                followers[first][second] += 1
    return followers


def main(sample_data: Path, wordnet: Path) -> None:
    """Writes the file beside this script."""
    rows = []
    for first, counts in sorted(count(texts(sample_data, wordnet)).items()):
        kept = sorted(item for item in counts.items() if item[1] >= _FEWEST)
        if kept:
            pairs = " ".join(f"{second} {times}" for second, times in kept)
            rows.append(f"{first} {counts.total()} {len(counts)} {pairs}\n")
    (_HERE / "bigrams.txt.gz").write_bytes(gzip.compress("".join(rows).encode(), 9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
