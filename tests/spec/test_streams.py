"""Connections of stream clients: who may stay how long, and what becomes of those that read too slowly."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from relay.streams.stream import (
    BACKLOG_BYTES,
    MAX_STRANGER_MESSAGE_BYTES,
    MEDIA_BACKLOG_BYTES,
    Stream,
)
from relay.streams.streams import MAX_STRANGERS, MAX_STRANGERS_OF_NETWORK, STRANGER_SECONDS
from relay.stun import channel_data
from relay.stun.framing import MAX_MESSAGE_BYTES
from relay.stun.message import MessageClass, Method, build
from relay.vocabulary import Address, FiveTuple, Transport
from tests.spec.stream_house import SERVER, Client, Connection, House

CHANNEL_DATA = channel_data.build(0x4000, b"no media")
REQUEST = build(Method.BINDING, MessageClass.REQUEST, bytes(12))


@pytest.fixture
def house() -> House:
    return House()


# --- strangers ----------------------------------------------------------------------------------------


def test_a_stranger_has_ten_seconds_whatever_it_says(house: House) -> None:
    silent = house.client()
    house.passes(4)
    later = house.client()
    house.passes(STRANGER_SECONDS - 4.1)
    later.stream.data_received(REQUEST)
    assert not silent.ended()
    house.passes(0.1)
    assert silent.ended()
    assert not later.ended()
    house.passes(3.9)
    assert not later.ended()
    house.passes(0.1)
    assert later.ended()
    assert len(house.streams) == 0
    assert house.told_closed == []


def test_who_has_an_allocation_may_stay(house: House) -> None:
    owner = house.client()
    house.streams.own(owner.five_tuple)
    house.passes(10 * STRANGER_SECONDS)
    assert not owner.ended()
    assert len(house.streams) == 1


def test_whose_allocation_is_gone_is_a_stranger_again_with_a_strangers_time(house: House) -> None:
    owner = house.client()
    house.streams.own(owner.five_tuple)
    house.passes(100)
    house.streams.disown(owner.five_tuple)
    house.passes(STRANGER_SECONDS - 0.1)
    # Told again, it has no more time for that.
    house.streams.disown(owner.five_tuple)
    assert not owner.ended()
    house.passes(0.1)
    assert owner.ended()


def test_a_network_has_so_many_strangers_and_one_more_is_not_taken(house: House) -> None:
    taken = [house.client(f"203.0.113.{number}") for number in range(MAX_STRANGERS_OF_NETWORK)]
    assert house.client("203.0.113.200").ended()
    assert not house.client("203.0.114.1").ended()
    assert house.streams.refused == 1
    assert not any(one.ended() for one in taken)
    assert len(house.streams) == MAX_STRANGERS_OF_NETWORK + 1


def test_of_ipv6_clients_the_first_48_bits_are_the_network(house: House) -> None:
    for number in range(MAX_STRANGERS_OF_NETWORK):
        house.client(f"2001:db8:7:{number:x}::1")
    assert house.client("2001:db8:7:ffff::1").ended()
    assert not house.client("2001:db8:8::1").ended()


@pytest.mark.parametrize("gone", ["by itself", "by time", "by an allocation", "by control"])
def test_whoever_is_no_stranger_any_more_makes_room_for_another(house: House, gone: str) -> None:
    taken = [house.client() for _ in range(MAX_STRANGERS_OF_NETWORK)]
    match gone:
        case "by itself":
            taken[5].stream.connection_lost(None)
        case "by time":
            house.passes(STRANGER_SECONDS)
        case "by an allocation":
            house.streams.own(taken[5].five_tuple)
        case "by control":
            house.streams.close(taken[5].five_tuple)
    assert not house.client().ended()
    if gone != "by time":
        assert house.client().ended()


def test_one_stranger_more_than_there_may_be_in_all_ends_the_oldest_and_no_owner(house: House) -> None:
    owner = house.client("198.51.100.1")
    house.streams.own(owner.five_tuple)
    strangers = [house.client(f"10.{number >> 8}.{number & 255}.1") for number in range(MAX_STRANGERS)]
    assert not any(one.ended() for one in strangers)
    one_more = house.client("11.0.0.1")
    assert [number for number, one in enumerate(strangers) if one.ended()] == [0]
    assert not one_more.ended()
    # Who was an owner in between is not among the oldest.
    house.streams.own(strangers[1].five_tuple)
    house.streams.disown(strangers[1].five_tuple)
    house.client("11.0.1.1")
    assert [number for number, one in enumerate(strangers) if one.ended()] == [0, 2]
    assert not owner.ended()
    assert len(house.streams) == 1 + MAX_STRANGERS
    assert house.streams.refused == 2
    assert house.told_closed == []


def test_connections_are_bounded_in_all_owners_included() -> None:
    house = House(max_streams=3)
    owners = [house.client() for _ in range(3)]
    for one in owners:
        house.streams.own(one.five_tuple)
    assert house.client().ended()
    owners[0].stream.connection_lost(None)
    assert not house.client().ended()
    house.streams.max_streams = 2
    assert house.client().ended()
    assert len(house.streams) == 3
    assert house.streams.refused == 2


def test_where_all_places_are_taken_the_oldest_stranger_makes_room() -> None:
    house = House(max_streams=3)
    owner = house.client()
    house.streams.own(owner.five_tuple)
    strangers = [house.client() for _ in range(2)]
    newcomer = house.client()
    assert [one.ended() for one in (owner, *strangers, newcomer)] == [False, True, False, False]
    assert len(house.streams) == 3
    assert house.streams.refused == 1


def test_what_is_remembered_goes_with_the_connections(house: House) -> None:
    chance = Random(7)
    clients = [house.client()]
    doings: list[Callable[[Client], object]] = [
        lambda one: house.streams.own(one.five_tuple),
        lambda one: house.streams.disown(one.five_tuple),
        lambda one: house.streams.close(one.five_tuple),
        lambda one: one.stream.connection_lost(None),
        lambda _: house.passes(1),
        lambda _: clients.append(house.client(f"10.0.{chance.randrange(3)}.1")),
        lambda _: clients.append(house.client(f"10.0.{chance.randrange(3)}.1")),
    ]
    for _ in range(5000):
        chance.choice(doings)(chance.choice(clients[-200:]))
        assert len(house.streams) <= house.tables() <= 3 * len(house.streams)
    house.streams.close_all()
    assert house.tables() == 0
    assert len(house.streams) == 0


# --- how connections end ------------------------------------------------------------------------------


def test_control_is_told_once_of_a_connection_that_its_client_ended(house: House) -> None:
    client = house.client()
    client.stream.connection_lost(ConnectionResetError())
    client.stream.connection_lost(None)
    assert house.told_closed == [client.five_tuple]
    assert len(house.streams) == 0


def test_control_is_not_told_of_what_was_ended_here(house: House) -> None:
    clients = [house.client() for _ in range(2)]
    house.streams.close(clients[0].five_tuple)
    house.streams.close_all()
    for one in clients:
        assert one.ended()
        one.stream.connection_lost(None)
    assert house.told_closed == []


def test_the_end_of_a_connection_that_was_not_taken_is_not_the_end_of_another(house: House) -> None:
    client = house.client()
    same_address = Stream(house.streams, Transport.TCP)
    again = Connection((client.five_tuple.client.ip, client.five_tuple.client.port))
    same_address.connection_made(again)
    assert again.aborted
    same_address.connection_lost(None)
    assert house.told_closed == []
    client.stream.data_received(REQUEST)
    assert house.injected == [(client.five_tuple, REQUEST)]


def test_nothing_is_taken_from_a_connection_that_was_ended(house: House) -> None:
    client = house.client()
    house.streams.close(client.five_tuple)
    client.stream.data_received(REQUEST)
    assert house.injected == []


def test_a_connection_that_was_over_before_it_began_is_forgotten(house: House) -> None:
    stream, connection = house.streams.protocol(Transport.TLS), Connection(None)
    stream.connection_made(connection)
    assert connection.aborted
    stream.data_received(REQUEST)
    stream.connection_lost(None)
    assert (house.tables(), house.injected, house.told_closed) == (0, [], [])


def test_who_has_no_connection_is_nobody(house: House) -> None:
    nobody = FiveTuple(Transport.UDP, Address("203.0.113.5", 1), Address(*SERVER))
    for say in (house.streams.own, house.streams.disown, house.streams.close):
        say(nobody)
    house.streams.answer(nobody, REQUEST)
    house.streams.deliver(nobody, REQUEST)
    assert house.tables() == 0


# --- what comes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n", b"\x05", b"\x80", b"\x16\x03\x01\x02\x00", b"\xff" * 40]
)
def test_garbage_ends_the_connection_and_control_is_told(house: House, garbage: bytes) -> None:
    client, other = house.client(), house.client()
    client.stream.data_received(garbage)
    assert client.ended()
    assert not other.ended()
    assert house.streams.garbage == 1
    client.stream.connection_lost(None)
    assert house.told_closed == [client.five_tuple]
    assert house.injected == []


def stun_of(length: int) -> bytes:
    return REQUEST[:2] + (length - 20).to_bytes(2, "big") + REQUEST[4:] + bytes(length - 20)


def test_only_who_has_an_allocation_may_send_long_messages(house: House) -> None:
    client = house.client()
    just = stun_of(MAX_STRANGER_MESSAGE_BYTES)
    client.stream.data_received(just)
    house.streams.own(client.five_tuple)
    longest = channel_data.build(0x4000, bytes(0xFFFF))
    client.stream.data_received(longest + b"\0")
    assert len(longest) + 1 == MAX_MESSAGE_BYTES
    assert [message for _, message in house.injected] == [just, longest]
    house.streams.disown(client.five_tuple)
    # Its length alone is enough to see that.
    client.stream.data_received(stun_of(MAX_STRANGER_MESSAGE_BYTES + 4)[:4])
    assert client.ended()


# --- what goes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", range(9))
def test_what_goes_out_is_padded_with_zeroes(house: House, length: int) -> None:
    client = house.client()
    message = channel_data.build(0x4000, b"\xff" * length)
    house.streams.deliver(client.five_tuple, message)
    house.streams.answer(client.five_tuple, REQUEST)
    assert client.connection.written == [message + bytes(-length % 4), REQUEST]


def test_while_too_much_waits_for_a_client_the_plane_has_no_media_for_it(house: House) -> None:
    slow, other = house.client(), house.client()
    assert slow.connection.high == MEDIA_BACKLOG_BYTES
    slow.stream.pause_writing()
    assert house.paused == {slow.five_tuple}
    # What is on its way is not lost, and answers are due to it all the same.
    house.streams.deliver(slow.five_tuple, CHANNEL_DATA)
    house.streams.answer(slow.five_tuple, REQUEST)
    assert slow.connection.written == [CHANNEL_DATA, REQUEST]
    other.stream.pause_writing()
    slow.stream.resume_writing()
    assert house.paused == {other.five_tuple}


@pytest.mark.parametrize("ended", ["by itself", "by control"])
def test_a_client_that_is_gone_leaves_no_pause_behind(house: House, ended: str) -> None:
    client = house.client()
    client.stream.pause_writing()
    if ended == "by itself":
        client.stream.connection_lost(None)
    else:
        house.streams.close(client.five_tuple)
        client.stream.pause_writing()
        client.stream.connection_lost(None)
    assert house.paused == set()


def test_an_answer_that_finds_even_more_waiting_ends_the_connection_and_control_is_told(
    house: House,
) -> None:
    slow = house.client()
    until = BACKLOG_BYTES // len(REQUEST) + 1
    for _ in range(until):
        house.streams.answer(slow.five_tuple, REQUEST)
    assert not slow.ended()
    house.streams.answer(slow.five_tuple, REQUEST)
    assert slow.ended()
    assert slow.connection.written == [REQUEST] * until
    slow.stream.connection_lost(None)
    assert house.told_closed == [slow.five_tuple]


def test_nothing_is_written_to_a_connection_that_is_ending(house: House) -> None:
    client = house.client()
    client.connection.aborted = True
    house.streams.answer(client.five_tuple, REQUEST)
    house.streams.deliver(client.five_tuple, REQUEST)
    assert client.connection.written == []
