"""The fake's own promises, beyond those of every encoder: knobs, and colours near their names."""

import asyncio

import numpy as np
import pytest

from inkling_server.errors import EncoderDown
from inkling_server.fake_encoder import NAMED_COLOURS, FakeEncoder


async def test_one_colour_lies_nearest_to_the_phrase_that_names_it() -> None:
    encoder = FakeEncoder()
    names = sorted(NAMED_COLOURS)
    pixels_BHWC = np.stack(
        [np.full((224, 224, 3), NAMED_COLOURS[name], np.uint8) for name in names]
    )
    images_BD = await encoder.encode_images(pixels_BHWC, timeout_s=5)
    texts_BD = await encoder.encode_texts(names, timeout_s=5)
    assert [names[row] for row in (images_BD @ texts_BD.T).argmax(axis=1)] == names


async def test_failure_is_raised_until_it_is_taken_away() -> None:
    encoder = FakeEncoder()
    encoder.failure = EncoderDown("on purpose")
    with pytest.raises(EncoderDown, match="on purpose"):
        await encoder.check(timeout_s=5)
    encoder.failure = None
    await encoder.check(timeout_s=5)


async def test_closed_gate_holds_calls_and_counts_them() -> None:
    encoder = FakeEncoder()
    encoder.gate.clear()
    call = asyncio.create_task(encoder.encode_texts(["a", "b"], timeout_s=5))
    await asyncio.wait({call}, timeout=0.01)
    assert (encoder.in_flight, encoder.text_batches) == (1, [2])
    encoder.gate.set()
    await call
    assert encoder.in_flight == 0


async def test_delay_longer_than_the_timeout_is_encoder_down() -> None:
    with pytest.raises(EncoderDown):
        await FakeEncoder(delay_s=5.0).check(timeout_s=0.01)


async def test_batch_sizes_are_recorded() -> None:
    encoder = FakeEncoder()
    await encoder.encode_images(np.zeros((3, 224, 224, 3), np.uint8), timeout_s=5)
    await encoder.encode_images(np.zeros((1, 224, 224, 3), np.uint8), timeout_s=5)
    assert encoder.image_batches == [3, 1]
