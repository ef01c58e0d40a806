"""Invitation: an insider asks an outsider in; it expires, runs out and can be revoked at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from broker.core.client_frames import InvitationCreate, InvitationRevoke
from broker.core.commands import (
    EndVisit,
    ReplyGranted,
    ReplyRefused,
    RevokeInvitation,
    SaveInvitation,
    SaveVisit,
)
from broker.core.errors import (
    AUDIT_UNAVAILABLE,
    INVITATION_INVALID,
    INVITATION_LIMIT,
    SIGNED_OUT,
    UNKNOWN_INVITATION,
)
from broker.core.events import Started
from broker.core.frames import (
    ContactGone,
    InsiderWelcome,
    InvitationChanged,
    InvitationCreated,
    InvitationGone,
    LobbyLeft,
    LobbyRefused,
)
from broker.core.invitation import MAX_OPEN_INVITATIONS
from broker.core.invitation_list import info
from broker.policy.decision import Code
from config.policy.action import Action
from tests.spec.outcome import Outcome, effect
from tests.spec.playbook import RULES, START_WALL_SECONDS, Client, Playbook, deny_everything
from tests.spec.policies import without


def create(play: Playbook, host: Client, **asked: Any) -> Outcome:
    return play >> host.says(InvitationCreate(ref="1", guest_name="Gus", **{"purpose": "A talk", **asked}))


def redeem(play: Playbook, invitation_id: str, host: Client) -> Outcome:
    return play >> play.redeems(invitation_id, host.insider)


def left(play: Playbook, invitation_id: str) -> int:
    return play.house.invitations[invitation_id].redemptions_left


def test_the_link_is_shown_once_the_invitation_is_recorded_and_stored() -> None:
    play = Playbook()
    ada = play.person("ada")
    made = create(play, ada)
    assert made << ada.shown(InvitationCreated, ref="1")
    created = made.frame(InvitationCreated)
    until = START_WALL_SECONDS + RULES.invitation_default_expiry_seconds
    assert (created.invitation.expires_at, created.invitation.redemptions_left) == (until, 1)
    assert created.link.startswith(f"https://outside.example/#{created.invitation.invitation_id}.1.{until}")
    (row,) = made.writes
    assert isinstance(row, SaveInvitation)
    stored = row.invitation
    assert (stored.invitation_id, stored.expires_at_unix_seconds) == (created.invitation.invitation_id, until)
    record = made.record("invitation.created")
    assert record.personal["invited.name"].reveal() == "Gus"
    assert record.personal["invited.purpose"].reveal() == created.invitation.purpose == "A talk"
    assert record.fields["host"] == ada.party


def test_the_link_is_in_no_record_and_no_row() -> None:
    play = Playbook()
    made = create(play, play.person("ada"))
    link = made.frame(InvitationCreated).link
    assert link not in str(made.writes)
    assert all(link not in value.reveal() for record in made.records for value in record.personal.values())


@pytest.mark.parametrize(
    "asked",
    [
        {"expires_in_seconds": RULES.invitation_max_expiry_seconds + 1},
        {"redemptions": RULES.invitation_max_redemptions + 1},
        {"expires_in_seconds": 10**30},
        {"redemptions": 10**30},
    ],
)
def test_an_invitation_is_no_longer_and_no_wider_than_the_settings(asked: Any) -> None:
    play = Playbook()
    ada = play.person("ada")
    assert create(play, ada, **asked) << ada.refused(INVITATION_LIMIT, ref="1")
    assert play.house.invitations == {}


def test_an_invitation_as_long_and_as_wide_as_the_settings_is_made() -> None:
    play = Playbook()
    most = {
        "expires_in_seconds": RULES.invitation_max_expiry_seconds,
        "redemptions": RULES.invitation_max_redemptions,
    }
    assert create(play, play.person("ada"), **most).openings


def test_who_may_not_invite_is_denied_on_record() -> None:
    play = Playbook(without(Action.GUEST_INVITE))
    ada = play.person("ada")
    denied = create(play, ada)
    assert denied << ada.refused(Code.DENIED, ref="1")
    assert denied.record_types == ["decision.denied"]
    assert play.house.invitations == {}


def test_a_guest_invites_nobody() -> None:
    play = Playbook()
    guest = play.admitted(play.person("ada"))
    assert create(play, guest) << guest.refused(Code.DENIED)


def test_a_redemption_opens_a_visit_that_is_recorded_and_stored_before_the_token_is_valid() -> None:
    play = Playbook()
    ada = play.person("ada")
    invitation_id = play.invitation(ada)
    event = play.redeems(invitation_id, ada.insider)
    redeemed = play >> event
    assert (
        redeemed
        << effect(ReplyGranted, request_id=event.request_id)
        << ada.told(InvitationChanged, invitation=info(play.house, play.house.invitations[invitation_id]))
    )
    visit, invitation = redeemed.writes
    assert isinstance(visit, SaveVisit)
    assert isinstance(invitation, SaveInvitation)
    assert (visit.admitted, visit.token_digest, visit.name) == (False, event.token_digest, event.name)
    assert visit.expires_at_unix_seconds == START_WALL_SECONDS + RULES.visit_seconds
    assert invitation.invitation.redemptions_left == 0
    record = redeemed.record("visit.opened")
    assert record.session_id == visit.guest == redeemed.openings[0].scope
    assert record.fields["notice_acknowledged"] is True
    assert set(record.personal) >= {"guest.name", "guest.address", "host.name"}
    assert record.personal["invited.name"] != record.personal["guest.name"]


def test_an_invitation_is_redeemed_as_often_as_it_says() -> None:
    play = Playbook()
    ada = play.person("ada")
    invitation_id = play.invitation(ada, redemptions=2)
    first, second, third = (redeem(play, invitation_id, ada) for _ in range(3))
    assert first.openings
    assert second.openings
    assert third << effect(ReplyRefused, http_status=INVITATION_INVALID.http_status)
    assert third.effects[0].error.code == INVITATION_INVALID.code
    assert len({visit.guest.party for visit in play.house.visits.values()}) == 2


def test_every_reason_why_not_looks_the_same_and_is_counted_not_recorded_one_by_one() -> None:
    play = Playbook()
    ada = play.person("ada")
    used_up, revoked, expired = (play.invitation(ada) for _ in range(3))
    redeem(play, used_up, ada)
    play >> ada.says(InvitationRevoke(invitation_id=revoked))
    play.wait(RULES.invitation_default_expiry_seconds)
    outsider_of_nobody = play >> play.redeems(play.invitation(ada), None)
    refusals = [redeem(play, i, ada) for i in (used_up, revoked, expired, "i-unknown")]
    answers = {(r.effects[0].http_status, r.effects[0].error) for r in [*refusals, outsider_of_nobody]}
    assert len(answers) == 1
    assert all(refusal.records == [] for refusal in refusals)


def test_an_invitation_ends_on_time_even_before_the_deadline_was_looked_at() -> None:
    play = Playbook()
    ada = play.person("ada")
    invitation_id = play.invitation(ada, expires_in_seconds=60)
    play.wait(60)
    assert redeem(play, invitation_id, ada).openings == []
    play.later(0)
    assert play.house.invitations == {}


def test_an_invitation_is_worth_no_more_than_its_hosts_right_on_the_day() -> None:
    play = Playbook()
    ada = play.person("ada")
    invitation_id = play.invitation(ada)
    play.decide_by = deny_everything
    denied = redeem(play, invitation_id, ada)
    assert denied << effect(ReplyRefused, http_status=403)
    assert denied.effects[0].error.code == Code.DENIED
    assert denied.record_types == ["decision.denied"]
    assert left(play, invitation_id) == 1
    assert play.house.visits == {}


def test_somebody_elses_directory_entry_does_not_redeem_an_invitation() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    denied = redeem(play, play.invitation(ada), bob)
    assert denied.effects[0].error.code == Code.NOT_YOUR_HOST


def test_a_redemption_that_could_not_be_recorded_is_given_back() -> None:
    play = Playbook()
    ada = play.person("ada")
    invitation_id = play.invitation(ada, redemptions=2)
    kept = play.redeemed(invitation_id, ada)
    failing = redeem(play, invitation_id, ada)
    assert left(play, invitation_id) == 0
    (answer,) = failing.openings[0].on_failure
    assert isinstance(answer, ReplyRefused)
    assert answer.error.code == AUDIT_UNAVAILABLE.code
    dropped = play >> play.failed(failing)
    assert dropped << []
    assert left(play, invitation_id) == 1
    assert list(play.house.visits) == [kept.party]
    assert redeem(play, invitation_id, ada).openings


def test_an_invitation_that_could_not_be_recorded_was_never_made_and_no_other_is_touched() -> None:
    play = Playbook()
    ada = play.person("ada")
    kept = play.invitation(ada)
    failing = create(play, ada)
    (told,) = failing.openings[0].on_failure
    assert told.frame.code == AUDIT_UNAVAILABLE.code  # type: ignore[union-attr]
    assert told.frame.ref == "1"  # type: ignore[union-attr]
    assert (play >> play.failed(failing)).effects == []
    assert list(play.house.invitations) == [kept]


def test_revoking_shows_every_guest_of_the_invitation_out_and_nobody_elses() -> None:
    play = Playbook()
    ada = play.person("ada")
    ada2 = play.joined(ada.principal)
    invitation_id = play.invitation(ada, redemptions=3)
    waiting = play.joined(play.redeemed(invitation_id, ada))
    play.redeemed(invitation_id, ada)
    admitted, other = play.admitted(ada), play.admitted(ada)
    of_admitted = admitted.principal.invitation_id  # type: ignore[union-attr]
    revoked = play >> ada.says(InvitationRevoke(invitation_id=of_admitted))
    assert (
        revoked
        << ada.told(InvitationGone, invitation_id=of_admitted)
        << ada2.told(InvitationGone)
        << admitted.told(LobbyRefused)
        << admitted.closed(SIGNED_OUT)
        << ada.told(ContactGone, party=admitted.party)
        << ada2.told(ContactGone)
    )
    assert revoked.writes == [RevokeInvitation(of_admitted), EndVisit(admitted.party)]
    revoked = play >> ada.says(InvitationRevoke(invitation_id=invitation_id))
    assert (
        revoked
        << ada.told(InvitationGone)
        << ada2.told(InvitationGone)
        << waiting.told(LobbyRefused)
        << waiting.closed(SIGNED_OUT)
        << ada.told(LobbyLeft, guest=waiting.party)
        << ada2.told(LobbyLeft)
    )
    assert sorted(revoked.record_types) == ["invitation.revoked", "visit.refused", "visit.refused"]
    assert list(play.house.visits) == [other.party]


@pytest.mark.parametrize("accepted", [False, True])
def test_revoking_ends_the_call_with_the_guest(accepted: bool) -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.admitted(ada)
    call_id = play.talking(ada, guest) if accepted else play.ringing(ada, guest)
    invitation_id = guest.principal.invitation_id  # type: ignore[union-attr]
    revoked = play >> ada.says(InvitationRevoke(invitation_id=invitation_id))
    assert call_id in revoked.ended_scopes
    assert play.house.calls == {}


def test_nobody_revokes_an_invitation_of_somebody_else_or_learns_that_there_is_one() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    invitation_id = play.invitation(ada)
    guest = play.waiting(ada)
    own = guest.principal.invitation_id  # type: ignore[union-attr]
    assert play >> bob.says(InvitationRevoke(invitation_id=invitation_id)) << bob.refused(UNKNOWN_INVITATION)
    assert play >> bob.says(InvitationRevoke(invitation_id="i-none")) << bob.refused(UNKNOWN_INVITATION)
    assert play >> guest.says(InvitationRevoke(invitation_id=own)) << guest.refused(UNKNOWN_INVITATION)
    assert set(play.house.invitations) == {invitation_id, own}


def test_an_invitation_is_revoked_once() -> None:
    play = Playbook()
    ada = play.person("ada")
    frame = InvitationRevoke(invitation_id=play.invitation(ada))
    play >> ada.says(frame)
    assert play >> ada.says(frame) << ada.refused(UNKNOWN_INVITATION)


def test_a_redemption_still_on_its_way_to_disk_is_voided_by_the_revocation() -> None:
    play = Playbook()
    ada = play.person("ada")
    invitation_id = play.invitation(ada)
    pending = redeem(play, invitation_id, ada)
    revoked = play >> ada.says(InvitationRevoke(invitation_id=invitation_id))
    assert pending.openings[0].scope in revoked.ended_scopes


def test_the_host_sees_their_invitations_when_they_come_back_and_nobody_elses() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    mine = play.invitation(ada)
    play.invitation(bob)
    back = play.connects(ada.principal)
    play >> back.arrives()
    shown = (play >> back.hello()).frame(InsiderWelcome).invitations
    assert [invitation.invitation_id for invitation in shown] == [mine]


def test_invitations_survive_a_restart_with_what_is_left_of_them() -> None:
    before = Playbook()
    ada = before.person("ada")
    made = before.house.invitations[before.invitation(ada, redemptions=2)]
    play = Playbook()
    host = play.person("ada")
    stored = replace(made, invitation_id="i-old", expires_at_unix_seconds=START_WALL_SECONDS + 100)
    stale = replace(made, invitation_id="i-stale", expires_at_unix_seconds=START_WALL_SECONDS - 5)
    play >> Started((stored, stale), (), ())
    play.later(0)
    assert list(play.house.invitations) == ["i-old"]
    assert redeem(play, "i-old", host).openings
    play.later(100)
    assert left(play, "i-old") == 0


def test_nobody_has_more_than_a_hundred_open_invitations() -> None:
    play = Playbook()
    ada = play.person("ada")
    for _ in range(MAX_OPEN_INVITATIONS):
        play.invitation(ada)
    one_more = play >> ada.says(InvitationCreate(ref="more", guest_name="Grace", purpose="A talk"))
    assert one_more << ada.refused(INVITATION_LIMIT, ref="more")
