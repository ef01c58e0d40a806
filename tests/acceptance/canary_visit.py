"""A visit full of canaries at an edge that is a process of its own: what was said, and who heard it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from broker.client.invitations import split_link
from broker.client.tls import Connector
from broker.core import client_frames as cf
from broker.core.frame_codec import SUBPROTOCOL
from tests.acceptance.served_edge import ServedEdge
from tests.edge.bench_wire import Answer, Wire

ALICE_ADDRESS, GUEST_ADDRESS, STRANGER_ADDRESS = "127.77.1.19", "127.88.2.29", "127.99.3.39"
GUEST_NAME = "Canary Guest Grünfink"
INVITED_NAME, INVITED_EMAIL = "Canary Invited Rotkehlchen", "canary.invited@canary-domain.example"
PURPOSE = "canary purpose zum Zweck"
WRONG_PASSWORD = "canary-wrong-password"
TO_GUEST, TO_ALICE, UNREAD = "canary text zum Gast", "canary text an Alice", "canary text nobody reads"
OFFER = Path(__file__).parents[1] / "wire" / "sdp" / "chromium-host-offer.sdp"


@dataclass
class Heard:
    """Every byte that came back, by who got it, and every secret that was handed out on the way."""

    frames: dict[str, list[str]] = field(default_factory=dict)
    bodies: dict[str, list[bytes]] = field(default_factory=dict)
    admin: list[bytes] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)


@dataclass
class Source:
    """A program at one address."""

    name: str
    session: aiohttp.ClientSession
    heard: Heard
    tasks: asyncio.TaskGroup

    async def http(
        self,
        method: str,
        url: str,
        body: object = None,
        token: str = "",
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        headers = {**(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        if body is not None or data is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode() if data is None else data
        async with self.session.request(method, url, data=data, headers=headers) as answer:
            raw = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in answer.raw_headers]
            got = Answer(answer.status, await answer.read(), raw)
        self.heard.bodies.setdefault(self.name, []).append(str(raw).encode() + got.body)
        return got

    @asynccontextmanager
    async def wire(self, origin: str, token: str) -> AsyncIterator[Wire]:
        socket = await self.session.ws_connect(
            f"{origin}/ws", headers={"Authorization": f"Bearer {token}"}, protocols=(SUBPROTOCOL,)
        )
        wire = Wire(socket)
        self.heard.frames[self.name] = wire.received
        self.tasks.create_task(wire._read())
        try:
            await wire.hello()
            yield wire
        finally:
            await socket.close()


def hostile_offer(address: str) -> str:
    """A browser's offer that says where the browser is in every place where SDP has room for it."""
    text = OFFER.read_text().replace("192.0.2.2", address).replace("0.0.0.0", address)
    text = text.replace("127.0.0.1", address).replace("s=-", f"s={address}")
    relayed = f"a=candidate:1 1 udp 41885439 198.18.0.9 50000 typ relay raddr {address} rport 50001\r\n"
    reflexive = f"a=candidate:2 1 udp 1677729535 {address} 50000 typ srflx raddr {address} rport 50001\r\n"
    named = "a=candidate:3 1 udp 2122194687 canary-host.local 50000 typ host\r\n"
    return text.rstrip() + f"\r\na=x-canary:{address}\r\ni={address}\r\n" + reflexive + named + relayed


def candidates(address: str) -> list[str]:
    return [
        f"candidate:1 1 udp 2122194687 {address} 50000 typ host",
        f"candidate:2 1 udp 1677729535 {address} 50000 typ srflx raddr {address} rport 50001",
        f"candidate:3 1 udp 41885439 198.18.0.9 50000 typ relay raddr {address} rport 50001",
        "candidate:4 1 udp 2122194687 canary-host.local 50000 typ host",
        f"candidate:5 1 tcp 1518214911 {address} 9 typ host tcptype active",
        f"candidate:nonsense {address}",
    ]


async def visit(edge: ServedEdge) -> Heard:
    """The whole visit; raises whatever goes otherwise than it must."""
    heard = Heard()
    tls = ssl.create_default_context(cafile=str(edge.ca_file))
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(asyncio.TaskGroup())

        async def source(name: str, address: str) -> Source:
            connector = Connector(tls, local_addr=(address, 0))
            session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
            return Source(name, await stack.enter_async_context(session), heard, tasks)

        alice = await source("alice", ALICE_ADDRESS)
        guest = await source("guest", GUEST_ADDRESS)
        stranger = await source("stranger", STRANGER_ADDRESS)
        await _failures(edge, stranger)
        token = await _signed_in(edge, alice)
        host = await stack.enter_async_context(alice.wire(edge.inside, token))
        joined = await _joined(edge, host, guest, stranger)
        visitor = await stack.enter_async_context(guest.wire(edge.outside, joined))
        await host.send(cf.LobbyAdmit(guest=visitor.you))
        await visitor.until("lobby.admitted")
        await _chat(host, visitor)
        await _call(host, visitor, heard)
        await _absent(edge, alice, host)
        for _ in range(3):
            await host.send('{"type":"chat.send","ref":"canary text zum Gast","to":7}')
            await visitor.send(f"canary text an Alice {WRONG_PASSWORD}")
        await host.heard()
        await visitor.heard()
        await guest.http("GET", f"{edge.outside}/api/me", token=joined)
        await guest.http("POST", f"{edge.outside}/api/leave", token=joined)
        await visitor.closed()
        await host.until("contact.gone")
        admin = f"https://{edge.addresses.admin}:{edge.addresses.admin_port}"
        for path in ("/healthz", "/metrics", "/none"):
            heard.admin.append((await stranger.http("GET", admin + path)).body)
        await alice.http("POST", f"{edge.inside}/api/sign-out", token=token)
        await host.closed()
    return heard


async def _failures(edge: ServedEdge, stranger: Source) -> None:
    url = f"{edge.inside}/api/sign-in"
    right = edge.person("alice").password
    for body in (
        {"login": "alice", "password": WRONG_PASSWORD},
        {"login": "nobody", "password": WRONG_PASSWORD},
        {"login": right, "password": "alice"},
        {"login": "alice", "password": right, "more": WRONG_PASSWORD},
        {"login": "alice", "password": [right]},
    ):
        assert (await stranger.http("POST", url, body)).status in (400, 401)
    await stranger.http("POST", url, data=f'{{"login":"alice","password":"{right}'.encode())
    await stranger.http("GET", f"{edge.inside}/{right}?password={right}#{right}")
    await stranger.http("GET", f"{edge.inside}/ws", token=right)


async def _signed_in(edge: ServedEdge, alice: Source) -> str:
    body: dict[str, Any] = {
        "login": "alice",
        "password": edge.person("alice").password,
        "notice_acknowledged": True,
    }
    cookie = (await alice.http("POST", f"{edge.inside}/api/sign-in", body)).cookies[0]
    answer = await alice.http("POST", f"{edge.inside}/api/sign-in", body | {"bearer": True})
    alice.heard.secrets["alice's cookie"] = cookie.split(";")[0].split("=")[1]
    alice.heard.secrets["alice's token"] = str(answer.json["token"])
    return alice.heard.secrets["alice's token"]


async def _joined(edge: ServedEdge, host: Wire, guest: Source, stranger: Source) -> str:
    words = {"guest_name": INVITED_NAME, "guest_email": INVITED_EMAIL, "purpose": PURPOSE}
    await host.send(cf.InvitationCreate.model_validate({"ref": "r1", **words}))
    made = await host.until("invitation.created", ref="r1")
    invitation_id = made["invitation"]["invitation_id"]
    await host.send(cf.InvitationReissue(ref="r2", invitation_id=invitation_id))
    replaced = split_link(made["link"])[1]
    secret = split_link((await host.until("invitation.created", ref="r2"))["link"])[1]
    url = f"{edge.outside}/api/redeem"
    body = {"invitation": secret, "name": GUEST_NAME, "notice_acknowledged": True, "bearer": True}
    assert (await stranger.http("POST", url, body | {"invitation": secret[:-2]})).status == 403
    assert (await guest.http("POST", url, body | {"notice_acknowledged": False})).status == 400
    assert (await stranger.http("POST", url, body | {"invitation": replaced})).status == 403
    for misled in (f"{edge.outside}/{secret}", f"{edge.outside}/?{secret}", f"{edge.outside}/#{secret}"):
        await guest.http("GET", misled)
        await guest.http("GET", f"{edge.outside}/api/notice", headers={"Referer": misled})
    answer = await guest.http("POST", url, body)
    assert (await stranger.http("POST", url, body)).status == 403
    guest.heard.secrets["the invitation"] = secret
    guest.heard.secrets["the replaced invitation"] = replaced
    guest.heard.secrets["the guest's token"] = str(answer.json["token"])
    return guest.heard.secrets["the guest's token"]


async def _chat(host: Wire, visitor: Wire) -> None:
    for sender, receiver, text in ((host, visitor, TO_GUEST), (visitor, host, TO_ALICE)):
        await sender.send(cf.ChatSend(ref="r", to=receiver.you, text=text))
        message = await receiver.until("chat.message", text=text)
        await receiver.send(cf.ChatReceived(message_id=message["message_id"]))


async def _absent(edge: ServedEdge, alice: Source, host: Wire) -> None:
    """A message to somebody who never comes."""
    bob = next(c for frame in host.frames for c in frame.get("contacts", ()) if c["name"].startswith("Bob"))
    await host.send(cf.ChatSend(ref="unread", to=bob["party"], text=UNREAD))
    await host.until("chat.accepted", ref="unread")


async def _call(host: Wire, visitor: Wire, heard: Heard) -> None:
    await host.send(cf.CallInvite(ref="c", to=visitor.you, media=["audio"]))
    created = await host.until("call.created")
    call_id = str(created["call_id"])
    await visitor.until("call.ring")
    await visitor.send(cf.CallAccept(call_id=call_id))
    answered = await visitor.until("call.accepted")
    await host.until("call.accepted")
    heard.secrets["alice's relay password"] = str(created["ice_server"]["credential"])
    heard.secrets["the guest's relay password"] = str(answered["ice_server"]["credential"])
    for line in candidates(ALICE_ADDRESS):
        await host.send(cf.CallCandidate(call_id=call_id, candidate=line, mid="0"))
    for line in candidates(GUEST_ADDRESS):
        await visitor.send(cf.CallCandidate(call_id=call_id, candidate=line, mid="0"))
    await host.send(cf.CallOffer(call_id=call_id, sdp=hostile_offer(ALICE_ADDRESS)))
    offer = await visitor.until("call.offer")
    assert "a=fingerprint:" in offer["sdp"]
    answer = hostile_offer(GUEST_ADDRESS).replace("a=setup:actpass", "a=setup:active")
    await visitor.send(cf.CallAnswer(call_id=call_id, sdp=answer))
    await host.until("call.answer")
    await visitor.send(cf.CallOffer(call_id=call_id, sdp=f"v=0 {GUEST_ADDRESS}"))
    await visitor.until("error", code="SDP_MALFORMED")
    await host.send(cf.CallHangUp(call_id=call_id))
    await visitor.until("call.ended")
