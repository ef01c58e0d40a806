"""Client programs: allowed, warned of or refused, by name and version, for insiders and for guests."""

from __future__ import annotations

import pytest

from broker.core import client_frames as cf
from broker.core.commands import Narrowing, Note, ReadUndelivered, WithdrawMedia
from broker.core.errors import CLIENT_REFUSED, POLICY_REFUSED
from broker.core.events import FrameReceived, PolicyApplied
from broker.core.frames import (
    CallEnded,
    ClientOutdated,
    ClientRefused,
    GuestWelcome,
    InsiderWelcome,
    LobbyLeft,
    LobbyWaiting,
    PresenceChanged,
    PresenceStatus,
)
from broker.policy.client import ClientVerdict, judge_client
from broker.policy.index import PolicyIndex
from config.policy.action import Action
from config.policy.client import ClientEffect, Clients, ClientSide
from config.policy.loading import load_policy
from tests.spec.outcome import effect
from tests.spec.playbook import PROGRAM, Client, Playbook, deny_everything
from tests.spec.policies import OPEN_POLICY, without

LINK = "https://get.example/turngate"
ELSEWHERE = "https://elsewhere.example/turngate"


def entry(effect: str, side: str = "both", *, name: str = PROGRAM.name, **more: str) -> str:
    members = {"name": f'"{name}"', "side": f'"{side}"', "effect": f'"{effect}"', "link": f'"{LINK}"', **more}
    return "[[clients.programs]]\n" + "".join(f"{key} = {value}\n" for key, value in members.items())


def clients(*entries: str, otherwise: str = "allow") -> str:
    return f'[clients]\notherwise = "{otherwise}"\notherwise_link = "{ELSEWHERE}"\n' + "".join(entries)


def declared(*entries: str, otherwise: str = "allow") -> Clients:
    loaded = load_policy(OPEN_POLICY + clients(*entries, otherwise=otherwise), "test").policy.clients
    assert loaded is not None
    return loaded


def says_hello(client: Client, version: str, name: str = PROGRAM.name) -> FrameReceived:
    return client.says(cf.Hello(client=cf.ClientProgram(name=name, version=version)))


def applied(policy: str) -> PolicyApplied:
    return PolicyApplied(PolicyIndex(load_policy(policy, "test")), "file")


class TestJudging:
    @pytest.mark.parametrize(
        ("version", "judged"),
        [
            ("1.2", "allow"),
            ("1.2.0", "allow"),
            ("v1.9.9", "allow"),
            ("1.2+local", "allow"),
            ("1.3rc1", "allow"),
            ("1.2rc1", "refuse"),
            ("1.1.9", "refuse"),
            ("2.0", "refuse"),
            ("", "refuse"),
            ("new", "refuse"),
            ("1.2; 1.3", "refuse"),
            ("1.5.po\N{LATIN SMALL LETTER LONG S}t1", "refuse"),
            ("\N{ARABIC-INDIC DIGIT ONE}.5", "refuse"),
        ],
    )
    def test_a_range_covers_versions_by_their_order_and_no_text_that_is_none(
        self, version: str, judged: str
    ) -> None:
        strict = declared(entry("allow", versions='">=1.2,<2"'), otherwise="refuse")
        assert judge_client(strict, ClientSide.INSIDER, PROGRAM.name, version).effect == judged

    def test_an_entry_without_versions_covers_every_text(self) -> None:
        strict = declared(entry("allow"), otherwise="refuse")
        assert judge_client(strict, ClientSide.GUEST, PROGRAM.name, "not a version").effect == "allow"
        assert judge_client(strict, ClientSide.GUEST, PROGRAM.name.upper(), "1").effect == "refuse"

    @pytest.mark.parametrize("entries", [("allow", "warn", "refuse"), ("refuse", "warn", "allow")])
    def test_the_strictest_of_several_entries_counts_in_any_order(self, entries: tuple[str, ...]) -> None:
        several = declared(*(entry(one) for one in entries))
        assert judge_client(several, ClientSide.GUEST, PROGRAM.name, "1").effect == "refuse"

    def test_an_entry_for_one_side_says_nothing_of_the_other(self) -> None:
        sided = declared(entry("refuse", "guest"))
        assert judge_client(sided, ClientSide.GUEST, PROGRAM.name, "1").effect == "refuse"
        assert judge_client(sided, ClientSide.INSIDER, PROGRAM.name, "1").effect == "allow"

    def test_what_no_entry_covers_is_told_where_an_allowed_program_is(self) -> None:
        verdict = judge_client(declared(otherwise="refuse"), ClientSide.GUEST, "other", "1")
        assert (verdict.effect, verdict.link) == (ClientEffect.REFUSE, ELSEWHERE)
        assert verdict.message == ("Please get a version that is allowed here.")

    def test_the_entrys_own_message_and_link_are_what_is_told(self) -> None:
        own = declared(entry("warn", message='"Version 2 is here."'))
        expected = ClientVerdict(ClientEffect.WARN, LINK, "Version 2 is here.")
        assert judge_client(own, ClientSide.INSIDER, PROGRAM.name, "1") == expected

    def test_an_allowed_program_and_a_policy_that_says_nothing_have_nothing_to_tell(self) -> None:
        allowed = ClientVerdict(ClientEffect.ALLOW)
        assert judge_client(None, ClientSide.GUEST, "x", "1") == allowed
        assert judge_client(declared(entry("allow")), ClientSide.GUEST, PROGRAM.name, "1") == allowed


class TestHello:
    def test_a_program_that_is_allowed_is_welcomed_and_told_nothing(self) -> None:
        play = Playbook(OPEN_POLICY + clients(entry("allow"), otherwise="refuse"))
        ada = play.connects(play.insider("ada"))
        play >> ada.arrives()
        outcome = play >> ada.hello()
        assert outcome << ada.shown(InsiderWelcome) << ada.gets(ReadUndelivered)
        assert not [kind for kind in outcome.record_types if kind.startswith("client.")]

    def test_an_outdated_one_is_welcomed_then_told_where_a_better_one_is_and_goes_on(self) -> None:
        play = Playbook(OPEN_POLICY + clients(entry("warn", versions='"<2"')))
        ada, bob = play.connects(play.insider("ada")), play.person("bob")
        play >> ada.arrives()
        outcome = play >> ada.hello()
        message = "This version of the program is out of date. Please get a newer one."
        assert (
            outcome
            << ada.shown(InsiderWelcome)
            << bob.shown(PresenceChanged)
            << ada.gets(ReadUndelivered)
            << ada.told(ClientOutdated, link=LINK, message=message)
        )
        assert isinstance(outcome.commands[-1], Note)
        record = outcome.record("client.outdated")
        assert record.fields == {"party": ada.party, "program": PROGRAM.model_dump(), "link": LINK}
        assert set(record.personal) == {"party.login", "party.name", "party.address"}
        assert play.talking(ada, bob)

    def test_a_refused_one_is_told_where_an_allowed_one_is_shown_nothing_and_closed(self) -> None:
        play = Playbook(OPEN_POLICY + clients(entry("refuse", versions='"<2"', message='"Too old."')))
        bob = play.connects(play.insider("bob"))
        play >> bob.arrives()
        play >> says_hello(bob, "2.0")
        ada = play.connects(play.insider("ada"))
        play >> ada.arrives()
        outcome = play >> ada.hello()
        assert outcome << ada.told(ClientRefused, link=LINK, message="Too old.") << ada.closed(CLIENT_REFUSED)
        assert all(isinstance(command, Narrowing) for command in outcome.commands)
        assert outcome.record_types == ["client.refused"]
        record = outcome.record("client.refused")
        assert record.session_id == ada.connection_id
        assert record.fields == {"party": ada.party, "program": PROGRAM.model_dump(), "link": LINK}
        assert set(record.personal) == {"party.login", "party.name", "party.address"}
        assert not (play >> says_hello(ada, "2.0")).commands
        assert play >> ada.leaves()
        assert ada.connection_id not in play.house.connections

    def test_whom_policy_does_not_let_in_is_told_that_and_nothing_of_their_program(self) -> None:
        play = Playbook(OPEN_POLICY + clients(otherwise="refuse"))
        ada = play.connects(play.insider("ada"))
        play >> ada.arrives()
        play.decide_by = deny_everything
        outcome = play >> ada.hello()
        assert outcome << ada.closed(POLICY_REFUSED)
        assert outcome.record_types == ["decision.denied"]

    def test_a_guest_with_a_refused_program_is_never_in_the_lobby_and_may_return_with_another(self) -> None:
        play = Playbook(OPEN_POLICY + clients(entry("refuse", "guest", versions='"<2"')))
        host = play.person("ada")
        guest = play.redeemed(play.invitation(host), host)
        old = play.connects(guest)
        play >> old.arrives()
        outcome = play >> old.hello()
        assert outcome << old.told(ClientRefused, link=LINK) << old.closed(CLIENT_REFUSED)
        assert outcome.record("client.refused").fields["party"] == guest.party
        assert set(outcome.record("client.refused").personal) == {"party.name", "party.address"}
        new = play.connects(guest)
        play >> new.arrives()
        assert play >> says_hello(new, "2.0") << new.shown(GuestWelcome) << host.shown(LobbyWaiting)

    def test_a_guest_with_an_outdated_program_waits_in_the_lobby_and_is_told(self) -> None:
        play = Playbook(OPEN_POLICY + clients(entry("warn", "guest")))
        host = play.person("ada")
        client = play.connects(play.redeemed(play.invitation(host), host))
        play >> client.arrives()
        outcome = play >> client.hello()
        assert (
            outcome
            << client.shown(GuestWelcome)
            << host.shown(LobbyWaiting)
            << client.told(ClientOutdated, link=LINK)
        )
        assert outcome.record("client.outdated").fields["party"] == client.party


class TestANewPolicy:
    def test_a_program_that_it_refuses_is_told_so_and_closed_in_the_middle_of_a_call(self) -> None:
        play = Playbook()
        ada, bob = play.person("ada"), play.connects(play.insider("bob"))
        play >> bob.arrives()
        play >> says_hello(bob, "2.0")
        call_id = play.talking(ada, bob)
        outcome = play >> applied(OPEN_POLICY + clients(entry("refuse", versions='"<2"')))
        assert (
            outcome
            << ada.told(ClientRefused, link=LINK)
            << ada.closed(CLIENT_REFUSED)
            << effect(WithdrawMedia, session_id=call_id)
            << bob.told(CallEnded, call_id=call_id, reason="party_left")
            << bob.told(PresenceStatus, party=ada.party, status="offline")
        )
        assert outcome.record("client.refused").fields["party"] == ada.party
        assert not outcome.openings
        assert not play.house.connections[bob.connection_id].closing

    def test_a_guest_of_a_refused_program_leaves_the_lobby_and_keeps_the_visit(self) -> None:
        play = Playbook()
        host = play.person("ada")
        guest = play.waiting(host)
        outcome = play >> applied(OPEN_POLICY + clients(entry("refuse", "guest")))
        assert (
            outcome
            << guest.told(ClientRefused, link=LINK)
            << guest.closed(CLIENT_REFUSED)
            << host.told(LobbyLeft, guest=guest.party)
        )
        assert guest.party in play.house.visits
        assert not play.house.connections[host.connection_id].closing

    def test_who_has_not_said_hello_is_asked_about_then(self) -> None:
        play = Playbook()
        ada = play.connects(play.insider("ada"))
        play >> ada.arrives()
        refusing = play >> applied(OPEN_POLICY + clients(otherwise="refuse"))
        assert refusing.record_types == ["policy.applied"]
        assert play >> ada.hello() << ada.told(ClientRefused, link=ELSEWHERE) << ada.closed(CLIENT_REFUSED)

    def test_who_is_let_in_no_more_is_closed_for_that_alone(self) -> None:
        play = Playbook()
        host = play.person("ada")
        guest = play.admitted(host)
        outcome = play >> applied(without(Action.GUEST_INVITE) + clients(entry("refuse", "guest")))
        assert any(guest.closed(POLICY_REFUSED).matches(each) for each in outcome.effects)
        assert "client.refused" not in outcome.record_types

    def test_a_program_that_it_warns_of_goes_on(self) -> None:
        play = Playbook()
        ada, bob = play.person("ada"), play.person("bob")
        play.talking(ada, bob)
        outcome = play >> applied(OPEN_POLICY + clients(otherwise="warn"))
        assert outcome.record_types == ["policy.applied"]
        assert play.house.calls
