"""The outside listener: redeem an invitation, and the guest client. Nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from aiohttp import web
from pydantic import Field

from auth import throttle
from auth.directory import DirectoryUnavailable
from auth.invitation import InvitationClaim, InvitationTokenError
from auth.personal import Personal
from auth.shown_text import ShownTextError, shown_text
from auth.tokens import token_digest
from broker.core.commands import ReplyRefused, RequestId
from broker.core.errors import (
    DIRECTORY_UNAVAILABLE,
    INVITATION_INVALID,
    INVITATION_THROTTLED,
    NOT_SIGNED_IN,
    NOTICE_NOT_ACKNOWLEDGED,
    TEXT_INVALID,
)
from broker.core.events import RedeemRequested, SignOutRequested
from broker.core.frame_fields import Name
from broker.shell.gateway.edge import Edge, fresh_id
from broker.shell.gateway.http import Body, RefusedError, listener_app, read_body, refused_answer, source_of
from broker.shell.gateway.notice import acknowledged
from broker.shell.gateway.pages import Pages
from broker.shell.gateway.socket import serve_socket
from broker.shell.gateway.token import GUEST_COOKIE, digest_from, fresh_token, hand_over, take_back
from broker.shell.source import source_prefix


class RedeemBody(Body):
    invitation: Annotated[str, Field(min_length=1, max_length=1024, repr=False)]
    name: Name
    notice_acknowledged: bool
    bearer: bool = False


def outside_app(edge: Edge, pages: Pages) -> web.Application:
    """Everything the outside listener serves."""
    guests = edge.settings.guests
    app = listener_app(edge, "outside", edge.settings.outside.origin)

    async def notice(_: web.Request) -> web.Response:
        return web.json_response({"notice": guests.notice_text, "contact": guests.contact_text})

    async def me(request: web.Request) -> web.Response:
        digest = digest_from(request, GUEST_COOKIE)
        guest = edge.driver.visitor(digest) if digest else None
        name = guest.name.reveal() if guest is not None else None
        return web.json_response({"joined": guest is not None, "name": name})

    async def redeem(request: web.Request) -> web.Response:
        body = await read_body(request, RedeemBody)
        if not body.notice_acknowledged:
            raise RefusedError(NOTICE_NOT_ACKNOWLEDGED)
        try:
            name = Personal(shown_text(body.name))
        except ShownTextError:
            raise RefusedError(TEXT_INVALID) from None
        token = fresh_token()
        notice_sha256 = acknowledged(guests.notice_text, body.notice_acknowledged)
        source = source_of(request)
        with _one_guess(edge, source):
            refused = await _redeemed(edge, body.invitation, name, source, token_digest(token), notice_sha256)
        if refused is not None:
            return refused_answer(refused)
        return hand_over(GUEST_COOKIE, token, body.bearer, guests.visit_seconds)

    async def leave(request: web.Request) -> web.Response:
        digest = digest_from(request, GUEST_COOKIE)
        if digest is not None and edge.driver.visitor(digest) is not None:
            edge.driver.submit(SignOutRequested(digest))
        return take_back(GUEST_COOKIE)

    async def socket(request: web.Request) -> web.StreamResponse:
        digest = digest_from(request, GUEST_COOKIE)
        guest = edge.driver.visitor(digest) if digest else None
        if digest is None or guest is None:
            raise RefusedError(NOT_SIGNED_IN)
        try:
            host = await edge.facts.insider(guest.invited_by)
        except DirectoryUnavailable:
            raise RefusedError(DIRECTORY_UNAVAILABLE) from None
        return await serve_socket(edge, request, "outside", guest, digest, source_of(request), host)

    app.router.add_get("/api/notice", notice)
    app.router.add_get("/api/me", me)
    app.router.add_post("/api/redeem", redeem)
    app.router.add_post("/api/leave", leave)
    app.router.add_get("/ws", socket)
    pages.add_routes(app, "guest.html")
    return app


@contextmanager
def _one_guess(edge: Edge, source: str) -> Iterator[None]:
    """Every invitation costs its network one guess, given back unless the invitation was not valid. Raises
    RefusedError when the network has none left, good invitations included: else guessing would go on."""
    key, now = throttle.source_prefix(source), edge.clock().monotonic_seconds
    if edge.guesses.wait_seconds(key, now) > 0:
        edge.refused("invitation.refused", INVITATION_THROTTLED.code, source_prefix(source))
        raise RefusedError(INVITATION_THROTTLED)
    edge.guesses.charge(key, now)
    guessed = False
    try:
        yield
    except RefusedError as refused:
        guessed = refused.row is INVITATION_INVALID
        raise
    finally:
        if not guessed:
            edge.guesses.give_back(key, now)


async def _redeemed(
    edge: Edge, text: str, name: Personal, source: str, digest: str, notice_sha256: str | None
) -> ReplyRefused | None:
    """What the core says to it. Raises RefusedError."""
    prefix = source_prefix(source)
    claim = _verify(edge, text, prefix)
    inviter_party = await edge.facts.invited_by(claim.invitation_id)
    try:
        inviter = await edge.facts.insider(inviter_party) if inviter_party is not None else None
    except DirectoryUnavailable:
        raise RefusedError(DIRECTORY_UNAVAILABLE) from None
    request_id = RequestId(f"r-{fresh_id()}")
    event = RedeemRequested(
        request_id,
        claim.invitation_id,
        claim.issue,
        name,
        Personal(source),
        Personal(prefix),
        digest,
        inviter,
        notice_sha256,
    )
    refused = await edge.ask(request_id, event)
    if refused is not None and refused.error.code == INVITATION_INVALID.code:
        raise RefusedError(INVITATION_INVALID)
    return refused


def _verify(edge: Edge, text: str, prefix: str) -> InvitationClaim:
    """The signed claim; whatever is wrong with it looks the same from outside."""
    try:
        return edge.signer.verify(text, edge.clock().wall_seconds)
    except InvitationTokenError:
        edge.refused("invitation.refused", INVITATION_INVALID.code, prefix)
        raise RefusedError(INVITATION_INVALID) from None
