"""What all sections share: the plan, the folder, the generator, and one way to measure.

`Bench.measure` does one job on one system and says what it took: pictures a second, latencies, the
server's processor time by role, the generator's. It does not know which questions are asked.
"""

import contextlib
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.speed import process_tree
from benchmarks.speed.bare import CORES
from benchmarks.speed.generator import Generator
from benchmarks.speed.jobs import (
    Job,
    http_messages,
    stream_messages,
    tag_messages,
    write_messages,
)
from benchmarks.speed.pictures import PictureSize, make_pictures, make_sized, size_named
from benchmarks.speed.systems import Endpoint, Gateway, System, open_gateway
from benchmarks.speed.tags import ServedModel, export_tags

# Messages of a stream: as many as a stream may have under way.
WINDOW = 96


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        quick: a run that only shows that everything works; its numbers mean nothing.
        rounds: of interleaved measurements.
        seconds: of one measurement.
        requests: of the memory section.
        model_repository: that the gateway serves; the peers run its ONNX file.
        server_flags: for the gateway.
        price: USD of one processor for an hour.
        vit_precision: of the export that section "vit" serves.
    """

    quick: bool
    rounds: int
    seconds: float
    requests: int
    model_repository: Path
    server_flags: tuple[str, ...] = ()
    price: float = 0.04
    vit_precision: str = "bf16"


@dataclass(slots=True)
class Bench:
    """A run under way. `open_bench` makes it."""

    plan: Plan
    folder: Path
    generator: Generator
    _sets: dict[str, list[bytes]] = field(default_factory=dict)
    _model: ServedModel | None = None

    def pictures(self, size: str = "45 KB") -> list[bytes]:
        """The pictures of a size, made once."""
        if size not in self._sets:
            chosen = size_named(size)
            if self.plan.quick:
                chosen = replace(chosen, count=min(chosen.count, 4))
            self._sets[size] = _made(chosen)
        return self._sets[size]

    def add_pictures(self, name: str, files: Sequence[bytes]) -> None:
        """Pictures of a kind of their own; `name` serves where a size does."""
        self._sets[name] = list(files)

    @contextlib.contextmanager
    def gateway(self, *flags: str, name: str = "gateway") -> Iterator[Gateway]:
        """A gateway with the plan's flags and these, warmed up; `name`: of its data folder."""
        repository = f"--model-repository={self.plan.model_repository}"
        own = (repository, *self.plan.server_flags, *flags)
        with open_gateway(self.folder / name, *own) as gateway:
            if self._model is None:
                self._model = export_tags(
                    self.plan.model_repository,
                    self.folder / name / "embeddings",
                    self.folder / "tags.npz",
                )
            self.warm_up(gateway)
            yield gateway

    @property
    def model(self) -> ServedModel:
        """What is served. Known once a gateway has run."""
        assert self._model is not None, "open a gateway first"
        return self._model

    def warm_up(self, system: System) -> None:
        """A short load on each endpoint: pools, caches and code paths as they will be."""
        for endpoint in system.endpoints:
            self.generator.run(self.job(endpoint, seconds=0.3 if self.plan.quick else 1.5))

    def job(
        self,
        endpoint: Endpoint,
        *,
        size: str = "45 KB",
        **how: Any,
    ) -> Job:
        """A job on an endpoint; `how` holds more of Job's fields (default: the plan's seconds)."""
        messages = self._messages(endpoint, size)
        values: dict[str, Any] = {"seconds": self.plan.seconds, "concurrency": 32} | how
        if endpoint.transport == "grpc-stream" and "concurrency" not in how:
            values["concurrency"] = WINDOW
        return Job(endpoint.transport, endpoint.address, endpoint.method, str(messages), **values)

    def measure(self, system: System, job: Job) -> dict[str, Any]:
        """Does a job and accounts for it."""
        before = process_tree.cpu_seconds(system.pid)
        outcome = self.generator.run(job)
        used = process_tree.used_between(before, process_tree.cpu_seconds(system.pid))
        answered = max(outcome.ok, 1)
        return outcome.to_dict() | {
            "server_cpu_s": {role: round(s, 3) for role, s in used.items()},
            "server_cpu_ms_per_picture": round(sum(used.values()) / answered * 1000, 3),
            "client_cpu_ms_per_request": round(outcome.cpu_s / max(outcome.sent, 1) * 1000, 3),
            "client_share_of_machine": round(outcome.cpu_s / outcome.wall_s / CORES, 4),
        }

    def _messages(self, endpoint: Endpoint, size: str) -> Path:
        kind: str = endpoint.transport
        if kind == "http":
            kind = f"http-{endpoint.body_kind}-{endpoint.address.replace(':', '-')}"
        path = self.folder / f"{kind}-{size}".replace(" ", "")
        if path.exists():
            return path
        files = self.pictures(size)
        if endpoint.transport == "http":
            bodies = [endpoint.body(picture) for picture in files]
            return write_messages(path, http_messages(bodies, endpoint.path, endpoint.address))
        requests = tag_messages(files)
        if endpoint.transport == "grpc-stream":
            requests = stream_messages(requests, WINDOW)
        return write_messages(path, requests)


@contextlib.contextmanager
def open_bench(plan: Plan) -> Iterator[Bench]:
    """A run in a folder of its own, which is gone afterwards.

    SIGTERM ends the process as Ctrl-C does: the servers that it started end with it.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with (
        tempfile.TemporaryDirectory(prefix="inkling-speed-") as folder,
        Generator() as generator,
    ):
        yield Bench(plan, Path(folder), generator)


def _made(size: PictureSize) -> list[bytes]:
    return make_pictures(size.count) if size.wanted_bytes is None else make_sized(size)
