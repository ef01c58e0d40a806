"""The closed relay: who is let in, who reaches whom, and how a session ends."""

from __future__ import annotations

import pytest

from relay.credentials import TurnCredential, password_for
from relay.stun import attributes as a
from relay.stun.message import Field, Method
from relay.turn.allocation_rate import BURST, PER_SECOND
from relay.turn.events import (
    Admission,
    Admit,
    AllocationGone,
    Disown,
    EndSession,
    GoneReason,
    Received,
    Refused,
    RemoveSession,
    TurnRules,
)
from relay.turn.refusal import RefusalReason
from relay.vocabulary import Address
from tests.spec.turn_world import SECRET, UDP, Client, Delivery, World, code_of

PREFIX = "198.18.0.0/15"


@pytest.fixture
def world() -> World:
    return World()


def alone() -> World:
    return World(TurnRules(relayed_prefix=PREFIX, admission_required=False))


def anyone() -> World:
    return World(TurnRules(relayed_prefix=PREFIX, admission_required=False, pairing="any"))


def test_without_admission_a_valid_credential_is_403(world: World) -> None:
    alice = world.client()
    answer = alice.allocate()
    assert code_of(answer) == 403
    assert answer.verifies(alice.key)


def test_only_the_admitted_parties_may_allocate(world: World) -> None:
    world.admit()
    assert code_of(world.client("mallory").allocate()) == 403
    assert code_of(world.client("alice").allocate()) == 0


def test_an_admission_expires_and_takes_its_allocations_along(world: World) -> None:
    world.handle(Admit(Admission("s1", ("alice", "bob"), world.now.wall + 60)))
    alice = world.client()
    alice.allocate()
    world.passes(59)
    assert len(world.server.allocations()) == 1
    world.passes(1)
    assert world.server.allocations() == []
    assert isinstance(world.notices[-1], AllocationGone)
    assert world.notices[-1].reason is GoneReason.SESSION_EXPIRED
    assert code_of(world.client().allocate()) == 403


def test_an_admission_that_has_expired_admits_nobody_before_the_sweep(world: World) -> None:
    world.handle(Admit(Admission("s1", ("alice", "bob"), world.now.wall + 60)))
    world.passes(60, sweep=False)
    assert code_of(world.client().allocate()) == 403


def test_an_admission_can_be_prolonged_but_not_given_to_others(world: World) -> None:
    world.handle(Admit(Admission("s1", ("alice", "bob"), world.now.wall + 60)))
    world.handle(Admit(Admission("s1", ("alice", "bob"), world.now.wall + 600)))
    world.passes(100)
    assert code_of(world.client().allocate()) == 0
    with pytest.raises(ValueError, match="parties"):
        world.handle(Admit(Admission("s1", ("alice", "mallory"), world.now.wall + 600)))


FOREIGN = [
    Address("127.0.0.1", 3478),
    Address("10.0.0.1", 22),
    Address("169.254.169.254", 80),
    Address("0.0.0.0", 0),
    Address("192.0.2.1", 3478),
    Address("255.255.255.255", 65535),
]


@pytest.mark.parametrize("peer", FOREIGN, ids=str)
def test_no_peer_address_reaches_anything_outside_the_relay(world: World, peer: Address) -> None:
    alice, _ = world.pair()
    assert alice.permit(peer) == 403
    assert alice.bind(0x4000, peer) == 403
    alice.send(peer, b"x")
    world.settles()
    assert world.delivered() == []
    assert world.rows == {}


def test_unused_ports_other_sessions_ports_and_own_ports_are_refused_alike(world: World) -> None:
    alice, bob = world.pair("s1")
    carol, _ = world.pair("s2")
    again = world.client("alice", "s1")
    again.allocate()
    unused = Address(bob.relayed.ip, 49152 if bob.relayed.port != 49152 else 49153)
    for peer in (unused, carol.relayed, alice.relayed, again.relayed):
        assert alice.permit(peer) == 403
        assert alice.bind(0x4000, peer) == 403


def test_a_permission_reaches_nobody_in_another_session(world: World) -> None:
    alice, bob = world.pair("s1")
    carol, dave = world.pair("s2")
    for one, other in ((alice, bob), (bob, alice), (carol, dave), (dave, carol)):
        one.permit(other.relayed)
    alice.send(carol.relayed, b"x")
    alice.send(dave.relayed, b"x")
    world.settles()
    assert world.delivered() == []


def test_two_allocations_of_one_party_never_meet(world: World) -> None:
    alice, bob = world.pair()
    second = world.client("alice")
    second.allocate()
    alice.permit(bob.relayed)
    second.permit(bob.relayed)
    alice.send(second.relayed, b"x")
    world.settles()
    assert world.delivered() == []


def test_a_party_reaches_every_allocation_of_the_other(world: World) -> None:
    alice, bob = world.pair()
    second = world.client("bob")
    second.allocate()
    assert alice.permit(bob.relayed, second.relayed) == 0
    second.permit(alice.relayed)
    alice.send(second.relayed, b"x")
    assert world.delivered() == [Delivery(second.five_tuple, alice.relayed, b"x")]


def connected(world: World, session_id: str = "s1") -> tuple[Client, Client]:
    alice, bob = world.pair(session_id)
    assert alice.bind(0x4000, bob.relayed) == 0
    assert bob.bind(0x4000, alice.relayed) == 0
    alice.send(bob.relayed, b"x")
    assert len(world.delivered()) == 1
    return alice, bob


def test_ending_a_session_removes_its_rows_first_and_then_everything_else(world: World) -> None:
    alice, bob = connected(world)
    connected(world, "s2")
    before = len(world.rows)
    commands = world.server.handle(EndSession("s1"), world.now)
    assert commands[0] == RemoveSession("s1")
    assert [type(one) for one in commands[1:]] == [Disown, AllocationGone] * 2
    assert before == 6
    assert {one.session.session_id for one in world.server.allocations()} == {"s2"}
    assert code_of(alice.refresh()) == 437
    assert code_of(bob.allocate()) == 403


def test_after_the_end_nothing_is_delivered_and_late_packets_find_nothing(world: World) -> None:
    alice, bob = connected(world)
    world.end()
    alice.send(bob.relayed, b"x")
    alice.send_on(0x4000, b"x")
    world.settles()
    assert world.delivered() == []
    assert world.rows == {}


def test_ending_an_unknown_session_is_no_event(world: World) -> None:
    world.end("never heard of")
    world.end("never heard of")
    assert world.notices == []


def test_a_session_may_be_admitted_again_at_another_address(world: World) -> None:
    alice, _ = connected(world)
    first = alice.relayed.ip
    world.end()
    again, _ = connected(world)
    assert again.relayed.ip != first


def test_8656_7_2_an_address_rests_after_its_session_ended() -> None:
    world = World(
        TurnRules(relayed_prefix="198.18.0.0/24", unauthenticated_answers_burst=10000, max_allocations=10**6)
    )
    seen = set()
    for number in range(254):
        world.admit(f"s{number}")
        alice = world.client("alice", f"s{number}")
        assert code_of(alice.allocate()) == 0
        seen.add(alice.relayed.ip)
        world.end(f"s{number}")
    assert len(seen) == 254
    world.admit("late")
    assert code_of(world.client("alice", "late").allocate()) == 508
    world.passes(900)
    assert code_of(world.client("alice", "late").allocate()) == 0


def test_when_an_allocation_goes_its_rows_go_on_both_sides(world: World) -> None:
    alice, bob = connected(world)
    bob.refresh((a.LIFETIME, 0))
    assert world.rows == {}
    alice.send_on(0x4000, b"x")
    assert world.delivered() == []
    assert alice.bind(0x4000, bob.relayed) == 403
    second = world.client("bob")
    second.allocate()
    assert alice.bind(0x4000, second.relayed) == 0


def test_what_a_party_sends_passes_its_own_limiter_by_whatever_allocation(world: World) -> None:
    alice, bob = connected(world)
    second = world.client("alice")
    second.allocate()
    second.bind(0x4001, bob.relayed)
    limiters = {row.source.five_tuple: row.limiter_ids for row in world.rows.values()}
    assert limiters == {
        alice.five_tuple: ("session:s1:alice", "total"),
        second.five_tuple: ("session:s1:alice", "total"),
        bob.five_tuple: ("session:s1:bob", "total"),
    }


def test_alone_a_credential_admits_its_session_and_no_class_check_applies() -> None:
    world = alone()
    alice, bob, carol = world.client("alice"), world.client("bob"), world.client("carol", "s2")
    for one in (alice, bob, carol):
        assert code_of(one.allocate()) == 0
    assert alice.bind(0x4000, bob.relayed) == 0
    assert bob.bind(0x4000, alice.relayed) == 0
    assert alice.bind(0x4001, carol.relayed) == 403
    assert {row.payload_types for row in world.rows.values()} == {None}


def test_alone_a_session_ends_with_its_last_allocation() -> None:
    world = alone()
    alice, bob = world.client("alice"), world.client("bob")
    alice.allocate()
    bob.allocate()
    alice.refresh((a.LIFETIME, 0))
    assert world.server.session_ip("s1")
    bob.refresh((a.LIFETIME, 0))
    assert world.server.session_ip("s1") is None


def test_alone_an_allocate_that_fails_leaves_no_session_behind() -> None:
    world = alone()
    assert code_of(world.client().allocate((a.RESERVATION_TOKEN, bytes(8)))) == 508
    assert world.server._table.sessions == {}


def test_with_pairing_any_two_allocations_meet_at_one_address() -> None:
    world = anyone()
    alice, bob = world.client("alice", "s1"), world.client("bob", "s2")
    alice.allocate()
    bob.allocate()
    assert alice.relayed.ip == bob.relayed.ip
    assert alice.bind(0x4000, bob.relayed) == 0
    assert bob.bind(0x4001, alice.relayed) == 0
    alice.send_on(0x4000, b"x")
    assert world.delivered() == [Delivery(bob.five_tuple, 0x4001, b"x")]


def test_with_pairing_any_there_is_still_nothing_outside_the_relay() -> None:
    world = anyone()
    alice = world.client()
    alice.allocate()
    for peer in (*FOREIGN, Address(alice.relayed.ip, 49152 + (alice.relayed.port - 49151) % 16384)):
        assert alice.permit(peer) == 403


def test_with_pairing_any_two_part_usernames_are_good() -> None:
    world = anyone()
    alice = world.client()
    for username in ("1900003600:user", "1900003600:@user:example.org"):
        credential = TurnCredential(username, password_for(SECRET, username.encode()).decode())
        one = world.client()
        one.credential = credential
        assert code_of(one.allocate()) == 0
    assert code_of(alice.allocate()) == 0


def test_8656_7_2_a_session_that_allocates_too_fast_is_486(world: World) -> None:
    assert (BURST, PER_SECOND) == (64, 4)
    world.admit()
    codes = [code_of(world.client(party).allocate()) for party in ("alice", "bob") * (BURST // 2)]
    assert codes == [0] * BURST
    alice = world.client()
    answer = alice.allocate()
    assert code_of(answer) == 486
    assert answer.verifies(alice.key)
    reason = RefusalReason.ALLOCATING_TOO_FAST
    assert world.notices[-1] == Refused(alice.five_tuple, reason, "s1", "alice")
    for _ in range(3):
        world.passes(1 / PER_SECOND, sweep=False)
        assert [code_of(world.client().allocate()) for _ in range(2)] == [0, 486]
    world.passes(BURST / PER_SECOND)
    assert [code_of(world.client().allocate()) for _ in range(BURST + 1)] == [0] * BURST + [486]


def test_8656_7_2_the_rate_of_one_session_is_not_that_of_another(world: World) -> None:
    world.admit()
    for _ in range(BURST + 1):
        world.client().allocate()
    world.admit("s2")
    assert code_of(world.client("alice", "s2").allocate()) == 0


def test_8656_7_2_a_486_ends_no_older_allocation_and_is_none_for_a_retransmission(world: World) -> None:
    world.admit()
    clients = [world.client() for _ in range(BURST)]
    tid = clients[-1].next_id()
    for one in clients[:-1]:
        one.allocate()
    clients[-1].allocate(tid=tid)
    live = world.server.allocations()
    assert code_of(world.client().allocate()) == 486
    assert world.server.allocations() == live
    assert code_of(clients[-1].allocate(tid=tid)) == 0


def test_8656_7_2_a_session_that_only_its_credential_admits_keeps_its_rate_when_it_comes_back() -> None:
    world = World(TurnRules(relayed_prefix=PREFIX, admission_required=False))
    codes = []
    for _ in range(BURST + 2):
        alice = world.client()
        codes.append(code_of(alice.allocate()))
        if codes[-1] == 0:
            alice.refresh((a.LIFETIME, 0))
        world.passes(0)
    assert codes == [0] * BURST + [486, 486]
    assert world.server.session_ip("s1") is None


def test_the_end_of_a_session_in_which_nobody_allocated_is_not_told() -> None:
    world = alone()
    alice = world.client()
    alice.learn_nonce()
    bad_token: Field = (a.RESERVATION_TOKEN, bytes(8))
    told = world.handle(Received(alice.five_tuple, alice.signed(Method.ALLOCATE, [UDP, bad_token])))
    assert not [command for command in told if isinstance(command, RemoveSession)]
    assert world.server.session_ip("s1") is None
    alice.allocate()
    told = world.handle(Received(alice.five_tuple, alice.signed(Method.REFRESH, [(a.LIFETIME, 0)])))
    assert RemoveSession("s1") in told
