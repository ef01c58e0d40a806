"""Every route that the listeners serve, as their own routers have them."""

from __future__ import annotations

from aiohttp import web

from broker.shell.gateway.admin import admin_app
from broker.shell.gateway.inside import inside_app
from broker.shell.gateway.outside import outside_app
from broker.shell.gateway.pages import Pages
from tests.edge.edge_bench import Bench

Route = tuple[str, str]
"""Method and path."""


def origins(bench: Bench) -> dict[str, str]:
    """Each listener by name, and where it is."""
    return {"inside": bench.inside, "outside": bench.outside, "admin": bench.admin}


def routes(bench: Bench) -> dict[str, set[Route]]:
    """The routes of each listener; HEAD, which comes with every GET, left out."""
    pages = Pages()
    apps = {
        "inside": inside_app(bench.edge, pages),
        "outside": outside_app(bench.edge, pages),
        "admin": admin_app(bench.edge, pages),
    }
    return {listener: _routes_of(app) for listener, app in apps.items()}


def _routes_of(app: web.Application) -> set[Route]:
    found = set()
    for route in app.router.routes():
        assert route.resource is not None
        if route.method != "HEAD":
            found.add((route.method, route.resource.canonical))
    return found
