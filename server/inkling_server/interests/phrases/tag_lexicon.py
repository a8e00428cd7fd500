"""The compact form of Brill's part-of-speech lexicon that ships in `data/`, and how it was made.

    python -m inkling_server.interests.phrases.tag_lexicon en-lexicon.txt english_tags.txt.gz

One line a tag: the tag, then every word that carries it and whose tag `guess_tag` gets wrong. Words
that it gets right, names, numbers and symbols are left out: two thirds of the lexicon.

It does not know sentences: `pos` does.
"""

import argparse
import gzip
import re
from collections import defaultdict
from functools import cache, lru_cache
from pathlib import Path

DATA = Path(__file__).resolve().parent / "data"
LEXICON, RULES = DATA / "english_tags.txt.gz", DATA / "english_contexts.txt"
_LEFT_OUT = {"NNP", "NNPS", "CD", "FW", "LS", "SYM", "POS"}
_WORD = re.compile(r"[a-z][a-z'-]*")
# Longest first: the first that fits decides.
_ENDINGS = (
    ("ology", "NN"),
    ("ness", "NN"),
    ("ious", "JJ"),
    ("less", "JJ"),
    ("able", "JJ"),
    ("ible", "JJ"),
    ("ical", "JJ"),
    ("ing", "VBG"),
    ("ful", "JJ"),
    ("ous", "JJ"),
    ("ive", "JJ"),
    ("ial", "JJ"),
    ("est", "JJS"),
    ("ly", "RB"),
    ("ed", "VBN"),
    ("al", "JJ"),
    ("ic", "JJ"),
    ("ss", "NN"),
    ("us", "NN"),
    ("is", "NN"),
    ("s", "NNS"),
)


@lru_cache(maxsize=1 << 16)
def guess_tag(word: str) -> str:
    """The likely tag of a lower-case English word that no lexicon knows: by its ending."""
    if "-" in word:
        tail = word.rpartition("-")[2]
        return "JJ" if tail.endswith(("ed", "ing", "based", "free", "like")) else "NN"
    for ending, tag in _ENDINGS:
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return tag
    return "NN"


@cache
def load_lexicon() -> dict[str, str]:
    """Tag of each lower-case word that `guess_tag` would get wrong."""
    tags: dict[str, str] = {}
    with gzip.open(LEXICON, "rt", encoding="utf-8") as lines:
        for line in lines:
            tag, *words = line.split()
            tags.update(dict.fromkeys(words, tag))
    return tags


def reduce_lexicon(lines: list[str]) -> dict[str, list[str]]:
    """Words by tag, of lines "word TAG"; only what `guess_tag` does not know."""
    words: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        fields = line.split()
        if len(fields) != 2 or line.startswith(";;;"):
            continue
        word, tag = fields[0], fields[1].partition("|")[0]
        if _WORD.fullmatch(word) and tag not in _LEFT_OUT and guess_tag(word) != tag:
            words[tag].append(word)
    return {tag: sorted(set(words[tag])) for tag in sorted(words)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("lexicon", type=Path, help="lines of word and tag")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    words = reduce_lexicon(arguments.lexicon.read_text(encoding="utf-8").splitlines())
    text = "".join(f"{tag} {' '.join(entries)}\n" for tag, entries in words.items())
    # Without a name and time inside, the same words make the same bytes.
    arguments.out.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
