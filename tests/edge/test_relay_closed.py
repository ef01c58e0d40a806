"""The relay is closed: thousands of peer addresses are refused in every way there is to name them.

Of all that was sent there not one packet leaves the relay, as its network sees it.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import re
import secrets
import socket
import struct
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from relay.credentials import CredentialSecrets, TurnCredential
from relay.stun import attributes as a
from relay.stun.message import Method
from relay.turn.events import ControlDrop
from relay.turn.refusal import RefusalReason
from relay.vocabulary import Address, Transport
from tests.acceptance.capture import TCP, UDP, Capture, Endpoint, capturing
from tests.acceptance.namespaces import End, Namespaces
from tests.edge.closed_peers import Probed, Prober, Surroundings, at_random, hand_picked
from tests.edge.raw_turn import PATIENCE_SECONDS, RawTurn
from tests.edge.relay_bench import SECRET, admit, allow, relay_command, relay_here

RELAY_IP, CLIENTS_IP, PORT = "203.0.113.1", "203.0.113.0", 3478
"""The two of a /31, so that every other address is beyond the gateway and needs no neighbour that answers."""
RELAY_IPV6, CLIENTS_IPV6 = "2001:db8:1::1", "2001:db8:1::2"
METRICS = Address("127.0.0.1", 9641)
ICMP = 1
RANDOM_PEERS = 10_000
CHANNEL = 0x4000
FIRST = ["nice", "-n", "-10"]
"""What watches must not miss a packet because it has to wait for its turn."""
CANARIES = [Endpoint("10.1.2.3", 9), Endpoint("169.254.169.254", 80), Endpoint("198.18.7.7", 50000)]
FILLERS = [Endpoint("10.1.2.3", 10), Endpoint("127.0.0.1", 10)]
SIOCETHTOOL, SET_OFFLOADS = 0x8946, (0x1F, 0x24, 0x2C)
"""Of linux/ethtool.h: segmentation of TCP and in general, and receiving several packets as one."""
CANARY_LOOPBACK, CANARY_IPV6 = Endpoint("127.0.0.1", 9), Endpoint("64:ff9b::a00:1", 9)


@dataclass
class Evidence:
    """What was seen of a relay that was asked for all these peers."""

    probed: Probed
    hand_picked: int
    on_the_wire: Capture
    on_loopback: Capture
    asked: frozenset[Endpoint]
    """Clients that sent something meanwhile."""
    counted: Counter[str]
    """How far the relay's own counters rose."""
    heard: list[bytes]
    """What any client was sent besides answers to requests of its own."""


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    assert os.geteuid() == 0, "this test makes network namespaces, which only root may: run it as root"
    with Namespaces() as rooms:
        rooms.add("relay", "clients")
        rooms.connect(End("relay", "eth0", f"{RELAY_IP}/31"), End("clients", "eth0", f"{CLIENTS_IP}/31"))
        rooms.route_everything("relay", CLIENTS_IP)
        for room, ip in (("relay", RELAY_IPV6), ("clients", CLIENTS_IPV6)):
            without_offloads(rooms, room)
            rooms.run(room, ["ip", "address", "add", f"{ip}/64", "dev", "eth0", "nodad"])
        rooms.run("relay", ["ip", "-6", "route", "add", "default", "via", CLIENTS_IPV6])
        return asyncio.run(_probed_relay(rooms, tmp_path_factory.mktemp("closed")))


def test_every_peer_is_refused_whatever_way_it_is_named(evidence: Evidence) -> None:
    assert evidence.hand_picked >= 200
    assert evidence.probed.wrong == []
    assert evidence.probed.requests == 2 * (RANDOM_PEERS + 2 * evidence.hand_picked)
    assert evidence.probed.refused.total() == evidence.probed.requests
    assert set(evidence.probed.refused) == {400, 403, 443}


def test_no_packet_leaves_the_relay_but_to_clients_that_asked(evidence: Evidence) -> None:
    sent = [one for one in evidence.on_the_wire.packets if one.source.address == RELAY_IP]
    elsewhere = [one.destination for one in sent if one.destination not in {*evidence.asked, *FILLERS}]
    # What was sent from there to prove that the capture sees it.
    assert elsewhere == CANARIES
    assert {one.protocol for one in sent} == {UDP, TCP}
    inside = [one for one in evidence.on_loopback.packets if one.destination not in FILLERS]
    assert [one.destination for one in inside if one.protocol == UDP] == [CANARY_LOOPBACK]
    assert {one.protocol for one in inside} <= {UDP, ICMP}, (
        "to the canary the machine itself says that nobody is there"
    )
    assert evidence.on_loopback.others == set()
    foreign = {one for one in evidence.on_the_wire.others if one != "arp" and not one.startswith("icmpv6")}
    assert foreign == {"ipv6 17"}, "the canary's, and of nothing else"


def test_each_request_has_one_answer_and_nothing_else_is_sent(evidence: Evidence) -> None:
    sent = [one for one in evidence.on_the_wire.packets if one.source == Endpoint(RELAY_IP, PORT)]
    to_clients = [one for one in sent if one.protocol == UDP]
    received = [one for one in evidence.on_the_wire.packets if one.destination == Endpoint(RELAY_IP, PORT)]
    requests = [one for one in received if one.protocol == UDP and one.payload[:2] in REQUESTS]
    assert len(to_clients) == len(requests) + 1, "one for each, and the packet that passed at the end"
    assert len(requests) > 2 * RANDOM_PEERS
    assert evidence.heard == [b"still here"]


def test_what_was_sent_to_foreign_peers_is_counted(evidence: Evidence) -> None:
    probed, counted = evidence.probed, evidence.counted
    assert counted["dropped foreign_peer"] == probed.indications - probed.malformed
    assert counted["dropped malformed"] == probed.malformed > 0
    assert counted["dropped unbound"] == probed.channel_data
    assert counted["dropped not_permitted"] == 1
    assert counted["dropped owner_too_fast"] == counted["dropped stranger"] == 0
    for code, reason in ((403, "peer_not_in_session"), (443, "family_mismatch"), (400, "malformed")):
        assert counted[f"refused {reason}"] == probed.refused[code] > 0


@pytest.mark.parametrize("prefix", ["198.18.0.0/15", "2001:db8:18::/64"])
@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
async def test_a_party_of_an_admitted_session_reaches_only_the_other(
    prefix: str, transport: Transport
) -> None:
    relays_ipv6 = ":" in prefix
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(
            relay_here("udp://127.0.0.1:0", "tcp://127.0.0.1:0", relayed_prefix=prefix)
        )
        for session_id in ("s1", "s2"):
            admit(relay, session_id)
            allow(relay, frozenset({111}), session_id=session_id)
        (listener,) = (one.address for one in relay.listeners if one.transport is transport)
        family = (a.REQUESTED_ADDRESS_FAMILY, 2 if relays_ipv6 else 1)
        clients = []
        for session_id, party in (
            ("s1", "alice"),
            ("s1", "alice"),
            ("s1", "bob"),
            ("s2", "alice"),
            ("s2", "bob"),
        ):
            client = RawTurn(listener, login(session_id, party), transport=transport)
            clients.append(await stack.enter_async_context(client))
            await client.allocate(family)
        around = surroundings(clients, [one.address for one in relay.listeners])
        probed = await Prober(clients[0], relays_ipv6=relays_ipv6).probe(hand_picked(around))
        assert probed.wrong == []
        for peers in (
            [clients[2].relayed, Address("127.0.0.1", 80)],
            [clients[1].relayed, clients[2].relayed],
        ):
            assert await clients[0].permit(*peers) in (403, 443)
        clients[0].send_to(clients[2].relayed, b"\x80\x6f" + bytes(10))
        await clients[0].settled()
        counters = relay.counters()
        assert counters.dropped_by_control == {
            ControlDrop.FOREIGN_PEER: probed.indications - probed.malformed,
            ControlDrop.MALFORMED: probed.malformed,
            ControlDrop.UNBOUND: probed.channel_data,
            ControlDrop.NOT_PERMITTED: 1,
        }
        assert counters.forwarded.packets == 0
        assert counters.refusals[RefusalReason.PEER_NOT_IN_SESSION] >= probed.refused[403]
        for client in clients:
            await client.settled()
            assert (client.heard(), client.unasked) == ([], [])


REQUESTS = {
    method.to_bytes(2, "big") for method in (Method.BINDING, Method.CREATE_PERMISSION, Method.CHANNEL_BIND)
}


async def _probed_relay(rooms: Namespaces, folder: Path) -> Evidence:
    async with AsyncExitStack() as stack:
        with standing_in(rooms, "relay"):
            options = [f"--listen={way}://{RELAY_IP}:{PORT}" for way in ("udp", "tcp")]
            await stack.enter_async_context(
                relay_command(folder, *options, "--pairing=session", f"--metrics={METRICS}")
            )
        clients = []
        for session_id, party, transport in (
            ("s1", "alice", Transport.UDP),
            ("s1", "alice", Transport.UDP),
            ("s1", "bob", Transport.UDP),
            ("s2", "alice", Transport.UDP),
            ("s2", "bob", Transport.UDP),
            ("s1", "alice", Transport.TCP),
        ):
            client = RawTurn(
                Address(RELAY_IP, PORT),
                login(session_id, party),
                transport=transport,
                bound=socket_in(rooms, "clients", transport),
            )
            clients.append(await stack.enter_async_context(client))
            await client.allocate()
        alice, again, bob, *others, by_tcp = clients
        for one, other in ((alice, bob), (bob, alice), others, others[::-1]):
            assert await one.bind(CHANNEL, other.relayed) == 0
        around = surroundings(clients, [Address(RELAY_IP, PORT), METRICS])
        picked = hand_picked(around)
        peers = [*picked, *at_random(RANDOM_PEERS, around)]
        before = counters(rooms)
        watching = [*rooms.prefix("relay"), *FIRST]
        with (
            capturing(watching, "eth0", folder / "eth0.pcap") as on_the_wire,
            capturing(watching, "lo", folder / "lo.pcap") as on_loopback,
        ):
            again.send_to(bob.relayed, b"without a permission")
            probers = [Prober(one) for one in (alice, again, by_tcp)]
            shares = [peers[::2], peers[1::2], picked]
            probed = Probed()
            for part in await asyncio.gather(
                *(one.probe(share) for one, share in zip(probers, shares, strict=True))
            ):
                probed = probed.plus(part)
            alice.send_on(CHANNEL, b"still here")
            heard = [(await bob.hears()).payload]
            await send_canaries(rooms, folder / "eth0.pcap", folder / "lo.pcap")
        counted = counters(rooms)
        counted.subtract(before)
        for client in clients:
            heard += [one.payload for one in client.heard()] + client.unasked
        asked = frozenset(Endpoint(*one.address) for one in (alice, again, bob, by_tcp))
        return Evidence(probed, len(picked), on_the_wire, on_loopback, asked, counted, heard)


def login(session_id: str, party: str) -> TurnCredential:
    return CredentialSecrets((SECRET.encode(),)).issue(session_id, party, int(time.time()) + 3600)


def surroundings(clients: Sequence[RawTurn], relay: Sequence[Address]) -> Surroundings:
    """Of the first client: of the next its own party, then the other one, then two of another session."""
    own, same, other, *others = (one.relayed for one in clients[:5])
    return Surroundings(own, same, other, tuple(others), tuple(relay), tuple(one.address for one in clients))


@contextmanager
def standing_in(rooms: Namespaces, room: str) -> Iterator[None]:
    """What this thread opens or starts meanwhile belongs to that room."""
    name = rooms.prefix(room)[3]
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as home, Path(f"/run/netns/{name}").open() as there:
        assert libc.setns(there.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(home.fileno(), 0) == 0


def socket_in(rooms: Namespaces, room: str, transport: Transport) -> socket.socket:
    with standing_in(rooms, room):
        return socket.socket(
            socket.AF_INET, socket.SOCK_DGRAM if transport is Transport.UDP else socket.SOCK_STREAM
        )


def counters(rooms: Namespaces) -> Counter[str]:
    """Of the relay's metrics, those with a reason."""
    with standing_in(rooms, "relay"), urllib.request.urlopen(f"http://{METRICS}/metrics") as answer:
        text: str = answer.read().decode()
    found = re.findall(r'^turngate_relay_(\w+)_total{.*reason="(\w+)"} (\S+)$', text, re.MULTILINE)
    return Counter({f"{what} {reason}": int(float(value)) for what, reason, value in found})


async def send_canaries(rooms: Namespaces, *files: Path) -> None:
    """Packets such as a relay that is not closed would send, from where it is, until the captures have them.

    What was sent before has then been captured too.
    """
    token = secrets.token_bytes(16)
    for target in (*CANARIES, CANARY_LOOPBACK, CANARY_IPV6):
        send_canary(rooms, target, token)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not all(token in file.read_bytes() for file in files):
            # The captures are written when a buffer is full.
            for target in FILLERS:
                send_canary(rooms, target, bytes(1000))
            await asyncio.sleep(0.01)


def send_canary(rooms: Namespaces, target: Endpoint, payload: bytes) -> None:
    family = socket.AF_INET6 if ":" in target.address else socket.AF_INET
    with standing_in(rooms, "relay"), socket.socket(family, socket.SOCK_DGRAM) as canary:
        canary.sendto(payload, tuple(target))


def without_offloads(rooms: Namespaces, room: str) -> None:
    """No packet on its cable is longer than the cable takes. A capture has room for more of such."""
    with standing_in(rooms, room), socket.socket() as anything:
        for command in SET_OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP16x", b"eth0", ctypes.addressof(value))
            fcntl.ioctl(anything, SIOCETHTOOL, request)
