"""Clients of the relay: aioice's TURN client and ICE agent, and one that speaks TURN by hand.

No other file of the relay's tests imports aioice.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from aioice.ice import Connection, TransportPolicy
from aioice.turn import create_turn_endpoint

from relay.credentials import TurnCredential
from relay.stun import attributes as a
from relay.stun import channel_data
from relay.stun.framing import StreamFraming, padded
from relay.stun.integrity import long_term_key
from relay.stun.message import Field, Message, MessageClass, Method, build, parse
from relay.vocabulary import Address, Transport

PATIENCE_SECONDS = 10.0
AUDIO = 111


def rtp(number: int, payload_type: int = AUDIO) -> bytes:
    return bytes((0x80, payload_type)) + number.to_bytes(4, "big") + bytes(34)


class _Inbox(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.received.put_nowait((data, Address(*addr[:2])))


class TurnClient:
    """One allocation. Binds a channel to each peer it sends to, and creates no permission.

    Over TLS, `tls` says whose certificates it trusts.
    """

    def __init__(
        self,
        listener: Address,
        credential: TurnCredential,
        transport: Transport = Transport.UDP,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._listener = listener
        self._credential = credential
        self._over = "tcp" if transport.is_stream else "udp"
        self._tls = tls if transport is Transport.TLS else None

    async def __aenter__(self) -> Self:
        self._transport, self.inbox = await create_turn_endpoint(
            _Inbox,
            server_addr=(self._listener.ip, self._listener.port),
            username=self._credential.username,
            password=self._credential.password,
            transport=self._over,
            ssl=self._tls,
        )
        self.relayed = Address(*self._transport.get_extra_info("sockname"))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._transport.close()
        # It gives up its allocation in a task of its own and offers no way to wait for the end of it.
        inner = self._transport._TurnTransport__inner_protocol.transport  # type: ignore[attr-defined]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not inner.is_closing():  # noqa: ASYNC110 (there is no event to wait for)
                await asyncio.sleep(0.01)

    def send(self, data: bytes, to: Address) -> None:
        self._transport.sendto(data, (to.ip, to.port))

    async def receive(self) -> tuple[bytes, Address]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.inbox.received.get()

    def waiting(self) -> int:
        return self.inbox.received.qsize()


class IceAgent:
    """An ICE agent that has no candidate but its relayed one."""

    def __init__(
        self,
        listener: Address,
        credential: TurnCredential,
        transport: Transport = Transport.UDP,
        *,
        controlling: bool,
    ) -> None:
        self._connection = Connection(
            ice_controlling=controlling,
            components=1,
            turn_server=(listener.ip, listener.port),
            turn_username=credential.username,
            turn_password=credential.password,
            turn_transport=transport.value,
            transport_policy=TransportPolicy.RELAY,
        )

    @property
    def candidates(self) -> list[Any]:
        return list(self._connection.local_candidates)

    async def gather(self) -> None:
        await self._connection.gather_candidates()

    async def meet(self, other: IceAgent) -> None:
        """Learn the other's candidates and connect."""
        for candidate in other.candidates:
            await self._connection.add_remote_candidate(candidate)
        await self._connection.add_remote_candidate(None)
        self._connection.remote_username = other._connection.local_username
        self._connection.remote_password = other._connection.local_password
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._connection.connect()

    async def send(self, data: bytes) -> None:
        await self._connection.send(data)

    async def receive(self) -> bytes:
        async with asyncio.timeout(PATIENCE_SECONDS):
            received: bytes = await self._connection.recv()
        return received

    async def close(self) -> None:
        await self._connection.close()


async def converse(alice: IceAgent, bob: IceAgent) -> None:
    """Each hears all that the other says."""
    for number in range(20):
        await alice.send(rtp(number))
        assert await bob.receive() == rtp(number)
        await bob.send(rtp(number))
        assert await alice.receive() == rtp(number)


class DatagramWay:
    """A UDP socket to a relay."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.address = Address(*connected.getsockname()[:2])

    def write(self, message: bytes) -> None:
        self.socket.send(message)

    async def read(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.socket, 65536)

    def close(self) -> None:
        self.socket.close()


class StreamWay:
    """A connection to a relay. Reads a few kilobytes ahead of who asks, no more."""

    AHEAD_BYTES = 2048

    def __init__(
        self, connected: socket.socket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.socket = connected
        self.writer = writer
        self._reader = reader
        self._framing = StreamFraming()
        self._messages: deque[bytes] = deque()
        self.address = Address(*writer.get_extra_info("sockname")[:2])

    def write(self, message: bytes) -> None:
        self.writer.write(padded(message))

    async def read(self) -> bytes:
        """Raises ConnectionError once the relay has ended the connection."""
        while not self._messages:
            data = await self._reader.read(self.AHEAD_BYTES)
            if not data:
                raise ConnectionResetError("the relay has ended the connection")
            self._messages.extend(self._framing.feed(data))
        return self._messages.popleft()

    def close(self) -> None:
        self.writer.transport.abort()


class HandClient:
    """Speaks TURN by hand, so that what it sends and reads, and when, is the test's affair.

    It reads only while it is asked for something: whoever asks for nothing is a client that does not keep up.
    """

    def __init__(self, way: DatagramWay | StreamWay, login: TurnCredential) -> None:
        self.way = way
        self.login = login
        self.realm = b"turngate"
        self.nonce = b""
        self.relayed = Address("0.0.0.0", 0)
        self.inbox: deque[bytes] = deque()
        """What came while it waited for an answer, and was not asked for yet."""
        self._sequence = 0

    @property
    def connection(self) -> StreamWay:
        assert isinstance(self.way, StreamWay)
        return self.way

    @property
    def key(self) -> bytes:
        return long_term_key(self.login.username.encode(), self.realm, self.login.password.encode())

    def request(self, method: int, *fields: Field, kind: MessageClass = MessageClass.REQUEST) -> bytes:
        """A message, with credential and integrity as soon as a nonce is known; indications have neither."""
        self._sequence += 1
        number = self._sequence.to_bytes(12, "big")
        if not self.nonce or kind is MessageClass.INDICATION:
            return build(method, kind, number, fields)
        username = self.login.username.encode()
        login: list[Field] = [(a.USERNAME, username), (a.REALM, self.realm), (a.NONCE, self.nonce)]
        return build(method, kind, number, [*fields, *login], key=self.key)

    async def answer(self, request: bytes) -> Message:
        """Send it; what it is answered."""
        self.way.write(request)
        return await self.answered(request)

    async def answered(self, request: bytes) -> Message:
        """The answer to what was sent already. Whatever else comes meanwhile waits for `receive`."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                message = await self.way.read()
                if message[0] < 4 and message[8:20] == request[8:20]:
                    return parse(message)
                self.inbox.append(message)

    async def ask(self, method: int, *fields: Field) -> Message:
        """An authenticated request's answer, success or error."""
        if not self.nonce:
            challenge = await self.answer(self.request(Method.ALLOCATE, (a.REQUESTED_TRANSPORT, 17)))
            self.nonce = challenge.first(a.NONCE) or b""
        return await self.answer(self.request(method, *fields))

    async def code(self, method: int, *fields: Field) -> int:
        """The error code of the answer, 0 for a success."""
        answer = await self.ask(method, *fields)
        return answer.first(a.ERROR_CODE) or 0

    async def try_to_allocate(self) -> int:
        """The error code of the answer, 0 for a success."""
        answer = await self.ask(Method.ALLOCATE, (a.REQUESTED_TRANSPORT, 17))
        self.relayed = answer.first(a.XOR_RELAYED_ADDRESS) or self.relayed
        return answer.first(a.ERROR_CODE) or 0

    async def bind(self, peer: HandClient, channel: int = 0x4000) -> None:
        code = await self.code(
            Method.CHANNEL_BIND, (a.CHANNEL_NUMBER, channel), (a.XOR_PEER_ADDRESS, peer.relayed)
        )
        assert code == 0

    def send(self, payload: bytes, channel: int = 0x4000) -> None:
        self.way.write(channel_data.build(channel, payload))

    async def receive(self) -> bytes:
        """The next message, whole."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return self.inbox.popleft() if self.inbox else await self.way.read()

    async def heard(self) -> bytes:
        """The payload of the next message, which has to be ChannelData."""
        return channel_data.parse(await self.receive())[1]

    async def until_closed(self) -> list[bytes]:
        """What still comes until the relay ends the connection."""
        messages = list(self.inbox)
        self.inbox.clear()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    messages.append(await self.way.read())
                except OSError:
                    return messages


@asynccontextmanager
async def by_hand(
    listener: Address,
    login: TurnCredential,
    transport: Transport = Transport.UDP,
    tls: ssl.SSLContext | None = None,
    *,
    receive_buffer: int = 1 << 20,
) -> AsyncIterator[HandClient]:
    """A client that is connected and has said nothing yet."""
    kind = socket.SOCK_STREAM if transport.is_stream else socket.SOCK_DGRAM
    family = socket.AF_INET6 if listener.is_ipv6 else socket.AF_INET
    connected = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    try:
        await asyncio.get_running_loop().sock_connect(connected, tuple(listener))
        way: DatagramWay | StreamWay
        if transport.is_stream:
            # What is written twice comes twice.
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            name = listener.ip if transport is Transport.TLS else None
            way = StreamWay(
                connected,
                *await asyncio.open_connection(
                    sock=connected,
                    ssl=tls if name else None,
                    server_hostname=name,
                    limit=StreamWay.AHEAD_BYTES,
                ),
            )
        else:
            way = DatagramWay(connected)
    except BaseException:
        connected.close()
        raise
    try:
        yield HandClient(way, login)
    finally:
        way.close()


async def meet(alice: HandClient, bob: HandClient) -> None:
    """Both allocate, and each binds a channel to the other."""
    assert (await alice.try_to_allocate(), await bob.try_to_allocate()) == (0, 0)
    await alice.bind(bob)
    await bob.bind(alice)


async def talk(alice: HandClient, bob: HandClient, times: int = 5) -> None:
    """Media both ways, of which nothing is lost."""
    for number in range(times):
        payload = rtp(number)
        alice.send(payload)
        bob.send(payload)
        assert await bob.heard() == payload
        assert await alice.heard() == payload
