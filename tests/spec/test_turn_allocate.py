"""Allocate and Refresh, RFC 8656 sections 7 and 8."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from relay.stun import attributes as a
from relay.stun.message import Field, Message, Method
from relay.turn.allocation_rate import BURST, PER_SECOND
from relay.turn.events import AllocationGone, AllocationMade, GoneReason, Refused, TurnRules
from relay.turn.refusal import RefusalReason
from relay.vocabulary import Address
from tests.spec.turn_world import UDP, Client, World, code_of

PREFIX = "198.18.0.0/15"


@pytest.fixture
def world() -> World:
    made = World()
    made.admit()
    return made


@pytest.fixture
def alice(world: World) -> Client:
    return world.client()


def test_7_2_a_success_names_relayed_and_mapped_address_and_lifetime(alice: Client) -> None:
    answer = alice.allocate()
    relayed = answer.first(a.XOR_RELAYED_ADDRESS)
    assert relayed is not None
    assert relayed.ip.startswith(("198.18.", "198.19."))
    assert 49152 <= relayed.port <= 65535
    assert answer.first(a.XOR_MAPPED_ADDRESS) == alice.five_tuple.client
    assert answer.first(a.LIFETIME) == 120
    assert answer.verifies(alice.key)


def test_7_2_the_allocation_is_told(world: World, alice: Client) -> None:
    alice.allocate()
    assert world.notices == [AllocationMade("s1", "alice", alice.five_tuple, alice.relayed)]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ([], 400),
        ([(a.REQUESTED_TRANSPORT, 6)], 442),
        ([(a.REQUESTED_TRANSPORT, 0)], 442),
        ([UDP, (a.REQUESTED_ADDRESS_FAMILY, 1)], 0),
        ([UDP, (a.REQUESTED_ADDRESS_FAMILY, 2)], 440),
        ([UDP, (a.REQUESTED_ADDRESS_FAMILY, 7)], 440),
        ([UDP, (a.RESERVATION_TOKEN, bytes(8)), (a.EVEN_PORT, False)], 400),
        ([UDP, (a.RESERVATION_TOKEN, bytes(8)), (a.REQUESTED_ADDRESS_FAMILY, 1)], 400),
        ([UDP, (a.RESERVATION_TOKEN, bytes(8)), (a.ADDITIONAL_ADDRESS_FAMILY, 2)], 400),
        ([UDP, (a.RESERVATION_TOKEN, bytes(8))], 508),
        ([UDP, (a.ADDITIONAL_ADDRESS_FAMILY, 2), (a.REQUESTED_ADDRESS_FAMILY, 1)], 400),
        ([UDP, (a.ADDITIONAL_ADDRESS_FAMILY, 1)], 400),
        ([UDP, (a.ADDITIONAL_ADDRESS_FAMILY, 2), (a.EVEN_PORT, True)], 400),
        ([UDP, (a.DONT_FRAGMENT, True)], 0),
        ([UDP, (a.EVEN_PORT, False)], 0),
        ([UDP, (a.MOBILITY_TICKET, b"")], 405),
    ],
)
def test_7_2_the_form_of_the_request_decides(alice: Client, fields: list[Field], code: int) -> None:
    assert alice.code(Method.ALLOCATE, *fields) == code


def test_7_2_a_malformed_attribute_is_400_with_integrity(alice: Client) -> None:
    class _Short:
        number = a.LIFETIME.number

        @staticmethod
        def pack(value: bytes, tid: bytes) -> bytes:
            return value

    answer = alice.ask(Method.ALLOCATE, UDP, (_Short, b"\0\0"))  # type: ignore[arg-type]  # on purpose
    assert code_of(answer) == 400
    assert answer.verifies(alice.key)


def test_7_2_the_additional_family_alone_is_reported_missing(alice: Client) -> None:
    answer = alice.allocate((a.ADDITIONAL_ADDRESS_FAMILY, 2))
    assert answer.first(a.XOR_RELAYED_ADDRESS)
    assert answer.first(a.ADDRESS_ERROR_CODE) == (2, 440)


def test_7_2_an_ipv6_prefix_serves_requests_for_ipv6_only() -> None:
    world = World(TurnRules(relayed_prefix="2001:db8::/64"))
    world.admit()
    alice = world.client()
    assert code_of(alice.allocate()) == 440
    answer = alice.allocate((a.REQUESTED_ADDRESS_FAMILY, 2))
    relayed = answer.first(a.XOR_RELAYED_ADDRESS)
    assert relayed is not None
    assert relayed.ip.startswith("2001:db8::")


@pytest.mark.parametrize(
    ("wanted", "granted"),
    [(0, 120), (1, 120), (120, 120), (121, 121), (600, 600), (601, 600), (2**32 - 1, 600)],
)
@pytest.mark.parametrize("method", ["allocate", "refresh"])
def test_7_2_the_lifetime_is_between_the_default_and_the_most(
    alice: Client, method: str, wanted: int, granted: int
) -> None:
    if method == "refresh":
        if wanted == 0:
            return
        alice.allocate()
    ask: Callable[..., Message] = getattr(alice, method)
    assert ask((a.LIFETIME, wanted)).first(a.LIFETIME) == granted


def test_7_2_a_retransmitted_allocate_gets_the_same_success(world: World, alice: Client) -> None:
    tid = alice.next_id()
    first = alice.allocate(tid=tid)
    again = alice.allocate(tid=tid)
    assert code_of(first) == 0
    assert first.raw == again.raw
    assert len(world.server.allocations()) == 1


def test_7_2_another_allocate_on_the_five_tuple_is_437(alice: Client) -> None:
    alice.allocate()
    answer = alice.allocate()
    assert code_of(answer) == 437
    assert answer.verifies(alice.key)


def test_7_2_one_address_per_session_and_a_port_per_allocation(world: World) -> None:
    alice, bob = world.pair("s2")
    carol, _ = world.pair("s3")
    assert alice.relayed.ip == bob.relayed.ip
    assert alice.relayed.port != bob.relayed.port
    assert carol.relayed.ip != alice.relayed.ip


def test_7_2_even_port_gives_an_even_port_and_reserves_nothing(world: World) -> None:
    for _ in range(16):
        alice = world.client()
        answer = alice.allocate((a.EVEN_PORT, False))
        assert alice.relayed.port % 2 == 0
        assert answer.first(a.RESERVATION_TOKEN) is None


def test_7_2_even_port_with_reservation_keeps_the_next_port_for_its_token(world: World) -> None:
    rtp, rtcp = world.client(), world.client()
    token = rtp.allocate((a.EVEN_PORT, True)).first(a.RESERVATION_TOKEN)
    assert token is not None
    assert rtp.relayed.port % 2 == 0
    rtcp.allocate((a.RESERVATION_TOKEN, token))
    assert rtcp.relayed == Address(rtp.relayed.ip, rtp.relayed.port + 1)
    assert code_of(world.client().allocate((a.RESERVATION_TOKEN, token))) == 508


def test_7_2_a_reservation_ends_after_thirty_seconds(world: World) -> None:
    token = world.client().allocate((a.EVEN_PORT, True)).first(a.RESERVATION_TOKEN)
    world.passes(31)
    assert code_of(world.client().allocate((a.RESERVATION_TOKEN, token))) == 508


def test_7_2_a_reservation_is_its_makers_alone(world: World) -> None:
    token = world.client("alice").allocate((a.EVEN_PORT, True)).first(a.RESERVATION_TOKEN)
    assert code_of(world.client("bob").allocate((a.RESERVATION_TOKEN, token))) == 508
    world.admit("s2")
    assert code_of(world.client("alice", "s2").allocate((a.RESERVATION_TOKEN, token))) == 508


def test_7_2_reservations_are_bounded_per_credential() -> None:
    world = World(TurnRules(relayed_prefix=PREFIX, max_allocations_per_credential=4))
    world.admit()
    codes = [code_of(world.client().allocate((a.EVEN_PORT, True))) for _ in range(6)]
    assert codes == [0, 0, 0, 0, 508, 508]
    world.passes(31)
    assert code_of(world.client().allocate((a.EVEN_PORT, True))) == 0


def test_5_2_beyond_the_bound_of_a_credential_its_oldest_allocation_goes() -> None:
    world = World(TurnRules(relayed_prefix=PREFIX, max_allocations_per_credential=3))
    world.admit()
    clients = [world.client() for _ in range(4)]
    for one in clients:
        assert code_of(one.allocate()) == 0
    live = [one.five_tuple for one in world.server.allocations()]
    assert live == [one.five_tuple for one in clients[1:]]
    gone = [notice for notice in world.notices if isinstance(notice, AllocationGone)]
    assert [(one.five_tuple, one.reason) for one in gone] == [(clients[0].five_tuple, GoneReason.REPLACED)]


def test_7_2_a_full_relay_answers_508() -> None:
    world = World(TurnRules(relayed_prefix=PREFIX, max_allocations=2))
    world.admit()
    codes = [code_of(world.client().allocate()) for _ in range(3)]
    assert codes == [0, 0, 508]


def test_7_2_when_all_ports_are_in_use_the_answer_is_508() -> None:
    world = World(
        TurnRules(
            relayed_prefix=PREFIX,
            pairing="any",
            admission_required=False,
            max_allocations_per_credential=9000,
            unauthenticated_answers_burst=9000,
        )
    )
    for _ in range(8192):
        world.client().allocate((a.EVEN_PORT, False))
    assert code_of(world.client().allocate((a.EVEN_PORT, False))) == 508
    assert code_of(world.client().allocate()) == 0


def test_7_2_a_session_that_allocates_too_fast_is_486(world: World) -> None:
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


def test_7_2_the_rate_of_one_session_is_not_that_of_another(world: World) -> None:
    for _ in range(BURST + 1):
        world.client().allocate()
    world.admit("s2")
    assert code_of(world.client("alice", "s2").allocate()) == 0


def test_7_2_a_486_ends_no_older_allocation_and_is_none_for_a_retransmission(world: World) -> None:
    clients = [world.client() for _ in range(BURST)]
    tid = clients[-1].next_id()
    for one in clients[:-1]:
        one.allocate()
    clients[-1].allocate(tid=tid)
    live = world.server.allocations()
    assert code_of(world.client().allocate()) == 486
    assert world.server.allocations() == live
    assert code_of(clients[-1].allocate(tid=tid)) == 0


def test_7_2_a_session_that_only_its_credential_admits_keeps_its_rate_when_it_comes_back() -> None:
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


def test_8_2_refresh_prolongs(world: World, alice: Client) -> None:
    alice.allocate()
    for _ in range(5):
        world.passes(100)
        assert code_of(alice.refresh()) == 0
    world.passes(120)
    assert world.server.allocations() == []


def test_8_2_refresh_to_zero_deletes(world: World, alice: Client) -> None:
    alice.allocate()
    answer = alice.refresh((a.LIFETIME, 0))
    assert answer.first(a.LIFETIME) == 0
    assert answer.verifies(alice.key)
    assert world.server.allocations() == []
    assert code_of(alice.refresh((a.LIFETIME, 0))) == 437
    gone = AllocationGone("s1", "alice", alice.five_tuple, alice.relayed, GoneReason.CLOSED)
    assert world.notices[1] == gone


def test_8_2_refresh_for_another_family_is_443(alice: Client) -> None:
    alice.allocate()
    assert alice.code(Method.REFRESH, (a.REQUESTED_ADDRESS_FAMILY, 2)) == 443
    assert alice.code(Method.REFRESH, (a.REQUESTED_ADDRESS_FAMILY, 1)) == 0


def test_8_an_allocation_that_is_not_refreshed_expires(world: World, alice: Client) -> None:
    alice.allocate()
    world.passes(119)
    assert len(world.server.allocations()) == 1
    world.passes(1)
    assert world.server.allocations() == []
    assert isinstance(world.notices[-1], AllocationGone)
    assert world.notices[-1].reason is GoneReason.EXPIRED


def test_8_an_expired_allocation_is_gone_even_before_the_sweep(world: World, alice: Client) -> None:
    alice.allocate()
    world.passes(120, sweep=False)
    assert code_of(alice.refresh()) == 437


def test_7_2_a_port_is_not_used_again_soon(world: World) -> None:
    seen = set()
    for _ in range(200):
        alice = world.client()
        alice.allocate()
        assert alice.relayed.port not in seen
        seen.add(alice.relayed.port)
        alice.refresh((a.LIFETIME, 0))
        world.passes(1 / PER_SECOND, sweep=False)


@pytest.mark.parametrize("method", [Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND])
def test_5_requests_without_an_allocation_are_437(alice: Client, method: Method) -> None:
    answer = alice.ask(method)
    assert code_of(answer) == 437
    assert answer.verifies(alice.key)
