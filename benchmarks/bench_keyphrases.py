"""Do our keyphrase extractors find what people chose, at least as well as independent ones?

    python -m benchmarks.bench_keyphrases                            a table, JSON as last line
    python -m benchmarks.bench_keyphrases --out benchmarks/results   and both as files
    python -m benchmarks.bench_keyphrases --limit 40                 a quick look

References, each used where it is installed: `pip install rake-nltk summa`; yake (LGPL/GPL, so a
reference only, never a dependency of Inkling): `pip install yake`; pytextrank with spaCy's small
English model under the name that `--spacy-model` says (MIT): `pip install pytextrank spacy`.

Protocol: F1@10, macro average over documents. Gold: all keys of a document, controlled and free,
those absent from the text too. Gold and found phrases are lower-cased, split at what is no letter
or digit, Porter-stemmed (NLTK) word by word, and duplicates are dropped, the first kept; the
first ten left are compared exactly. Precision = hits / min(10, found), recall = hits / gold keys.

Documents: each set in the order of SHA-256("<set>:<id>"); the first `--limit` of them (of full
papers, a fifth of that). The halves: even first byte of the digest: "dev", on which our constants
were chosen; odd: "test", never looked at while choosing. Everyone reads the same text: entities
decoded, hard line breaks joined, the first line as a sentence of its own. Document frequencies
(ours and scikit-learn's) come from the same documents' texts, without their keys.
"""

import argparse
import gzip
import hashlib
import html
import importlib
import json
import os
import platform
import re
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any

# Before numpy's own BLAS reads it.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

from nltk.stem import PorterStemmer
from nltk.tokenize import wordpunct_tokenize
from sklearn.feature_extraction.text import TfidfVectorizer

from inkling_server.interests.phrases.candidates import CandidateReader
from inkling_server.interests.phrases.combine import Combination, all_extractors
from inkling_server.interests.phrases.pos import installed_tagger
from inkling_server.interests.phrases.tfidf import DocumentFrequencies
from inkling_server.interests.text.document import Document
from inkling_server.interests.text.stop_words import STOP_WORDS
from inkling_server.interests.text.tokens import sentences
from inkling_training.data import sample_data_dir

SETS = ("inspec", "semeval2017", "kpcrowd", "semeval2010")
FULL_PAPERS = "semeval2010"
TOP = 10
# Each of ours beside the independent implementation of the same method.
REFERENCE_OF = {
    "tfidf": "scikit-learn tfidf",
    "rake": "rake-nltk",
    "textrank": "summa",
    "topicrank": "pytextrank topicrank",
    "statistical": "yake",
}
stem_word = lru_cache(maxsize=1 << 18)(PorterStemmer().stem)
# Best first, for each document of a set.
System = Callable[[list["Gold"]], Iterator[list[str]]]


@dataclass(frozen=True)
class Gold:
    """A document with the keys that people chose."""

    id: str
    text: str
    keys: frozenset[str]
    half: str

    @property
    def plain(self) -> str:
        """For tools that do not know that a line break ends the title."""
        title, _, body = self.text.partition("\n")
        return f"{title} {body}" if title.endswith((".", "?", "!")) else f"{title}. {body}"


def stemmed(phrase: str) -> str:
    return " ".join(stem_word(word) for word in re.findall(r"[^\W_]+", phrase.lower()))


def load(folder: Path, name: str, limit: int) -> list[Gold]:
    found = []
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            digest = hashlib.sha256(f"{name}:{record['id']}".encode()).digest()
            title, _, body = html.unescape(record["text"]).strip().partition("\n")
            text = f"{title.strip()}\n{' '.join(body.split())}"
            keys = frozenset(filter(None, map(stemmed, record["keys"])))
            half = "test" if digest[0] % 2 else "dev"
            found.append((digest, Gold(str(record["id"]), text, keys, half)))
    chosen = limit // 5 if name == FULL_PAPERS else limit
    return [gold for _, gold in sorted(found, key=lambda pair: pair[0])[:chosen]]


def f1(phrases: list[str], keys: frozenset[str]) -> float:
    best = list(dict.fromkeys(filter(None, map(stemmed, phrases))))[:TOP]
    hits = len(keys.intersection(best))
    return 2 * hits / (len(best) + len(keys)) if hits else 0.0


def ours(name: str) -> System:
    """One of our extractors; its time includes reading candidates."""

    def run(documents: list[Gold]) -> Iterator[list[str]]:
        reader, frequencies = CandidateReader(installed_tagger()), DocumentFrequencies()
        if name in ("tfidf", "combination"):
            for gold in documents:
                frequencies.add(reader.read(Document(gold.id, "eval", sentences(gold.text))))
        extractors = all_extractors(frequencies)
        combination = Combination(extractors)
        chosen = next((e for e in extractors if e.name == name), combination)
        for gold in documents:
            read = reader.read(Document(gold.id, "eval", sentences(gold.text)))
            yield [phrase.text for phrase in chosen.rank(read)]

    return run


def one_by_one(rank: Callable[[str], list[str]]) -> System:
    return lambda documents: (rank(gold.plain) for gold in documents)


def scikit_learn_tfidf(documents: list[Gold]) -> Iterator[list[str]]:
    vectorizer = TfidfVectorizer(ngram_range=(1, 3), stop_words="english")
    weights_DV = vectorizer.fit_transform([gold.plain for gold in documents])
    names = vectorizer.get_feature_names_out()
    for row in range(len(documents)):
        entries = weights_DV[[row]]
        order = entries.data.argsort()[::-1][: 4 * TOP]
        yield [names[entries.indices[i]] for i in order]


def rake_nltk() -> System:
    module = importlib.import_module("rake_nltk")

    def rank(text: str) -> list[str]:
        # NLTK's own stop words and sentences need data files: ours for both.
        rake = module.Rake(
            stopwords=set(STOP_WORDS),
            sentence_tokenizer=lambda t: [sentence.text for sentence in sentences(t)],
            word_tokenizer=wordpunct_tokenize,
        )
        rake.extract_keywords_from_text(text)
        return list(rake.get_ranked_phrases())

    return one_by_one(rank)


def summa() -> System:
    module = importlib.import_module("summa.keywords")

    def rank(text: str) -> list[str]:
        try:
            # More than its default fifth of a short text's words: it scores higher with these.
            return list(module.keywords(text, words=20, split=True))
        except IndexError:  # fewer words than asked for
            return list(module.keywords(text, split=True))

    return one_by_one(rank)


def yake() -> System:
    module = importlib.import_module("yake")
    extractor = module.KeywordExtractor(lan="en", n=3, top=3 * TOP)
    return one_by_one(lambda text: [phrase for phrase, _ in extractor.extract_keywords(text)])


def pytextrank(pipe: str, model: str) -> System:
    importlib.import_module("pytextrank")
    language: Any = importlib.import_module(model).load()
    language.add_pipe(pipe)
    return one_by_one(lambda text: [phrase.text for phrase in language(text)._.phrases])


def systems(spacy_model: str) -> dict[str, System]:
    """By name, ours first; what is not installed is left out, and said."""
    found: dict[str, System] = {name: ours(name) for name in (*REFERENCE_OF, "combination")}
    found["scikit-learn tfidf"] = scikit_learn_tfidf
    references: dict[str, Callable[[], System]] = {
        "rake-nltk": rake_nltk,
        "summa": summa,
        "yake": yake,
        "pytextrank textrank": lambda: pytextrank("textrank", spacy_model),
        "pytextrank topicrank": lambda: pytextrank("topicrank", spacy_model),
    }
    for name, make in references.items():
        try:
            found[name] = make()
        except ImportError as error:
            print(f"without {name}: {error}")
    return found


def measure(sets: dict[str, list[Gold]], spacy_model: str) -> list[dict[str, Any]]:
    """A row for each system and set: F1 in percent by half, milliseconds a document."""
    rows = []
    for system, run in systems(spacy_model).items():
        for name, documents in sets.items():
            if system == "pytextrank topicrank" and name == FULL_PAPERS:
                continue  # half a minute for each paper
            start = time.perf_counter()
            scores = [f1(p, g.keys) for p, g in zip(run(documents), documents, strict=True)]
            took_s = time.perf_counter() - start
            row: dict[str, Any] = {"system": system, "set": name}
            for half in ("test", "dev"):
                row[half] = 100 * fmean(
                    score for score, g in zip(scores, documents, strict=True) if g.half == half
                )
            row |= {"all": 100 * fmean(scores), "ms": 1000 * took_s / len(documents)}
            rows.append(row)
            print(f"{system}, {name}: {row['all']:.1f} in {took_s:.0f} s", flush=True)
    return rows


def table(rows: list[dict[str, Any]], half: str) -> list[str]:
    """Markdown: a line for each system, a column for each set, and the mean where all are there."""
    lines = [f"| {half}: F1@{TOP} | {' | '.join(SETS)} | mean | ms a document |", "|---" * 7 + "|"]
    for system in dict.fromkeys(row["system"] for row in rows):
        own = {row["set"]: row for row in rows if row["system"] == system}
        cells = [f"{own[name][half]:.1f}" if name in own else "-" for name in SETS]
        mean = f"{fmean(own[n][half] for n in SETS):.2f}" if len(own) == len(SETS) else "-"
        times = " / ".join(f"{own[n]['ms']:.0f}" if n in own else "-" for n in SETS)
        bold = "**" if system == "combination" else ""
        lines.append(f"| {bold}{system}{bold} | {' | '.join(cells)} | {mean} | {times} |")
    return lines


def verdicts(rows: list[dict[str, Any]]) -> dict[str, bool]:
    """Ours at least as good as the reference on the mean over the sets that both have (test)."""
    scores = {(row["system"], row["set"]): row["test"] for row in rows}
    found = {}
    for mine, reference in REFERENCE_OF.items():
        shared = [n for n in SETS if (reference, n) in scores]
        if shared:
            gain = fmean(scores[mine, n] - scores[reference, n] for n in shared)
            found[f"{mine} >= {reference}"] = gain >= 0
    means = {
        system: fmean(scores[system, n] for n in SETS)
        for system in {row["system"] for row in rows}
        if all((system, n) in scores for n in SETS)
    }
    found["combination is the best"] = max(means, key=means.__getitem__) == "combination"
    return found


def hardware() -> str:
    """Processor and cores, as part of a file's name."""
    model = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = re.search(r"model name\s*:\s*(.+)", info.read_text(encoding="utf-8"))
        model = named[1] if named else model
    slug = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    return f"{slug}-{len(os.sched_getaffinity(0))}-cores"


def write_report(out: Path, name: str, lines: list[str], report: dict[str, Any]) -> None:
    """Writes <date>_<hardware>_<name>.{json,md}."""
    out.mkdir(parents=True, exist_ok=True)
    stem = f"{time.strftime('%Y-%m-%d', time.gmtime())}_{hardware()}_{name}"
    (out / f"{stem}.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (out / f"{stem}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--limit", type=int, default=150, help="documents of a set")
    parser.add_argument("--spacy-model", default="en_core_web_sm", help="its package's name")
    parser.add_argument("--out", type=Path, help="folder for a JSON and a Markdown file")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of the references
    folder = sample_data_dir() / "eval" / "keyphrases"
    sets = {name: load(folder, name, arguments.limit) for name in SETS}
    rows = measure(sets, arguments.spacy_model)
    sizes = ", ".join(
        f"{name} {len(documents)} ({sum(g.half == 'test' for g in documents)} test)"
        for name, documents in sets.items()
    )
    checks = verdicts(rows)
    lines = [f"# Keyphrases: F1@{TOP} on {hardware()}", "", f"Documents: {sizes}.", ""]
    for half in ("test", "all"):
        lines += [*table(rows, half), ""]
    lines += [f"- {claim}: {'yes' if holds else 'NO'}" for claim, holds in checks.items()]
    lines += ["", *(__doc__ or "").partition("Protocol:")[2].strip().splitlines()]
    print("\n".join(lines))
    report = {
        "benchmark": "keyphrases",
        "hardware": hardware(),
        "documents": {name: len(documents) for name, documents in sets.items()},
        "checks": checks,
        "results": [
            {k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()} for row in rows
        ],
    }
    if arguments.out:
        write_report(arguments.out, "keyphrases", lines, report)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
