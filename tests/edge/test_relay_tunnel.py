"""A session that negotiated audio and video carries them and nothing else, however its parties come."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from relay.meter import DirectionCounters
from relay.service import Relay
from relay.stun import attributes as a
from relay.stun.message import MessageClass, Method, build
from relay.vocabulary import DropReason, Transport
from tests.edge.raw_turn import RawTurn
from tests.edge.relay_bench import admit, allow, relay_here

UDP, TCP = Transport.UDP, Transport.TCP
WAYS = pytest.mark.parametrize(("near", "far"), [(UDP, UDP), (UDP, TCP), (TCP, TCP)])
AUDIO, VIDEO = 111, 96
CHANNEL = 0x4000
DTLS_BUDGET = 40_000
COOKIE = b"\x21\x12\xa4\x42"
RTCP_TYPES = range(192, 224)
"""RFC 5761 section 4: what these would be as payload types must not be used for RTP beside RTCP."""


def rtp(number: int, payload_type: int = AUDIO, size: int = 172) -> bytes:
    return bytes((0x80, payload_type)) + number.to_bytes(4, "big") + bytes(size - 6)


def stun(payload: bytes = b"", *, method: int = Method.BINDING) -> bytes:
    return build(method, MessageClass.REQUEST, bytes(12), [(a.DATA, payload)] if payload else [])


def dtls(size: int = 1000) -> bytes:
    """An application data record."""
    body = size - 13
    return b"\x17\xfe\xfd" + bytes(8) + body.to_bytes(2, "big") + bytes(body)


CLASS, PAYLOAD_TYPE = DropReason.CLASS, DropReason.PAYLOAD_TYPE
DNS = b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x10\x00\x01"
OTHER_PAYLOAD_TYPES = [
    bytes((0x80, second)) + bytes(38)
    for second in range(256)
    if second & 0x7F not in (AUDIO, VIDEO) and second not in RTCP_TYPES
]
FOREIGN: dict[str, tuple[DropReason, list[bytes]]] = {
    "payload types that were not negotiated": (PAYLOAD_TYPE, OTHER_PAYLOAD_TYPES),
    "with padding, extension and sources": (PAYLOAD_TYPE, [bytes((0xBF, 0)) + bytes(100)]),
    "the neighbours of RTCP's packet types": (
        PAYLOAD_TYPE,
        [bytes((0x80, second)) + bytes(26) for second in (191, 225, 64, 72, 76, 95)],
    ),
    "RTP of other versions": (
        CLASS,
        [bytes((first, AUDIO)) + bytes(170) for first in (0x40, 0x7F, 0xC0, 0xFF, 0x00, 0x04, 0x13)],
    ),
    "RTP and RTCP that are cut off": (
        CLASS,
        [rtp(1)[:11], rtp(1)[:2], b"\x80", b"\x80\xc8\x00\x01\x00\x00\x00"],
    ),
    "nothing at all": (CLASS, [b""]),
    "raw data": (
        CLASS,
        [bytes((first,)) + bytes(99) for first in (*range(4, 20), 64, 79, 80, 127, 192, 255)],
    ),
    "HTTP": (
        CLASS,
        [b"GET / HTTP/1.1\r\nHost: inside\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"POST /x HTTP/1.1"],
    ),
    "HTTP/2": (CLASS, [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bytes(9) + bytes(40)]),
    "SSH": (CLASS, [b"SSH-2.0-OpenSSH_9.9\r\n", b"\x00\x00\x05\xdc\x0a\x14" + bytes(60)]),
    "DNS": (CLASS, [first.to_bytes(2, "big") + DNS for first in (0x0001, 0x1234, 0x03FF, 0x4A4A, 0xFFFF)]),
    "STUN without the cookie": (
        CLASS,
        [
            stun()[:4] + bytes(16),
            stun()[:4] + COOKIE[:3] + b"\x43" + bytes(12),
            b"\x00\x01\x00\x00" + bytes(16),
        ],
    ),
    "STUN that is longer than it says": (
        CLASS,
        [stun() + bytes(4), stun() + bytes(1200), stun(b"1234") + b"1"],
    ),
    "STUN that is shorter than it says": (
        CLASS,
        [stun(bytes(400))[:-4], stun()[:19], b"\x00\x01\xff\xfc" + COOKIE + bytes(12)],
    ),
    "STUN that is no multiple of four": (CLASS, [b"\x00\x01\x00\x02" + COOKIE + bytes(14)]),
    "QUIC": (
        CLASS,
        [
            b"\xc3\x00\x00\x00\x01\x08" + bytes(1194),
            b"\xe3\x6b\x33\x43\xcf\x08" + bytes(1194),
            b"\x4a" + bytes(60),
        ],
    ),
    "ZRTP and TURN channels": (CLASS, [b"\x10\x00\x00\x01ZRTP" + bytes(40), b"\x40\x00\x00\x04abcd"]),
    "WireGuard": (CLASS, [b"\x04\x00\x00\x00" + bytes(28)]),
    "DTLS that is no whole record header": (CLASS, [dtls()[:12], b"\x16", b"\x14\xfe\xfd"]),
}
TLS: list[bytes] = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(501),
    b"\x17\x03\x03\x00\x64" + bytes(100),
    b"\x15\x03\x03\x00\x02\x01\x00" + bytes(20),
    b"\x14\x03\x03\x00\x01\x01" + bytes(20),
]
TEXT: list[bytes] = [
    b"220 mail.example.org ESMTP ready\r\n",
    b"<stream:stream to='inside.example.org'>",
    b"1234567890 and so on, or any other text that begins with a digit",
    b'"quoted", "values", "as", "a", "table"\r\n',
]

LONG_STUN: list[bytes] = [stun(bytes(1500)), stun(bytes(60_000))]
"""Beyond 1280 bytes, the most that RFC 8489 section 6.1 sends over a path it does not know."""


@dataclass
class Pair:
    """Two parties in a call. What one sends, the other has to hear in this order, and nothing else."""

    relay: Relay
    alice: RawTurn
    bob: RawTurn
    sent: dict[str, int] = field(default_factory=lambda: {"alice": 0, "bob": 0})

    def media(self, sender: str, count: int = 1) -> list[bytes]:
        """As the sender's next packets, audio and video in turn."""
        numbers = range(self.sent[sender], self.sent[sender] + count)
        self.sent[sender] += count
        return [rtp(number, VIDEO | 0x80, 1172) if number % 2 else rtp(number) for number in numbers]

    def send(self, sender: str, payload: bytes, *, in_indication: bool) -> None:
        one, other = (self.alice, self.bob) if sender == "alice" else (self.bob, self.alice)
        if in_indication:
            one.send_to(other.relayed, payload)
        else:
            one.send_on(CHANNEL, payload)

    def carried(self, sender: str) -> DirectionCounters:
        counters = self.relay.session_counters("s1")
        assert counters is not None
        return counters.direction(sender, "bob" if sender == "alice" else "alice")


@asynccontextmanager
async def in_call(near: Transport, far: Transport) -> AsyncIterator[Pair]:
    listeners = ("udp://127.0.0.1:0", "tcp://127.0.0.1:0")
    async with relay_here(*listeners, dtls_budget_bytes=DTLS_BUDGET) as relay:
        admit(relay)
        allow(relay, frozenset({AUDIO, VIDEO}), frozenset({AUDIO}))
        async with allocated(relay, "alice", near) as alice, allocated(relay, "bob", far) as bob:
            assert await alice.bind(CHANNEL, bob.relayed) == 0
            assert await bob.bind(CHANNEL, alice.relayed) == 0
            yield Pair(relay, alice, bob)


@asynccontextmanager
async def allocated(relay: Relay, party: str, transport: Transport) -> AsyncIterator[RawTurn]:
    (listener,) = (one.address for one in relay.listeners if one.transport is transport)
    login = relay.issue_credential("s1", party, int(time.time()) + 3600)
    async with RawTurn(listener, login, transport=transport) as client:
        await client.allocate()
        yield client


async def heard(client: RawTurn, count: int) -> list[bytes]:
    """The next payloads, all of them on the channel."""
    arrived = [await client.hears() for _ in range(count)]
    assert {one.form for one in arrived} <= {CHANNEL}
    return [one.payload for one in arrived]


FORMS = pytest.mark.parametrize("in_indication", [False, True], ids=["ChannelData", "Send indications"])


@WAYS
@FORMS
async def test_nothing_but_negotiated_media_arrives_and_all_of_that(
    near: Transport, far: Transport, in_indication: bool
) -> None:
    async with in_call(near, far) as pair:
        for sender, receiver in (("alice", pair.bob), ("bob", pair.alice)):
            drops = {reason: 0 for reason, _ in FOREIGN.values()}
            for what, (reason, payloads) in FOREIGN.items():
                wanted = pair.media(sender, len(payloads) + 1)
                pair.send(sender, wanted[0], in_indication=in_indication)
                for payload, between in zip(payloads, wanted[1:], strict=True):
                    pair.send(sender, payload, in_indication=in_indication)
                    pair.send(sender, between, in_indication=in_indication)
                assert await heard(receiver, len(wanted)) == wanted, what
                drops[reason] += len(payloads)
                assert pair.carried(sender).drops == {key: count for key, count in drops.items() if count}, (
                    what
                )
            assert receiver.heard() == []
            assert pair.carried(sender).packets == pair.sent[sender]


@pytest.mark.parametrize(
    "payloads", [TLS, TEXT, LONG_STUN], ids=["TLS", "text like DTLS", "STUN that is longer than checks"]
)
async def test_what_only_begins_like_dtls_or_stun_does_not_arrive(payloads: list[bytes]) -> None:
    async with in_call(UDP, UDP) as pair:
        for payload in payloads:
            pair.send("alice", payload, in_indication=False)
        wanted = pair.media("alice")
        pair.send("alice", wanted[0], in_indication=False)
        arrived = []
        while wanted[0] not in arrived:
            arrived += await heard(pair.bob, 1)
        assert arrived == wanted
        assert pair.carried("alice").drops == {CLASS: len(payloads)}


async def test_what_makes_a_call_passes() -> None:
    async with in_call(UDP, TCP) as pair:
        wanted = [stun(), stun(b"attributes, up to what ICE needs"), dtls(), *pair.media("alice", 2)]
        wanted += [bytes((0x80, second)) + bytes(6) for second in RTCP_TYPES]
        wanted += [bytes((first, 0x80 | AUDIO)) + bytes(10) for first in range(128, 192)]
        for payload in wanted:
            pair.send("alice", payload, in_indication=False)
        assert await heard(pair.bob, len(wanted)) == wanted
        assert pair.carried("alice").drops == {}


def alternating(choices: list[tuple[str, bool]]) -> Callable[[int], tuple[str, bool]]:
    return lambda number: choices[number % len(choices)]


SPLITS = {
    "one direction": alternating([("alice", False)]),
    "in indications": alternating([("alice", True)]),
    "both forms": alternating([("alice", False), ("alice", True)]),
    "both directions": alternating([("alice", False), ("bob", False)]),
    "both of both": alternating([("alice", False), ("bob", True), ("alice", True), ("bob", False)]),
}


@WAYS
@pytest.mark.parametrize("split", SPLITS)
async def test_dtls_ends_at_the_budget_of_the_whole_session_however_it_is_split(
    near: Transport, far: Transport, split: str
) -> None:
    size, count = 1000, 150
    async with in_call(near, far) as pair:
        media: dict[str, list[bytes]] = {"alice": [], "bob": []}
        senders = []
        for number in range(count):
            sender, in_indication = SPLITS[split](number)
            senders.append(sender)
            pair.send(sender, dtls(size), in_indication=in_indication)
            media[sender] += pair.media(sender)
            pair.send(sender, media[sender][-1], in_indication=in_indication)
        arrived: dict[str, list[bytes]] = {}
        for sender, receiver in (("alice", pair.bob), ("bob", pair.alice)):
            arrived[sender] = []
            while media[sender] and media[sender][-1] not in arrived[sender]:
                arrived[sender] += await heard(receiver, 1)
        records = [one for payloads in arrived.values() for one in payloads if one == dtls(size)]
        assert sum(map(len, records)) == DTLS_BUDGET
        for sender, payloads in arrived.items():
            assert [one for one in payloads if one != dtls(size)] == media[sender]
        refused = {sender: pair.carried(sender).drops.get(DropReason.DTLS_BUDGET, 0) for sender in media}
        passed = {sender: payloads.count(dtls(size)) for sender, payloads in arrived.items()}
        for sender in media:
            assert refused[sender] + passed[sender] == senders.count(sender)
            assert set(pair.carried(sender).drops) <= {DropReason.DTLS_BUDGET}


async def test_a_record_that_no_longer_fits_is_not_cut_and_smaller_ones_still_pass() -> None:
    async with in_call(UDP, UDP) as pair:
        for size in (DTLS_BUDGET - 500, 501, 500, 13):
            pair.send("alice", dtls(size), in_indication=False)
        last = pair.media("alice")
        pair.send("alice", last[0], in_indication=False)
        assert await heard(pair.bob, 3) == [dtls(DTLS_BUDGET - 500), dtls(500), *last]
        assert pair.carried("alice").drops == {DropReason.DTLS_BUDGET: 2}


async def test_neither_new_channels_nor_new_allocations_nor_a_new_negotiation_bring_a_new_budget() -> None:
    async with in_call(UDP, UDP) as pair:
        for _ in range(DTLS_BUDGET // 1000):
            pair.send("alice", dtls(), in_indication=False)
        assert await heard(pair.bob, DTLS_BUDGET // 1000) == [dtls()] * (DTLS_BUDGET // 1000)
        allow(pair.relay, frozenset({AUDIO, VIDEO, 8}))
        pair.send("alice", dtls(), in_indication=False)
        async with (
            allocated(pair.relay, "alice", TCP) as again,
            allocated(pair.relay, "bob", UDP) as other,
        ):
            for one, peer in ((again, other), (other, again)):
                assert await one.bind(CHANNEL + 1, peer.relayed) == 0
            again.send_on(CHANNEL + 1, dtls())
            again.send_to(other.relayed, dtls())
            again.send_on(CHANNEL + 1, rtp(1))
            assert (await other.hears()).payload == rtp(1)
            assert other.heard() == []
        last = pair.media("alice")
        pair.send("alice", last[0], in_indication=False)
        assert await heard(pair.bob, 1) == last
        assert pair.bob.heard() == []


async def test_before_anything_is_negotiated_no_rtp_arrives() -> None:
    async with relay_here() as relay:
        admit(relay)
        async with allocated(relay, "alice", UDP) as alice, allocated(relay, "bob", UDP) as bob:
            assert [await alice.bind(CHANNEL, bob.relayed), await bob.bind(CHANNEL, alice.relayed)] == [0, 0]
            for payload in (rtp(1), rtp(2, VIDEO), stun()):
                alice.send_on(CHANNEL, payload)
            assert await heard(bob, 1) == [stun()]
            allow(relay, frozenset({AUDIO}))
            alice.send_on(CHANNEL, rtp(3, VIDEO))
            alice.send_on(CHANNEL, rtp(4))
            assert await heard(bob, 1) == [rtp(4)]
            await alice.settled()
            assert bob.heard() == []
