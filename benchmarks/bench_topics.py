"""Are our topics as coherent and as different from each other as gensim's LDA's?

    python -m benchmarks.bench_topics                            a table, and JSON as the last line
    python -m benchmarks.bench_topics --out benchmarks/results   and both as files
    python -m benchmarks.bench_topics --limit 1000               a quick look

Two corpora: news articles, and short posts (hashtag lists and tweets, alternating), read as a
refresh reads them: cleaned, hashtags split, near duplicates dropped. Every model gets the same bags
of words and finds the same number of topics. Reference: gensim's LdaModel, with the passes that
ours has; `pip install gensim`. A model is trained on four fifths of the documents; the figures:

    NPMI       mean over topics of the NPMI of the ten top words, in windows of ten words (a short
               post is one window): over all documents, and over the fifth that no model saw
    diversity  share of distinct words among all topics' 25 top words
    s          seconds to fit
"""

import argparse
import gzip
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

# Before numpy's own BLAS reads it.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from benchmarks.report import hardware, versions, write_report
from inkling_server.interests.content import ContentItem
from inkling_server.interests.phrases.candidates import CandidateReader
from inkling_server.interests.phrases.pos import installed_tagger
from inkling_server.interests.text.preprocess import Corpus
from inkling_server.interests.topics.biterm import Biterm
from inkling_server.interests.topics.coherence import diversity, npmi_coherence
from inkling_server.interests.topics.factors import Nmf
from inkling_server.interests.topics.lda import Lda
from inkling_server.interests.topics.model import Bags, Topics, shares, topic_words
from inkling_training.data import sample_data_dir

SEED, PASSES = 0, 100
TOPIC_COUNTS = {"news": 20, "short posts": 40}
Fit = Callable[[Bags], Topics]


def items(folder: Path, corpus: str) -> Iterator[ContentItem]:
    if corpus == "news":
        for i, record in enumerate(records(folder / "news.jsonl.gz")):
            yield ContentItem(
                id=f"news-{i}",
                source="publisher",
                title=record["headline"],
                body=record["body"],
            )
        return
    lists: list[ContentItem] = []
    tweets: list[ContentItem] = []
    for i, record in enumerate(records(folder / "hashtags.jsonl.gz")):
        text = record.get("text")
        if text:
            tweets.append(ContentItem(id=f"post-{i}", caption=text))
        else:
            lists.append(ContentItem(id=f"post-{i}", hashtags=tuple(record["hashtags"])))
    # The file's lists are in the order of what they were searched by.
    random.Random(SEED).shuffle(lists)
    for pair in zip(lists, tweets, strict=False):
        yield from pair


def records(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def documents(folder: Path, corpus: str, limit: int) -> list[list[str]]:
    reader = CandidateReader(installed_tagger())
    read = map(reader.read, Corpus().documents(islice(items(folder, corpus), limit)))
    return [words for words in map(topic_words, read) if words]


def gensim_lda(topic_count: int) -> Fit:
    from gensim.matutils import Sparse2Corpus
    from gensim.models import LdaModel

    def fit(bags: Bags) -> Topics:
        corpus = Sparse2Corpus(bags.counts_DV, documents_columns=False)
        model = LdaModel(
            corpus,
            num_topics=topic_count,
            id2word=dict(enumerate(bags.words)),
            passes=PASSES,
            random_state=SEED,
        )
        documents_DT = np.zeros((bags.counts_DV.shape[0], topic_count))
        for row, bag in enumerate(corpus):
            for topic, share in model.get_document_topics(bag, minimum_probability=0):
                documents_DT[row, topic] = share
        return Topics(bags.words, shares(model.get_topics()), shares(documents_DT))

    return fit


def measure(corpus: str, found: list[list[str]]) -> list[dict[str, Any]]:
    count = TOPIC_COUNTS[corpus]
    unseen = found[::5]
    bags = Bags.of(
        (words for i, words in enumerate(found) if i % 5), min_documents=5, max_share=0.3
    )
    models: dict[str, Fit] = {
        "lda": Lda(count, passes=PASSES, seed=SEED).fit,
        "nmf": Nmf(count, seed=SEED).fit,
        "biterm": Biterm(count, seed=SEED).fit,
    }
    try:
        models["gensim lda"] = gensim_lda(count)
    except ImportError as error:
        print(f"without gensim lda: {error}")
    rows = []
    for name, fit in models.items():
        start = time.perf_counter()
        topics = fit(bags)
        took_s = time.perf_counter() - start
        best = topics.top_words(10)
        rows.append(
            {
                "corpus": corpus,
                "model": name,
                "npmi": fmean(npmi_coherence(best, found)),
                "npmi_unseen": fmean(npmi_coherence(best, unseen)),
                "diversity": diversity(topics.top_words(25)),
                "fit_s": took_s,
                "topics": [" ".join(words[:6]) for words in best[:5]],
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--limit", type=int, default=8_000, help="items of a corpus")
    parser.add_argument("--out", type=Path, help="folder for a JSON and a Markdown file")
    arguments = parser.parse_args()
    folder = sample_data_dir() / "corpora"
    rows: list[dict[str, Any]] = []
    sizes = {}
    for corpus in TOPIC_COUNTS:
        found = documents(folder, corpus, arguments.limit)
        sizes[corpus] = len(found)
        rows += measure(corpus, found)
    lines = [
        f"# Topics on {hardware()}",
        "",
        ", ".join(f"{k}: {sizes[k]} documents, {n} topics" for k, n in TOPIC_COUNTS.items()),
        "",
        f"Reference: gensim {versions(['gensim']).get('gensim', 'is not installed')}.",
        "",
        "| corpus | model | NPMI | NPMI unseen | diversity | s |",
        "|---" * 6 + "|",
    ]
    lines += [
        f"| {r['corpus']} | {r['model']} | {r['npmi']:.3f} | {r['npmi_unseen']:.3f} "
        f"| {r['diversity']:.2f} | {r['fit_s']:.1f} |"
        for r in rows
    ]
    lines += ["", "Some topics of each:", ""]
    lines += [f"- {r['corpus']}, {r['model']}: {'; '.join(r['topics'])}" for r in rows]
    lines += ["", *(__doc__ or "")[(__doc__ or "").index("Two corpora") :].strip().splitlines()]
    print("\n".join(lines))
    report = {
        "benchmark": "topics",
        "hardware": hardware(),
        "documents": sizes,
        "topic_counts": TOPIC_COUNTS,
        "references": versions(["gensim"]),
        "results": [
            {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()} for row in rows
        ],
    }
    if arguments.out:
        write_report(arguments.out, "topics", lines, report)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
