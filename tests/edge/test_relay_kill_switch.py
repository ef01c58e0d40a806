"""After `remove_session` has returned, not one more datagram of the session leaves the relay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from relay.service import Relay
from relay.stun import attributes as a
from relay.stun import channel_data
from relay.stun.message import Field, MessageClass, Method, build
from relay.vocabulary import Address
from tests.edge.relay_bench import admit, allow, relay_here
from tests.edge.relay_clients import AUDIO, HandClient, by_hand, rtp
from tests.edge.test_relay_clients import credential


@asynccontextmanager
async def connected(relay: Relay) -> AsyncIterator[tuple[HandClient, HandClient]]:
    """Alice and Bob, each with a channel to the other."""
    admit(relay)
    allow(relay, frozenset({AUDIO}))
    listener = relay.listeners[0].address
    async with (
        by_hand(listener, credential(relay, "alice"), receive_buffer=4 << 20) as alice,
        by_hand(listener, credential(relay, "bob"), receive_buffer=4 << 20) as bob,
    ):
        assert await alice.try_to_allocate() == await bob.try_to_allocate() == 0
        await alice.bind(bob)
        await bob.bind(alice)
        yield alice, bob


def waiting(client: HandClient) -> list[bytes]:
    """All that lies in the socket's buffer."""
    got = []
    while True:
        try:
            got.append(client.way.socket.recv(4096))
        except BlockingIOError:
            return got


def on_channel(number: int, peer: Address) -> bytes:
    return channel_data.build(0x4000, rtp(number))


def in_indication(number: int, peer: Address) -> bytes:
    fields: list[Field] = [(a.XOR_PEER_ADDRESS, peer), (a.DATA, rtp(number))]
    return build(Method.SEND, MessageClass.INDICATION, number.to_bytes(12, "big"), fields)


def numbers(datagrams: list[bytes]) -> list[int]:
    return [int.from_bytes(channel_data.parse(one)[1][2:6], "big") for one in datagrams]


@pytest.mark.parametrize("frame", [on_channel, in_indication])
async def test_not_one_datagram_passes_after_the_session_is_removed(
    frame: Callable[[int, Address], bytes],
) -> None:
    async with relay_here() as relay, connected(relay) as (alice, bob):
        sent = iter(range(1_000_000))
        passed: list[int] = []
        while len(passed) < 300:
            for _ in range(20):
                alice.way.write(frame(next(sent), bob.relayed))
            await asyncio.sleep(0)
            passed += numbers(waiting(bob))
        # The relay's socket is full of datagrams, some read and waiting for control, when the end comes.
        for _ in range(200):
            alice.way.write(frame(next(sent), bob.relayed))
        await asyncio.sleep(0)
        last = relay.remove_session("s1")
        passed += numbers(waiting(bob))
        for _ in range(50):
            for _ in range(20):
                alice.way.write(frame(next(sent), bob.relayed))
            await asyncio.sleep(0.001)
        assert waiting(bob) == []
        assert passed == list(range(len(passed)))
        assert last.direction("alice", "bob").packets == len(passed)


async def test_removing_one_session_leaves_the_others_alone() -> None:
    async with relay_here() as relay, connected(relay) as (alice, bob):
        admit(relay, "s2")
        relay.remove_session("s2")
        alice.way.write(on_channel(1, bob.relayed))
        assert numbers([await bob.receive()]) == [1]
