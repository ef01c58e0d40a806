"""Payload types: which RTP a party of a session may send, as its owner has negotiated it."""

from __future__ import annotations

import pytest

from relay.turn.events import AllowPayloadTypes, StopPayloadTypes
from relay.vocabulary import FiveTuple
from tests.spec.test_turn_sessions import alone, connected
from tests.spec.turn_world import World


@pytest.fixture
def world() -> World:
    return World()


def test_rows_carry_the_negotiated_payload_types_from_the_moment_they_are_known(world: World) -> None:
    alice, bob = connected(world)
    assert {row.payload_types for row in world.rows.values()} == {frozenset()}
    for party in ("alice", "bob"):
        world.handle(AllowPayloadTypes("s1", party, frozenset({96, 111}), frozenset({111})))
    assert {row.payload_types for row in world.rows.values()} == {frozenset({96, 111})}
    for party in ("alice", "bob"):
        world.handle(AllowPayloadTypes("s1", party, frozenset({96}), frozenset()))
    second = world.client("bob")
    second.allocate()
    second.permit(alice.relayed)
    alice.bind(0x4001, second.relayed)
    assert {row.payload_types for row in world.rows.values()} == {frozenset({96})}
    assert bob.relayed != second.relayed


def sendable(world: World) -> dict[FiveTuple, tuple[frozenset[int] | None, frozenset[int]]]:
    return {
        row.source.five_tuple: (row.payload_types, row.audio_payload_types) for row in world.rows.values()
    }


def test_each_direction_carries_only_what_its_sender_negotiated(world: World) -> None:
    alice, bob = connected(world)
    audio, none = frozenset({111}), frozenset[int]()
    world.handle(AllowPayloadTypes("s1", "alice", frozenset({96, 111}), audio))
    assert sendable(world) == {alice.five_tuple: ({96, 111}, audio), bob.five_tuple: (none, none)}
    world.handle(AllowPayloadTypes("s1", "bob", audio, audio))
    assert sendable(world) == {alice.five_tuple: ({96, 111}, audio), bob.five_tuple: (audio, audio)}


def test_payload_types_are_stopped_of_one_party_and_all_others_stay(world: World) -> None:
    alice, bob = connected(world)
    both, audio = frozenset({96, 111}), frozenset({111})
    for party in ("alice", "bob"):
        world.handle(AllowPayloadTypes("s1", party, both, audio))
    world.handle(StopPayloadTypes("s1", "alice", frozenset({96, 98})))
    assert sendable(world) == {alice.five_tuple: (audio, audio), bob.five_tuple: (both, audio)}
    world.handle(StopPayloadTypes("s1", "bob", both))
    assert sendable(world)[bob.five_tuple] == (frozenset(), frozenset())


def test_payload_types_of_an_unknown_session_are_no_event(world: World) -> None:
    assert world.handle(AllowPayloadTypes("s9", "alice", frozenset({96}), frozenset())) == []
    assert world.handle(StopPayloadTypes("s9", "alice", frozenset({96}))) == []


def test_where_nobody_negotiates_there_is_nothing_to_stop() -> None:
    world = alone()
    alice, bob = world.client("alice"), world.client("bob")
    alice.allocate()
    bob.allocate()
    alice.bind(0x4000, bob.relayed)
    bob.bind(0x4000, alice.relayed)
    assert world.handle(StopPayloadTypes("s1", "alice", frozenset({96}))) == []
    assert {row.payload_types for row in world.rows.values()} == {None}
