"""Real clients over TCP and TLS, among themselves and with clients over UDP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.shell.tls import make_demo_certificate, server_context
from relay.credentials import TurnCredential
from relay.service import Relay
from relay.vocabulary import Address, DropReason, Transport
from tests.edge.relay_bench import admit, allow, relay_here
from tests.edge.relay_clients import AUDIO, IceAgent, TurnClient, converse, rtp
from tests.edge.test_relay_clients import credential

UDP, TCP, TLS = Transport.UDP, Transport.TCP, Transport.TLS
EVERYWHERE = [f"{transport}://{host}:0" for host in ("127.0.0.1", "[::1]") for transport in Transport]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_demo_certificate(tmp_path_factory.mktemp("certificate"), ["127.0.0.1", "::1"])


@pytest.fixture
def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """Trusts the relay's certificate and no other, and only for the addresses in it."""
    return ssl.create_default_context(cafile=certificate[0])


@pytest.fixture
async def relay(certificate: tuple[Path, Path]) -> AsyncIterator[Relay]:
    """One that listens for every transport over IPv4 and IPv6, with an admitted session."""
    async with relay_here(*EVERYWHERE, tls=server_context(*certificate)) as running:
        admit(running)
        allow(running, frozenset({AUDIO}))
        yield running


def listener(relay: Relay, transport: Transport, *, ipv6: bool = False) -> Address:
    (found,) = [
        one.address for one in relay.listeners if one.transport is transport and one.address.is_ipv6 is ipv6
    ]
    return found


async def exchange(alice: TurnClient, bob: TurnClient, payloads: list[bytes]) -> None:
    """Each of the payloads, in order, both ways, and nothing besides."""
    # The first of each makes its sender known to the other.
    for payload in (rtp(0), *payloads):
        alice.send(payload, bob.relayed)
        bob.send(payload, alice.relayed)
        assert await alice.receive() == (payload, bob.relayed)
        assert await bob.receive() == (payload, alice.relayed)
    assert alice.waiting() == bob.waiting() == 0


@pytest.mark.parametrize("theirs", list(Transport))
@pytest.mark.parametrize("ours", list(Transport))
async def test_media_pass_both_ways_between_any_two_transports(
    relay: Relay, trusting: ssl.SSLContext, ours: Transport, theirs: Transport
) -> None:
    async with (
        TurnClient(listener(relay, ours), credential(relay, "alice"), ours, trusting) as alice,
        TurnClient(listener(relay, theirs), credential(relay, "bob"), theirs, trusting) as bob,
    ):
        live = [one.five_tuple.transport for one in relay.allocations()]
        assert live == [ours, theirs]
        await exchange(alice, bob, [rtp(number) for number in range(1, 50)])
        counters = relay.session_counters("s1")
        assert counters is not None
        for way in (("alice", "bob"), ("bob", "alice")):
            counted = counters.direction(*way)
            assert (counted.packets, counted.bytes, counted.drops) == (50, 50 * 40, {})


@pytest.mark.parametrize("ours", [TCP, TLS])
@pytest.mark.parametrize("theirs", list(Transport))
async def test_payloads_of_every_length_keep_it_whatever_padding_streams_need(
    certificate: tuple[Path, Path], trusting: ssl.SSLContext, ours: Transport, theirs: Transport
) -> None:
    # Without admission there is no class check, so that payloads of a few bytes may pass.
    context = server_context(*certificate)
    async with relay_here(*EVERYWHERE, tls=context, admission_required=False) as relay:
        alice = TurnClient(listener(relay, ours), credential(relay, "alice"), ours, trusting)
        bob = TurnClient(listener(relay, theirs), credential(relay, "bob"), theirs, trusting)
        async with alice, bob:
            lengths = [*range(9), 1199, 1200, 1201, 4000]
            await exchange(alice, bob, [bytes((length % 251,)) * length for length in lengths])


@pytest.mark.parametrize("ours", list(Transport))
async def test_clients_on_ipv6_meet_clients_on_ipv4(
    relay: Relay, trusting: ssl.SSLContext, ours: Transport
) -> None:
    at = listener(relay, ours, ipv6=True)
    async with (
        TurnClient(at, credential(relay, "alice"), ours, trusting) as alice,
        TurnClient(listener(relay, TCP), credential(relay, "bob"), TCP) as bob,
    ):
        assert [one.five_tuple.client.ip for one in relay.allocations()] == ["::1", "127.0.0.1"]
        await exchange(alice, bob, [rtp(number) for number in range(1, 10)])


async def test_what_was_not_negotiated_does_not_pass_over_tcp_either(relay: Relay) -> None:
    async with (
        TurnClient(listener(relay, TCP), credential(relay, "alice"), TCP) as alice,
        TurnClient(listener(relay, TCP), credential(relay, "bob"), TCP) as bob,
    ):
        await exchange(alice, bob, [])
        alice.send(b"GET / HTTP/1.1\r\n\r\n", bob.relayed)
        alice.send(rtp(1, payload_type=96), bob.relayed)
        alice.send(rtp(2), bob.relayed)
        assert await bob.receive() == (rtp(2), alice.relayed)
        counters = relay.session_counters("s1")
        assert counters is not None
        drops = counters.direction("alice", "bob").drops
        assert drops == {DropReason.CLASS: 1, DropReason.PAYLOAD_TYPE: 1}


async def test_two_ice_agents_connect_when_one_has_only_tcp(relay: Relay) -> None:
    alice = IceAgent(listener(relay, TCP), credential(relay, "alice"), TCP, controlling=True)
    bob = IceAgent(listener(relay, UDP), credential(relay, "bob"), controlling=False)
    try:
        await asyncio.gather(alice.gather(), bob.gather())
        await asyncio.gather(alice.meet(bob), bob.meet(alice))
        assert {one.five_tuple.transport for one in relay.allocations()} == {UDP, TCP}
        await converse(alice, bob)
    finally:
        await alice.close()
        await bob.close()


async def test_a_client_that_does_not_trust_the_certificate_does_not_get_as_far_as_turn(
    relay: Relay,
) -> None:
    stranger = ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        await TurnClient(listener(relay, TLS), credential(relay, "alice"), TLS, stranger).__aenter__()
    assert relay.allocations() == []
    assert relay.counters().streams == 0


@pytest.mark.parametrize("transport", [TCP, TLS])
async def test_a_wrong_password_allocates_nothing_over_a_stream(
    relay: Relay, trusting: ssl.SSLContext, transport: Transport
) -> None:
    forged = TurnCredential(credential(relay, "alice").username, credential(relay, "bob").password)
    with pytest.raises(Exception, match="401"):
        await TurnClient(listener(relay, transport), forged, transport, trusting).__aenter__()
    assert relay.allocations() == []
