"""Permissions, channels and data, RFC 8656 sections 9 to 12."""

from __future__ import annotations

import pytest

from relay.stun import attributes as a
from relay.stun.message import Field, MessageClass, Method, build
from relay.turn.events import TurnRules
from relay.vocabulary import Address, Leg
from tests.spec.turn_world import Client, Delivery, World

V6 = Address("2001:db8::1", 50000)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def pair(world: World) -> tuple[Client, Client]:
    return world.pair()


def test_9_2_a_permission_needs_a_peer(pair: tuple[Client, Client]) -> None:
    assert pair[0].permit() == 400


def test_9_2_a_peer_of_another_family_is_443(pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    assert alice.permit(V6) == 443
    assert alice.bind(0x4000, V6) == 443
    assert alice.permit(bob.relayed, Address("::ffff:" + bob.relayed.ip, bob.relayed.port)) == 443


def test_9_2_one_refused_peer_means_no_permission_at_all(world: World, pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    assert alice.permit(bob.relayed, Address("10.0.0.1", 22)) == 403
    bob.permit(alice.relayed)
    bob.send(alice.relayed, b"x")
    assert world.delivered() == []


def test_9_data_passes_once_both_permit(world: World, pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    assert alice.permit(bob.relayed) == 0
    assert bob.permit(alice.relayed) == 0
    alice.send(bob.relayed, b"hello")
    assert world.delivered() == [Delivery(bob.five_tuple, alice.relayed, b"hello")]
    bob.send(alice.relayed, b"")
    assert world.delivered() == [Delivery(alice.five_tuple, bob.relayed, b"")]


def test_10_3_a_send_indication_without_permission_is_dropped(
    world: World, pair: tuple[Client, Client]
) -> None:
    alice, bob = pair
    bob.permit(alice.relayed)
    alice.send(bob.relayed, b"hello")
    world.settles()
    assert alice.permit(bob.relayed) == 0
    world.settles()
    assert world.delivered() == []


def test_10_3_of_two_peer_addresses_in_a_send_indication_the_first_counts(
    world: World, pair: tuple[Client, Client]
) -> None:
    alice, bob = pair
    alice.permit(bob.relayed)
    bob.permit(alice.relayed)
    two: list[Field] = [
        (a.XOR_PEER_ADDRESS, bob.relayed),
        (a.XOR_PEER_ADDRESS, alice.relayed),
        (a.DATA, b"1"),
    ]
    alice.raw(build(Method.SEND, MessageClass.INDICATION, bytes(12), two))
    assert [one.to for one in world.delivered()] == [bob.five_tuple]


def test_9_a_permission_lasts_300_seconds_whatever_is_sent(world: World, pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    alice.permit(bob.relayed)
    bob.permit(alice.relayed)
    for _ in range(3):
        alice.refresh((a.LIFETIME, 600))
        bob.refresh((a.LIFETIME, 600))
        world.passes(99)
        alice.send(bob.relayed, b"x")
        assert len(world.delivered()) == 1
    world.passes(3)
    alice.send(bob.relayed, b"x")
    world.settles()
    assert world.delivered() == []
    assert world.rows == {}


def test_9_creating_a_permission_again_prolongs_it(world: World, pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    for _ in range(4):
        for one, other in ((alice, bob), (bob, alice)):
            one.refresh((a.LIFETIME, 600))
            assert one.permit(other.relayed) == 0
        alice.send(bob.relayed, b"x")
        assert len(world.delivered()) == 1
        world.passes(250)


@pytest.mark.parametrize("number", [0, 0x3FFF, 0x5000, 0x677F, 0x7FFE, 0xFFFF])
def test_12_2_a_channel_number_outside_the_range_is_400(pair: tuple[Client, Client], number: int) -> None:
    alice, bob = pair
    assert alice.bind(number, bob.relayed) == 400


@pytest.mark.parametrize(
    ("number", "code"), [(0x5000, 0), (0x677F, 0), (0x7FFE, 0), (0x7FFF, 400), (0x3FFF, 400)]
)
def test_12_2_old_clients_may_be_allowed_the_range_of_rfc_5766(number: int, code: int) -> None:
    world = World(TurnRules(relayed_prefix="198.18.0.0/15", legacy_channels=True))
    alice, bob = world.pair()
    assert alice.bind(number, bob.relayed) == code


def test_12_2_a_channel_needs_a_number_and_a_peer(pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    assert alice.code(Method.CHANNEL_BIND, (a.CHANNEL_NUMBER, 0x4000)) == 400
    assert alice.code(Method.CHANNEL_BIND, (a.XOR_PEER_ADDRESS, bob.relayed)) == 400


def test_12_2_number_and_peer_are_bound_to_each_other_alone(
    world: World, pair: tuple[Client, Client]
) -> None:
    alice, bob = pair
    second = world.client("bob")
    second.allocate()
    assert alice.bind(0x4000, bob.relayed) == 0
    assert alice.bind(0x4000, second.relayed) == 400
    assert alice.bind(0x4001, bob.relayed) == 400
    assert alice.bind(0x4000, bob.relayed) == 0
    assert alice.bind(0x4001, second.relayed) == 0


def test_12_5_channel_data_passes_between_two_bound_parties_by_rows_alone(
    world: World, pair: tuple[Client, Client]
) -> None:
    alice, bob = pair
    assert alice.bind(0x4000, bob.relayed) == 0
    assert bob.bind(0x4ABC, alice.relayed) == 0
    rows = {leg: row.target for leg, row in world.rows.items()}
    assert rows == {
        Leg(alice.five_tuple, 0x4000): Leg(bob.five_tuple, 0x4ABC),
        Leg(bob.five_tuple, 0x4ABC): Leg(alice.five_tuple, 0x4000),
    }


def test_11_5_data_for_a_party_without_a_channel_comes_as_an_indication_that_names_the_row(
    world: World, pair: tuple[Client, Client]
) -> None:
    alice, bob = pair
    alice.bind(0x4000, bob.relayed)
    bob.permit(alice.relayed)
    alice.send_on(0x4000, b"check")
    assert world.delivered() == [Delivery(bob.five_tuple, alice.relayed, b"check")]
    bob.bind(0x4000, alice.relayed)
    alice.send_on(0x4000, b"media")
    assert world.delivered() == [Delivery(bob.five_tuple, 0x4000, b"media")]


def test_12_6_send_indications_to_a_party_with_a_channel_become_channel_data(
    world: World, pair: tuple[Client, Client]
) -> None:
    alice, bob = pair
    alice.permit(bob.relayed)
    bob.bind(0x4007, alice.relayed)
    alice.send(bob.relayed, b"check")
    assert world.delivered() == [Delivery(bob.five_tuple, 0x4007, b"check")]


def test_12_a_clients_permission_from_a_channel_lasts_as_long_as_the_channel(
    world: World, pair: tuple[Client, Client]
) -> None:
    """Clients that refresh channels every 500 s and create no permission keep their call."""
    alice, bob = pair
    for _ in range(3):
        for one, other in ((alice, bob), (bob, alice)):
            one.refresh((a.LIFETIME, 600))
            assert one.bind(0x4000, other.relayed) == 0
        for _ in range(5):
            world.passes(100)
            alice.send_on(0x4000, b"x")
            bob.send_on(0x4000, b"x")
            assert len(world.delivered()) == 2


def test_12_a_channel_ends_after_600_seconds_whatever_is_sent(
    world: World, pair: tuple[Client, Client]
) -> None:
    alice, bob = pair
    alice.bind(0x4000, bob.relayed)
    bob.bind(0x4000, alice.relayed)
    for _ in range(6):
        alice.refresh((a.LIFETIME, 600))
        bob.refresh((a.LIFETIME, 600))
        world.passes(100)
        alice.send_on(0x4000, b"x")
    world.settles()
    assert len(world.delivered()) == 5
    assert world.rows == {}


def test_12_an_expired_channels_number_may_be_bound_to_another_peer_before_the_sweep(
    world: World, pair: tuple[Client, Client]
) -> None:
    alice, bob = pair
    second = world.client("bob")
    second.allocate()
    alice.bind(0x4000, bob.relayed)
    bob.bind(0x4000, alice.relayed)
    for one in (alice, bob, second):
        one.refresh((a.LIFETIME, 600))
    world.passes(300)
    for one in (alice, bob, second):
        one.refresh((a.LIFETIME, 600))
    bob.bind(0x4000, alice.relayed)
    second.permit(alice.relayed)
    world.passes(300, sweep=False)
    assert alice.bind(0x4000, Address("10.0.0.1", 9)) == 403
    assert Leg(alice.five_tuple, 0x4000) not in world.rows
    second.permit(alice.relayed)
    assert alice.bind(0x4000, second.relayed) == 0
    alice.send_on(0x4000, b"x")
    assert [one.to for one in world.delivered()] == [second.five_tuple]


def test_channel_data_on_an_unbound_channel_is_dropped(world: World, pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    bob.permit(alice.relayed)
    alice.send_on(0x4000, b"x")
    assert world.delivered() == []


def test_what_comes_before_the_receivers_permission_is_held_for_a_moment(
    world: World, pair: tuple[Client, Client]
) -> None:
    """The party that has the other's candidates first loses no check."""
    alice, bob = pair
    alice.bind(0x4000, bob.relayed)
    for payload in (b"1", b"2", b"3", b"4", b"5"):
        alice.send_on(0x4000, payload)
    world.passes(2.5)
    assert world.delivered() == []
    bob.permit(alice.relayed)
    world.settles()
    assert [one.payload for one in world.delivered()] == [b"1", b"2", b"3", b"4"]
    assert world.server._router.held_bytes == 0


def test_what_is_held_is_dropped_after_three_seconds(world: World, pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    alice.permit(bob.relayed)
    alice.send(bob.relayed, b"early")
    world.passes(3.1)
    assert world.server._router.held_bytes == 0
    bob.permit(alice.relayed)
    world.settles()
    assert world.delivered() == []


def test_held_data_goes_with_the_allocations_it_came_from_and_was_for(world: World) -> None:
    for gone in (0, 1):
        pair = world.pair(f"h{gone}")
        pair[0].permit(pair[1].relayed)
        pair[0].send(pair[1].relayed, b"early")
        pair[gone].refresh((a.LIFETIME, 0))
        assert world.server._router.held_bytes == 0


def test_held_data_is_bounded_in_all() -> None:
    world = World(TurnRules(relayed_prefix="198.18.0.0/15", max_allocations_per_credential=100))
    world.admit()
    bob = world.client("bob")
    bob.allocate()
    big = bytes(60000)
    for _ in range(30):
        alice = world.client("alice")
        alice.allocate()
        alice.permit(bob.relayed)
        for _ in range(4):
            alice.send(bob.relayed, big)
    assert 0 < world.server._router.held_bytes <= 1 << 20
