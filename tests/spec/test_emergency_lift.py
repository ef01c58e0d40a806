"""Emergency: a stop stays latched, across restarts too, until two people together lift it."""

from __future__ import annotations

import pytest

from broker.core.admin_events import AdminSignInProved
from broker.core.commands import (
    EndEverySignIn,
    Latch,
    RequestId,
    Unlatch,
)
from broker.core.emergency import LIFT_PENDING_SECONDS
from broker.core.events import CommitFailed, EmergencyRequested, LatchMissing, Started, StopLifted
from broker.policy.administration import Role
from broker.policy.stop import ALL, Stop, parse_scope
from tests.spec.button import (
    ASKED,
    SOURCE,
    admin,
    found,
    house,
    lifts,
    presses,
    refusal,
    stopped_scopes,
    stops,
)
from tests.spec.outcome import Outcome
from tests.spec.playbook import Playbook

# --- the latch ----------------------------------------------------------------------------------------------


def test_after_a_restart_what_is_latched_on_disk_holds_and_is_on_record() -> None:
    play = Playbook()
    outcome = play >> Started((), (), (), latches=(found(),))
    assert stopped_scopes(play) == {ALL}
    assert outcome.record("emergency.stopped").fields["how"] == "latch"
    assert EndEverySignIn() in outcome.writes


def test_a_stop_that_both_disk_and_record_know_is_not_begun_again() -> None:
    play = Playbook()
    known = Stop(ALL, 5, "restart")
    outcome = play >> Started((), (), (), stops=(known,), latches=(found(),))
    assert stopped_scopes(play) == {ALL}
    assert not [kind for kind in outcome.record_types if kind.startswith("emergency.")]


def test_a_latch_removed_by_hand_while_the_edge_was_down_is_found_and_the_stop_goes_on() -> None:
    play = Playbook()
    known = Stop(ALL, 5, "restart")
    outcome = play >> Started((), (), (), stops=(known,))
    assert stopped_scopes(play) == {ALL}
    assert outcome.record("emergency.latch_missing").fields["scope"] == "all"
    assert Latch(known) in outcome.effects
    assert play.house.latches_missed == 1


def test_a_latch_removed_by_hand_in_a_running_edge_comes_back() -> None:
    play = house()
    stops(play, found())
    outcome = play >> LatchMissing(ALL)
    assert stopped_scopes(play) == {ALL}
    assert [type(effect) for effect in outcome.effects] == [Latch]
    assert (play >> LatchMissing(parse_scope("modality:chat"))).effects == []


def test_a_restart_between_any_two_steps_of_a_stop_finds_it_latched() -> None:
    play = house()
    ada, bob = play.person("ada"), play.person("bob")
    play.talking(ada, bob)
    play.admitted(ada)
    steps = stops(play, found()).effects
    assert len(steps) > 5
    for done in range(1, len(steps) + 1):
        latched = [step.stop.scope for step in steps[:done] if isinstance(step, Latch)]
        again = Playbook()
        again >> Started((), (), (), latches=tuple(map(found, latched)))
        assert stopped_scopes(again) == {ALL}, f"killed after step {done}"


# --- the lift -----------------------------------------------------------------------------------------------


def lifted(play: Playbook, outcome: Outcome) -> bool:
    """What the shell does with it: the files go, and the core is told."""
    scopes = [effect.scope for effect in outcome.effects if isinstance(effect, Unlatch)]
    for scope in scopes:
        play >> StopLifted(scope, removed=True)
    return bool(scopes)


@pytest.mark.parametrize(
    "second", [Role.OPERATOR, Role.POLICY_ADMINISTRATOR, Role.RECOVERY, Role.BREAK_GLASS]
)
def test_two_people_lift_a_stop_and_it_holds_until_that_is_on_record(second: Role) -> None:
    play = house()
    stops(play, found())
    olga, paul = admin(play, "olga"), admin(play, "paul", second)
    assert not lifted(play, lifts(play, olga))
    approved = lifts(play, paul)
    assert stopped_scopes(play) == {ALL}
    facts = approved.record("emergency.lifted").fields
    assert (facts["requested_by"], facts["user"]) == ("u-olga", "u-paul")
    assert lifted(play, approved)
    assert stopped_scopes(play) == set()
    assert play.talking(play.person("ada"), play.person("bob"))


def test_the_same_person_lifts_nothing_in_whatever_role() -> None:
    play = house()
    stops(play, found())
    both = play.insider("both", "ops", "policy")
    for role in (Role.OPERATOR, Role.POLICY_ADMINISTRATOR):
        play >> AdminSignInProved(RequestId("r-in"), both, SOURCE, f"t-{role}", role)
    play >> EmergencyRequested(ASKED, f"t-{Role.OPERATOR}", both, SOURCE, "lift", ALL)
    for role in (Role.OPERATOR, Role.POLICY_ADMINISTRATOR):
        again = play >> EmergencyRequested(ASKED, f"t-{role}", both, SOURCE, "lift", ALL)
        assert refusal(again) == "SECOND_PERSON"
        assert again.record_types == ["emergency.lift_refused"]
    assert stopped_scopes(play) == {ALL}


def test_whoever_pressed_the_button_may_be_one_of_the_two() -> None:
    play = house()
    olga, paul = admin(play, "olga"), admin(play, "paul")
    presses(play, olga)
    lifts(play, olga)
    assert lifted(play, lifts(play, paul))


def test_a_stop_pressed_again_is_another_one_whatever_was_asked_or_approved_before() -> None:
    play = house()
    stops(play, found())
    olga, paul = admin(play, "olga"), admin(play, "paul")
    lifts(play, olga)
    approved = lifts(play, paul)
    again = presses(play, olga)
    assert approved.openings[0].scope in again.ended_scopes, "what was approved never takes effect"
    assert play.house.lifts == {}
    assert stopped_scopes(play) == {ALL}
    assert not lifted(play, lifts(play, paul)), "both ask anew"


def test_an_approval_that_waits_for_its_record_is_not_approved_again() -> None:
    play = house()
    stops(play, found())
    lifts(play, admin(play, "olga"))
    paul = admin(play, "paul")
    lifts(play, paul)
    assert refusal(lifts(play, paul)) == "NOT_STOPPED"


@pytest.mark.parametrize("how", ["gone", "out of the group"])
def test_whoever_may_not_ask_any_more_when_it_is_approved_has_not_asked(how: str) -> None:
    play = house()
    stops(play, found())
    olga, paul, pia = (admin(play, name) for name in ("olga", "paul", "pia"))
    lifts(play, olga)
    if how == "gone":
        del play.people[olga.party]
    else:
        play.insider("olga")
    assert not lifted(play, lifts(play, paul)), "paul is the first now"
    assert lifted(play, lifts(play, pia))


def test_an_auditor_is_neither_of_the_two() -> None:
    play = house()
    stops(play, found())
    olga, aude = admin(play, "olga"), admin(play, "aude", Role.AUDITOR)
    lifts(play, olga)
    assert lifts(play, aude).record_types == ["decision.denied"]
    assert stopped_scopes(play) == {ALL}


def test_a_request_that_nobody_approves_in_time_is_over_whatever_the_clock_on_the_wall_says() -> None:
    play = house()
    stops(play, found())
    olga, paul = admin(play, "olga"), admin(play, "paul")
    lifts(play, olga)
    play.now = type(play.now)(play.now.wall_ms - 86_400_000, play.now.monotonic_seconds)
    assert "emergency.lift_expired" in play.later(LIFT_PENDING_SECONDS).record_types
    assert not lifted(play, lifts(play, paul))
    assert lifted(play, lifts(play, olga))


def test_a_lift_of_one_stop_leaves_the_others() -> None:
    play = house()
    chat = parse_scope("modality:chat")
    stops(play, found())
    stops(play, found(chat))
    olga, paul = admin(play, "olga"), admin(play, "paul")
    lifts(play, olga)
    assert refusal(lifts(play, paul, parse_scope("modality:call"))) == "NOT_STOPPED"
    assert not lifted(play, lifts(play, paul, chat)), "that was asked for by nobody else"
    assert lifted(play, lifts(play, paul))
    assert stopped_scopes(play) == {chat}


def test_a_lift_that_is_not_on_record_was_never_asked_for() -> None:
    play = house()
    stops(play, found())
    olga, paul = admin(play, "olga"), admin(play, "paul")
    play >> play.failed(lifts(play, olga))
    assert play.house.lifts == {}
    lifts(play, olga)
    play >> play.failed(lifts(play, paul))
    assert stopped_scopes(play) == {ALL}
    assert not lifted(play, lifts(play, paul)), "both ask anew"


def test_a_stop_whose_file_cannot_be_removed_goes_on() -> None:
    play = house()
    stops(play, found())
    lifts(play, admin(play, "olga"))
    lifts(play, admin(play, "paul"))
    outcome = play >> StopLifted(ALL, removed=False)
    assert outcome.record_types == ["emergency.lift_failed"]
    assert stopped_scopes(play) == {ALL}


def test_a_stop_works_while_the_record_cannot_be_written_and_its_lift_does_not() -> None:
    play = house()
    ada, bob = play.person("ada"), play.person("bob")
    play.talking(ada, bob)
    olga = admin(play, "olga")
    play >> CommitFailed((), outage=True)
    outcome = presses(play, olga)
    assert play.house.calls == {}
    assert not outcome.openings, "nothing of it waits for the record"
    assert lifts(play, olga).openings, "and this does"
