"""The HTTP side: metrics, liveness, readiness, the page."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from inkling_server.canary import Health
from inkling_server.http_server import HttpServer


@dataclass
class Scene:
    """A running server and what it is told."""

    health: Health
    facts: dict[str, str]
    port: int = 0

    async def metrics(self) -> bytes:
        return b"a_metric 1.0\n"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    told = Scene(Health(serving=True, problem=""), {"model": "m:1"})
    server = HttpServer(metrics=told.metrics, health=lambda: told.health, facts=lambda: told.facts)
    told.port = await server.start("127.0.0.1", 0)
    yield told
    await server.stop()


async def get(url: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, response.content_type, await response.text()


async def test_metrics_are_plain_text(scene: Scene) -> None:
    assert await get(scene.url + "/metrics") == (200, "text/plain", "a_metric 1.0\n")


async def test_ready_follows_health(scene: Scene) -> None:
    status, _, text = await get(scene.url + "/readyz")
    assert (status, text) == (200, '{"serving": true, "problem": ""}')
    scene.health = Health(serving=False, problem="ENCODER_DOWN: gone")
    status, _, text = await get(scene.url + "/readyz")
    assert (status, text) == (503, '{"serving": false, "problem": "ENCODER_DOWN: gone"}')


async def test_alive_does_not(scene: Scene) -> None:
    scene.health = Health(serving=False, problem="starting")
    assert (await get(scene.url + "/healthz"))[0] == 200


async def test_page_names_facts_and_problem_and_escapes_them(scene: Scene) -> None:
    scene.health = Health(serving=False, problem="a <b> & c")
    scene.facts = {"graph": "<script>"}
    status, kind, text = await get(scene.url + "/")
    assert (status, kind) == (200, "text/html")
    assert "does not serve: a &lt;b&gt; &amp; c" in text
    assert "<dt>graph<dd>&lt;script&gt;" in text


async def test_unknown_path_is_not_found(scene: Scene) -> None:
    assert (await get(scene.url + "/secrets"))[0] == 404


async def test_taken_port_fails_clearly(scene: Scene) -> None:
    other = HttpServer(metrics=scene.metrics, health=lambda: scene.health, facts=dict)
    with pytest.raises(OSError, match=str(scene.port)):
        await other.start("127.0.0.1", scene.port)
    await other.stop()
