"""Builds `spellings.tsv.gz` and `lemmas.tsv.gz` from VarCon and WordNet 3.0.

    python -m inkling_server.interests.text.data.build_lexicons VARCON_TXT WORDNET_FOLDER

The output is the same on every run. README.md beside this file holds both notices.
"""

import gzip
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

_HERE = Path(__file__).parent
_PLAIN = re.compile(r"[a-z]+")
# Rarer clusters of VarCon hold names and abbreviations ("fred", "nere") that are not variants.
_RAREST_LEVEL = 60
# Shorter variants, and these, are mostly another word: a nan is not always a naan.
_SHORTEST_VARIANT = 4
_OTHER_WORDS = {"mums", "nans"}
# Variants that dictionaries list, also seldom used ones; not "possible" (-) or "improper" (x).
_ACCEPTED = {"", ".", "v", "V"}
_VERB_SENSE = "2"


def read_spellings(lines: Iterable[str]) -> dict[str, str]:
    """Maps each accepted variant to the American headword, but for those that mean two things."""
    american: set[str] = set()
    targets: defaultdict[str, set[str]] = defaultdict(set)
    level = 0
    for line in lines:
        if line.startswith("#"):
            found = re.search(r"\(level (\d+)\)", line)
            level = int(found[1]) if found else _RAREST_LEVEL
        if line.startswith("#") or ":" not in line or level > _RAREST_LEVEL:
            continue
        head = ""
        variants = []
        for part in line.split("|")[0].strip().split(" / "):
            labels, _, word = part.rpartition(":")
            word = word.strip()
            marks = [(label[0], label[1:]) for label in labels.split() if not label[0].isdigit()]
            if not _PLAIN.fullmatch(word):
                continue
            if any(region in "A_" and rank in {"", "."} for region, rank in marks):
                head = head or word
            if any(rank in _ACCEPTED for _, rank in marks):
                variants.append(word)
        if head:
            american.add(head)
            for word in variants:
                targets[word].add(head)
    return {
        word: min(heads)
        for word, heads in sorted(targets.items())
        if len(heads) == 1
        and word not in american | _OTHER_WORDS
        and len(word) >= _SHORTEST_VARIANT
    }


def read_lemmas(wordnet: Path) -> list[tuple[str, str]]:
    """Single-word nouns and verbs with flags: n noun, v verb, k "keep this -ing or -ed noun"."""
    nouns, verbs = (_single_words(wordnet / f"index.{part}") for part in ("noun", "verb"))
    uses: dict[str, Counter[str]] = {"n": Counter(), "v": Counter()}
    for line in (wordnet / "cntlist.rev").read_text(encoding="utf-8").splitlines():
        key, _, count = line.split()
        lemma, _, sense = key.partition("%")
        uses["v" if sense[0] == _VERB_SENSE else "n"][lemma] += int(count)
    entries = []
    for word in sorted(nouns | verbs):
        flags = ("n" if word in nouns else "") + ("v" if word in verbs else "")
        if word in nouns and word.endswith(("ing", "ed")):
            stem = word.removesuffix("ing").removesuffix("ed")
            bases = {stem, stem + "e", stem[:-1]} & verbs
            verb_uses = max((uses["v"][base] for base in bases), default=0)
            # A wedding is more than to wed; running is to run.
            if 2 * uses["n"][word] >= verb_uses:
                flags += "k"
        entries.append((word, flags))
    return entries


def read_exceptions(path: Path) -> list[tuple[str, str]]:
    """Irregular forms with their base."""
    pairs = (line.split()[:2] for line in path.read_text(encoding="utf-8").splitlines())
    plain = {(form, base) for form, base in pairs if _PLAIN.fullmatch(form + base)}
    first: dict[str, str] = {}
    for form, base in sorted(plain):
        first.setdefault(form, base)
    return sorted((form, base) for form, base in first.items() if form != base)


def main(varcon: Path, wordnet: Path) -> None:
    """Writes both files beside this script."""
    spellings = read_spellings(varcon.read_text(encoding="latin-1").splitlines())
    _write("spellings.tsv.gz", (f"{word}\t{head}" for word, head in spellings.items()))
    rows = [f"{word}\t{flags}" for word, flags in read_lemmas(wordnet)]
    for part, flag in (("noun", "N"), ("verb", "V")):
        pairs = read_exceptions(wordnet / f"{part}.exc")
        rows += [f"{form}\t{flag}\t{base}" for form, base in pairs]
    _write("lemmas.tsv.gz", rows)


def _single_words(path: Path) -> set[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    words = {line.split(" ", 1)[0] for line in lines if not line.startswith("  ")}
    return {word for word in words if _PLAIN.fullmatch(word)}


def _write(name: str, rows: Iterable[str]) -> None:
    text = "".join(f"{row}\n" for row in rows)
    # A fixed time keeps the file the same on every run.
    (_HERE / name).write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
