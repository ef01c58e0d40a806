"""A plane with real sockets around it, for the contract that every plane keeps."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec

from relay.planes.asyncio_plane import AsyncioPlane
from relay.stun import channel_data
from relay.vocabulary import Address, Egress, FiveTuple, Leg, Plane, Route, Transport

PLANES: dict[str, Callable[[], Plane]] = {"asyncio": AsyncioPlane}
if shutil.which("cargo") or find_spec("relay._native"):
    # Where there is a compiler, an extension that is not there is a failure.
    PLANES["native"] = import_module("relay.planes.native_plane").NativePlane

PATIENCE_SECONDS = 5.0


class Client:
    """A UDP socket that talks to one listener."""

    def __init__(self, listener: Address) -> None:
        family = socket.AF_INET6 if listener.is_ipv6 else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind((listener.ip, 0))
        self.socket.connect((listener.ip, listener.port))
        self.five_tuple = FiveTuple(Transport.UDP, Address(*self.socket.getsockname()[:2]), listener)

    def send(self, datagram: bytes) -> None:
        self.socket.send(datagram)

    async def receive(self) -> bytes:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await asyncio.get_running_loop().sock_recv(self.socket, 65536)

    def leg(self, form: int | Address) -> Leg:
        return Leg(self.five_tuple, form)


class StreamClient:
    """A client of a connection that somebody else holds, who puts in what it sends."""

    def __init__(self, plane: Plane, transport: Transport, port: int) -> None:
        self._plane = plane
        self.five_tuple = FiveTuple(transport, Address("192.0.2.5", port), Address("192.0.2.1", 443))

    def send(self, message: bytes) -> None:
        self._plane.inject(self.five_tuple, message)

    def leg(self, form: int | Address) -> Leg:
        return Leg(self.five_tuple, form)


@dataclass
class Bench:
    """Clients of one plane: two with sockets, possibly at different listeners, and two with connections."""

    plane: Plane
    alice: Client
    bob: Client

    def __post_init__(self) -> None:
        self.carol = StreamClient(self.plane, Transport.TCP, 40001)
        self.dave = StreamClient(self.plane, Transport.TLS, 40002)

    def between(
        self,
        sender: Client | StreamClient,
        receiver: Client | StreamClient,
        channel: int | Address = 0x4000,
        to: int | Address = 0x4001,
        **more: object,
    ) -> Route:
        """As `route`, between any two."""
        alone = self.route(channel, to)
        return replace(alone, source=sender.leg(channel), target=receiver.leg(to), **more)  # type: ignore[arg-type]

    async def came_out(self, marker: bytes = b"marker") -> list[Egress]:
        """What there was for connections until now: all that comes before what a row of its own brings."""
        last = StreamClient(self.plane, Transport.TCP, 40003)
        mark = self.between(last, last, session_id="of the marker")
        self.plane.install(mark)
        last.send(channel_data.build(0x4000, marker))
        got: list[Egress] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not got or got[-1].five_tuple != last.five_tuple:
                got += await self.plane.egress()
        self.plane.remove(mark.source)
        return got[:-1]

    def route(
        self,
        channel: int | Address = 0x4000,
        to: int | Address = 0x4001,
        *,
        session_id: str = "s1",
        payload_types: frozenset[int] | None = None,
        audio: frozenset[int] = frozenset(),
        dtls_budget_bytes: int = 0,
        limiter_ids: tuple[str, ...] = (),
    ) -> Route:
        """From Alice to Bob."""
        return Route(
            self.alice.leg(channel),
            self.bob.leg(to),
            session_id,
            payload_types,
            audio,
            dtls_budget_bytes,
            limiter_ids,
        )

    async def sent_before(self, marker: bytes = b"marker") -> list[bytes]:
        """What Bob got until now: all that comes before a reply of control's own."""
        self.plane.send(self.bob.five_tuple, marker)
        got = []
        while (datagram := await self.bob.receive()) != marker:
            got.append(datagram)
        return got

    async def settled(self) -> None:
        """The plane has dealt with everything Alice sent: a request of hers that comes after it is punted."""
        request = b"\x00\x01\x00\x00\x21\x12\xa4\x42settled-mark"
        self.alice.send(request)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                if any(punt.datagram == request for punt in await self.plane.punts()):
                    break
        # Control has dealt with it once it has given up the thread.
        await asyncio.sleep(0)


@asynccontextmanager
async def bench(make: Callable[[], Plane], *listeners: Address) -> AsyncIterator[Bench]:
    plane = make()
    bound = plane.start(list(listeners) or [Address("127.0.0.1", 0)])
    alice, bob = Client(bound[0]), Client(bound[-1])
    try:
        yield Bench(plane, alice, bob)
    finally:
        plane.stop()
        alice.socket.close()
        bob.socket.close()
