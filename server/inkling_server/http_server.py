"""The HTTP side, for machines that watch and people who look: metrics, liveness, readiness, a page.

    /metrics  Prometheus            /healthz  200 while the process's event loop turns
    /         a page for people     /readyz   200 while the canary gets its tags, else 503

It reads and never changes anything, and knows no gRPC.
"""

import html
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from inkling_server.canary import Health

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Inkling</title>
<style>
 body {{ font: 16px/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 42rem }}
 dt {{ color: #777; font-size: .85rem }} dd {{ margin: 0 0 .7rem }}
</style>
<h1>Inkling {state}</h1>
<dl>{facts}</dl>
<p><a href="/metrics">metrics</a> <a href="/readyz">readiness</a> <a href="/healthz">alive</a></p>
</html>
"""


class HttpServer:
    """Listens on one port.

    Args:
        metrics: renders the Prometheus page.
        health: the canary's current verdict.
        facts: what the page for people lists.
    """

    def __init__(
        self,
        *,
        metrics: Callable[[], Awaitable[bytes]],
        health: Callable[[], Health],
        facts: Callable[[], Mapping[str, str]],
    ) -> None:
        self._metrics, self._health, self._facts = metrics, health, facts
        application = web.Application()
        application.router.add_get("/", self._show_page)
        application.router.add_get("/metrics", self._show_metrics)
        application.router.add_get("/healthz", self._say_alive)
        application.router.add_get("/readyz", self._say_ready)
        # Nobody's request takes long here: what is open at the end is an idle connection.
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)

    async def start(self, host: str, port: int) -> int:
        """Binds and returns the port that it has; raises OSError where the port is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        chosen: int = self._runner.addresses[0][1]
        return chosen

    async def stop(self) -> None:
        """Closes the port and every connection. Idempotent."""
        await self._runner.cleanup()

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=await self._metrics(),
            headers={"Content-Type": "text/plain; version=1.0.0; charset=utf-8"},
        )

    async def _say_alive(self, _request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _say_ready(self, _request: web.Request) -> web.Response:
        health = self._health()
        return web.json_response(
            {"serving": health.serving, "problem": health.problem},
            status=200 if health.serving else 503,
        )

    async def _show_page(self, _request: web.Request) -> web.Response:
        health = self._health()
        facts = "".join(
            f"<dt>{html.escape(name)}<dd>{html.escape(value)}"
            for name, value in self._facts().items()
        )
        state = "serves" if health.serving else f"does not serve: {html.escape(health.problem)}"
        return web.Response(text=_PAGE.format(state=state, facts=facts), content_type="text/html")
