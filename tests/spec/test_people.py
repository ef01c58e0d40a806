"""People: what ends when the directory says less of somebody, and what does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auth.personal import Personal
from broker.core import signing_in
from broker.core.commands import EndSignIn, RequestId, WithdrawMedia
from broker.core.errors import ACCESS_ENDED, DIRECTORY_SILENT, SIGNED_OUT
from broker.core.events import DirectorySilent, PeopleRead, PolicyApplied, SignInProved, Started, Ticked
from broker.core.frames import CallEnded, ContactGone, LobbyRefused, PresenceStatus
from broker.core.people import watched
from broker.policy.index import PolicyIndex
from config.policy.action import Action
from config.policy.loading import load_policy
from tests.spec.outcome import effect
from tests.spec.playbook import Client, Playbook
from tests.spec.policies import EVERYTHING, OPEN_POLICY, SIGN_IN, rule

GRACE_SECONDS = 900


def test_who_leaves_the_group_loses_the_call_that_it_allowed() -> None:
    members = SIGN_IN + rule("members", EVERYTHING, who='{ groups = ["ext"] }')
    play = Playbook(members)
    ada, bob = play.person("ada", "ext"), play.person("bob", "ext")
    play.talking(ada, bob)
    outcome = play >> PeopleRead(1, (replace(ada.insider, groups=frozenset()),))
    assert outcome.frame(CallEnded).code == "POLICY_DEFAULT_DENY"
    assert play.house.calls == {}


def test_who_moves_into_a_high_zone_loses_their_guests() -> None:
    vault = '[[zones]]\nid = "vault"\nnetworks = ["10.7.0.0/16"]\nsensitivity = "high"\n'
    play = Playbook()
    ada = play.person("ada")
    guest = play.admitted(ada)
    call_id = play.talking(ada, guest)
    play >> applied(OPEN_POLICY + vault)
    assert not play.house.connections[ada.connection_id].closing
    assert call_id not in play.house.calls
    assert play.house.connections[guest.connection_id].closing


def test_nobody_elses_connections_are_asked_about() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    play.person("cid")
    play.asked.clear()
    play >> PeopleRead(1, (ada.insider,))
    signed_in = [q.actor.principal for q in play.asked if q.action is Action.EDGE_SIGNIN]
    assert signed_in == [ada.insider]
    assert bob.insider not in signed_in


def test_who_is_gone_is_disconnected_and_so_are_their_guests_for_good() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.admitted(ada)
    assert (
        play
        >> PeopleRead(1, vanished=(ada.party,))
        << ada.closed(ACCESS_ENDED)
        << guest.told(PresenceStatus, status="offline")
        << guest.told(LobbyRefused)
        << guest.closed(SIGNED_OUT)
    )
    assert guest.party not in play.house.visits


def test_who_is_gone_is_nobodys_contact_any_more() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    outcome = play >> PeopleRead(1, vanished=(ada.party,))
    gone = bob.told(ContactGone, party=ada.party)
    offline = bob.told(PresenceStatus, party=ada.party, status="offline")
    assert outcome << ada.closed(ACCESS_ENDED) << offline << gone << gone
    assert ada.party not in play.house.connections[bob.connection_id].sees


@pytest.mark.parametrize("state", ["disabled", "expired", "locked"])
def test_whose_account_may_not_be_used_loses_media_first_and_then_everything(state: str) -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    outcome = play >> PeopleRead(2, ended=((ada.party, state),))
    assert (
        outcome
        << effect(WithdrawMedia, session_id=call_id)
        << ada.told(CallEnded, reason="access_ended")
        << bob.told(CallEnded, reason="party_left")
        << ada.closed(ACCESS_ENDED)
        << bob.told(PresenceStatus, party=ada.party, status="offline")
        << [bob.told(ContactGone, party=ada.party)] * 2
    )
    assert EndSignIn(play.house.connections[ada.connection_id].token_digest) in outcome.writes
    ended = outcome.record("auth.ended")
    assert (ended.fields["user"], ended.fields["reason"]) == (ada.party, f"account_{state}")
    assert play.house.ending_calls[call_id].reason == "access_ended"


def test_the_other_side_is_not_told_what_became_of_an_account() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.admitted(ada)
    play.talking(ada, guest)
    outcome = play >> PeopleRead(1, ended=((ada.party, "disabled"),))
    told = [one for one in outcome.effects if getattr(one, "connection_id", "") == guest.connection_id]
    assert told
    assert "access" not in repr(told)
    assert "account" not in repr(told)


def test_a_sign_in_that_nobody_uses_ends_too_and_its_token_opens_nothing_any_more() -> None:
    play = Playbook()
    ada = play.insider("ada")
    play >> SignInProved(RequestId("r-1"), ada, Personal("10.7.0.1"), "d" * 64, Personal("10.7.0.0/24"))
    assert watched(play.house) == {ada.party: None}
    outcome = play >> PeopleRead(1, ended=((ada.party, "disabled"),))
    assert outcome.record("auth.ended").fields["reason"] == "account_disabled"
    assert outcome.writes == [EndSignIn("d" * 64)]
    assert signing_in.live(play.house, "d" * 64, play.now) is None


def test_many_who_vanish_at_once_are_not_believed_and_who_is_disabled_goes_all_the_same() -> None:
    play = started()
    people = [play.person(f"p{n}") for n in range(10)]
    gone = tuple(person.party for person in people[:6])
    outcome = play >> PeopleRead(10, vanished=gone, ended=((people[9].party, "disabled"),))
    assert [still_there(play, person) for person in people] == [True] * 9 + [False]
    assert outcome.record_types.count("auth.ended") == 1
    alarm = play.later(1).record("alarm.raised")
    assert (alarm.fields["alarm"], alarm.fields["detail"]) == ("people_vanished", "6 people")


def test_five_may_always_vanish_and_so_may_a_small_part_of_many() -> None:
    play = Playbook()
    people = [play.person(f"p{n}") for n in range(8)]
    play >> PeopleRead(8, vanished=tuple(person.party for person in people[:5]))
    assert [still_there(play, person) for person in people] == [False] * 5 + [True] * 3
    play >> PeopleRead(100, vanished=tuple(person.party for person in people[5:]))
    assert not any(still_there(play, person) for person in people)


def test_the_alarm_ends_when_they_are_back() -> None:
    play = started()
    people = [play.person(f"p{n}") for n in range(6)]
    play >> PeopleRead(6, vanished=tuple(person.party for person in people))
    play.later(1)
    play >> PeopleRead(6)
    assert play.later(1).record("alarm.cleared").fields["alarm"] == "people_vanished"


def test_what_is_open_goes_on_for_the_grace_of_a_silent_directory_and_ends_then() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    play >> DirectorySilent()
    play.later(GRACE_SECONDS - 1)
    play >> DirectorySilent()
    assert call_id in play.house.calls
    outcome = play.later(1)
    assert effect(WithdrawMedia, session_id=call_id).matches(outcome.effects[0])
    for person in (ada, bob):
        told = [one for one in outcome.effects if getattr(one, "connection_id", "") == person.connection_id]
        assert person.told(CallEnded, reason="directory_silent").matches(told[0])
        assert any(person.closed(DIRECTORY_SILENT).matches(one) for one in told)
    assert outcome.writes == [], "they come back with the sign-in they have, once it answers"


def test_guests_of_a_host_who_is_not_here_leave_with_everybody_when_the_grace_is_over() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.admitted(ada)
    play >> ada.leaves()
    play >> DirectorySilent()
    play.later(GRACE_SECONDS - 1)
    assert still_there(play, guest)
    play.later(1)
    assert not still_there(play, guest)
    assert play.house.visits == {}


def test_both_sides_of_a_call_may_lose_access_at_once_and_it_ends_once() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    ended = ((ada.party, "disabled"), (bob.party, "expired"))
    outcome = play >> PeopleRead(2, ended=ended)
    assert [e for e in outcome.effects if isinstance(e, WithdrawMedia)] == [WithdrawMedia(call_id)]
    reasons = {r.fields["user"]: r.fields["reason"] for r in outcome.records if r.type == "auth.ended"}
    assert reasons == {ada.party: "account_disabled", bob.party: "account_expired"}


def test_an_answer_in_between_ends_the_grace_and_the_next_silence_has_a_new_one() -> None:
    play = Playbook()
    ada = play.person("ada")
    play >> DirectorySilent()
    play.wait(GRACE_SECONDS - 100)
    play >> PeopleRead(1)
    play >> DirectorySilent()
    play.later(200)
    assert still_there(play, ada)
    play.later(GRACE_SECONDS - 200)
    assert not still_there(play, ada)


def test_very_many_lose_what_they_have_some_at_a_time() -> None:
    play = Playbook()
    everybody = [play.person(f"p{n}") for n in range(100)]
    play >> DirectorySilent()
    play.later(GRACE_SECONDS - 1)
    play.wait(1)
    play >> Ticked()
    left = [person for person in everybody if still_there(play, person)]
    assert 0 < len(left) < 100
    play.later(0)
    assert not any(still_there(play, person) for person in everybody)


def started() -> Playbook:
    play = Playbook()
    play >> Started((), (), ())
    return play


def still_there(play: Playbook, person: Client) -> bool:
    return not play.house.connections[person.connection_id].closing


def applied(policy: str) -> PolicyApplied:
    return PolicyApplied(PolicyIndex(load_policy(policy, "test")), "file")
