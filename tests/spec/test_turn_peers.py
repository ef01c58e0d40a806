"""Permissions, and data in Send and Data indications, RFC 8656 sections 9 to 11."""

from __future__ import annotations

import pytest

from relay.stun import attributes as a
from relay.stun.message import Field, MessageClass, Method, build
from relay.turn.events import ControlDrop, TurnRules
from relay.vocabulary import Address, Leg
from tests.spec.turn_world import UNKNOWN_REQUIRED, Client, Delivery, World, as_written

V6 = Address("2001:db8::1", 50000)
FOREIGN = Address("10.0.0.1", 22)
GARBLED = as_written(a.XOR_PEER_ADDRESS, b"\0\7" + bytes(6))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def pair(world: World) -> tuple[Client, Client]:
    return world.lasting_pair()


def hears(sender: Client, receiver: Client) -> bool:
    """Whether what is sent in an indication arrives, and now."""
    sender.world.delivered()
    sender.send(receiver.relayed, b"x")
    return [one.to for one in sender.world.delivered()] == [receiver.five_tuple]


def peer(address: Address) -> Field:
    return (a.XOR_PEER_ADDRESS, address)


def indication(*fields: Field) -> bytes:
    return build(Method.SEND, MessageClass.INDICATION, bytes(12), fields)


# --- CreatePermission ---------------------------------------------------------------------------------


def test_8656_10_2_a_permission_needs_a_peer(pair: tuple[Client, Client]) -> None:
    assert pair[0].permit() == 400


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize(
    ("bad", "code"), [(peer(FOREIGN), 403), (peer(V6), 443), (GARBLED, 400)], ids=["403", "443", "400"]
)
def test_8656_10_2_one_bad_peer_means_no_permission_at_all(
    pair: tuple[Client, Client], bad: Field, code: int, at: int
) -> None:
    alice, bob = pair
    peers = [peer(bob.relayed), peer(bob.relayed)]
    peers.insert(at, bad)
    assert alice.code(Method.CREATE_PERMISSION, *peers) == code
    bob.permit(alice.relayed)
    assert not hears(bob, alice)
    assert not hears(alice, bob)


def test_8656_10_2_a_bad_peer_leaves_an_older_permission_alone(pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    assert alice.permit(bob.relayed) == 0
    bob.permit(alice.relayed)
    assert alice.permit(bob.relayed, FOREIGN) == 403
    assert hears(bob, alice)


def test_8656_10_2_a_request_may_name_many_peers(pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    assert alice.permit(*[bob.relayed] * 100) == 0
    bob.permit(alice.relayed)
    assert hears(bob, alice)


# --- permissions --------------------------------------------------------------------------------------


def test_8656_9_data_passes_once_both_permit_and_not_before(pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    assert not hears(alice, bob)
    assert alice.permit(bob.relayed) == 0
    assert not hears(alice, bob)
    assert not hears(bob, alice)
    assert bob.permit(alice.relayed) == 0
    assert hears(alice, bob)
    assert hears(bob, alice)


@pytest.mark.parametrize("lapsed", [0, 1])
def test_8656_9_a_permission_lasts_300_seconds_and_counts_both_ways(
    world: World, pair: tuple[Client, Client], lapsed: int
) -> None:
    """Each party's own decides what it sends in indications and what it hears."""
    one, other = pair[lapsed], pair[1 - lapsed]
    one.permit(other.relayed)
    world.passes(299)
    other.permit(one.relayed)
    assert hears(one, other)
    assert hears(other, one)
    world.passes(1, sweep=False)
    assert not hears(one, other)
    assert not hears(other, one)
    world.passes(0)
    assert world.rows == {}


def test_8656_9_neither_data_nor_refresh_prolongs_a_permission(
    world: World, pair: tuple[Client, Client]
) -> None:
    alice, bob = pair
    alice.permit(bob.relayed)
    bob.permit(alice.relayed)
    for _ in range(3):
        alice.refresh((a.LIFETIME, 600))
        bob.refresh((a.LIFETIME, 600))
        world.passes(99)
        assert hears(alice, bob)
        assert hears(bob, alice)
    world.passes(3)
    assert not hears(alice, bob)
    assert not hears(bob, alice)


def test_8656_9_creating_a_permission_again_prolongs_it(world: World, pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    for _ in range(4):
        for one, other in ((alice, bob), (bob, alice)):
            one.refresh((a.LIFETIME, 600))
            assert one.permit(other.relayed) == 0
        assert hears(alice, bob)
        world.passes(250)


def test_8656_9_a_permission_is_for_an_ip_address_whatever_the_port(
    world: World, pair: tuple[Client, Client]
) -> None:
    alice, bob = pair
    second = world.client("bob")
    second.allocate()
    alice.permit(bob.relayed)
    second.permit(alice.relayed)
    assert hears(alice, second)
    assert hears(second, alice)


def test_8656_9_a_permission_is_of_one_allocation_alone(world: World, pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    second = world.client("alice")
    second.allocate()
    alice.permit(bob.relayed)
    bob.permit(alice.relayed)
    assert hears(alice, bob)
    assert not hears(second, bob)
    assert not hears(bob, second)


def test_8656_11_3_a_permission_that_ends_silences_the_peers_channel(
    world: World, pair: tuple[Client, Client]
) -> None:
    """Permission and channel are looked at both, and the channel is the longer one."""
    alice, bob = pair
    alice.bind(0x4000, bob.relayed)
    bob.permit(alice.relayed)
    world.passes(299)
    alice.send_on(0x4000, b"1")
    world.passes(1)
    alice.send_on(0x4000, b"2")
    world.settles()
    assert [one.payload for one in world.delivered()] == [b"1"]
    assert not hears(bob, alice)
    assert world.rows == {}
    bob.permit(alice.relayed)
    alice.send_on(0x4000, b"3")
    assert [one.payload for one in world.delivered()] == [b"3"]


# --- Send and Data ------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"x", bytes(range(256)) * 5])
def test_8656_11_2_data_of_any_length_is_delivered_as_it_is(
    world: World, pair: tuple[Client, Client], payload: bytes
) -> None:
    alice, bob = pair
    alice.permit(bob.relayed)
    bob.permit(alice.relayed)
    alice.send(bob.relayed, payload)
    assert world.delivered() == [Delivery(bob.five_tuple, alice.relayed, payload)]


def test_8656_11_2_a_send_indication_without_permission_is_dropped(
    world: World, pair: tuple[Client, Client]
) -> None:
    alice, bob = pair
    bob.permit(alice.relayed)
    alice.send(bob.relayed, b"hello")
    world.settles()
    assert alice.permit(bob.relayed) == 0
    world.settles()
    assert world.delivered() == []
    assert world.server.dropped == {ControlDrop.NOT_PERMITTED: 1}


@pytest.mark.parametrize("good_first", [True, False])
def test_8656_11_2_of_two_peer_addresses_in_a_send_indication_the_first_counts(
    world: World, pair: tuple[Client, Client], good_first: bool
) -> None:
    alice, bob = pair
    alice.permit(bob.relayed)
    bob.permit(alice.relayed)
    both = [peer(bob.relayed), peer(FOREIGN)]
    alice.raw(indication(*(both if good_first else both[::-1]), (a.DATA, b"1"), (a.DATA, b"2")))
    assert [(one.to, one.payload) for one in world.delivered()] == [(bob.five_tuple, b"1")] * good_first


def test_8656_11_2_a_send_indication_that_is_not_whole_or_not_understood_is_dropped(
    world: World, pair: tuple[Client, Client]
) -> None:
    alice, bob = pair
    alice.permit(bob.relayed)
    bob.permit(alice.relayed)
    good: list[Field] = [peer(bob.relayed), (a.DATA, b"x")]
    for fields in (good[:1], good[1:], [GARBLED, good[1]], [*good, UNKNOWN_REQUIRED]):
        assert alice.raw(indication(*fields)) is None
        assert world.delivered() == []
    alice.raw(indication(*good))
    assert len(world.delivered()) == 1


def test_8656_11_3_data_for_a_party_without_a_channel_comes_as_an_indication_that_names_the_row(
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


def test_8656_11_2_what_is_sent_often_goes_by_a_row(world: World, pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    alice.permit(bob.relayed)
    bob.permit(alice.relayed)
    assert world.rows == {}
    alice.send(bob.relayed, b"x")
    rows = {leg: row.target for leg, row in world.rows.items()}
    assert rows == {Leg(alice.five_tuple, bob.relayed): Leg(bob.five_tuple, alice.relayed)}


def test_8656_8_no_data_prolongs_an_allocation(world: World) -> None:
    alice, bob = world.pair()
    alice.bind(0x4000, bob.relayed)
    bob.bind(0x4000, alice.relayed)
    world.passes(119)
    for one, other in ((alice, bob), (bob, alice)):
        assert hears(one, other)
        one.send_on(0x4000, b"x")
    assert len(world.server.allocations()) == 2
    world.passes(1)
    assert world.server.allocations() == []


# --- what comes a moment too early --------------------------------------------------------------------


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
