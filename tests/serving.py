"""What tests of the serving core share: a small graph, a calibration, pictures, and ways to wait.

Nothing here sleeps: `until` polls a condition under a deadline.
"""

import asyncio
import io
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from PIL import Image

from inkling_server.fake_encoder import DEFAULT_MANIFEST, NAMED_COLOURS, FakeEncoder
from inkling_server.interests.graph import GraphSnapshot, Interest
from inkling_server.interests.mentions.reading import TextReaders
from inkling_server.model_manifest import Calibration, ModelManifest, OperatingPoint, PixelSpec
from inkling_server.serving_state import ServingState, build_state
from inkling_server.tag_index import SearchThread

CREATED = datetime(2026, 11, 22, tzinfo=UTC)
COLOURS = {"black": 10, "blue": 40, "green": 30, "red": 20, "white": 50, "yellow": 5}
CALIBRATION = Calibration(
    scale=20.0,
    bias=-8.0,
    prior_weight=0.5,
    prior_cap=1.0,
    prior_smoothing=1.0,
    calibrated_time=CREATED,
    split="test",
    ece=0.01,
    recommended=OperatingPoint(top_n=3, min_score=0.05, precision=0.9, coverage=0.9),
)


def make_graph(version: str = "g1", counts: Mapping[str, int] = COLOURS) -> GraphSnapshot:
    """A graph whose interests are the keys, with ids equal to their phrases."""
    interests = tuple(Interest(phrase, phrase, (), counts[phrase]) for phrase in sorted(counts))
    return GraphSnapshot(version, CREATED, interests)


def make_manifest(version: int = 1, *, size: int = 32) -> ModelManifest:
    """The fake model with small pictures, so that tests are quick."""
    return replace(
        DEFAULT_MANIFEST, version=version, fingerprint=f"{version:016x}", image=PixelSpec(size=size)
    )


async def make_state(
    thread: SearchThread,
    *,
    graph: GraphSnapshot | None = None,
    encoder: FakeEncoder | None = None,
    readers: TextReaders | None = None,
) -> ServingState:
    """A serving state on a fake encoder; it reads texts where there are `readers`."""
    return await build_state(
        graph or make_graph(),
        encoder or FakeEncoder(make_manifest()),
        CALIBRATION,
        search_thread=thread,
        readers=readers,
    )


def picture(colour: str = "red", *, form: str = "PNG", side: int = 48) -> bytes:
    """An encoded picture of one colour, which FakeEncoder finds near its name."""
    file = io.BytesIO()
    Image.new("RGB", (side, side), NAMED_COLOURS[colour]).save(file, form)
    return file.getvalue()


async def until(
    condition: Callable[[], object | Awaitable[object]], timeout_s: float = 15.0
) -> float:
    """Polls until the condition holds; returns the seconds it took, or raises TimeoutError."""
    started_s = time.monotonic()
    async with asyncio.timeout(timeout_s):
        while True:
            result = condition()
            if await result if isinstance(result, Awaitable) else result:
                return time.monotonic() - started_s
            await asyncio.sleep(0.001)


async def turns(count: int = 5) -> None:
    """Lets everything that is ready run, a few turns of the loop deep."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        tick = loop.create_future()
        loop.call_soon(tick.set_result, None)
        await tick
