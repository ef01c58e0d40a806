"""Check: what a policy says that its author probably did not mean."""

from __future__ import annotations

import pytest

from broker.policy.check import findings
from broker.policy.index import PolicyIndex
from tests.spec.questions import NOW, policy, rule

PEER = '[[peers]]\nid = "{id}"\nmode = "{mode}"\ndomains = {domains}\nverified = "invitation-link"\n'
GUESTS = '{ kind = "guest" }'


def peer(peer_id: str, mode: str = "allow", domains: str = '["a.example"]') -> str:
    return PEER.format(id=peer_id, mode=mode, domains=domains)


def found(loaded: PolicyIndex, known_groups: frozenset[str] | None = None) -> list[tuple[str, str]]:
    """Without those about the zone that these policies all have and few use."""
    told = [(f.kind, f.rule_id) for f in findings(loaded, NOW, known_groups)]
    return [one for one in told if one != ("unused", "office")]


def test_a_policy_that_means_what_it_says_has_no_findings() -> None:
    assert found(policy(rule("all"), rule("signin", '"edge.signin"', expires=None))) == []


def test_rules_that_have_expired_or_soon_will_are_told() -> None:
    loaded = policy(rule("past", expires="2026-11-22"), rule("soon", '"chat.send"', expires="2026-12-22"))
    assert found(loaded) == [("expired", "past"), ("expires-soon", "soon")]


@pytest.mark.parametrize(
    "written",
    [
        rule("never", ""),
        rule("never", who="{ groups = [] }"),
        rule("never", when='{ tz = "UTC", days = [] }'),
        rule("never", with_='{ kind = "insider", groups = [] }'),
        rule("never", with_='{ kind = "guest", peers = [] }'),
        rule("never", who='{ any = true, zone = "vault" }', with_=GUESTS),
        rule("never", with_='{ kind = "guest", peers = ["foe"] }') + peer("foe", "block"),
        rule("never", '"edge.join"', with_='{ kind = "insider" }'),
    ],
)
def test_a_rule_that_can_never_apply_is_told(written: str) -> None:
    assert found(policy(written)) == [("unreachable", "never")]


def test_a_rule_that_another_denies_or_says_already_is_told() -> None:
    narrow = rule("narrow", '"chat.send"', who='{ groups = ["a"] }')
    for name, wide in (
        ("deny", rule("wide", effect="deny")),
        ("deny by group", rule("wide", '"chat.send"', who='{ groups = ["A", "b"] }', effect="deny")),
        ("the same", rule("wide")),
        ("the same by group", rule("wide", '"chat.send", "call.audio"', who='{ groups = ["b", "a"] }')),
    ):
        assert found(policy(narrow, wide)) == [("shadowed", "narrow")], name


def test_a_rule_that_says_something_more_is_not_shadowed() -> None:
    narrow = rule("narrow", '"chat.send"', who='{ groups = ["a"] }')
    for wide in (
        rule("wide", who='{ groups = ["b"] }'),
        rule("wide", '"call.audio"'),
        rule("wide", direction="in"),
        rule("wide", with_='{ kind = "insider" }'),
        rule("wide", who='{ any = true, zone = "office" }'),
        rule("wide", expires="2026-12-31"),
        rule("wide", when='{ tz = "UTC", hours = "08:00-18:00" }'),
        rule("wide", limits="{ minutes = 5 }"),
    ):
        assert found(policy(narrow, wide)) == []


def test_two_rules_that_say_the_same_are_told_once() -> None:
    assert found(policy(rule("one"), rule("two"))) == [("shadowed", "two")]


def test_groups_that_the_directory_does_not_have_are_told_if_it_was_asked() -> None:
    loaded = policy(rule("g", who='{ groups = ["Staff", "gone\\u001b"] }'))
    assert found(loaded) == []
    assert found(loaded, frozenset(["STAFF"])) == [("unknown-group", "g")]
    (finding,) = [f for f in findings(loaded, NOW, frozenset(["staff"])) if f.kind == "unknown-group"]
    assert "\\x1b" in finding.sentence


def test_peers_that_nobody_is_of_or_no_rule_names_are_told() -> None:
    loaded = policy(
        rule("all"), peer("idle"), peer("empty", domains="[]"), peer("foe", "block", '["b.example"]')
    )
    assert found(loaded) == [("unused", "idle"), ("unreachable", "empty")]


def test_ten_thousand_rules_are_checked_without_comparing_each_with_each() -> None:
    loaded = policy(*(rule(f"r{n}", who=f'{{ groups = ["g{n}"] }}') for n in range(9_999)))
    assert found(loaded) == []
