"""Outage: nothing new opens, admitted calls go on for the grace, and only what failed is dropped."""

from __future__ import annotations

import pytest

from broker.core.client_frames import CallAccept, CallInvite, ChatSend, InvitationCreate, PresenceSet
from broker.core.commands import WithdrawMedia
from broker.core.errors import AUDIT_UNAVAILABLE
from broker.core.events import CommitFailed, RecordResumed
from broker.core.frames import CallCreated, CallEnded, PresenceStatus
from tests.spec.outcome import effect
from tests.spec.playbook import RULES, Playbook

GRACE = RULES.outage_grace_seconds
OUTAGE = CommitFailed((), outage=True)


def test_an_outage_is_put_on_record_as_soon_as_there_is_one_again() -> None:
    play = Playbook()
    assert (play >> OUTAGE).record_types == ["record.unavailable"]
    assert (play >> OUTAGE).commands == []
    play.wait(12)
    resumed = play >> RecordResumed(3)
    fields = resumed.record("record.resumed").fields
    assert (fields["outage_seconds"], fields["entries_missed"]) == (12, 3)
    assert (play >> RecordResumed(0)).commands == []


def test_admitted_calls_outlive_an_outage_that_ends_within_the_grace() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    play >> OUTAGE
    play.wait(GRACE - 1)
    play >> RecordResumed(0)
    play.later(1)
    assert list(play.house.calls) == [call_id]


def test_admitted_calls_end_when_the_outage_outlasts_the_grace() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    play >> OUTAGE
    assert play.later(GRACE - 1).effects == []
    assert (
        play.later(1)
        << effect(WithdrawMedia, session_id=call_id)
        << ada.told(CallEnded, reason="record_unavailable")
        << bob.told(CallEnded, reason="record_unavailable")
    )


def test_a_second_outage_has_a_grace_of_its_own() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    play >> OUTAGE
    play.wait(GRACE - 5)
    play >> RecordResumed(0)
    play >> OUTAGE
    play.later(5)
    assert list(play.house.calls) == [call_id]
    play.later(GRACE - 5)
    assert play.house.calls == {}


def test_one_record_that_failed_is_no_outage() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    assert (play >> CommitFailed(("r-1",), outage=False)).commands == []
    play.later(GRACE)
    assert list(play.house.calls) == [call_id]


def test_a_connection_whose_record_could_not_be_written_is_closed_and_no_other() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    late = play.connects(ada.principal)
    outcome = play >> late.arrives()
    assert play >> play.failed(outcome) << late.closed(AUDIT_UNAVAILABLE)
    assert (play >> late.hello()).commands == []
    assert play >> ada.says(PresenceSet(status="busy")) << bob.told(PresenceStatus, status="busy")
    assert (play >> late.leaves()).record_types == ["connection.closed"]


def test_a_hello_whose_record_could_not_be_written_closes_the_connection_and_shows_nobody() -> None:
    play = Playbook()
    ada = play.person("ada")
    bob = play.connects(play.insider("bob"))
    play >> bob.arrives()
    outcome = play >> bob.hello()
    (told,) = outcome.openings[0].on_failure
    assert told.frame.code == AUDIT_UNAVAILABLE.code  # type: ignore[union-attr]
    assert play >> play.failed(outcome) << bob.closed(AUDIT_UNAVAILABLE)
    assert (play >> bob.leaves()).effects == []
    assert play >> ada.says(PresenceSet(status="away")) << []


@pytest.mark.parametrize("accepted", [False, True])
def test_a_call_whose_record_could_not_be_written_ends_and_no_other_does(accepted: bool) -> None:
    play = Playbook()
    ada, bob, cat, dan = (play.person(name) for name in ("ada", "bob", "cat", "dan"))
    kept = play.talking(cat, dan)
    call = play >> ada.says(CallInvite(ref="1", to=bob.party, media=["audio"]))
    call_id = call.frame(CallCreated).call_id
    if accepted:
        call = play >> bob.says(CallAccept(call_id=call_id))
    (said,) = call.openings[0].on_failure
    assert said.frame.code == AUDIT_UNAVAILABLE.code  # type: ignore[union-attr]
    dropped = play >> play.failed(call)
    assert (
        dropped
        << effect(WithdrawMedia, session_id=call_id)
        << ada.told(CallEnded, reason="record_unavailable")
        << bob.told(CallEnded, reason="record_unavailable")
    )
    assert dropped.ended_scopes == [call_id]
    assert list(play.house.calls) == [kept]


def test_a_call_carried_by_a_connection_that_is_dropped_ends() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    dropped = play >> CommitFailed((ada.connection_id,), outage=False)
    assert (
        dropped
        << ada.closed(AUDIT_UNAVAILABLE)
        << effect(WithdrawMedia, session_id=call_id)
        << bob.told(CallEnded, reason="party_left")
    )


def test_each_scope_that_failed_is_dropped_and_nothing_beside_it() -> None:
    play = Playbook()
    ada, bob, cat, dan = (play.person(name) for name in ("ada", "bob", "cat", "dan"))
    guest = play.admitted(cat)
    calls = play.ringing(ada, bob), play.talking(cat, dan)
    invited = play.invitation(ada)
    failing = [
        play >> ada.says(ChatSend(ref="1", to=bob.party, text="x")),
        play >> ada.says(InvitationCreate(ref="2", guest_name="Gus", purpose="A talk")),
    ]
    scopes = tuple(opening.scope for outcome in failing for opening in outcome.openings)
    visits, invitations = set(play.house.visits), set(play.house.invitations)
    play >> CommitFailed((*scopes, calls[0], "m-none", "r-none", "x"), outage=False)
    assert list(play.house.calls) == [calls[1]]
    assert set(play.house.visits) == visits == {guest.party}
    assert set(play.house.invitations) == invitations - set(scopes)
    assert invited in play.house.invitations
    assert not any(connection.closing for connection in play.house.connections.values())


def test_a_scope_that_is_already_gone_is_dropped_in_silence() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.ringing(ada, bob)
    failure = CommitFailed((call_id,), outage=False)
    assert (play >> failure).effects
    assert (play >> failure).commands == []
