"""A TURN server without sockets or clocks, clients that speak to it, and a plane that is two dicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from relay.credentials import CredentialSecrets, TurnCredential
from relay.stun import attributes as a
from relay.stun import channel_data
from relay.stun.integrity import long_term_key
from relay.stun.message import Field, Message, MessageClass, Method, build, parse
from relay.turn.events import (
    Admission,
    Admit,
    AllocationGone,
    AllocationMade,
    Command,
    EndSession,
    Event,
    Forward,
    Install,
    Now,
    Randomness,
    Received,
    Refused,
    Remove,
    RemoveSession,
    Send,
    Sweep,
    TurnRules,
    Woken,
)
from relay.turn.server import TurnServer
from relay.vocabulary import Address, FiveTuple, Leg, Route, Transport

LISTENER = Address("192.0.2.1", 3478)
START = Now(wall=1_900_000_000.0, monotonic=1000.0)
SECRET = b"the secret of the tests"
CREDENTIAL_SECONDS = 7200
NOWHERE = Address("0.0.0.0", 0)
UDP: Field = (a.REQUESTED_TRANSPORT, 17)


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
    rows: dict[Leg, Route] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    notices: list[AllocationMade | AllocationGone | Refused] = field(default_factory=list)
    replies: list[Send] = field(default_factory=list)

    def __post_init__(self) -> None:
        seeded = Random(7)
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
                case _:
                    pass
        return commands

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

    # --- clients ---

    def client(self, party: str = "alice", session_id: str = "s1", ip: str = "203.0.113.5") -> Client:
        expiry = int(self.now.wall) + CREDENTIAL_SECONDS
        credential = CredentialSecrets(self.secrets).issue(session_id, party, expiry)
        return Client(self, FiveTuple(Transport.UDP, Address(ip, next(self._ports)), LISTENER), credential)

    def pair(self, session_id: str = "s1") -> tuple[Client, Client]:
        """Two allocated parties of an admitted session."""
        self.admit(session_id)
        alice, bob = self.client("alice", session_id), self.client("bob", session_id)
        alice.allocate()
        bob.allocate()
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

    def __post_init__(self) -> None:
        self._sequence = 0

    @property
    def key(self) -> bytes:
        username, password = self.credential.username.encode(), self.credential.password.encode()
        return long_term_key(username, self.realm, password)

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
        username = self.credential.username.encode()
        login: list[Field] = [(a.USERNAME, username), (a.REALM, self.realm), (a.NONCE, self.nonce)]
        return build(method, MessageClass.REQUEST, tid or self.next_id(), [*fields, *login], key=self.key)

    def ask(self, method: int, *fields: Field, tid: bytes | None = None) -> Message:
        """An authenticated request, with a fresh nonce."""
        if not self.nonce:
            self.learn_nonce()
        answer = self.raw(self.signed(method, fields, tid))
        assert answer is not None
        return answer

    def code(self, method: int, *fields: Field) -> int:
        """The error code of the answer, 0 for a success."""
        return code_of(self.ask(method, *fields))

    def learn_nonce(self) -> None:
        answer = self.raw(build(Method.ALLOCATE, MessageClass.REQUEST, self.next_id(), [UDP]))
        assert answer is not None
        self.nonce = answer.first(a.NONCE) or b""

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
