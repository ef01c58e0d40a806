"""A small edge that speaks the wire over real TLS: of each noun, enough to drive the Python client."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import WSMsgType, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from broker.core.client_frames import (
    CallAccept,
    CallAnswer,
    CallCancel,
    CallCandidate,
    CallDecline,
    CallHangUp,
    CallInvite,
    CallOffer,
    ChatSend,
    ClientFrame,
    Hello,
    InvitationCreate,
    LobbyAdmit,
    LobbyRefuse,
)
from broker.core.errors import (
    BAD_REQUEST,
    INVITATION_INVALID,
    NOT_SIGNED_IN,
    NOTICE_NOT_ACKNOWLEDGED,
    SIGN_IN_REFUSED,
    STILL_IN_LOBBY,
    ErrorRow,
)
from broker.core.frame_codec import SUBPROTOCOL, encode, parse_client_frame
from broker.core.frame_fields import EndReason, Kind
from broker.core.frames import (
    CallAccepted,
    CallCreated,
    CallEnded,
    CallRing,
    ChatAccepted,
    ChatMessage,
    Contact,
    EdgeFrame,
    Error,
    ForwardedAnswer,
    ForwardedCandidate,
    ForwardedOffer,
    GuestWelcome,
    IceServer,
    InsiderWelcome,
    InvitationCreated,
    InvitationInfo,
    LobbyAdmitted,
    LobbyRefused,
    LobbyWaiting,
    PresenceChanged,
    WaitingGuest,
)

SECRET = "s3cret"
INVITATION = "invitation-secret"
HOST = "ada"
GUEST = "guest-1"


def error_frame(row: ErrorRow, ref: str | None = None, call_id: str | None = None) -> Error:
    return Error(
        code=row.code,
        message=row.sentence,
        retryable=row.retryable,
        decision_id="d1",
        ref=ref,
        call_id=call_id,
    )


def contact(party: str) -> Contact:
    kind: Kind = "guest" if party == GUEST else "insider"
    return Contact(party=party, name=party.title(), kind=kind, status="available")


@dataclass
class _Call:
    caller: str
    callee: str
    ref: str
    answered: bool = False

    def other(self, party: str) -> str:
        return self.callee if party == self.caller else self.caller


@dataclass
class FakeEdge:
    """`before` sees each frame first and takes it over by returning True; `received` keeps them all."""

    ice_server: IceServer = field(
        default_factory=lambda: IceServer(urls=["turn:127.0.0.1:9"], username="u", credential="c")
    )
    before: Callable[[str, ClientFrame], Awaitable[bool]] | None = None
    origin: str = ""
    ca_file: Path = Path()
    subprotocols: tuple[str, ...] = (SUBPROTOCOL,)
    welcomes: bool = True
    ended_tokens: list[str] = field(default_factory=list)
    received: list[tuple[str, ClientFrame]] = field(default_factory=list)
    sockets: dict[str, web.WebSocketResponse] = field(default_factory=dict)
    admitted: set[str] = field(default_factory=set)
    _calls: dict[str, _Call] = field(default_factory=dict)
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    _count: int = 0

    def sent_by(self, party: str, frame_type: type[ClientFrame]) -> list[ClientFrame]:
        return [frame for who, frame in self.received if who == party and isinstance(frame, frame_type)]

    async def received_from(self, party: str, frame_type: type[ClientFrame], count: int = 1) -> ClientFrame:
        """The `count`-th such frame of this party, once it is here."""
        async with asyncio.timeout(10), self._arrived:
            await self._arrived.wait_for(lambda: len(self.sent_by(party, frame_type)) >= count)
        return self.sent_by(party, frame_type)[count - 1]

    async def push(self, party: str, frame: EdgeFrame | str) -> None:
        await self.sockets[party].send_str(frame if isinstance(frame, str) else encode(frame))

    # --- HTTP ---

    async def sign_in(self, request: web.Request) -> web.Response:
        body = await request.json()
        if set(body) != {"login", "password", "notice_acknowledged", "bearer"} or body["bearer"] is not True:
            return self._refused(BAD_REQUEST)
        if body["notice_acknowledged"] is not True:
            return self._refused(NOTICE_NOT_ACKNOWLEDGED)
        if body["login"] == "behind-a-proxy":
            return web.Response(status=502, text="<html>Bad Gateway</html>", content_type="text/html")
        if body["password"] != SECRET:
            return self._refused(SIGN_IN_REFUSED)
        return web.json_response({"token": f"token-{body['login']}"})

    async def redeem(self, request: web.Request) -> web.Response:
        body = await request.json()
        if set(body) != {"invitation", "name", "notice_acknowledged", "bearer"}:
            return self._refused(BAD_REQUEST)
        if body["invitation"] != INVITATION or body["notice_acknowledged"] is not True:
            return self._refused(INVITATION_INVALID)
        return web.json_response({"token": f"token-{GUEST}"})

    async def end_token(self, request: web.Request) -> web.Response:
        self.ended_tokens.append(request.headers["Authorization"].removeprefix("Bearer "))
        return web.Response(status=204)

    def _refused(self, row: ErrorRow) -> web.Response:
        return web.Response(
            status=row.http_status, text=encode(error_frame(row)), content_type="application/json"
        )

    # --- WebSocket ---

    async def socket(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer token-")
        if token == "nobody":
            return self._refused(NOT_SIGNED_IN)
        socket = web.WebSocketResponse(protocols=self.subprotocols)
        await socket.prepare(request)
        if token == "expired":
            await socket.send_str(encode(error_frame(NOT_SIGNED_IN)))
            await socket.close(code=4401)
            return socket
        self.sockets[token] = socket
        async for message in socket:
            assert message.type is WSMsgType.TEXT
            frame = parse_client_frame(message.data)
            async with self._arrived:
                self.received.append((token, frame))
                self._arrived.notify_all()
            if self.before is None or not await self.before(token, frame):
                await self._handle(token, frame)
        self.sockets.pop(token, None)
        return socket

    async def _handle(self, party: str, frame: ClientFrame) -> None:
        self._count += 1
        match frame:
            case Hello() if self.welcomes:
                await self._welcome(party)
            case ChatSend():
                message_id = f"m{self._count}"
                await self.push(party, ChatAccepted(ref=frame.ref, message_id=message_id, sent_at_ms=1))
                if frame.to in self.sockets:
                    message = ChatMessage(
                        message_id=message_id, sender=contact(party), text=frame.text, sent_at_ms=1
                    )
                    await self.push(frame.to, message)
            case InvitationCreate():
                info = InvitationInfo(
                    invitation_id="i1",
                    guest_name=frame.guest_name,
                    purpose=frame.purpose,
                    expires_at=1,
                    redemptions=1,
                    redemptions_left=1,
                    guests=0,
                )
                link = f"{self.origin}/#{INVITATION}"
                await self.push(party, InvitationCreated(ref=frame.ref, invitation=info, link=link))
            case LobbyAdmit():
                self.admitted.add(frame.guest)
                await self.push(frame.guest, LobbyAdmitted(host=contact(party)))
                await self.push(party, PresenceChanged(contact=contact(frame.guest)))
            case LobbyRefuse():
                await self.push(frame.guest, LobbyRefused())
                await self.sockets[frame.guest].close()
            case CallInvite():
                await self._invite(party, frame)
            case CallAccept() | CallDecline() | CallCancel() | CallHangUp():
                await self._move(party, frame)
            case CallOffer():
                await self._forward(
                    party, frame.call_id, ForwardedOffer(call_id=frame.call_id, sdp=frame.sdp)
                )
            case CallAnswer():
                await self._forward(
                    party, frame.call_id, ForwardedAnswer(call_id=frame.call_id, sdp=frame.sdp)
                )
            case CallCandidate():
                forwarded = ForwardedCandidate(
                    call_id=frame.call_id, candidate=frame.candidate, mid=frame.mid
                )
                await self._forward(party, frame.call_id, forwarded)
            case _:
                pass

    async def _welcome(self, party: str) -> None:
        if party == GUEST:
            host = contact(HOST) if GUEST in self.admitted else None
            # On the wire a guest in the lobby has `"host": null`, not an absent member.
            await self.push(
                party, GuestWelcome(you=contact(GUEST), notice="recorded", host=host).model_dump_json()
            )
            if host is None and HOST in self.sockets:
                waiting = WaitingGuest(guest=contact(GUEST), invitation_id="i1")
                await self.push(HOST, LobbyWaiting(waiting=waiting))
            return
        others = [contact(other) for other in self.sockets if other != party]
        await self.push(party, InsiderWelcome(you=contact(party), contacts=others, invitations=[], lobby=[]))

    async def _invite(self, party: str, frame: CallInvite) -> None:
        if frame.to not in self.sockets:
            await self.push(party, error_frame(STILL_IN_LOBBY, ref=frame.ref))
            return
        call_id = f"c{self._count}"
        self._calls[call_id] = _Call(party, frame.to, frame.ref)
        created = CallCreated(
            ref=frame.ref,
            call_id=call_id,
            to=contact(frame.to),
            media=frame.media,
            ice_server=self.ice_server,
        )
        await self.push(party, created)
        await self.push(frame.to, CallRing(call_id=call_id, caller=contact(party), media=frame.media))

    async def _move(self, party: str, frame: CallAccept | CallDecline | CallCancel | CallHangUp) -> None:
        call = self._calls[frame.call_id]
        if isinstance(frame, CallAccept):
            accepted = CallAccepted(call_id=frame.call_id, role="callee", ice_server=self.ice_server)
            await self.push(party, accepted)
            await self.push(call.caller, accepted.model_copy(update={"role": "caller"}))
            return
        reasons: dict[str, EndReason] = {
            "call.decline": "declined",
            "call.cancel": "cancelled",
            "call.hang_up": "hung_up",
        }
        ended = CallEnded(call_id=frame.call_id, reason=reasons[frame.type], ref=call.ref)
        for who in (call.caller, call.callee):
            if who in self.sockets:
                await self.push(who, ended)

    async def _forward(self, party: str, call_id: str, frame: EdgeFrame) -> None:
        await self.push(self._calls[call_id].other(party), frame)


@asynccontextmanager
async def fake_edge(folder: Path) -> AsyncIterator[FakeEdge]:
    edge = FakeEdge(ca_file=folder / "ca.pem")
    application = web.Application()
    application.router.add_post("/api/sign-in", edge.sign_in)
    application.router.add_post("/api/redeem", edge.redeem)
    application.router.add_post("/api/sign-out", edge.end_token)
    application.router.add_post("/api/leave", edge.end_token)
    application.router.add_get("/ws", edge.socket)
    runner = web.AppRunner(application, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=_server_tls(edge.ca_file))
        await site.start()
        port = runner.addresses[0][1]
        edge.origin = f"https://127.0.0.1:{port}"
        yield edge
    finally:
        await runner.cleanup()


def _server_tls(ca_file: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake edge")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file = ca_file.with_suffix(".key")
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ca_file, key_file)
    return context


def frame_type_of(text: str) -> str:
    return str(json.loads(text)["type"])
