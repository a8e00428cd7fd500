"""What every Encoder promises: one suite for the fake and for the real one on a real Triton.

Shapes: B pictures or texts, H x W pixels, C = 3 channels, D dimensions.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from inkling_server.encoders import Embeddings, Encoder, Pixels
from inkling_server.errors import EncoderDown
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.triton.encoder import TritonEncoder

pytestmark = pytest.mark.asyncio(loop_scope="session")

MakeEncoder = Callable[[], Awaitable[Encoder]]


@pytest.fixture(params=["fake", pytest.param("triton", marks=pytest.mark.triton)])
def make_encoder(request: pytest.FixtureRequest) -> MakeEncoder:
    if request.param == "fake":

        async def make_fake() -> Encoder:
            return FakeEncoder()

        return make_fake
    server = request.getfixturevalue("triton_server")
    repository = request.getfixturevalue("model_repository")
    manifest = request.getfixturevalue("manifest")

    async def make_triton() -> Encoder:
        return await TritonEncoder.connect(
            server.address,
            repository,
            manifest,
            shared_memory=True,
            on_failure=server.note_failure,
        )

    return make_triton


@pytest_asyncio.fixture(loop_scope="session")
async def encoder(make_encoder: MakeEncoder) -> AsyncIterator[Encoder]:
    encoder = await make_encoder()
    yield encoder
    await encoder.close()


def pictures(encoder: Encoder, count: int, seed: int = 0) -> Pixels:
    """Smooth pictures, each with its own colours."""
    size = encoder.manifest.image.size
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return np.ascontiguousarray(
        coarse.repeat(-(-size // 4), axis=1).repeat(-(-size // 4), axis=2)[:, :size, :size]
    )


def cosines(left_BD: Embeddings, right_BD: Embeddings) -> Embeddings:
    cosines_B: Embeddings = np.einsum("bd,bd->b", left_BD, right_BD)
    return cosines_B


@pytest.mark.parametrize("count", [1, 3, 32, 70])
async def test_pictures_become_rows_of_length_one(encoder: Encoder, count: int) -> None:
    embeddings_BD = await encoder.encode_images(pictures(encoder, count), timeout_s=30)
    assert embeddings_BD.shape == (count, encoder.manifest.dimension)
    assert embeddings_BD.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings_BD, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("count", [1, 5, 150])
async def test_texts_become_rows_of_length_one(encoder: Encoder, count: int) -> None:
    texts = [f"phrase number {number}" * (1 + number % 9) for number in range(count)]
    embeddings_BD = await encoder.encode_texts(texts, timeout_s=30)
    assert embeddings_BD.shape == (count, encoder.manifest.dimension)
    assert embeddings_BD.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings_BD, axis=1), 1.0, atol=1e-5)


async def test_no_texts_give_no_rows(encoder: Encoder) -> None:
    embeddings_BD = await encoder.encode_texts([], timeout_s=5)
    assert embeddings_BD.shape == (0, encoder.manifest.dimension)


@pytest.mark.parametrize(
    "text", ["", " ", "\u0000", "\U0001f408 кот 猫", "word " * 500, "{}", "{0}"]
)
async def test_any_text_has_an_embedding(encoder: Encoder, text: str) -> None:
    embeddings_BD = await encoder.encode_texts([text], timeout_s=10)
    assert np.isfinite(embeddings_BD).all()


async def test_the_same_content_gives_the_same_rows(encoder: Encoder) -> None:
    pixels_BHWC = pictures(encoder, 4)
    first = await encoder.encode_images(pixels_BHWC, timeout_s=10)
    second = await encoder.encode_images(pixels_BHWC, timeout_s=10)
    assert cosines(first, second).min() > 0.99999
    first = await encoder.encode_texts(["a red car", "dog"], timeout_s=10)
    second = await encoder.encode_texts(["a red car", "dog"], timeout_s=10)
    assert cosines(first, second).min() > 0.99999


async def test_different_content_gives_different_rows(encoder: Encoder) -> None:
    embeddings_BD = await encoder.encode_images(pictures(encoder, 2), timeout_s=10)
    assert embeddings_BD[0] @ embeddings_BD[1] < 0.999
    embeddings_BD = await encoder.encode_texts(["a red car", "dog"], timeout_s=10)
    assert embeddings_BD[0] @ embeddings_BD[1] < 0.999


async def test_a_row_does_not_depend_on_its_batch(encoder: Encoder) -> None:
    pixels_BHWC = pictures(encoder, 32, seed=1)
    together = await encoder.encode_images(pixels_BHWC, timeout_s=30)
    for row in (0, 7, 31):
        alone = await encoder.encode_images(pixels_BHWC[row : row + 1].copy(), timeout_s=10)
        assert float(together[row] @ alone[0]) >= 0.999


async def test_a_text_does_not_depend_on_its_batch(encoder: Encoder) -> None:
    texts = ["dog", "a red car", "one two three four five six seven eight nine ten eleven"]
    together = await encoder.encode_texts(texts * 30, timeout_s=30)
    for row, text in enumerate(texts):
        alone = await encoder.encode_texts([text], timeout_s=10)
        assert float(together[row] @ alone[0]) >= 0.999


async def test_concurrent_calls_do_not_mix_up_their_rows(encoder: Encoder) -> None:
    pixels_BHWC = pictures(encoder, 12, seed=2)
    expected = await encoder.encode_images(pixels_BHWC, timeout_s=30)
    results = await asyncio.gather(
        *(encoder.encode_images(pixels_BHWC[r : r + 1].copy(), timeout_s=30) for r in range(12)),
        *(encoder.encode_texts([f"text {number}"], timeout_s=30) for number in range(4)),
    )
    for row in range(12):
        assert float(results[row][0] @ expected[row]) >= 0.999


async def test_pictures_need_not_lie_together(encoder: Encoder) -> None:
    pixels_BHWC = pictures(encoder, 5, seed=3)
    expected = await encoder.encode_images(pixels_BHWC, timeout_s=10)
    apart = [pixels_HWC.copy() for pixels_HWC in pixels_BHWC]
    np.testing.assert_array_equal(await encoder.encode_images(apart, timeout_s=10), expected)
    for wrong in ([], [*apart, apart[0][:-1]], [apart[0].astype(np.int16)]):
        with pytest.raises(ValueError, match="pixels must be"):
            await encoder.encode_images(wrong, timeout_s=5)


async def test_wrong_pixels_are_a_bug_of_the_caller(encoder: Encoder) -> None:
    size = encoder.manifest.image.size
    wrong: list[Any] = [
        np.zeros((1, size, size, 3), np.float32),
        np.zeros((size, size, 3), np.uint8),
        np.zeros((0, size, size, 3), np.uint8),
        np.zeros((1, size, size + 1, 3), np.uint8),
        np.zeros((1, 3, size, size), np.uint8),
        np.zeros((1, size, 2 * size, 3), np.uint8)[:, :, ::2],
    ]
    for pixels in wrong:
        with pytest.raises(ValueError, match="pixels must be"):
            await encoder.encode_images(pixels, timeout_s=5)


async def test_no_time_is_encoder_down(encoder: Encoder) -> None:
    with pytest.raises(EncoderDown):
        await encoder.encode_images(pictures(encoder, 32), timeout_s=0.0)


async def test_cancelled_calls_leave_the_encoder_usable(encoder: Encoder) -> None:
    pixels_BHWC = pictures(encoder, 8)
    expected = await encoder.encode_images(pixels_BHWC, timeout_s=10)
    for _ in range(10):
        call = asyncio.create_task(encoder.encode_images(255 - pixels_BHWC, timeout_s=10))
        await asyncio.wait({call}, timeout=0.002)
        call.cancel()
    again = await encoder.encode_images(pixels_BHWC, timeout_s=30)
    assert cosines(expected, again).min() >= 0.999


async def test_check_passes_while_the_encoder_works(encoder: Encoder) -> None:
    await encoder.check(timeout_s=10)


async def test_description_names_both_encoders_and_the_version(encoder: Encoder) -> None:
    descriptions = await encoder.describe()
    assert [description.name for description in descriptions] == ["vision_encoder", "text_encoder"]
    for description in descriptions:
        assert description.version == encoder.manifest.version
        assert description.backend
        assert description.runtime


async def test_closing_twice_is_fine_and_calls_then_fail(encoder: Encoder) -> None:
    await encoder.close()
    await encoder.close()
    with pytest.raises(EncoderDown):
        await encoder.encode_images(pictures(encoder, 1), timeout_s=5)
    with pytest.raises(EncoderDown):
        await encoder.check(timeout_s=5)
