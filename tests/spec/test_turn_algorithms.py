"""The choice of password algorithms, integrity of both kinds, and how every refusal looks under each."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from relay.credentials import CredentialSecrets, TurnCredential
from relay.revocations import Revocations
from relay.stun import attributes as a
from relay.stun.attributes import Algorithm
from relay.stun.integrity import PasswordAlgorithm, message_integrity, message_integrity_sha256
from relay.stun.message import Field, Message, MessageClass, Method, build, packed_attribute
from relay.turn.allocation_rate import BURST
from relay.turn.authentication import OFFERED
from relay.turn.events import Drain, Reconfigure, Refused, Revoke
from relay.turn.refusal import RefusalReason
from relay.vocabulary import Address
from tests.spec.turn_world import CREDENTIAL_SECONDS, NOWHERE, UDP, UNKNOWN_REQUIRED, Client, World, code_of

MD5, SHA_256 = PasswordAlgorithm.MD5, PasswordAlgorithm.SHA_256
CHOICES = [None, MD5, SHA_256]
FOREIGN = Address("10.0.0.1", 22)
OTHER = Address("192.0.2.77", 3478)
TID = bytes(12)
Offer = tuple[Algorithm, ...]
Before = Callable[[World, Client], object]
Asking = Callable[[Client], Message]


@pytest.fixture
def world() -> World:
    made = World()
    made.admit()
    return made


@pytest.fixture
def alice(world: World) -> Client:
    made = world.client()
    made.learn_nonce()
    return made


def assert_sealed(answer: Message, client: Client) -> None:
    """With integrity of the kind that this client can check, and of no other."""
    assert answer.verifies(client.key)
    chose = client.algorithm is not None
    assert (answer.sha256_at is not None, answer.integrity_at is not None) == (chose, not chose)


def with_more(datagram: bytes, *attributes: bytes) -> bytes:
    """These attributes at the end, whatever stands before them."""
    longer = datagram + b"".join(attributes)
    return longer[:2] + (len(longer) - 20).to_bytes(2, "big") + longer[4:]


# --- the choice ---------------------------------------------------------------------------------------


def test_8489_9_2_4_sha256_is_offered_before_md5(alice: Client) -> None:
    offered = alice.bare(Method.ALLOCATE, UDP).first(a.PASSWORD_ALGORITHMS)
    assert offered == ((SHA_256, b""), (MD5, b""))


@pytest.mark.parametrize("choice", CHOICES)
def test_8489_9_2_4_the_key_and_the_answer_follow_the_chosen_algorithm(
    alice: Client, choice: PasswordAlgorithm | None
) -> None:
    alice.algorithm = choice
    answer = alice.allocate()
    assert code_of(answer) == 0
    assert_sealed(answer, alice)


@pytest.mark.parametrize(("chosen", "used"), [(MD5, SHA_256), (SHA_256, MD5), (None, SHA_256)])
@pytest.mark.parametrize("live", [False, True])
def test_8489_9_2_4_a_key_by_another_algorithm_than_the_chosen_one_is_401(
    alice: Client, chosen: PasswordAlgorithm | None, used: PasswordAlgorithm, live: bool
) -> None:
    alice.algorithm = used
    key, method = alice.key, Method.REFRESH if live else Method.ALLOCATE
    if live:
        alice.allocate()
    alice.algorithm = chosen
    fields, sha256 = [UDP, *alice.login], chosen is not None
    request = build(method, MessageClass.REQUEST, alice.next_id(), fields, key=key, sha256=sha256)
    assert code_of(alice.answered(request)) == 401


BAD_CHOICES: dict[str, tuple[Offer | None, Algorithm | None]] = {
    "no choice": (OFFERED, None),
    "no list": (None, (SHA_256, b"")),
    "sha256 taken out": (((MD5, b""),), (MD5, b"")),
    "md5 taken out": (((SHA_256, b""),), (SHA_256, b"")),
    "other order": (OFFERED[::-1], (SHA_256, b"")),
    "one more": ((*OFFERED, (3, b"")), (3, b"")),
    "empty list": ((), (SHA_256, b"")),
    "not in the list": (OFFERED, (3, b"")),
    "zero": (OFFERED, (0, b"")),
    "parameters": (OFFERED, (SHA_256, b"x")),
    "parameters in the list": (((SHA_256, b"x"), (MD5, b"")), (SHA_256, b"x")),
}


@pytest.mark.parametrize("case", BAD_CHOICES)
@pytest.mark.parametrize("algorithm", [MD5, SHA_256])
def test_8489_9_2_4_half_a_choice_an_altered_list_or_a_choice_not_in_it_is_400(
    world: World, alice: Client, case: str, algorithm: PasswordAlgorithm
) -> None:
    """A list that was altered on the way, so that the weaker algorithm is taken, is found out."""
    offered, chosen = BAD_CHOICES[case]
    fields: list[Field] = [UDP, *alice.login]
    fields += [(a.PASSWORD_ALGORITHMS, offered)] if offered is not None else []
    fields += [(a.PASSWORD_ALGORITHM, chosen)] if chosen is not None else []
    alice.algorithm = algorithm
    request = build(
        Method.ALLOCATE, MessageClass.REQUEST, alice.next_id(), fields, key=alice.key, sha256=True
    )
    answer = alice.answered(request)
    assert code_of(answer) == 400
    assert answer.first(a.NONCE) is None
    assert not answer.has_integrity
    assert world.server.allocations() == []


def test_8489_9_2_4_sha256_without_a_choice_is_answered_in_kind(alice: Client) -> None:
    fields = [UDP, *alice.login]
    request = build(
        Method.ALLOCATE, MessageClass.REQUEST, alice.next_id(), fields, key=alice.key, sha256=True
    )
    answer = alice.answered(request)
    assert code_of(answer) == 0
    assert answer.verifies(alice.key)
    assert answer.integrity_at is None


@pytest.mark.parametrize("first", CHOICES)
@pytest.mark.parametrize("second", CHOICES)
def test_8489_9_2_4_a_client_that_changes_its_choice_on_a_live_allocation_is_served(
    world: World, first: PasswordAlgorithm | None, second: PasswordAlgorithm | None
) -> None:
    alice, bob = world.pair()
    again = world.client()
    again.algorithm = first
    again.allocate()
    again.algorithm = second
    answer = again.refresh()
    assert code_of(answer) == 0
    assert_sealed(answer, again)
    assert again.permit(bob.relayed) == 0
    assert again.bind(0x4000, bob.relayed) == 0
    assert code_of(alice.refresh()) == 0


@pytest.mark.parametrize("choice", CHOICES)
def test_8489_9_2_4_the_key_of_either_algorithm_outlives_the_rotation_of_its_secret(
    world: World, alice: Client, choice: PasswordAlgorithm | None
) -> None:
    alice.algorithm = choice
    alice.allocate()
    world.handle(Reconfigure(world.rules, CredentialSecrets((b"another secret",))))
    answer = alice.refresh()
    assert code_of(answer) == 0
    assert_sealed(answer, alice)


# --- integrity ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sha1_is_right", "sha256_is_right"), [(True, False), (False, True), (True, True)])
def test_8489_9_2_4_of_two_integrities_sha256_counts(
    alice: Client, sha1_is_right: bool, sha256_is_right: bool
) -> None:
    request = build(Method.ALLOCATE, MessageClass.REQUEST, alice.next_id(), [UDP, *alice.login])
    sha1 = message_integrity(request, alice.key) if sha1_is_right else bytes(20)
    request = with_more(request, packed_attribute(a.MESSAGE_INTEGRITY.number, sha1))
    sha256 = message_integrity_sha256(request, alice.key) if sha256_is_right else bytes(32)
    request = with_more(request, packed_attribute(a.MESSAGE_INTEGRITY_SHA256.number, sha256))
    answer = alice.answered(request)
    assert code_of(answer) == (0 if sha256_is_right else 401)
    if sha256_is_right:
        assert_sealed(answer, alice)


@pytest.mark.parametrize("length", [16, 20, 28])
@pytest.mark.parametrize("counted_as_whole", [True, False])
def test_8489_14_6_truncated_integrity_proves_nothing(
    alice: Client, length: int, counted_as_whole: bool
) -> None:
    request = build(Method.ALLOCATE, MessageClass.REQUEST, alice.next_id(), [UDP, *alice.login])
    counted = len(request) - 20 + 4 + (32 if counted_as_whole else length)
    value = hmac.digest(alice.key, request[:2] + counted.to_bytes(2, "big") + request[4:], "sha256")
    cut = packed_attribute(a.MESSAGE_INTEGRITY_SHA256.number, value[:length])
    assert code_of(alice.answered(with_more(request, cut))) == 401


def attribute(field: Field, tid: bytes) -> bytes:
    return packed_attribute(field[0].number, field[0].pack(field[1], tid))


@pytest.mark.parametrize("choice", CHOICES)
def test_8489_14_5_a_peer_smuggled_in_behind_the_integrity_is_ignored(
    world: World, choice: PasswordAlgorithm | None
) -> None:
    alice, bob = world.pair()
    alice.algorithm = choice
    tid = alice.next_id()
    smuggled = attribute((a.XOR_PEER_ADDRESS, bob.relayed), tid)
    unnamed = alice.signed(Method.CREATE_PERMISSION, [], tid)
    assert code_of(alice.answered(with_more(unnamed, smuggled))) == 400
    tid = alice.next_id()
    smuggled = attribute((a.XOR_PEER_ADDRESS, FOREIGN), tid)
    named = alice.signed(Method.CREATE_PERMISSION, [(a.XOR_PEER_ADDRESS, bob.relayed)], tid)
    assert code_of(alice.answered(with_more(named, smuggled))) == 0


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize(
    "smuggled", [(a.LIFETIME, 0), UNKNOWN_REQUIRED, (a.REQUESTED_ADDRESS_FAMILY, 2), (a.USERNAME, b"mallory")]
)
def test_8489_14_5_nothing_behind_the_integrity_changes_a_request(
    world: World, alice: Client, choice: PasswordAlgorithm | None, smuggled: Field
) -> None:
    alice.algorithm = choice
    alice.allocate()
    tid = alice.next_id()
    request = with_more(alice.signed(Method.REFRESH, [], tid), attribute(smuggled, tid))
    answer = alice.answered(request)
    assert code_of(answer) == 0
    assert answer.first(a.LIFETIME) == 120
    assert len(world.server.allocations()) == 1


# --- every refusal ------------------------------------------------------------------------------------


def nothing(_: World, __: Client) -> None:
    """Nothing has to be so that this is refused."""


def reconfigured(world: World, *, draining: bool = False, **changed: Any) -> None:
    world.handle(Reconfigure(replace(world.rules, **changed), CredentialSecrets(world.secrets)))
    if draining:
        world.handle(Drain())


def spoiled(**changed: Any) -> Before:
    def spoil(_: World, one: Client) -> None:
        for name, value in changed.items():
            setattr(one, name, value)

    return spoil


def full(world: World, _: Client) -> None:
    reconfigured(world, max_allocations=1)
    world.client("bob").allocate()


def all_reserved(world: World, _: Client) -> None:
    reconfigured(world, max_allocations_per_credential=2)
    for one in (world.client(), world.client()):
        one.allocate((a.EVEN_PORT, True))


def fast(world: World, _: Client) -> None:
    for one in [world.client("bob") for _ in range(BURST)]:
        one.allocate()


def in_anothers_place(world: World, one: Client) -> None:
    bob = world.client("bob")
    bob.allocate()
    one.five_tuple, one.relayed = bob.five_tuple, bob.relayed


def allocated(_: World, one: Client) -> None:
    one.allocate()


def incomplete(one: Client) -> Message:
    return one.answered(build(Method.ALLOCATE, MessageClass.REQUEST, TID, [UDP], key=one.key))


def binding(number: int) -> Asking:
    """A peer that nobody is; the number is looked at first."""
    return lambda one: one.ask(Method.CHANNEL_BIND, (a.XOR_PEER_ADDRESS, FOREIGN), (a.CHANNEL_NUMBER, number))


def taken(world: World, one: Client) -> None:
    one.allocate()
    bob = world.client("bob")
    bob.allocate()
    assert one.bind(0x4000, bob.relayed) == 0


R = RefusalReason
HALF_A_CHOICE: Field = (a.PASSWORD_ALGORITHM, (SHA_256, b""))
REVOKED = Revoke(Revocations(users=frozenset({"alice"})))
PROVOKED: dict[RefusalReason, tuple[Before, Asking]] = {
    R.GO_ELSEWHERE: (
        lambda w, _: reconfigured(w, draining=True, alternate_servers=(OTHER,)),
        Client.allocate,
    ),
    R.MALFORMED: (nothing, lambda one: one.ask(Method.ALLOCATE)),
    R.LOGIN_INCOMPLETE: (nothing, incomplete),
    R.ALGORITHM_NOT_OFFERED: (spoiled(algorithm=None), lambda one: one.allocate(HALF_A_CHOICE)),
    R.CHANNEL_OUT_OF_RANGE: (allocated, binding(0x5000)),
    R.CHANNEL_TAKEN: (taken, binding(0x4000)),
    R.NO_CREDENTIAL: (nothing, lambda one: one.bare(Method.REFRESH)),
    R.UNKNOWN_USERNAME: (spoiled(credential=TurnCredential("nobody", "x")), Client.allocate),
    R.WRONG_REALM: (spoiled(realm=b"elsewhere"), Client.allocate),
    R.WRONG_PASSWORD: (nothing, lambda one: one.with_password("wrong").allocate()),
    R.CREDENTIAL_EXPIRED: (lambda w, _: w.passes(CREDENTIAL_SECONDS), Client.allocate),
    R.NOT_ADMITTED: (lambda w, _: w.end(), Client.allocate),
    R.REVOKED: (lambda w, _: w.handle(REVOKED), Client.allocate),
    R.PEER_NOT_IN_SESSION: (allocated, binding(0x4000)),
    R.MOBILITY: (nothing, lambda one: one.allocate((a.MOBILITY_TICKET, b""))),
    R.UNKNOWN_ATTRIBUTE: (nothing, lambda one: one.allocate(UNKNOWN_REQUIRED)),
    R.NO_ALLOCATION: (nothing, Client.refresh),
    R.ALLOCATION_EXISTS: (allocated, lambda one: one.ask(Method.ALLOCATE, UDP)),
    R.STALE_NONCE: (spoiled(nonce=b"stale"), Client.allocate),
    R.FAMILY_NOT_RELAYED: (nothing, lambda one: one.allocate((a.REQUESTED_ADDRESS_FAMILY, 2))),
    R.OTHER_USERNAME: (in_anothers_place, Client.refresh),
    R.TRANSPORT_NOT_RELAYED: (nothing, lambda one: one.ask(Method.ALLOCATE, (a.REQUESTED_TRANSPORT, 6))),
    R.FAMILY_MISMATCH: (allocated, lambda one: one.refresh((a.REQUESTED_ADDRESS_FAMILY, 2))),
    R.ALLOCATING_TOO_FAST: (fast, Client.allocate),
    R.DRAINING: (lambda w, _: reconfigured(w, draining=True), Client.allocate),
    R.FULL: (full, Client.allocate),
    R.NO_ADDRESS: (all_reserved, lambda one: one.allocate((a.EVEN_PORT, True))),
    R.TOKEN_UNKNOWN: (nothing, lambda one: one.allocate((a.RESERVATION_TOKEN, bytes(8)))),
}
UNPROVEN = {
    R.LOGIN_INCOMPLETE, R.ALGORITHM_NOT_OFFERED, R.NO_CREDENTIAL, R.UNKNOWN_USERNAME,
    R.WRONG_REALM, R.WRONG_PASSWORD,
}  # fmt: skip
UNSEALED = UNPROVEN | {R.CREDENTIAL_EXPIRED}


def test_every_reason_to_refuse_is_provoked_here() -> None:
    assert set(PROVOKED) == set(RefusalReason)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("reason", PROVOKED)
def test_8489_9_2_4_every_error_to_who_proved_the_key_carries_integrity_and_no_other_does(
    world: World, reason: RefusalReason, choice: PasswordAlgorithm | None
) -> None:
    before, asking = PROVOKED[reason]
    one = world.client()
    one.algorithm = choice
    before(world, one)
    answer = asking(one)
    assert code_of(answer) == reason.code
    if reason in UNSEALED:
        assert not answer.has_integrity
    else:
        assert_sealed(answer, one)


@pytest.mark.parametrize("reason", PROVOKED)
def test_a_refusal_tells_its_reason_where_and_what_the_requester_proved_to_be(
    world: World, reason: RefusalReason
) -> None:
    before, asking = PROVOKED[reason]
    one = world.client()
    before(world, one)
    world.notices.clear()
    asking(one)
    relayed = one.relayed if one.relayed != NOWHERE else None
    session_id, party = (None, None) if reason in UNPROVEN else ("s1", "alice")
    told = Refused(one.five_tuple, reason, session_id, party, relayed)
    assert world.refused == ([] if reason.is_routine else [told])
