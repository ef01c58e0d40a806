"""Emergency: a stop ends what it covers at once and denies it from then on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from auth.personal import Personal
from broker.core.admin_events import AdminSignInProved
from broker.core.answers import RETURN_AFTER_SECONDS, RETURN_SPREAD_SECONDS, return_after_seconds
from broker.core.client_frames import CallAccept, CallInvite, CallShare, ChatSend
from broker.core.commands import (
    CloseConnection,
    EndEverySignIn,
    EndVisit,
    Latch,
    ReplyDone,
    RequestId,
    SettleMessage,
    SilenceMedia,
    Tell,
    WithdrawMedia,
)
from broker.core.errors import EMERGENCY_STOP
from broker.core.events import (
    DrillFound,
    EmergencyRequested,
    MediaCount,
    MediaWithdrawn,
    PolicyApplied,
    SignInProved,
    StopLifted,
    Ticked,
)
from broker.core.frames import CallEnded, Error
from broker.core.gate import Receipt
from broker.core.stop import SLICE
from broker.core.stored import StoredMessage
from broker.policy.administration import Role
from broker.policy.decision import Code
from broker.policy.index import PolicyIndex
from broker.policy.stop import ALL, parse_scope
from config.policy.loading import load_policy
from tests.spec.button import (
    ASKED,
    SOURCE,
    ZONED,
    admin,
    found,
    house,
    presses,
    refusal,
    stopped,
    stopped_scopes,
    stops,
)
from tests.spec.policies import OPEN_POLICY
from tests.spec.stage import Stage

# --- what a stop ends ---------------------------------------------------------------------------------------


def test_the_rows_of_the_relay_go_before_anybody_hears_of_it_and_credentials_go_last() -> None:
    play = house()
    ada, bob = play.person("ada"), play.person("bob")
    play.talking(ada, bob)
    effects = stops(play, found()).effects
    kinds = [type(effect) for effect in effects]
    assert kinds[:3] == [Latch, SilenceMedia, WithdrawMedia]
    assert effects[1] == SilenceMedia(None)
    calls = [at for at, one in enumerate(effects) if isinstance(getattr(one, "frame", None), CallEnded)]
    assert max(calls) < kinds.index(CloseConnection)


def test_both_sides_of_a_call_hear_why_it_ended_and_when_they_may_come_back() -> None:
    play = house()
    ada, bob = play.person("ada"), play.person("bob")
    play.talking(ada, bob)
    effects = stops(play, found()).effects
    for client in (ada, bob):
        own = [one for one in effects if getattr(one, "connection_id", None) == client.connection_id]
        told, closed = own
        assert isinstance(told, Tell)
        assert isinstance(told.frame, CallEnded)
        assert (told.frame.reason, told.frame.code) == ("emergency_stop", EMERGENCY_STOP.code)
        assert told.frame.message == EMERGENCY_STOP.sentence
        assert closed == stopped(client)


def test_nobody_is_told_to_come_back_in_the_same_second_as_everybody() -> None:
    seconds = [return_after_seconds(f"n-{number}") for number in range(2000)]
    assert min(seconds) >= RETURN_AFTER_SECONDS
    assert max(seconds) < RETURN_AFTER_SECONDS + RETURN_SPREAD_SECONDS
    assert len(set(seconds)) > RETURN_SPREAD_SECONDS * 0.9


def test_a_stop_of_everything_ends_every_sign_in_and_every_visit() -> None:
    play = house()
    host = play.person("ada")
    guest = play.admitted(host)
    waits = play.waiting(host)
    outcome = stops(play, found())
    assert EndEverySignIn() in outcome.writes
    assert {w.guest for w in outcome.writes if isinstance(w, EndVisit)} == {guest.party, waits.party}
    assert play.house.visits == {}
    assert all(connection.closing for connection in play.house.connections.values())
    assert play.house.sign_ins == {}


@pytest.mark.parametrize("state", ["ringing", "talking", "sharing"])
def test_a_stop_finds_a_call_in_every_state(state: str) -> None:
    play = house()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = (play.ringing if state == "ringing" else play.talking)(ada, bob)
    if state == "sharing":
        play >> ada.says(CallShare(call_id=call_id))
    outcome = stops(play, found())
    assert play.house.calls == {}
    assert outcome.effects[2] == WithdrawMedia(call_id)
    assert ("share.closed" in outcome.record_types) is (state == "sharing")


def test_what_waits_for_its_record_when_a_stop_comes_is_never_let_out() -> None:
    play = house()
    ada, bob = play.person("ada"), play.person("bob")
    rings = play >> ada.says(CallInvite(ref="1", to=bob.party, media=["audio"]))
    sign_in = play >> SignInProved(RequestId("r-1"), play.insider("eve"), SOURCE, "t-eve", SOURCE)
    assert all(play.house.gate.recorded(o, Receipt(1, 1)) for o in (*rings.openings, *sign_in.openings))
    outcome = stops(play, found())
    assert rings.openings[0].scope in outcome.ended_scopes
    assert not any(play.house.gate.recorded(o, Receipt(1, 1)) for o in (*rings.openings, *sign_in.openings))


async def test_what_a_stop_held_back_is_answered_in_its_words(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    ada, bob = stage.connect("ada"), stage.connect("bob")
    stage.send("ada", ChatSend(ref="1", to="u-bob", text="hello"), to="bob")
    stage.driver.submit(found(parse_scope("modality:chat")))
    stage.settle()
    (told,) = [frame for frame in ada.frames if isinstance(frame, Error)]
    assert (told.code, told.ref) == (EMERGENCY_STOP.code, "1")
    assert not [kind for kind in (*ada.types(), *bob.types()) if kind.startswith("chat.")]
    (write,) = [w for entry in stage.writer.put_so_far for w in entry.writes if isinstance(w, SettleMessage)]
    assert write.outcome == "withheld", "the sender was told so"


def test_thousands_of_calls_fall_silent_in_one_event_and_end_a_few_at_a_time() -> None:
    play = house()
    for number in range(SLICE):
        play.talking(play.person(f"a{number}"), play.person(f"b{number}"))
    first = play >> found()
    assert [type(effect) for effect in first.effects] == [Latch, SilenceMedia]
    assert len(play.house.calls) == SLICE
    slices = 0
    while play.house.to_end:
        play >> Ticked()
        slices += 1
    assert slices >= 3 * SLICE // SLICE
    assert play.house.calls == {}
    assert all(connection.closing for connection in play.house.connections.values())


# --- what a stop denies -------------------------------------------------------------------------------------


def test_while_everything_is_stopped_nobody_signs_in_connects_or_joins() -> None:
    play = house()
    host = play.person("ada")
    invitation = play.invitation(host)
    stops(play, found())
    assert (
        refusal(play >> SignInProved(ASKED, play.insider("eve"), SOURCE, "t-eve", SOURCE)) == "EMERGENCY_STOP"
    )
    assert refusal(play >> play.redeems(invitation, host.insider)) == "EMERGENCY_STOP"
    again = play.connects(host.insider, "t-new")
    assert stopped(again) in (play >> again.arrives()).effects


def test_the_decision_says_what_was_asked_and_that_no_rule_was_the_reason() -> None:
    play = house()
    stops(play, found())
    record = (play >> SignInProved(ASKED, play.insider("eve"), SOURCE, "t-eve", SOURCE)).record(
        "decision.denied"
    )
    (decision,) = cast("list[dict[str, Any]]", record.fields["decisions"])
    assert (decision["code"], decision["effect"]) == (Code.STOPPED, "deny")
    assert decision["determining_rules"] == []
    assert decision["inputs"]["actor"]["party"] == "u-eve"


def test_a_message_that_waits_for_its_reader_waits_on_while_chat_is_stopped() -> None:
    play = house()
    ada, bob = play.person("ada"), play.person("bob")
    waiting = StoredMessage("m-1", ada.insider, ada.party, Personal("hello"), 1)
    stops(play, found(parse_scope("modality:chat")))
    assert (play >> bob.reads(waiting)).writes == []
    play >> StopLifted(parse_scope("modality:chat"), removed=True)
    assert (play >> bob.reads(waiting)).record_types == ["chat.released"]


def test_an_acceptance_that_waits_for_its_record_never_reaches_anybody_after_a_stop() -> None:
    play = house()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.ringing(ada, bob)
    accepted = play >> bob.says(CallAccept(call_id=call_id))
    stops(play, found())
    assert [play.house.gate.recorded(opening, Receipt(1, 1)) for opening in accepted.openings] == [None]


def test_a_policy_that_comes_into_force_during_a_stop_opens_nothing() -> None:
    play = house(ZONED)
    stops(play, found())
    outcome = play >> PolicyApplied(PolicyIndex(load_policy(OPEN_POLICY, "new")), "console")
    assert outcome.openings == []
    assert (
        refusal(play >> SignInProved(ASKED, play.insider("eve"), SOURCE, "t-eve", SOURCE)) == "EMERGENCY_STOP"
    )


# --- the button ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.POLICY_ADMINISTRATOR, Role.RECOVERY, Role.BREAK_GLASS])
def test_an_administrator_stops_and_is_answered_at_once(role: Role) -> None:
    play = house()
    outcome = presses(play, admin(play, "olga", role))
    assert stopped_scopes(play) == {ALL}
    assert ReplyDone(ASKED) in outcome.effects
    assert not outcome.openings
    assert outcome.record("emergency.requested").fields["user"] == "u-olga"
    assert outcome.record("emergency.stopped").fields["how"] == "console"


def test_an_auditor_stops_nothing() -> None:
    play = house()
    outcome = presses(play, admin(play, "aude", Role.AUDITOR))
    assert stopped_scopes(play) == set()
    assert outcome.record_types == ["decision.denied"]


def test_a_second_stop_of_the_same_ends_nothing_more_and_another_scope_is_another_stop() -> None:
    play = house()
    olga = admin(play, "olga")
    presses(play, olga)
    again = presses(play, olga)
    assert again.record_types == ["emergency.requested"]
    assert ReplyDone(ASKED) in again.effects
    presses(play, olga, parse_scope("modality:chat"))
    assert stopped_scopes(play) == {ALL, parse_scope("modality:chat")}


def test_administrators_go_on_working_while_everything_is_stopped() -> None:
    play = house()
    stops(play, found())
    late = play.insider("late", "ops")
    outcome = play >> AdminSignInProved(RequestId("r-in"), late, SOURCE, "t-late", Role.OPERATOR)
    assert all(play.house.gate.recorded(opening, Receipt(1, 1)) for opening in outcome.openings)
    assert outcome.record_types == ["admin.signed_in"]


def test_the_record_ends_with_what_was_stopped_and_when_its_last_packet_went_out() -> None:
    play = house()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    play >> found()
    assert WithdrawMedia(call_id) in (play >> Ticked()).effects
    at = play.now.wall_ms
    count = MediaCount((ada.party, bob.party), (30, 40), (3000, 4000), (), (at - 7, at - 5))
    closed = (play >> MediaWithdrawn(call_id, count)).record("call.closed")
    assert closed.fields["reason"] == "emergency_stop"
    assert closed.fields["last_packet_ms"] == {"a_to_b": at - 7, "b_to_a": at - 5}
    facts = play.later(0).record("emergency.effective").fields
    assert (facts["calls"], facts["connections"]) == (1, 2)
    assert (facts["packets"], facts["last_packet_ms"]) == (70, at - 5)


# --- the drill ----------------------------------------------------------------------------------------------


def test_a_drill_says_what_a_stop_would_end_and_ends_nothing() -> None:
    play = house()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    olga = admin(play, "olga")
    for event in (EmergencyRequested(ASKED, "t-olga", olga, SOURCE, "drill", ALL), DrillFound(ALL)):
        outcome = play >> event
        facts = outcome.record("emergency.drilled").fields
        assert (facts["calls"], facts["connections"], facts["visits"]) == (1, 2, 0)
        assert outcome.record_types == ["emergency.drilled"]
    assert call_id in play.house.calls
    assert stopped_scopes(play) == set()
    assert play.house.drill is not None
    assert play.house.drill.would_end["calls"] == 1
