"""Presence: only to those allowed, decided when somebody appears, and on record."""

from __future__ import annotations

from typing import Any

import pytest

from broker.audit.record import MAX_BODY_BYTES
from broker.core.client_frames import LobbyAdmit, PresenceSet
from broker.core.commands import ReadUndelivered
from broker.core.frames import (
    ContactGone,
    GuestWelcome,
    InsiderWelcome,
    LobbyAdmitted,
    PresenceChanged,
    PresenceStatus,
)
from config.policy.action import Action
from tests.spec.playbook import PROGRAM, Client, Playbook, allow_everything, deny_everything
from tests.spec.policies import EVERYTHING, OPEN_POLICY, SIGN_IN, rule, without

VIPS_ARE_HIDDEN = OPEN_POLICY + rule(
    "hide",
    "presence.see",
    effect='"deny"',
    who='{ groups = ["vip"] }',
    direction='"in"',
)


def arriving(play: Playbook, client: Client) -> Any:
    """What comes of this connection's hello."""
    play >> client.arrives()
    return play >> client.hello()


def test_who_says_hello_is_shown_the_people_and_shown_to_them() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.insider("bob")
    late = play.connects(bob)
    hello = arriving(play, late)
    assert (
        hello
        << late.shown(InsiderWelcome)
        << late.gets(ReadUndelivered, party=bob.party)
        << ada.shown(PresenceChanged)
    )
    assert [c.party for c in hello.frame(InsiderWelcome).contacts] == [ada.party]
    shown = hello.frame(PresenceChanged).contact
    assert (shown.party, shown.status, shown.kind) == (bob.party, "available", "insider")
    record = hello.record("presence.opened")
    assert [seen["party"] for seen in record.fields["sees"]] == [ada.party]
    assert [seen["party"] for seen in record.fields["shown_to"]] == [ada.party]
    assert record.fields["program"] == PROGRAM.model_dump()


def test_a_person_who_is_not_connected_is_shown_as_offline() -> None:
    play = Playbook()
    play.insider("bob")
    hello = arriving(play, play.connects(play.insider("ada")))
    assert [(c.party, c.status) for c in hello.frame(InsiderWelcome).contacts] == [("u-bob", "offline")]


def test_nobody_is_shown_to_whom_policy_hides_them() -> None:
    play = Playbook(VIPS_ARE_HIDDEN)
    ada = play.person("ada")
    boss = play.connects(play.insider("boss", "vip"))
    hello = arriving(play, boss)
    assert hello << boss.shown(InsiderWelcome) << boss.gets(ReadUndelivered)
    assert [c.party for c in hello.frame(InsiderWelcome).contacts] == [ada.party]
    bob = arriving(play, play.connects(play.insider("bob")))
    assert "u-boss" not in [c.party for c in bob.frame(InsiderWelcome).contacts]
    assert (play >> boss.says(PresenceSet(status="away"))).commands == []
    assert (play >> boss.leaves()).effects == []


def test_a_status_goes_to_those_who_are_shown_the_person() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    assert (
        play
        >> ada.says(PresenceSet(status="busy"))
        << bob.told(PresenceStatus, party=ada.party, status="busy")
    )
    assert (play >> ada.says(PresenceSet(status="busy"))).commands == []


def test_of_several_connections_the_most_reachable_counts() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    ada2 = play.joined(ada.principal)
    assert (play >> ada.says(PresenceSet(status="away"))).commands == []
    assert play >> ada2.says(PresenceSet(status="busy")) << bob.told(PresenceStatus, status="busy")
    assert play >> ada2.leaves() << bob.told(PresenceStatus, status="away")
    assert play >> ada.leaves() << bob.told(PresenceStatus, status="offline")


def test_somebody_who_comes_back_is_decided_again_and_gone_for_who_may_no_longer_see_them() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    assert play >> ada.leaves() << bob.told(PresenceStatus, status="offline")

    def hidden(policy: Any, question: Any, decision_id: str, stops: Any = ()) -> Any:
        denied = question.action is Action.PRESENCE_SEE and question.actor.principal == bob.principal
        return (deny_everything if denied else allow_everything)(policy, question, decision_id)

    play.decide_by = hidden
    again = play.connects(ada.principal)
    hello = arriving(play, again)
    assert (
        hello
        << again.shown(InsiderWelcome)
        << again.gets(ReadUndelivered)
        << bob.told(ContactGone, party=ada.party)
    )
    assert (play >> again.says(PresenceSet(status="away"))).commands == []


def test_a_guest_sees_the_status_of_their_host_and_of_nobody_else() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    guest = play.admitted(ada)
    changed = play >> ada.says(PresenceSet(status="busy"))
    assert changed << bob.told(PresenceStatus, status="busy") << guest.told(PresenceStatus, party=ada.party)
    assert play >> bob.says(PresenceSet(status="away")) << ada.told(PresenceStatus, party=bob.party)


def test_a_host_whose_presence_policy_hides_looks_available_to_their_guest_whatever_they_do() -> None:
    play = Playbook(without(Action.PRESENCE_SEE))
    ada = play.person("ada")
    play >> ada.says(PresenceSet(status="busy"))
    guest = play.waiting(ada)
    admitted = play >> ada.says(LobbyAdmit(guest=guest.party))
    assert admitted.frame(LobbyAdmitted).host.status == "available"
    assert (play >> ada.says(PresenceSet(status="away"))).commands == []
    assert (play >> ada.leaves()).effects == []
    hello = arriving(play, play.connects(guest.principal))
    host = hello.frame(GuestWelcome).host
    assert host is not None
    assert host.status == "available"


def test_a_guest_learns_that_their_host_came_back_only_while_they_may_see_them() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.admitted(ada)
    assert play >> ada.leaves() << guest.told(PresenceStatus, party=ada.party, status="offline")
    back = play.connects(ada.principal)
    hello = arriving(play, back)
    assert hello << back.shown(InsiderWelcome) << back.gets(ReadUndelivered) << guest.shown(PresenceChanged)
    assert guest.party in [each["party"] for each in hello.record("presence.opened").fields["shown_to"]]
    play >> back.leaves()

    def hidden(policy: Any, question: Any, decision_id: str, stops: Any = ()) -> Any:
        denied = question.action is Action.PRESENCE_SEE
        return (deny_everything if denied else allow_everything)(policy, question, decision_id)

    play.decide_by = hidden
    again = play.connects(ada.principal)
    assert (
        arriving(play, again)
        << again.shown(InsiderWelcome)
        << again.gets(ReadUndelivered)
        << guest.told(PresenceStatus, party=ada.party, status="available")
    )
    assert (play >> again.says(PresenceSet(status="away"))).commands == []


def test_a_guest_in_the_lobby_appears_to_nobody_and_nobody_to_them() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.waiting(ada)
    assert (play >> guest.says(PresenceSet(status="away"))).commands == []
    assert (play >> ada.says(PresenceSet(status="away"))).commands == []
    back = play.joined(ada.principal)
    assert play >> back.says(PresenceSet(status="busy")) << []


def test_the_status_of_an_admitted_guest_is_their_hosts_alone_to_see() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    guest = play.admitted(ada)
    assert play >> guest.says(PresenceSet(status="away")) << ada.told(PresenceStatus, party=guest.party)
    assert play >> guest.leaves() << ada.told(PresenceStatus, party=guest.party, status="offline")
    back = play.connects(guest.principal)
    hello = arriving(play, back)
    assert hello << back.shown(GuestWelcome) << back.gets(ReadUndelivered) << ada.shown(PresenceChanged)
    late = arriving(play, play.connects(bob.principal))
    assert guest.party not in [c.party for c in late.frame(InsiderWelcome).contacts]


@pytest.mark.parametrize("people", [63, 64, 65, 200])
def test_the_record_of_many_contacts_comes_in_parts_that_fit(people: int) -> None:
    long = "x" * 60
    rules = "".join(rule(f"see-{n}-{long[:50]}", "presence.see") for n in range(20))
    play = Playbook(SIGN_IN + rules)
    clients = [play.person(f"{number:03}-{long[:40]}") for number in range(people // 2)]
    for number in range(people // 2, people):
        play.insider(f"{number:03}-{long[:40]}")
    hello = arriving(play, play.connects(play.insider("newcomer")))
    records = [record for record in hello.records if record.type == "presence.opened"]
    assert all(len(record.canonical_fields) < MAX_BODY_BYTES for record in records)
    numbers = [(record.fields["part"], record.fields["parts"]) for record in records]
    assert numbers == [(n, len(records)) for n in range(1, len(records) + 1)]
    seen = [each["party"] for r in records for each in r.fields["sees"]]
    shown = [each["party"] for r in records for each in r.fields["shown_to"]]
    assert seen == list(play.people)[:-1]
    assert shown == [client.party for client in clients]


class TestFolding:
    FOLDED = SIGN_IN + rule("all", EVERYTHING, presence='"folded"')

    def test_a_guest_learns_only_whether_their_host_can_be_reached(self) -> None:
        play = Playbook(self.FOLDED)
        ada = play.person("ada")
        guest = play.admitted(ada)
        assert play >> ada.says(PresenceSet(status="busy"))
        assert play >> ada.says(PresenceSet(status="away"))
        again = play.connects(guest.principal)
        play >> again.arrives()
        host = (play >> again.hello()).frame(GuestWelcome).host
        assert host is not None
        assert host.status == "available"
        offline = {"party": ada.party, "status": "offline"}
        assert (
            play
            >> ada.leaves()
            << guest.told(PresenceStatus, **offline)
            << again.told(PresenceStatus, **offline)
        )

    def test_colleagues_see_each_other_as_they_are(self) -> None:
        play = Playbook(self.FOLDED)
        ada, bob = play.person("ada"), play.person("bob")
        assert play >> ada.says(PresenceSet(status="busy")) << bob.told(PresenceStatus, status="busy")

    def test_a_host_sees_their_guest_as_they_are(self) -> None:
        play = Playbook(self.FOLDED)
        ada = play.person("ada")
        guest = play.admitted(ada)
        assert play >> guest.says(PresenceSet(status="away")) << ada.told(PresenceStatus, status="away")
