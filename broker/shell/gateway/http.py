"""What all three listeners' handlers share: headers, Origin, rate, bodies, error answers."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import BaseModel, ConfigDict, ValidationError

from broker.core.answers import error
from broker.core.commands import ReplyRefused
from broker.core.errors import (
    BAD_REQUEST,
    EDGE_BUSY,
    ORIGIN_REFUSED,
    RATE_LIMITED,
    ErrorRow,
)
from broker.core.frame_codec import encode
from broker.shell.gateway.edge import Edge
from broker.shell.source import source_prefix

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 8192
BODY_TIMEOUT_SECONDS = 10.0
_UNREADABLE = (web.HTTPRequestEntityTooLarge, web.RequestPayloadError, TimeoutError, ConnectionError)
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "media-src 'self' blob: mediastream:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self)",
    "Cache-Control": "no-store",
    "Server": "turngate",
}


class Body(BaseModel):
    """A request body: unknown members are refused, values never coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


AnyBody = TypeVar("AnyBody", bound=Body)


class RefusedError(Exception):
    """A request is answered with an error."""

    def __init__(self, row: ErrorRow) -> None:
        super().__init__(row.code)
        self.row = row


def source_of(request: web.Request) -> str:
    """The address the request's connection comes from, as the socket knows it."""
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    return str(peer[0]) if peer else "unknown"


async def read_body(request: web.Request, model: type[AnyBody], max_bytes: int = MAX_BODY_BYTES) -> AnyBody:
    """The JSON body of a POST; raises RefusedError(BAD_REQUEST) for anything else, also for one that is
    compressed, does not come in time or breaks off."""
    if request.content_type != "application/json" or "Content-Encoding" in request.headers:
        raise RefusedError(BAD_REQUEST)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            text = await request.clone(client_max_size=max_bytes).read()
        return model.model_validate_json(text)
    except (ValidationError, RecursionError, *_UNREADABLE):
        raise RefusedError(BAD_REQUEST) from None


def error_answer(row: ErrorRow) -> web.Response:
    """The HTTP answer of one row of the error table."""
    return web.Response(status=row.http_status, text=encode(error(row)), content_type="application/json")


def refused_answer(refused: ReplyRefused) -> web.Response:
    """The core's refusal as an HTTP answer."""
    seconds = refused.error.return_after_seconds
    return web.Response(
        status=refused.http_status,
        text=encode(refused.error),
        content_type="application/json",
        headers={"Retry-After": str(seconds)} if seconds is not None else None,
    )


def check_origin(request: web.Request, origin: str) -> None:
    """A browser names the page it asks for; any other page than ours is refused. Other programs name none."""
    named = request.headers.getall("Origin", [])
    if named and named != [origin]:
        raise RefusedError(ORIGIN_REFUSED)


def listener_app(edge: Edge, listener: str, origin: str) -> web.Application:
    """An application without routes that carries what every listener does: headers on each answer, rate,
    Origin."""
    app = web.Application(middlewares=[_guard(edge, listener, origin)], client_max_size=MAX_BODY_BYTES)
    app.on_response_prepare.append(_add_headers)
    return app


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _guard(edge: Edge, listener: str, origin: str) -> Middleware:
    """The middleware of one listener: rate, Origin, and no exception's text to anyone."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        prefix = source_prefix(source_of(request))
        changes = request.method not in ("GET", "HEAD") or request.path == "/ws"
        try:
            metered = changes or request.path.startswith("/api/")
            if metered and not edge.limiter.take(prefix, edge.clock().monotonic_seconds):
                raise RefusedError(RATE_LIMITED)
            if changes:
                check_origin(request, origin)
            return await handler(request)
        except RefusedError as refused:
            edge.metrics.refusals.labels(kind=listener, code=refused.row.code).inc()
            return error_answer(refused.row)
        except TimeoutError:
            return error_answer(EDGE_BUSY)
        except web.HTTPException as plain:
            return web.Response(status=plain.status, text="", content_type="text/plain")
        except (
            Exception
        ):  # whatever went wrong in us, the client learns nothing of it and the next request is served
            log.exception("gateway.defect", listener=listener, path=request.path)
            return web.Response(status=500, text="", content_type="text/plain")

    return guarded
