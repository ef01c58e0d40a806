"""Allocate and Refresh, RFC 8656 sections 7 and 8."""

from __future__ import annotations

from itertools import pairwise

import pytest

from relay.stun import attributes as a
from relay.stun.message import Field, Message, Method
from relay.turn import address_pool
from relay.turn.address_pool import FIRST_PORT, LAST_PORT
from relay.turn.allocation_rate import PER_SECOND
from relay.turn.events import AllocationGone, AllocationMade, GoneReason, TurnRules
from relay.vocabulary import Address
from tests.spec.turn_world import UDP, Client, World, as_written, code_of

PREFIX = "198.18.0.0/15"
TOKEN: Field = (a.RESERVATION_TOKEN, bytes(8))
PAIRS = 8


@pytest.fixture
def world() -> World:
    made = World()
    made.admit()
    return made


@pytest.fixture
def alice(world: World) -> Client:
    return world.client()


@pytest.fixture
def few_ports(monkeypatch: pytest.MonkeyPatch) -> World:
    """Sixteen ports to an address, in eight pairs."""
    monkeypatch.setattr(address_pool, "LAST_PORT", FIRST_PORT + 2 * PAIRS - 1)
    made = World()
    made.admit()
    return made


def test_8656_7_2_a_success_names_relayed_and_mapped_address_and_lifetime(alice: Client) -> None:
    answer = alice.allocate()
    relayed = answer.first(a.XOR_RELAYED_ADDRESS)
    assert relayed is not None
    assert relayed.ip.startswith(("198.18.", "198.19."))
    assert answer.first(a.XOR_MAPPED_ADDRESS) == alice.five_tuple.client
    assert answer.first(a.LIFETIME) == 120
    assert answer.verifies(alice.key)
    # And no SOFTWARE.
    assert {number for number, _ in answer.attributes} == {
        a.XOR_RELAYED_ADDRESS.number,
        a.XOR_MAPPED_ADDRESS.number,
        a.LIFETIME.number,
    }


def test_8656_7_2_the_allocation_is_told(world: World, alice: Client) -> None:
    alice.allocate()
    assert world.notices == [AllocationMade("s1", "alice", alice.five_tuple, alice.relayed)]
    assert world.owned == {alice.five_tuple}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ([], 400),
        ([as_written(a.REQUESTED_TRANSPORT, b"")], 400),
        ([as_written(a.REQUESTED_TRANSPORT, b"\x11\0\0")], 400),
        ([(a.REQUESTED_TRANSPORT, 0)], 442),
        ([(a.REQUESTED_TRANSPORT, 6)], 442),
        ([(a.REQUESTED_TRANSPORT, 18)], 442),
        ([(a.REQUESTED_TRANSPORT, 255)], 442),
        ([(a.REQUESTED_TRANSPORT, 6), TOKEN, (a.EVEN_PORT, False)], 442),
        ([UDP, TOKEN, (a.EVEN_PORT, False)], 400),
        ([UDP, TOKEN, (a.EVEN_PORT, True)], 400),
        ([UDP, TOKEN, (a.REQUESTED_ADDRESS_FAMILY, 1)], 400),
        ([UDP, TOKEN, (a.REQUESTED_ADDRESS_FAMILY, 2)], 400),
        ([UDP, TOKEN, (a.ADDITIONAL_ADDRESS_FAMILY, 2)], 400),
        ([UDP, TOKEN], 508),
        ([UDP, as_written(a.RESERVATION_TOKEN, bytes(7))], 400),
        ([UDP, as_written(a.RESERVATION_TOKEN, bytes(9))], 400),
        ([UDP, as_written(a.LIFETIME, bytes(2))], 400),
        ([UDP, as_written(a.EVEN_PORT, bytes(4))], 400),
        ([UDP, (a.MOBILITY_TICKET, b"")], 405),
        ([UDP, (a.DONT_FRAGMENT, True)], 0),
        ([UDP, (a.EVEN_PORT, False)], 0),
    ],
)
def test_8656_7_2_the_form_of_the_request_decides(
    world: World, alice: Client, fields: list[Field], code: int
) -> None:
    answer = alice.ask(Method.ALLOCATE, *fields)
    assert code_of(answer) == code
    assert answer.verifies(alice.key)
    assert len(world.server.allocations()) == (code == 0)


LIFETIMES = [(None, 120), (0, 120), (1, 120), (119, 120), (120, 120), (121, 121), (599, 599), (600, 600),
             (601, 600), (3600, 600), (2**32 - 1, 600)]  # fmt: skip


def lifetime(wanted: int | None) -> list[Field]:
    return [] if wanted is None else [(a.LIFETIME, wanted)]


def lives_for(world: World, seconds: int) -> None:
    """What is there lives so long and no longer."""
    world.passes(seconds - 1)
    assert len(world.server.allocations()) == 1
    world.passes(1)
    assert world.server.allocations() == []


@pytest.mark.parametrize(("wanted", "granted"), LIFETIMES)
def test_8656_7_2_a_lifetime_is_between_the_default_and_the_most_and_is_what_the_answer_says(
    world: World, alice: Client, wanted: int | None, granted: int
) -> None:
    assert alice.allocate(*lifetime(wanted)).first(a.LIFETIME) == granted
    lives_for(world, granted)


@pytest.mark.parametrize(("wanted", "granted"), [one for one in LIFETIMES if one[0] != 0])
def test_8656_8_2_a_refreshed_lifetime_counts_from_now(
    world: World, alice: Client, wanted: int | None, granted: int
) -> None:
    alice.allocate((a.LIFETIME, 600))
    world.passes(50)
    assert alice.refresh(*lifetime(wanted)).first(a.LIFETIME) == granted
    lives_for(world, granted)


@pytest.mark.parametrize(("wanted", "granted"), [(None, 30), (29, 30), (31, 31), (3600, 3600), (3601, 3600)])
def test_8656_7_2_the_bounds_of_a_lifetime_can_be_set(wanted: int | None, granted: int) -> None:
    world = World(TurnRules(relayed_prefix=PREFIX, default_lifetime_seconds=30, max_lifetime_seconds=3600))
    world.admit()
    assert world.client().allocate(*lifetime(wanted)).first(a.LIFETIME) == granted


def retransmitted(alice: Client, *fields: Field) -> tuple[Message, Message]:
    tid = alice.next_id()
    return alice.allocate(*fields, tid=tid), alice.allocate(*fields, tid=tid)


@pytest.mark.parametrize("fields", [[], [(a.EVEN_PORT, True)], [(a.LIFETIME, 300)]])
def test_8489_6_3_1_a_retransmitted_allocate_gets_the_same_success(
    world: World, alice: Client, fields: list[Field]
) -> None:
    first, again = retransmitted(alice, *fields)
    assert code_of(first) == 0
    assert first.raw == again.raw
    assert len(world.server.allocations()) == 1
    assert len(world.notices) == 1


def test_8489_6_3_1_a_retransmitted_allocate_prolongs_nothing(world: World, alice: Client) -> None:
    tid = alice.next_id()
    alice.allocate(tid=tid)
    world.passes(60)
    assert code_of(alice.allocate(tid=tid)) == 0
    lives_for(world, 60)


def test_8656_7_2_another_allocate_on_the_five_tuple_is_437(world: World, alice: Client) -> None:
    tid = alice.next_id()
    first = alice.allocate(tid=tid)
    answer = alice.allocate()
    assert code_of(answer) == 437
    assert answer.verifies(alice.key)
    assert alice.allocate(tid=tid).raw == first.raw
    assert len(world.server.allocations()) == 1


def test_8656_7_2_one_address_per_session_and_a_port_per_allocation(world: World) -> None:
    alice, bob = world.pair("s2")
    carol, _ = world.pair("s3")
    assert alice.relayed.ip == bob.relayed.ip
    assert alice.relayed.port != bob.relayed.port
    assert carol.relayed.ip != alice.relayed.ip


def test_8656_7_2_ports_are_of_the_dynamic_range_and_follow_no_order() -> None:
    world = World(TurnRules(relayed_prefix=PREFIX, pairing="any", admission_required=False))
    ports = []
    for _ in range(100):
        alice = world.client()
        alice.allocate()
        ports.append(alice.relayed.port)
    assert all(FIRST_PORT <= port <= LAST_PORT for port in ports)
    assert (FIRST_PORT, LAST_PORT) == (49152, 65535)
    assert 30 < sum(one < other for one, other in pairwise(ports)) < 70


def test_8656_7_2_even_port_gives_an_even_port_and_reserves_nothing(few_ports: World) -> None:
    for _ in range(PAIRS):
        alice = few_ports.client()
        answer = alice.allocate((a.EVEN_PORT, False))
        assert alice.relayed.port % 2 == 0
        assert answer.first(a.RESERVATION_TOKEN) is None
    assert code_of(few_ports.client("bob").allocate((a.EVEN_PORT, False))) == 508
    assert [code_of(few_ports.client("bob").allocate()) for _ in range(PAIRS + 1)] == [0] * PAIRS + [508]


def test_8656_7_2_even_port_with_reservation_keeps_the_next_port_for_its_token(world: World) -> None:
    rtp, rtcp = world.client(), world.client()
    token = rtp.allocate((a.EVEN_PORT, True)).first(a.RESERVATION_TOKEN)
    assert token is not None
    assert len(token) == 8
    assert rtp.relayed.port % 2 == 0
    assert code_of(rtcp.allocate((a.RESERVATION_TOKEN, token), (a.EVEN_PORT, False))) == 400
    rtcp.allocate((a.RESERVATION_TOKEN, token))
    assert rtcp.relayed == Address(rtp.relayed.ip, rtp.relayed.port + 1)
    assert code_of(world.client().allocate((a.RESERVATION_TOKEN, token))) == 508


def test_8656_7_2_tokens_do_not_tell_each_other(world: World) -> None:
    tokens = [world.client().allocate((a.EVEN_PORT, True)).first(a.RESERVATION_TOKEN) for _ in range(8)]
    assert len({(token or b"")[:4] for token in tokens}) == 8


@pytest.mark.parametrize(("seconds", "code"), [(29, 0), (30, 508)])
def test_8656_7_2_a_reservation_lasts_thirty_seconds(world: World, seconds: int, code: int) -> None:
    rtp, rtcp = world.client(), world.client()
    token = rtp.allocate((a.EVEN_PORT, True)).first(a.RESERVATION_TOKEN)
    world.passes(seconds, sweep=False)
    assert code_of(rtcp.allocate((a.RESERVATION_TOKEN, token))) == code


def test_8656_7_2_reserved_ports_are_nobody_elses_and_come_back(few_ports: World) -> None:
    for _ in range(2):
        owners = [few_ports.client() for _ in range(PAIRS)]
        assert [code_of(one.allocate((a.EVEN_PORT, True))) for one in owners] == [0] * PAIRS
        assert code_of(few_ports.client("bob").allocate()) == 508
        few_ports.passes(30)
        assert code_of(few_ports.client("bob").allocate((a.LIFETIME, 0))) == 0
        few_ports.passes(120)
        assert few_ports.server.allocations() == []


def test_8656_7_2_a_reservation_is_its_makers_alone(world: World) -> None:
    token = world.client("alice").allocate((a.EVEN_PORT, True)).first(a.RESERVATION_TOKEN)
    assert code_of(world.client("bob").allocate((a.RESERVATION_TOKEN, token))) == 508
    world.admit("s2")
    assert code_of(world.client("alice", "s2").allocate((a.RESERVATION_TOKEN, token))) == 508


def test_8656_7_2_reservations_are_bounded_per_credential() -> None:
    world = World(TurnRules(relayed_prefix=PREFIX, max_allocations_per_credential=4))
    world.admit()
    codes = [code_of(world.client().allocate((a.EVEN_PORT, True))) for _ in range(6)]
    assert codes == [0, 0, 0, 0, 508, 508]
    world.passes(31)
    assert code_of(world.client().allocate((a.EVEN_PORT, True))) == 0


def test_8656_7_2_beyond_the_bound_of_a_credential_its_oldest_allocation_goes() -> None:
    """Whatever address its allocations were made from; another's at the same address is left alone."""
    world = World(TurnRules(relayed_prefix=PREFIX, max_allocations_per_credential=3))
    world.admit()
    bob = world.client("bob", ip="203.0.113.1")
    bob.allocate()
    clients = [world.client(ip=f"203.0.113.{number}") for number in range(1, 5)]
    for one in clients:
        assert code_of(one.allocate()) == 0
    live = [one.five_tuple for one in world.server.allocations()]
    assert live == [one.five_tuple for one in (bob, *clients[1:])]
    gone = [(one.five_tuple, one.reason) for one in world.gone]
    assert gone == [(clients[0].five_tuple, GoneReason.REPLACED)]


@pytest.mark.parametrize("fields", [[TOKEN], [(a.EVEN_PORT, True)]], ids=["token", "reservation"])
def test_8656_7_2_an_allocate_that_is_refused_ends_no_older_allocation(fields: list[Field]) -> None:
    world = World(TurnRules(relayed_prefix=PREFIX, max_allocations_per_credential=2))
    world.admit()
    for _ in range(2):
        world.client().allocate((a.EVEN_PORT, True))
    live = world.server.allocations()
    assert code_of(world.client().allocate(*fields)) == 508
    assert world.server.allocations() == live


def test_8656_7_2_a_full_relay_answers_508() -> None:
    world = World(TurnRules(relayed_prefix=PREFIX, max_allocations=2))
    world.admit()
    codes = [code_of(world.client().allocate()) for _ in range(3)]
    assert codes == [0, 0, 508]


def test_8656_8_2_refresh_prolongs(world: World, alice: Client) -> None:
    alice.allocate()
    for _ in range(5):
        world.passes(100)
        assert code_of(alice.refresh()) == 0
    world.passes(120)
    assert world.server.allocations() == []


def test_8656_8_2_refresh_to_zero_deletes(world: World, alice: Client) -> None:
    alice.allocate()
    answer = alice.refresh((a.LIFETIME, 0))
    assert answer.first(a.LIFETIME) == 0
    assert answer.verifies(alice.key)
    assert world.server.allocations() == []
    assert code_of(alice.refresh((a.LIFETIME, 0))) == 437
    gone = AllocationGone("s1", "alice", alice.five_tuple, alice.relayed, GoneReason.CLOSED)
    assert world.notices[1] == gone
    assert world.owned == set()


def test_8656_8_an_allocation_that_is_not_refreshed_expires(world: World, alice: Client) -> None:
    alice.allocate()
    world.passes(119)
    assert len(world.server.allocations()) == 1
    world.passes(1)
    assert world.server.allocations() == []
    assert isinstance(world.notices[-1], AllocationGone)
    assert world.notices[-1].reason is GoneReason.EXPIRED


def test_8656_8_an_expired_allocation_is_gone_even_before_the_sweep(world: World, alice: Client) -> None:
    alice.allocate()
    world.passes(120, sweep=False)
    assert code_of(alice.refresh()) == 437


def test_8656_7_2_a_port_is_not_used_again_soon(world: World) -> None:
    seen = set()
    for _ in range(200):
        alice = world.client()
        alice.allocate()
        assert alice.relayed.port not in seen
        seen.add(alice.relayed.port)
        alice.refresh((a.LIFETIME, 0))
        world.passes(1 / PER_SECOND, sweep=False)


@pytest.mark.parametrize("method", [Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND])
def test_8656_5_requests_without_an_allocation_are_437(alice: Client, method: Method) -> None:
    answer = alice.ask(method)
    assert code_of(answer) == 437
    assert answer.verifies(alice.key)
