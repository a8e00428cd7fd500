"""Rows of many batches in one line, and how many of them are computed together.

    put(batch) ─► rows in line ─► take(): a share, of one batch or more ─► computed() ─► finish

Rows are taken as streams of the processor become free, across the borders of batches: a picture
that comes alone does not wait for the batch before it, and the first rows of a batch share an
inference with the last ones of another. It knows neither runtimes nor Triton, computes nothing and
never waits: whoever puts rows, or has computed some, asks what to start now.

Shapes: B rows of a batch; all its inputs share their first dimension.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkling_server.row_batches import Arrays, Batch, row_count


class _Waiting:
    """A batch some of whose rows are in line or being computed. The queue's lock guards it."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.rows = row_count(batch.inputs)
        self.taken = self.computed = 0
        # Rows of another shape (longer texts) cannot share an inference.
        self.shape = {name: array.shape[1:] for name, array in batch.inputs.items()}
        self.result: NDArray[Any] | None = None
        self.error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring rows of one batch."""

    waiting: _Waiting
    first: int
    last: int

    @property
    def inputs(self) -> Arrays:
        """The rows, without a copy."""
        arrays = self.waiting.batch.inputs
        return {name: array[self.first : self.last] for name, array in arrays.items()}


Share = Sequence[Piece]


class RowQueue:
    """The line. Any thread may call anything.

    Args:
        streams: shares that are computed at a time.
        chunk: most rows of a share; 0: no limit.
        most_shares: of those that were taken, computed or not; some may wait for their stream.
    """

    def __init__(self, streams: int, chunk: int, most_shares: int) -> None:
        self._streams, self._chunk, self._most_shares = streams, chunk, most_shares
        self._line: deque[_Waiting] = deque()
        self._rows = self._computing = 0
        self._lock = threading.Lock()

    def put(self, batches: Sequence[Batch]) -> None:
        """Lets batches join the line; one without rows fails at once."""
        coming = [_Waiting(batch) for batch in batches]
        with self._lock:
            for waiting in coming:
                if waiting.rows:
                    self._line.append(waiting)
                    self._rows += waiting.rows
        for waiting in coming:
            if not waiting.rows:
                waiting.batch.done(ValueError("a batch without rows"))

    def take(self) -> Share | None:
        """Takes the rows that are worth an inference now; None: none are.

        While a stream is idle any row is, and rows are spread over the idle streams. When all are
        busy a full share may already be taken, so that its stream need not wait for Python; a
        smaller one had better wait for company.
        """
        with self._lock:
            if not self._rows or self._computing >= self._most_shares:
                return None
            idle = self._streams - self._computing
            if idle <= 0 and not 0 < self._chunk <= self._rows:
                return None
            wanted = -(-self._rows // max(1, idle))
            self._computing += 1
            return self._first(min(self._chunk, wanted) if self._chunk else wanted)

    def _first(self, wanted: int) -> Share:
        share: list[Piece] = []
        shape = self._line[0].shape
        while wanted and self._line and self._line[0].shape == shape:
            waiting = self._line[0]
            first = waiting.taken
            waiting.taken = min(waiting.rows, first + wanted)
            share.append(Piece(waiting, first, waiting.taken))
            wanted -= waiting.taken - first
            self._rows -= waiting.taken - first
            if waiting.taken == waiting.rows:
                self._line.popleft()
        return share

    def computed(self) -> None:
        """A share that was taken no longer needs its stream: another one may be worth taking."""
        with self._lock:
            self._computing -= 1

    def finish(self, piece: Piece, result: NDArray[Any] | Exception) -> None:
        """Hands over a piece's rows, or what went wrong with them; the last one ends its batch."""
        waiting = piece.waiting
        with self._lock:
            if isinstance(result, Exception):
                waiting.error = result
            elif waiting.result is None:
                waiting.result = np.empty((waiting.rows, *result.shape[1:]), result.dtype)
        if not isinstance(result, Exception):
            assert waiting.result is not None
            waiting.result[piece.first : piece.last] = result
        with self._lock:
            waiting.computed += piece.last - piece.first
            if waiting.computed < waiting.rows:
                return
        answer = waiting.error if waiting.error is not None else waiting.result
        assert answer is not None
        waiting.batch.done(answer)
