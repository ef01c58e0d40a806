"""The long-term credential mechanism, RFC 8489 section 9.2.4, and what strangers can make the relay do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relay.credentials import CredentialSecrets, TurnCredential, password_for
from relay.stun import attributes as a
from relay.stun.message import Field, MessageClass, Method, build
from relay.turn.events import Refused, TurnRules
from relay.turn.refusal import RefusalReason
from relay.vocabulary import Address
from tests.spec.turn_world import CREDENTIAL_SECONDS, SECRET, UDP, Client, World, code_of

METHODS = [Method.ALLOCATE, Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND]


@pytest.fixture
def world() -> World:
    made = World()
    made.admit()
    return made


@pytest.mark.parametrize("method", METHODS)
def test_8489_9_2_4_a_request_without_integrity_is_challenged(world: World, method: Method) -> None:
    answer = world.client().raw(build(method, MessageClass.REQUEST, bytes(12)))
    assert answer is not None
    assert code_of(answer) == 401
    assert answer.first(a.REALM) == b"turngate"
    assert (answer.first(a.NONCE) or b"").startswith(b"obMatJos2gAAA")
    assert answer.integrity_at is None


@pytest.mark.parametrize("missing", [a.USERNAME, a.REALM, a.NONCE])
def test_8489_9_2_4_integrity_without_username_realm_or_nonce_is_400_without_challenge(
    world: World, missing: object
) -> None:
    alice = world.client()
    alice.learn_nonce()
    username = alice.credential.username.encode()
    login: list[Field] = [(a.USERNAME, username), (a.REALM, b"turngate"), (a.NONCE, alice.nonce)]
    kept = [one for one in login if one[0] is not missing]
    answer = alice.raw(build(Method.ALLOCATE, MessageClass.REQUEST, bytes(12), [UDP, *kept], key=alice.key))
    assert answer is not None
    assert code_of(answer) == 400
    assert answer.first(a.NONCE) is None
    assert answer.first(a.REALM) is None


def test_8489_9_2_4_a_wrong_password_is_401_without_integrity(world: World) -> None:
    answer = world.client().with_password("wrong").allocate()
    assert code_of(answer) == 401
    assert answer.first(a.NONCE)
    assert answer.integrity_at is None


@pytest.mark.parametrize("username", ["", "alice", "x:s1:alice", "1900003600:s1", "1900003600:s1:alice:more"])
def test_8489_9_2_4_an_unknown_username_is_401_even_with_the_right_hmac(world: World, username: str) -> None:
    alice = world.client()
    password = password_for(SECRET, username.encode()).decode()
    alice.credential = TurnCredential(username, password)
    assert code_of(alice.allocate()) == 401


def test_8489_9_2_4_another_realm_is_401(world: World) -> None:
    alice = world.client()
    alice.realm = b"elsewhere"
    assert code_of(alice.allocate()) == 401


def test_8489_9_2_4_a_stale_nonce_is_438_with_a_new_one_and_integrity(world: World) -> None:
    alice = world.client()
    alice.learn_nonce()
    world.passes(3600)
    answer = alice.allocate()
    assert code_of(answer) == 438
    assert answer.first(a.REALM) == b"turngate"
    assert answer.verifies(alice.key)
    alice.nonce = answer.first(a.NONCE) or b""
    assert code_of(alice.allocate()) == 0


def test_8489_9_2_4_the_nonce_of_another_address_is_438(world: World) -> None:
    alice, mallory = world.client(), world.client(ip="198.51.100.9")
    alice.learn_nonce()
    mallory.nonce = alice.nonce
    assert code_of(mallory.allocate()) == 438


@pytest.mark.parametrize(
    "nonce", [b"x", b"obMatJos2gAAA", b"obMatJos2gAAA!!!!", b"obMatJos2gAAA" + b"A" * 20]
)
def test_8489_9_2_4_a_made_up_nonce_is_438(world: World, nonce: bytes) -> None:
    alice = world.client()
    alice.nonce = nonce
    assert code_of(alice.allocate()) == 438


def test_8489_9_2_4_credentials_are_judged_before_the_nonce(world: World) -> None:
    alice = world.client().with_password("wrong")
    alice.nonce = b"stale"
    assert code_of(alice.allocate()) == 401


def test_an_expired_credential_cannot_allocate(world: World) -> None:
    alice = world.client()
    world.passes(CREDENTIAL_SECONDS)
    answer = alice.allocate()
    assert code_of(answer) == 401
    assert answer.integrity_at is None


def test_a_credential_that_expires_during_a_call_disturbs_nothing() -> None:
    world = World(TurnRules(relayed_prefix="198.18.0.0/15", max_lifetime_seconds=3600))
    alice, bob = world.pair()
    for _ in range(CREDENTIAL_SECONDS // 3000 + 1):
        for one in (alice, bob):
            one.nonce = b""
            assert code_of(one.refresh((a.LIFETIME, 3600))) == 0
        world.passes(3000)
    alice.nonce = bob.nonce = b""
    assert alice.permit(bob.relayed) == 0
    assert alice.bind(0x4000, bob.relayed) == 0


def test_secrets_rotate_under_running_calls() -> None:
    old = World(secrets=(b"old",))
    credential = old.client().credential
    world = World(secrets=(b"new", b"old"))
    world.admit()
    alice = world.client()
    alice.credential = credential
    assert code_of(alice.allocate()) == 0
    assert world.client().credential.password != credential.password


def test_8489_9_2_4_errors_to_a_known_requester_carry_integrity(world: World) -> None:
    alice = world.client()
    for method, fields, code in [
        (Method.REFRESH, [], 437),
        (Method.ALLOCATE, [], 400),
        (Method.ALLOCATE, [(a.REQUESTED_TRANSPORT, 6)], 442),
        (Method.ALLOCATE, [UDP, (a.REQUESTED_ADDRESS_FAMILY, 2)], 440),
        (Method.ALLOCATE, [UDP, (a.RESERVATION_TOKEN, bytes(8))], 508),
    ]:
        answer = alice.ask(method, *fields)
        assert code_of(answer) == code
        assert answer.verifies(alice.key)


def test_8656_5_another_username_on_the_same_five_tuple_is_441(world: World) -> None:
    alice, bob = world.client("alice"), world.client("bob")
    alice.allocate()
    bob.five_tuple = alice.five_tuple
    for method in METHODS:
        answer = bob.ask(method, UDP)
        assert code_of(answer) == 441
        assert answer.verifies(bob.key)


def test_8489_6_3_1_an_unknown_required_attribute_is_420_after_authentication(world: World) -> None:
    alice = world.client()
    unknown = replace(a.DONT_FRAGMENT, number=0x7ABC)
    bare = build(Method.ALLOCATE, MessageClass.REQUEST, bytes(12), [UDP, (unknown, True)])
    challenged = alice.raw(bare)
    assert challenged is not None
    assert code_of(challenged) == 401
    answer = alice.ask(Method.ALLOCATE, UDP, (unknown, True))
    assert code_of(answer) == 420
    assert answer.first(a.UNKNOWN_ATTRIBUTES) == (0x7ABC,)
    assert answer.verifies(alice.key)


def test_8489_14_7_fingerprint_is_in_the_answer_only_when_it_was_in_the_request(world: World) -> None:
    alice = world.client()
    for asked in (True, False):
        request = build(Method.BINDING, MessageClass.REQUEST, bytes(12), with_fingerprint=asked)
        answer = alice.raw(request)
        assert answer is not None
        assert answer.has_fingerprint is asked


def test_8489_6_3_1_binding_tells_the_clients_address(world: World) -> None:
    alice = world.client()
    answer = alice.raw(build(Method.BINDING, MessageClass.REQUEST, bytes(12)))
    assert answer is not None
    assert answer.first(a.XOR_MAPPED_ADDRESS) == alice.five_tuple.client


def test_8489_6_3_4_answers_and_indications_of_strangers_are_ignored(world: World) -> None:
    alice = world.client()
    for kind in (MessageClass.SUCCESS, MessageClass.ERROR, MessageClass.INDICATION):
        assert alice.raw(build(Method.BINDING, kind, bytes(12))) is None


def stranger_answers(world: World, clients: list[Client]) -> int:
    bare = build(Method.ALLOCATE, MessageClass.REQUEST, bytes(12), [UDP])
    return sum(client.raw(bare) is not None for client in clients)


def limited() -> World:
    return World(
        TurnRules(
            relayed_prefix="198.18.0.0/15",
            unauthenticated_answers_per_second=1,
            unauthenticated_answers_burst=5,
        )
    )


def test_answers_to_strangers_are_bounded_per_source_network() -> None:
    world = limited()
    clients = [world.client(ip=f"203.0.113.{number}") for number in range(40)]
    assert stranger_answers(world, clients) == 5
    assert stranger_answers(world, [world.client(ip="198.51.100.1")]) == 1
    world.passes(2)
    assert stranger_answers(world, clients) == 2


def test_answers_to_strangers_are_bounded_per_ipv6_48() -> None:
    world = limited()
    assert stranger_answers(world, [world.client(ip=f"2001:db8:1:{n:x}::1") for n in range(40)]) == 5


def test_a_stale_nonce_from_a_stranger_counts_as_a_strangers_answer() -> None:
    world = limited()
    alice = world.client()
    alice.nonce = b"captured elsewhere"
    requests = [alice.signed(Method.ALLOCATE, [UDP]) for _ in range(40)]
    assert sum(alice.raw(request) is not None for request in requests) == 5


def test_owners_are_answered_when_strangers_of_their_network_are_not() -> None:
    world = limited()
    world.admit()
    alice = world.client()
    alice.allocate()
    stranger_answers(world, [world.client() for _ in range(40)])
    assert code_of(alice.refresh()) == 0


def test_strangers_leave_no_trace_in_the_server(world: World) -> None:
    for number in range(50):
        stranger = world.client(ip=f"198.51.{number}.1")
        stranger.with_password("wrong").allocate()
        stranger.raw(build(Method.BINDING, MessageClass.REQUEST, bytes(12)))
    assert world.server.allocations() == []
    assert world.rows == {}


def test_refusals_are_told_but_the_normal_exchange_is_not(world: World) -> None:
    alice = world.client()
    alice.allocate()
    assert not [notice for notice in world.notices if isinstance(notice, Refused)]
    stranger = world.client(ip="198.51.100.9").with_password("wrong")
    stranger.allocate()
    assert world.notices[-1] == Refused(stranger.five_tuple, RefusalReason.WRONG_PASSWORD)


def test_the_password_and_key_do_not_show_in_what_the_server_keeps(world: World) -> None:
    alice = world.client()
    alice.allocate()
    (allocation,) = world.server.allocations()
    shown = repr(allocation)
    assert alice.credential.password not in shown
    assert repr(alice.key) not in shown
    assert "the secret of the tests" not in repr(CredentialSecrets((SECRET,)))


def test_an_ipv6_client_gets_its_own_address_back(world: World) -> None:
    alice = world.client(ip="2001:db8::5")
    answer = alice.allocate()
    assert answer.first(a.XOR_MAPPED_ADDRESS) == Address("2001:db8::5", alice.five_tuple.client.port)
