"""The load generator as its owner sees it: start, run jobs, stop.

It does not know what is measured; see jobs.py for what goes over the pipe.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.speed.jobs import Job, Outcome

_REPOSITORY = Path(__file__).resolve().parents[2]


class GeneratorFailed(Exception):
    """The load generator ended, or said something that is no outcome."""


class Generator:
    """One process of `benchmarks.speed.loadgen`. One job at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.speed.loadgen"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_REPOSITORY,
            env=os.environ | {"GRPC_VERBOSITY": "NONE"},
            text=True,
        )

    def run(self, job: Job) -> Outcome:
        """Does one job; returns when its last answer has come.

        Raises:
            GeneratorFailed: the process ended; its traceback is on stderr.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(job.to_line() + "\n")
            stdin.flush()
        except BrokenPipeError as error:
            raise GeneratorFailed(
                f"the load generator ended with {self._process.wait()}"
            ) from error
        line = stdout.readline()
        if not line:
            raise GeneratorFailed(f"the load generator ended with {self._process.wait()}")
        return Outcome(**json.loads(line))

    def close(self) -> None:
        """Ends the process. Idempotent."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
