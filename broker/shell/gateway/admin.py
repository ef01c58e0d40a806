"""The admin listener: is it well, and the figures. Loopback or the management network only."""

from __future__ import annotations

from aiohttp import web

from broker.shell.gateway.edge import Edge
from broker.shell.gateway.http import listener_app


def admin_app(edge: Edge) -> web.Application:
    """Everything the admin listener serves."""
    app = listener_app(edge, "admin", edge.settings.admin.origin)

    async def healthz(_: web.Request) -> web.Response:
        """503 while the record cannot be written: nothing new opens then."""
        well = edge.driver.healthy
        answer = {"ok": well, "record": "written" if well else "unavailable"}
        return web.json_response(answer, status=200 if well else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=edge.metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4"})

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/metrics", metrics)
    return app
