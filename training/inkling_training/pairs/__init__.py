"""Mining (picture, interest) pairs from content, and reading what was mined.

    content items ─► matching ─► weights, negatives ─► shards ─► PairDataset

`python -m inkling_training.pairs` is the command; `open_pairs` reads what it made.
"""

from inkling_training.pairs.dataset import PairDataset, open_pairs
from inkling_training.pairs.samples import MinedPair, PairSample, PairsDamaged

__all__ = ["MinedPair", "PairDataset", "PairSample", "PairsDamaged", "open_pairs"]
