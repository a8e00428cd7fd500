"""What people write to the pictures that they keep, and profiles of it: PV-DM and TF-IDF.

The photos of the sample data have either no text or their class's name, and a name would tell the
taste away. Real people's words are taken instead: titles of posts in communities of one interest
(`corpora/reddit.jsonl.gz`). Each class of photos goes with one community, drawn by chance: an
interest is then a subject of real photos and a subject of real titles, and a photo's title says as
much of its interest as people's titles do. That the two subjects differ is never seen, as words
and pixels are never compared.

    titles of a community ─► half: the model of texts learns; half: one title for each photo

`named_titles` answers another question, how plainly texts must speak: a share of the photos carries
its class's name, the rest some title of any community.

It knows no person and no picture's embedding.

Legend: N texts, E dimensions of a text's vector.
"""

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import patch
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.text.hashtags import split_hashtag

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_CENTRED_BY = 2_000  # texts that the mean is taken of, at most
_WORD = re.compile(r"[a-z0-9']+")


class TextModel(Protocol):
    """Texts -> vectors whose cosine compares them."""

    def embed(self, texts: Sequence[str]) -> Floats:
        """[N, E]; a text without a known word is zeros or near them."""


def words(text: str) -> list[str]:
    """Lower-case words."""
    return _WORD.findall(text.lower())


def read_titles(path: Path) -> dict[str, list[str]]:
    """Distinct titles of each community in the file's order; communities by name."""
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            post = json.loads(line)
            if words(post["title"]):
                found[post["subreddit"]][post["title"]] = None
    return {name: list(found[name]) for name in sorted(found)}


def split_titles(
    titles: dict[str, list[str]], seed: int
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Half for the model of texts to learn from, half to go with pictures; no title in both."""
    rng = np.random.default_rng(seed)
    learn, give = {}, {}
    for name, own in titles.items():
        order = rng.permutation(len(own))
        cut = len(own) // 2
        learn[name] = [own[index] for index in order[:cut]]
        give[name] = [own[index] for index in order[cut:]]
    return learn, give


def community_titles(
    labels_N: Ints, classes: Sequence[int], titles: dict[str, list[str]], seed: int
) -> list[str]:
    """A title for each picture, none twice, from the community that its class goes with.

    Args:
        labels_N: class of each picture; pictures of other classes get "".
        classes: those that go with a community, at most as many as there are communities.
        titles: of each community, at least as many as a class has pictures.
        seed: of which goes with which, and of the titles.

    Raises:
        ValueError: too few communities or titles.
    """
    rng = np.random.default_rng(seed)
    if len(classes) > len(titles):
        raise ValueError(f"{len(classes)} classes, but only {len(titles)} communities")
    names = list(titles)
    texts = [""] * len(labels_N)
    for label, community in zip(classes, rng.permutation(len(names))[: len(classes)], strict=True):
        members = np.flatnonzero(labels_N == label)
        own = titles[names[community]]
        if len(members) > len(own):
            raise ValueError(f"{len(members)} pictures of a class, but only {len(own)} titles")
        for index, title in zip(members, rng.permutation(len(own)), strict=False):
            texts[index] = own[title]
    return texts


def named_titles(
    labels_N: Ints, names: Sequence[str], titles: Sequence[str], share: float, seed: int
) -> list[str]:
    """A text for each picture: its class's name with probability `share`, else any title."""
    rng = np.random.default_rng(seed)
    named_N = rng.random(len(labels_N)) < share
    others = rng.integers(0, len(titles), len(labels_N))
    return [
        names[label] if named else titles[other]
        for label, named, other in zip(labels_N, named_N, others, strict=True)
    ]


def naming_share(titles: dict[str, list[str]]) -> float:
    """Share of titles that have a word of their community's name, an "s" at its end aside."""
    hits = total = 0
    for name, own in titles.items():
        wanted = {word.lower().removesuffix("s") for word in split_hashtag(name)} | {
            name.lower().removesuffix("s")
        }
        hits += sum(
            bool(wanted & {word.removesuffix("s") for word in words(title)}) for title in own
        )
        total += len(own)
    return hits / max(total, 1)


class ParagraphVectors:
    """PV-DM: Le and Mikolov, "Distributed representations of sentences and documents" (2014).

    gensim's Doc2Vec with dm=1 on one thread, the same vectors on every run. `embed` centres by the
    mean of what is inferred for texts learned from: what all texts share would else be most of a
    cosine.
    """

    def __init__(
        self,
        texts: Sequence[str],
        *,
        dimension: int = 100,
        epochs: int = 40,
        min_count: int = 10,
        seed: int = 0,
    ) -> None:
        from gensim.models.doc2vec import Doc2Vec, TaggedDocument

        documents = [TaggedDocument(words(text), [place]) for place, text in enumerate(texts)]
        self._epochs = epochs
        self._model: Any = Doc2Vec(
            documents,
            dm=1,
            vector_size=dimension,
            window=5,
            min_count=min_count,
            negative=5,
            epochs=epochs,
            seed=seed,
            workers=1,
            hashfxn=_stable_hash,
        )
        step = -(-len(texts) // _CENTRED_BY)
        self._mean_E: Floats = self._infer(texts[::step]).mean(axis=0)

    def embed(self, texts: Sequence[str]) -> Floats:
        """Inferred, centred, of length 1."""
        return unit(self._infer(texts) - self._mean_E)

    def _infer(self, texts: Sequence[str]) -> Floats:
        from gensim.models import doc2vec

        # Where inference starts hangs on Python's own hash, which differs from process to process,
        # and gensim takes no other there.
        start = partial(doc2vec.pseudorandom_weak_vector, hashfxn=_stable_hash)
        vectors = []
        with patch.object(doc2vec, "pseudorandom_weak_vector", start):
            for text in texts:
                # It then draws from the model's own generator: what came before must not matter.
                self._model.random.seed(crc32(text.encode()))
                vectors.append(self._model.infer_vector(words(text), epochs=self._epochs))
        return np.array(vectors, np.float64)


class WeightedWords:
    """TF-IDF by scikit-learn, sublinear, words that two texts have: a plain, strong baseline."""

    def __init__(self, texts: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectorizer: Any = TfidfVectorizer(
            tokenizer=words,
            token_pattern=None,
            min_df=2,
            sublinear_tf=True,
            stop_words="english",
            dtype=np.float32,
        )
        self._vectorizer.fit(texts)

    def embed(self, texts: Sequence[str]) -> Floats:
        """Dense; rows have length 1 or, without a known word, 0."""
        rows: Floats = self._vectorizer.transform(texts).toarray()
        return rows


def unit(rows_NE: Floats) -> Floats:
    """Rows of length 1; zeros stay zeros."""
    lengths_N1 = np.linalg.norm(rows_NE, axis=1, keepdims=True)
    unit_NE: Floats = rows_NE / np.where(lengths_N1 > 0, lengths_N1, 1.0)
    return unit_NE


def _stable_hash(text: str) -> int:
    return crc32(text.encode())
