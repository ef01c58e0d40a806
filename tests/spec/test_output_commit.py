"""Law 5: record before effect for what opens, no waiting for what closes.

The core is real, the disk is held: it finishes or fails a batch only when the test says so.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from auth.principal import PartyId
from broker.core.client_frames import (
    CallAccept,
    CallAnswer,
    CallHangUp,
    CallInvite,
    CallOffer,
    CallShare,
    CallUnshare,
    ChatSend,
    PresenceSet,
)
from broker.core.commands import ConnectionId
from broker.core.events import Disconnected, SignOutRequested
from broker.core.frames import ChatAccepted, Error
from tests.spec.stage import Sent, Stage, insider
from tests.spec.test_negotiation import screen, sdp


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def chat(stage: Stage, text: str, ref: str = "r1", sender: str = "alice", to: str = "bob") -> None:
    stage.send(sender, ChatSend(ref=ref, to=f"u-{to}", text=text), to)


def errors(wire: Sent) -> list[str]:
    return [frame.code for frame in wire.frames if isinstance(frame, Error)]


def call_between(stage: Stage) -> str:
    stage.send("alice", CallInvite(ref="c", to="u-bob", media=["audio"]), "bob")
    stage.settle()
    call_id = next(iter(stage.house.calls))
    stage.send("bob", CallAccept(call_id=call_id))
    stage.settle()
    return call_id


async def test_a_message_reaches_nobody_before_its_record_is_durable(stage: Stage) -> None:
    alice, bob = stage.connect("alice"), stage.connect("bob")
    alice.frames.clear()
    bob.frames.clear()
    chat(stage, "hello")
    assert alice.frames == []
    assert bob.frames == []
    stage.commit()
    assert alice.types() == ["chat.accepted"]
    assert bob.types() == ["chat.message"]


async def test_what_was_commanded_first_leaves_first(stage: Stage) -> None:
    alice, _ = stage.connect("alice"), stage.connect("bob")
    alice.frames.clear()
    for number in range(5):
        chat(stage, f"message {number}", ref=f"r{number}")
    stage.commit(count=2)
    stage.commit(count=1)
    stage.commit()
    refs = [frame.ref for frame in alice.frames if isinstance(frame, ChatAccepted)]
    assert refs == ["r0", "r1", "r2", "r3", "r4"]


async def test_an_answer_does_not_overtake_what_was_commanded_before_it(stage: Stage) -> None:
    alice, bob = stage.connect("alice"), stage.connect("bob")
    alice.frames.clear()
    bob.frames.clear()
    chat(stage, "first")
    stage.send("alice", PresenceSet(status="busy"))
    assert bob.frames == []
    stage.commit()
    assert bob.types() == ["chat.message", "presence.status"]


async def test_a_failed_commit_lets_no_effect_out_and_says_so(stage: Stage) -> None:
    alice, bob = stage.connect("alice"), stage.connect("bob")
    alice.frames.clear()
    bob.frames.clear()
    chat(stage, "lost")
    stage.commit(works=False)
    assert errors(alice) == ["AUDIT_UNAVAILABLE"]
    assert bob.frames == []


async def test_a_failed_batch_drops_its_own_call_and_no_other(stage: Stage) -> None:
    wires = {name: stage.connect(name) for name in ("alice", "bob", "carol", "dave")}
    held = call_between(stage)
    for wire in wires.values():
        wire.frames.clear()
    stage.send("carol", CallInvite(ref="x", to="u-dave", media=["audio"]), "dave")
    stage.commit(works=False)
    assert list(stage.house.calls) == [held]
    assert list(stage.rows.live) == [held]
    assert errors(wires["carol"]) == ["AUDIT_UNAVAILABLE"]
    assert wires["alice"].frames == []
    assert wires["bob"].frames == []


async def test_relay_rows_are_admitted_only_after_the_commit(stage: Stage) -> None:
    stage.connect("alice")
    stage.connect("bob")
    stage.send("alice", CallInvite(ref="c", to="u-bob", media=["audio"]), "bob")
    assert stage.rows.live == {}
    stage.commit()
    assert len(stage.rows.live) == 1


async def test_ending_a_call_waits_for_nothing(stage: Stage) -> None:
    _, bob = stage.connect("alice"), stage.connect("bob")
    call_id = call_between(stage)
    bob.frames.clear()
    chat(stage, "this commit hangs")
    stage.send("alice", CallHangUp(call_id=call_id))
    assert stage.rows.live == {}
    assert bob.types() == ["call.ended"]
    assert [entry.records[0].type for entry in stage.writer.owed] == ["call.closed"]


async def test_an_opening_overtaken_by_its_end_never_happens(stage: Stage) -> None:
    alice, bob = stage.connect("alice"), stage.connect("bob")
    alice.frames.clear()
    bob.frames.clear()
    stage.send("alice", CallInvite(ref="c", to="u-bob", media=["audio"]), "bob")
    call_id = next(iter(stage.house.calls))
    stage.send("alice", CallHangUp(call_id=call_id))
    stage.settle()
    assert stage.rows.live == {}
    assert "call.created" not in alice.types()
    assert "call.ring" not in bob.types()
    assert alice.types() == ["call.ended"]


async def test_a_closed_call_is_recorded_with_its_last_counters(stage: Stage) -> None:
    stage.connect("alice")
    stage.connect("bob")
    call_id = call_between(stage)
    stage.send("bob", CallHangUp(call_id=call_id))
    closed = stage.writer.owed[-1].records[0]
    assert closed.session_id == call_id
    assert closed.fields["packets"] == {"a_to_b": 3, "b_to_a": 4}
    assert closed.fields["reason"] == "hung_up"


async def test_what_ended_during_an_outage_stays_in_the_journal_until_it_is_recorded(stage: Stage) -> None:
    stage.connect("alice")
    stage.connect("bob")
    call_id = call_between(stage)
    chat(stage, "fails")
    stage.commit(works=False)
    stage.send("alice", CallHangUp(call_id=call_id))
    owed = [record.type for entry in stage.writer.owed for record in entry.records]
    assert owed == ["record.unavailable", "call.closed"]
    stage.commit()
    resumed = [record.type for _, entry in stage.writer.waiting for record in entry.records]
    assert resumed == ["record.resumed"]


async def test_admitted_calls_outlive_a_short_outage_and_end_after_the_grace(stage: Stage) -> None:
    _, bob = stage.connect("alice"), stage.connect("bob")
    call_between(stage)
    chat(stage, "fails")
    stage.commit(works=False)
    stage.pass_seconds(29)
    assert len(stage.rows.live) == 1
    stage.pass_seconds(2)
    assert stage.rows.live == {}
    assert bob.types()[-1] == "call.ended"


async def test_an_outage_that_ended_in_time_ends_no_call(stage: Stage) -> None:
    stage.connect("alice")
    stage.connect("bob")
    call_between(stage)
    chat(stage, "fails")
    stage.commit(works=False)
    stage.pass_seconds(10)
    stage.settle()
    stage.pass_seconds(60)
    assert len(stage.rows.live) == 1


async def test_a_full_backlog_is_reported_before_anything_more_is_taken(tmp_path: Path) -> None:
    stage = Stage(tmp_path, max_pending=3)
    stage.connect("alice")
    stage.connect("bob")
    for number in range(3):
        assert not stage.driver.backlog_full
        chat(stage, "x", ref=f"r{number}")
    assert stage.driver.backlog_full
    stage.settle()
    assert not stage.driver.backlog_full


async def test_a_connection_that_closed_meanwhile_gets_nothing(stage: Stage) -> None:
    stage.connect("alice")
    bob = stage.connect("bob")
    bob.frames.clear()
    chat(stage, "too late")
    del stage.effects.outboxes[ConnectionId("n-bob")]
    stage.driver.submit(Disconnected(ConnectionId("n-bob"), "client_gone", 1, 2, 3, 4))
    stage.settle()
    assert bob.frames == []


async def test_a_full_journal_costs_no_record_while_the_store_is_well(tmp_path: Path) -> None:
    stage = Stage(tmp_path, journal_bytes=4096)
    for number in range(100):
        stage.sign_in(f"digest-{number}", insider("alice"))
        stage.driver.submit(SignOutRequested(f"digest-{number}"))
    assert len(stage.writer.owed) == 100
    stage.settle()
    assert not stage.writer.owed


async def test_what_a_full_journal_could_not_keep_in_an_outage_is_counted(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path, journal_bytes=4096)
    stage.connect("alice")
    stage.connect("bob")
    chat(stage, "fails")
    stage.commit(works=False)
    for number in range(100):
        stage.sign_in(f"digest-{number}", insider("alice"))
        stage.driver.submit(SignOutRequested(f"digest-{number}"))
    kept = len(stage.writer.owed) - 1
    assert 0 < kept < 100
    stage.commit()
    (resumed,) = [record for _, entry in stage.writer.waiting for record in entry.records]
    assert resumed.type == "record.resumed"
    assert resumed.fields["entries_missed"] == 100 - kept


async def test_a_status_of_somebody_who_never_appeared_is_not_told(stage: Stage) -> None:
    alice = stage.connect("alice")
    alice.frames.clear()
    stage.connect("bob", recorded=False)
    stage.connect("bob", recorded=False)
    stage.send("bob", PresenceSet(status="busy"))
    stage.commit(works=False)
    stage.settle()
    assert alice.frames == []


async def test_the_end_of_a_share_overtakes_what_the_relay_was_to_carry_for_it(stage: Stage) -> None:
    alice, bob = stage.connect("alice"), stage.connect("bob")
    call_id = call_between(stage)
    stage.send("alice", CallShare(call_id=call_id))
    stage.settle()
    chat(stage, "holds back all that follows")
    stage.send("alice", CallOffer(call_id=call_id, sdp=sdp() + screen()))
    stage.send("bob", CallAnswer(call_id=call_id, sdp=sdp("active") + screen("active", "recvonly")))
    stage.send("alice", CallUnshare(call_id=call_id))
    assert alice.types()[-1] == bob.types()[-1] == "call.share_ended"
    stage.settle()
    assert alice.types()[-1] == "call.answer"
    assert not any(stage.rows.sendable.values())
    stage.send("alice", CallOffer(call_id=call_id, sdp=sdp() + screen()))
    stage.send("bob", CallAnswer(call_id=call_id, sdp=sdp("active") + screen("active", "recvonly")))
    assert set(stage.rows.sendable.values()) == {frozenset({111})}


async def test_a_share_that_ends_takes_its_payload_types_from_the_relay_without_waiting(stage: Stage) -> None:
    stage.connect("alice")
    stage.connect("bob")
    call_id = call_between(stage)
    stage.send("alice", CallShare(call_id=call_id))
    stage.settle()
    stage.send("alice", CallOffer(call_id=call_id, sdp=sdp() + screen()))
    stage.send("bob", CallAnswer(call_id=call_id, sdp=sdp("active") + screen("active", "recvonly")))
    mine, theirs = ((call_id, PartyId(f"u-{name}")) for name in ("alice", "bob"))
    assert stage.rows.sendable == {mine: {96, 111}, theirs: {111}}
    chat(stage, "waits for the disk")
    stage.send("alice", CallUnshare(call_id=call_id))
    assert stage.rows.sendable == {mine: {111}, theirs: {111}}
