"""A RolloutManager with everything real around it but the models.

States, index, folders, files and the pointer are real; models are fakes whose spaces differ, so
that an embedding of one is noise to another.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inkling_server.encoders import Embeddings, Encoder, EncoderAddress
from inkling_server.errors import EncoderDown
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.images import ImageLimits
from inkling_server.model_manifest import Calibration, ModelManifest, load_calibration
from inkling_server.rollout.manager import RolloutManager, RolloutPolicy
from inkling_server.rollout.operation import (
    CanaryLimits,
    DeployOrder,
    RolloutOperation,
    RolloutStage,
)
from inkling_server.rollout.operation_files import rollout_files
from inkling_server.rollout.pointer import PointerFile
from inkling_server.rollout.sample import LiveSample
from inkling_server.rollout.trial import Trial
from inkling_server.serving_state import ServingState, StateHolder, build_state
from inkling_server.tag_index import SearchThread
from inkling_server.turn import Turn
from tests.server.gateway_kit import write_model_repository
from tests.serving import make_graph, make_manifest, picture

COLOURS = ("red", "blue", "green", "white", "black", "yellow")
LIMITS = CanaryLimits(min_overlap=0.5, max_latency_ratio=1_000, max_lost_coverage=0.5)


class SpacedEncoder(FakeEncoder):
    """A fake whose embeddings are turned: the same cosines, another space for each version.

    Args:
        manifest: of the version.
        misfitted: texts live in a space of their own, so tags are nonsense.
    """

    def __init__(self, manifest: ModelManifest, *, misfitted: bool = False) -> None:
        super().__init__(manifest)
        self._turn_DD = _turn(manifest.version, manifest.dimension)
        self._text_turn_DD = _turn(1000, manifest.dimension) if misfitted else self._turn_DD
        self.close_count = 0

    async def encode_images(self, pixels_BHWC: Any, *, timeout_s: float) -> Embeddings:
        return await super().encode_images(pixels_BHWC, timeout_s=timeout_s) @ self._turn_DD

    async def encode_texts(self, texts: Sequence[str], *, timeout_s: float) -> Embeddings:
        return await super().encode_texts(texts, timeout_s=timeout_s) @ self._text_turn_DD

    async def close(self) -> None:
        self.close_count += 1
        await super().close()


def _turn(seed: int, dimension: int) -> Embeddings:
    random_DD = np.random.default_rng(seed).standard_normal((dimension, dimension))
    return np.linalg.qr(random_DD)[0].astype(np.float32)


class World:
    """One gateway's rollouts. Also the backend, and the observer.

    Attributes:
        make: makes the encoder of a version that is opened.
        encoders: those that were made, in order.
        outcomes, swaps: what the observer was told.
    """

    def __init__(self, folder: Path, thread: SearchThread) -> None:
        self.folder = folder
        self.thread = thread
        self.repository = folder / "models"
        self.pointer = PointerFile(folder / "model.json")
        self.canary_dir = folder / "canaries"
        self.turn = Turn()
        self.sample = LiveSample(8)
        self.make: Callable[[int], SpacedEncoder] = lambda v: SpacedEncoder(make_manifest(v))
        self.open_gate = asyncio.Event()
        self.open_gate.set()
        self.encoders: list[SpacedEncoder] = []
        self.served: list[int] = []
        self.outcomes: list[str] = []
        self.swaps: list[str] = []
        self.texts_per_call = 2
        folder.mkdir(parents=True, exist_ok=True)
        self.canary_dir.mkdir(exist_ok=True)
        for colour in COLOURS:
            (self.canary_dir / f"{colour}.png").write_bytes(picture(colour))
        for version in (1, 2, 3):
            self.add(version)

    def add(self, version: int, **changes: Any) -> None:
        """A version folder of the repository."""
        write_model_repository(self.repository, make_manifest(version, **changes), bias=-2.0)

    async def start(self, version: int = 1, *, pinned: int | None = None) -> RolloutManager:
        """Serves a version, with a manager around it."""
        encoder = self.make(version)
        self.encoders.append(encoder)
        calibration = load_calibration(self.repository, version)
        self.states = StateHolder(await self._build(encoder, calibration))
        self.manager = RolloutManager(
            self.states,
            self,
            open_state=self._build,
            trial=Trial(
                folder=self.canary_dir,
                sample=self.sample,
                built_in=[picture("red"), picture("blue")],
                image_limits=ImageLimits(),
                timeout_s=5.0,
                pause_ratio=0.0,
            ),
            pointer=self.pointer,
            files=rollout_files(self.folder / "operations"),
            turn=self.turn,
            observer=self,
            encoders=await encoder.describe(),
            policy=RolloutPolicy(self.repository, pinned=pinned, limits=LIMITS, pause_ratio=0.0),
        )
        return self.manager

    async def _build(
        self,
        encoder: Encoder,
        calibration: Calibration,
        on_batch: Callable[[int, int], Awaitable[None]] | None = None,
    ) -> ServingState:
        return await build_state(
            make_graph(),
            encoder,
            calibration,
            search_thread=self.thread,
            texts_per_call=self.texts_per_call,
            on_batch=on_batch,
        )

    async def deploy(self, version: int = 2, **order: Any) -> RolloutOperation:
        """A whole rollout."""
        values = {"limits": LIMITS} | order
        return await self.ended(await self.manager.deploy(DeployOrder(version, **values)))

    async def ended(self, operation: RolloutOperation) -> RolloutOperation:
        """It, when it has ended."""
        async with asyncio.timeout(20):
            return await self.manager.wait(operation.name, None)

    @property
    def serves(self) -> int:
        return self.states.current.manifest.version

    def stage(self, name: str) -> RolloutStage:
        return self.manager.get(name).progress.stage

    # EncoderBackend

    async def open(self, version: int) -> Encoder:
        await self.open_gate.wait()
        encoder = self.make(version)
        self.encoders.append(encoder)
        return encoder

    def serve(self, encoder: Encoder) -> None:
        self.served.append(encoder.manifest.version)

    async def loaded_versions(self) -> Collection[int]:
        if not self.encoders:
            raise EncoderDown("nothing")
        return {e.manifest.version for e in self.encoders if not e.closed}

    @property
    def address(self) -> EncoderAddress:
        return EncoderAddress("fake", is_local=True)

    # RolloutObserver

    def rollout_finished(self, outcome: str, duration_s: float) -> None:
        assert duration_s >= 0
        self.outcomes.append(outcome)

    def model_swapped(self, state: ServingState) -> None:
        self.swaps.append(state.model_version)
