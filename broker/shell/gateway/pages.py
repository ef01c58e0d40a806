"""Pages: the files of the web client, read once at start, served by exact name."""

from __future__ import annotations

import mimetypes
from importlib.resources import files
from importlib.resources.abc import Traversable

from aiohttp import web

SERVED = {".html", ".css", ".js", ".svg", ".png", ".ico"}


def _tree(folder: Traversable, prefix: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            if not entry.name.startswith((".", "_", "node_modules")):
                found.update(_tree(entry, f"{prefix}{entry.name}/"))
        elif any(entry.name.endswith(suffix) for suffix in SERVED):
            found[f"{prefix}{entry.name}"] = entry.read_bytes()
    return found


class Pages:
    """The files under `broker/web`, by their path there."""

    def __init__(self) -> None:
        self._files = _tree(files("broker.web"), "")

    def add_routes(self, app: web.Application, index: str) -> None:
        """`/` is the index page, `/assets/...` every file of the client."""

        async def show_index(_: web.Request) -> web.Response:
            return self._answer(index)

        async def show_asset(request: web.Request) -> web.Response:
            return self._answer(request.match_info["path"])

        app.router.add_get("/", show_index)
        app.router.add_get("/assets/{path:.+}", show_asset)

    def _answer(self, name: str) -> web.Response:
        body = self._files.get(name)
        if body is None:
            return web.Response(status=404, text="")
        content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        charset = "utf-8" if content_type.startswith("text/") else None
        return web.Response(body=body, content_type=content_type, charset=charset)
