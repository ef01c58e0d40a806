"""Bad input is an answer or silence, never a fault: after it a call goes on, and somebody new is let in."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count, product
from random import Random

import pytest
from structlog.testing import capture_logs

from relay.credentials import TurnCredential
from relay.service import Relay
from relay.stun import attributes as a
from relay.stun.attributes import KNOWN
from relay.stun.message import Field, MessageClass, Method, build, parse
from relay.turn import server as turn_server
from relay.turn.allocation import CHANNEL_LIFETIME_SECONDS
from relay.turn.events import AllocationMade, ControlDrop
from relay.vocabulary import Address, DropReason
from tests.edge.closed_peers import AS_WRITTEN, FORMS
from tests.edge.flood_process import flooding, noise
from tests.edge.raw_turn import (
    PATIENCE_SECONDS,
    REALM,
    UDP_RELAY,
    RawTurn,
    broken,
    code_of,
    flipped,
    indication,
)
from tests.edge.relay_bench import admit, allow, relay_here
from tests.spec.turn_world import World

AUDIO, CHANNEL = 111, 0x4000
COOKIE = b"\x21\x12\xa4\x42"
ANY_NUMBER = 1_000_000
KINDS = list(product((False, True), (False, True)))
"""Of requests: with SHA-256 or SHA-1, with a fingerprint or without."""


def rtp(number: int) -> bytes:
    return bytes((0x80, AUDIO)) + number.to_bytes(4, "big") + bytes(34)


@dataclass
class Call:
    """Two parties in a call, by UDP and by TCP, at a relay with two UDP listeners and a TCP one."""

    relay: Relay
    alice: RawTurn
    bob: RawTurn
    others: int = 0
    packets: int = 0

    def login(self, session_id: str, party: str = "alice") -> TurnCredential:
        return self.relay.issue_credential(session_id, party, int(time.time()) + 3600)

    def stranger(self, at: int = 0, ip: str = "127.0.0.1") -> RawTurn:
        """Somebody with a good credential who has not used it yet; at the third listener by TCP."""
        self.others += 1
        admit(self.relay, f"other{self.others}")
        transport, address = self.relay.listeners[at]
        return RawTurn(address, self.login(f"other{self.others}"), transport=transport, ip=ip)

    async def goes_on(self) -> None:
        """Each hears the other, and has heard nothing else since the last time."""
        for one, other in ((self.alice, self.bob), (self.bob, self.alice)):
            self.packets += 1
            one.send_on(CHANNEL, rtp(self.packets))
            assert await other.hears() == (CHANNEL, rtp(self.packets))
            assert (other.heard(), other.unasked) == ([], [])

    async def lets_somebody_in(self) -> None:
        for at in range(len(self.relay.listeners)):
            async with self.stranger(at, "127.99.0.1") as client:
                await client.allocate()

    async def consider(self, client: RawTurn, datagram: bytes) -> None:
        """Send it until control has looked at it, which it does not do for a network in a hurry."""
        while True:
            refused = self.relay.counters().plane.punts_refused_stranger
            client.write(datagram)
            # Read after what came before, and by control as well: this one has an allocation.
            await self.alice.settled()
            if self.relay.counters().plane.punts_refused_stranger == refused or not is_request(datagram):
                return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def standing_call(*, expected: Sequence[str] = ()) -> AsyncIterator[Call]:
    """A call that goes on after the body, at a relay that has logged nothing but what is expected."""
    listeners = ("udp://127.0.0.1:0", "udp://127.0.0.1:0", "tcp://127.0.0.1:0")
    with capture_logs() as logs:
        async with AsyncExitStack() as stack:
            relay = await stack.enter_async_context(
                relay_here(*listeners, unauthenticated_answers_burst=ANY_NUMBER)
            )
            admit(relay)
            allow(relay, frozenset({AUDIO}))
            parties = []
            for party, at in (("alice", 0), ("bob", 2)):
                transport, address = relay.listeners[at]
                login = relay.issue_credential("s1", party, int(time.time()) + 3600)
                parties.append(await stack.enter_async_context(RawTurn(address, login, transport=transport)))
                await parties[-1].allocate()
            call = Call(relay, parties[0], parties[1])
            assert await call.alice.bind(CHANNEL, call.bob.relayed) == 0
            assert await call.bob.bind(CHANNEL, call.alice.relayed) == 0
            await call.goes_on()
            yield call
            await call.goes_on()
            await call.lets_somebody_in()
    assert [log["event"] for log in logs if log["event"] != "relay.faults"] == list(expected)


def is_request(datagram: bytes) -> bool:
    """Whether it may be read as one."""
    return len(datagram) >= 20 and not (datagram[0] & 0xFD or datagram[1] & 0x10) and datagram[4:8] == COOKIE


async def test_a_fault_of_the_relays_own_would_be_seen_and_would_end_no_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def faulty(datagram: bytes) -> object:
        if datagram[8:20] == b"finds a bug!":
            raise ZeroDivisionError
        return parse(datagram)

    monkeypatch.setattr(turn_server, "parse", faulty)
    async with standing_call(expected=["relay.fault"]) as call, call.stranger() as stranger:
        await call.consider(stranger, build(Method.BINDING, MessageClass.REQUEST, b"finds a bug!"))


# --- random bytes -----------------------------------------------------------------------------------------


async def test_random_bytes_at_full_rate() -> None:
    async with standing_call() as call:
        address = call.relay.listeners[0].address
        async with flooding(address, networks=4, rate=15_000, seconds=2, what="noise") as flood:
            flooded = await flood.result()
        assert sum(flooded.sent) > 10_000
        assert call.relay.counters().plane.punts_refused_stranger > 1000


async def test_random_bytes_of_somebody_who_has_an_allocation() -> None:
    async with standing_call() as call, call.stranger() as owner:
        await owner.allocate()
        before = sum(call.relay.counters().dropped_by_control.values())
        for number, datagram in enumerate(noise()[:1500]):
            owner.write(datagram)
            if number % 50 == 0:
                await owner.settled()
        await owner.settled()
        assert sum(call.relay.counters().dropped_by_control.values()) > before + 1000


async def test_random_bytes_on_many_connections() -> None:
    async with standing_call() as call:
        heads = [bytes((first,)) for first in range(256)] + [b"\x00\x03\x00\x08" + COOKIE] * 32
        for network, some in enumerate(heads[at : at + 48] for at in range(0, len(heads), 48)):
            async with AsyncExitStack() as stack:
                clients = []
                for _ in some:
                    client = call.stranger(2, f"127.0.{network}.1")
                    clients.append(await stack.enter_async_context(client))
                for head, client in zip(some, clients, strict=True):
                    client.write_unframed(head + secrets.token_bytes(5000))
                for head, client in zip(some, clients, strict=True):
                    if 4 <= head[0] < 0x40 or head[0] >= 0x80:
                        async with asyncio.timeout(PATIENCE_SECONDS):
                            await client.closed.wait()
        assert call.relay.counters().streams_ended_as_garbage >= 256 - 4 - 64


async def test_signed_requests_with_random_attributes_are_all_answered() -> None:
    async with standing_call() as call:
        random = Random(8489)
        kinds = [*KNOWN, 0x0001, 0x0024, 0x7FFF, 0x8000, 0xC001]
        never = {a.MESSAGE_INTEGRITY.number, a.MESSAGE_INTEGRITY_SHA256.number, a.FINGERPRINT.number}
        login = {a.USERNAME.number, a.REALM.number, a.NONCE.number}
        methods = (Method.ALLOCATE, Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND)
        codes = set()
        for number in range(1200):
            fields: list[Field] = []
            for _ in range(random.randrange(6)):
                kind = random.choice(kinds)
                if kind not in never | login:
                    value = random.randbytes(random.choice((0, 1, 4, 4, 8, 8, 20, 33, 700)))
                    fields.append((replace(AS_WRITTEN, number=kind), value))
            async with asyncio.timeout(PATIENCE_SECONDS):
                codes.add(code_of(await call.alice.request(methods[number % 4], *fields)))
        assert codes >= {0, 400, 420, 437}


# --- requests that were right once ------------------------------------------------------------------------


def signed_allocate(
    login: TurnCredential, nonce: bytes, key: bytes, *, sha256: bool = False, with_fingerprint: bool = False
) -> bytes:
    """A request that would succeed."""
    fields = [UDP_RELAY, (a.USERNAME, login.username.encode()), (a.REALM, REALM), (a.NONCE, nonce)]
    kind, number = MessageClass.REQUEST, secrets.token_bytes(12)
    return build(
        Method.ALLOCATE, kind, number, fields, key=key, sha256=sha256, with_fingerprint=with_fingerprint
    )


async def test_requests_that_are_cut_off_too_long_or_misnested_allocate_nothing() -> None:
    async with standing_call() as call, call.stranger() as stranger:
        await stranger.learn_nonce()
        request = signed_allocate(stranger.login, stranger.nonce, stranger.key)
        live = len(call.relay.allocations())
        for datagram in broken(request):
            await call.consider(stranger, datagram)
            assert len(call.relay.allocations()) == live
        assert code_of(await stranger.expect(request)) == 0


async def test_no_such_request_on_a_stream_allocates_anything() -> None:
    async with standing_call() as call:
        await call.relay.events()
        for number in count():
            async with call.stranger(2, f"127.1.{number % 250}.1") as client:
                await client.learn_nonce()
                request = signed_allocate(client.login, client.nonce, client.key)
                # On a stream what follows a whole request is another message.
                variants = [one for one in broken(request) if not one.startswith(request)]
                if number == len(variants):
                    await client.allocate()
                    made = [one for one in await call.relay.events() if isinstance(one, AllocationMade)]
                    assert [one.five_tuple.client for one in made] == [client.address]
                    return
                client.write_unframed(variants[number])
                await client.hang_up()


@pytest.mark.parametrize(("sha256", "with_fingerprint"), KINDS)
async def test_no_flipped_byte_of_a_signed_allocate_is_overlooked(
    sha256: bool, with_fingerprint: bool
) -> None:
    async with standing_call() as call, call.stranger() as stranger:
        await stranger.learn_nonce()
        known = (stranger.login, stranger.nonce, stranger.key)
        request = signed_allocate(*known, sha256=sha256, with_fingerprint=with_fingerprint)
        live = len(call.relay.allocations())
        for datagram in flipped(request, (0xFF,), with_fingerprint=with_fingerprint):
            await call.consider(stranger, datagram)
            assert len(call.relay.allocations()) == live
        codes = {
            code_of(answer) for answer in map(parse, stranger.unasked) if answer.method != Method.BINDING
        }
        # What has a false fingerprint is not even a message, and is not answered.
        assert codes == set() if with_fingerprint else {400, 401}
        assert code_of(await stranger.expect(request)) == 0


@pytest.mark.parametrize(("sha256", "with_fingerprint"), KINDS)
def test_no_flipped_bit_of_a_signed_allocate_is_overlooked(sha256: bool, with_fingerprint: bool) -> None:
    world = World(replace(World().rules, unauthenticated_answers_burst=ANY_NUMBER))
    world.admit()
    client = world.client()
    client.learn_nonce()
    known = (client.credential, client.nonce, client.key)
    request = signed_allocate(*known, sha256=sha256, with_fingerprint=with_fingerprint)
    for datagram in flipped(request, [1 << bit for bit in range(8)], with_fingerprint=with_fingerprint):
        answer = client.raw(datagram)
        assert answer is None or answer.method == Method.BINDING or code_of(answer) != 0
        assert world.server.allocations() == []
    success = client.raw(request)
    assert success is not None
    assert code_of(success) == 0


async def test_a_nonce_is_of_no_use_at_another_port_address_listener_or_transport() -> None:
    async with standing_call() as call, AsyncExitStack() as stack:
        first = await stack.enter_async_context(call.stranger())
        await first.learn_nonce()
        captured = signed_allocate(first.login, first.nonce, first.key)
        for at, ip in ((0, "127.0.0.1"), (0, "127.0.0.2"), (1, "127.0.0.1"), (2, "127.0.0.1")):
            other = await stack.enter_async_context(call.stranger(at, ip))
            live = len(call.relay.allocations())
            assert code_of(await other.expect(captured)) == 438
            answer = await other.expect(signed_allocate(other.login, first.nonce, other.key))
            assert code_of(answer) == 438
            other.nonce = answer.first(a.NONCE) or b""
            assert other.nonce not in (b"", first.nonce)
            back = signed_allocate(other.login, other.nonce, other.key)
            assert code_of(await first.expect(back)) == 438
            assert len(call.relay.allocations()) == live
            await other.allocate()
        assert code_of(await first.expect(captured)) == 0


async def test_a_request_that_is_read_after_its_connection_has_ended_allocates_nothing() -> None:
    async with standing_call() as call, call.stranger(1) as busy, call.stranger(2) as gone:
        await busy.allocate()
        await gone.learn_nonce()
        # Both listeners at once are read faster than control follows: what comes now has to wait.
        for _ in range(600):
            call.alice.send_to(busy.relayed, b"")
            busy.send_to(call.alice.relayed, b"")
        for _ in range(6):
            await asyncio.sleep(0)
        gone.write(signed_allocate(gone.login, gone.nonce, gone.key))
        await gone.hang_up()
        await busy.settled()
        assert {one.session_id for one in call.relay.allocations()} == {"s1", "other1"}


# --- ChannelData ------------------------------------------------------------------------------------------


async def test_channel_data_of_strangers_is_dropped_by_whatever_way_it_comes() -> None:
    async with standing_call() as call:
        for at in range(3):
            async with call.stranger(at) as stranger:
                for number in (CHANNEL, CHANNEL + 1, 0x4FFF, 0x5000, 0x7FFF):
                    stranger.send_on(number, rtp(7))
                stranger.write(indication((a.XOR_PEER_ADDRESS, call.bob.relayed), (a.DATA, rtp(7))))
                await stranger.settled()
                assert (stranger.heard(), stranger.unasked) == ([], [])
        assert call.relay.counters().plane.punts_refused_stranger == 3 * 6


def test_channel_data_on_a_channel_that_has_expired_is_dropped() -> None:
    world = World()
    alice, bob = world.pair()
    assert [alice.bind(CHANNEL, bob.relayed), bob.bind(CHANNEL, alice.relayed)] == [0, 0]
    for _ in range(CHANNEL_LIFETIME_SECONDS // 100):
        alice.send_on(CHANNEL, b"in time")
        assert [one.payload for one in world.delivered()] == [b"in time"]
        world.passes(100 - 0.001, sweep=False)
        for client in (alice, bob):
            client.refresh((a.LIFETIME, 600))
    world.passes(1)
    for payload in (b"too late", b"", b"\0" * 1200):
        alice.send_on(CHANNEL, payload)
    assert world.delivered() == []
    assert world.server.dropped[ControlDrop.UNBOUND] == 3
    assert [alice.bind(CHANNEL, bob.relayed), bob.bind(CHANNEL, alice.relayed)] == [0, 0]
    alice.send_on(CHANNEL, b"again")
    assert [one.payload for one in world.delivered()] == [b"again"]


async def test_channel_data_with_a_false_length_carries_no_more_than_is_there() -> None:
    async with standing_call() as call:
        head = CHANNEL.to_bytes(2, "big")
        for claimed, payload in ((41, rtp(0)), (0xFFFF, rtp(0)), (1, b""), (13, rtp(0)[:12])):
            call.alice.write(head + claimed.to_bytes(2, "big") + payload)
        call.alice.write(head)
        call.alice.write(head + b"\0")
        call.alice.write(head + b"\x00\x28" + rtp(5) + b"what comes after it")
        assert await call.bob.hears() == (CHANNEL, rtp(5))
        counters = call.relay.session_counters("s1")
        assert counters is not None
        assert counters.direction("alice", "bob").drops == {DropReason.CLASS: 4}


async def test_a_false_length_on_a_stream_ends_this_stream_alone() -> None:
    async with standing_call() as call, call.stranger(2) as other:
        await other.allocate()
        other.write_unframed(b"\x40\x00\x00\x05" + bytes(4) + rtp(1) + rtp(2))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await other.closed.wait()
        assert {one.session_id for one in call.relay.allocations()} == {"s1"}


@pytest.mark.parametrize("form", FORMS)
async def test_an_ipv4_address_in_an_ipv6_one_is_not_mistaken_for_it(form: str) -> None:
    async with standing_call() as call:
        for ip in (call.bob.relayed.ip, "127.0.0.1"):
            packed = bytes(map(int, ip.split(".")))
            text = ":".join(FORMS[form](packed)[at : at + 2].hex() for at in range(0, 16, 2))
            peer = Address(text, call.bob.relayed.port)
            assert await call.alice.permit(peer) == 443
            assert await call.alice.permit(call.bob.relayed, peer) == 443
            assert await call.alice.bind(CHANNEL + 1, peer) == 443
            call.alice.send_to(peer, rtp(9))
            call.alice.send_on(CHANNEL + 1, rtp(9))
        await call.alice.settled()
        assert call.relay.counters().dropped_by_control == {
            ControlDrop.FOREIGN_PEER: 2,
            ControlDrop.UNBOUND: 2,
        }
