"""Alarms: what needs a person is told when it begins and when it ends, in one place, on record."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from auth.personal import Personal
from auth.principal import PartyId
from broker.core.admin_events import AdminSignInProved, AdminSignOutRequested
from broker.core.alarms import BREAK_GLASS_SECONDS, CLOCK_STEADY_SECONDS, TABLE, AlarmRow, alarms_overview
from broker.core.clock import Now
from broker.core.commands import RequestId, SoundAlarm
from broker.core.events import (
    CertificateSeen,
    CommitFailed,
    DirectorySilent,
    EntryRefused,
    LatchMissing,
    MediaCount,
    MediaCounted,
    PeopleRead,
    PolicyApplied,
    PolicyRefused,
    RecordResumed,
    Started,
    StopLifted,
)
from broker.core.review import CLOCK_SECONDS
from broker.policy.administration import Role
from broker.policy.stop import ALL
from tests.spec.button import GROUPS, found, stops
from tests.spec.outcome import Outcome
from tests.spec.playbook import Playbook

DAY = 86_400


def started() -> Playbook:
    play = Playbook()
    play >> Started((), (), ())
    play.later(CLOCK_SECONDS)
    return play


def looked(play: Playbook, seconds: float = CLOCK_SECONDS) -> Outcome:
    """What the next look at the house finds."""
    return play.later(seconds)


def changes(outcome: Outcome) -> list[tuple[str, str]]:
    return [(one.name, one.change) for one in outcome.effects if isinstance(one, SoundAlarm)]


def fails(play: Playbook) -> None:
    play >> CommitFailed((), outage=True)


def refuses(play: Playbook) -> None:
    play >> PolicyRefused("0" * 64, ("rules[0].id: taken",))


def expires(play: Playbook) -> None:
    play >> CertificateSeen(play.now.wall_seconds + 13 * DAY)


def floods(play: Playbook) -> None:
    for number in range(4):
        play >> EntryRefused("auth.refused", "wrong", Personal(f"10.7.{number}.0/24"), 300)
    play.later(60)


def jumps(play: Playbook) -> None:
    play.now = Now(play.now.wall_ms - 3_600_000, play.now.monotonic_seconds)


def vanish(play: Playbook) -> None:
    play >> PeopleRead(6, vanished=tuple(PartyId(f"u-{number}") for number in range(6)))


CASES: dict[str, tuple[Callable[[Playbook], object], Callable[[Playbook], object]]] = {
    "record_unavailable": (fails, lambda play: play >> RecordResumed(0)),
    "policy_refused": (refuses, lambda play: play >> PolicyApplied(play.house.gate.policy, "file")),
    "emergency_stop": (
        lambda play: stops(play, found()),
        lambda play: play >> StopLifted(ALL, removed=True),
    ),
    "certificate_expiring": (
        expires,
        lambda play: play >> CertificateSeen(play.now.wall_seconds + 90 * DAY),
    ),
    "directory_silent": (lambda play: play >> DirectorySilent(), lambda play: play >> PeopleRead(0)),
    "people_vanished": (vanish, lambda play: play >> PeopleRead(6)),
    "clock_jumped": (jumps, lambda play: play.later(CLOCK_STEADY_SECONDS)),
}


@pytest.mark.parametrize("name", CASES)
def test_an_alarm_is_raised_once_and_cleared_once_and_both_are_on_record(name: str) -> None:
    begin, end = CASES[name]
    play = started()
    begin(play)
    raised = looked(play)
    assert changes(raised) == [(name, "raised")]
    assert raised.record("alarm.raised").fields["alarm"] == name
    assert changes(looked(play)) == []
    assert [one["alarm"] for one in alarms_overview(play.house)] == [name]
    ended = end(play)
    cleared = ended if isinstance(ended, Outcome) and changes(ended) else looked(play)
    assert changes(cleared) == [(name, "cleared")]
    assert cleared.record("alarm.cleared").fields["alarm"] == name
    assert alarms_overview(play.house) == []


def test_what_was_over_before_anybody_looked_is_no_alarm() -> None:
    play = started()
    fails(play)
    play >> RecordResumed(0)
    assert changes(looked(play)) == []


def test_a_flood_is_over_when_a_minute_has_passed_without_it() -> None:
    play = started()
    play >> EntryRefused("auth.refused", "wrong", Personal("10.7.0.0/24"), 999)
    play.later(60)
    assert play.house.alarms == {}, "that is not yet a flood"
    floods(play)
    looked(play)
    assert set(play.house.alarms) == {"flood"}
    play.later(60)
    looked(play)
    assert play.house.alarms == {}


def test_a_flood_that_goes_on_is_one_alarm_and_one_record_a_minute_for_each_source() -> None:
    play = started()
    heard, records = [], 0
    for _ in range(600):
        play >> EntryRefused("auth.refused", "wrong", Personal("10.7.0.0/24"), 200)
        outcome = looked(play, 1)
        heard += changes(outcome)
        records += outcome.record_types.count("auth.refused")
    assert heard == [("flood", "raised")]
    assert records <= 10


def test_calls_that_send_more_than_they_may_are_an_alarm_while_they_do() -> None:
    play = started()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.talking(ada, bob)
    parties = (ada.party, bob.party)

    def counted(dropped: int) -> list[tuple[str, str]]:
        count = MediaCount(parties, (1, 1), (1, 1), (("limiter", dropped),))
        play >> MediaCounted(call_id, count)
        return changes(looked(play))

    assert counted(0) == []
    assert counted(5) == [("limits_hit", "raised")]
    assert counted(9) == []
    assert counted(9) == [("limits_hit", "cleared")]


def test_a_latch_that_somebody_removed_is_an_alarm_until_the_stop_is_lifted() -> None:
    play = started()
    stops(play, found())
    play >> LatchMissing(ALL)
    assert set(changes(looked(play))) == {("emergency_stop", "raised"), ("latch_missing", "raised")}
    play >> StopLifted(ALL, removed=True)
    assert set(changes(looked(play))) == {("emergency_stop", "cleared"), ("latch_missing", "cleared")}


def test_a_clock_that_only_drifts_is_no_alarm() -> None:
    play = started()
    for _ in range(100):
        play.now = Now(play.now.wall_ms + 40, play.now.monotonic_seconds)
        assert changes(looked(play)) == []


def breaks_the_glass(play: Playbook, *, recorded: bool = True) -> None:
    play.house.gate.administrators = GROUPS
    play.house.gate.policy = play.house.gate.policy
    safe = play.insider("safe", GROUPS[Role.BREAK_GLASS])
    came = play >> AdminSignInProved(RequestId("r"), safe, Personal("10.7.9.9"), "t-safe", Role.BREAK_GLASS)
    if not recorded:
        play >> play.failed(came)


def test_the_use_of_the_break_glass_account_is_an_alarm_for_an_hour_also_when_it_was_short() -> None:
    play = started()
    breaks_the_glass(play)
    play >> AdminSignOutRequested("t-safe")
    assert changes(looked(play)) == [("break_glass_used", "raised")]
    assert [one["detail"] for one in alarms_overview(play.house)] == ["signed out"]
    assert changes(looked(play, BREAK_GLASS_SECONDS - 10)) == []
    assert changes(looked(play, 10)) == [("break_glass_used", "cleared")]


def test_it_is_one_for_as_long_as_somebody_is_signed_in_with_it() -> None:
    play = started()
    play.house.rules = replace(play.house.rules, admin_sign_in_seconds=3 * BREAK_GLASS_SECONDS)
    breaks_the_glass(play)
    assert changes(looked(play)) == [("break_glass_used", "raised")]
    assert changes(looked(play, 2 * BREAK_GLASS_SECONDS)) == []
    assert [one["detail"] for one in alarms_overview(play.house)] == ["still signed in"]
    looked(play, BREAK_GLASS_SECONDS)
    assert changes(looked(play)) == [("break_glass_used", "cleared")]


def test_who_breaks_the_glass_while_the_record_fails_gets_nowhere_and_is_an_alarm() -> None:
    play = started()
    breaks_the_glass(play, recorded=False)
    assert play.house.admin_sign_ins == {}
    assert ("break_glass_used", "raised") in changes(looked(play))


def test_the_newest_alarm_comes_first() -> None:
    play = started()
    refuses(play)
    looked(play)
    fails(play)
    looked(play)
    assert [one["alarm"] for one in alarms_overview(play.house)] == ["record_unavailable", "policy_refused"]


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
def test_every_alarm_says_what_it_is_and_what_to_do_and_operations_have_it(row: AlarmRow) -> None:
    assert re.fullmatch(r"[a-z_]+", row.name)
    for text in (row.sentence, row.what_to_do):
        assert re.fullmatch(r"[A-Z][^<>{}%\n]*\.", text)
    operations = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    assert f"| `{row.name}` | {row.sentence} | {row.what_to_do} |" in operations
