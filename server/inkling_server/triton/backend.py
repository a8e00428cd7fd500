"""Opens the encoders that serve: on our own Triton, or on one that runs elsewhere.

    open(1) ─► Triton starts with version 1 ─► encoder of 1, serves
    open(2) ─► version 2 is loaded beside it ─► encoder of 2, on trial ─► serve(2)
                                                     └── close: version 2 is unloaded

This is the production `OpenBackend`: the one place where settings, Triton's supervisor and the
encoders meet. It mends nothing itself (see `supervisor`), and knows neither who decides about
versions (see `rollout`) nor the health service (see `gateway`).
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from inkling_server.data_dir import DataDir
from inkling_server.encoders import Encoder, EncoderAddress
from inkling_server.engine import BackendEvents
from inkling_server.errors import EncoderDown
from inkling_server.model_manifest import load_manifest
from inkling_server.settings import Settings
from inkling_server.triton import TritonServer, TritonState
from inkling_server.triton.encoder import TritonEncoder
from inkling_server.triton.versions import TritonVersions


@asynccontextmanager
async def open_triton(
    settings: Settings, data_dir: DataDir, events: BackendEvents
) -> AsyncIterator["TritonBackend"]:
    """A backend that starts Triton (or connects to `triton_url`) when its first version is opened;
    ends what it has started after the block."""
    backend = TritonBackend(settings, data_dir, events)
    try:
        yield backend
    finally:
        await backend.close()


class TritonBackend:
    """Implements `EncoderBackend`. Make it by `open_triton`."""

    def __init__(self, settings: Settings, data_dir: DataDir, events: BackendEvents) -> None:
        self._settings = settings
        self._data_dir = data_dir
        self._events = events
        self._triton: TritonServer | None = None

    async def open(self, version: int) -> Encoder:
        """See `EncoderBackend.open`."""
        manifest = load_manifest(self._settings.model_repository, version)
        if self._triton is None:
            self._triton = triton = await self._start(version)
            triton.on_state_change.append(self._tell)
        else:
            triton = self._triton
            await _versions(triton).add(version, timeout_s=self._settings.start_timeout_s)

        def on_failure(error: EncoderDown) -> None:
            # A version on trial that fails is the rollout's affair: nothing must be repaired.
            if _versions(triton).serving == version:
                triton.note_failure(error)

        async def on_close() -> None:
            await self._events.unloading(version)
            await _versions(triton).remove(version)

        try:
            return await TritonEncoder.connect(
                triton.address,
                self._settings.model_repository,
                manifest,
                shared_memory=triton.local,
                on_failure=on_failure,
                on_close=on_close,
                timeout_s=self._settings.encoder_timeout_s,
            )
        except BaseException:
            await on_close()
            raise

    def serve(self, encoder: Encoder) -> None:
        """See `EncoderBackend.serve`."""
        _versions(self._require_triton()).serve(encoder.manifest.version)

    async def loaded_versions(self) -> Collection[int]:
        """See `EncoderBackend.loaded_versions`."""
        return await _versions(self._require_triton()).loaded()

    @property
    def address(self) -> EncoderAddress:
        """See `EncoderBackend.address`."""
        triton = self._require_triton()
        return EncoderAddress(triton.address, is_local=triton.local)

    async def close(self) -> None:
        """Ends our own Triton. Idempotent."""
        if self._triton is not None:
            if self._tell in self._triton.on_state_change:
                self._triton.on_state_change.remove(self._tell)
            await self._triton.stop()

    async def _start(self, version: int) -> TritonServer:
        settings = self._settings
        if settings.triton_url is not None:
            return await TritonServer.connect(
                settings.triton_url,
                version=version,
                may_unload=settings.triton_unload,
                start_timeout_s=settings.start_timeout_s,
            )
        return await TritonServer.start(
            settings.model_repository,
            self._data_dir.root,
            version=version,
            start_timeout_s=settings.start_timeout_s,
        )

    def _tell(self, state: TritonState) -> None:
        if state == "repairing":
            self._events.down("the encoders are being repaired")
        elif state == "serving":
            self._events.recovered()

    def _require_triton(self) -> TritonServer:
        if self._triton is None:
            raise EncoderDown("no version has been opened yet")
        return self._triton


def _versions(triton: TritonServer) -> TritonVersions:
    assert triton.versions is not None
    return triton.versions
