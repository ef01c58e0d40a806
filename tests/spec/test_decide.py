"""The gate's question and its answers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from broker.policy.decision import Code, FailedCondition, Limits, LosingRule
from config.policy.action import Action
from tests.spec.questions import ANYTHING, ask, guest, insider, policy, rule


@pytest.mark.parametrize(
    "action", [Action.CHAT_SEND, Action.CALL_AUDIO, Action.CALL_VIDEO, Action.PRESENCE_SEE]
)
def test_silence_means_deny(action: Action) -> None:
    decision = ask(policy(), action, insider(), guest())
    assert (decision.allowed, decision.code, decision.determining_rules) == (False, Code.DEFAULT_DENY, ())


def test_an_allow_answers_with_its_rule_revision_and_hash() -> None:
    decision = ask(ANYTHING, Action.CHAT_SEND, insider(), guest())
    assert decision.allowed
    assert decision.code is Code.ALLOWED
    assert decision.determining_rules == ("all",)
    assert (decision.policy_revision, decision.policy_sha256) == (41, ANYTHING.loaded.sha256)


def test_a_deny_beats_every_allow_and_the_beaten_allow_is_named() -> None:
    decision = ask(policy(rule("yes"), rule("no", effect="deny")), Action.CHAT_SEND, insider(), guest())
    assert (decision.code, decision.determining_rules) == (Code.DENIED, ("no",))
    assert decision.losing_rules == (LosingRule("yes", "u-ada", "chat.send", FailedCondition.OVERRULED),)


def test_only_a_member_of_the_named_group_is_allowed_whatever_the_case_of_its_name() -> None:
    loaded = policy(rule("g", who='{ groups = ["Ext-Chat", "other"] }'))
    assert ask(loaded, Action.CHAT_SEND, insider(groups=("ext-chat",)), guest()).allowed
    decision = ask(loaded, Action.CHAT_SEND, insider(groups=("ext-chat-2",)), guest(), explained=True)
    assert decision.losing_rules == (LosingRule("g", "u-ada", "chat.send", FailedCondition.WHO_GROUPS),)


def test_an_empty_group_list_is_nobody() -> None:
    assert not ask(policy(rule("g", who="{ groups = [] }")), Action.CHAT_SEND, insider(), guest()).allowed
    nobody = policy(rule("g", with_='{ kind = "insider", groups = [] }'))
    assert not ask(nobody, Action.CHAT_SEND, insider(), insider("u-bob")).allowed


def test_rules_for_guests_and_for_insiders_do_not_mix() -> None:
    for kind, other, wrong in (("guest", guest(), insider("u-b")), ("insider", insider("u-b"), guest())):
        loaded = policy(rule("k", with_=f'{{ kind = "{kind}" }}'))
        assert ask(loaded, Action.CHAT_SEND, insider(), other).allowed
        decision = ask(loaded, Action.CHAT_SEND, insider(), wrong, explained=True)
        assert {losing.condition for losing in decision.losing_rules} == {FailedCondition.WITH_KIND}


@pytest.mark.parametrize(("direction", "shows", "is_shown"), [("out", True, False), ("in", False, True)])
def test_calls_allowed_say_nothing_of_screens_which_may_go_one_way_only(
    direction: str, shows: bool, is_shown: bool
) -> None:
    calls = rule("calls", actions='"call.audio", "call.video"')
    assert not ask(policy(calls), Action.SCREEN_SHARE, insider(), guest()).allowed
    loaded = policy(calls, rule("screens", actions='"screen.share"', direction=direction))
    assert ask(loaded, Action.SCREEN_SHARE, insider(), guest()).allowed == shows
    assert ask(loaded, Action.SCREEN_SHARE, guest(), insider()).allowed == is_shown
    assert ask(loaded, Action.CALL_AUDIO, guest(), insider()).allowed


def test_direction_is_seen_from_inside() -> None:
    out, into = policy(rule("o", direction="out")), policy(rule("i", direction="in"))
    assert ask(out, Action.CHAT_SEND, insider(), guest()).allowed
    assert ask(into, Action.CHAT_SEND, guest(), insider()).allowed
    assert not ask(out, Action.CHAT_SEND, guest(), insider()).allowed
    assert not ask(into, Action.CHAT_SEND, insider(), guest()).allowed


def test_two_insiders_are_decided_once_from_each_side() -> None:
    ada, bob = insider("u-ada", ("a",)), insider("u-bob", ("b",))
    ada_out = rule(
        "ada", who='{ groups = ["a"] }', with_='{ kind = "insider", groups = ["b"] }', direction="out"
    )
    bob_in = rule(
        "bob", who='{ groups = ["b"] }', with_='{ kind = "insider", groups = ["a"] }', direction="in"
    )
    assert ask(policy(ada_out, bob_in), Action.CALL_AUDIO, ada, bob).determining_rules == ("ada", "bob")
    assert not ask(policy(ada_out), Action.CALL_AUDIO, ada, bob).allowed
    assert not ask(policy(bob_in), Action.CALL_AUDIO, ada, bob).allowed
    assert not ask(policy(ada_out, bob_in), Action.CALL_AUDIO, bob, ada).allowed


def test_an_expired_rule_holds_through_its_last_day_in_utc_and_says_so_afterwards() -> None:
    loaded = policy(rule("old", expires="2026-11-23"))
    midnight = int(datetime(2026, 11, 24, tzinfo=UTC).timestamp())
    last = ask(loaded, Action.CHAT_SEND, insider(), guest(), at=midnight - 1)
    assert last.allowed
    assert last.limits.until_unix_seconds == midnight
    after = ask(loaded, Action.CHAT_SEND, insider(), guest(), at=midnight)
    assert (after.code, after.determining_rules) == (Code.RULE_EXPIRED, ("old",))
    assert not after.allowed


def test_expiry_is_the_reason_only_where_renewing_would_help() -> None:
    loaded = policy(rule("old", who='{ groups = ["a"] }', expires="2026-01-01"))
    decision = ask(loaded, Action.CHAT_SEND, insider(groups=("a",)), insider("u-bob"))
    assert decision.code is Code.DEFAULT_DENY


def test_an_expired_deny_no_longer_denies() -> None:
    assert ask(
        policy(rule("y"), rule("n", effect="deny", expires="2026-01-01")),
        Action.CHAT_SEND,
        insider(),
        guest(),
    ).allowed


def test_the_strictest_of_all_limits_that_apply_counts() -> None:
    loaded = policy(
        rule("a", limits="{ minutes = 120, bits_per_second = 64000 }", expires="2027-03-01"),
        rule("b", limits="{ minutes = 30 }", expires="2027-02-01"),
        rule("c", limits="{ minutes = 1 }", who='{ groups = ["x"] }'),
    )
    until = int(datetime(2027, 3, 2, tzinfo=UTC).timestamp())
    assert ask(loaded, Action.CALL_AUDIO, insider(), guest()).limits == Limits(30, 64000, until)


def test_a_rule_without_limits_gives_none() -> None:
    loaded = policy(rule("a", with_='{ kind = "insider" }', expires=None))
    assert ask(loaded, Action.CALL_AUDIO, insider(), insider("u-bob")).limits == Limits(None, None, None)
