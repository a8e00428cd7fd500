"""The threads that touch FAISS: one searches, another builds what takes long.

FAISS has process-wide settings, and GPU indexes are not thread-safe even for reads, so one thread
makes, searches and frees whatever answers. Training an approximate index takes seconds to a minute:
that happens on a thread of its own, on objects that nobody else knows yet, and without touching a
process-wide setting; FAISS allows that on a CPU.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, Self, TypeVar

import faiss

P = ParamSpec("P")
R = TypeVar("R")
_GPU_TEMP_BYTES = 64 * 1024 * 1024


class SearchThread:
    """The one thread of a process that searches, and the one that builds for it.

    Args:
        blas_threads: cores that one search may fill; 1 leaves the others to decoding and encoding.
    """

    def __init__(self, *, blas_threads: int = 1) -> None:
        self._blas_threads = blas_threads
        self._gpu_resources: Any = None
        self._executor = ThreadPoolExecutor(
            1, thread_name_prefix="inkling-search", initializer=self._set_up
        )
        self._builder = ThreadPoolExecutor(
            1, thread_name_prefix="inkling-index-build", initializer=self._set_up
        )

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs `work` on the searching thread, after whatever was asked before."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: work(*args, **kwargs))

    async def build(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs `work`, which may take a minute, beside the searches."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._builder, lambda: work(*args, **kwargs))

    def gpu_resources(self) -> Any:
        """FAISS's GPU memory, shared by all indexes; None without a GPU. On the thread only."""
        if self._gpu_resources is None and faiss.get_num_gpus() > 0:
            self._gpu_resources = faiss.StandardGpuResources()
            # By default each of these reserves up to 1.5 GiB.
            self._gpu_resources.setTempMemory(_GPU_TEMP_BYTES)
        return self._gpu_resources

    def close(self) -> None:
        """Ends the threads after the work that they have. Idempotent."""
        self._builder.shutdown(wait=True)
        self._executor.shutdown(wait=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _set_up(self) -> None:
        # The OpenMP setting belongs to the thread that makes it, hence here. More than one thread
        # costs 5-40 times as much when other work keeps the cores busy: OpenMP waits by spinning.
        faiss.omp_set_num_threads(self._blas_threads)
