"""A TURN client by hand, over UDP or TCP: it says what a test wants said, and sees all that comes back.

With it come ways to spoil a message that was right.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from relay.credentials import TurnCredential
from relay.stun import attributes as a
from relay.stun.integrity import long_term_key
from relay.stun.message import Field, Message, MessageClass, Method, build, packed_attribute, parse
from relay.vocabulary import Address, Transport

PATIENCE_SECONDS = 10.0
RETRANSMIT_SECONDS = 0.5
"""RFC 8489 section 6.2.1; doubled each time."""
REALM = b"turngate"
UDP_RELAY: Field = (a.REQUESTED_TRANSPORT, 17)
_READ_BATCH = 256
_MAX_DATAGRAM = 65536


class Arrived(NamedTuple):
    """Data from a peer, and the form it came in: a channel number, or the relayed address it names."""

    form: int | Address
    payload: bytes


class Wire(Protocol):
    """What carries the messages of one client."""

    def send(self, message: bytes) -> None: ...

    def close(self) -> None: ...


class RawTurn:
    """One five-tuple. Use as `async with RawTurn(listener, login) as client`.

    `bound` is a socket to use instead of a new one, for clients that sit elsewhere.
    """

    def __init__(
        self,
        listener: Address,
        login: TurnCredential,
        *,
        transport: Transport = Transport.UDP,
        ip: str | None = None,
        bound: socket.socket | None = None,
    ) -> None:
        self.listener = listener
        self.login = login
        self.transport = transport
        kind = socket.SOCK_DGRAM if transport is Transport.UDP else socket.SOCK_STREAM
        family = socket.AF_INET6 if listener.is_ipv6 else socket.AF_INET
        self.socket = bound or socket.socket(family, kind)
        self.socket.setblocking(False)
        if ip is not None:
            self.socket.bind((ip, 0))
        username, password = login.username.encode(), login.password.encode()
        self.key = long_term_key(username, REALM, password)
        self.nonce = b""
        self.relayed = Address("0.0.0.0", 0)
        self.arrived: asyncio.Queue[Arrived] = asyncio.Queue()
        self.closed = asyncio.Event()
        """The relay has ended the connection."""
        self.unasked: list[bytes] = []
        """What is neither an answer to a request of this client nor data."""
        self._answers: dict[bytes, asyncio.Future[Message]] = {}

    async def __aenter__(self) -> Self:
        self._wire = await (_datagrams if self.transport is Transport.UDP else _stream)(self)
        self.address = Address(*self.socket.getsockname()[:2])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wire.close()

    # --- what it says ---

    def write(self, message: bytes) -> None:
        """As it is; a stream pads it."""
        padding = bytes(-len(message) & 3) if self.transport.is_stream else b""
        self._wire.send(message + padding)

    def write_unframed(self, octets: bytes) -> None:
        """On a stream: exactly these."""
        assert self.transport.is_stream
        self._wire.send(octets)

    async def hang_up(self) -> None:
        """On a stream: nothing more, and wait until the relay has ended the connection as well."""
        assert isinstance(self._wire, _StreamWire)
        self._wire.finish()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.closed.wait()

    def signed(self, method: int, fields: Sequence[Field], transaction_id: bytes) -> bytes:
        """With the credential if there is a nonce, bare otherwise."""
        if not self.nonce:
            return build(method, MessageClass.REQUEST, transaction_id, fields)
        username = self.login.username.encode()
        login: list[Field] = [(a.USERNAME, username), (a.REALM, REALM), (a.NONCE, self.nonce)]
        return build(method, MessageClass.REQUEST, transaction_id, [*fields, *login], key=self.key)

    def request(self, method: int, *fields: Field) -> asyncio.Future[Message]:
        """Sent once; the answer will be there, or not."""
        transaction_id = secrets.token_bytes(12)
        return self.expect(self.signed(method, fields, transaction_id))

    def expect(self, request: bytes) -> asyncio.Future[Message]:
        """Send a request that is already written."""
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[request[8:20]] = answer
        self.write(request)
        return answer

    async def ask(self, method: int, *fields: Field) -> Message:
        """The last answer, once the nonce is a good one."""
        answer = await self._insist(method, fields)
        if answer.message_class is MessageClass.ERROR and code_of(answer) in (401, 438):
            self.nonce = answer.first(a.NONCE) or b""
            answer = await self._insist(method, fields)
        return answer

    async def learn_nonce(self) -> None:
        """By a request that is refused for want of one."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            self.nonce = (await self.request(Method.ALLOCATE, UDP_RELAY)).first(a.NONCE) or b""

    async def allocate(self, *fields: Field) -> Address:
        answer = await self.ask(Method.ALLOCATE, UDP_RELAY, *fields)
        relayed = answer.first(a.XOR_RELAYED_ADDRESS)
        assert relayed is not None, f"not allocated: {code_of(answer)}"
        self.relayed = relayed
        return relayed

    async def permit(self, *peers: Address) -> int:
        fields: list[Field] = [(a.XOR_PEER_ADDRESS, peer) for peer in peers]
        return code_of(await self.ask(Method.CREATE_PERMISSION, *fields))

    async def bind(self, number: int, peer: Address) -> int:
        fields: list[Field] = [(a.CHANNEL_NUMBER, number), (a.XOR_PEER_ADDRESS, peer)]
        return code_of(await self.ask(Method.CHANNEL_BIND, *fields))

    def send_on(self, channel: int, payload: bytes) -> None:
        self.write(channel.to_bytes(2, "big") + len(payload).to_bytes(2, "big") + payload)

    def send_to(self, peer: Address, payload: bytes) -> None:
        self.write(indication((a.XOR_PEER_ADDRESS, peer), (a.DATA, payload)))

    async def settled(self) -> None:
        """The relay has dealt with all this client has sent so far: it answers in order."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.request(Method.BINDING)

    # --- what it hears ---

    async def hears(self) -> Arrived:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.arrived.get()

    def heard(self) -> list[Arrived]:
        """All that has come and was not asked for yet."""
        return [self.arrived.get_nowait() for _ in range(self.arrived.qsize())]

    def take(self, message: bytes) -> None:
        """A message has come."""
        if message and 0x40 <= message[0] <= 0x7F:
            length = int.from_bytes(message[2:4], "big")
            self.arrived.put_nowait(Arrived(int.from_bytes(message[:2], "big"), message[4 : 4 + length]))
            return
        parsed = parse(message)
        if parsed.method == Method.DATA and parsed.message_class is MessageClass.INDICATION:
            peer, data = parsed.first(a.XOR_PEER_ADDRESS), parsed.first(a.DATA)
            assert peer is not None
            assert data is not None
            self.arrived.put_nowait(Arrived(peer, data))
            return
        waiting = self._answers.pop(parsed.transaction_id, None)
        if waiting is None or waiting.done():
            self.unasked.append(message)
        else:
            waiting.set_result(parsed)

    async def _insist(self, method: int, fields: Sequence[Field]) -> Message:
        """Over UDP a request is repeated until it is answered."""
        request = self.signed(method, fields, secrets.token_bytes(12))
        wait = RETRANSMIT_SECONDS
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = self.expect(request)
            while self.transport is Transport.UDP:
                try:
                    async with asyncio.timeout(wait):
                        return await asyncio.shield(answer)
                except TimeoutError:
                    self.write(request)
                    wait *= 2
            return await answer


def indication(*fields: Field) -> bytes:
    return build(Method.SEND, MessageClass.INDICATION, secrets.token_bytes(12), fields)


def code_of(answer: Message) -> int:
    """0 for a success."""
    if answer.message_class is MessageClass.SUCCESS:
        return 0
    code = answer.first(a.ERROR_CODE)
    assert code is not None
    return code


def flipped(request: bytes, masks: Iterable[int], *, with_fingerprint: bool) -> Iterator[bytes]:
    """Each byte changed.

    But for the type of a fingerprint, which becomes another attribute by that: nobody vouches for what comes
    after integrity, and it has to be ignored (RFC 8489 section 14.5).
    """
    free = range(len(request) - 8, len(request) - 6) if with_fingerprint else ()
    for at, mask in product(range(len(request)), masks):
        if at not in free:
            yield request[:at] + bytes((request[at] ^ mask,)) + request[at + 1 :]


def broken(request: bytes) -> Iterator[bytes]:
    """Cut off, too long, and with attributes that claim other lengths or stand inside of each other."""
    for length in range(len(request)):
        yield request[:length]
        yield with_length(request[:length])
    for more in (b"\0", bytes(3), bytes(4), request, b"\x80\x22\x00\x08abcd"):
        yield request + more
    yield with_length(request + b"\x80\x22\x00\x08abcd")
    at = 20
    while at < len(request):
        size = int.from_bytes(request[at + 2 : at + 4], "big")
        for other in {0, size - 1, size + 1, size + 4, len(request) - at, len(request), 0xFFFF} - {size}:
            yield request[: at + 2] + (other & 0xFFFF).to_bytes(2, "big") + request[at + 4 :]
        inside = packed_attribute(0x0006, request[at:])
        yield with_length(request[:at] + inside)
        yield with_length(request[:at] + packed_attribute(0x0020, inside) + request[at:])
        yield with_length(request[:at] + packed_attribute(0x0028 | 0x8000, bytes(4)) + request[at:])
        yield with_length(request[:at] + packed_attribute(0x0008, bytes(20)) + request[at:])
        at += 4 + (size + 3 & ~3)
    yield with_length(request[:20] + packed_attribute(0x0019, b"") * 300 + request[20:])


def with_length(message: bytes) -> bytes:
    return message[:2] + ((len(message) - 20) & 0xFFFF).to_bytes(2, "big") + message[4:]


class _Datagrams:
    def __init__(self, client: RawTurn) -> None:
        self._client = client
        self._socket = client.socket
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.connect(tuple(client.listener))
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def send(self, message: bytes) -> None:
        self._socket.send(message)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        for _ in range(_READ_BATCH):
            try:
                datagram = self._socket.recv(_MAX_DATAGRAM)
            except BlockingIOError:
                return
            self._client.take(datagram)


class _Stream(asyncio.Protocol):
    def __init__(self, client: RawTurn) -> None:
        self._client = client
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        rest = self._rest + data
        while len(rest) >= 4:
            length = int.from_bytes(rest[2:4], "big")
            whole = 4 + (length + 3 & ~3) if rest[0] >= 0x40 else 20 + length
            if len(rest) < whole:
                break
            self._client.take(rest[:whole])
            rest = rest[whole:]
        self._rest = rest

    def connection_lost(self, error: Exception | None) -> None:
        self._client.closed.set()


class _StreamWire:
    def __init__(self, connection: asyncio.Transport) -> None:
        self._connection = connection

    def send(self, message: bytes) -> None:
        self._connection.write(message)

    def finish(self) -> None:
        if not self._connection.is_closing():
            self._connection.write_eof()

    def close(self) -> None:
        self._connection.abort()


async def _datagrams(client: RawTurn) -> Wire:
    return _Datagrams(client)


async def _stream(client: RawTurn) -> Wire:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client.socket, tuple(client.listener))
    connection, _ = await loop.create_connection(lambda: _Stream(client), sock=client.socket)
    return _StreamWire(connection)
