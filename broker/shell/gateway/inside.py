"""The inside listener: directory sign-in and the full client."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from auth.directory import DirectoryUnavailable
from auth.personal import Personal
from auth.principal import Insider
from auth.tokens import token_digest
from broker.core.commands import RequestId
from broker.core.errors import DIRECTORY_UNAVAILABLE, NOT_SIGNED_IN
from broker.core.events import SignInProved, SignOutRequested
from broker.shell.facts import insider_of
from broker.shell.gateway.edge import Edge, fresh_id
from broker.shell.gateway.http import Body, RefusedError, listener_app, read_body, refused_answer, source_of
from broker.shell.gateway.notice import acknowledged
from broker.shell.gateway.pages import Pages
from broker.shell.gateway.password import Attempt, vouched_for
from broker.shell.gateway.socket import serve_socket
from broker.shell.gateway.token import INSIDE_COOKIE, digest_from, fresh_token, hand_over, take_back
from broker.shell.source import source_prefix


class SignInBody(Body):
    login: Annotated[str, Field(min_length=1, max_length=256)]
    password: Annotated[str, Field(max_length=1024, repr=False)]
    notice_acknowledged: bool = False
    bearer: bool = False


def inside_app(edge: Edge, pages: Pages) -> web.Application:
    """Everything the inside listener serves."""
    app = listener_app(edge, "inside", edge.settings.inside.origin)

    async def me(request: web.Request) -> web.Response:
        digest = digest_from(request, INSIDE_COOKIE)
        insider = await _signed_in(edge, digest) if digest else None
        return web.json_response(
            {"signed_in": insider is not None, "notice": edge.settings.sign_in.notice_text}
        )

    async def sign_in(request: web.Request) -> web.Response:
        body = await read_body(request, SignInBody)
        notice = acknowledged(edge.settings.sign_in.notice_text, body.notice_acknowledged)
        source = source_of(request)
        attempt = Attempt.begin(edge, body.login, source)
        check = await attempt.ask_directory(body.login, body.password)
        if (entry := vouched_for(check)) is None:
            raise await attempt.wrong(check.outcome.value)
        attempt.no_guess()
        token = fresh_token()
        request_id = RequestId(f"r-{fresh_id()}")
        digest = token_digest(token)
        prefix = Personal(source_prefix(source))
        event = SignInProved(request_id, insider_of(entry), Personal(source), digest, prefix, notice)
        refused = await edge.ask(request_id, event)
        if refused is not None:
            return refused_answer(refused)
        return hand_over(INSIDE_COOKIE, token, body.bearer, edge.settings.sign_in.session_seconds)

    async def sign_out(request: web.Request) -> web.Response:
        digest = digest_from(request, INSIDE_COOKIE)
        if digest is not None and edge.driver.signed_in(digest) is not None:
            edge.driver.submit(SignOutRequested(digest))
        return take_back(INSIDE_COOKIE)

    async def socket(request: web.Request) -> web.StreamResponse:
        digest = digest_from(request, INSIDE_COOKIE)
        insider = await _signed_in(edge, digest) if digest else None
        if digest is None or insider is None:
            raise RefusedError(NOT_SIGNED_IN)
        return await serve_socket(edge, request, "inside", insider, digest, source_of(request))

    app.router.add_get("/api/me", me)
    app.router.add_post("/api/sign-in", sign_in)
    app.router.add_post("/api/sign-out", sign_out)
    app.router.add_get("/ws", socket)
    pages.add_routes(app, "inside.html")
    return app


async def _signed_in(edge: Edge, digest: str) -> Insider | None:
    party = edge.driver.signed_in(digest)
    try:
        return await edge.facts.insider(party) if party is not None else None
    except DirectoryUnavailable:
        raise RefusedError(DIRECTORY_UNAVAILABLE) from None
