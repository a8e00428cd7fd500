"""Builds gateways for tests: a small graph, a small model repository, a fake encoder.

Nothing here is a shortcut through the product: the gateway gets its encoder through the same seam
as in production (`OpenBackend`), and its settings and data folder are ordinary ones.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from inkling_server.data_dir import DataDir
from inkling_server.encoders import Encoder, EncoderAddress, EncoderBackend
from inkling_server.engine import BackendEvents, OpenBackend
from inkling_server.fake_encoder import DEFAULT_MANIFEST, NAMED_COLOURS, FakeEncoder
from inkling_server.gateway import Gateway, running_gateway
from inkling_server.interests.graph import GraphSnapshot, Interest, interest_id, make_snapshot
from inkling_server.interests.snapshot import save_snapshot
from inkling_server.interests.store import GraphStore
from inkling_server.model_manifest import ModelManifest
from inkling_server.refreshing import SHIPPED_GRAPHS
from inkling_server.settings import Settings


def colour_graph() -> GraphSnapshot:
    """One interest for each colour that the fake encoder knows by name."""
    interests = [Interest(interest_id(name), name, (), 10) for name in NAMED_COLOURS]
    return make_snapshot(interests, datetime(2026, 11, 1, tzinfo=UTC))


def write_model_repository(
    root: Path, manifest: ModelManifest = DEFAULT_MANIFEST, *, bias: float = -4.0
) -> Path:
    """Manifest and calibration of a fake model, where the gateway looks for them."""
    folder = root / "vision_encoder" / str(manifest.version)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(asdict(manifest)), encoding="utf-8")
    texts = root / "text_encoder" / str(manifest.version)
    texts.mkdir(parents=True, exist_ok=True)
    (texts / "tokenizer.json").write_text("{}", encoding="utf-8")
    calibration = {
        "scale": 10.0,
        "bias": bias,
        "prior_weight": 0.0,
        "prior_cap": 0.0,
        "prior_smoothing": 1.0,
        "calibrated_time": "2026-11-01T12:00:00+00:00",
        "split": "none",
        "ece": 0.0,
        "recommended": {"top_n": 3, "min_score": 0.1, "precision": 0.5, "coverage": 0.75},
    }
    (folder / "calibration.json").write_text(json.dumps(calibration), encoding="utf-8")
    return root


def gateway_settings(tmp_path: Path, **changes: Any) -> Settings:
    """Settings for a gateway on free loopback ports, with its own data folder below `tmp_path`."""
    values: dict[str, Any] = {
        "grpc_port": 0,
        "http_port": 0,
        "data_dir": tmp_path / "data",
        "model_repository": write_model_repository(tmp_path / "models"),
        "canary_period_s": 0.02,
        "database_url": "off",
        "drain_s": 5.0,
    }
    return Settings(**(values | changes))


class FakeBackend:
    """Hands fake encoders to the gateway, and keeps what the gateway told it.

    Args:
        encoder: of the version that is opened first.
        more: of the others; called with the version, may raise.

    Attributes:
        opened: versions, in order.
        serving: the encoder that is kept alive now.
    """

    def __init__(
        self, encoder: Encoder, more: Callable[[int], Encoder | Awaitable[Encoder]] | None = None
    ) -> None:
        self.encoder = encoder
        self.serving = encoder
        self.opened: list[int] = []
        self.events: BackendEvents | None = None
        self.ended = False
        self._more = more

    @asynccontextmanager
    async def open(
        self, settings: Settings, data_dir: DataDir, events: BackendEvents
    ) -> AsyncIterator[EncoderBackend]:
        """An `OpenBackend`."""
        del settings, data_dir
        self.events = events
        try:
            yield _Opened(self)
        finally:
            self.ended = True

    async def open_version(self, version: int) -> Encoder:
        """The first one is `encoder`, whatever its version."""
        self.opened.append(version)
        if len(self.opened) == 1 or self._more is None:
            return self.encoder
        made = self._more(version)
        return await made if isinstance(made, Awaitable) else made


class _Opened:
    """The `EncoderBackend` of a FakeBackend."""

    def __init__(self, backend: FakeBackend) -> None:
        self._backend = backend

    async def open(self, version: int) -> Encoder:
        return await self._backend.open_version(version)

    def serve(self, encoder: Encoder) -> None:
        self._backend.serving = encoder

    async def loaded_versions(self) -> Collection[int]:
        return {self._backend.serving.manifest.version}

    @property
    def address(self) -> EncoderAddress:
        return EncoderAddress("fake", is_local=True)


def gateway_with(
    encoder: FakeEncoder, settings: Settings, open_backend: OpenBackend | None = None
) -> AbstractAsyncContextManager[Gateway]:
    """A gateway that listens, with the colour graph in its data folder."""
    store = GraphStore(settings.data_dir / "graph", SHIPPED_GRAPHS)
    store.make_current(save_snapshot(colour_graph(), store.root).name)
    return running_gateway(settings, open_backend or FakeBackend(encoder).open)


def jpeg(colour: str = "red", *, width: int = 64, height: int = 48) -> bytes:
    """A JPEG of one colour."""
    pixels_HWC = np.empty((height, width, 3), np.uint8)
    pixels_HWC[:] = NAMED_COLOURS[colour]
    data: bytes = simplejpeg.encode_jpeg(pixels_HWC, quality=95, colorspace="RGB")
    return data
