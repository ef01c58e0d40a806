"""Real clients against the relay as the broker runs it: admitted sessions, negotiated media."""

from __future__ import annotations

import asyncio
import time

import pytest

from relay.credentials import TurnCredential
from relay.relay_events import RelayEvent
from relay.service import LiveAllocation, Relay
from relay.turn.events import Admission, AllocationGone, AllocationMade, GoneReason
from relay.vocabulary import DropReason, Limiter
from tests.edge.relay_bench import admit, allow, relay_here
from tests.edge.relay_clients import AUDIO as AUDIO
from tests.edge.relay_clients import IceAgent, TurnClient, converse
from tests.edge.relay_clients import rtp as rtp

VIDEO = 96


def credential(relay: Relay, party: str, session_id: str = "s1") -> TurnCredential:
    return relay.issue_credential(session_id, party, int(time.time()) + 3600)


def client(relay: Relay, party: str, *, listener: int = 0) -> TurnClient:
    return TurnClient(relay.listeners[listener].address, credential(relay, party))


async def test_two_parties_exchange_media_and_every_packet_is_counted() -> None:
    async with relay_here() as relay:
        admit(relay)
        allow(relay, frozenset({AUDIO}))
        async with client(relay, "alice") as alice, client(relay, "bob") as bob:
            assert alice.relayed.ip == bob.relayed.ip == relay.relayed_ip("s1")
            alice.send(rtp(0), bob.relayed)
            bob.send(rtp(0), alice.relayed)
            assert await alice.receive() == (rtp(0), bob.relayed)
            assert await bob.receive() == (rtp(0), alice.relayed)
            for number in range(1, 100):
                alice.send(rtp(number), bob.relayed)
                assert await bob.receive() == (rtp(number), alice.relayed)
            alice.send(b"GET / HTTP/1.1\r\n\r\n", bob.relayed)
            alice.send(rtp(1, payload_type=96), bob.relayed)
            alice.send(rtp(100), bob.relayed)
            assert await bob.receive() == (rtp(100), alice.relayed)
            counters = relay.session_counters("s1")
            assert counters is not None
            there, back = counters.direction("alice", "bob"), counters.direction("bob", "alice")
            assert (there.packets, there.bytes) == (101, 101 * 40)
            assert there.drops == {DropReason.CLASS: 1, DropReason.PAYLOAD_TYPE: 1}
            assert (back.packets, back.bytes, back.drops) == (1, 40, {})


async def test_the_first_party_to_send_loses_nothing() -> None:
    async with relay_here() as relay:
        admit(relay)
        allow(relay, frozenset({AUDIO}))
        async with client(relay, "alice") as alice, client(relay, "bob") as bob:
            alice.send(rtp(1), bob.relayed)
            # Control has seen it once a request that was sent after it is answered.
            async with client(relay, "alice"):
                pass
            assert bob.waiting() == 0
            bob.send(rtp(2), alice.relayed)
            assert await bob.receive() == (rtp(1), alice.relayed)


async def test_a_session_is_told_from_its_first_allocation_to_its_end() -> None:
    async with relay_here() as relay:
        admit(relay)
        async with client(relay, "alice") as alice:
            (live,) = relay.allocations()
            assert live == LiveAllocation("s1", "alice", live.five_tuple, alice.relayed)
            assert live.five_tuple.client.ip == "127.0.0.1"
        events: list[RelayEvent] = []
        while len(events) < 2:
            events += await relay.events()
        about = ("s1", "alice", live.five_tuple, live.relayed_address)
        assert events == [AllocationMade(*about), AllocationGone(*about, GoneReason.CLOSED)]
        assert relay.allocations() == []


@pytest.mark.parametrize("password", ["", "wrong"])
async def test_a_wrong_password_allocates_nothing(password: str) -> None:
    async with relay_here() as relay:
        admit(relay)
        forged = TurnCredential(credential(relay, "alice").username, password)
        with pytest.raises(Exception, match="401"):
            await TurnClient(relay.listeners[0].address, forged).__aenter__()
        assert relay.allocations() == []


async def test_who_was_not_admitted_allocates_nothing() -> None:
    async with relay_here() as relay:
        admit(relay)
        for one in (credential(relay, "mallory"), credential(relay, "alice", "s2")):
            with pytest.raises(Exception, match="403"):
                await TurnClient(relay.listeners[0].address, one).__aenter__()
        assert relay.allocations() == []


async def test_two_ice_agents_connect_through_the_relay_alone() -> None:
    async with relay_here() as relay:
        admit(relay)
        allow(relay, frozenset({AUDIO}))
        alice = IceAgent(relay.listeners[0].address, credential(relay, "alice"), controlling=True)
        bob = IceAgent(relay.listeners[0].address, credential(relay, "bob"), controlling=False)
        try:
            await asyncio.gather(alice.gather(), bob.gather())
            kinds = {(one.type, one.host) for one in alice.candidates + bob.candidates}
            assert kinds == {("relay", relay.relayed_ip("s1"))}
            await asyncio.gather(alice.meet(bob), bob.meet(alice))
            await converse(alice, bob)
        finally:
            await alice.close()
            await bob.close()


async def test_a_party_on_ipv6_meets_a_party_on_ipv4() -> None:
    async with relay_here("udp://127.0.0.1:0", "udp://[::1]:0") as relay:
        admit(relay)
        allow(relay, frozenset({AUDIO}))
        async with client(relay, "alice") as alice, client(relay, "bob", listener=1) as bob:
            assert {one.five_tuple.client.ip for one in relay.allocations()} == {"127.0.0.1", "::1"}
            bob.send(rtp(1), alice.relayed)
            alice.send(rtp(2), bob.relayed)
            assert await bob.receive() == (rtp(2), alice.relayed)
            assert await alice.receive() == (rtp(1), bob.relayed)


async def test_a_limit_on_a_party_holds_at_once_and_ends_with_the_session() -> None:
    async with relay_here() as relay:
        admit(relay)
        allow(relay, frozenset({AUDIO}))
        async with client(relay, "alice") as alice, client(relay, "bob") as bob:
            alice.send(rtp(0), bob.relayed)
            bob.send(rtp(0), alice.relayed)
            await alice.receive()
            await bob.receive()
            relay.limit_sender("s1", "alice", Limiter(bits_per_second=8, burst_bytes=100))
            for number in range(1, 6):
                alice.send(rtp(number), bob.relayed)
            assert await bob.receive() == (rtp(1), alice.relayed)
            assert await bob.receive() == (rtp(2), alice.relayed)
            relay.limit_sender("s1", "alice", None)
            alice.send(rtp(9), bob.relayed)
            assert await bob.receive() == (rtp(9), alice.relayed)
            relay.limit_sender("s1", "alice", Limiter(bits_per_second=8, burst_bytes=100))
            last = relay.remove_session("s1").direction("alice", "bob")
            assert last.drops == {DropReason.LIMITER: 3}
            assert last.packets == 4
        admit(relay)
        allow(relay, frozenset({AUDIO}))
        async with client(relay, "alice") as alice, client(relay, "bob") as bob:
            bob.send(rtp(0), alice.relayed)
            for number in range(6):
                alice.send(rtp(number), bob.relayed)
            for number in range(6):
                assert await bob.receive() == (rtp(number), alice.relayed)


async def test_a_direction_over_its_rate_loses_video_first_and_the_other_direction_nothing() -> None:
    async with relay_here() as relay:
        admit(relay)
        allow(relay, frozenset({AUDIO, VIDEO}), frozenset({AUDIO}))
        async with client(relay, "alice") as alice, client(relay, "bob") as bob:
            alice.send(rtp(0), bob.relayed)
            bob.send(rtp(0), alice.relayed)
            await alice.receive()
            await bob.receive()
            for party in ("alice", "bob"):
                relay.limit_sender("s1", party, Limiter(8, burst_bytes=800, audio_reserve_bytes=160))
            for number in range(1, 31):
                alice.send(rtp(number, VIDEO), bob.relayed)
            for number in range(31, 35):
                alice.send(rtp(number), bob.relayed)
            for number in range(1, 17):
                bob.send(rtp(number, VIDEO), alice.relayed)
            passed = [rtp(number, VIDEO) for number in range(1, 17)]
            for payload in (*passed, *map(rtp, range(31, 35))):
                assert await bob.receive() == (payload, alice.relayed)
            for payload in passed:
                assert await alice.receive() == (payload, bob.relayed)
            counters = relay.session_counters("s1")
            assert counters is not None
            assert counters.direction("alice", "bob").drops == {DropReason.LIMITER: 14}
            assert counters.direction("bob", "alice").drops == {}


async def test_removing_a_session_that_is_not_there_is_no_mistake() -> None:
    async with relay_here() as relay:
        assert relay.remove_session("never") == relay.remove_session("never")
        assert relay.session_counters("never") is None
        assert relay.relayed_ip("never") is None


async def test_the_counters_of_a_session_that_expired_can_still_be_asked_for() -> None:
    async with relay_here() as relay:
        relay.admit(Admission("s1", ("alice", "bob"), time.time() + 1.5))
        allow(relay, frozenset({AUDIO}))
        async with client(relay, "alice") as alice, client(relay, "bob") as bob:
            bob.send(rtp(1), alice.relayed)
            alice.send(rtp(1), bob.relayed)
            await bob.receive()
            await alice.receive()
            events: list[RelayEvent] = []
            while len(events) < 4:
                events += await relay.events()
            reasons = [event.reason for event in events if isinstance(event, AllocationGone)]
            assert reasons == [GoneReason.SESSION_EXPIRED] * 2
        assert relay.session_counters("s1") is None
        assert relay.remove_session("s1").direction("alice", "bob").packets == 1
        assert relay.remove_session("s1").direction("alice", "bob").packets == 0
