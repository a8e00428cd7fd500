"""A RefreshManager with everything real around it but the process and the model.

The store, the states, the index and the files are real; the job writes the graph that the test
wants, and waits where the test says so.
"""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from inkling_server.embedding_cache import CacheKey
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.images import ImageLimits
from inkling_server.interests.graph import GraphSnapshot
from inkling_server.interests.snapshot import load_snapshot, save_snapshot, write_draft
from inkling_server.interests.stages import Stage
from inkling_server.interests.store import GraphStore
from inkling_server.interests.vectors import Vectors, save_vectors
from inkling_server.refresh.job import JobResult
from inkling_server.refresh.manager import RefreshManager, RefreshPolicy
from inkling_server.refresh.operation import RefreshOperation
from inkling_server.refresh.operation_files import OperationFiles
from inkling_server.serving_state import ServingState, StateHolder, build_state
from inkling_server.tag_index import SearchThread
from tests.serving import CALIBRATION, COLOURS, make_graph, picture, until

COUNTS = {"item_count": 9, "kept_count": 7, "near_duplicate_count": 2}


async def _content() -> str:
    return "content"


class GatedStore(GraphStore):
    """A store that can be held up while it publishes."""

    def __init__(self, root: Path, shipped: Path) -> None:
        super().__init__(root, shipped)
        self.publishing = threading.Event()
        self.may_publish = threading.Event()
        self.may_publish.set()
        self.failure: OSError | None = None

    def publish(self, draft: Path) -> Path:
        self.publishing.set()
        assert self.may_publish.wait(20)
        if self.failure is not None:
            raise self.failure
        return super().publish(draft)


class World:
    """One gateway's refreshing.

    Attributes:
        graph: what the next job builds; None: nothing new.
        shift: rows by which its embeddings are wrong.
        job_gate: the job waits for it after it has told of reading.
        failure: the job raises it.
        outcomes, swaps: what the observer was told.
        bases, forced: what jobs were given.
    """

    def __init__(
        self, folder: Path, thread: SearchThread, encoder: FakeEncoder, *, root: Path | None = None
    ) -> None:
        self.folder = folder
        self.thread = thread
        self.encoder = encoder
        self.store = GatedStore(root or folder / "graph", folder / "shipped")
        self.files = OperationFiles(folder / "operations")
        self.graph: GraphSnapshot | None = grown("g2")
        self.shift = 0
        self.job_gate = asyncio.Event()
        self.job_gate.set()
        self.failure: BaseException | None = None
        self.outcomes: list[str] = []
        self.swaps: list[str] = []
        self.bases: list[str] = []
        self.forced: list[bool] = []

    async def open(self, **policy: Any) -> "RefreshManager":
        """Serves what is current, g1 where nothing is, with a manager around it."""
        if not self.store.current_version():
            save_snapshot(make_graph("g1"), self.store.root)
            self.store.make_current("g1")
        graph, _ = self.store.load_current()
        self.states = StateHolder(await self.open_state(graph, None))
        self.manager = RefreshManager(
            self.store,
            self.states,
            open_state=self.open_state,
            run_job=self.run_job,
            files=self.files,
            canaries=[picture("red"), picture("blue")],
            image_limits=ImageLimits(),
            feed_name=_content,
            observer=self,
            policy=RefreshPolicy(**({"prove_timeout_s": 5.0, "poll_s": 0.01} | policy)),
        )
        return self.manager

    async def open_state(self, graph: GraphSnapshot, vectors: Vectors | None) -> ServingState:
        return await build_state(
            graph, self.encoder, CALIBRATION, search_thread=self.thread, vectors=vectors
        )

    async def run_job(
        self, base: Path, force: bool, on_progress: Callable[[Stage, int, int], None]
    ) -> JobResult:
        self.bases.append(base.name)
        self.forced.append(force)
        on_progress(Stage.LOADING, 0, 1)
        load_snapshot(base)
        on_progress(Stage.READING, 5, 9)
        await self.job_gate.wait()
        if self.failure is not None:
            raise self.failure
        if self.graph is None:
            return JobResult(None, COUNTS)
        graph = self.graph
        rows_ND = await self.encoder.encode_texts([i.phrase for i in graph.interests], timeout_s=5)
        vectors = Vectors(
            CacheKey.of(self.encoder.manifest).digest, np.roll(rows_ND, self.shift, axis=0)
        )
        on_progress(Stage.WRITING, 0, 1)
        draft = write_draft(graph, self.store.root, lambda folder: save_vectors(vectors, folder))
        return JobResult(draft, COUNTS, 1, 0)

    def refresh_finished(self, outcome: str, duration_s: float) -> None:
        assert duration_s >= 0
        self.outcomes.append(outcome)

    def graph_swapped(self, state: ServingState) -> None:
        self.swaps.append(state.graph_version)

    async def refresh(self, **start: Any) -> RefreshOperation:
        """A whole refresh."""
        operation = await self.manager.start(**start)
        async with asyncio.timeout(20):
            return await self.manager.wait(operation.name, None)

    @property
    def serves(self) -> str:
        return self.states.current.graph_version

    @property
    def drafts(self) -> list[str]:
        return [path.name for path in self.store.root.glob(".draft-*")]

    def stage(self, name: str) -> Stage:
        return self.manager.get(name).progress.stage


def grown(version: str, *, created: datetime | None = None, more: int = 1) -> GraphSnapshot:
    """The kit's graph with more interests."""
    counts = COLOURS | {f"{version} thing {n}": 7 for n in range(more)}
    graph = make_graph(version, counts)
    if created is None:
        return graph
    return GraphSnapshot(version, created.astimezone(UTC), graph.interests)


async def reach(world: World, stage: Stage) -> str:
    """Starts a refresh and holds it in a stage."""
    if stage is Stage.PUBLISHING:
        world.store.may_publish.clear()
    else:
        world.job_gate.clear()
    operation = await world.manager.start()
    if stage is Stage.PROVING:
        await until(lambda: world.stage(operation.name) is Stage.READING)
        seen = len(world.encoder.image_batches)
        original = world.encoder.encode_images

        async def hold(*arguments: object, **named: object) -> object:
            world.encoder.gate.clear()
            return await original(*arguments, **named)  # type: ignore[arg-type]

        world.encoder.encode_images = hold  # type: ignore[assignment,method-assign]
        world.job_gate.set()
        await until(lambda: len(world.encoder.image_batches) > seen)
        world.encoder.encode_images = original  # type: ignore[method-assign]
    await until(lambda: world.stage(operation.name) is stage)
    return operation.name


def let_go(world: World) -> None:
    """Ends whatever `reach` holds up."""
    world.store.may_publish.set()
    world.job_gate.set()
    world.encoder.gate.set()
