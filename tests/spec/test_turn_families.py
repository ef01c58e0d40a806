"""Address families, RFC 8656: which one a client is given, whom it reaches there, and who meets across them.

A relay has relayed addresses of one family, that of its prefix. Clients come by either.
"""

from __future__ import annotations

import pytest

from relay.stun import attributes as a
from relay.stun.message import Field, MessageClass, Method, build
from relay.turn.events import TurnRules
from relay.vocabulary import Address
from tests.spec.turn_world import UDP, Client, Delivery, World, code_of

IPV4, IPV6 = 1, 2
PREFIX = {IPV4: "198.18.0.0/15", IPV6: "2001:db8::/64"}
FOREIGN = {IPV4: Address("10.0.0.1", 22), IPV6: Address("2001:db8:1::1", 22)}
WANT_IPV6: Field = (a.REQUESTED_ADDRESS_FAMILY, IPV6)
ALSO_IPV6: Field = (a.ADDITIONAL_ADDRESS_FAMILY, IPV6)
CLIENT_IPS = ["203.0.113.5", "2001:db8:2::5"]


def relaying(family: int) -> World:
    world = World(TurnRules(relayed_prefix=PREFIX[family]))
    world.admit()
    return world


def ipv6_pair() -> tuple[World, Client, Client]:
    world = relaying(IPV6)
    alice, bob = world.client("alice"), world.client("bob")
    for one in (alice, bob):
        assert code_of(one.allocate(WANT_IPV6)) == 0
    return world, alice, bob


# --- Allocate -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ip", CLIENT_IPS)
@pytest.mark.parametrize("fields", [[], [(a.REQUESTED_ADDRESS_FAMILY, IPV4)]], ids=["absent", "ipv4"])
def test_8656_7_2_without_a_requested_family_it_is_ipv4_by_whichever_the_client_came(
    ip: str, fields: list[Field]
) -> None:
    alice = relaying(IPV4).client(ip=ip)
    answer = alice.allocate(*fields)
    assert code_of(answer) == 0
    assert not alice.relayed.is_ipv6
    assert answer.first(a.XOR_MAPPED_ADDRESS) == alice.five_tuple.client


@pytest.mark.parametrize("ip", CLIENT_IPS)
def test_8656_7_2_ipv6_is_given_where_it_is_relayed(ip: str) -> None:
    alice = relaying(IPV6).client(ip=ip)
    answer = alice.allocate(WANT_IPV6)
    assert code_of(answer) == 0
    assert alice.relayed.ip.startswith("2001:db8::")
    assert answer.first(a.XOR_MAPPED_ADDRESS) == alice.five_tuple.client


@pytest.mark.parametrize(
    ("family", "fields"),
    [
        (IPV4, [WANT_IPV6]),
        (IPV4, [(a.REQUESTED_ADDRESS_FAMILY, 0)]),
        (IPV4, [(a.REQUESTED_ADDRESS_FAMILY, 7)]),
        (IPV6, []),
        (IPV6, [(a.REQUESTED_ADDRESS_FAMILY, IPV4)]),
        (IPV6, [(a.REQUESTED_ADDRESS_FAMILY, 7)]),
    ],
)
def test_8656_7_2_a_family_that_is_not_relayed_is_440(family: int, fields: list[Field]) -> None:
    """No family requested means IPv4."""
    world = relaying(family)
    alice = world.client()
    answer = alice.allocate(*fields)
    assert code_of(answer) == 440
    assert answer.verifies(alice.key)
    assert world.server.allocations() == []


@pytest.mark.parametrize("family", [IPV4, IPV6])
@pytest.mark.parametrize(
    "fields",
    [
        [ALSO_IPV6, (a.REQUESTED_ADDRESS_FAMILY, IPV4)],
        [ALSO_IPV6, WANT_IPV6],
        [(a.ADDITIONAL_ADDRESS_FAMILY, IPV4)],
        [(a.ADDITIONAL_ADDRESS_FAMILY, 0)],
        [ALSO_IPV6, (a.EVEN_PORT, True)],
        [ALSO_IPV6, (a.RESERVATION_TOKEN, bytes(8))],
    ],
)
def test_8656_7_2_an_additional_family_goes_with_few_others(family: int, fields: list[Field]) -> None:
    assert relaying(family).client().code(Method.ALLOCATE, UDP, *fields) == 400


@pytest.mark.parametrize(("family", "missing"), [(IPV4, IPV6), (IPV6, IPV4)])
@pytest.mark.parametrize("fields", [[], [(a.EVEN_PORT, False)]])
def test_8656_7_2_of_two_families_the_one_that_is_missing_is_reported(
    family: int, missing: int, fields: list[Field]
) -> None:
    alice = relaying(family).client()
    answer = alice.allocate(ALSO_IPV6, *fields)
    assert code_of(answer) == 0
    assert answer.every(a.XOR_RELAYED_ADDRESS) == [alice.relayed]
    assert alice.relayed.is_ipv6 == (family == IPV6)
    assert answer.every(a.ADDRESS_ERROR_CODE) == [(missing, 440)]


def test_8656_7_2_a_reservation_needs_no_family() -> None:
    world = relaying(IPV6)
    rtp, rtcp = world.client(), world.client()
    token = rtp.allocate(WANT_IPV6, (a.EVEN_PORT, True)).first(a.RESERVATION_TOKEN)
    assert code_of(rtcp.allocate((a.RESERVATION_TOKEN, token))) == 0
    assert rtcp.relayed == Address(rtp.relayed.ip, rtp.relayed.port + 1)


# --- Refresh ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [IPV4, IPV6])
@pytest.mark.parametrize("requested", [0, IPV4, IPV6, 7])
@pytest.mark.parametrize("lifetime", [0, 600])
def test_8656_8_2_refresh_for_another_family_is_443_and_changes_nothing(
    family: int, requested: int, lifetime: int
) -> None:
    world = relaying(family)
    alice = world.client()
    alice.allocate((a.REQUESTED_ADDRESS_FAMILY, family))
    answer = alice.refresh((a.REQUESTED_ADDRESS_FAMILY, requested), (a.LIFETIME, lifetime))
    assert code_of(answer) == (0 if requested == family else 443)
    assert answer.verifies(alice.key)
    if requested != family:
        world.passes(119)
        assert len(world.server.allocations()) == 1
        world.passes(1)
        assert world.server.allocations() == []


# --- peers --------------------------------------------------------------------------------------------


def test_8656_10_2_and_12_2_peers_of_an_ipv6_allocation_are_ipv6() -> None:
    _, alice, bob = ipv6_pair()
    assert alice.permit(bob.relayed) == 0
    assert alice.bind(0x4000, bob.relayed) == 0
    assert alice.permit(FOREIGN[IPV6]) == 403
    assert alice.bind(0x4001, FOREIGN[IPV6]) == 403
    for peer in (FOREIGN[IPV4], Address("198.18.0.1", 50000)):
        assert alice.permit(peer) == 443
        assert alice.permit(bob.relayed, peer) == 443
        assert alice.bind(0x4001, peer) == 443


def test_8656_10_2_and_12_2_peers_of_an_ipv4_allocation_are_ipv4() -> None:
    """Also where the IPv6 address has an IPv4 one in it."""
    alice, bob = relaying(IPV4).pair()
    mapped = Address("::ffff:" + bob.relayed.ip, bob.relayed.port)
    for peer in (FOREIGN[IPV6], mapped, Address("64:ff9b::" + bob.relayed.ip, bob.relayed.port)):
        assert alice.permit(peer) == 443
        assert alice.permit(bob.relayed, peer) == 443
        assert alice.bind(0x4000, peer) == 443


def test_8656_11_2_data_to_a_peer_of_another_family_is_dropped() -> None:
    world = relaying(IPV4)
    alice, bob = world.pair()
    alice.permit(bob.relayed)
    bob.permit(alice.relayed)
    alice.send(Address("::ffff:" + bob.relayed.ip, bob.relayed.port), b"x")
    world.settles()
    assert world.delivered() == []


def test_8656_11_and_12_data_passes_between_ipv6_peers() -> None:
    world, alice, bob = ipv6_pair()
    alice.permit(bob.relayed)
    bob.permit(alice.relayed)
    alice.send(bob.relayed, b"1")
    bob.bind(0x4000, alice.relayed)
    alice.send(bob.relayed, b"2")
    bob.send_on(0x4000, b"3")
    assert world.delivered() == [
        Delivery(bob.five_tuple, alice.relayed, b"1"),
        Delivery(bob.five_tuple, 0x4000, b"2"),
        Delivery(alice.five_tuple, bob.relayed, b"3"),
    ]


# --- across families ----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [IPV4, IPV6])
def test_8656_13_clients_of_both_families_meet_and_only_their_payload_crosses(family: int) -> None:
    """The alternate behaviour for every IP field: nothing of one side's packets is carried to the other."""
    world = relaying(family)
    alice, bob = (
        world.client(*who) for who in (("alice", "s1", CLIENT_IPS[0]), ("bob", "s1", CLIENT_IPS[1]))
    )
    for one in (alice, bob):
        assert code_of(one.allocate((a.REQUESTED_ADDRESS_FAMILY, family), (a.DONT_FRAGMENT, True))) == 0
    for one, other in ((alice, bob), (bob, alice)):
        assert one.permit(other.relayed) == 0
    payload = bytes(range(256)) * 5
    for one, other in ((alice, bob), (bob, alice)):
        fields: list[Field] = [
            (a.XOR_PEER_ADDRESS, other.relayed),
            (a.DONT_FRAGMENT, True),
            (a.DATA, payload),
        ]
        assert one.raw(build(Method.SEND, MessageClass.INDICATION, one.next_id(), fields)) is None
        assert world.delivered() == [Delivery(other.five_tuple, one.relayed, payload)]
