"""After `remove_session` has returned, not one more datagram of the session leaves the relay."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from relay.credentials import TurnCredential
from relay.service import Relay
from relay.stun import attributes as a
from relay.stun import channel_data
from relay.stun.integrity import long_term_key
from relay.stun.message import Field, Message, MessageClass, Method, build, parse
from relay.vocabulary import Address
from tests.edge.relay_bench import admit, relay_here
from tests.edge.test_relay_clients import AUDIO, credential, rtp

PATIENCE_SECONDS = 10.0


class RawClient:
    """Speaks TURN by hand, so that what lies in which socket buffer is known."""

    def __init__(self, listener: Address, login: TurnCredential) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.connect(tuple(listener))
        self._login = login
        self._nonce = b""
        self._sequence = 0

    async def ask(self, method: Method, *fields: Field) -> Message:
        for _ in range(2):
            self._sequence += 1
            username = self._login.username.encode()
            key = long_term_key(username, b"turngate", self._login.password.encode())
            login: list[Field] = [(a.USERNAME, username), (a.REALM, b"turngate"), (a.NONCE, self._nonce)]
            request = [*fields, *login] if self._nonce else fields
            self.socket.send(
                build(
                    method,
                    MessageClass.REQUEST,
                    self._sequence.to_bytes(12, "big"),
                    request,
                    key=key if self._nonce else None,
                )
            )
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer = parse(await asyncio.get_running_loop().sock_recv(self.socket, 4096))
            if answer.message_class is MessageClass.SUCCESS:
                return answer
            self._nonce = answer.first(a.NONCE) or b""
        raise AssertionError(f"{method!r} was refused")

    async def allocate(self) -> Address:
        answer = await self.ask(Method.ALLOCATE, (a.REQUESTED_TRANSPORT, 17))
        relayed = answer.first(a.XOR_RELAYED_ADDRESS)
        assert relayed is not None
        return relayed

    def drain(self) -> list[bytes]:
        """All that lies in the socket's buffer."""
        got = []
        while True:
            try:
                got.append(self.socket.recv(4096))
            except BlockingIOError:
                return got


async def connected(relay: Relay) -> tuple[RawClient, RawClient, Address]:
    admit(relay)
    relay.allow_payload_types("s1", frozenset({AUDIO}))
    alice = RawClient(relay.listeners[0].address, credential(relay, "alice"))
    bob = RawClient(relay.listeners[0].address, credential(relay, "bob"))
    to_alice, to_bob = await alice.allocate(), await bob.allocate()
    for one, peer in ((alice, to_bob), (bob, to_alice)):
        await one.ask(Method.CHANNEL_BIND, (a.CHANNEL_NUMBER, 0x4000), (a.XOR_PEER_ADDRESS, peer))
    return alice, bob, to_bob


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
    async with relay_here() as relay:
        alice, bob, to_bob = await connected(relay)
        try:
            sent = iter(range(1_000_000))
            passed: list[int] = []
            while len(passed) < 300:
                for _ in range(20):
                    alice.socket.send(frame(next(sent), to_bob))
                await asyncio.sleep(0)
                passed += numbers(bob.drain())
            # The relay's socket is full of datagrams, some read and waiting for control, when the end comes.
            for _ in range(200):
                alice.socket.send(frame(next(sent), to_bob))
            await asyncio.sleep(0)
            last = relay.remove_session("s1")
            passed += numbers(bob.drain())
            for _ in range(50):
                for _ in range(20):
                    alice.socket.send(frame(next(sent), to_bob))
                await asyncio.sleep(0.001)
            assert bob.drain() == []
            assert passed == list(range(len(passed)))
            assert last.direction("alice", "bob").packets == len(passed)
        finally:
            alice.socket.close()
            bob.socket.close()


async def test_removing_one_session_leaves_the_others_alone() -> None:
    async with relay_here() as relay:
        alice, bob, to_bob = await connected(relay)
        try:
            admit(relay, "s2")
            relay.remove_session("s2")
            alice.socket.send(on_channel(1, to_bob))
            async with asyncio.timeout(PATIENCE_SECONDS):
                got = await asyncio.get_running_loop().sock_recv(bob.socket, 4096)
            assert numbers([got]) == [1]
        finally:
            alice.socket.close()
            bob.socket.close()
