"""Review: what was allowed ends where policy, people or the hour no longer allow it, and nothing widens."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.core.client_frames import CallShare, CallUnshare, PresenceSet
from broker.core.clock import Now
from broker.core.commands import LimitMedia, Narrowing, ShareBandwidth, WithdrawMedia
from broker.core.errors import POLICY_REFUSED
from broker.core.events import PolicyApplied, PolicyRefused, Started
from broker.core.frames import (
    CallEnded,
    CallShareEnded,
    ContactGone,
    Error,
    MediaLimit,
    PresenceStatus,
)
from broker.core.review import CLOCK_SECONDS
from broker.policy.index import PolicyIndex
from config.policy.action import Action
from config.policy.loading import load_policy
from tests.spec.outcome import effect
from tests.spec.playbook import START_WALL_SECONDS, Playbook
from tests.spec.policies import EVERYTHING, OPEN_POLICY, SIGN_IN, rule, without

YEAR = 365 * 86_400


def applied(policy: str, how: str = "file") -> PolicyApplied:
    return PolicyApplied(PolicyIndex(load_policy(policy, "test")), how)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


class TestANewPolicy:
    def test_a_call_that_it_does_not_allow_ends_with_the_reason_on_both_sides(self) -> None:
        play = Playbook()
        ada, bob = play.person("ada"), play.person("bob")
        call_id = play.talking(ada, bob, ("audio", "video"))
        outcome = play >> applied(without(Action.CALL_VIDEO))
        why = {
            "reason": "policy",
            "code": "POLICY_DENIED",
            "message": "Your organisation's policy does not allow this.",
        }
        assert (
            outcome
            << effect(WithdrawMedia, session_id=call_id)
            << ada.told(CallEnded, **why)
            << bob.told(CallEnded, **why)
        )
        decisions: Any = outcome.record("decision.denied").fields["decisions"]
        assert [decision["determining_rules"] for decision in decisions] == [["but-not"]]
        assert outcome.frame(CallEnded).decision_id == decisions[0]["id"]

    def test_a_guest_is_told_in_words_of_their_own_and_no_kind_of_denial(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        guest = play.admitted(ada)
        play.talking(guest, ada)
        outcome = play >> applied(SIGN_IN + rule("rest", "edge.join guest.invite guest.admit presence.see"))
        told = [e.frame for e in outcome.effects if getattr(e, "connection_id", "") == guest.connection_id]
        (ended,) = [frame for frame in told if isinstance(frame, CallEnded)]
        assert (ended.code, ended.message) == (
            "POLICY_DENIED",
            "The organisation you are visiting does not allow this.",
        )

    def test_a_ringing_call_ends_too(self) -> None:
        play = Playbook()
        ada, bob = play.person("ada"), play.person("bob")
        play.ringing(ada, bob)
        outcome = play >> applied(without(Action.CALL_AUDIO))
        assert play.house.calls == {}
        assert outcome.frame(CallEnded).reason == "policy"

    def test_a_call_that_it_allows_goes_on_untouched(self) -> None:
        play = Playbook()
        play.talking(play.person("ada"), play.person("bob"))
        assert play >> applied(without(Action.CHAT_SEND))
        assert play.house.calls

    def test_a_share_ends_and_its_call_goes_on(self) -> None:
        play = Playbook()
        ada, bob = play.person("ada"), play.person("bob")
        call_id = play.talking(ada, bob)
        play >> ada.says(CallShare(call_id=call_id))
        ended = {"call_id": call_id, "party": ada.party, "reason": "policy"}
        assert (
            play
            >> applied(without(Action.SCREEN_SHARE))
            << ada.told(CallShareEnded, **ended)
            << bob.told(CallShareEnded, **ended)
        )
        assert play.house.calls

    def test_less_time_and_a_lower_rate_take_hold_of_a_live_call(self) -> None:
        play = Playbook()
        ada, bob = play.person("ada"), play.person("bob")
        call_id = play.talking(ada, bob)
        strict = rule("strict", "call.audio", limits="{ minutes = 5, bits_per_second = 64_000 }")
        outcome = play >> applied(OPEN_POLICY + strict)
        assert outcome.openings == []  # it does not wait for the disk
        limit = effect(
            LimitMedia,
            session_id=call_id,
            until_unix_seconds=START_WALL_SECONDS + 300,
            bits_per_second=64_000,
        )
        shared = effect(ShareBandwidth, session_id=call_id)
        told = [one.told(MediaLimit, audio_bits_per_second=64_000) for one in (ada, bob)]
        assert outcome << limit << limit << shared << told
        assert outcome.record("call.narrowed").fields["bits_per_second"] == 64_000
        assert play.house.calls[call_id].grant.until_unix_seconds == START_WALL_SECONDS + 300
        assert not (play >> applied(OPEN_POLICY)).openings
        play.later(300)
        assert play.house.calls == {}

    def test_minutes_count_from_the_calls_opening_and_the_shares(self) -> None:
        play = Playbook()
        call_id = play.talking(ada := play.person("ada"), play.person("bob"))
        play.later(120)
        play >> ada.says(CallShare(call_id=call_id))
        play.later(90)
        play >> applied(OPEN_POLICY + rule("share", "screen.share", limits="{ minutes = 2 }"))
        play.later(29)
        assert play.house.calls[call_id].share is not None
        play.later(1)
        assert play.house.calls[call_id].share is None
        play >> applied(OPEN_POLICY + rule("talk", "call.audio", limits="{ minutes = 3 }"))
        play.later(0)
        assert play.house.calls == {}

    def test_the_rate_of_a_share_that_never_opened_reaches_the_relay_with_the_next_answer(self) -> None:
        play = Playbook(OPEN_POLICY + rule("screen", "screen.share", limits="{ bits_per_second = 64_000 }"))
        call_id = play.talking(ada := play.person("ada"), play.person("bob"))
        play >> ada.says(CallShare(call_id=call_id))
        play >> ada.says(CallUnshare(call_id=call_id))
        outcome = play >> applied(OPEN_POLICY)
        limit = effect(LimitMedia, session_id=call_id, bits_per_second=64_000)
        shared = effect(ShareBandwidth, session_id=call_id)
        told = ada.told(MediaLimit, screen_bits_per_second=None)
        assert outcome << limit << limit << shared << told
        assert "call.narrowed" not in outcome.record_types

    def test_less_time_and_a_lower_rate_take_hold_of_a_live_share(self) -> None:
        play = Playbook()
        ada, bob = play.person("ada"), play.person("bob")
        call_id = play.talking(ada, bob)
        play >> ada.says(CallShare(call_id=call_id))
        strict = rule("strict", "screen.share", limits="{ minutes = 1, bits_per_second = 64_000 }")
        outcome = play >> applied(OPEN_POLICY + strict)
        assert outcome.record("call.narrowed").fields["bits_per_second"] == 64_000
        play.later(60)
        assert play.house.calls[call_id].share is None

    def test_whoever_was_let_in_is_asked_about_that_too(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        guest = play.admitted(ada)
        play >> applied(without(Action.GUEST_ADMIT))
        assert play.house.connections[guest.connection_id].closing
        again = play.connects(guest.principal)
        assert (play >> again.arrives()).openings == []

    def test_it_is_owed_to_the_record_whatever_becomes_of_the_disk(self) -> None:
        play = Playbook()
        for event in (applied(OPEN_POLICY), PolicyRefused("0" * 64, ("no",))):
            kinds = [type(command) for command in (play >> event).commands if command.records]  # type: ignore[union-attr]
            assert kinds == [Narrowing]

    def test_whoever_may_not_be_here_any_more_is_told_so_and_disconnected(self) -> None:
        play = Playbook()
        ada, bob = play.person("ada", "staff"), play.person("bob")
        outcome = play >> applied(
            "revision = 2\n" + rule("staff", "edge.signin", who='{ groups = ["staff"] }')
        )
        told = [e for e in outcome.effects if getattr(e, "connection_id", "") == bob.connection_id]
        assert isinstance(told[0].frame, Error)
        assert told[0].frame.code == "POLICY_DEFAULT_DENY"
        assert told[1].row == POLICY_REFUSED
        assert not play.house.connections[ada.connection_id].closing

    def test_a_guest_whose_host_may_have_none_any_more_is_disconnected_and_their_visit_kept(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        guest = play.admitted(ada)
        play >> applied(without(Action.GUEST_INVITE))
        assert play.house.connections[guest.connection_id].closing
        assert guest.party in play.house.visits

    def test_who_sees_whom_narrows(self) -> None:
        play = Playbook()
        ada, bob = play.person("ada", "vip"), play.person("bob")
        hide = rule("hide", "presence.see", effect='"deny"', who='{ groups = ["vip"] }', direction='"in"')
        outcome = play >> applied(OPEN_POLICY + hide)
        gone = bob.told(ContactGone, party=ada.party)  # at once, and in its turn behind what still waits
        assert outcome << gone << gone
        assert outcome.record("presence.narrowed").fields["party"] == bob.party
        assert play >> ada.says(PresenceSet(status="busy"))
        assert play >> applied(OPEN_POLICY)

    def test_a_guest_who_saw_their_host_as_busy_sees_them_reachable_once_presence_is_folded(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        guest = play.admitted(ada)
        play >> ada.says(PresenceSet(status="busy"))
        folded = SIGN_IN + rule("all", EVERYTHING, presence='"folded"')
        reachable = guest.told(PresenceStatus, party=ada.party, status="available")
        assert play >> applied(folded) << reachable << reachable
        assert play >> ada.says(PresenceSet(status="away"))

    def test_it_is_on_record_before_anything_that_it_allows(self) -> None:
        play = Playbook(without(Action.CALL_AUDIO))
        ada, bob = play.person("ada"), play.person("bob")
        first = play >> applied(OPEN_POLICY)
        assert first.record_types == ["policy.applied"]
        assert first.record("policy.applied").fields["how"] == "file"
        assert play.talking(ada, bob)

    def test_a_file_that_cannot_be_used_changes_nothing_and_raises_the_alarm_until_one_can(self) -> None:
        play = Playbook()
        ada, bob = play.person("ada"), play.person("bob")
        play.talking(ada, bob)
        errors = tuple(f"rules[{n}].who: \x1b[31mhostile" for n in range(50))
        outcome = play >> PolicyRefused("f" * 64, errors)
        assert outcome
        assert outcome.record("policy.refused").fields["errors_omitted"] == 30
        assert play.house.policy_alarm is not None
        assert play.house.calls
        play >> applied(OPEN_POLICY)
        assert play.house.policy_alarm is None

    def test_very_many_are_asked_about_a_few_at_a_time(self) -> None:
        play = Playbook()
        everyone = [play.person(f"p{number}") for number in range(150)]
        play >> applied("revision = 2\n")
        left = [c for c in everyone if not play.house.connections[c.connection_id].closing]
        assert 0 < len(left) < 150
        play.later(0)
        assert all(play.house.connections[c.connection_id].closing for c in everyone)


class TestTheHour:
    OFFICE_HOURS = SIGN_IN + rule(
        "office",
        EVERYTHING,
        expires="2030-12-31",
        when='{ tz = "UTC", hours = "08:00-18:00" }',
    )
    NINE = at("2026-11-23T09:00:00")

    def opened(self) -> tuple[Playbook, str]:
        """A call at nine o'clock, with the clock looked at since the start."""
        play = Playbook(self.OFFICE_HOURS)
        play.now = Now(self.NINE * 1000, play.now.monotonic_seconds)
        play >> Started((), (), ())
        play.later(0)
        return play, play.talking(play.person("ada"), play.person("bob"))

    def test_a_call_ends_within_a_second_of_the_end_of_its_rules_hours(self) -> None:
        play, call_id = self.opened()
        play.house.calls[call_id].grant = replace(
            play.house.calls[call_id].grant, until_unix_seconds=self.NINE + YEAR
        )
        play.house.deadlines.cancel("call.limit", call_id)
        play.later(9 * 3600 - 1)
        assert call_id in play.house.calls
        play.later(1 + CLOCK_SECONDS)
        assert call_id not in play.house.calls

    @pytest.mark.parametrize("jump", [9 * 3600, YEAR * 5, -2 * 3600])
    def test_a_clock_that_jumps_out_of_the_hours_ends_it_too(self, jump: int) -> None:
        play, call_id = self.opened()
        play.now = Now((self.NINE + jump) * 1000, play.now.monotonic_seconds)
        play.later(CLOCK_SECONDS)
        assert call_id not in play.house.calls

    def test_while_nothing_changes_nobody_is_asked_about_again(self) -> None:
        play, _ = self.opened()
        play.asked.clear()
        play.later(3600)
        assert play.asked == []
