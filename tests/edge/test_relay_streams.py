"""The relay's connections on real sockets: how they are cut, how they end, and who pays for a slow reader."""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

import relay.service
import relay.streams.streams
from relay.service import Relay
from relay.streams.stream import (
    BACKLOG_BYTES,
    MAX_STRANGER_MESSAGE_BYTES,
    MEDIA_BACKLOG_BYTES,
    STRANGER_BURST,
    STRANGER_MESSAGES_PER_SECOND,
)
from relay.stun import attributes as a
from relay.stun import channel_data
from relay.stun.framing import StreamFraming
from relay.stun.message import MessageClass, Method
from relay.turn.events import AllocationGone, GoneReason
from relay.vocabulary import DropReason, Transport
from tests.edge.relay_bench import PATIENCE_SECONDS, admit, allow, on_both_loops, relay_here
from tests.edge.relay_clients import AUDIO, HandClient, by_hand, meet, rtp, talk
from tests.edge.test_relay_clients import credential

TCP, UDP = Transport.TCP, Transport.UDP
LONG = 1200


@asynccontextmanager
async def streaming() -> AsyncIterator[Relay]:
    """A relay with two admitted sessions."""
    async with relay_here("udp://127.0.0.1:0", "tcp://127.0.0.1:0") as running:
        for session_id in ("s1", "s2"):
            admit(running, session_id)
            allow(running, frozenset({AUDIO}), session_id=session_id)
        yield running


@asynccontextmanager
async def client(
    relay: Relay,
    party: str = "alice",
    session_id: str = "s1",
    over: Transport = TCP,
    receive_buffer: int = 1 << 20,
) -> AsyncIterator[HandClient]:
    listener = relay.listeners[1 if over is TCP else 0].address
    login = credential(relay, party, session_id)
    async with by_hand(listener, login, over, receive_buffer=receive_buffer) as connected:
        yield connected


@asynccontextmanager
async def pair(
    relay: Relay, session_id: str = "s1", bobs_buffer: int = 1 << 20
) -> AsyncIterator[tuple[HandClient, HandClient]]:
    """Two parties of a session, each with a channel to the other."""
    async with AsyncExitStack() as stack:
        alice = await stack.enter_async_context(client(relay, "alice", session_id))
        bob = await stack.enter_async_context(client(relay, "bob", session_id, receive_buffer=bobs_buffer))
        await meet(alice, bob)
        yield alice, bob


async def seen_by(onlooker: HandClient) -> None:
    """The relay has read what was sent before: somebody who asks now is answered."""
    await onlooker.answer(onlooker.request(Method.BINDING))


async def next_end(relay: Relay) -> AllocationGone:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            for event in await relay.events():
                if isinstance(event, AllocationGone):
                    return event


# --- how messages are cut -----------------------------------------------------------------------------


@on_both_loops
async def test_a_message_may_be_cut_at_every_byte() -> None:
    async with streaming() as relay, pair(relay) as (alice, bob), client(relay, over=UDP) as onlooker:
        writer = alice.connection.writer
        media = channel_data.build(0x4000, rtp(7) + b"odd") + b"\0"
        for cut in range(1, len(media)):
            writer.write(media[:cut])
            await seen_by(onlooker)
            writer.write(media[cut:])
            assert await bob.heard() == rtp(7) + b"odd"
        request = alice.request(Method.REFRESH)
        for cut in range(1, len(request)):
            writer.write(request[:cut])
            await seen_by(onlooker)
            writer.write(request[cut:])
            assert (await alice.answered(request)).message_class is MessageClass.SUCCESS


@on_both_loops
async def test_messages_in_one_segment_take_effect_in_their_order() -> None:
    async with streaming() as relay, pair(relay) as (alice, bob):
        before = b"".join(channel_data.build(0x4000, rtp(number)) for number in range(200))
        end = alice.request(Method.REFRESH, (a.LIFETIME, 0))
        binding = alice.request(Method.BINDING)
        alice.connection.writer.write(before + end + channel_data.build(0x4000, rtp(999)) + binding)
        for number in range(200):
            assert await bob.heard() == rtp(number)
        assert (await alice.answered(end)).first(a.LIFETIME) == 0
        assert (await alice.answered(binding)).message_class is MessageClass.SUCCESS
        assert await bob.code(Method.REFRESH) == 0
        assert not bob.inbox


GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x80",
    bytes(20),
    b"\x00\x01\x00\x02\x21\x12\xa4\x42" + bytes(14),
    b"\xff" * 4000,
]
TOO_LONG_FOR_A_STRANGER = [
    b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n",
    b"\x00\x01" + MAX_STRANGER_MESSAGE_BYTES.to_bytes(2, "big"),
    b"\x40\x00" + MAX_STRANGER_MESSAGE_BYTES.to_bytes(2, "big"),
]


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_ends_the_connection_it_came_by_and_no_other(garbage: bytes) -> None:
    async with streaming() as relay, pair(relay) as (alice, bob), pair(relay, "s2") as others:
        alice.send(rtp(1))
        assert await bob.heard() == rtp(1)
        alice.connection.writer.write(garbage)
        assert await alice.until_closed() == []
        end = await next_end(relay)
        assert (end.session_id, end.party, end.reason) == ("s1", "alice", GoneReason.STREAM_CLOSED)
        assert relay.counters().streams_ended_as_garbage == 1
        assert relay.counters().streams == 3
        assert await bob.code(Method.REFRESH) == 0
        await talk(*others)


@pytest.mark.parametrize("garbage", [*GARBAGE, *TOO_LONG_FOR_A_STRANGER])
async def test_strangers_are_ended_by_garbage_by_http_and_by_long_messages(garbage: bytes) -> None:
    async with streaming() as relay, pair(relay) as (alice, bob), client(relay) as stranger:
        stranger.connection.writer.write(garbage)
        assert await stranger.until_closed() == []
        assert relay.counters().streams_ended_as_garbage == 1
        assert relay.counters().streams == 2
        await talk(alice, bob)


async def test_an_owner_may_send_the_longest_message_there_is() -> None:
    async with streaming() as relay, pair(relay) as (alice, bob):
        alice.send(rtp(1) + bytes(0xFFFF - 40))
        assert await bob.heard() == rtp(1) + bytes(0xFFFF - 40)


@on_both_loops
async def test_of_a_stranger_no_more_is_read_than_64_messages_at_once_and_20_a_second() -> None:
    async with streaming() as relay, pair(relay) as (alice, bob), client(relay) as stranger:
        before = relay.counters().plane.punted
        requests = [stranger.request(Method.BINDING) for _ in range(1000)]
        stranger.connection.writer.write(b"".join(requests))
        await stranger.answered(requests[0])
        until = asyncio.get_running_loop().time() + 0.5
        while asyncio.get_running_loop().time() < until:
            await talk(alice, bob)
        # A batch may already be on its way when the budget is spent.
        read = relay.counters().plane.punted - before
        assert STRANGER_BURST <= read <= 2 * STRANGER_BURST + STRANGER_MESSAGES_PER_SECOND


# --- how connections end ------------------------------------------------------------------------------


async def test_a_stranger_that_says_nothing_is_ended_in_time_and_an_owner_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay.streams.streams, "STRANGER_SECONDS", 0.2)
    monkeypatch.setattr(relay.service, "SWEEP_SECONDS", 0.02)
    async with streaming() as running, pair(running) as (alice, bob), client(running) as silent:
        loop = asyncio.get_running_loop()
        since = loop.time()
        assert await silent.until_closed() == []
        assert loop.time() - since >= 0.1
        async with client(running) as talkative:
            assert await talkative.code(Method.REFRESH) == 437
            assert await talkative.until_closed() == []
        await talk(alice, bob)
        # Without its allocation an owner is a stranger, and has as long as one.
        assert await alice.code(Method.REFRESH, (a.LIFETIME, 0)) == 0
        assert await alice.code(Method.REFRESH) == 437
        assert await alice.until_closed() == []
        assert running.counters().streams == 1


async def test_who_gave_up_an_allocation_may_make_another_on_the_same_connection() -> None:
    async with streaming() as relay, pair(relay) as (alice, bob):
        assert await alice.code(Method.REFRESH, (a.LIFETIME, 0)) == 0
        assert await alice.try_to_allocate() == 0
        await alice.bind(bob)
        await bob.bind(alice, 0x4001)
        alice.send(rtp(1))
        assert channel_data.parse(await bob.receive()) == (0x4001, rtp(1))


@on_both_loops
async def test_the_end_of_a_connection_is_the_end_of_its_allocation_at_once() -> None:
    async with streaming() as relay, pair(relay) as (alice, bob):
        mine, theirs = relay.allocations()
        alice.connection.close()
        end = await next_end(relay)
        assert end == AllocationGone(
            "s1", "alice", mine.five_tuple, mine.relayed_address, GoneReason.STREAM_CLOSED
        )
        assert relay.allocations() == [theirs]
        assert relay.counters().streams == 1
        bob.send(rtp(1))
        assert (
            await bob.code(
                Method.CHANNEL_BIND, (a.CHANNEL_NUMBER, 0x4000), (a.XOR_PEER_ADDRESS, alice.relayed)
            )
            == 403
        )


@on_both_loops
async def test_a_client_that_closes_its_half_has_ended_the_connection() -> None:
    async with streaming() as relay, pair(relay) as (alice, _):
        alice.connection.writer.write_eof()
        assert (await next_end(relay)).reason is GoneReason.STREAM_CLOSED
        assert await alice.until_closed() == []


@on_both_loops
async def test_not_one_byte_of_media_comes_after_the_session_was_removed() -> None:
    async with streaming() as relay, pair(relay) as (alice, bob), pair(relay, "s2") as others:
        hearing = heard_by_hand(bob)
        sent = 0
        passed: list[int] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(passed) < 300:
                for _ in range(20):
                    alice.send(rtp(sent))
                    sent += 1
                await asyncio.sleep(0)
                passed += hearing()
        # Some is on the way to the relay, some in it, when the end comes.
        for _ in range(200):
            alice.send(rtp(sent))
            sent += 1
        await asyncio.sleep(0)
        last = relay.remove_session("s1")
        passed += hearing()
        assert await alice.until_closed() == []
        for _ in range(50):
            await asyncio.sleep(0.001)
            assert hearing() == []
        assert passed == list(range(len(passed)))
        assert last.direction("alice", "bob").packets >= len(passed)
        assert relay.counters().streams == 2
        await talk(*others)


def heard_by_hand(one: HandClient) -> Callable[[], list[int]]:
    """From now on the client reads its socket only when this is called; gives the numbers of its media."""
    connection = one.connection
    connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
    framing = StreamFraming()

    def read() -> list[int]:
        numbers: list[int] = []
        while True:
            try:
                data = connection.socket.recv(1 << 20)
            except (BlockingIOError, ConnectionResetError):
                return numbers
            if not data:
                return numbers
            numbers += [int.from_bytes(message[6:10], "big") for message in framing.feed(data)]

    return read


# --- who does not keep up -----------------------------------------------------------------------------


def waiting_for(relay: Relay, one: HandClient) -> int:
    """How many bytes the relay keeps for a client."""
    (held,) = [
        stream._connection.get_write_buffer_size()
        for five_tuple, stream in relay._streams._live.items()
        if five_tuple.client == one.way.address and stream._connection is not None
    ]
    return held


@on_both_loops
async def test_who_does_not_read_loses_media_of_its_own_and_nobody_waits_for_it() -> None:
    async with (
        streaming() as relay,
        pair(relay, "s1", bobs_buffer=4096) as (alice, slow),
        pair(relay, "s2") as others,
    ):
        sent = 0
        most = 0
        while sent < 4000:
            for _ in range(50):
                alice.send(rtp(sent) + bytes(LONG))
                sent += 1
            # She is answered, and so what she sends is read.
            await seen_by(alice)
            await talk(*others, times=1)
            most = max(most, waiting_for(relay, slow))
        assert MEDIA_BACKLOG_BYTES < most <= BACKLOG_BYTES
        counters = relay.session_counters("s1")
        assert counters is not None
        counted = counters.direction("alice", "bob")
        lost = counted.drops[DropReason.SEND_FAILED]
        assert counted.packets + lost == sent
        assert lost > sent / 2
        others_counters = relay.session_counters("s2")
        assert others_counters is not None
        assert others_counters.total().drops == {}
        # Once it reads again it gets what waited, in order, and then what is new.
        numbers = [int.from_bytes((await slow.heard())[2:6], "big") for _ in range(counted.packets)]
        assert numbers == sorted(set(numbers))
        assert numbers[:50] == list(range(50))
        alice.send(rtp(sent))
        assert await slow.heard() == rtp(sent)


@on_both_loops
async def test_a_burst_does_not_make_the_relay_keep_more_for_a_client_than_for_a_slow_one() -> None:
    async with streaming() as relay, pair(relay, "s1", bobs_buffer=4096) as (alice, slow):
        asked = alice.request(Method.BINDING)
        for number in range(1000):
            alice.send(rtp(number) + bytes(LONG))
        alice.way.write(asked)
        answered, most = asyncio.create_task(alice.answered(asked)), 0
        while not answered.done():
            await asyncio.sleep(0)
            most = max(most, waiting_for(relay, slow))
        assert most <= BACKLOG_BYTES
        # It lost media, but not its connection.
        assert await slow.code(Method.REFRESH) == 0


@on_both_loops
async def test_who_asks_without_reading_the_answers_is_ended_and_frees_its_allocation() -> None:
    async with (
        streaming() as relay,
        pair(relay, "s1", bobs_buffer=4096) as (_, slow),
        pair(relay, "s2") as others,
    ):
        slow.connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        ended = asyncio.create_task(next_end(relay))
        for _ in range(200):
            if ended.done():
                break
            slow.connection.writer.write(b"".join(slow.request(Method.REFRESH) for _ in range(200)))
            await talk(*others, times=1)
        assert ((await ended).party, (await ended).reason) == ("bob", GoneReason.STREAM_CLOSED)
        assert relay.counters().streams == 3


@on_both_loops
async def test_what_the_system_keeps_for_a_slow_reader_does_not_come_after_its_session_was_removed() -> None:
    async with streaming() as relay, pair(relay, "s1", bobs_buffer=4096) as (alice, slow):
        hearing = heard_by_hand(slow)
        for number in range(200):
            alice.send(rtp(number) + bytes(LONG))
        await seen_by(alice)
        assert waiting_for(relay, slow) > 0
        passed = unread_in_the_system(slow) // len(channel_data.build(0x4000, rtp(0) + bytes(LONG)))
        relay.remove_session("s1")
        assert await alice.until_closed() == []
        for _ in range(20):
            await asyncio.sleep(0.001)
            assert hearing() == list(range(passed))
            passed = 0


def unread_in_the_system(one: HandClient) -> int:
    """How many bytes have reached the client's socket and were not read."""
    counted = bytearray(4)
    fcntl.ioctl(one.connection.socket, termios.FIONREAD, counted)
    return int.from_bytes(counted, sys.byteorder)
