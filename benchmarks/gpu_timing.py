"""Times work on a GPU by its own clock, and on a CPU by the wall: seconds, medians.

Device work is asynchronous, so a host clock around a call sees only its launch. What is timed runs
several times between two events; the median of a few such spans counts. Nothing here knows what is
timed.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

Work = Callable[[], Any]


def on_gpu() -> bool:
    """Whether this process measures a GPU; without one everything runs on the CPU, tiny."""
    return torch.cuda.is_available()


def device() -> str:
    """Where tensors of the benchmark live."""
    return "cuda" if on_gpu() else "cpu"


def seconds_of(work: Work, *, spans: int = 5, span_s: float = 0.1) -> float:
    """Seconds of one call of `work`: median over spans of about `span_s` each."""
    if not on_gpu():
        return wall_seconds_of(work, spans=min(spans, 2), span_s=0.01)
    for _ in range(3):
        work()
    repeats = max(1, min(1_000, round(span_s / max(_span(work, 2), 1e-6))))
    return median(_span(work, repeats) for _ in range(spans))


def wall_seconds_of(work: Work, *, spans: int = 5, span_s: float = 0.1) -> float:
    """The same by the wall's clock, for calls that return when their work is done."""
    work()
    start_s = time.perf_counter()
    work()
    once_s = time.perf_counter() - start_s
    repeats = max(1, min(1_000, round(span_s / max(once_s, 1e-6))))
    times_s = []
    for _ in range(spans):
        start_s = time.perf_counter()
        for _ in range(repeats):
            work()
        times_s.append((time.perf_counter() - start_s) / repeats)
    return median(times_s)


def captured(work: Work) -> Work:
    """`work` as one CUDA graph; what it returns stays where it is. On a CPU: `work` itself."""
    if not on_gpu():
        return work
    stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def _span(work: Work, repeats: int) -> float:
    make: Any = torch.cuda.Event
    start, end = make(enable_timing=True), make(enable_timing=True)
    start.record()
    for _ in range(repeats):
        work()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1_000 / repeats
