"""A TURN server without sockets or clocks, clients that speak to it, and a plane that is two dicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from relay.credentials import CredentialSecrets, TurnCredential
from relay.stun import attributes as a
from relay.stun import channel_data
from relay.stun.integrity import PasswordAlgorithm, long_term_key
from relay.stun.message import Field, Message, MessageClass, Method, build, parse
from relay.turn.authentication import OFFERED
from relay.turn.events import (
    Admission,
    Admit,
    AllocationGone,
    AllocationMade,
    CloseStream,
    Command,
    Disown,
    EndSession,
    Event,
    Forward,
    Install,
    Now,
    Own,
    Randomness,
    Received,
    Refused,
    Remove,
    RemoveSession,
    Send,
    StreamClosed,
    Sweep,
    TurnRules,
    Woken,
)
from relay.turn.server import TurnServer
from relay.vocabulary import Address, FiveTuple, Leg, Route, Transport

LISTENER = Address("192.0.2.1", 3478)
LISTENER6 = Address("2001:db8:ffff::1", 3478)
START = Now(wall=1_900_000_000.0, monotonic=1000.0)
SECRET = b"the secret of the tests"
CREDENTIAL_SECONDS = 7200
NOWHERE = Address("0.0.0.0", 0)
UDP: Field = (a.REQUESTED_TRANSPORT, 17)
UNKNOWN_REQUIRED: Field = (replace(a.DONT_FRAGMENT, number=0x7ABC), True)


@dataclass
class Delivery:
    """A payload as it leaves by a row."""

    to: FiveTuple
    form: int | Address
    payload: bytes


@dataclass
class World:
    rules: TurnRules = field(default_factory=lambda: TurnRules(relayed_prefix="198.18.0.0/15"))
    secrets: tuple[bytes, ...] = (SECRET,)
    now: Now = START
    seed: int = 7
    rows: dict[Leg, Route] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    notices: list[AllocationMade | AllocationGone | Refused] = field(default_factory=list)
    replies: list[Send] = field(default_factory=list)
    owned: set[FiveTuple] = field(default_factory=set)
    closed: list[FiveTuple] = field(default_factory=list)
    """Streams that the server wanted ended."""

    def __post_init__(self) -> None:
        seeded = Random(self.seed)
        self.server = TurnServer(
            self.rules, CredentialSecrets(self.secrets), Randomness(seeded.randrange, seeded.randbytes)
        )
        self._ports = iter(range(10000, 60000))

    # --- the shell ---

    def handle(self, event: Event) -> list[Command]:
        commands = self.server.handle(event, self.now)
        for command in commands:
            match command:
                case Install(route):
                    self.rows[route.source] = route
                case Remove(_, source):
                    del self.rows[source]
                case RemoveSession(session_id):
                    self.rows = {leg: row for leg, row in self.rows.items() if row.session_id != session_id}
                case Forward(source, payload):
                    self.deliver(source, payload)
                case Send():
                    self.replies.append(command)
                case AllocationMade() | AllocationGone() | Refused():
                    self.notices.append(command)
                case Own(five_tuple):
                    self.owned.add(five_tuple)
                case Disown(five_tuple):
                    self.owned.remove(five_tuple)
                case CloseStream(five_tuple):
                    assert five_tuple.transport.is_stream
                    assert self.rows_of(five_tuple) == []
                    self.closed.append(five_tuple)
                case _:
                    pass
        return commands

    def rows_of(self, five_tuple: FiveTuple) -> list[Route]:
        """From this client and to it."""
        return [
            row for row in self.rows.values() if five_tuple in (row.source.five_tuple, row.target.five_tuple)
        ]

    def deliver(self, source: Leg, payload: bytes) -> None:
        row = self.rows.get(source)
        if row is not None:
            self.deliveries.append(Delivery(row.target.five_tuple, row.target.form, payload))

    def delivered(self) -> list[Delivery]:
        """What was delivered since the last call."""
        done, self.deliveries = self.deliveries, []
        return done

    def passes(self, seconds: float, *, sweep: bool = True) -> None:
        self.now = Now(self.now.wall + seconds, self.now.monotonic + seconds)
        if sweep:
            self.handle(Sweep())

    def settles(self) -> None:
        self.passes(0.05, sweep=False)
        self.handle(Woken())

    def admit(self, session_id: str = "s1", parties: tuple[str, str] = ("alice", "bob")) -> None:
        self.handle(Admit(Admission(session_id, parties, self.now.wall + 36000)))

    def end(self, session_id: str = "s1") -> None:
        self.handle(EndSession(session_id))

    def hangs_up(self, client: Client) -> None:
        """A stream client's connection is over."""
        self.handle(StreamClosed(client.five_tuple))

    # --- what was told ---

    @property
    def refused(self) -> list[Refused]:
        return [notice for notice in self.notices if isinstance(notice, Refused)]

    @property
    def gone(self) -> list[AllocationGone]:
        return [notice for notice in self.notices if isinstance(notice, AllocationGone)]

    # --- clients ---

    def client(
        self,
        party: str = "alice",
        session_id: str = "s1",
        ip: str = "203.0.113.5",
        *,
        transport: Transport = Transport.UDP,
    ) -> Client:
        expiry = int(self.now.wall) + CREDENTIAL_SECONDS
        credential = CredentialSecrets(self.secrets).issue(session_id, party, expiry)
        listener = LISTENER6 if ":" in ip else LISTENER
        return Client(self, FiveTuple(transport, Address(ip, next(self._ports)), listener), credential)

    def pair(self, session_id: str = "s1", *, transport: Transport = Transport.UDP) -> tuple[Client, Client]:
        """Two allocated parties of an admitted session; `transport` is the first one's."""
        self.admit(session_id)
        alice, bob = self.client("alice", session_id, transport=transport), self.client("bob", session_id)
        alice.allocate()
        bob.allocate()
        return alice, bob

    def lasting_pair(self) -> tuple[Client, Client]:
        """Allocations that last longer than permissions."""
        alice, bob = self.pair()
        for one in (alice, bob):
            one.refresh((a.LIFETIME, 600))
        return alice, bob


@dataclass
class Client:
    """Speaks well-formed TURN, unless told otherwise."""

    world: World
    five_tuple: FiveTuple
    credential: TurnCredential
    realm: bytes = b"turngate"
    nonce: bytes = b""
    relayed: Address = NOWHERE
    algorithm: PasswordAlgorithm | None = None
    """What it chose of those on offer; None for a client that knows of no choice."""

    def __post_init__(self) -> None:
        self._sequence = 0

    @property
    def key(self) -> bytes:
        username, password = self.credential.username.encode(), self.credential.password.encode()
        return long_term_key(username, self.realm, password, self.algorithm or PasswordAlgorithm.MD5)

    @property
    def login(self) -> list[Field]:
        """What goes with integrity."""
        username = self.credential.username.encode()
        login: list[Field] = [(a.USERNAME, username), (a.REALM, self.realm), (a.NONCE, self.nonce)]
        if self.algorithm is not None:
            login += [(a.PASSWORD_ALGORITHMS, OFFERED), (a.PASSWORD_ALGORITHM, (int(self.algorithm), b""))]
        return login

    def next_id(self) -> bytes:
        self._sequence += 1
        return self.five_tuple.client.port.to_bytes(4, "big") + self._sequence.to_bytes(8, "big")

    def raw(self, datagram: bytes) -> Message | None:
        """What this client is answered, if anything."""
        self.world.replies.clear()
        self.world.handle(Received(self.five_tuple, datagram))
        mine = [reply.datagram for reply in self.world.replies if reply.five_tuple == self.five_tuple]
        assert len(mine) <= 1
        return parse(mine[0]) if mine else None

    def signed(self, method: int, fields: Sequence[Field] = (), tid: bytes | None = None) -> bytes:
        return build(
            method,
            MessageClass.REQUEST,
            tid or self.next_id(),
            [*fields, *self.login],
            key=self.key,
            sha256=self.algorithm is not None,
        )

    def ask(self, method: int, *fields: Field, tid: bytes | None = None) -> Message:
        """An authenticated request, with a fresh nonce."""
        if not self.nonce:
            self.learn_nonce()
        return self.answered(self.signed(method, fields, tid))

    def answered(self, datagram: bytes) -> Message:
        """What this client is answered, which must be something."""
        answer = self.raw(datagram)
        assert answer is not None
        return answer

    def bare(self, method: int, *fields: Field) -> Message:
        """A request without credentials."""
        return self.answered(build(method, MessageClass.REQUEST, self.next_id(), fields))

    def code(self, method: int, *fields: Field) -> int:
        """The error code of the answer, 0 for a success."""
        return code_of(self.ask(method, *fields))

    def learn_nonce(self) -> None:
        self.nonce = self.bare(Method.ALLOCATE, UDP).first(a.NONCE) or b""

    def allocate(self, *fields: Field, tid: bytes | None = None) -> Message:
        answer = self.ask(Method.ALLOCATE, UDP, *fields, tid=tid)
        self.relayed = answer.first(a.XOR_RELAYED_ADDRESS) or self.relayed
        return answer

    def refresh(self, *fields: Field) -> Message:
        return self.ask(Method.REFRESH, *fields)

    def permit(self, *peers: Address) -> int:
        return self.code(Method.CREATE_PERMISSION, *((a.XOR_PEER_ADDRESS, peer) for peer in peers))

    def bind(self, number: int, peer: Address) -> int:
        return self.code(Method.CHANNEL_BIND, (a.CHANNEL_NUMBER, number), (a.XOR_PEER_ADDRESS, peer))

    def send(self, peer: Address, payload: bytes) -> None:
        """In a Send indication, as control sees it."""
        fields: list[Field] = [(a.XOR_PEER_ADDRESS, peer), (a.DATA, payload)]
        assert self.raw(build(Method.SEND, MessageClass.INDICATION, self.next_id(), fields)) is None

    def send_on(self, channel: int, payload: bytes) -> None:
        """As ChannelData: by its row, or through control."""
        source = Leg(self.five_tuple, channel)
        if source in self.world.rows:
            self.world.deliver(source, payload)
        else:
            assert self.raw(channel_data.build(channel, payload)) is None

    def with_password(self, password: str) -> Client:
        return replace(self, credential=TurnCredential(self.credential.username, password))


def code_of(answer: Message) -> int:
    if answer.message_class is MessageClass.SUCCESS:
        return 0
    code = answer.first(a.ERROR_CODE)
    assert code is not None
    return code


def as_written(attribute: a.Attribute[Any], value: bytes) -> Field:
    """An attribute with these bytes for its value, whatever it should look like."""
    return replace(attribute, pack=lambda given, _: given), value
