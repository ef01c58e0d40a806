"""The long-term credential mechanism, RFC 8489 section 9.2, of clients that know no choice of algorithms."""

from __future__ import annotations

import base64

import pytest

from relay.credentials import CredentialSecrets, TurnCredential, password_for
from relay.stun import attributes as a
from relay.stun.message import Field, Message, MessageClass, Method, build
from relay.turn.authentication import OFFERED
from relay.turn.events import Reconfigure, Refused, TurnRules
from relay.turn.refusal import RefusalReason, Seal
from relay.vocabulary import Address, FiveTuple, Transport
from tests.spec.turn_world import CREDENTIAL_SECONDS, SECRET, UDP, UNKNOWN_REQUIRED, World, code_of

METHODS = [Method.ALLOCATE, Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND]
TID = bytes(12)


@pytest.fixture
def world() -> World:
    made = World()
    made.admit()
    return made


def assert_challenge(answer: Message, code: int = 401) -> None:
    """All that a client needs to log in, and nothing that the server cannot vouch for."""
    assert code_of(answer) == code
    assert answer.first(a.REALM) == b"turngate"
    assert answer.first(a.NONCE)
    assert answer.first(a.PASSWORD_ALGORITHMS) == OFFERED
    assert answer.first(a.USERNAME) is None


# --- the order of checks ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_8489_9_2_4_a_request_without_integrity_is_challenged(world: World, method: Method) -> None:
    answer = world.client().bare(method)
    assert_challenge(answer)
    assert not answer.has_integrity


@pytest.mark.parametrize("missing", [a.USERNAME, a.REALM, a.NONCE])
def test_8489_9_2_4_integrity_without_username_realm_or_nonce_is_400_without_challenge(
    world: World, missing: object
) -> None:
    alice = world.client()
    alice.learn_nonce()
    kept = [one for one in alice.login if one[0] is not missing]
    answer = alice.answered(build(Method.ALLOCATE, MessageClass.REQUEST, TID, [UDP, *kept], key=alice.key))
    assert code_of(answer) == 400
    assert [number for number, _ in answer.attributes] == [a.ERROR_CODE.number]
    assert not answer.has_integrity


@pytest.mark.parametrize(
    "username",
    ["", "alice", "x:s1:alice", "1900003600:s1", "1900003600:s1:alice:more", "1900003600:s1:\u00c5lice"],
)
def test_8489_9_2_4_an_unknown_username_is_401_even_with_the_right_hmac(world: World, username: str) -> None:
    alice = world.client()
    password = password_for(SECRET, username.encode()).decode()
    alice.credential = TurnCredential(username, password)
    answer = alice.allocate()
    assert_challenge(answer)
    assert not answer.has_integrity


def test_8489_9_2_4_another_realm_is_401(world: World) -> None:
    alice = world.client()
    alice.realm = b"elsewhere"
    assert_challenge(alice.allocate())


def test_8489_9_2_4_a_wrong_password_is_401_without_integrity(world: World) -> None:
    answer = world.client().with_password("wrong").allocate()
    assert_challenge(answer)
    assert not answer.has_integrity


FAULTS = {
    "no integrity": 401,
    "no nonce": 400,
    "half a choice of algorithm": 400,
    "unknown username": 401,
    "another realm": 401,
    "wrong password": 401,
    "stale nonce": 438,
    "unknown attribute": 420,
    "another's allocation": 437,
    "no transport": 400,
}


def faulty(world: World, faults: list[str]) -> Message:
    """An Allocate with these faults, and its answer."""
    bob, alice = world.client("bob"), world.client()
    bob.allocate()
    if "another's allocation" in faults:
        alice.five_tuple = bob.five_tuple
        alice.nonce = bob.nonce
    else:
        alice.learn_nonce()
    if "stale nonce" in faults:
        alice.nonce = b"obMatJos2gAAAmade up"
    if "unknown username" in faults:
        alice.credential = TurnCredential("nobody", alice.credential.password)
    if "wrong password" in faults:
        alice = alice.with_password("wrong")
    if "another realm" in faults:
        alice.realm = b"elsewhere"
    fields: list[Field] = [] if "no transport" in faults else [UDP]
    fields += [UNKNOWN_REQUIRED] if "unknown attribute" in faults else []
    fields += [(a.PASSWORD_ALGORITHMS, OFFERED)] if "half a choice of algorithm" in faults else []
    fields += [one for one in alice.login if not (one[0] is a.NONCE and "no nonce" in faults)]
    key = None if "no integrity" in faults else alice.key
    return alice.answered(build(Method.ALLOCATE, MessageClass.REQUEST, alice.next_id(), fields, key=key))


@pytest.mark.parametrize("mended", range(len(FAULTS)))
def test_8489_9_2_4_of_several_faults_the_first_in_its_order_is_answered(world: World, mended: int) -> None:
    faults = list(FAULTS)[mended:]
    assert code_of(faulty(world, faults)) == FAULTS[faults[0]]


def test_8489_9_2_4_what_has_none_of_these_faults_is_served(world: World) -> None:
    assert code_of(faulty(world, [])) == 0


# --- nonces -------------------------------------------------------------------------------------------


def test_8489_9_2_a_nonce_begins_with_the_cookie_and_offers_a_choice_of_algorithms_alone(
    world: World,
) -> None:
    alice = world.client()
    alice.learn_nonce()
    assert alice.nonce[:9] == b"obMatJos2"
    features = base64.b64decode(alice.nonce[9:13], validate=True)
    # The first bit is password algorithms, the second would be anonymous usernames.
    assert features == bytes((0b1000_0000, 0, 0))


@pytest.mark.parametrize("cookie", [b"obMatJos2AAAA", b"obMatJos2QAAA", b"obMatJos2wAAA", b"obMatJos3gAAA"])
def test_8489_9_2_a_nonce_whose_cookie_was_altered_is_438(world: World, cookie: bytes) -> None:
    alice = world.client()
    alice.learn_nonce()
    alice.nonce = cookie + alice.nonce[13:]
    assert_challenge(alice.allocate(), 438)


@pytest.mark.parametrize(
    "nonce", [b"x", b"obMatJos2gAAA", b"obMatJos2gAAA!!!!", b"obMatJos2gAAA" + b"A" * 20]
)
def test_8489_9_2_4_a_made_up_nonce_is_438(world: World, nonce: bytes) -> None:
    alice = world.client()
    alice.nonce = nonce
    assert_challenge(alice.allocate(), 438)


def test_8489_9_2_4_a_stale_nonce_is_438_with_a_new_one_and_integrity(world: World) -> None:
    alice = world.client()
    alice.learn_nonce()
    world.passes(3600)
    answer = alice.allocate()
    assert_challenge(answer, 438)
    assert answer.verifies(alice.key)
    alice.nonce = answer.first(a.NONCE) or b""
    assert code_of(alice.allocate()) == 0


def test_8489_9_2_4_a_nonce_is_good_for_an_hour(world: World) -> None:
    alice = world.client()
    alice.learn_nonce()
    world.passes(3599)
    assert code_of(alice.allocate()) == 0


ELSEWHERE = {
    "address": {"client": Address("203.0.113.6", 5000)},
    "port": {"client": Address("203.0.113.5", 5001)},
    "listener": {"server": Address("192.0.2.2", 3478)},
    "listener's port": {"server": Address("192.0.2.1", 3479)},
    "transport": {"transport": Transport.TCP},
    "stream": {"transport": Transport.TLS},
}


@pytest.mark.parametrize("other", ELSEWHERE)
def test_8489_9_2_4_a_nonce_is_good_for_one_five_tuple_alone(world: World, other: str) -> None:
    alice = world.client()
    alice.five_tuple = FiveTuple(Transport.UDP, Address("203.0.113.5", 5000), Address("192.0.2.1", 3478))
    alice.learn_nonce()
    here, nonce = alice.five_tuple, alice.nonce
    alice.five_tuple = here._replace(**ELSEWHERE[other])  # type: ignore[arg-type]  # each is of its field's type
    assert_challenge(alice.allocate(), 438)
    alice.learn_nonce()
    assert alice.nonce != nonce
    alice.five_tuple, alice.nonce = here, nonce
    assert code_of(alice.allocate()) == 0


def test_8489_9_2_4_a_nonce_of_another_server_is_438(world: World) -> None:
    alice = world.client()
    alice.learn_nonce()
    other = World(seed=8)
    other.admit()
    alice.world = other
    assert_challenge(alice.allocate(), 438)


# --- credentials --------------------------------------------------------------------------------------


def test_an_expired_credential_cannot_allocate(world: World) -> None:
    alice = world.client()
    world.passes(CREDENTIAL_SECONDS - 1)
    assert code_of(world.client().allocate()) == 0
    world.passes(1)
    answer = alice.allocate()
    assert_challenge(answer)
    assert not answer.has_integrity


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


def test_every_secret_in_force_verifies_and_the_first_signs() -> None:
    credential = World(secrets=(b"old",)).client().credential
    world = World(secrets=(b"new", b"old"))
    world.admit()
    alice = world.client()
    alice.credential = credential
    assert code_of(alice.allocate()) == 0
    assert world.client().credential.password != credential.password


def test_a_running_call_outlives_the_rotation_of_its_secret(world: World) -> None:
    alice, bob = world.pair()
    world.handle(Reconfigure(world.rules, CredentialSecrets((b"another secret",))))
    for one, other in ((alice, bob), (bob, alice)):
        assert code_of(one.refresh()) == 0
        assert one.permit(other.relayed) == 0
        assert one.bind(0x4000, other.relayed) == 0
    late = world.client()
    assert code_of(late.allocate()) == 401
    late.credential = CredentialSecrets((b"another secret",)).issue("s1", "alice", int(world.now.wall) + 60)
    assert code_of(late.allocate()) == 0


def test_8489_9_2_a_password_is_longer_than_128_bits(world: World) -> None:
    assert len(base64.b64decode(world.client().credential.password, validate=True)) == 20


def test_8656_6_no_password_is_kept_and_no_key_is_shown(world: World) -> None:
    alice = world.client()
    alice.allocate()
    (allocation,) = world.server.allocations()
    kept = [getattr(allocation, name) for name in allocation.__slots__]
    assert Seal(alice.key) in kept
    password = alice.credential.password
    assert [one for one in kept if one in (password, password.encode())] == []
    assert password not in repr(kept)
    assert repr(alice.key) not in repr(allocation)
    assert "the secret of the tests" not in repr(CredentialSecrets((SECRET,)))


# --- after authentication -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_8656_5_another_username_on_the_same_five_tuple_is_441_and_for_its_allocate_437(
    world: World, method: Method
) -> None:
    """Somebody behind the same address got the port of one who went: 437 makes a client try another port."""
    alice, bob = world.client("alice"), world.client("bob")
    alice.allocate()
    bob.five_tuple = alice.five_tuple
    answer = bob.ask(method, UDP)
    assert code_of(answer) == (437 if method is Method.ALLOCATE else 441)
    assert answer.verifies(bob.key)
    assert [one.party for one in world.server.allocations()] == ["alice"]


@pytest.mark.parametrize("method", METHODS)
def test_8489_6_3_1_an_unknown_required_attribute_is_420_after_authentication(
    world: World, method: Method
) -> None:
    alice = world.client()
    assert code_of(alice.bare(method, UDP, UNKNOWN_REQUIRED)) == 401
    answer = alice.ask(method, UDP, UNKNOWN_REQUIRED)
    assert code_of(answer) == 420
    assert answer.first(a.UNKNOWN_ATTRIBUTES) == (UNKNOWN_REQUIRED[0].number,)
    assert answer.verifies(alice.key)


def test_8489_6_3_1_an_unknown_required_attribute_in_binding_is_420(world: World) -> None:
    answer = world.client().bare(Method.BINDING, UNKNOWN_REQUIRED)
    assert code_of(answer) == 420
    assert answer.first(a.UNKNOWN_ATTRIBUTES) == (UNKNOWN_REQUIRED[0].number,)


def test_8489_14_7_fingerprint_is_in_the_answer_only_when_it_was_in_the_request(world: World) -> None:
    alice = world.client()
    for asked in (True, False):
        request = build(Method.BINDING, MessageClass.REQUEST, TID, with_fingerprint=asked)
        assert alice.answered(request).has_fingerprint is asked


@pytest.mark.parametrize("ip", ["203.0.113.5", "2001:db8::5"])
def test_8489_6_3_1_binding_tells_the_clients_address(world: World, ip: str) -> None:
    alice = world.client(ip=ip)
    assert alice.bare(Method.BINDING).first(a.XOR_MAPPED_ADDRESS) == alice.five_tuple.client


@pytest.mark.parametrize("repeated", [Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND])
def test_8489_6_3_1_a_retransmitted_request_gets_the_same_answer_and_changes_nothing(
    world: World, repeated: Method
) -> None:
    alice, bob = world.pair()
    fields: list[Field] = [(a.XOR_PEER_ADDRESS, bob.relayed), (a.CHANNEL_NUMBER, 0x4000)]
    request = alice.signed(repeated, [] if repeated is Method.REFRESH else fields)
    first = alice.answered(request)
    rows = dict(world.rows)
    assert code_of(first) == 0
    assert alice.answered(request).raw == first.raw
    assert world.rows == rows


def test_refusals_are_told_but_the_normal_exchange_is_not(world: World) -> None:
    alice = world.client()
    alice.allocate()
    assert world.refused == []
    stranger = world.client(ip="198.51.100.9").with_password("wrong")
    stranger.allocate()
    assert world.refused == [Refused(stranger.five_tuple, RefusalReason.WRONG_PASSWORD)]


def test_a_stranger_in_an_owners_place_is_told_with_the_owners_relayed_address_and_no_name(
    world: World,
) -> None:
    alice = world.client()
    alice.allocate()
    alice.with_password("wrong").refresh((a.LIFETIME, 0))
    reason = RefusalReason.WRONG_PASSWORD
    assert world.refused == [Refused(alice.five_tuple, reason, relayed_address=alice.relayed)]
    assert len(world.server.allocations()) == 1
