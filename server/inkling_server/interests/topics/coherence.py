"""How good topics are: NPMI coherence and diversity.

Coherence (Bouma 2009; Röder et al. 2015): the mean over a topic's pairs of top words of

    ln(P(a, b) / (P(a) P(b))) / -ln P(a, b)

where P is the share of contexts (windows of `window` words, whole documents when short) that hold
them; -1: never together, 0: by chance, 1: always. Diversity (Dieng et al. 2020): the share of
distinct words among all topics' top words. Knows no model: it takes lists of words.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from math import log

import numpy as np
from scipy.sparse import csr_array


def npmi_coherence(
    topics: Sequence[Sequence[str]], documents: Iterable[Sequence[str]], *, window: int = 10
) -> list[float]:
    """Coherence of each topic, in [-1, 1].

    Args:
        topics: top words of each; a topic with fewer than two words is 0.
        documents: reference corpus.
        window: words that are together.
    """
    places = {word: i for i, word in enumerate(sorted({w for topic in topics for w in topic}))}
    rows: list[int] = []
    columns: list[int] = []
    context_count = 0
    for document in documents:
        windows = max(1, len(document) - window + 1)
        for i, word in enumerate(document):
            column = places.get(word)
            if column is not None:
                # The windows that hold place i start at i - window + 1 .. i.
                first, last = max(0, i - window + 1), min(i, windows - 1)
                rows.extend(range(context_count + first, context_count + last + 1))
                columns.extend([column] * (last - first + 1))
        context_count += windows
    held = csr_array(
        (np.ones(len(rows)), (rows, columns)), shape=(context_count, max(len(places), 1))
    )
    held.sum_duplicates()
    held.data[:] = 1
    together_WW = (held.T @ held).toarray()
    found = []
    for topic in topics:
        values = [
            _npmi(together_WW[a, b], together_WW[a, a], together_WW[b, b], context_count)
            for a, b in combinations([places[word] for word in topic], 2)
        ]
        found.append(float(np.mean(values)) if values else 0.0)
    return found


def diversity(topics: Sequence[Sequence[str]]) -> float:
    """Share of distinct words among all topics' words; 0 without words."""
    words = [word for topic in topics for word in topic]
    return len(set(words)) / len(words) if words else 0.0


def _npmi(both: float, first: float, second: float, contexts: int) -> float:
    if both == 0:
        return -1.0
    if both == contexts:
        return 1.0
    return log(both * contexts / (first * second)) / -log(both / contexts)
