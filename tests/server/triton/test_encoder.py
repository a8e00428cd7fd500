"""What TritonEncoder promises beyond the contract: shared memory, back-pressure, versions."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inkling_server.errors import EncoderDown
from inkling_server.model_manifest import ModelManifest
from inkling_server.triton import TritonServer
from inkling_server.triton.client import InputTensor, TritonCallFailed, TritonClient
from inkling_server.triton.encoder import TritonEncoder

pytestmark = [pytest.mark.triton, pytest.mark.asyncio(loop_scope="session")]


def random_pixels(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(3).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)


async def test_by_message_and_by_shared_memory_give_the_same(
    triton_server: TritonServer,
    triton_encoder: TritonEncoder,
    model_repository: Path,
    manifest: ModelManifest,
) -> None:
    remote = await TritonEncoder.connect(triton_server.address, model_repository, manifest)
    assert triton_encoder.uses_shared_memory
    assert not remote.uses_shared_memory
    pixels_BHWC = random_pixels(5)
    by_memory = await triton_encoder.encode_images(pixels_BHWC, timeout_s=10)
    by_message = await remote.encode_images(pixels_BHWC, timeout_s=10)
    np.testing.assert_allclose(by_memory, by_message, atol=1e-3)
    await remote.close()


async def test_storm_of_cancelled_calls_reaches_triton_only_a_few_at_a_time(
    triton_server: TritonServer, triton_encoder: TritonEncoder
) -> None:
    states: list[str] = []
    triton_server.on_state_change.append(states.append)
    pixels_BHWC = random_pixels(4)
    calls = [
        asyncio.create_task(triton_encoder.encode_images(pixels_BHWC, timeout_s=10))
        for _ in range(200)
    ]
    await asyncio.wait(calls, timeout=0.02)
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    # The next call waits only for what Triton had got already.
    await triton_encoder.encode_images(pixels_BHWC, timeout_s=10)
    assert states == []
    triton_server.on_state_change.remove(states.append)


async def test_version_that_is_not_served_is_encoder_down(
    triton_server: TritonServer, model_repository: Path, manifest: ModelManifest, tmp_path: Path
) -> None:
    shutil.copytree(
        model_repository / "text_encoder" / str(manifest.version), tmp_path / "text_encoder" / "9"
    )
    with pytest.raises(EncoderDown):
        await TritonEncoder.connect(
            triton_server.address, tmp_path, replace(manifest, version=9), timeout_s=5
        )


async def test_repository_without_tokenizer_is_an_os_error(
    triton_server: TritonServer, manifest: ModelManifest, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match=r"tokenizer\.json"):
        await TritonEncoder.connect(triton_server.address, tmp_path, manifest)


async def test_failures_are_told_and_name_no_internals(
    triton_server: TritonServer, model_repository: Path, manifest: ModelManifest
) -> None:
    told: list[EncoderDown] = []
    encoder = await TritonEncoder.connect(
        triton_server.address, model_repository, manifest, on_failure=told.append
    )
    with pytest.raises(EncoderDown) as caught:
        await encoder.encode_images(random_pixels(32), timeout_s=0.002)
    assert told == [caught.value]
    assert str(caught.value) == "vision_encoder does not answer as it should (DEADLINE_EXCEEDED)"
    await encoder.close()


async def test_model_with_another_dimension_is_refused(
    triton_server: TritonServer, model_repository: Path, manifest: ModelManifest
) -> None:
    with pytest.raises(TritonCallFailed) as caught:
        await TritonEncoder.connect(
            triton_server.address, model_repository, replace(manifest, dimension=8)
        )
    assert "shape" in caught.value.detail


async def test_nobody_there_is_encoder_down(
    model_repository: Path, manifest: ModelManifest
) -> None:
    with pytest.raises(EncoderDown):
        await TritonEncoder.connect("127.0.0.1:9", model_repository, manifest, timeout_s=0.5)


async def test_request_that_cannot_be_written_still_ends(triton_server: TritonServer) -> None:
    client = TritonClient(triton_server.address)
    ended: list[bool] = []
    odd = InputTensor.of("pixels", np.zeros(1, np.complex64))
    with pytest.raises(KeyError):
        await client.infer("m", 1, [odd], ["y"], timeout_s=1, on_end=lambda: ended.append(True))
    assert ended == [True]
    await client.close()
