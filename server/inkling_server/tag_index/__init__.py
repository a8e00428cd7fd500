"""Top N tags of a picture by calibrated score. The only importer of FAISS.

values   what is asked and answered
rows     vectors with priors folded in; their file, which processes share
exact    candidates by comparing with every row, on a CPU or a GPU
approximate   candidates by compressed rows, for more tags than a picture can be compared with
index    candidates scored again in float64; thresholds, ties, what callers see
thread   who may touch FAISS
"""

from inkling_server.tag_index.approximate import EXACT_UP_TO
from inkling_server.tag_index.index import TagIndex, logit_shifts
from inkling_server.tag_index.rows import RowsFolder, TagRows, fold_rows
from inkling_server.tag_index.thread import SearchThread
from inkling_server.tag_index.values import Hit, Selection

__all__ = [
    "EXACT_UP_TO",
    "Hit",
    "RowsFolder",
    "SearchThread",
    "Selection",
    "TagIndex",
    "TagRows",
    "fold_rows",
    "logit_shifts",
]
