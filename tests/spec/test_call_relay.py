"""Call and relay: what the relay reports of a call, and how its record closes."""

from __future__ import annotations

from auth.personal import Personal
from broker.core.client_frames import CallCancel, CallHangUp
from broker.core.events import MediaAllocated, MediaCount, MediaCounted, MediaReleased, MediaWithdrawn
from tests.spec.playbook import Playbook


def test_the_record_of_a_call_closes_with_the_last_counters_of_the_relay() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    play >> bob.says(CallHangUp(call_id=call_id))
    count = MediaCount((ada.party, bob.party), (7, 5), (700, 500), (("dtls", 2),))
    closed = play >> MediaWithdrawn(call_id, count)
    assert closed.effects == []
    fields = closed.record("call.closed").fields
    assert (fields["reason"], fields["ended_by"], fields["state"]) == ("hung_up", bob.party, "active")
    assert fields["packets"] == {"a_to_b": 7, "b_to_a": 5}
    assert fields["bytes"] == {"a_to_b": 700, "b_to_a": 500}
    assert fields["dropped"] == {"dtls": 2}
    assert (play >> MediaWithdrawn(call_id, count)).commands == []


def test_a_call_that_never_carried_anything_closes_with_zeros() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.ringing(ada, bob)
    play >> ada.says(CallCancel(call_id=call_id))
    fields = (play >> MediaWithdrawn(call_id, None)).record("call.closed").fields
    assert fields["packets"] == {"a_to_b": 0, "b_to_a": 0}
    assert fields["parties"] == [ada.party, bob.party]


def test_counters_of_a_live_call_are_recorded_and_of_an_ended_one_ignored() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    counted = MediaCounted(call_id, MediaCount((ada.party, bob.party), (1, 2), (3, 4)))
    assert (play >> counted).record("call.counters").fields["bytes"] == {"a_to_b": 3, "b_to_a": 4}
    play >> ada.says(CallHangUp(call_id=call_id))
    assert (play >> counted).commands == []


def test_a_relayed_address_is_recorded_with_the_clients_own_address_as_personal() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    address = ("198.18.0.1", 50000)
    allocated = MediaAllocated(call_id, ada.party, Personal("10.7.9.9:5000"), address, "udp")
    record = (play >> allocated).record("relay.allocated")
    assert record.fields["relayed"] == "198.18.0.1:50000"
    assert record.personal["client.address"].reveal() == "10.7.9.9:5000"
    assert play.house.relayed == {address: (call_id, ada.party)}
    released = play >> MediaReleased(call_id, ada.party, address, "refresh_0")
    assert released.record_types == ["relay.released"]
    assert play.house.relayed == {}
    assert play.house.calls[call_id].own_relayed == {ada.party: set()}


def test_an_address_allocated_for_an_ended_call_or_somebody_else_is_nobodys() -> None:
    play = Playbook()
    ada, bob, eve = play.person("ada"), play.person("bob"), play.person("eve")
    call_id = play.talking(ada, bob)
    stranger = MediaAllocated(call_id, eve.party, Personal("x"), ("198.18.0.1", 1), "udp")
    assert (play >> stranger).commands == []
    play >> ada.says(CallHangUp(call_id=call_id))
    late = MediaAllocated(call_id, ada.party, Personal("x"), ("198.18.0.1", 2), "udp")
    assert (play >> late).commands == []
    assert play.house.relayed == {}


def test_an_ended_call_leaves_no_relayed_address_behind_and_takes_none_from_another() -> None:
    play = Playbook()
    ada, bob, cat, dan = (play.person(name) for name in ("ada", "bob", "cat", "dan"))
    first, second = play.talking(ada, bob), play.talking(cat, dan)
    address, kept = ("198.18.0.1", 1), ("198.18.0.2", 1)
    play >> MediaAllocated(first, ada.party, Personal("x"), address, "udp")
    play >> MediaAllocated(first, bob.party, Personal("x"), kept, "udp")
    play >> ada.says(CallHangUp(call_id=first))
    play >> MediaAllocated(second, cat.party, Personal("x"), address, "udp")
    play >> MediaWithdrawn(first, None)
    assert play.house.relayed == {address: (second, cat.party)}
    play >> MediaReleased(first, ada.party, address, "withdrawn")
    assert play.house.relayed == {address: (second, cat.party)}
