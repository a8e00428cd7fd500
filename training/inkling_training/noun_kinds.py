"""Builds `noun_kinds.txt.gz`: what English nouns name, for choosing interests.

    python -m inkling_training.noun_kinds --wordnet /usr/share/wordnet \\
        --out server/inkling_server/interests/data/noun_kinds.txt.gz

One line a group: kind, 1 where the noun names one thing (Paris), tenths of the word's uses that are
nouns, then the words; compounds are joined by '_'. Rare words, of which Latin names are the most,
are left out: they fill the file and nobody writes them. Same database, same bytes.
"""

import argparse
import gzip
from collections import defaultdict
from pathlib import Path

from inkling_server.interests.text.frequencies import english, plain
from inkling_training.vocabulary_wordnet import WordNet

# Share of English below which a word is left out.
_RAREST = 3e-8
_MOST_WORDS = 3


def kind_lines(wordnet: WordNet) -> list[str]:
    """The lines of the file, sorted."""
    groups: defaultdict[tuple[str, bool, int], list[str]] = defaultdict(list)
    shares = english()
    for word in wordnet.nouns():
        parts = word.replace("-", " ").split()
        if len(parts) > _MOST_WORDS or not all(
            shares.get(plain(part), 0.0) >= _RAREST for part in parts
        ):
            continue
        noun = wordnet.noun(word)
        if noun is not None:
            tenths = 10 if " " in word else round(10 * noun.share)
            groups[noun.kind, noun.proper, tenths].append(word.replace(" ", "_"))
    return [
        " ".join((kind, str(int(proper)), str(tenths), *sorted(words)))
        for (kind, proper, tenths), words in sorted(groups.items())
    ]


def main() -> None:
    """Reads the command line and writes the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    text = "\n".join(kind_lines(WordNet(arguments.wordnet))) + "\n"
    arguments.out.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
