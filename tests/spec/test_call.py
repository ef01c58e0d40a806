"""Call: from the invitation to the last counter."""

from __future__ import annotations

from typing import Any

import pytest

from broker.core.call import TRANSITIONS, CallEvent, CallState
from broker.core.client_frames import CallAccept, CallCancel, CallDecline, CallHangUp, CallInvite, PresenceSet
from broker.core.commands import AdmitMedia, WithdrawMedia
from broker.core.errors import (
    CALL_STATE,
    PEER_UNREACHABLE,
    STILL_IN_LOBBY,
    UNKNOWN_CALL,
    USER_BUSY,
    YOU_ARE_BUSY,
)
from broker.core.frame_fields import EndReason
from broker.core.frames import CallAccepted, CallCreated, CallEnded, CallRing, PresenceStatus
from broker.policy.decision import Code
from config.policy.action import Action
from tests.spec.outcome import Expected, effect
from tests.spec.playbook import START_WALL_SECONDS, Client, Playbook, allow_everything
from tests.spec.policies import SIGN_IN, rule, without

SECONDS = Playbook().house.rules
ENDS = [CallCancel, CallDecline, CallHangUp]


def invite(callee: Client, *media: Any, ref: str = "call") -> CallInvite:
    return CallInvite(ref=ref, to=callee.party, media=list(media or ("audio",)))


def over(reason: EndReason, call_id: str, *clients: Client) -> list[Expected]:
    """The rows are removed, and each of them hears why."""
    told = [client.told(CallEnded, call_id=call_id, reason=reason) for client in clients]
    return [effect(WithdrawMedia, session_id=call_id), *told]


def test_a_call_is_recorded_and_both_parties_admitted_before_it_rings() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    bob2 = play.joined(bob.principal)
    call = play >> ada.says(invite(bob, "video", "audio"))
    call_id = call.frame(CallCreated).call_id
    until = START_WALL_SECONDS + SECONDS.max_call_seconds
    assert (
        call
        << effect(AdmitMedia, session_id=call_id, parties=(ada.party, bob.party), until_unix_seconds=until)
        << ada.shown(CallCreated, ref="call")
        << bob.shown(CallRing, call_id=call_id)
        << bob2.shown(CallRing, call_id=call_id)
    )
    record = call.record("call.opened")
    assert record.session_id == call_id
    assert record.fields["media"] == ["audio", "video"]
    assert (record.fields["caller"], record.fields["callee"]) == (ada.party, bob.party)
    assert record.fields["external"] is False
    assert {decision.inputs.action for decision in call.openings[0].decisions} == {"call.audio", "call.video"}


def test_a_medium_named_twice_is_one_medium() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    assert (play >> ada.says(invite(bob, "audio", "audio"))).frame(CallRing).media == ["audio"]


def test_every_medium_is_decided_and_one_that_is_denied_denies_the_call() -> None:
    play = Playbook(without(Action.CALL_VIDEO))
    ada, bob = play.person("ada"), play.person("bob")
    denied = play >> ada.says(invite(bob, "audio", "video"))
    assert denied << ada.refused(Code.DENIED, ref="call")
    assert denied.record_types == ["decision.denied"]
    assert (play >> ada.says(invite(bob, "audio"))).openings


def test_the_relay_credentials_outlive_the_call_by_a_minute() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    created = (play >> ada.says(invite(bob))).frame(CallCreated)
    until = START_WALL_SECONDS + SECONDS.max_call_seconds + 60
    assert created.ice_server.username == f"{until}:{created.call_id}:{ada.party}"
    play.wait(10)
    accepted = (play >> bob.says(CallAccept(call_id=created.call_id))).frame(CallAccepted)
    assert accepted.ice_server.username == f"{until}:{created.call_id}:{bob.party}"


def test_accepting_gives_both_sides_their_credentials_and_stops_the_ringing_elsewhere() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    bob2 = play.joined(bob.principal)
    call_id = play.ringing(ada, bob)
    answered = play >> bob.says(CallAccept(call_id=call_id))
    assert (
        answered
        << bob.shown(CallAccepted, role="callee", call_id=call_id)
        << ada.shown(CallAccepted, role="caller", call_id=call_id)
        << bob2.told(CallEnded, call_id=call_id, reason="answered_elsewhere")
    )
    decisions: Any = answered.record("call.answered").fields["decisions"]
    assert [decision["effect"] for decision in decisions] == ["allow"]
    assert answered.openings[0].scope == call_id


def test_a_call_is_accepted_once_and_by_the_callee_only() -> None:
    play = Playbook()
    ada, bob, eve = play.person("ada"), play.person("bob"), play.person("eve")
    bob2 = play.joined(bob.principal)
    call_id = play.ringing(ada, bob)
    accept = CallAccept(call_id=call_id)
    assert play >> ada.says(accept) << ada.refused(UNKNOWN_CALL, call_id=call_id)
    assert play >> eve.says(accept) << eve.refused(UNKNOWN_CALL, call_id=call_id)
    assert (play >> bob.says(accept)).openings
    assert play >> bob.says(accept) << bob.refused(CALL_STATE, call_id=call_id)
    assert play >> bob2.says(accept) << bob2.refused(CALL_STATE, call_id=call_id)


def test_the_lifecycle_is_the_table_and_nothing_else() -> None:
    ends = {key for key, state in TRANSITIONS.items() if state is None}
    ringing = {(CallState.RINGING, event) for event in CallEvent if event is not CallEvent.ACCEPT}
    assert ends == ringing | {
        (CallState.ACTIVE, CallEvent.HANG_UP),
        (CallState.ACTIVE, CallEvent.CANCEL),
    }
    assert TRANSITIONS.keys() - ends == {(CallState.RINGING, CallEvent.ACCEPT)}


def test_the_callee_declines() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    bob2 = play.joined(bob.principal)
    call_id = play.ringing(ada, bob)
    assert play >> bob.says(CallDecline(call_id=call_id)) << over("declined", call_id, ada, bob, bob2)


def test_the_caller_cancels() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.ringing(ada, bob)
    assert play >> ada.says(CallCancel(call_id=call_id)) << over("cancelled", call_id, ada, bob)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("accepted", [False, True])
def test_either_side_hangs_up_at_any_time(side: int, accepted: bool) -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob) if accepted else play.ringing(ada, bob)
    assert play >> (ada, bob)[side].says(CallHangUp(call_id=call_id)) << over("hung_up", call_id, ada, bob)


def test_the_caller_cannot_decline_nor_the_callee_cancel() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.ringing(ada, bob)
    assert play >> ada.says(CallDecline(call_id=call_id)) << ada.refused(CALL_STATE, call_id=call_id)
    assert play >> bob.says(CallCancel(call_id=call_id)) << bob.refused(CALL_STATE, call_id=call_id)
    assert call_id in play.house.calls


def test_a_cancel_that_crosses_the_accept_on_the_wire_ends_the_call() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    assert play >> bob.says(CallDecline(call_id=call_id)) << bob.refused(CALL_STATE)
    assert play >> ada.says(CallCancel(call_id=call_id)) << over("cancelled", call_id, ada, bob)


@pytest.mark.parametrize("frame", ENDS)
def test_nobody_else_can_end_a_call_or_learn_that_there_is_one(frame: Any) -> None:
    play = Playbook()
    ada, bob, eve = play.person("ada"), play.person("bob"), play.person("eve")
    call_id = play.ringing(ada, bob)
    forged = play >> eve.says(frame(call_id=call_id))
    unknown = play >> eve.says(frame(call_id="c-none"))
    assert forged << eve.refused(UNKNOWN_CALL, call_id=call_id)
    assert unknown << eve.refused(UNKNOWN_CALL, call_id="c-none")


@pytest.mark.parametrize("frame", [CallAccept, *ENDS])
def test_an_ended_call_is_unknown_to_its_own_parties(frame: Any) -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    play >> ada.says(CallHangUp(call_id=call_id))
    for client in (ada, bob):
        assert play >> client.says(frame(call_id=call_id)) << client.refused(UNKNOWN_CALL, call_id=call_id)


def test_a_call_nobody_answers_ends_when_the_ringing_is_over() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.ringing(ada, bob)
    assert play.later(SECONDS.ring_timeout_seconds - 1).commands == []
    assert play.later(1) << over("no_answer", call_id, ada, bob)


def test_an_answered_call_does_not_end_with_the_ringing_but_at_the_longest_allowed() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    assert play.later(SECONDS.max_call_seconds - 1).commands == []
    assert play.later(1) << over("time_limit", call_id, ada, bob)


def test_the_shortest_limit_of_policy_and_settings_ends_the_call() -> None:
    limits = "{ minutes = 5 }"
    policy = SIGN_IN + rule("talk", "call.audio", limits=limits) + rule("see", "presence.see call.video")
    play = Playbook(policy)
    ada, bob = play.person("ada"), play.person("bob")
    call = play >> ada.says(invite(bob, "audio", "video"))
    assert call.record("call.opened").fields["until"] == START_WALL_SECONDS + 300
    call_id = call.frame(CallCreated).call_id
    play >> bob.says(CallAccept(call_id=call_id))
    assert play.later(299).commands == []
    assert play.later(1) << over("time_limit", call_id, ada, bob)


def test_a_call_ends_with_the_last_day_of_the_rule_that_allowed_it() -> None:
    play = Playbook(SIGN_IN + rule("today", "call.audio", expires="2025-11-23"))
    ada, bob = play.person("ada"), play.person("bob")
    play.wait(39600)
    call = play >> ada.says(invite(bob))
    midnight = START_WALL_SECONDS - START_WALL_SECONDS % 86400 + 86400
    assert call.record("call.opened").fields["until"] == midnight
    play.wait(midnight - play.now.wall_seconds)
    call_id = call.frame(CallCreated).call_id
    assert play >> bob.says(CallAccept(call_id=call_id)) << bob.refused(CALL_STATE, call_id=call_id)


def test_who_is_in_a_call_is_busy_for_others_and_for_themselves() -> None:
    play = Playbook()
    ada, bob, cat = play.person("ada"), play.person("bob"), play.person("cat")
    ada2 = play.joined(ada.principal)
    play.ringing(ada, bob)
    for called in (ada, bob):
        refused = play >> cat.says(invite(called))
        assert refused << cat.refused(USER_BUSY, ref="call")
        assert refused.record("call.refused").fields["code"] == "USER_BUSY"
    for busy in (ada, ada2, bob):
        assert play >> busy.says(invite(cat)) << busy.refused(YOU_ARE_BUSY, ref="call")


def test_after_the_end_both_are_free_again() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    first = play.ringing(ada, bob)
    play >> bob.says(CallDecline(call_id=first))
    second = play.ringing(bob, ada)
    assert second != first


def test_somebody_without_a_connection_cannot_be_called() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    play >> bob.leaves()
    refused = play >> ada.says(invite(bob))
    assert refused << ada.refused(PEER_UNREACHABLE, ref="call")
    assert refused.record_types == ["call.refused"]


def test_a_connection_that_has_not_said_hello_does_not_ring() -> None:
    play = Playbook()
    ada = play.person("ada")
    silent = play.connects(play.insider("bob"))
    play >> silent.arrives()
    assert play >> ada.says(invite(silent)) << ada.refused(PEER_UNREACHABLE)


def test_nobody_calls_themselves_or_nobody() -> None:
    play = Playbook()
    ada = play.person("ada")
    assert play >> ada.says(invite(ada)) << ada.refused(PEER_UNREACHABLE, ref="call")
    nobody = CallInvite(ref="x", to="u-nobody", media=["audio"])
    assert play >> ada.says(nobody) << ada.refused(PEER_UNREACHABLE, ref="x")


def test_guests_and_hosts_call_each_other_once_the_guest_is_let_in() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.waiting(ada)
    assert play >> guest.says(invite(ada)) << guest.refused(STILL_IN_LOBBY, ref="call")
    assert play >> ada.says(invite(guest)) << ada.refused(PEER_UNREACHABLE, ref="call")
    host = play.joined(ada.principal)
    guest = play.admitted(host)
    call = play >> guest.says(invite(ada))
    assert call.record("call.opened").fields["external"] is True
    assert call.frame(CallRing).caller.kind == "guest"


def test_a_guest_calls_nobody_but_their_host_whatever_policy_says() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    guest, other = play.admitted(ada), play.admitted(ada)
    for to in (bob, other):
        assert play >> guest.says(invite(to)) << guest.refused(Code.NOT_YOUR_HOST)
    play.decide_by = allow_everything
    for to in (bob, other):
        assert play >> guest.says(invite(to)) << guest.refused(PEER_UNREACHABLE)
    assert play >> bob.says(invite(guest)) << bob.refused(PEER_UNREACHABLE)


def test_ringing_tells_no_status_to_somebody_who_may_not_see_it() -> None:
    play = Playbook(without(Action.PRESENCE_SEE))
    ada, bob = play.person("ada"), play.person("bob")
    for client in (ada, bob):
        play >> client.says(PresenceSet(status="away"))
    call = play >> ada.says(invite(bob))
    assert call.frame(CallCreated).to.status == "available"
    assert call.frame(CallRing).caller.status == "available"


@pytest.mark.parametrize("leaver", ["ada", "bob"])
def test_a_call_ends_with_the_connection_that_carries_it(leaver: str) -> None:
    play = Playbook()
    clients = {"ada": play.person("ada"), "bob": play.person("bob")}
    call_id = play.talking(clients["ada"], clients["bob"])
    (other,) = [client for name, client in clients.items() if name != leaver]
    gone = play >> clients[leaver].leaves()
    assert gone << over("party_left", call_id, other) << other.told(PresenceStatus, status="offline")


@pytest.mark.parametrize("leaver", ["ada", "bob"])
def test_another_connection_of_a_party_may_close(leaver: str) -> None:
    play = Playbook()
    clients = {"ada": play.person("ada"), "bob": play.person("bob")}
    spare = play.joined(clients[leaver].principal)
    call_id = play.talking(clients["ada"], clients["bob"])
    assert (play >> spare.leaves()).effects == []
    assert call_id in play.house.calls


def test_a_call_rings_on_until_the_last_connection_of_the_callee_has_gone() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    bob2 = play.joined(bob.principal)
    call_id = play.ringing(ada, bob)
    assert (play >> bob.leaves()).effects == []
    gone = play >> bob2.leaves()
    assert gone << over("party_left", call_id, ada) << ada.told(PresenceStatus, status="offline")


def test_a_connection_that_never_said_hello_leaves_without_ending_anything() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.ringing(ada, bob)
    silent = play.connects(bob.principal)
    play >> silent.arrives()
    assert (play >> silent.leaves()).effects == []
    assert call_id in play.house.calls


def test_signing_out_ends_the_calls_that_were_made_with_that_token() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    out = play >> ada.signs_out()
    assert WithdrawMedia(call_id) in out.effects
    assert not play.house.calls


def test_the_caller_can_tell_which_call_ended_before_they_were_told_its_id() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.ringing(ada, bob)
    ended = play >> bob.says(CallDecline(call_id=call_id))
    assert ended << effect(WithdrawMedia) << ada.told(CallEnded, ref="call") << bob.told(CallEnded, ref=None)
