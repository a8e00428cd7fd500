"""Damaged files of every format: pixels or a typed error, and nothing else, in bounded time."""

import random
import time
from collections.abc import Iterator

import numpy as np
import pytest

from inkling_server.errors import InklingError
from inkling_server.images import decode
from inkling_server.model_manifest import PixelSpec
from tests.image_factory import small_files

MUTATIONS = 250
SPEC = PixelSpec(size=32)


def mutations(name: str, count: int) -> Iterator[bytes]:
    """The format's small file with bytes changed, cut out, doubled, or swapped with others'."""
    chance = random.Random(name)
    others = list(small_files().values())
    whole = small_files()[name]
    for _ in range(count):
        data = bytearray(whole)
        kind = chance.randrange(10)
        start, end = sorted(chance.sample(range(len(data)), 2))
        if kind < 5:
            for _ in range(chance.choice((1, 2, 8))):
                data[chance.randrange(len(data))] = chance.randrange(256)
        elif kind < 7:
            for _ in range(chance.choice((1, 3))):
                data[chance.randrange(min(len(data), 160))] = chance.choice((0, 1, 127, 128, 255))
        elif kind == 7:
            data[start:end] = b""
        elif kind == 8:
            data[start:end] = data[start:end] * 2
        else:
            data[start : start + 64] = chance.choice(others)[:64]
        yield bytes(data)


@pytest.mark.parametrize("name", list(small_files()))
def test_damaged_files_give_pixels_or_a_typed_error(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    slowest_s, outcomes = 0.0, set()
    for data in mutations(name, MUTATIONS):
        start_s = time.perf_counter()
        try:
            pixels = decode(data, SPEC)
        except InklingError as error:
            outcomes.add(error.reason)
        else:
            outcomes.add("pixels")
            assert pixels.shape == (32, 32, 3)
            assert pixels.dtype == np.uint8
        slowest_s = max(slowest_s, time.perf_counter() - start_s)
    assert {"pixels", "IMAGE_INVALID"} <= outcomes
    assert slowest_s < 5.0  # 64 million pixels may be claimed honestly
    assert capfd.readouterr().err == ""
