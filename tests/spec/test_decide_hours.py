"""Hours in decisions: windows of time in the zone they are written in, the days on which clocks change
included."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from broker.policy.decision import Code, FailedCondition
from broker.policy.index import NEVER
from broker.policy.when import span_at
from config.policy.action import Action
from config.policy.when import When
from tests.spec.questions import NOW, ask, guest, insider, policy, rule

BERLIN = "Europe/Berlin"
OFFICE_HOURS = '{ tz = "Europe/Berlin", days = ["mon", "tue", "wed", "thu", "fri"], hours = "07:00-19:00" }'


def at(text: str, tz: str = BERLIN, *, fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz), fold=fold).timestamp())


def when(**members: object) -> When:
    return When.model_validate({"tz": BERLIN} | members)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-23T06:59:59", False),
        ("2026-11-23T07:00:00", True),
        ("2026-11-23T18:59:59", True),
        ("2026-11-23T19:00:00", False),
        ("2026-11-28T12:00:00", False),
    ],
)
def test_a_rule_holds_from_its_first_minute_until_before_its_last(moment: str, is_open: bool) -> None:
    decision = ask(
        policy(rule("office", when=OFFICE_HOURS)), Action.CHAT_SEND, insider(), guest(), at=at(moment)
    )
    assert decision.allowed is is_open
    if is_open:
        assert decision.limits.until_unix_seconds == at("2026-11-23T19:00:00")
    else:
        assert (decision.code, decision.determining_rules) == (Code.OUTSIDE_HOURS, ("office",))
        assert [losing.condition for losing in decision.losing_rules] == [FailedCondition.WHEN]
        assert decision.user_sentence == "This is not allowed at this time."


def test_a_guest_does_not_learn_that_it_is_a_matter_of_time() -> None:
    saturday = at("2026-11-28T12:00:00")
    decision = ask(
        policy(rule("office", when=OFFICE_HOURS)), Action.CHAT_SEND, guest(), insider(), at=saturday
    )
    assert decision.code is Code.OUTSIDE_HOURS
    assert decision.user_sentence == "The organisation you are visiting does not allow this."


def test_a_deny_has_hours_too() -> None:
    lunch = rule("lunch", effect="deny", when='{ tz = "Europe/Berlin", hours = "12:00-13:00" }')
    loaded = policy(rule("all"), lunch)
    assert ask(loaded, Action.CHAT_SEND, insider(), guest(), at=at("2026-11-23T11:59:59")).allowed
    assert not ask(loaded, Action.CHAT_SEND, insider(), guest(), at=at("2026-11-23T12:00:00")).allowed


def test_hours_over_midnight_belong_to_the_day_on_which_they_begin() -> None:
    friday_night = when(days=["fri"], hours="22:00-06:00")
    assert span_at(friday_night, at("2026-11-28T05:59:59")).open
    assert not span_at(friday_night, at("2026-11-27T05:59:59")).open


def test_windows_that_touch_are_one() -> None:
    weekend = when(days=["sat", "sun"])
    assert span_at(weekend, at("2026-11-28T12:00:00")).until_unix_seconds == at("2026-11-30T00:00:00")


def test_a_window_without_days_never_opens() -> None:
    assert not span_at(when(days=[]), NOW).open


class TestWhenClocksChange:
    def test_an_hour_that_is_left_out_makes_the_window_shorter(self) -> None:
        night = span_at(when(hours="01:00-04:00"), at("2027-03-28T01:30:00"))
        assert night.until_unix_seconds - night.since_unix_seconds == 2 * 3600

    def test_an_hour_that_comes_twice_makes_it_longer(self) -> None:
        night = span_at(when(hours="01:00-04:00"), at("2026-10-25T02:30:00", fold=1))
        assert night.open
        assert night.until_unix_seconds - night.since_unix_seconds == 4 * 3600

    @pytest.mark.parametrize(
        ("hours", "opens", "closes"),
        [
            ("02:30-03:15", "2027-03-28T03:00:00", "2027-03-28T03:15:00"),
            ("02:30-04:00", "2027-03-28T03:00:00", "2027-03-28T04:00:00"),
            ("01:00-02:30", "2027-03-28T01:00:00", "2027-03-28T03:00:00"),
        ],
    )
    def test_a_window_that_begins_or_ends_in_the_hour_left_out_does_so_when_clocks_go_forward(
        self, hours: str, opens: str, closes: str
    ) -> None:
        window = span_at(when(hours=hours), at(closes) - 1)
        assert (window.open, window.since_unix_seconds, window.until_unix_seconds) == (
            True,
            at(opens),
            at(closes),
        )

    def test_a_window_that_ends_in_the_hour_that_comes_twice_ends_the_second_time(self) -> None:
        night = span_at(when(hours="22:00-02:30"), at("2026-10-25T02:10:00", fold=1))
        assert night.open
        assert night.until_unix_seconds == at("2026-10-25T02:30:00", fold=1)

    def test_a_window_inside_the_hour_that_is_left_out_does_not_open_that_day(self) -> None:
        short = when(hours="02:00-03:00")
        assert span_at(short, at("2027-03-28T01:59:59")).until_unix_seconds == at("2027-03-29T02:00:00")


def test_the_next_change_is_the_first_end_or_opening() -> None:
    loaded = policy(rule("office", when=OFFICE_HOURS), rule("early", expires="2026-11-22"), rule("late"))
    assert loaded.next_change(at("2026-11-23T18:00:00")) == at("2026-11-23T19:00:00")
    assert loaded.next_change(at("2026-11-23T19:00:00")) == at("2026-11-24T07:00:00")
    assert policy(rule("signin", '"edge.signin"', expires=None)).next_change(NOW) == NEVER


@pytest.mark.parametrize("moment", [-(10**30), -1, 0, 10**12, 10**30])
def test_any_moment_has_an_answer(moment: int) -> None:
    loaded = policy(rule("office", when=OFFICE_HOURS))
    ask(loaded, Action.CHAT_SEND, insider(), guest(), at=moment)
    assert loaded.next_change(moment) > moment


class TestPresence:
    def test_a_folding_rule_obliges_to_fold_and_the_strictest_rule_counts(self) -> None:
        exact, folded = rule("exact"), rule("folded", presence="folded")
        ways = [
            [
                obligation.value
                for obligation in ask(loaded, Action.PRESENCE_SEE, guest(), insider()).obligations
            ]
            for loaded in (policy(exact), policy(folded), policy(exact, folded))
        ]
        assert ways == [[], ["presence.fold"], ["presence.fold"]]

    def test_an_insider_sees_a_guest_as_they_are(self) -> None:
        folded = policy(rule("folded", presence="folded"))
        assert ask(folded, Action.PRESENCE_SEE, insider(), guest()).obligations == ()
