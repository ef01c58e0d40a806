"""A TURN server with actors whose credentials are known, and the laws that hold whatever they do."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import NamedTuple

from relay.credentials import CredentialSecrets, TurnCredential
from relay.revocations import Revocations
from relay.stun import attributes as a
from relay.stun.address import FAMILY_IPV4, FAMILY_IPV6
from relay.stun.integrity import PasswordAlgorithm, long_term_key, message_integrity, message_integrity_sha256
from relay.stun.message import Field, MessageClass, Method, build, parse
from relay.turn.authentication import OFFERED
from relay.turn.events import (
    Admission,
    Admit,
    AllowPayloadTypes,
    Drain,
    EndSession,
    Event,
    Received,
    Reconfigure,
    Revoke,
    StopPayloadTypes,
    StreamClosed,
    Sweep,
    TurnRules,
    Woken,
)
from relay.vocabulary import Address, FiveTuple, Transport
from tests.fuzz.laws import Laws
from tests.fuzz.script import Attributes, Kind, Script, Step, complete
from tests.spec.turn_world import LISTENER, SECRET, START, World

SHORT_REALM, LONG_REALM = b"turngate", b"turngate" * 8
"""With the long one the challenge amplifies what a stranger sends, and must not go out."""
NOBODY_THERE = Address("198.18.0.1", 49152)
NONCE_BROKEN = 0x18
PARTIES = ("alice", "bob")


class Actor(NamedTuple):
    five_tuple: FiveTuple
    session_id: str
    party: str
    credential: TurnCredential


def _actor(transport: Transport, ip: str, session_id: str, party: str, seconds: int = 7200) -> Actor:
    credential = CredentialSecrets((SECRET,)).issue(session_id, party, int(START.wall) + seconds)
    # The port tells actors apart that share everything else.
    port = 10000 + len(f"{transport}{session_id}{party}") * 100 + seconds % 97
    return Actor(FiveTuple(transport, Address(ip, port), LISTENER), session_id, party, credential)


def _with_wrong_password(actor: Actor) -> Actor:
    return actor._replace(credential=TurnCredential(actor.credential.username, "not the password"))


ACTORS = (
    _actor(Transport.UDP, "203.0.113.1", "s1", "alice"),
    _actor(Transport.UDP, "203.0.113.2", "s1", "bob"),
    _actor(Transport.TCP, "203.0.113.3", "s1", "alice"),
    _actor(Transport.UDP, "2001:db8::4", "s2", "alice"),
    _actor(Transport.TLS, "203.0.113.5", "s2", "bob"),
    _actor(Transport.UDP, "203.0.113.6", "s3", "carol"),
    _actor(Transport.UDP, "203.0.113.7", "s1", "bob", seconds=60),
    _with_wrong_password(_actor(Transport.UDP, "203.0.113.8", "s1", "bob", seconds=900)),
)
"""Two sessions of two parties, over three transports; then one whom nobody admitted, one whose credential
ends soon, and one who only guesses."""


class Scene:
    """One server and what its actors know; see `tests.fuzz.script` for what is asked of it here."""

    def __init__(self, script: Script) -> None:
        self.world = World(rules_of(script.variant))
        self.laws = Laws(
            self.world, {actor.five_tuple: nonce_of(number) for number, actor in enumerate(ACTORS)}
        )
        self.hung_up: set[FiveTuple] = set()
        self.asking = 0
        if self.world.rules.admission_required:
            for session_id in ("s1", "s2"):
                self.do(Admit(Admission(session_id, PARTIES, START.wall + 5000)))
        family = FAMILY_IPV6 if ":" in self.world.rules.relayed_prefix else FAMILY_IPV4
        for number in range(len(ACTORS)):
            if script.owners >> number & 1:
                self.receive(number, allocate_of(number, family, self.world.rules.realm))

    def play(self, script: Script) -> None:
        for step in script.steps:
            self.step(step)
        self.laws.assert_that_what_is_over_leaves_nothing_behind()

    def step(self, step: Step) -> None:
        actor = ACTORS[step.actor]
        match step.kind:
            case Kind.DATAGRAM:
                self.asking = step.actor
                self.receive(step.actor, complete(step.datagram, self))
            case Kind.TIME:
                self.laws.time_passes(step.argument & 0xFFF)
                if step.argument & 0x4000:
                    self.do(Woken())
                if not step.argument & 0x8000:
                    self.do(Sweep())
            case Kind.HANG_UP if actor.five_tuple.transport.is_stream:
                self.hung_up.add(actor.five_tuple)
                self.do(StreamClosed(actor.five_tuple))
            case Kind.REVOKE:
                self.do(Revoke(_revocations(step.argument)))
            case Kind.DRAIN:
                self.do(Drain())
            case Kind.END:
                self.do(EndSession(actor.session_id))
            case Kind.ADMIT if self.world.rules.admission_required:
                until = self.world.now.wall + (step.argument & 0xFFF)
                self.do(Admit(Admission(actor.session_id, PARTIES, until)))
            case Kind.ROTATE:
                former = () if step.argument else self.world.secrets
                self.world.secrets = (SECRET + b"%d" % step.argument, *former[:2])
                self.do(Reconfigure(self.world.rules, CredentialSecrets(self.world.secrets)))
            case Kind.ALLOW:
                self.do(_payload_types(actor.session_id, step.argument))
            case _:
                pass

    def do(self, event: Event) -> None:
        self.laws.handle(event)
        self.hung_up.update(self.laws.closed)

    def receive(self, number: int, datagram: bytes) -> None:
        """Of a connection that has ended nothing comes any more."""
        five_tuple = ACTORS[number].five_tuple
        if five_tuple not in self.hung_up:
            self.do(Received(five_tuple, datagram))

    # --- what a datagram leaves open ---

    def peer(self, actor: int, transaction_id: bytes) -> bytes:
        wanted = ACTORS[actor % len(ACTORS)].five_tuple
        for allocation in self.world.server.allocations():
            if allocation.five_tuple == wanted:
                return a.XOR_PEER_ADDRESS.pack(allocation.relayed, transaction_id)
        return a.XOR_PEER_ADDRESS.pack(NOBODY_THERE, transaction_id)

    def token(self) -> bytes:
        return self.laws.token

    def login(self, how: int) -> Attributes:
        """Bits 0 to 2 name the actor whose credential it is; 3 and 4 choose an algorithm or break the nonce,
        5 takes another's nonce, 6 spoils the realm, 7 leaves everything out."""
        if how & 0x80:
            return []
        actor = ACTORS[how & 7]
        nonce = nonce_of(self.asking ^ how >> 5 & 1)
        if how & NONCE_BROKEN == NONCE_BROKEN:
            nonce = nonce[:-1] + b"!"
        login = [
            (a.USERNAME.number, actor.credential.username.encode()),
            (a.REALM.number, self.world.rules.realm[how >> 6 & 1 :]),
            (a.NONCE.number, nonce),
        ]
        algorithm = _algorithm(how)
        if algorithm is not None:
            login += [
                (a.PASSWORD_ALGORITHMS.number, a.PASSWORD_ALGORITHMS.pack(OFFERED, b"")),
                (a.PASSWORD_ALGORITHM.number, a.PASSWORD_ALGORITHM.pack((algorithm, b""), b"")),
            ]
        return login

    def integrity(self, how: int, covered: bytes, *, sha256: bool) -> bytes:
        key = key_of(how & 7, self.world.rules.realm, _algorithm(how) or PasswordAlgorithm.MD5)
        return (message_integrity_sha256 if sha256 else message_integrity)(covered, key)


def rules_of(variant: int) -> TurnRules:
    rules = TurnRules(
        realm=LONG_REALM if variant & 128 else SHORT_REALM,
        relayed_prefix="2001:db8:1::/64" if variant & 1 else "198.18.0.0/15",
        pairing="any" if variant & 2 else "session",
        admission_required=not variant & 6,
        legacy_channels=bool(variant & 8),
        max_allocations_per_credential=2,
        max_allocations=3 if variant & 16 else 100,
        alternate_servers=(Address("192.0.2.9", 3478), Address("2001:db8::9", 3478)) if variant & 32 else (),
    )
    return replace(rules, unauthenticated_answers_burst=3) if variant & 64 else rules


@cache
def nonce_of(number: int) -> bytes:
    """The one that the server of every scene gives an actor at first: its key comes of the same seed."""
    world = World()
    world.handle(Received(ACTORS[number].five_tuple, build(Method.ALLOCATE, MessageClass.REQUEST, bytes(12))))
    return parse(world.replies[0].datagram).first(a.NONCE) or b""


@cache
def key_of(number: int, realm: bytes, algorithm: PasswordAlgorithm = PasswordAlgorithm.MD5) -> bytes:
    credential = ACTORS[number].credential
    return long_term_key(credential.username.encode(), realm, credential.password.encode(), algorithm)


@cache
def allocate_of(number: int, family: int, realm: bytes) -> bytes:
    """A good Allocate request of an actor."""
    fields: list[Field] = [
        (a.REQUESTED_TRANSPORT, 17),
        (a.REQUESTED_ADDRESS_FAMILY, family),
        (a.USERNAME, ACTORS[number].credential.username.encode()),
        (a.REALM, realm),
        (a.NONCE, nonce_of(number)),
    ]
    return build(Method.ALLOCATE, MessageClass.REQUEST, bytes(12), fields, key=key_of(number, realm))


def _algorithm(how: int) -> PasswordAlgorithm | None:
    return (None, PasswordAlgorithm.SHA_256, PasswordAlgorithm.MD5, None)[how >> 3 & 3]


def _revocations(bits: int) -> Revocations:
    listed = [actor for number, actor in enumerate(ACTORS) if bits >> number & 1]
    return Revocations(
        credentials=frozenset(one.credential.username for one in listed if not bits >> 8 & 1),
        sessions=frozenset(one.session_id for one in listed if bits >> 8 & 1 and not bits >> 9 & 1),
        users=frozenset(one.party for one in listed if bits >> 9 & 1),
    )


def _payload_types(session_id: str, argument: int) -> AllowPayloadTypes | StopPayloadTypes:
    types, party = frozenset((argument & 0x7F,)), PARTIES[argument >> 7 & 1]
    if argument & 0x100:
        return StopPayloadTypes(session_id, party, types)
    return AllowPayloadTypes(session_id, party, types, types)
