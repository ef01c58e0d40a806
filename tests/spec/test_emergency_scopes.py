"""What an emergency stop of each scope covers, and what it leaves alone."""

from __future__ import annotations

import pytest

from broker.core.client_frames import CallInvite, CallShare, ChatSend
from broker.core.commands import (
    CloseConnection,
    EndSignInsOf,
    SilenceMedia,
)
from broker.core.events import (
    PolicyApplied,
    SignInProved,
    Ticked,
)
from broker.core.frames import CallShareEnded
from broker.core.gate import Receipt
from broker.policy.index import PolicyIndex
from broker.policy.stop import Scope, ScopeError, ScopeKind, parse_scope
from config.policy.loading import load_policy
from tests.spec.button import (
    ASKED,
    SOURCE,
    ZONED,
    found,
    house,
    is_denied,
    refusal,
    stops,
)


def test_a_stop_of_one_modality_ends_only_that_and_leaves_the_rest() -> None:
    play = house()
    ada, bob, eve, fay = (play.person(name) for name in ("ada", "bob", "eve", "fay"))
    video = play.talking(ada, bob, ("audio", "video"))
    audio = play.talking(eve, fay)
    outcome = stops(play, found(parse_scope("modality:video")))
    assert set(play.house.calls) == {audio}
    assert SilenceMedia(frozenset({video})) in outcome.effects
    assert not any(isinstance(effect, CloseConnection) for effect in outcome.effects)
    assert is_denied(play >> ada.says(CallInvite(ref="2", to=bob.party, media=["video"])), ada)
    assert "chat.accepted" in (play >> ada.says(ChatSend(ref="3", to=bob.party, text="still"))).record_types


def test_a_stop_of_screens_ends_the_share_and_not_the_call() -> None:
    play = house()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    play >> ada.says(CallShare(call_id=call_id))
    outcome = stops(play, found(parse_scope("modality:screen")))
    assert outcome.frame(CallShareEnded).reason == "emergency_stop"
    assert call_id in play.house.calls
    assert is_denied(play >> bob.says(CallShare(call_id=call_id)), bob)


@pytest.mark.parametrize("named", ["ada.login\N{SECTION SIGN}", "ADA.Login\N{SECTION SIGN}", "u-ada"])
def test_a_stop_of_one_person_is_by_login_or_id_and_ends_their_sign_ins_everywhere(named: str) -> None:
    play = house()
    ada, bob, eve = play.person("ada"), play.person("bob"), play.person("eve")
    play.talking(ada, bob)
    outcome = stops(play, found(Scope(ScopeKind.USER, named)))
    assert play.house.calls == {}
    assert EndSignInsOf(ada.party) in outcome.writes
    closed = {e.connection_id for e in outcome.effects if isinstance(e, CloseConnection)}
    assert closed == {ada.connection_id}
    assert refusal(play >> SignInProved(ASKED, ada.insider, SOURCE, "t-2", SOURCE)) == "EMERGENCY_STOP"
    assert is_denied(play >> bob.says(CallInvite(ref="2", to=ada.party, media=["audio"])), bob)
    assert play.talking(bob, eve)


def test_a_stop_of_a_person_reaches_the_guests_they_invited() -> None:
    play = house()
    ada = play.person("ada")
    guest = play.admitted(ada)
    stops(play, found(parse_scope("user:u-ada")))
    assert guest.party not in play.house.visits
    assert play.house.connections[guest.connection_id].closing


def test_a_stop_of_guests_silences_their_calls_at_once_and_counts_them() -> None:
    play = house()
    host = play.person("ada")
    guest = play.admitted(host)
    call_id = play.talking(host, guest)
    first = play >> found(parse_scope("modality:guests"))
    assert SilenceMedia(frozenset({call_id})) in first.effects
    assert play.later(0).record("emergency.effective").fields["calls"] == 1


def test_a_call_that_waits_for_its_record_is_not_let_out_to_somebody_who_is_stopped_by_login() -> None:
    play = house()
    ada, bob = play.person("ada"), play.person("bob")
    rings = play >> ada.says(CallInvite(ref="1", to=bob.party, media=["audio"]))
    stops(play, found(Scope(ScopeKind.USER, "bob.login\N{SECTION SIGN}")))
    assert [play.house.gate.recorded(opening, Receipt(1, 1)) for opening in rings.openings] == [None]


def test_a_stop_of_a_zone_that_came_with_a_new_policy_finds_calls_from_before() -> None:
    play = house()
    calls = [play.talking(play.person(f"a{n}"), play.person(f"b{n}")) for n in range(3)]
    play >> PolicyApplied(PolicyIndex(load_policy(ZONED, "zoned")), "file")
    while play.house.review.waiting:
        play >> Ticked()
    first = play >> found(parse_scope("zone:lan"))
    assert SilenceMedia(frozenset(calls)) in first.effects


def test_a_stop_of_a_zone_is_about_who_is_in_it_and_nobody_else() -> None:
    play = house(ZONED)
    ada, bob = play.person("ada"), play.person("bob")
    play.talking(ada, bob)
    stops(play, found(parse_scope("zone:lab")))
    assert len(play.house.calls) == 1
    stops(play, found(parse_scope("zone:lan")))
    assert play.house.calls == {}
    assert all(connection.closing for connection in play.house.connections.values())


@pytest.mark.parametrize(
    ("email", "covered"),
    [("g@partner.example", True), ("g@sub.partner.example", True), ("g@other.example", False), (None, True)],
)
def test_a_stop_of_a_peer_covers_its_guests_and_those_who_may_be_of_it(
    email: str | None, covered: bool
) -> None:
    play = house()
    host = play.person("ada")
    invitation = play.invitation(host, guest_email=email)
    guest = play.joined(play.redeemed(invitation, host))
    stops(play, found(parse_scope("peer:partner.example")))
    assert play.house.connections[guest.connection_id].closing is covered
    assert not play.house.connections[host.connection_id].closing


@pytest.mark.parametrize(
    "text", ["all", "zone:lan", "peer:acme", "peer:acme.example", "user:a b", "modality:screen"]
)
def test_a_scope_reads_as_it_is_written(text: str) -> None:
    assert str(parse_scope(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "All",
        "all:",
        "all:x",
        "zone",
        "zone:",
        "zone:a/b",
        "zone:a\nb",
        "user:\x1b[2J",
        "modality:fax",
        "x" * 99,
        "zone:" + "x" * 65,
        "user:" + "\U0001f6d1" * 64,
    ],
)
def test_what_is_no_scope_says_what_would_be(text: str) -> None:
    with pytest.raises(ScopeError):
        parse_scope(text)
