"""Channels, RFC 8656 section 12."""

from __future__ import annotations

import pytest

from relay.stun import attributes as a
from relay.stun import channel_data
from relay.stun.framing import StreamFraming, padded
from relay.stun.malformed import MalformedError
from relay.stun.message import Field, MessageClass, Method, parse
from relay.turn.events import ControlDrop, Install, Received, Send, TurnRules
from relay.vocabulary import Address, Leg, Transport
from tests.spec.turn_world import Client, Delivery, World, as_written, code_of

FOREIGN = Address("10.0.0.1", 22)
V6 = Address("2001:db8::1", 50000)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def pair(world: World) -> tuple[Client, Client]:
    return world.lasting_pair()


def bound(world: World) -> tuple[Client, Client]:
    """Each has a channel to the other, of different numbers."""
    alice, bob = world.pair()
    assert alice.bind(0x4000, bob.relayed) == 0
    assert bob.bind(0x4ABC, alice.relayed) == 0
    return alice, bob


def refresh(*clients: Client) -> None:
    for one in clients:
        assert code_of(one.refresh((a.LIFETIME, 600))) == 0


# --- ChannelBind --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 0x3FFF, 0x5000, 0x677F, 0x7FFE, 0x7FFF, 0x8000, 0xFFFF])
def test_8656_12_2_a_channel_number_outside_the_range_is_400(
    pair: tuple[Client, Client], number: int
) -> None:
    alice, bob = pair
    assert alice.bind(number, bob.relayed) == 400


@pytest.mark.parametrize("number", [0x4000, 0x4001, 0x4FFF])
def test_8656_12_2_a_channel_number_of_the_range_is_bound(pair: tuple[Client, Client], number: int) -> None:
    alice, bob = pair
    assert alice.bind(number, bob.relayed) == 0


@pytest.mark.parametrize(
    ("number", "code"), [(0x5000, 0), (0x677F, 0), (0x7FFE, 0), (0x7FFF, 400), (0x3FFF, 400)]
)
def test_8656_12_2_old_clients_may_be_allowed_the_range_of_rfc_5766(number: int, code: int) -> None:
    world = World(TurnRules(relayed_prefix="198.18.0.0/15", legacy_channels=True))
    alice, bob = world.pair()
    assert alice.bind(number, bob.relayed) == code


def test_8656_12_2_a_channel_needs_a_number_and_a_peer(pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    number: Field = (a.CHANNEL_NUMBER, 0x4000)
    peer: Field = (a.XOR_PEER_ADDRESS, bob.relayed)
    for fields in (
        [number],
        [peer],
        [as_written(a.CHANNEL_NUMBER, b"\x40\0"), peer],
        [number, as_written(a.XOR_PEER_ADDRESS, b"\0\7" + bytes(6))],
    ):
        assert alice.code(Method.CHANNEL_BIND, *fields) == 400


def test_8656_12_2_number_and_peer_are_bound_to_each_other_alone(
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
    assert alice.bind(0x4001, bob.relayed) == 400


def test_8656_12_2_numbers_are_each_allocations_own(world: World, pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    second = world.client("alice")
    second.allocate()
    for one in (alice, second):
        assert one.bind(0x4000, bob.relayed) == 0
    bob.permit(alice.relayed)
    alice.send_on(0x4000, b"1")
    second.send_on(0x4000, b"2")
    assert [one.form for one in world.delivered()] == [alice.relayed, second.relayed]


@pytest.mark.parametrize(
    ("number", "peer", "code"),
    [
        (0x5000, None, 400),
        (0x4000, FOREIGN, 403),
        (0x4000, V6, 443),
        (0x5000, V6, 400),
        (0x5000, FOREIGN, 400),
    ],
)
def test_8656_12_2_a_channel_that_is_refused_leaves_neither_channel_nor_permission(
    world: World, pair: tuple[Client, Client], number: int, peer: Address | None, code: int
) -> None:
    alice, bob = pair
    assert alice.bind(number, peer or bob.relayed) == code
    bob.permit(alice.relayed)
    bob.send(alice.relayed, b"x")
    alice.send_on(0x4000, b"x")
    world.settles()
    assert world.delivered() == []
    assert world.rows == {}
    assert alice.bind(0x4000, bob.relayed) == 0


def test_8656_12_2_a_channel_brings_a_permission(world: World, pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    bob.permit(alice.relayed)
    assert alice.bind(0x4000, bob.relayed) == 0
    bob.send(alice.relayed, b"1")
    alice.send(bob.relayed, b"2")
    assert [one.payload for one in world.delivered()] == [b"1", b"2"]


def test_8656_12_2_a_row_is_there_only_after_the_answer_has_gone(
    world: World, pair: tuple[Client, Client]
) -> None:
    """So that nothing on a channel overtakes the success its owner waits for."""
    alice, bob = pair
    bob.bind(0x4ABC, alice.relayed)
    fields: list[Field] = [(a.CHANNEL_NUMBER, 0x4000), (a.XOR_PEER_ADDRESS, bob.relayed)]
    request = alice.signed(Method.CHANNEL_BIND, fields)
    commands = world.handle(Received(alice.five_tuple, request))
    assert [type(one) for one in commands] == [Send, Install, Install]


def test_8656_12_2_binding_the_same_pair_again_prolongs_it(world: World, pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    for seconds in (0, 500):
        world.passes(seconds)
        refresh(alice, bob)
        for one, other in ((alice, bob), (bob, alice)):
            assert one.bind(0x4000, other.relayed) == 0
    world.passes(599)
    refresh(alice, bob)
    alice.send_on(0x4000, b"1")
    world.passes(1)
    alice.send_on(0x4000, b"2")
    world.settles()
    assert [one.payload for one in world.delivered()] == [b"1"]


# --- how long it lasts --------------------------------------------------------------------------------


def test_8656_12_a_permission_from_a_channel_lasts_as_long_as_the_channel(
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


def test_8656_12_a_channel_ends_after_600_seconds_whatever_is_sent(
    world: World, pair: tuple[Client, Client]
) -> None:
    alice, bob = pair
    alice.bind(0x4000, bob.relayed)
    bob.bind(0x4000, alice.relayed)
    for _ in range(6):
        refresh(alice, bob)
        world.passes(100)
        for one, other in ((alice, bob), (bob, alice)):
            one.send_on(0x4000, b"x")
            one.send(other.relayed, b"x")
    world.settles()
    assert len(world.delivered()) == 5 * 4
    assert world.rows == {}
    assert world.server.dropped == {ControlDrop.UNBOUND: 2, ControlDrop.NOT_PERMITTED: 2}


@pytest.mark.parametrize(("seconds", "dropped"), [(599, {}), (600, {ControlDrop.UNBOUND: 1})])
def test_8656_12_6_data_on_an_expired_channel_is_dropped_before_the_sweep(
    world: World, pair: tuple[Client, Client], seconds: int, dropped: dict[ControlDrop, int]
) -> None:
    alice, bob = pair
    alice.bind(0x4000, bob.relayed)
    world.passes(300)
    refresh(alice, bob)
    world.passes(seconds - 300, sweep=False)
    bob.permit(alice.relayed)
    alice.raw(channel_data.build(0x4000, b"x"))
    assert world.server.dropped == dropped
    assert len(world.delivered()) == (not dropped)


def test_8656_12_an_expired_channels_number_may_be_bound_to_another_peer_before_the_sweep(
    world: World, pair: tuple[Client, Client]
) -> None:
    alice, bob = pair
    second = world.client("bob")
    second.allocate()
    alice.bind(0x4000, bob.relayed)
    bob.bind(0x4000, alice.relayed)
    refresh(alice, bob, second)
    world.passes(300)
    refresh(alice, bob, second)
    bob.bind(0x4000, alice.relayed)
    second.permit(alice.relayed)
    world.passes(300, sweep=False)
    assert alice.bind(0x4000, FOREIGN) == 403
    assert Leg(alice.five_tuple, 0x4000) not in world.rows
    second.permit(alice.relayed)
    assert alice.bind(0x4000, second.relayed) == 0
    alice.send_on(0x4000, b"x")
    assert [one.to for one in world.delivered()] == [second.five_tuple]


@pytest.mark.parametrize("seconds", [599, 600])
def test_8656_12_a_peer_may_have_another_number_once_its_channel_has_expired(
    world: World, pair: tuple[Client, Client], seconds: int
) -> None:
    alice, bob = pair
    alice.bind(0x4000, bob.relayed)
    world.passes(300)
    refresh(alice, bob)
    world.passes(seconds - 300, sweep=False)
    assert alice.bind(0x4001, bob.relayed) == (0 if seconds == 600 else 400)


# --- ChannelData --------------------------------------------------------------------------------------


def test_8656_12_5_channel_data_passes_between_two_bound_parties_by_rows_alone(world: World) -> None:
    alice, bob = bound(world)
    rows = {leg: row.target for leg, row in world.rows.items()}
    assert rows == {
        Leg(alice.five_tuple, 0x4000): Leg(bob.five_tuple, 0x4ABC),
        Leg(bob.five_tuple, 0x4ABC): Leg(alice.five_tuple, 0x4000),
    }


def test_8656_12_7_send_indications_to_a_party_with_a_channel_become_channel_data(
    world: World, pair: tuple[Client, Client]
) -> None:
    alice, bob = pair
    alice.permit(bob.relayed)
    bob.bind(0x4007, alice.relayed)
    alice.send(bob.relayed, b"check")
    assert world.delivered() == [Delivery(bob.five_tuple, 0x4007, b"check")]


@pytest.mark.parametrize("payload", [b"", b"x", bytes(range(256)) * 5])
@pytest.mark.parametrize("padding", [b"", b"\0", b"\xff\xff\xff", bytes(40)])
def test_8656_12_6_the_length_says_what_is_payload_and_the_rest_is_padding(
    world: World, payload: bytes, padding: bytes
) -> None:
    """A payload of no bytes is one, too."""
    alice, bob = bound(world)
    alice.raw(channel_data.build(0x4000, payload) + padding)
    assert world.delivered() == [Delivery(bob.five_tuple, 0x4ABC, payload)]


@pytest.mark.parametrize(
    "datagram", [b"\x40", b"\x40\0", b"\x40\0\0", b"\x40\0\0\1", b"\x40\0\0\5four", b"\x40\0\xff\xffx"]
)
def test_8656_12_6_channel_data_that_is_shorter_than_it_says_is_dropped(
    world: World, datagram: bytes
) -> None:
    alice, _ = bound(world)
    alice.raw(datagram)
    assert world.delivered() == []
    assert world.server.dropped == {ControlDrop.MALFORMED: 1}


@pytest.mark.parametrize("number", [0x4001, 0x4ABC, 0x5000, 0x7FFF])
def test_8656_12_6_channel_data_on_a_number_that_is_not_bound_is_dropped(world: World, number: int) -> None:
    """Also if it is the peer's number."""
    alice, _ = bound(world)
    alice.raw(channel_data.build(number, b"x"))
    assert world.delivered() == []
    assert world.server.dropped == {ControlDrop.UNBOUND: 1}


def test_8656_12_6_channel_data_of_somebody_without_an_allocation_is_dropped(world: World) -> None:
    alice, _ = bound(world)
    stranger = world.client()
    stranger.raw(channel_data.build(0x4000, b"x"))
    alice.refresh((a.LIFETIME, 0))
    alice.raw(channel_data.build(0x4000, b"x"))
    assert world.delivered() == []
    assert world.server.dropped == {ControlDrop.UNBOUND: 2}


# --- on a stream --------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 3, 4, 7, 1000])
def test_8656_12_5_a_stream_stays_in_step_over_padding_and_numbers_that_cannot_be_bound(step: int) -> None:
    world = World()
    alice, bob = world.pair(transport=Transport.TCP)
    alice.bind(0x4000, bob.relayed)
    bob.bind(0x4000, alice.relayed)
    messages = [
        channel_data.build(0x4000, b""),
        channel_data.build(0x5000, b"12345"),
        channel_data.build(0x4000, b"123456"),
        channel_data.build(0x7FFF, b"1"),
        alice.signed(Method.REFRESH),
        channel_data.build(0x4000, b"1234567"),
    ]
    stream = b"".join(map(padded, messages))
    framing = StreamFraming()
    for at in range(0, len(stream), step):
        for message in framing.feed(stream[at : at + step]):
            world.handle(Received(alice.five_tuple, message))
    assert [one.payload for one in world.delivered()] == [b"", b"123456", b"1234567"]
    assert world.server.dropped == {ControlDrop.UNBOUND: 2}
    assert parse(world.replies[-1].datagram).message_class is MessageClass.SUCCESS


@pytest.mark.parametrize("first", [0x04, 0x3F, 0x80, 0xFF])
def test_8656_12_6_what_is_neither_stun_nor_channel_data_ends_a_stream(first: int) -> None:
    framing = StreamFraming()
    assert framing.feed(padded(channel_data.build(0x4000, b"x"))) == [channel_data.build(0x4000, b"x")]
    with pytest.raises(MalformedError):
        framing.feed(bytes((first,)))
