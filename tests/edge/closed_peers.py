"""Peer addresses that a closed relay must refuse, and somebody who tries them.

They are all the places that one might want to reach through it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from random import Random
from typing import NamedTuple

from relay.stun import attributes as a
from relay.stun.attributes import Attribute
from relay.stun.message import Field, Message, Method
from relay.turn.address_pool import FIRST_PORT, LAST_PORT
from relay.vocabulary import Address
from tests.edge.raw_turn import PATIENCE_SECONDS, RawTurn, code_of, indication

AS_WRITTEN: Attribute[bytes] = Attribute(
    a.XOR_PEER_ADDRESS.number, "XOR-PEER-ADDRESS", lambda value, _: value, lambda value, _: value
)
"""The attribute with any value, an address or not."""

V4: dict[str, list[str]] = {
    "loopback": ["127.0.0.1", "127.0.0.0", "127.0.1.1", "127.1.2.3", "127.128.0.1", "127.255.255.254"],
    "loopback's broadcast": ["127.255.255.255"],
    "this host and network": ["0.0.0.0", "0.0.0.1", "0.255.255.255"],
    "private": [
        "10.0.0.1",
        "10.255.255.254",
        "172.16.0.1",
        "172.31.255.254",
        "192.168.0.1",
        "192.168.255.254",
    ],
    "shared by carriers": ["100.64.0.1", "100.127.255.254"],
    "link-local": ["169.254.0.1", "169.254.255.254"],
    "metadata of clouds": [
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
    ],
    "multicast": ["224.0.0.1", "224.0.0.251", "232.1.2.3", "239.255.255.250"],
    "broadcast and reserved": ["255.255.255.255", "240.0.0.1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.77"],
    "protocols": ["192.0.0.170", "192.88.99.1"],
    "public": ["1.1.1.1", "8.8.8.8"],
    "relayed addresses, used or not": [
        "198.18.0.0",
        "198.18.0.1",
        "198.18.255.255",
        "198.19.0.0",
        "198.19.255.255",
    ],
}
V6: dict[str, list[str]] = {
    "loopback and unspecified": ["::1", "::"],
    "link-local and site-local": ["fe80::1", "febf::1", "fec0::1"],
    "unique local": ["fc00::1", "fd00::1", "fdff:ffff::1"],
    "metadata of clouds": ["fd00:ec2::254", "fd20:ce::254"],
    "multicast": ["ff01::1", "ff02::1", "ff02::fb", "ff05::2", "ff0e::1"],
    "documentation and discard": ["2001:db8::1", "3fff::1", "100::1"],
    "public": ["2606:4700:4700::1111"],
}
FORMS: dict[str, Callable[[bytes], bytes]] = {
    "mapped": lambda v4: bytes(10) + b"\xff\xff" + v4,
    "compatible": lambda v4: bytes(12) + v4,
    "translated": lambda v4: bytes(8) + b"\xff\xff\x00\x00" + v4,
    "NAT64": lambda v4: bytes.fromhex("0064ff9b") + bytes(8) + v4,
    "local NAT64": lambda v4: bytes.fromhex("0064ff9b0001") + bytes(6) + v4,
    "6to4": lambda v4: b"\x20\x02" + v4 + bytes(9) + b"\x01",
    "Teredo": lambda v4: (
        bytes.fromhex("20010000") + v4 + b"\x00\x00\x96\x87" + bytes(255 - one for one in v4)
    ),
    "ISATAP": lambda v4: b"\xfe\x80" + bytes(6) + b"\x00\x00\x5e\xfe" + v4,
}
"""An IPv4 address inside of an IPv6 address, in all ways that some network translates back."""
PROBED_CHANNELS = range(0x4001, 0x5000)
IN_FLIGHT = 16
DATAGRAMS_PER_SECOND, AHEAD = 2500, 1000
"""Under what the relay takes of one client."""
PORTS = (9, 22, 53, 80, 443, 3478, 49152, 65535)
NOT_ADDRESSES: dict[str, bytes] = {
    "nothing": b"",
    "one byte": b"\x00",
    "half an address": b"\x00\x01\x12\x34\x7f\x00",
    "an IPv4 address and a byte more": b"\x00\x01\x12\x34\x7f\x00\x00\x01\x00",
    "an IPv4 address without port": b"\x00\x01\x7f\x00\x00\x01",
    "no family": b"\x00\x00\x12\x34\x7f\x00\x00\x01",
    "IPv6 in four bytes": b"\x00\x02\x12\x34\x7f\x00\x00\x01",
    "another family": b"\x00\x03\x12\x34\x7f\x00\x00\x01",
    "the last family": b"\x00\xff\x12\x34\x7f\x00\x00\x01",
    "IPv4 in sixteen bytes": b"\x00\x01\x12\x34" + bytes(16),
    "IPv6 cut off": b"\x00\x02\x12\x34" + bytes(15),
    "IPv6 and a byte more": b"\x00\x02\x12\x34" + bytes(17),
    "two addresses in one": b"\x00\x01\x12\x34\x7f\x00\x00\x01" * 2,
    "a socket address of C": b"\x02\x00\x0d\x96\x7f\x00\x00\x01" + bytes(8),
    "text": b"127.0.0.1:80",
}


class Peer(NamedTuple):
    """`address` is None for what is no address at all."""

    what: str
    field: Field
    address: Address | None

    def code(self, *, relays_ipv6: bool) -> int:
        """How a request for it has to be answered."""
        if self.address is None:
            return 400
        return 403 if self.address.is_ipv6 == relays_ipv6 else 443


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is there while somebody probes."""

    own: Address
    """The relayed address of who probes."""
    of_the_same_party: Address
    of_the_other_party: Address
    """The only peer there is; never among those that are refused."""
    of_another_session: tuple[Address, ...]
    of_the_relay: tuple[Address, ...]
    """Listeners, metrics and all."""
    of_clients: tuple[Address, ...]
    """Where they really are."""


def hand_picked(around: Surroundings) -> list[Peer]:
    """A few hundred."""
    peers = [_peer(f"{what}: {form}", address) for what, form, address in _places()]
    peers += [_peer(f"there: {what}", address) for what, address in _neighbours(around)]
    peers += [Peer(f"malformed: {what}", (AS_WRITTEN, value), None) for what, value in NOT_ADDRESSES.items()]
    return peers


def at_random(count: int, around: Surroundings, seed: int = 8656) -> list[Peer]:
    """From everywhere, and many of them close to relayed addresses that live."""
    random = Random(seed)
    live = {around.of_the_other_party}
    peers: list[Peer] = []
    while len(peers) < count:
        near = random.randrange(10)
        port = random.randrange(1 << 16)
        if near < 5:
            address = Address(str(IPv4Address(random.getrandbits(32))), port)
        elif near < 7:
            address = Address(str(IPv4Address(int(IPv4Address("198.18.0.0")) + random.getrandbits(17))), port)
        elif near < 9:
            address = Address(around.own.ip, random.randint(FIRST_PORT, LAST_PORT))
        else:
            address = Address(str(IPv6Address(random.getrandbits(128))), port)
        if address not in live:
            peers.append(_peer("random", address))
    return peers


def _places() -> Iterator[tuple[str, str, Address]]:
    ports = iter(PORTS * 1000)
    for what, ips in V4.items():
        for ip in ips:
            yield what, ip, Address(ip, next(ports))
            for form, embed in FORMS.items():
                inside = IPv6Address(embed(IPv4Address(ip).packed))
                yield what, f"{ip} {form}", Address(str(inside), next(ports))
    for what, ips in V6.items():
        for ip in ips:
            yield what, ip, Address(ip, next(ports))


def _neighbours(around: Surroundings) -> Iterator[tuple[str, Address]]:
    live = {around.own, around.of_the_same_party, around.of_the_other_party, *around.of_another_session}
    yield "the sender itself", around.own
    yield "the sender's own party", around.of_the_same_party
    for address in around.of_another_session:
        yield "another session", address
        yield "another session's port at the own address", Address(around.own.ip, address.port)
        yield "the own port at another session's address", Address(address.ip, around.own.port)
        yield (
            "the other party's port at another session's address",
            Address(address.ip, around.of_the_other_party.port),
        )
    for address in live:
        for port in (address.port - 1, address.port + 1, address.port ^ 1, 0, 3478):
            if Address(address.ip, port) not in live:
                yield "an unused port", Address(address.ip, port)
    bits = IPv6Address if around.own.is_ipv6 else IPv4Address
    for step in (-2, -1, 1, 2):
        ip = str(bits(int(bits(around.own.ip)) + step))
        yield "the address beside", Address(ip, around.of_the_other_party.port)
    for address in around.of_the_relay:
        yield "the relay", address
        yield "the relay's port at loopback", Address("127.0.0.1", address.port)
        yield "the relay's port nowhere", Address("0.0.0.0", address.port)
    for address in around.of_clients:
        yield "a client where it really is", address
    other = around.of_the_other_party
    if not other.is_ipv6:
        for form, embed in FORMS.items():
            inside = IPv6Address(embed(IPv4Address(other.ip).packed))
            yield f"the other party {form}", Address(str(inside), other.port)


def _peer(what: str, address: Address) -> Peer:
    return Peer(what, (a.XOR_PEER_ADDRESS, address), address)


@dataclass
class Probed:
    """What came of probing."""

    requests: int = 0
    indications: int = 0
    channel_data: int = 0
    malformed: int = 0
    """Indications that name what is no address."""
    refused: Counter[int] = field(default_factory=Counter)
    """Answers by code."""
    wrong: list[str] = field(default_factory=list)
    """Answers that are not the one they have to be."""

    def plus(self, other: Probed) -> Probed:
        return Probed(
            self.requests + other.requests,
            self.indications + other.indications,
            self.channel_data + other.channel_data,
            self.malformed + other.malformed,
            self.refused + other.refused,
            self.wrong + other.wrong,
        )


class Prober:
    """Names peers in every way: permission, channel, data on that channel, and in a Send indication."""

    def __init__(self, client: RawTurn, *, relays_ipv6: bool = False) -> None:
        self._client = client
        self._relays_ipv6 = relays_ipv6
        self._waiting: deque[tuple[Peer, Method, asyncio.Future[Message]]] = deque()
        self.probed = Probed()

    async def probe(self, peers: Iterable[Peer]) -> Probed:
        began, probed = time.monotonic(), self.probed
        for number, peer in enumerate(peers):
            channel = PROBED_CHANNELS[number % len(PROBED_CHANNELS)]
            self._ask(peer, Method.CREATE_PERMISSION)
            self._ask(peer, Method.CHANNEL_BIND, (a.CHANNEL_NUMBER, channel))
            self._client.send_on(channel, b"through the channel")
            self._client.write(indication(peer.field, (a.DATA, b"by indication")))
            probed.channel_data += 1
            probed.indications += 1
            probed.malformed += peer.address is None
            while len(self._waiting) > IN_FLIGHT:
                await self._settle()
            early = (4 * number - AHEAD) / DATAGRAMS_PER_SECOND - (time.monotonic() - began)
            if early > 0:
                await asyncio.sleep(early)
        while self._waiting:
            await self._settle()
        await self._client.settled()
        return probed

    def _ask(self, peer: Peer, method: Method, *fields: tuple[a.Attribute[int], int]) -> None:
        self._waiting.append((peer, method, self._client.request(method, *fields, peer.field)))
        self.probed.requests += 1

    async def _settle(self) -> None:
        peer, method, answer = self._waiting.popleft()
        async with asyncio.timeout(PATIENCE_SECONDS):
            code = code_of(await answer)
        self.probed.refused[code] += 1
        if code != peer.code(relays_ipv6=self._relays_ipv6):
            self.probed.wrong.append(f"{method.name} {peer.what} {peer.address}: {code}")
