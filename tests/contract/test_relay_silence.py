"""`Relay.silence`: the media of many sessions ends with one call, and each of them is ended later."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from config.relay import RelaySettings
from relay.service import Relay
from relay.stun import attributes as a
from relay.stun.message import Method
from relay.turn.events import Admission
from relay.vocabulary import Leg, Plane, RouteCounters, Transport
from tests.contract.plane_harness import PLANES
from tests.edge.raw_turn import Arrived, RawTurn, code_of

SECRET = b"the secret of these tests"
CHANNEL = 0x4000
SESSIONS = ("s1", "s2", "s3")
PACKETS = {"s1": 3, "s2": 2, "s3": 1}


class Calls:
    """Pairs of clients of one relay, Alice and Bob of each session, each with a channel to the other."""

    def __init__(self, relay: Relay, stack: AsyncExitStack) -> None:
        self.relay = relay
        self._stack = stack
        self.of: dict[str, tuple[RawTurn, RawTurn]] = {}

    async def open(self, session_id: str, transport: Transport = Transport.UDP) -> None:
        alice, bob = await self.allocated(session_id, transport)
        assert await alice.bind(CHANNEL, bob.relayed) == await bob.bind(CHANNEL, alice.relayed) == 0

    async def allocated(self, session_id: str, transport: Transport) -> tuple[RawTurn, RawTurn]:
        until = int(time.time()) + 3600
        self.relay.admit(Admission(session_id, ("alice", "bob"), until))
        for party in ("alice", "bob"):
            self.relay.allow_payload_types(session_id, party, frozenset({111}))
        (listener,) = [one.address for one in self.relay.listeners if one.transport is transport]
        made = []
        for party in ("alice", "bob"):
            login = self.relay.issue_credential(session_id, party, until)
            client = await self._stack.enter_async_context(RawTurn(listener, login, transport=transport))
            await client.allocate()
            made.append(client)
        self.of[session_id] = made[0], made[1]
        return made[0], made[1]

    async def carry(self, session_id: str, packets: int) -> None:
        """From Alice to Bob, who gets them."""
        alice, bob = self.of[session_id]
        for number in range(packets):
            alice.send_on(CHANNEL, rtp(number))
            assert await bob.hears() == Arrived(CHANNEL, rtp(number))

    async def arrives(self, session_id: str) -> bool:
        """Whether anything sent by Alice now reaches Bob."""
        alice, bob = self.of[session_id]
        alice.send_on(CHANNEL, rtp(0))
        alice.send_to(bob.relayed, rtp(1))
        await alice.settled()
        await bob.settled()
        return bool(bob.heard())


def rtp(number: int) -> bytes:
    return bytes((0x80, 111)) + number.to_bytes(2, "big") + bytes(36)


@asynccontextmanager
async def calls_of(plane: Plane, *listen: str) -> AsyncIterator[Calls]:
    settings = RelaySettings.model_validate({"listen": listen or ("udp://127.0.0.1:0",)})
    relay = Relay(settings, [SECRET], admission_required=True, plane=plane)
    async with relay, AsyncExitStack() as stack:
        yield Calls(relay, stack)


@pytest.fixture(params=sorted(PLANES))
def plane(request: pytest.FixtureRequest) -> Plane:
    return PLANES[request.param]()


@pytest.fixture
async def calls(plane: Plane) -> AsyncIterator[Calls]:
    """Three, of which each has carried another number of packets."""
    async with calls_of(plane) as made:
        for session_id in SESSIONS:
            await made.open(session_id)
            await made.carry(session_id, PACKETS[session_id])
        yield made


@pytest.mark.parametrize("named", [None, SESSIONS, ("s1", "s3"), ("s2",), ("never", "s2"), ()])
async def test_the_sessions_named_are_silent_and_no_others(
    calls: Calls, named: tuple[str, ...] | None
) -> None:
    calls.relay.silence(named)
    silent = SESSIONS if named is None else named
    assert [await calls.arrives(one) for one in SESSIONS] == [one not in silent for one in SESSIONS]


@pytest.mark.parametrize("named", [None, ("s1", "s2")])
async def test_a_removal_later_gives_what_was_forwarded_and_when_last(
    calls: Calls, named: tuple[str, ...] | None
) -> None:
    calls.relay.silence(named)
    silenced_at = time.monotonic()
    await asyncio.sleep(0.02)
    for session_id in SESSIONS[:2]:
        live = calls.relay.session_counters(session_id)
        last = calls.relay.remove_session(session_id)
        assert live == last
        there, back = last.direction("alice", "bob"), last.direction("bob", "alice")
        assert (there.packets, there.bytes) == (PACKETS[session_id], 40 * PACKETS[session_id])
        assert there.last_seen is not None
        assert silenced_at - 5 < there.last_seen <= silenced_at
        assert (back.packets, back.last_seen) == (0, None)
        assert last.total().last_seen == there.last_seen
        assert calls.relay.remove_session(session_id).total().packets == 0


@pytest.mark.parametrize("again", [None, ("s1",), SESSIONS])
async def test_no_packet_is_counted_twice_or_lost(calls: Calls, again: tuple[str, ...] | None) -> None:
    calls.relay.silence(("s1",))
    calls.relay.silence(again)
    assert calls.relay.counters().forwarded.packets == sum(PACKETS.values())
    assert [calls.relay.remove_session(one).total().packets for one in SESSIONS] == list(PACKETS.values())
    assert calls.relay.counters().forwarded.packets == sum(PACKETS.values())


async def test_last_seen_is_the_later_of_two_rows_of_one_direction(calls: Calls) -> None:
    alice, bob = calls.of["s1"]
    assert await alice.permit(bob.relayed) == await bob.permit(alice.relayed) == 0
    before = time.monotonic()
    alice.send_to(bob.relayed, rtp(9))
    await bob.hears()
    calls.relay.silence(None)
    there = calls.relay.remove_session("s1").direction("alice", "bob")
    assert there.packets == PACKETS["s1"] + 1
    assert there.last_seen is not None
    assert there.last_seen >= before


@pytest.mark.parametrize(("named", "times"), [(None, 1), (SESSIONS, 1), (("s1", "s2"), 0)])
async def test_where_all_are_silenced_everything_is_removed_at_once(
    calls: Calls,
    plane: Plane,
    monkeypatch: pytest.MonkeyPatch,
    named: tuple[str, ...] | None,
    times: int,
) -> None:
    removed: list[int] = []
    remove_all = plane.remove_all

    def counted() -> dict[Leg, RouteCounters]:
        gone = remove_all()
        removed.append(len(gone))
        return gone

    monkeypatch.setattr(plane, "remove_all", counted)
    calls.relay.silence(named)
    assert removed == [2 * len(SESSIONS)] * times


REVIVALS: dict[str, Callable[[Calls], object]] = {
    "other payload types": lambda at: at.relay.allow_payload_types("s1", "alice", frozenset({96, 111})),
    "payload types stopped": lambda at: at.relay.stop_payload_types("s1", "alice", frozenset({96})),
    "an admission": lambda at: at.relay.admit(Admission("s1", ("alice", "bob"), time.time() + 7200)),
}


@pytest.mark.parametrize("named", [None, ("s1",)])
@pytest.mark.parametrize("revive", REVIVALS.values(), ids=REVIVALS)
async def test_nothing_its_owner_does_brings_a_silenced_session_back(
    calls: Calls, revive: Callable[[Calls], object], named: tuple[str, ...] | None
) -> None:
    calls.relay.silence(named)
    revive(calls)
    assert not await calls.arrives("s1")
    assert calls.relay.remove_session("s1").total().packets == PACKETS["s1"]


@pytest.mark.parametrize("named", [None, ("s1", "s4")])
async def test_nor_does_anything_its_clients_do(calls: Calls, named: tuple[str, ...] | None) -> None:
    early = await calls.allocated("s4", Transport.UDP)
    calls.relay.silence(named)
    for session_id, (alice, bob) in (("s1", calls.of["s1"]), ("s4", early)):
        for one, other in ((alice, bob), (bob, alice)):
            assert await one.permit(other.relayed) == 0
            assert await one.bind(CHANNEL, other.relayed) == 0
        assert not await calls.arrives(session_id)
    assert calls.relay.remove_session("s4").total().packets == 0
    assert calls.relay.remove_session("s1").total().packets == PACKETS["s1"]


async def test_allocations_may_go_before_their_silenced_session_does(calls: Calls) -> None:
    calls.relay.silence(None)
    alice, bob = calls.of["s1"]
    for one in (alice, bob):
        assert code_of(await one.ask(Method.REFRESH, (a.LIFETIME, 0))) == 0
    assert "s1" not in {one.session_id for one in calls.relay.allocations()}
    assert calls.relay.remove_session("s1").total().packets == PACKETS["s1"]


async def test_who_comes_after_everything_was_silenced_is_heard(calls: Calls) -> None:
    calls.relay.silence(None)
    await calls.open("s9")
    await calls.carry("s9", 2)
    calls.relay.remove_session("s1")
    await calls.open("s1")
    await calls.carry("s1", 1)
    assert calls.relay.remove_session("s1").total().packets == 1


@pytest.mark.parametrize("everything", [True, False])
async def test_a_connection_ends_with_all_that_waits_in_it(plane: Plane, *, everything: bool) -> None:
    async with calls_of(plane, "tcp://127.0.0.1:0") as calls:
        await calls.open("s1", Transport.TCP)
        await calls.open("s2", Transport.TCP)
        alice, bob = calls.of["s1"]
        calls.relay.silence(None if everything else ("s1",))
        async with asyncio.timeout(5):
            await alice.closed.wait()
            await bob.closed.wait()
        if not everything:
            await calls.carry("s2", 1)
        calls.relay.remove_session("s1")
        assert [one.session_id for one in calls.relay.allocations()] == ["s2", "s2"]
