"""Runs one encoder's file on the CPU by OpenVINO: several batches side by side, row by row.

    start(batches) ─► row queue ─┬─► inference ─► a waiting thread ─► the last row of a batch: done
                                 └── the next rows are started ◄─┘

Whoever has changed what is worth starting starts it: the thread that brought rows, so that a lone
picture waits for no other thread (which could not run anyway before Triton lets go of Python's
lock), and the one that saw an inference end, before it hands over results. There are two inferences
for each stream: one computes, and one waits for it or is being handed over. Like `runtimes`, which
opens it, this module knows neither Triton nor pictures.

Shapes: B rows of a batch; all inputs share their first dimension.
"""

import threading
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import openvino
from numpy.typing import NDArray

from inkling_server.openvino_graph import transpose_pixels_first
from inkling_server.row_batches import Arrays, Batch, join_rows, run_each, split_rows
from inkling_server.row_queue import RowQueue, Share

_INFERENCES_PER_STREAM = 2


@dataclass(frozen=True, slots=True)
class _Started:
    """A share on its way; not `running`: it could not even be started."""

    inference: Any
    share: Share
    running: bool


class OpenVinoRuntime:
    """A loaded model. Any thread may start batches; it must be kept until they are done.

    Args:
        model: its file.
        precision: "bf16", where the CPU has it, or "f32".
        threads: that all streams share.
        streams: inferences that run side by side.
        chunk: most rows of one inference; 0: no limit but that every stream gets something to do.
        cache_dir: keeps what the compiler made; None: nothing is kept.
    """

    def __init__(
        self,
        model: Path,
        *,
        precision: str,
        threads: int,
        streams: int,
        chunk: int,
        cache_dir: Path | None,
    ) -> None:
        core = openvino.Core()
        if cache_dir is not None:
            core.set_property({"CACHE_DIR": str(cache_dir)})
        has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        precision = "bf16" if precision == "bf16" and has_bf16 else "f32"
        graph = core.read_model(str(model))
        transpose_pixels_first(graph)
        compiled = core.compile_model(
            graph,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": precision,
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": streams,
                # Pinned threads of several models would sit on the same processors.
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._inferences = _Inferences(compiled, streams, chunk)
        # Its threads would keep a model that nobody has any more.
        weakref.finalize(self, self._inferences.close)
        version = openvino.__version__.split("-")[0]
        self.description = f"OpenVINO {version} {precision}, {threads} threads, {streams} streams"

    def run(self, inputs: Arrays) -> NDArray[Any]:
        """Runs B rows; returns the model's first output, B rows that the caller owns."""
        results: SimpleQueue[NDArray[Any] | Exception] = SimpleQueue()
        self.start([Batch(inputs, results.put)])
        result = results.get()
        if isinstance(result, Exception):
            raise result
        return result

    def start(self, batches: Sequence[Batch]) -> None:
        """Lets batches join the line, and returns at once; see `row_batches.Runtime`."""
        self._inferences.start(batches)


class _Inferences:
    """The line, the inferences of all streams, and a thread for each that waits for its end."""

    def __init__(self, compiled: Any, streams: int, chunk: int) -> None:
        count = streams * _INFERENCES_PER_STREAM
        self._queue = RowQueue(streams, chunk, count)
        self._idle = deque(compiled.create_infer_request() for _ in range(count))
        # None ends a thread.
        self._started: SimpleQueue[_Started | None] = SimpleQueue()
        self._count = count
        for number in range(count):
            # Daemons: they hold nothing that must be put away.
            threading.Thread(
                target=self._hand_over, name=f"inkling-inference_{number}", daemon=True
            ).start()

    def start(self, batches: Sequence[Batch]) -> None:
        self._queue.put(batches)
        self._start_next()

    def close(self) -> None:
        """Ends the threads, and with them what they hold."""
        for _ in range(self._count):
            self._started.put(None)

    def _start_next(self) -> None:
        while (share := self._queue.take()) is not None:
            inference = self._idle.pop()  # there is one: the queue counts them
            try:
                inputs = join_rows([piece.inputs for piece in share])
                inference.start_async(dict(inputs), share_inputs=True)
                running = True
            except Exception:
                running = False
            self._started.put(_Started(inference, share, running))

    def _hand_over(self) -> None:
        while (started := self._started.get()) is not None:
            results = _results_of(started)
            self._idle.append(started.inference)
            self._queue.computed()
            self._start_next()
            for piece, result in zip(started.share, results, strict=True):
                self._queue.finish(piece, result)
            del started, results  # nobody's pixels while this waits


def _results_of(started: _Started) -> Sequence[NDArray[Any] | Exception]:
    """For each piece of a share its rows, or what went wrong with it alone."""
    parts = [piece.inputs for piece in started.share]
    if started.running:
        try:
            started.inference.wait()
            return split_rows(_output(started.inference), parts)
        except Exception:  # noqa: S110  found out below, one by one
            pass
    return run_each(partial(_run, started.inference), parts)


def _run(inference: Any, inputs: Arrays) -> NDArray[Any]:
    inference.start_async(dict(inputs), share_inputs=True)
    inference.wait()
    return _output(inference)


def _output(inference: Any) -> NDArray[Any]:
    rows: NDArray[Any] = inference.get_output_tensor(0).data.copy()
    return rows
