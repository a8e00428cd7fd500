"""Runs one encoder's file on the CPU by OpenVINO: several batches side by side, row by row.

    start(batches) ─► row queue ─► lanes, two for each stream ─► the last row of a batch: done

A lane is a thread with an inference of its own. A stream has two, so that one computes while Python
hands over what the other one found. Like `runtimes`, which opens it, this module knows neither
Triton nor pictures.

Shapes: B rows of a batch; all inputs share their first dimension.
"""

import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import openvino
from numpy.typing import NDArray

from inkling_server.openvino_graph import transpose_pixels_first
from inkling_server.row_queue import RowQueue
from inkling_server.runtimes import Arrays, Batch, run_joined, run_one

_LANES_PER_STREAM = 2


class OpenVinoRuntime:
    """A loaded model. Any thread may start batches.

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
        self._queue = RowQueue(streams, chunk)
        for number in range(streams * _LANES_PER_STREAM):
            # Daemons: they hold nothing that must be put away.
            threading.Thread(
                target=self._lane,
                args=(compiled.create_infer_request(),),
                name=f"inkling-lane_{number}",
                daemon=True,
            ).start()
        version = openvino.__version__.split("-")[0]
        self.description = f"OpenVINO {version} {precision}, {threads} threads, {streams} streams"

    def run(self, inputs: Arrays) -> NDArray[Any]:
        """Runs B rows; returns the model's first output, B rows that the caller owns."""
        return run_one(self, inputs)

    def start(self, batches: Sequence[Batch]) -> None:
        """Lets batches join the line, and returns at once; see `runtimes.Runtime`."""
        self._queue.put(batches)

    def _lane(self, inference: Any) -> None:
        run = partial(_run, inference)
        while True:
            share = self._queue.take()
            results = run_joined(run, [piece.inputs for piece in share])
            self._queue.computed()
            for piece, result in zip(share, results, strict=True):
                self._queue.finish(piece, result)
            del share, results  # nobody's pixels while this waits


def _run(inference: Any, inputs: Arrays) -> NDArray[Any]:
    inference.start_async(dict(inputs), share_inputs=True)
    inference.wait()
    rows: NDArray[Any] = inference.get_output_tensor(0).data.copy()
    return rows
