"""Asking the relay: a STUN Binding at every way that clients are told, and a relay of our own with two
clients in one session."""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
import time
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from aioice.stun import TransactionError
from aioice.turn import TurnTransport, create_turn_endpoint

from broker.client.errors import MediaFailed
from broker.client.relay_path import RelayPath, find_relay_path
from broker.shell.doctor.relay import PathFacts, TrialFacts
from broker.shell.doctor.resolving import addresses_of
from broker.shell.media import relay_urls
from config.listeners import InsideSettings, OutsideSettings
from config.relay import RelaySettings
from config.settings import Settings
from relay.configured import configured_listeners
from relay.planes.choice import choose_plane
from relay.service import Relay
from relay.turn.events import Admission
from relay.vocabulary import Address, Listener, Transport

TRIAL_SECONDS = 8.0
RESEND_SECONDS = 0.2
FAREWELL_SECONDS = 2.0
"""For the relay to say that it has freed an allocation."""
SECRET_BYTES = 32
PARTIES = ("inside", "outside")
_BINDING = b"\x00\x01\x00\x00\x21\x12\xa4\x42"
"""The head of a STUN Binding request: what the relay lets pass before anything is negotiated."""

Side = InsideSettings | OutsideSettings


def unverified() -> ssl.SSLContext:
    """For asking whether somebody answers: what certificate they show is looked at by itself."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def answering(listeners: Collection[Listener]) -> set[Listener]:
    """Those at which a relay answers; all are asked at once."""
    return asyncio.run(_answering(listeners))


async def _answering(listeners: Collection[Listener]) -> set[Listener]:
    async with asyncio.TaskGroup() as tasks:
        asked = [(one, tasks.create_task(_answers(one))) for one in listeners]
    return {one for one, answered in asked if answered.result()}


async def _answers(listener: Listener) -> bool:
    transport, address = listener
    scheme = "turns" if transport is Transport.TLS else "turn"
    url = f"{scheme}:{address}?transport={'udp' if transport is Transport.UDP else 'tcp'}"
    try:
        await find_relay_path([url], unverified())
    except MediaFailed:
        return False
    return True


def look_at_paths(settings: Settings) -> Iterator[PathFacts]:
    """Every way to the relay that clients of both sides are told."""
    listeners = configured_listeners(settings.relay)
    told: list[tuple[str, str, Listener | None]] = []
    for section, side in _sides(settings):
        for url in relay_urls(side, listeners):
            path = RelayPath.of(url)
            ip = _resolved(path.host)
            where = None if ip is None else Listener(Transport(path.transport), Address(ip, path.port))
            told.append((section, url, where))
    answered = answering({where for _, _, where in told if where is not None})
    for section, url, where in told:
        here = where is not None and _is_here(where.address.ip)
        yield PathFacts(section, url, where in answered, here, unresolved=where is None)


def try_relay(settings: Settings, *, as_configured: bool) -> list[TrialFacts]:
    """Two clients of a relay of our own, by each transport that has a listener. Nobody else is let in: its
    secret is new, and nobody is told of the session. Raises OSError and PlaneUnavailableError where it cannot
    be begun."""
    hosts = [_resolved(side.relay_host) for _, side in _sides(settings)]
    listeners = [one for one in configured_listeners(settings.relay) if one.transport is not Transport.TLS]
    if not as_configured:
        listeners = [Listener(one.transport, Address(one.address.ip, 0)) for one in listeners]
    if not listeners:
        return []
    tried = settings.relay.model_copy(update={"listen": tuple(map(str, listeners)), "pairing": "session"})
    return asyncio.run(_try(settings, tried, hosts, as_configured=as_configured))


async def _try(
    settings: Settings, tried: RelaySettings, hosts: Sequence[str | None], *, as_configured: bool
) -> list[TrialFacts]:
    secret, plane = secrets.token_bytes(SECRET_BYTES), choose_plane(tried).plane
    found = []
    async with Relay(tried, [secret], admission_required=True, plane=plane) as relay:
        for transport in dict.fromkeys(one.transport for one in relay.listeners):
            bound = [one.address for one in relay.listeners if one.transport is transport]
            places = [
                _place(ip, side, bound, as_configured=as_configured)
                for ip, (_, side) in zip(hosts, _sides(settings), strict=True)
            ]
            failure = "a host has no address here"
            if None not in hosts:
                failure = await _pass_packets(relay, transport, places)
            here = all(_is_here(place.ip) for place in places)
            told = map(str, places)
            found.append(TrialFacts(transport.value, next(told), next(told), failure, here, as_configured))
    return found


def _place(ip: str | None, side: Side, bound: Sequence[Address], *, as_configured: bool) -> Address:
    """Where a client of this side, for which the relay's host is `ip`, finds the relay."""
    own = {address.ip: address for address in bound}
    if as_configured and ip is not None:
        return own.get(ip) or Address(ip, bound[0].port)
    return own.get(ip or "") or own.get(side.address) or bound[0]


async def _pass_packets(relay: Relay, transport: Transport, places: Sequence[Address]) -> str:
    """Why a packet does not come; empty where one came each way."""
    session_id, until = secrets.token_hex(8), int(time.time()) + 60
    relay.admit(Admission(session_id, PARTIES, until))
    step = "the relay does not answer"
    try:
        async with (
            asyncio.timeout(TRIAL_SECONDS),
            _client(relay, session_id, PARTIES[0], until, transport, places[0]) as inside,
            _client(relay, session_id, PARTIES[1], until, transport, places[1]) as outside,
        ):
            step = "it answers, and forwards nothing"
            while not (inside.heard.is_set() and outside.heard.is_set()):
                inside.say(outside)
                outside.say(inside)
                await asyncio.sleep(RESEND_SECONDS)
    except TimeoutError:
        return step
    except TransactionError:
        return "the relay refuses or does not answer"
    except OSError as failed:
        return failed.strerror or "the relay does not answer"
    finally:
        relay.remove_session(session_id)
    return ""


@dataclass(slots=True)
class _Client(asyncio.DatagramProtocol):
    """One of the two, with a payload of its own."""

    payload: bytes = field(default_factory=lambda: _BINDING + secrets.token_bytes(12))
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    expects: bytes = b""
    relayed: tuple[str, int] = ("", 0)
    way: TurnTransport | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data == self.expects:
            self.heard.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()

    def say(self, other: _Client) -> None:
        other.expects = self.payload
        if self.way is not None:
            self.way.sendto(self.payload, other.relayed)


@asynccontextmanager
async def _client(
    relay: Relay, session_id: str, party: str, until: int, transport: Transport, place: Address
) -> AsyncIterator[_Client]:
    credential = relay.issue_credential(session_id, party, until)
    way, client = await create_turn_endpoint(
        _Client,
        server_addr=(place.ip, place.port),
        username=credential.username,
        password=credential.password,
        transport="udp" if transport is Transport.UDP else "tcp",
    )
    client.way, client.relayed = way, way.get_extra_info("sockname")
    try:
        yield client
    finally:
        way.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await client.gone.wait()


def _sides(settings: Settings) -> tuple[tuple[str, Side], ...]:
    return ("inside", settings.inside), ("outside", settings.outside)


def _resolved(host: str) -> str | None:
    try:
        return next(iter(addresses_of(host)), None)
    except OSError:
        return None


def _is_here(ip: str) -> bool:
    """Whether it is an address of this machine."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((ip, 0))
    except OSError:
        return False
    return True
