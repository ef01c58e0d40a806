"""Visit: a guest from the redeemed invitation to the end, through the lobby."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from auth.personal import Personal
from auth.principal import Guest, PartyId
from broker.core.client_frames import LobbyAdmit, LobbyAdmitAll, LobbyRefuse
from broker.core.commands import EndVisit, ReadUndelivered, SaveVisit, WithdrawMedia
from broker.core.errors import AUDIT_UNAVAILABLE, SIGNED_OUT, UNKNOWN_GUEST
from broker.core.events import Started
from broker.core.frames import (
    CallEnded,
    ContactGone,
    Error,
    GuestWelcome,
    InsiderWelcome,
    InvitationChanged,
    LobbyAdmitted,
    LobbyLeft,
    LobbyRefused,
    LobbyWaiting,
    PresenceChanged,
    PresenceStatus,
)
from broker.core.stored import LostSession, StoredVisit
from broker.policy.decision import Code
from config.policy.action import Action
from tests.spec.outcome import Outcome, effect
from tests.spec.playbook import RULES, START_WALL_SECONDS, Client, Playbook
from tests.spec.policies import OPEN_POLICY, rule, without

FOES_STAY_OUT = (
    OPEN_POLICY
    + rule("foes", "guest.admit", effect='"deny"', **{"with": '{ kind = "guest", peers = ["foe"] }'})
    + '[[peers]]\nid = "foe"\nmode = "allow"\ndomains = ["foe.example"]\nverified = "invitation-link"\n'
)


def admit(play: Playbook, host: Client, guest: Client) -> Outcome:
    return play >> host.says(LobbyAdmit(guest=guest.party))


def refuse(play: Playbook, host: Client, guest: Client) -> Outcome:
    return play >> host.says(LobbyRefuse(guest=guest.party))


def test_a_guest_starts_in_the_lobby_and_every_connection_of_the_host_hears_of_it() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    ada2 = play.joined(ada.principal)
    guest = play.connects(play.redeemed(play.invitation(ada), ada))
    play >> guest.arrives()
    hello = play >> guest.hello()
    assert (
        hello
        << guest.shown(GuestWelcome, host=None, notice=RULES.guest_notice)
        << ada.shown(LobbyWaiting)
        << ada2.shown(LobbyWaiting)
    )
    waiting = hello.frame(LobbyWaiting).waiting
    assert (waiting.guest.party, waiting.guest.kind) == (guest.party, "guest")
    assert bob.party not in str(hello.effects)


def test_a_guest_whose_host_is_offline_waits_until_the_host_comes() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest_principal = play.redeemed(play.invitation(ada), ada)
    play >> ada.leaves()
    guest = play.connects(guest_principal)
    play >> guest.arrives()
    assert play >> guest.hello() << guest.shown(GuestWelcome, host=None)
    back = play.connects(ada.principal)
    play >> back.arrives()
    welcome = (play >> back.hello()).frame(InsiderWelcome)
    assert [waiting.guest.party for waiting in welcome.lobby] == [guest.party]
    assert admit(play, back, guest).openings


def test_admitting_is_recorded_and_stored_before_guest_and_host_see_each_other() -> None:
    play = Playbook()
    ada = play.person("ada")
    ada2 = play.joined(ada.principal)
    guest = play.waiting(ada)
    guest2 = play.joined(guest.principal)
    admitted = admit(play, ada, guest)
    assert (
        admitted
        << guest.shown(LobbyAdmitted)
        << guest2.shown(LobbyAdmitted)
        << ada.shown(PresenceChanged)
        << ada2.shown(PresenceChanged)
        << ada.told(LobbyLeft, guest=guest.party)
        << ada2.told(LobbyLeft, guest=guest.party)
    )
    assert admitted.frame(LobbyAdmitted).host.party == ada.party
    (row,) = admitted.writes
    assert isinstance(row, SaveVisit)
    assert (row.guest, row.admitted, row.token_digest) == (guest.party, True, guest.token)
    assert admitted.record("visit.admitted").session_id == guest.party
    actions = [decision.inputs.action for decision in admitted.openings[0].decisions]
    assert actions == [Action.GUEST_ADMIT, Action.PRESENCE_SEE]


def test_policy_may_deny_what_the_host_would_admit() -> None:
    play = Playbook(without(Action.GUEST_ADMIT))
    ada = play.person("ada")
    guest = play.waiting(ada)
    denied = admit(play, ada, guest)
    assert denied << ada.refused(Code.DENIED)
    assert denied.record("decision.denied").session_id == guest.party
    assert play.house.visits[guest.party].admitted is False


@pytest.mark.parametrize("frame", [LobbyAdmit, LobbyRefuse])
def test_only_the_host_opens_or_closes_the_door(frame: Any) -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    guest, other = play.waiting(ada), play.waiting(ada)
    for forger in (bob, guest, other):
        assert play >> forger.says(frame(guest=guest.party)) << forger.refused(UNKNOWN_GUEST)
    for stranger in ("g-none", bob.party, ada.party):
        assert play >> ada.says(frame(guest=stranger)) << ada.refused(UNKNOWN_GUEST)
    assert play.house.visits[guest.party].admitted is False


def test_a_guest_is_admitted_once_and_only_while_they_are_there() -> None:
    play = Playbook()
    ada = play.person("ada")
    absent = play.redeemed(play.invitation(ada), ada)
    assert play >> ada.says(LobbyAdmit(guest=absent.party)) << ada.refused(UNKNOWN_GUEST)
    silent = play.connects(absent)
    play >> silent.arrives()
    assert admit(play, ada, silent) << ada.refused(UNKNOWN_GUEST)
    guest = play.waiting(ada)
    assert admit(play, ada, guest).openings
    assert admit(play, ada, guest) << ada.refused(UNKNOWN_GUEST)


def test_a_waiting_guest_who_leaves_is_forgotten_by_the_lobby_until_they_return() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.waiting(ada)
    second = play.joined(guest.principal)
    assert play >> guest.leaves() << []
    assert play >> second.leaves() << ada.told(LobbyLeft, guest=guest.party)
    back = play.connects(guest.principal)
    play >> back.arrives()
    assert play >> back.hello() << back.shown(GuestWelcome, host=None) << ada.shown(LobbyWaiting)


def test_a_connection_that_never_waited_does_not_leave_the_lobby() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.connects(play.redeemed(play.invitation(ada), ada))
    play >> guest.arrives()
    assert play >> guest.leaves() << []


def test_an_admitted_guest_who_reconnects_is_with_their_host_at_once() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.admitted(ada)
    assert play >> guest.leaves() << ada.told(PresenceStatus, party=guest.party, status="offline")
    back = play.connects(guest.principal)
    play >> back.arrives()
    hello = play >> back.hello()
    assert (
        hello
        << back.shown(GuestWelcome)
        << back.gets(ReadUndelivered, party=guest.party)
        << ada.shown(PresenceChanged)
    )
    host = hello.frame(GuestWelcome).host
    assert host is not None
    assert (host.party, host.status) == (ada.party, "available")


def test_refusing_a_waiting_guest_ends_the_visit() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.waiting(ada)
    refused = refuse(play, ada, guest)
    assert (
        refused
        << guest.told(LobbyRefused)
        << guest.closed(SIGNED_OUT)
        << ada.told(LobbyLeft, guest=guest.party)
        << ada.told(InvitationChanged)
    )
    assert refused.record("visit.refused").fields["reason"] == "refused_by_host"
    assert refused.writes == [EndVisit(guest.party)]
    assert play.house.visits == {}


def test_showing_an_admitted_guest_out_ends_their_call_and_their_visit() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.admitted(ada)
    call_id = play.talking(guest, ada)
    out = refuse(play, ada, guest)
    assert (
        out
        << effect(WithdrawMedia, session_id=call_id)
        << guest.told(CallEnded, reason="party_left")
        << ada.told(CallEnded, reason="party_left")
        << guest.told(LobbyRefused)
        << guest.closed(SIGNED_OUT)
        << ada.told(ContactGone, party=guest.party)
        << ada.told(InvitationChanged)
    )
    assert out.record("visit.closed").fields["reason"] == "shown_out"


def test_a_guest_who_is_sent_away_has_no_connection_left_not_even_one_that_said_nothing_yet() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.waiting(ada)
    silent = play.connects(guest.principal)
    play >> silent.arrives()
    refused = refuse(play, ada, guest)
    assert (
        refused
        << guest.told(LobbyRefused)
        << guest.closed(SIGNED_OUT)
        << silent.told(LobbyRefused)
        << silent.closed(SIGNED_OUT)
        << ada.told(LobbyLeft)
        << ada.told(InvitationChanged)
    )
    assert (play >> silent.hello()).commands == []
    assert (play >> guest.hello()).commands == []


def test_what_had_not_left_for_a_guest_who_is_sent_away_never_will() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.admitted(ada)
    back = play.connects(guest.principal)
    play >> back.arrives()
    pending = play >> back.hello()
    out = refuse(play, ada, guest)
    assert {opening.scope for opening in pending.openings} <= set(out.ended_scopes)
    assert guest.party in out.ended_scopes


def test_a_guest_who_leaves_for_good_ends_the_visit() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.admitted(ada)
    left = play >> guest.signs_out()
    assert left.record("visit.closed").fields["reason"] == "left"
    assert left.writes == [EndVisit(guest.party)]
    assert guest.party not in play.house.visits
    assert guest.party not in play.house.connections[ada.connection_id].sees
    late = play.connects(ada.principal)
    play >> late.arrives()
    assert guest.party not in [c.party for c in (play >> late.hello()).frame(InsiderWelcome).contacts]


@pytest.mark.parametrize(("admitted", "record"), [(False, "visit.refused"), (True, "visit.closed")])
def test_a_visit_ends_when_its_time_is_up(admitted: bool, record: str) -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.admitted(ada) if admitted else play.waiting(ada)
    play.later(RULES.visit_seconds - 1)
    assert guest.party in play.house.visits
    ended = play.later(1)
    assert ended.record(record).fields["reason"] == "expired"
    assert guest.closed(SIGNED_OUT).matches(ended.effects[1])
    assert play.house.visits == {}


def test_a_guest_admitted_on_a_record_that_could_not_be_written_is_sent_away() -> None:
    play = Playbook()
    ada = play.person("ada")
    other, guest = play.admitted(ada), play.waiting(ada)
    failing = admit(play, ada, guest)
    (told,) = failing.openings[0].on_failure
    assert told.frame.code == AUDIT_UNAVAILABLE.code  # type: ignore[union-attr]
    dropped = play >> play.failed(failing)
    assert any(guest.closed(SIGNED_OUT).matches(each) for each in dropped.effects)
    assert dropped.record("visit.closed").fields["reason"] == "record_unavailable"
    assert list(play.house.visits) == [other.party]


def test_visits_survive_a_restart_and_only_the_others_are_lost() -> None:
    play = Playbook()
    ada = play.insider("ada")
    guest = Guest(PartyId("g-old"), Personal("Gus"), "i-1", ada.party)
    stored = StoredVisit(guest, "t-g-old", True, START_WALL_SECONDS + 60)
    lost = (LostSession("g-old", "visit", ""), LostSession("g-other", "visit", ""))
    started = play >> Started((), (stored,), lost)
    assert started.record("visit.lost").session_id == "g-other"
    back = play.connects(guest)
    play >> back.arrives()
    host = (play >> back.hello()).frame(GuestWelcome).host
    assert host is not None
    assert (host.party, host.status) == (ada.party, "offline")
    assert play.later(60).record("visit.closed").fields["reason"] == "expired"


class TestLettingAllIn:
    def test_each_of_them_is_decided_about_and_recorded_for_themselves(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        guests = [play.waiting(ada) for _ in range(3)]
        asked = len(play.asked)
        let_in = play >> ada.says(LobbyAdmitAll(guests=[guest.party for guest in guests]))
        assert [opening.scope for opening in let_in.openings] == [guest.party for guest in guests]
        questions = [one.action for one in play.asked[asked:]]
        assert questions.count(Action.GUEST_ADMIT) == 3
        assert let_in.record_types == ["visit.admitted"] * 3
        assert all(visit.admitted for visit in play.house.visits.values())

    def test_one_who_may_not_come_in_keeps_nobody_else_out(self) -> None:
        play = Playbook(FOES_STAY_OUT)
        ada = play.person("ada")
        first, foe, last = (
            play.joined(play.redeemed(play.invitation(ada, guest_email=f"eve@{domain}"), ada))
            for domain in ("p.example", "foe.example", "p.example")
        )
        let_in = play >> ada.says(LobbyAdmitAll(guests=[foe.party, first.party, last.party]))
        assert {opening.scope for opening in let_in.openings} == {first.party, last.party}
        assert let_in.record_types.count("decision.denied") == 1
        assert not play.house.visits[foe.party].admitted

    def test_nobody_comes_in_whom_the_host_has_not_seen_or_who_is_somebody_elses(self) -> None:
        play = Playbook()
        ada, bob = play.person("ada"), play.person("bob")
        seen, unseen, bobs = play.waiting(ada), play.waiting(ada), play.waiting(bob)
        gone, away, inside = play.waiting(ada), play.waiting(ada), play.admitted(ada)
        play >> gone.signs_out()
        play >> away.leaves()
        others = [bobs.party, gone.party, away.party, inside.party, PartyId("g-none")]
        let_in = play >> ada.says(LobbyAdmitAll(guests=[seen.party, seen.party, *others]))
        assert [opening.scope for opening in let_in.openings] == [seen.party]
        assert not [each for each in let_in.effects if isinstance(getattr(each, "frame", None), Error)]
        assert not play.house.visits[unseen.party].admitted
        assert not play.house.visits[bobs.party].admitted

    def test_where_none_of_them_waits_that_is_said(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        guest = play.admitted(ada)
        frame = LobbyAdmitAll(guests=[guest.party])
        assert play >> ada.says(frame) << ada.refused(UNKNOWN_GUEST)
        assert play >> guest.says(frame) << guest.refused(UNKNOWN_GUEST)

    def test_more_than_a_lobby_full_is_no_frame(self) -> None:
        with pytest.raises(ValidationError):
            LobbyAdmitAll(guests=["g-1"] * 65)
