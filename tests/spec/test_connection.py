"""Connection: sign-in, connect, hello, sign-out and the end."""

from __future__ import annotations

import pytest

from broker.core.client_frames import ChatSend, PresenceSet
from broker.core.commands import (
    WithdrawMedia,
)
from broker.core.errors import (
    ALREADY_HELLO,
    EDGE_STOPPING,
    NOT_HELLO,
    NOT_SIGNED_IN,
    POLICY_REFUSED,
    SIGNED_OUT,
    TOO_MANY_CONNECTIONS,
)
from broker.core.events import Started, Stopping
from broker.core.frames import CallEnded, InvitationChanged, LobbyLeft, LobbyRefused
from broker.core.stored import LostSession
from broker.policy.decision import Code
from tests.spec.outcome import effect
from tests.spec.playbook import Playbook, deny_everything


def test_a_connection_is_decided_and_recorded_again() -> None:
    play = Playbook()
    ada = play.connects(play.insider("ada"))
    outcome = play >> ada.arrives()
    assert outcome << []
    assert outcome.record("connection.opened").session_id == ada.connection_id
    assert outcome.openings[0].scope == ada.connection_id


def test_a_connection_that_policy_denies_is_recorded_and_closed() -> None:
    play = Playbook(decide_by=deny_everything)
    ada = play.connects(play.insider("ada"))
    outcome = play >> ada.arrives()
    assert outcome << ada.closed(POLICY_REFUSED)
    assert outcome.record_types == ["decision.denied"]
    assert (play >> ada.hello()).commands == []
    assert (play >> ada.leaves()).commands == []


def test_a_hello_that_policy_denies_by_then_is_recorded_and_closes_the_connection() -> None:
    play = Playbook()
    ada = play.connects(play.insider("ada"))
    play >> ada.arrives()
    play.decide_by = deny_everything
    outcome = play >> ada.hello()
    assert outcome << ada.closed(POLICY_REFUSED)
    assert outcome.record_types == ["decision.denied"]
    assert (play >> ada.leaves()).record_types == ["connection.closed"]


def test_hello_comes_first_and_anything_else_closes_the_connection() -> None:
    play = Playbook()
    ada = play.connects(play.insider("ada"))
    play >> ada.arrives()
    assert play >> ada.says(PresenceSet(status="away")) << ada.closed(NOT_HELLO)
    assert (play >> ada.hello()).commands == []


def test_hello_is_said_once() -> None:
    play = Playbook()
    ada = play.person("ada")
    asked = len(play.asked)
    assert play >> ada.hello() << ada.refused(ALREADY_HELLO)
    assert len(play.asked) == asked


def test_a_connection_that_does_not_say_hello_in_time_is_closed() -> None:
    play = Playbook()
    play.person("bob")
    ada = play.connects(play.insider("ada"))
    play >> ada.arrives()
    assert play.later(9.9).commands == []
    assert play.later(0.1) << ada.closed(NOT_HELLO)


def test_a_person_has_so_many_connections_and_no_more() -> None:
    play = Playbook()
    ada = play.person("ada")
    others = [play.joined(ada.principal) for _ in range(play.house.rules.max_connections_per_person - 1)]
    refused = play.connects(ada.principal)
    assert play >> refused.arrives() << refused.closed(TOO_MANY_CONNECTIONS)
    play >> others[0].leaves()
    assert (play >> play.connects(ada.principal).arrives()).openings


def test_the_record_of_a_connection_closes_with_what_went_over_it() -> None:
    play = Playbook()
    ada = play.person("ada")
    record = (play >> ada.leaves()).record("connection.closed")
    assert record.session_id == ada.connection_id
    assert record.fields["bytes"] == {"in": 1, "out": 2}
    assert record.fields["packets"] == {"in": 3, "out": 4}
    assert record.fields["reason"] == "client_closed"
    assert (play >> ada.leaves()).commands == []


def test_a_guest_whose_visit_is_over_cannot_connect() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.waiting(ada)
    assert (
        play
        >> guest.signs_out()
        << guest.told(LobbyRefused)
        << guest.closed(SIGNED_OUT)
        << ada.told(LobbyLeft, guest=guest.party)
        << ada.told(InvitationChanged)
    )
    again = play.connects(guest.principal, guest.token)
    assert play >> again.arrives() << again.closed(NOT_SIGNED_IN)


def test_a_guest_whose_host_the_directory_no_longer_knows_cannot_connect() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.redeemed(play.invitation(ada), ada)
    del play.people[ada.party]
    client = play.connects(guest)
    outcome = play >> client.arrives()
    assert outcome << client.closed(POLICY_REFUSED)
    assert outcome.record_types == ["decision.denied"]


def test_a_guest_whose_host_vanishes_before_hello_is_turned_away() -> None:
    play = Playbook()
    ada = play.person("ada")
    client = play.connects(play.redeemed(play.invitation(ada), ada))
    play >> client.arrives()
    del play.people[ada.party]
    outcome = play >> client.hello()
    assert outcome << client.closed(POLICY_REFUSED)
    assert outcome.record_types == ["decision.denied"]


def test_frames_of_a_connection_nobody_knows_are_dropped() -> None:
    play = Playbook()
    assert (play >> play.connects(play.insider("ada")).hello()).commands == []


def test_a_decision_id_reaches_the_person_whose_action_was_denied() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    play.decide_by = deny_everything
    denied = play >> ada.says(ChatSend(ref="1", to=bob.party, text="x"))
    recorded = denied.record("decision.denied").fields["decisions"][0]["id"]  # type: ignore[index,call-overload]
    assert denied << ada.refused(Code.DENIED, decision_id=recorded, retryable=False)


def test_stopping_ends_every_call_and_closes_every_connection() -> None:
    play = Playbook()
    ada, bob, cat = play.person("ada"), play.person("bob"), play.person("cat")
    call_id = play.talking(ada, bob)
    play >> cat.signs_out()
    stopped = play >> Stopping()
    assert (
        stopped
        << effect(WithdrawMedia, session_id=call_id)
        << ada.told(CallEnded, reason="edge_stopping")
        << bob.told(CallEnded, reason="edge_stopping")
        << ada.closed(EDGE_STOPPING)
        << bob.closed(EDGE_STOPPING)
    )
    assert stopped.record_types == ["node.stopped"]


@pytest.mark.parametrize("kind", ["connection", "call", "visit"])
def test_what_a_previous_run_left_open_is_closed_on_record(kind: str) -> None:
    play = Playbook()
    outcome = play >> Started((), (), (LostSession("x-1", kind, '{"packets":[1,2]}'),))
    assert outcome.record_types == ["node.started", "policy.applied", f"{kind}.lost"]
    record = outcome.record(f"{kind}.lost")
    assert record.session_id == "x-1"
    assert record.fields["last_count"] == '{"packets":[1,2]}'
