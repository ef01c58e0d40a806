"""Signing in and out: from the password to the end, and what people see of their own sign-ins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auth.personal import Personal
from auth.throttle import SignInFailure
from broker.core.client_frames import ChatSend, PresenceSet, SignInRevoke, SignInRevokeOthers, SignInsList
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
    AUDIT_UNAVAILABLE,
    NOT_SIGNED_IN,
    SIGN_IN_EXPIRED,
    SIGN_IN_REPLACED,
    SIGN_IN_REVOKED,
    SIGNED_OUT,
    UNKNOWN_SIGN_IN,
)
from broker.core.events import PasswordRefused, SignInProved, SignOutRequested, Started
from broker.core.frames import CallEnded, PresenceStatus, SignInInfo, SignIns
from broker.core.stored import StoredSignIn
from tests.spec.outcome import Outcome, effect
from tests.spec.playbook import RULES, START_WALL_SECONDS, Client, Playbook

HOUR = 3600
NETWORK = Personal("10.7.0.0/24")
IDLE = replace(RULES, sign_in_seconds=12 * HOUR, sign_in_idle_seconds=HOUR, max_sign_ins_per_person=3)


def house() -> Playbook:
    return Playbook(rules=IDLE)


def ended(outcome: Outcome) -> list[tuple[object, object]]:
    """The sign-ins that ended on record, and why."""
    found = [record.fields for record in outcome.records if record.type == "auth.ended"]
    return [(fields["sign_in"], fields["reason"]) for fields in found]


def listed(play: Playbook, client: Client) -> list[SignInInfo]:
    """What the person is told of their sign-ins."""
    return (play >> client.says(SignInsList(ref="l"))).frame(SignIns).sign_ins


def proved(play: Playbook, name: str = "ada") -> SignInProved:
    return SignInProved(RequestId("r-1"), play.insider(name), Personal("10.7.0.1"), "digest", NETWORK)


def test_a_sign_in_is_recorded_and_stored_before_the_token_is_worth_anything() -> None:
    play = Playbook()
    outcome = play >> proved(play)
    assert outcome << effect(ReplyGranted, request_id="r-1")
    record = outcome.record("auth.accepted")
    until = START_WALL_SECONDS + play.house.rules.sign_in_seconds
    assert (record.fields["user"], record.fields["method"]) == ("u-ada", "password")
    assert set(record.personal) >= {"user.login", "user.name", "user.address"}
    assert (record.fields["other_sign_ins"], record.fields["expires_at"]) == (0, until)
    (write,) = outcome.writes
    assert isinstance(write, SaveSignIn)
    kept = write.sign_in
    assert (kept.token_digest, kept.party, kept.prefix) == ("digest", "u-ada", NETWORK)
    assert (kept.began_at_unix_seconds, kept.expires_at_unix_seconds) == (START_WALL_SECONDS, until)
    assert record.fields["sign_in"] == kept.sign_in_id
    assert "digest" not in kept.sign_in_id
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


# --- how long it lasts --------------------------------------------------------------------------------------


def test_a_sign_in_nobody_uses_is_over_after_the_idle_time() -> None:
    play = house()
    kept = play.signs_in(play.insider("ada"), "token")
    assert play.later(HOUR - 1).commands == []
    over = play.later(1)
    assert ended(over) == [(kept.sign_in_id, "idle")]
    assert over.writes == [EndSignIn("token")]
    late = play.connects(play.people[kept.party], "token")
    assert play >> late.arrives() << late.closed(NOT_SIGNED_IN)


def test_a_sign_in_is_used_while_a_connection_made_with_it_is_open() -> None:
    play = house()
    ada = play.person("ada")
    used = play.later(10 * HOUR)
    assert ended(used) == []
    assert used.effects == []
    play >> ada.leaves()
    assert ended(play.later(HOUR - 1)) == []
    assert [reason for _, reason in ended(play.later(1))] == ["idle"]


def test_no_use_makes_a_sign_in_last_longer_than_any_may_and_its_connections_end_with_it() -> None:
    play = house()
    ada = play.person("ada")
    second = play.joined(ada.principal)
    play.later(HOUR)
    bob = play.person("bob")
    play.later(10 * HOUR)
    call_id = play.talking(ada, bob)
    assert ended(play.later(HOUR - 1)) == []
    over = play.later(1)
    assert ended(over) == [("s-t-u-ada", "expired")]
    assert (
        over
        << ada.closed(SIGN_IN_EXPIRED)
        << second.closed(SIGN_IN_EXPIRED)
        << effect(WithdrawMedia, session_id=call_id)
        << bob.told(CallEnded, reason="party_left")
        << bob.told(PresenceStatus, status="offline")
    )


@pytest.mark.parametrize("set_back_seconds", [0, 5, 100 * HOUR])
def test_the_ends_are_measured_by_the_clock_that_nobody_sets(set_back_seconds: int) -> None:
    play = house()
    ada = play.person("ada")
    play.now = replace(play.now, wall_ms=play.now.wall_ms - set_back_seconds * 1000)
    play.later(12 * HOUR - 1)
    assert "t-u-ada" in play.house.sign_ins
    assert [reason for _, reason in ended(play.later(1))] == ["expired"]
    assert (play >> ada.hello()).commands == []


def test_what_is_stored_says_that_it_is_used_at_hello_now_and_then_and_at_the_end() -> None:
    play = house()
    ada = play.connects(play.insider("ada"))
    assert (play >> ada.arrives()).writes == []
    (hello,) = (play >> ada.hello()).writes
    (now_and_then, *_) = play.later(HOUR).writes
    play.wait(60)
    (leaves,) = (play >> ada.leaves()).writes
    used = [w.sign_in for w in (hello, now_and_then, leaves) if isinstance(w, SaveSignIn)]
    at = [each.used_at_unix_seconds - START_WALL_SECONDS for each in used]
    assert at == [0, HOUR, HOUR + 60]
    assert {each.program for each in used} == {"playbook 1"}


def test_a_kill_costs_no_more_than_a_quarter_of_the_idle_time() -> None:
    play = house()
    play.person("ada")
    used_at = START_WALL_SECONDS
    for _ in range(10 * 60):
        for write in play.later(60).writes:
            assert isinstance(write, SaveSignIn)
            used_at = write.sign_in.used_at_unix_seconds
        if play.now.wall_seconds >= START_WALL_SECONDS + HOUR:
            assert play.now.wall_seconds - used_at <= HOUR / 4


def stored(play: Playbook, began: int, used: int) -> StoredSignIn:
    now = play.now.wall_seconds
    return StoredSignIn(
        "s-1",
        "token",
        play.insider("ada").party,
        Personal("10.7.0.9"),
        "",
        now - began,
        now - used,
        now - began + 12 * HOUR,
    )


def test_a_restart_forgets_no_sign_in_and_nothing_of_its_age() -> None:
    play = house()
    play >> Started((), (), (), sign_ins=(stored(play, began=10 * HOUR, used=1800),))
    ada = play.connects(play.insider("ada"), "token")
    assert (play >> ada.arrives()).openings
    play >> ada.hello()
    play.later(2 * HOUR - 1)
    assert "token" in play.house.sign_ins
    assert ("s-1", "expired") in ended(play.later(1))


def test_an_unused_sign_in_goes_on_being_unused_across_a_restart() -> None:
    play = house()
    play >> Started((), (), (), sign_ins=(stored(play, began=HOUR, used=1800),))
    assert ended(play.later(1799)) == []
    assert ended(play.later(1)) == [("s-1", "idle")]


@pytest.mark.parametrize(("began", "used", "reason"), [(12 * HOUR, 60, "expired"), (2 * HOUR, HOUR, "idle")])
def test_what_was_over_before_the_edge_came_back_opens_nothing_and_ends_on_record(
    began: int, used: int, reason: str
) -> None:
    play = house()
    play >> Started((), (), (), sign_ins=(stored(play, began, used),))
    play._tokens.add("token")
    ada = play.connects(play.insider("ada"), "token")
    assert play >> ada.arrives() << ada.closed(NOT_SIGNED_IN)
    over = play.later(0)
    assert ended(over) == [("s-1", reason)]
    assert EndSignIn("token") in over.writes


def test_a_clock_that_was_set_back_makes_no_sign_in_last_longer_than_any_may() -> None:
    play = house()
    far = stored(play, began=-100 * HOUR, used=-100 * HOUR)
    play >> Started((), (), (), sign_ins=(far,))
    assert play.house.sign_ins["token"].seconds_left(play.now, 10**9) == 12 * HOUR
    assert ended(play.later(HOUR - 1)) == []
    assert ended(play.later(1)) == [("s-1", "idle")]


# --- several at once ----------------------------------------------------------------------------------------


def again(play: Playbook, token: str) -> Outcome:
    return play >> SignInProved(
        RequestId(f"r-{token}"), play.insider("ada"), Personal("10.7.0.2"), token, NETWORK
    )


def test_the_record_of_a_sign_in_says_how_many_others_there_are() -> None:
    play = house()
    play.signs_in(play.insider("bob"), "bobs")
    others = [again(play, token).record("auth.accepted").fields["other_sign_ins"] for token in "abc"]
    assert others == [0, 1, 2]
    play >> SignOutRequested("a")
    assert again(play, "d").record("auth.accepted").fields["other_sign_ins"] == 2


def test_one_sign_in_too_many_ends_the_one_that_was_longest_unused() -> None:
    play = house()
    for token in "abc":
        play.signs_in(play.insider("ada"), token)
        play.wait(60)
    ada = play.connects(play.insider("ada"), "a")
    play >> ada.arrives()
    play >> ada.hello()
    bob = play.signs_in(play.insider("bob"), "bobs")
    fourth = again(play, "d")
    assert ended(fourth) == [("s-b", "replaced")]
    assert fourth.record("auth.accepted").fields["other_sign_ins"] == 2
    assert set(play.house.sign_ins) == {"a", "c", "d", bob.token_digest}


def test_where_all_are_used_the_connections_of_the_one_that_ends_are_told_why() -> None:
    play = Playbook(rules=replace(IDLE, max_sign_ins_per_person=1))
    ada = play.person("ada")
    fifth = again(play, "other")
    assert fifth << ada.closed(SIGN_IN_REPLACED) << effect(ReplyGranted, request_id="r-other")


def test_a_sign_in_whose_record_could_not_be_written_never_was() -> None:
    play = house()
    outcome = again(play, "token")
    play >> play.failed(outcome)
    assert play.house.sign_ins == {}
    assert play.later(HOUR).commands == []


# --- what people see of them --------------------------------------------------------------------------------


def test_people_see_where_they_are_signed_in_and_nobody_else() -> None:
    play = house()
    ada, bob = play.person("ada"), play.person("bob")
    play.wait(60)
    other = play.signs_in(ada.insider, "other", prefix="10.7.77.0/24")
    play.wait(60)
    used, unused = listed(play, ada)
    assert (used.this_one, used.in_use, used.program) == (True, True, "playbook 1")
    assert (unused.this_one, unused.in_use, unused.program) == (False, False, "")
    assert (unused.sign_in_id, unused.network) == (other.sign_in_id, "10.7.77.0/24")
    assert unused.began_at == unused.used_at == START_WALL_SECONDS + 60
    assert unused.expires_at == START_WALL_SECONDS + 60 + 12 * HOUR
    assert [each.sign_in_id for each in listed(play, bob)] == ["s-t-u-bob"]


def test_a_guest_has_no_sign_ins() -> None:
    play = house()
    guest = play.admitted(play.person("ada"))
    assert listed(play, guest) == []
    assert (
        play
        >> guest.says(SignInRevoke(ref="1", sign_in_id="s-t-u-ada"))
        << guest.refused(UNKNOWN_SIGN_IN, ref="1")
    )


def test_revoking_a_sign_in_closes_its_connections_at_once_and_the_record_says_by_whom() -> None:
    play = house()
    ada = play.person("ada")
    other = play.connects(ada.principal, "other")
    play >> other.arrives()
    play >> other.hello()
    out = play >> ada.says(SignInRevoke(ref="1", sign_in_id="s-other"))
    assert out << other.closed(SIGN_IN_REVOKED) << ada.told(SignIns, ref="1")
    record = out.record("auth.ended")
    assert record.fields == {"user": "u-ada", "sign_in": "s-other", "reason": "revoked", "by": "s-t-u-ada"}
    assert out.writes == [EndSignIn("other")]
    assert [each.sign_in_id for each in out.frame(SignIns).sign_ins] == ["s-t-u-ada"]
    late = play.connects(ada.principal, "other")
    assert play >> late.arrives() << late.closed(NOT_SIGNED_IN)


def test_revoking_the_others_leaves_the_one_that_asks() -> None:
    play = house()
    ada, bob = play.person("ada"), play.person("bob")
    for token in "xy":
        play.signs_in(ada.insider, token)
    out = play >> ada.says(SignInRevokeOthers(ref="1"))
    assert ended(out) == [("s-x", "revoked"), ("s-y", "revoked")]
    assert out << ada.told(SignIns, ref="1")
    assert set(play.house.sign_ins) == {ada.token, bob.token}


def test_revoking_the_sign_in_one_uses_is_as_good_as_signing_out() -> None:
    play = house()
    ada = play.person("ada")
    out = play >> ada.says(SignInRevoke(ref="1", sign_in_id="s-t-u-ada"))
    assert out << ada.closed(SIGN_IN_REVOKED)
    assert out.record("auth.ended").fields["by"] == "s-t-u-ada"


@pytest.mark.parametrize("sign_in_id", ["s-t-u-bob", "s-nobodys", "t-u-ada"])
def test_the_sign_ins_of_others_are_as_unknown_as_those_of_nobody(sign_in_id: str) -> None:
    play = house()
    ada, bob = play.person("ada"), play.person("bob")
    refused = play >> ada.says(SignInRevoke(ref="1", sign_in_id=sign_in_id))
    assert refused << ada.refused(UNKNOWN_SIGN_IN, ref="1")
    assert bob.token in play.house.sign_ins
