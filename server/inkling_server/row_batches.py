"""Batches of rows, and how a runtime runs them: alone, or several callers' as one.

    Runtime (protocol)
    ├── OpenVinoRuntime   inkling_server.openvino_runtime: many batches at a time, on the CPU
    ├── CudaRuntime       inkling_server.cuda_runtime: one at a time, on a GPU
    └── ONNX Runtime      inkling_server.runtimes: one at a time, on the CPU

It knows no runtime itself.

Shapes: B rows of a batch; all inputs share their first dimension.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows to run.

    Attributes:
        inputs: by name; they must stay as they are until `done` is called.
        done: takes the model's first output, B rows that are its own, or what went wrong; must
            neither raise nor start anything.
    """

    inputs: Arrays
    done: Callable[[NDArray[Any] | Exception], None]


class Runtime(Protocol):
    """A loaded model. Not thread-safe: one owner."""

    description: str

    def run(self, inputs: Arrays) -> NDArray[Any]:
        """Runs B rows; returns the model's first output, B rows that the caller owns."""

    def start(self, batches: Sequence[Batch]) -> None:
        """Starts batches that need not wait for each other; returns when there is room for more.

        Each one's `done` is called once, by this thread or by one of the runtime's own. One batch
        cannot fail another.
        """


def run_joined(
    run: Callable[[Arrays], NDArray[Any]], parts: Sequence[Arrays]
) -> Sequence[NDArray[Any] | Exception]:
    """Runs the rows of several callers as one batch, or each alone if that fails.

    Args:
        run: returns as many rows as it is given.
        parts: what each caller brings.

    Returns:
        for each part its rows, or what went wrong with it alone.
    """
    if len(parts) > 1:
        # Also joining fails: texts of different lengths cannot be.
        with contextlib.suppress(Exception):
            return split_rows(run(join_rows(parts)), parts)
    return run_each(run, parts)


def run_each(
    run: Callable[[Arrays], NDArray[Any]], parts: Sequence[Arrays]
) -> Sequence[NDArray[Any] | Exception]:
    """`run_joined`, one part after the other."""
    results: list[NDArray[Any] | Exception] = []
    for part in parts:
        try:
            results.append(run(part))
        except Exception as error:
            results.append(error)
    return results


def join_rows(parts: Sequence[Arrays]) -> Arrays:
    """All rows as one batch; a lone part is not copied."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def split_rows(rows: NDArray[Any], parts: Sequence[Arrays]) -> Sequence[NDArray[Any]]:
    """Each part's rows of a result, without copies."""
    ends = np.cumsum([row_count(part) for part in parts])
    return np.split(rows, ends[:-1])


def start_joined(run: Callable[[Arrays], NDArray[Any]], batches: Sequence[Batch]) -> None:
    """`Runtime.start` by a `run` that has all rows at once: all are done when this returns."""
    results = run_joined(run, [batch.inputs for batch in batches])
    for batch, result in zip(batches, results, strict=True):
        batch.done(result)


def row_count(inputs: Arrays) -> int:
    """B."""
    return len(next(iter(inputs.values())))
