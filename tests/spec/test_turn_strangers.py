"""What people without a credential can make the relay do: be answered, in proportion, and nothing else.

And what control leaves unanswered or undelivered, with its reason.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Literal

import pytest

from config.relay import RelaySettings
from relay.configured import configured_rules
from relay.stun import attributes as a
from relay.stun import channel_data
from relay.stun.message import Field, MessageClass, Method, build
from relay.turn.events import ControlDrop, TurnRules
from relay.vocabulary import Address, Transport
from tests.spec.turn_world import CREDENTIAL_SECONDS, UDP, UNKNOWN_REQUIRED, Client, World, code_of

PREFIX = "198.18.0.0/15"
BARE = build(Method.ALLOCATE, MessageClass.REQUEST, bytes(12))
HEADERS = {"203.0.113.5": 20 + 8, "2001:db8::5": 40 + 8}
STREAMS = [Transport.TCP, Transport.TLS]
FOREIGN = Address("10.0.0.1", 22)


@pytest.fixture
def world() -> World:
    made = World()
    made.admit()
    return made


def limited() -> World:
    """Five answers to each network at once and one a second from then on."""
    made = World(
        TurnRules(
            relayed_prefix=PREFIX, unauthenticated_answers_per_second=1, unauthenticated_answers_burst=5
        )
    )
    made.admit()
    return made


def answered(clients: list[Client], datagram: bytes = BARE) -> int:
    return sum(client.raw(datagram) is not None for client in clients)


# --- the factor ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ip", HEADERS)
@pytest.mark.parametrize("realm", [b"turngate", b"r" * 32])
def test_a_bare_allocate_is_challenged_and_gets_at_most_three_times_what_it_sent(
    realm: bytes, ip: str
) -> None:
    assert len(BARE) == 20
    world = World(TurnRules(relayed_prefix=PREFIX, realm=realm))
    answer = world.client(ip=ip).answered(BARE)
    assert code_of(answer) == 401
    assert answer.first(a.REALM) == realm
    assert len(answer.raw) + HEADERS[ip] <= 3 * (len(BARE) + HEADERS[ip])


@pytest.mark.parametrize(("ip", "longest"), [("203.0.113.5", 32), ("2001:db8::5", 72)])
def test_an_answer_to_a_stranger_that_would_be_longer_is_not_sent(ip: str, longest: int) -> None:
    """Padding makes the answer grow by four, so that the longest realm uses all there is."""
    world = World(TurnRules(relayed_prefix=PREFIX, realm=b"r" * longest))
    answer = world.client(ip=ip).answered(BARE)
    assert len(answer.raw) + HEADERS[ip] == 3 * (len(BARE) + HEADERS[ip])
    assert world.server.dropped == {}
    world = World(TurnRules(relayed_prefix=PREFIX, realm=b"r" * (longest + 1)))
    assert world.client(ip=ip).raw(BARE) is None
    assert world.server.dropped == {ControlDrop.AMPLIFYING: 1}


@pytest.mark.parametrize("transport", STREAMS)
def test_a_stream_proves_its_address_and_gets_an_answer_of_any_length(transport: Transport) -> None:
    world = World(TurnRules(relayed_prefix=PREFIX, realm=b"r" * 200))
    assert code_of(world.client(transport=transport).answered(BARE)) == 401


def test_what_is_unproven_gets_no_longer_answer_where_there_is_an_allocation() -> None:
    """Whoever forges an owner's address would have it answered otherwise."""
    world = World(TurnRules(relayed_prefix=PREFIX, realm=b"r" * 200))
    world.admit()
    alice = world.client()
    alice.realm = b"r" * 200
    assert alice.raw(BARE) is None
    alice.nonce = alice.bare(Method.ALLOCATE, (a.SOFTWARE, b"s" * 100)).first(a.NONCE) or b""
    alice.allocate()
    assert alice.raw(BARE) is None
    assert world.server.dropped == {ControlDrop.AMPLIFYING: 2}
    assert code_of(alice.refresh()) == 0


# --- the rate -----------------------------------------------------------------------------------------


def test_the_relay_and_the_settings_agree_on_every_default() -> None:
    rules = TurnRules(relayed_prefix=PREFIX)
    assert configured_rules(RelaySettings(), admission_required=True) == rules
    assert (rules.unauthenticated_answers_per_second, rules.unauthenticated_answers_burst) == (50, 500)


@pytest.mark.parametrize(
    ("network", "other"), [("203.0.113.{}", "203.0.112.1"), ("2001:db8:1:{:x}::1", "2001:db8:2::1")]
)
def test_a_network_gets_500_answers_at_once_and_50_a_second_from_then_on(network: str, other: str) -> None:
    world = World()
    clients = [world.client(ip=network.format(number % 250)) for number in range(600)]
    assert answered(clients) == 500
    assert world.server.dropped == {ControlDrop.OVER_BUDGET: 100}
    assert answered([world.client(ip=other)]) == 1
    world.passes(1)
    assert answered(clients) == 50
    world.passes(3600)
    assert answered(clients) == 500


def test_answers_to_strangers_are_bounded_per_source_network() -> None:
    world = limited()
    clients = [world.client(ip=f"203.0.113.{number}") for number in range(40)]
    assert answered(clients) == 5
    assert answered([world.client(ip="198.51.100.1")]) == 1
    world.passes(2)
    assert answered(clients) == 2


UNPROVEN: dict[str, Callable[[Client], bytes]] = {
    "binding": lambda _: build(Method.BINDING, MessageClass.REQUEST, bytes(12)),
    "unknown attribute": lambda _: build(Method.BINDING, MessageClass.REQUEST, bytes(12), [UNKNOWN_REQUIRED]),
    "no credential": lambda _: build(Method.REFRESH, MessageClass.REQUEST, bytes(12)),
    "no nonce": lambda _: build(Method.ALLOCATE, MessageClass.REQUEST, bytes(12), key=b"k"),
    "wrong password": lambda one: one.with_password("wrong").signed(Method.ALLOCATE, [UDP]),
    "captured nonce": lambda one: one.signed(Method.ALLOCATE, [UDP]),
    "malformed": lambda one: build(Method.ALLOCATE, MessageClass.REQUEST, bytes(12), [(a.REALM, b"r" * 800)]),
}


@pytest.mark.parametrize("kind", UNPROVEN)
def test_every_answer_to_somebody_unproven_counts(kind: str) -> None:
    world = limited()
    alice = world.client()
    assert answered([alice] * 40, UNPROVEN[kind](alice)) == 5
    assert world.server.dropped == {ControlDrop.OVER_BUDGET: 35}


def test_the_answer_to_an_expired_credential_counts() -> None:
    world = limited()
    alice = world.client()
    world.passes(CREDENTIAL_SECONDS)
    alice.learn_nonce()
    assert answered([alice] * 40, alice.signed(Method.ALLOCATE, [UDP])) == 4


@pytest.mark.parametrize("transport", STREAMS)
@pytest.mark.parametrize("kind", UNPROVEN)
def test_no_stream_is_limited(kind: str, transport: Transport) -> None:
    world = limited()
    alice = world.client(transport=transport)
    assert answered([alice] * 40, UNPROVEN[kind](alice)) == 40
    assert world.server.dropped == {}


def test_streams_leave_the_budget_of_their_network_alone() -> None:
    world = limited()
    answered([world.client(transport=Transport.TCP)] * 40)
    assert answered([world.client()] * 40) == 5


def test_owners_are_answered_when_strangers_of_their_network_are_not() -> None:
    world = limited()
    alice = world.client()
    alice.allocate()
    assert answered([world.client()] * 40) == 4
    assert code_of(alice.refresh()) == 0
    alice.nonce = b"stale"
    assert code_of(alice.refresh()) == 438


def test_what_is_unproven_on_an_owners_five_tuple_has_a_budget_of_its_own() -> None:
    world = limited()
    alice = world.client()
    alice.allocate()
    assert answered([alice] * 40, build(Method.BINDING, MessageClass.REQUEST, bytes(12))) == 5
    assert world.server.dropped == {ControlDrop.OVER_BUDGET: 35}
    assert answered([world.client()] * 40) == 4
    assert [code_of(alice.refresh()) for _ in range(40)] == [0] * 40


# --- no state -----------------------------------------------------------------------------------------


def things_in(root: object) -> Counter[str]:
    """How many objects of which type the server holds on to; code does not count."""
    seen: dict[int, object] = {}
    waiting = [root]
    while waiting:
        one = waiting.pop()
        if id(one) not in seen and not isinstance(one, type | FunctionType | ModuleType):
            seen[id(one)] = one
            waiting.extend(gc.get_referents(one))
    return Counter(type(one).__name__ for one in seen.values() if not isinstance(one, int | float))


def visit(world: World, number: int) -> None:
    """All that strangers do, from a network of their own."""
    stranger = world.client(f"party{number}", f"session{number}", ip=f"198.51.{number}.1")
    for kind in UNPROVEN.values():
        stranger.raw(kind(stranger))
    stranger.learn_nonce()
    stranger.with_password("wrong").allocate()
    stranger.refresh()
    stranger.permit(FOREIGN)
    stranger.send(FOREIGN, b"x")
    stranger.send_on(0x4000, b"x")
    if world.rules.pairing == "session":
        assert code_of(stranger.allocate()) == 403


@pytest.mark.parametrize("pairing", ["session", "any"])
def test_8489_6_3_1_strangers_leave_no_trace_in_the_server(pairing: Literal["session", "any"]) -> None:
    world = World(TurnRules(relayed_prefix=PREFIX, pairing=pairing, admission_required=pairing == "session"))
    visit(world, 0)
    before = things_in(world.server)
    for number in range(1, 100):
        visit(world, number)
    assert things_in(world.server) == before
    assert world.server.allocations() == []
    assert world.rows == {}


# --- what is left alone -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [Method.SEND, Method.DATA, 0x002, 0x00A, 0x07F, 0x0AA])
def test_8489_6_3_requests_of_other_methods_are_ignored_whoever_sends_them(world: World, method: int) -> None:
    alice = world.client()
    alice.allocate()
    assert alice.raw(alice.signed(method, [UDP])) is None
    assert world.client().raw(build(method, MessageClass.REQUEST, bytes(12))) is None
    assert world.server.dropped == {ControlDrop.UNEXPECTED: 2}
    assert world.refused == []


@pytest.mark.parametrize("method", [Method.BINDING, Method.ALLOCATE, Method.SEND, Method.DATA, 0x0AA])
@pytest.mark.parametrize("kind", [MessageClass.SUCCESS, MessageClass.ERROR, MessageClass.INDICATION])
def test_8489_6_3_answers_and_indications_of_strangers_are_ignored(
    world: World, kind: MessageClass, method: int
) -> None:
    assert world.client().raw(build(method, kind, bytes(12))) is None
    assert world.server.dropped == {ControlDrop.UNEXPECTED: 1}


def sent(datagram: bytes) -> Callable[[Client, Client], object]:
    return lambda alice, _: alice.raw(datagram)


def indicated(*fields: Field) -> Callable[[Client, Client], object]:
    return sent(build(Method.SEND, MessageClass.INDICATION, bytes(12), fields))


def early(alice: Client, bob: Client) -> None:
    alice.bind(0x4000, bob.relayed)
    for _ in range(5):
        alice.send_on(0x4000, b"x")


def to_a_stranger(alice: Client, bob: Client) -> None:
    alice.permit(bob.relayed)
    alice.send(FOREIGN, b"x")


def from_nobody(alice: Client, _: Client) -> None:
    alice.refresh((a.LIFETIME, 0))
    alice.send(FOREIGN, b"x")


def all_in_one_second(alice: Client, _: Client) -> None:
    stranger = alice.world.client(ip="198.51.100.9")
    assert answered([stranger] * 6) == 5


PEER: Field = (a.XOR_PEER_ADDRESS, FOREIGN)
TEXT: Field = (a.DATA, b"x")
DROPPED: dict[str, tuple[ControlDrop, Callable[[Client, Client], object]]] = {
    "nothing": (ControlDrop.MALFORMED, sent(b"")),
    "neither stun nor channel data": (ControlDrop.MALFORMED, sent(b"\x80" + bytes(31))),
    "no cookie": (ControlDrop.MALFORMED, sent(bytes(20))),
    "a length that does not fit": (ControlDrop.MALFORMED, sent(BARE + bytes(4))),
    "channel data cut off": (ControlDrop.MALFORMED, sent(channel_data.build(0x4000, b"1234")[:-1])),
    "channel data without its head": (ControlDrop.MALFORMED, sent(b"\x40\x00\x00")),
    "no data": (ControlDrop.MALFORMED, indicated(PEER)),
    "no peer": (ControlDrop.MALFORMED, indicated(TEXT)),
    "an answer": (ControlDrop.UNEXPECTED, sent(build(Method.REFRESH, MessageClass.SUCCESS, bytes(12)))),
    "data from a client": (
        ControlDrop.UNEXPECTED,
        sent(build(Method.DATA, MessageClass.INDICATION, bytes(12))),
    ),
    "unknown attribute": (ControlDrop.UNEXPECTED, indicated(PEER, TEXT, UNKNOWN_REQUIRED)),
    "no allocation": (ControlDrop.UNEXPECTED, from_nobody),
    "unbound": (ControlDrop.UNBOUND, sent(channel_data.build(0x4000, b"x"))),
    "no permission": (ControlDrop.NOT_PERMITTED, lambda alice, bob: alice.send(bob.relayed, b"x")),
    "foreign": (ControlDrop.FOREIGN_PEER, to_a_stranger),
    "early": (ControlDrop.NOT_HELD, early),
    "too much": (ControlDrop.OVER_BUDGET, all_in_one_second),
}


@pytest.mark.parametrize("case", DROPPED)
def test_8656_5_what_is_left_unanswered_or_undelivered_is_counted_by_its_reason(case: str) -> None:
    reason, provoke = DROPPED[case]
    world = limited()
    alice, bob = world.pair()
    provoke(alice, bob)
    world.settles()
    assert world.server.dropped == {reason: 1}
    assert world.delivered() == []


def test_every_reason_to_leave_something_alone_is_provoked_here() -> None:
    """An answer that amplifies needs a realm longer than settings allow, and has a test of its own above."""
    assert {reason for reason, _ in DROPPED.values()} == set(ControlDrop) - {ControlDrop.AMPLIFYING}
