"""A small edge for page tests: the wire's frames, the product's own pages and headers, no rules and no relay.

What the pages send is parsed by the product's own codec, so a page that strays from the wire fails its test.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import WSMsgType, web

from broker.core import client_frames as cf
from broker.core import frames as f
from broker.core.errors import (
    INVITATION_INVALID,
    NOT_SIGNED_IN,
    NOTICE_NOT_ACKNOWLEDGED,
    SIGN_IN_REFUSED,
    ErrorRow,
)
from broker.core.frame_codec import SUBPROTOCOL, encode, parse_client_frame
from broker.core.frame_fields import EndReason
from broker.shell.gateway.http import HEADERS
from broker.shell.gateway.pages import Pages

PASSWORD = "correct horse"
INVITATION = "inv-secret-of-the-fragment"
NOTICE = "You are leaving the public internet. What you write here is kept for seven years."
CONTACT = "Security desk, +49 30 0000"
SENT_AT_MS = 1_795_000_000_000
UNREACHABLE_RELAY = f.IceServer(
    urls=["turn:127.0.0.1:40999?transport=udp"], username="nobody", credential="nothing"
)
"""Nothing listens there: what a network that blocks UDP looks like to the browser."""


def contact(party: str, name: str, kind: Literal["insider", "guest"] = "insider") -> f.Contact:
    return f.Contact(party=party, name=name, kind=kind, status="available")


def waiting(guest: f.Contact) -> f.WaitingGuest:
    """In the lobby, with what their host wrote of whom they invited."""
    invited_as = guest.invited_as or "Grace Guest"
    return f.WaitingGuest(
        guest=guest.model_copy(update={"invited_as": invited_as}),
        invitation_id="i-1",
        guest_email="grace@partner.example",
        purpose="Contract review",
    )


@dataclass
class Call:
    caller: str
    callee: str
    ref: str
    media: list[Literal["audio", "video"]]


@dataclass
class FakeEdge:
    """One house: who is there, who is connected, what they sent, and what the test has them told."""

    inside: str = ""
    outside: str = ""
    people: dict[str, f.Contact] = field(
        default_factory=lambda: {
            "alice": contact("p-alice", "Alice Ahrens"),
            "bob": contact("p-bob", "Bob Brandt"),
        }
    )
    guest: f.Contact | None = None
    invitation: f.InvitationInfo | None = None
    """The last that was made."""
    guest_joined: bool = False
    guest_admitted: bool = False
    signed_in: set[str] = field(default_factory=set)
    sockets: dict[str, web.WebSocketResponse] = field(default_factory=dict)
    received: list[tuple[str, cf.ClientFrame]] = field(default_factory=list)
    calls: dict[str, Call] = field(default_factory=dict)
    refusals: dict[str, f.Error] = field(default_factory=dict)
    """By frame type: answered with this error (its ref filled in) instead of being done."""
    ice_server: f.IceServer = UNREACHABLE_RELAY
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def say(self, party: str, frame: f.Frame) -> None:
        """Tell a party, if connected."""
        socket = self.sockets.get(party)
        if socket is not None and not socket.closed:
            await socket.send_str(encode(frame))

    async def heard(self, party: str, matches: Callable[[cf.ClientFrame], bool]) -> cf.ClientFrame:
        """The first frame of this party that matches, waiting for it."""
        async with asyncio.timeout(15):
            while True:
                for sender, frame in self.received:
                    if sender == party and matches(frame):
                        return frame
                self._news.clear()
                await self._news.wait()

    def number(self, prefix: str) -> str:
        return f"{prefix}-{next(self._numbers)}"

    def who(self, party: str) -> f.Contact:
        known = [*self.people.values(), *([self.guest] if self.guest else [])]
        return next(person for person in known if person.party == party)

    async def serve(self, party: str, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=[SUBPROTOCOL])
        await socket.prepare(request)
        self.sockets[party] = socket
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            frame = parse_client_frame(message.data)
            self.received.append((party, frame))
            refusal = self.refusals.get(frame.type)
            if refusal is not None:
                ref = getattr(frame, "ref", None)
                await self.say(party, refusal.model_copy(update={"ref": ref}))
            else:
                await self._do(party, frame)
            self._news.set()
        if self.sockets.get(party) is socket:
            del self.sockets[party]
        return socket

    async def _do(self, party: str, frame: cf.ClientFrame) -> None:
        match frame:
            case cf.Hello():
                await self._welcome(party)
            case cf.ChatSend():
                message_id = self.number("m")
                await self.say(
                    party, f.ChatAccepted(ref=frame.ref, message_id=message_id, sent_at_ms=SENT_AT_MS)
                )
                sender = self.who(party)
                told = f.ChatMessage(
                    message_id=message_id, sender=sender, text=frame.text, sent_at_ms=SENT_AT_MS
                )
                await self.say(frame.to, told)
            case cf.InvitationCreate() | cf.InvitationReissue() | cf.InvitationRevoke():
                await self._invite(party, frame)
            case cf.LobbyAdmit() | cf.LobbyAdmitAll() | cf.LobbyRefuse():
                await self._lobby(frame)
            case cf.CallInvite():
                await self._ring(party, frame)
            case cf.CallAccept():
                call = self.calls[frame.call_id]
                for person, role in ((call.caller, "caller"), (call.callee, "callee")):
                    accepted = {"call_id": frame.call_id, "role": role, "ice_server": self.ice_server}
                    await self.say(person, f.CallAccepted.model_validate(accepted))
            case cf.CallDecline() | cf.CallCancel() | cf.CallHangUp():
                await self.end(frame)
            case cf.CallOffer() | cf.CallAnswer() | cf.CallCandidate():
                await self._forward(party, frame)

    async def _welcome(self, party: str) -> None:
        you = self.who(party)
        if you.kind == "guest":
            host = self.people["alice"] if self.guest_admitted else None
            await self.say(party, f.GuestWelcome(you=you, notice=NOTICE, host=host))
            if host is None:
                await self.say("p-alice", f.LobbyWaiting(waiting=waiting(you)))
            return
        others = [person for person in self.people.values() if person.party != party]
        contacts = [*others, *([self.guest] if self.guest and self.guest_admitted else [])]
        waits = self.guest is not None and not self.guest_admitted and self.guest.party in self.sockets
        lobby = [waiting(self.guest)] if waits and self.guest else []
        await self.say(party, f.InsiderWelcome(you=you, contacts=contacts, invitations=[], lobby=lobby))

    async def _invite(
        self, party: str, frame: cf.InvitationCreate | cf.InvitationReissue | cf.InvitationRevoke
    ) -> None:
        if isinstance(frame, cf.InvitationRevoke):
            await self.say(party, f.InvitationGone(invitation_id=frame.invitation_id))
            return
        link = f"{self.outside}/#{INVITATION}"
        if isinstance(frame, cf.InvitationCreate):
            self.invitation = f.InvitationInfo(
                invitation_id=self.number("i"),
                guest_name=frame.guest_name,
                guest_email=frame.guest_email,
                purpose=frame.purpose,
                expires_at=1_900_000_000,
                redemptions=frame.redemptions or 1,
                redemptions_left=frame.redemptions or 1,
                guests=0,
            )
        else:
            link += "-again"
        assert self.invitation is not None
        await self.say(party, f.InvitationCreated(ref=frame.ref, invitation=self.invitation, link=link))

    async def _lobby(self, frame: cf.LobbyAdmit | cf.LobbyAdmitAll | cf.LobbyRefuse) -> None:
        if isinstance(frame, cf.LobbyAdmitAll):
            for party in frame.guests:
                await self._lobby(cf.LobbyAdmit(guest=party))
            return
        guest = self.who(frame.guest)
        await self.say("p-alice", f.LobbyLeft(guest=guest.party))
        if isinstance(frame, cf.LobbyAdmit):
            self.guest_admitted = True
            await self.say(guest.party, f.LobbyAdmitted(host=self.people["alice"]))
            await self.say("p-alice", f.PresenceChanged(contact=guest))
        else:
            self.guest_joined = False
            await self.say(guest.party, f.LobbyRefused())
            await self.sockets[guest.party].close(code=4403)

    async def _ring(self, party: str, frame: cf.CallInvite) -> None:
        call_id = self.number("c")
        self.calls[call_id] = Call(party, frame.to, frame.ref, frame.media)
        created = f.CallCreated(
            ref=frame.ref,
            call_id=call_id,
            to=self.who(frame.to),
            media=frame.media,
            ice_server=self.ice_server,
        )
        await self.say(party, created)
        ring = f.CallRing(call_id=call_id, caller=self.who(party), media=frame.media)
        await self.say(frame.to, ring)

    async def end(self, frame: cf.CallDecline | cf.CallCancel | cf.CallHangUp) -> None:
        call = self.calls.pop(frame.call_id, None)
        if call is None:
            return
        reasons: dict[str, EndReason] = {"call.decline": "declined", "call.cancel": "cancelled"}
        reason = reasons.get(frame.type, "hung_up")
        await self.say(call.caller, f.CallEnded(call_id=frame.call_id, reason=reason, ref=call.ref))
        await self.say(call.callee, f.CallEnded(call_id=frame.call_id, reason=reason))

    async def _forward(self, party: str, frame: cf.CallOffer | cf.CallAnswer | cf.CallCandidate) -> None:
        call = self.calls.get(frame.call_id)
        if call is None:
            return
        other = call.callee if party == call.caller else call.caller
        if isinstance(frame, cf.CallOffer):
            await self.say(other, f.ForwardedOffer(call_id=frame.call_id, sdp=frame.sdp))
        elif isinstance(frame, cf.CallAnswer):
            await self.say(other, f.ForwardedAnswer(call_id=frame.call_id, sdp=frame.sdp))
        else:
            forwarded = f.ForwardedCandidate(call_id=frame.call_id, candidate=frame.candidate, mid=frame.mid)
            await self.say(other, forwarded)


def _refused(row: ErrorRow) -> web.Response:
    answer = f.Error(code=row.code, message=row.sentence, retryable=row.retryable, decision_id="d-4711")
    return web.Response(status=row.http_status, text=encode(answer), content_type="application/json")


async def _headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _inside_app(edge: FakeEdge) -> web.Application:
    app = web.Application()

    async def me(request: web.Request) -> web.Response:
        login = request.cookies.get("inside", "")
        return web.json_response({"signed_in": login in edge.signed_in, "notice": NOTICE})

    async def sign_in(request: web.Request) -> web.Response:
        body = await request.json()
        if body["notice_acknowledged"] is not True:
            return _refused(NOTICE_NOT_ACKNOWLEDGED)
        if body["login"] not in edge.people or body["password"] != PASSWORD:
            return _refused(SIGN_IN_REFUSED)
        edge.signed_in.add(body["login"])
        response = web.json_response({})
        response.set_cookie("inside", body["login"], httponly=True, samesite="Strict")
        return response

    async def sign_out(request: web.Request) -> web.Response:
        edge.signed_in.discard(request.cookies.get("inside", ""))
        return web.Response(status=204)

    async def socket(request: web.Request) -> web.StreamResponse:
        login = request.cookies.get("inside", "")
        if login not in edge.signed_in:
            return _refused(NOT_SIGNED_IN)
        return await edge.serve(edge.people[login].party, request)

    app.router.add_get("/api/me", me)
    app.router.add_post("/api/sign-in", sign_in)
    app.router.add_post("/api/sign-out", sign_out)
    app.router.add_get("/ws", socket)
    return app


def _outside_app(edge: FakeEdge) -> web.Application:
    app = web.Application()

    async def notice(_: web.Request) -> web.Response:
        return web.json_response({"notice": NOTICE, "contact": CONTACT})

    async def me(_: web.Request) -> web.Response:
        name = edge.guest.name if edge.guest and edge.guest_joined else None
        return web.json_response({"joined": edge.guest_joined, "name": name})

    async def redeem(request: web.Request) -> web.Response:
        body = await request.json()
        if body != {"invitation": INVITATION, "name": body["name"], "notice_acknowledged": True}:
            return _refused(INVITATION_INVALID)
        edge.guest = contact("g-1", body["name"], "guest")
        edge.guest_joined = True
        return web.json_response({})

    async def leave(_: web.Request) -> web.Response:
        edge.guest_joined = False
        return web.Response(status=204)

    async def socket(request: web.Request) -> web.StreamResponse:
        if edge.guest is None or not edge.guest_joined:
            return _refused(NOT_SIGNED_IN)
        return await edge.serve(edge.guest.party, request)

    app.router.add_get("/api/notice", notice)
    app.router.add_get("/api/me", me)
    app.router.add_post("/api/redeem", redeem)
    app.router.add_post("/api/leave", leave)
    app.router.add_get("/ws", socket)
    return app


@asynccontextmanager
async def fake_edge() -> AsyncIterator[FakeEdge]:
    """Both listeners, on ports of their own."""
    edge = FakeEdge()
    pages = Pages()
    runners = []
    for side, app, index in (
        ("inside", _inside_app(edge), "inside.html"),
        ("outside", _outside_app(edge), "guest.html"),
    ):
        app.on_response_prepare.append(_headers)
        pages.add_routes(app, index)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        # Two names of one machine: cookies know no ports.
        name = "127.0.0.1" if side == "inside" else "localhost"
        setattr(edge, side, f"http://{name}:{runner.addresses[0][1]}")
    try:
        yield edge
    finally:
        for socket in list(edge.sockets.values()):
            await socket.close()
        for runner in runners:
            await runner.cleanup()
