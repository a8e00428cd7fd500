"""Candidates by comparing a picture with every row: FAISS's flat search, on a CPU or a GPU.

On a CPU FAISS reads the rows where they are, mapped or not: there is no second copy. A GPU has its
own, in fp16. `benchmarks/bench_gpu.py` ran it on an H100.

Shapes: B pictures, N tags, E numbers of a row, K candidates of one picture.
"""

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from inkling_server.encoders import Embeddings
from inkling_server.scoring import Float32

Rows = NDArray[np.int64]

# FAISS on a GPU selects at most this many of one query.
_MAX_GPU_K = 2048
# A scan reads the matrix once per picture, BLAS once per batch: beyond the cache that decides.
_CACHE_BYTES = 16 * 1024 * 1024
_NEVER_BLAS = 2**31 - 1
_FLOAT32_EPS = 2.0**-24
_FLOAT16_EPS = 2.0**-11


class ExactCandidates:
    """The K best rows in FAISS's rounding. Belongs to the search thread.

    Attributes:
        on_gpu: where it searches.
        max_k: the most candidates of one picture.
        relative_error: bound on the rounding of a logit, as a share of the size of its terms.
    """

    name = "exact inner product"

    def __init__(self, rows_NE: Embeddings, gpu_resources: Any) -> None:
        count, width = rows_NE.shape
        self.on_gpu = gpu_resources is not None
        self._rows_NE = rows_NE
        self._gpu_index: Any = None
        self.max_k, eps = count, 0.0
        if self.on_gpu:
            config = faiss.GpuIndexFlatConfig()
            config.useFloat16 = True
            self._gpu_index = faiss.GpuIndexFlatIP(gpu_resources, width, config)
            if count:
                self._gpu_index.add(rows_NE)
            self.max_k, eps = _MAX_GPU_K, 2.1 * _FLOAT16_EPS  # rows and queries
        # Rounding of the stored values, of the query, and of each step of the sum.
        self.relative_error = eps + (width + 3) * _FLOAT32_EPS

    def search(self, queries_BE: Embeddings, k: int) -> tuple[Float32, Rows]:
        """Logits, descending, and rows of the `k` best of each query, [B, K] each."""
        found_BK: Float32
        rows_BK: Rows
        if self._gpu_index is not None:
            found_BK, rows_BK = self._gpu_index.search(queries_BE, k)
            return found_BK, rows_BK
        # Process-wide, but only the search thread ever sets it; a build beside it may get slower.
        faiss.cvar.distance_compute_blas_threshold = self._blas_threshold(len(queries_BE))
        found_BK, rows_BK = faiss.knn(
            queries_BE, self._rows_NE, k, metric=faiss.METRIC_INNER_PRODUCT
        )
        return found_BK, rows_BK

    def _blas_threshold(self, picture_count: int) -> int:
        """FAISS scans row by row below this many queries * dimensions, and calls BLAS above.

        Its default (128,000) scans large batches too, several times too slowly; BLAS for one query
        packs the whole matrix first, 4-6 times too slowly: see `benchmarks/bench_search.py`.
        """
        fits_cache = self._rows_NE.nbytes <= _CACHE_BYTES
        return 1 if picture_count > (4 if fits_cache else 2) else _NEVER_BLAS
