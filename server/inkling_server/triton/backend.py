"""Opens the encoder that serves: our own Triton, or one that runs elsewhere.

This is the production `OpenEncoder`: the one place where settings, Triton's supervisor and the
encoder meet. It mends nothing itself (see `triton.py`) and knows no health service (see
`gateway.py`).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from inkling_server.data_dir import DataDir
from inkling_server.encoders import Encoder
from inkling_server.engine import BackendEvents
from inkling_server.model_manifest import load_manifest
from inkling_server.settings import Settings
from inkling_server.triton import TritonServer, TritonState
from inkling_server.triton.encoder import TritonEncoder


@asynccontextmanager
async def open_triton(
    settings: Settings, data_dir: DataDir, events: BackendEvents
) -> AsyncIterator[Encoder]:
    """Starts Triton or connects to `triton_url`; ends what it started after the block.

    Raises:
        EncoderDown: it does not serve within `start_timeout_s`; the text says why.
        OSError: the model repository lacks a file.
    """
    manifest = load_manifest(settings.model_repository, settings.model_version)
    async with await _start(settings, data_dir) as triton:

        def tell(state: TritonState) -> None:
            if state == "repairing":
                events.down("the encoders are being repaired")
            elif state == "serving":
                events.recovered()

        triton.on_state_change.append(tell)
        encoder = await TritonEncoder.connect(
            triton.address,
            settings.model_repository,
            manifest,
            shared_memory=triton.local,
            on_failure=triton.note_failure,
            timeout_s=settings.encoder_timeout_s,
        )
        try:
            yield encoder
        finally:
            triton.on_state_change.remove(tell)
            await encoder.close()


async def _start(settings: Settings, data_dir: DataDir) -> TritonServer:
    if settings.triton_url is not None:
        return await TritonServer.connect(
            settings.triton_url, start_timeout_s=settings.start_timeout_s
        )
    return await TritonServer.start(
        settings.model_repository, data_dir.root, start_timeout_s=settings.start_timeout_s
    )
