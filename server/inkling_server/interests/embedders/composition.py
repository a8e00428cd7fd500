"""A phrase's vector from the vectors of its words.

    "new york pizza" ─► entries: "new_york", "pizza" ─► sum of weight * unit vector ─► length 1

Entries are the longest runs of words that the vocabulary has, found from the left; the weight is
smooth inverse frequency, a / (a + share), by "A simple but tough-to-beat baseline for sentence
embeddings" (Arora et al. 2017). That paper's second step, to take off the first principal
component, is left out: it would make a phrase's vector depend on the other phrases.

It does not know where vectors or shares come from.

Shapes: P phrases, D dimensions.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from inkling_server.interests.embedders.base import Float32, unit_rows
from inkling_server.interests.text.frequencies import plain

COMPOSITION_VERSION = 1
"""Goes into fingerprints: raise it when the same words would give another vector."""

_SMOOTHING = 1e-3  # a; the paper finds 1e-3 to 1e-4 alike
_LONGEST_ENTRY = 4
JOINT = "_"

Lookup = Callable[[str], Float32 | None]
"""A unit vector [D] for an entry as it is spelt; None: there is none."""


def compose(
    phrases: Sequence[str],
    lookup: Lookup,
    share: Callable[[str], float],
    dimension: int,
    *,
    guess: Lookup | None = None,
) -> Float32:
    """Embeds phrases.

    Args:
        phrases: words parted by spaces.
        lookup: vectors of the vocabulary's entries; words of one entry are joined by "_".
        share: how often a word occurs, as a share of all words, in [0, 1].
        dimension: D.
        guess: a vector for a single word, in lower case, that the vocabulary lacks.

    Returns:
        float32 [P, D], rows of length 1; zeros where no word is known.
    """
    sums_PD = np.zeros((len(phrases), dimension), np.float64)
    for place, phrase in enumerate(phrases):
        for words, vector_D in _entries(phrase.split(), lookup, guess):
            # A phrase is at most as frequent as its rarest word.
            rarest = min(share(word) for word in words)
            sums_PD[place] += _SMOOTHING / (_SMOOTHING + rarest) * vector_D
    # What words that cancel each other leave is rounding, not a direction.
    sums_PD[np.abs(sums_PD).max(axis=1, initial=0) < 1e-6] = 0
    return unit_rows(sums_PD)


def _entries(
    words: list[str], lookup: Lookup, guess: Lookup | None
) -> Iterator[tuple[list[str], Float32]]:
    """Runs of words with a vector, longest first at each place; words without one are passed."""
    start = 0
    while start < len(words):
        for end in range(min(len(words), start + _LONGEST_ENTRY), start, -1):
            run = words[start:end]
            vector_D = _find(run, lookup)
            if vector_D is not None:
                yield run, vector_D
                start = end
                break
        else:
            word = words[start]
            start += 1
            parts = [part for part in word.split("-") if part]
            vector_D = guess(word.lower()) if guess is not None else None
            if vector_D is not None:
                yield [word], vector_D
            elif len(parts) > 1:
                yield from _entries(parts, lookup, guess)


def _find(run: list[str], lookup: Lookup) -> Float32 | None:
    """The vector of one entry; spelt as it is, lower, as a name ("Paris"), or without accents."""
    spelt = JOINT.join(run)
    tried = set()
    for form in (spelt, spelt.lower(), JOINT.join(w.capitalize() for w in run), plain(spelt)):
        if form in tried:
            continue
        tried.add(form)
        vector_D = lookup(form)
        if vector_D is not None:
            return vector_D
    return None
