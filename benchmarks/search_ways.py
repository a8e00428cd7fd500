"""Other ways to find candidates, as a competent engineer would set them up with FAISS.

All see rows with the constant taken off and priors on the scale of cosines, and all have their
candidates scored again from the original rows, so that only the candidates differ.

Shapes: N tags, B pictures, E = D + 1, K candidates.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Found = NDArray[np.int64]
IP = faiss.METRIC_INNER_PRODUCT
_SEED = 7


@dataclass(frozen=True)
class Way:
    """One index with one setting.

    Attributes:
        name: for people.
        search: [B, E] queries to [B, 10] rows.
    """

    name: str
    search: Callable[[Rows], Found]


def ways(rows_NE: Rows, scale: float) -> dict[str, Callable[[], list[Way]]]:
    """Builders of other ways, by name; each builds when it is called."""
    centred_NE = rows_NE.copy()
    centred_NE[:, -1] /= scale
    centred_NE -= centred_NE.mean(axis=0)
    count, width = rows_NE.shape
    sample = np.sort(np.random.default_rng(_SEED).permutation(count)[:200_000])
    cell_count = int(2 ** round(np.log2(4 * np.sqrt(count))))

    def refined(find: Callable[[Rows, int], Found], k: int) -> Callable[[Rows], Found]:
        def search(queries_BE: Rows) -> Found:
            found_BK = find(queries_BE / np.float32(scale), k)
            best_BK = np.full((len(queries_BE), 10), -1, np.int64)
            for b, query_E in enumerate(queries_BE):
                rows = found_BK[b][found_BK[b] >= 0]
                best = np.argsort(-(rows_NE[rows] @ query_E))[:10]
                best_BK[b, : len(best)] = rows[best]
            return best_BK

        return search

    def filled(index: Any) -> Any:
        index.train(centred_NE[sample])
        index.add(centred_NE)
        return index

    def hnsw() -> list[Way]:
        kind: Any = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexHNSWSQ(width, kind, 16, IP)
        index.hnsw.efConstruction = 80
        filled(index)

        def find(queries_BE: Rows, k: int, *, ef: int) -> Found:
            index.hnsw.efSearch = ef
            return np.asarray(index.search(queries_BE, k)[1])

        return [
            Way(f"HNSW16 SQ8, ef {ef}", refined(lambda q, k, ef=ef: find(q, k, ef=ef), 32))  # type: ignore[misc]
            for ef in (128, 256, 512)
        ]

    def cells(index: Any, name: str, k: int) -> list[Way]:
        index.cp.max_points_per_centroid = 64
        filled(index)

        def find(queries_BE: Rows, k: int, *, probe: int) -> Found:
            index.nprobe = probe
            return np.asarray(index.search(queries_BE, k)[1])

        return [
            Way(
                f"{name}, {cell_count} cells, probe {probe}",
                refined(lambda q, k, probe=probe: find(q, k, probe=probe), k),  # type: ignore[misc]
            )
            for probe in (cell_count // 16, cell_count // 8)
        ]

    def ivf_rabitq() -> list[Way]:
        flat = faiss.IndexFlatIP(width)
        index = faiss.IndexIVFRaBitQFastScan(flat, width, cell_count, IP)
        return cells(index, "IVF RaBitQ fast scan", 400)

    def ivf_sq8() -> list[Way]:
        flat, kind = faiss.IndexFlatIP(width), faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexIVFScalarQuantizer(flat, width, cell_count, kind, IP)
        return cells(index, "IVF SQ8", 32)

    def rabitq() -> list[Way]:
        index = filled(faiss.IndexRaBitQFastScan(width, IP))
        return [
            Way("RaBitQ fast scan", refined(lambda q, k: np.asarray(index.search(q, k)[1]), 400))
        ]

    return {"hnsw": hnsw, "ivf-rabitq": ivf_rabitq, "ivf-sq8": ivf_sq8, "rabitq": rabitq}
