"""Connection: sign-in, connect, hello, sign-out and the end."""

from __future__ import annotations

import pytest

from auth.personal import Personal
from auth.principal import PartyId
from auth.throttle import SignInFailure
from broker.core.client_frames import ChatSend, PresenceSet
from broker.core.commands import (
    EndSignIn,
    Note,
    ReplyDone,
    ReplyGranted,
    ReplyRefused,
    RequestId,
    SaveSignIn,
    SaveSignInFailure,
    WithdrawMedia,
)
from broker.core.errors import (
    ALREADY_HELLO,
    AUDIT_UNAVAILABLE,
    EDGE_STOPPING,
    NOT_HELLO,
    NOT_SIGNED_IN,
    POLICY_REFUSED,
    SIGNED_OUT,
    TOO_MANY_CONNECTIONS,
)
from broker.core.events import PasswordRefused, SignInProved, SignOutRequested, Started, Stopping
from broker.core.frames import CallEnded, LobbyLeft, LobbyRefused, PresenceStatus
from broker.core.stored import LostSession
from broker.policy.decision import Code
from tests.spec.playbook import (
    START_WALL_SECONDS,
    Playbook,
    deny_everything,
    effect,
)


def proved(play: Playbook, name: str = "ada") -> SignInProved:
    return SignInProved(RequestId("r-1"), play.insider(name), Personal("10.7.0.1"), "digest")


def test_a_sign_in_is_recorded_and_stored_before_the_token_is_worth_anything() -> None:
    play = Playbook()
    outcome = play >> proved(play)
    assert outcome << effect(ReplyGranted, request_id="r-1")
    record = outcome.record("auth.accepted")
    assert (record.fields["user"], record.fields["method"]) == ("u-ada", "password")
    assert set(record.personal) >= {"user.login", "user.name", "user.address"}
    until = START_WALL_SECONDS + play.house.rules.sign_in_seconds
    assert outcome.writes == [SaveSignIn("digest", play.insider("ada").party, until)]
    (refusal,) = outcome.openings[0].on_failure
    assert isinstance(refusal, ReplyRefused)
    assert (refusal.http_status, refusal.error.code) == (503, AUDIT_UNAVAILABLE.code)


def test_a_sign_in_that_policy_denies_is_recorded_as_denied() -> None:
    play = Playbook("revision = 1")
    outcome = play >> proved(play)
    assert outcome << effect(ReplyRefused, request_id="r-1", http_status=403)
    assert outcome.record_types == ["decision.denied"]
    assert outcome.writes == []


def test_a_wrong_password_is_answered_once_it_is_stored_or_cannot_be() -> None:
    play = Playbook()
    failure = SignInFailure("digest", Personal("0a0701"), 1, 2)
    outcome = play >> PasswordRefused(RequestId("r-1"), failure)
    assert outcome << effect(ReplyDone, request_id="r-1")
    (note,) = outcome.commands
    assert isinstance(note, Note), "which waits for its own batch"
    assert (note.records, note.writes) == ((), (SaveSignInFailure(failure),))
    assert note.on_failure == note.effects


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


def test_signing_out_closes_every_connection_made_with_the_token_and_no_other() -> None:
    play = Playbook()
    bob = play.person("bob")
    ada, ada2 = play.person("ada"), play.joined(play.people[bob.party])
    elsewhere = play.connects(ada.principal, token="another")
    play >> elsewhere.arrives()
    play >> elsewhere.hello()
    out = play >> ada.signs_out()
    assert out << ada.closed(SIGNED_OUT)
    assert out.record_types == ["auth.ended"]
    assert out.writes == [EndSignIn(ada.token)]
    assert play >> ada2.says(PresenceSet(status="away")) << []
    assert (play >> elsewhere.says(PresenceSet(status="busy"))).effects


def test_nothing_is_heard_of_a_connection_after_it_was_signed_out() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    play >> ada.signs_out()
    for frame in (ChatSend(ref="1", to=bob.party, text="late"), PresenceSet(status="busy")):
        assert (play >> ada.says(frame)).commands == []
    assert (play >> ada.hello()).commands == []
    assert play >> bob.says(PresenceSet(status="busy")) << []


def test_signing_out_tells_the_others_that_the_person_is_offline() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    assert play >> ada.signs_out() << ada.closed(SIGNED_OUT) << bob.told(PresenceStatus, status="offline")


def test_a_token_that_was_signed_out_is_refused_even_while_the_store_still_knows_it() -> None:
    play = Playbook()
    ada = play.person("ada")
    play >> ada.signs_out()
    again = play.connects(ada.principal)
    assert play >> again.arrives() << again.closed(NOT_SIGNED_IN)
    fresh = play.connects(ada.principal, token="fresh")
    assert (play >> fresh.arrives()).openings


def test_an_ended_token_is_remembered_for_as_long_as_the_store_could_have_taken_it() -> None:
    play = Playbook()
    play >> SignOutRequested("digest", PartyId("u-ada"))
    assert play.house.ended_tokens == {"digest"}
    play.later(play.house.rules.sign_in_seconds - 1)
    assert play.house.ended_tokens == {"digest"}
    play.later(1)
    assert play.house.ended_tokens == set()


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
