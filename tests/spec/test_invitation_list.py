"""The list of invitations: what a host is told of each, another link for one, and when it is forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker.core.client_frames import InvitationCreate, InvitationReissue, InvitationRevoke, LobbyRefuse
from broker.core.commands import SaveInvitation
from broker.core.errors import AUDIT_UNAVAILABLE, INVITATION_LIMIT, UNKNOWN_INVITATION
from broker.core.events import Started
from broker.core.frames import (
    GuestWelcome,
    InsiderWelcome,
    InvitationChanged,
    InvitationCreated,
    InvitationGone,
    InvitationInfo,
    LobbyWaiting,
)
from broker.core.stored import StoredVisit
from tests.spec.outcome import Outcome
from tests.spec.playbook import RULES, START_WALL_SECONDS, Client, Playbook, deny_everything


def reissue(play: Playbook, host: Client, invitation_id: str) -> Outcome:
    return play >> host.says(InvitationReissue(ref="again", invitation_id=invitation_id))


def redeem(play: Playbook, invitation_id: str, host: Client, issue: int) -> Outcome:
    return play >> play.redeems(invitation_id, host.insider, issue)


def listed(play: Playbook, host: Client) -> list[InvitationInfo]:
    """What a new connection of the host is shown."""
    back = play.connects(host.principal)
    play >> back.arrives()
    return (play >> back.hello()).frame(InsiderWelcome).invitations


def standing(info: InvitationInfo) -> tuple[int, int, int]:
    return info.redemptions, info.redemptions_left, info.guests


class TestTheList:
    def test_tells_unused_used_up_and_how_many_are_in(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        invitation_id = play.invitation(ada, redemptions=2)
        assert [standing(info) for info in listed(play, ada)] == [(2, 2, 0)]
        play.redeemed(invitation_id, ada)
        guest = play.joined(play.redeemed(invitation_id, ada))
        assert [standing(info) for info in listed(play, ada)] == [(2, 0, 2)]
        gone = play >> ada.says(LobbyRefuse(guest=guest.party))
        assert standing(gone.frame(InvitationChanged).invitation) == (2, 0, 1)

    def test_reaches_every_connection_of_the_host_and_nobody_elses(self) -> None:
        play = Playbook()
        ada, bob = play.person("ada"), play.person("bob")
        other = play.joined(ada.principal)
        made = play >> ada.says(InvitationCreate(ref="1", guest_name="Gus", purpose="A talk"))
        assert made << ada.shown(InvitationCreated) << other.told(InvitationChanged)
        invitation_id = made.frame(InvitationCreated).invitation.invitation_id
        redeemed = redeem(play, invitation_id, ada, 1)
        told = {each.connection_id for each in redeemed.effects if hasattr(each, "frame")}
        assert told == {ada.connection_id, other.connection_id}
        assert listed(play, bob) == []

    def test_keeps_an_invitation_whose_time_is_up_while_somebody_is_in_by_it(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        invitation_id = play.invitation(ada, redemptions=5, expires_in_seconds=60)
        guest = play.joined(play.redeemed(invitation_id, ada))
        over = play.later(60)
        assert standing(over.frame(InvitationChanged).invitation) == (5, 0, 1)
        assert redeem(play, invitation_id, ada, 1).openings == []
        left = play >> guest.signs_out()
        assert left.frame(InvitationGone).invitation_id == invitation_id
        assert play.house.invitations == {}

    def test_forgets_an_unused_invitation_when_its_time_is_up(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        invitation_id = play.invitation(ada)
        over = play.later(RULES.invitation_default_expiry_seconds)
        assert over << ada.told(InvitationGone, invitation_id=invitation_id)
        assert play.house.invitations == {}

    def test_whoever_is_in_by_an_expired_invitation_is_still_shown_out_by_its_revocation(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        invitation_id = play.invitation(ada, expires_in_seconds=60)
        play.redeemed(invitation_id, ada)
        play.later(60)
        play >> ada.says(InvitationRevoke(invitation_id=invitation_id))
        assert play.house.visits == {}
        assert play.house.invitations == {}

    def test_an_expired_invitation_outlives_a_restart_with_the_guest_who_is_in_by_it(self) -> None:
        before = Playbook()
        ada = before.person("ada")
        guest = before.redeemed(before.invitation(ada, redemptions=2, expires_in_seconds=60), ada)
        (made,) = before.house.invitations.values()
        play = Playbook()
        play.wait(100)
        play >> Started((made,), (StoredVisit(guest, "t-1", True, START_WALL_SECONDS + 1000),), ())
        play.later(0)
        host = play.person("ada")
        assert [standing(info) for info in listed(play, host)] == [(2, 0, 1)]


class TestWhoIsIn:
    def test_the_host_sees_whom_they_invited_beside_what_the_guest_calls_themselves(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        invitation_id = play.invitation(
            ada, guest_name="Grace Hopper", guest_email="grace@p.example", purpose="Compilers"
        )
        client = play.connects(play.redeemed(invitation_id, ada))
        play >> client.arrives()
        waiting = (play >> client.hello()).frame(LobbyWaiting).waiting
        assert waiting.guest.name.startswith("Gus")
        assert (waiting.guest.invited_as, waiting.guest_email) == ("Grace Hopper", "grace@p.example")
        assert (waiting.invitation_id, waiting.purpose) == (invitation_id, "Compilers")

    def test_the_guest_is_not_told_the_hosts_words(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        client = play.connects(play.redeemed(play.invitation(ada, guest_name="Grace"), ada))
        play >> client.arrives()
        assert (play >> client.hello()).frame(GuestWelcome).you.invited_as is None

    def test_an_insider_is_invited_by_nobody(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        assert play.house.contact(ada.insider).invited_as is None


class TestAnotherLink:
    def test_is_shown_once_it_is_recorded_and_the_old_one_is_worth_nothing(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        invitation_id = play.invitation(ada, redemptions=2, expires_in_seconds=600)
        play.redeemed(invitation_id, ada)
        play.wait(100)
        again = reissue(play, ada, invitation_id)
        created = again.frame(InvitationCreated)
        until = START_WALL_SECONDS + 700
        assert again << ada.shown(InvitationCreated, ref="again")
        assert created.link.startswith(f"https://outside.example/#{invitation_id}.2.{until}")
        assert (created.invitation.expires_at, *standing(created.invitation)) == (until, 2, 2, 1)
        (row,) = again.writes
        assert isinstance(row, SaveInvitation)
        assert (row.invitation.issue, row.invitation.redemptions_left) == (2, 2)
        record = again.record("invitation.reissued")
        assert (record.fields["invitation"], record.fields["expires_at"]) == (invitation_id, until)
        assert created.link not in str(again.writes) + str(record)
        assert redeem(play, invitation_id, ada, 1).openings == []
        assert redeem(play, invitation_id, ada, 3).openings == []
        assert redeem(play, invitation_id, ada, 2).openings

    def test_leaves_who_is_in(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        guest = play.admitted(ada)
        call_id = play.talking(ada, guest)
        reissue(play, ada, guest.principal.invitation_id)  # type: ignore[union-attr]
        assert list(play.house.visits) == [guest.party]
        assert list(play.house.calls) == [call_id]

    def test_lives_its_own_time(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        invitation_id = play.invitation(ada, expires_in_seconds=600)
        play.wait(500)
        reissue(play, ada, invitation_id)
        play.later(500)
        assert redeem(play, invitation_id, ada, 2).openings
        play.later(100)
        assert redeem(play, invitation_id, ada, 2).openings == []

    def test_is_decided_like_the_first_and_a_denial_leaves_the_old_one_as_it_was(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        invitation_id = play.invitation(ada)
        play.decide_by = deny_everything
        assert reissue(play, ada, invitation_id).record_types == ["decision.denied"]
        assert play.house.invitations[invitation_id].issue == 1

    def test_is_for_ones_own_invitations_only(self) -> None:
        play = Playbook()
        ada, bob = play.person("ada"), play.person("bob")
        guest = play.admitted(ada)
        own = guest.principal.invitation_id  # type: ignore[union-attr]
        assert reissue(play, bob, own) << bob.refused(UNKNOWN_INVITATION, ref="again")
        assert reissue(play, guest, own) << guest.refused(UNKNOWN_INVITATION, ref="again")
        assert reissue(play, ada, "i-none") << ada.refused(UNKNOWN_INVITATION, ref="again")

    def test_is_no_wider_than_the_settings_of_its_day(self) -> None:
        before = Playbook()
        (made,) = [before.house.invitations[before.invitation(before.person("ada"), redemptions=5)]]
        play = Playbook(rules=replace(RULES, invitation_max_redemptions=4))
        play >> Started((made,), (), ())
        ada = play.person("ada")
        assert reissue(play, ada, made.invitation_id) << ada.refused(INVITATION_LIMIT, ref="again")

    def test_that_could_not_be_recorded_is_shown_to_nobody_and_keeps_who_is_in(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        guest = play.admitted(ada)
        invitation_id = guest.principal.invitation_id  # type: ignore[union-attr]
        failing = reissue(play, ada, invitation_id)
        (told,) = failing.openings[0].on_failure
        assert told.frame.code == AUDIT_UNAVAILABLE.code  # type: ignore[union-attr]
        dropped = play >> play.failed(failing)
        assert standing(dropped.frame(InvitationChanged).invitation) == (1, 0, 1)
        assert [redeem(play, invitation_id, ada, issue).openings for issue in (1, 2, 3)] == [[], [], []]
        assert list(play.house.visits) == [guest.party]
        assert reissue(play, ada, invitation_id).openings
        assert redeem(play, invitation_id, ada, 3).openings

    def test_is_not_made_wider_by_a_redemption_of_the_old_one_that_could_not_be_recorded(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        invitation_id = play.invitation(ada)
        failing = redeem(play, invitation_id, ada, 1)
        reissue(play, ada, invitation_id)
        play >> play.failed(failing)
        assert play.house.invitations[invitation_id].redemptions_left == 1

    @pytest.mark.parametrize("order", ["redeemed first", "issued first"])
    def test_a_redemption_on_its_way_counts_for_the_link_it_came_by(self, order: str) -> None:
        play = Playbook()
        ada = play.person("ada")
        invitation_id = play.invitation(ada)
        if order == "redeemed first":
            assert redeem(play, invitation_id, ada, 1).openings
            reissue(play, ada, invitation_id)
        else:
            reissue(play, ada, invitation_id)
            assert redeem(play, invitation_id, ada, 1).openings == []
        assert play.house.invitations[invitation_id].redemptions_left == 1
