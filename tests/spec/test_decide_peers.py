"""Peers in decisions: a guest is of a peer by the domain of the address that their invitation was made
for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auth.personal import Personal
from auth.principal import Guest
from broker.policy.decision import Code, FailedCondition
from broker.policy.index import PolicyIndex
from config.policy.action import Action
from tests.spec.questions import HOME, ask, guest, insider, policy, rule

PARTNER = (
    '[[peers]]\nid = "partner"\nmode = "allow"\n'
    'domains = ["partner.example", "*.partner.example"]\nverified = "invitation-link"\n'
)
FOE = (
    '[[peers]]\nid = "foe"\nmode = "block"\n'
    'domains = ["*.foe.example", "foe.example"]\nverified = "invitation-link"\n'
)
FRIENDS_OF_FOE = (
    '[[peers]]\nid = "friends"\nmode = "allow"\n'
    'domains = ["friends.foe.example"]\nverified = "invitation-link"\n'
)
WITH_PARTNER = rule("partner-only", with_='{ kind = "guest", peers = ["partner"] }')
ACTIONS = [
    Action.EDGE_JOIN,
    Action.GUEST_INVITE,
    Action.GUEST_ADMIT,
    Action.PRESENCE_SEE,
    Action.CHAT_SEND,
    Action.CALL_AUDIO,
    Action.CALL_VIDEO,
    Action.SCREEN_SHARE,
]


def of(email: str | None) -> Guest:
    return replace(guest(), email=None if email is None else Personal(email))


def allowed(loaded: PolicyIndex, action: Action, email: str | None) -> bool:
    actor, other = (of(email), insider()) if action is Action.EDGE_JOIN else (insider(), of(email))
    return ask(loaded, action, actor, other).allowed


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("email", "is_allowed"),
    [
        ("eve@partner.example", True),
        ("Eve@Partner.EXAMPLE", True),
        ("eve@deep.below.partner.example", True),
        ("eve@notpartner.example", False),
        ("partner.example@evil.example", False),
        ("eve@partner.example.evil.example", False),
        (None, False),
    ],
)
def test_a_rule_for_a_peer_holds_for_its_people_and_no_others(
    action: Action, email: str | None, is_allowed: bool
) -> None:
    assert allowed(policy(PARTNER, WITH_PARTNER), action, email) is is_allowed


def test_leaving_the_address_out_is_no_way_around_a_deny() -> None:
    rival = PARTNER.replace("partner", "rival")
    no_rival = rule("no-rival", with_='{ kind = "guest", peers = ["rival"] }', effect="deny")
    loaded = policy(rival, rule("all"), no_rival)
    for email, is_allowed in (("e@rival.example", False), (None, False), ("e@other.example", True)):
        assert allowed(loaded, Action.CHAT_SEND, email) is is_allowed


def test_an_empty_list_of_peers_is_nobody() -> None:
    nobody = policy(PARTNER, rule("none", with_='{ kind = "guest", peers = [] }'))
    assert not allowed(nobody, Action.CHAT_SEND, "eve@partner.example")


@pytest.mark.parametrize("action", ACTIONS)
def test_a_blocked_peer_may_nothing_whatever_rules_allow(action: Action) -> None:
    loaded = policy(FOE, FRIENDS_OF_FOE, rule("all"))
    assert not allowed(loaded, action, "mallory@foe.example")
    assert not allowed(loaded, action, "mallory@deep.foe.example")
    assert allowed(loaded, action, "fred@friends.foe.example")
    assert allowed(loaded, action, "eve@anyone.example")


@pytest.mark.parametrize("action", ACTIONS)
def test_where_some_are_blocked_nobody_comes_without_an_address(action: Action) -> None:
    assert allowed(policy(PARTNER, rule("all")), action, None)
    assert not allowed(policy(FOE, rule("all")), action, None)


def test_the_codes_say_which_it_was_and_only_the_insider_is_told_to_name_an_address() -> None:
    loaded = policy(FOE, rule("all"))
    blocked = ask(loaded, Action.CHAT_SEND, insider(), of("m@foe.example"))
    unknown = ask(loaded, Action.GUEST_INVITE, insider(), of(None))
    asked_outside = ask(loaded, Action.CHAT_SEND, of(None), insider())
    assert (blocked.code, unknown.code) == (Code.PEER_BLOCKED, Code.PEER_UNKNOWN)
    assert "address" in unknown.user_sentence
    assert asked_outside.user_sentence == "The organisation you are visiting does not allow this."


def test_insiders_among_themselves_are_of_no_peer() -> None:
    assert ask(policy(FOE, rule("all")), Action.CHAT_SEND, insider(), insider("u-bob")).allowed


def test_who_asks_learns_that_the_peer_was_another() -> None:
    loaded = policy(PARTNER, FOE, WITH_PARTNER)
    decision = ask(loaded, Action.CHAT_SEND, insider(), of("eve@other.example"), explained=True)
    assert [losing.condition for losing in decision.losing_rules] == [FailedCondition.WITH_PEERS]


def test_the_record_has_the_peer_in_the_open_and_the_domain_apart() -> None:
    decision = ask(
        policy(PARTNER, WITH_PARTNER),
        Action.CHAT_SEND,
        insider(),
        of("eve@below.partner.example"),
        counterpart_source=HOME,
    )
    assert decision.inputs.counterpart is not None
    assert decision.inputs.counterpart.peer == "partner"
    assert decision.inputs.personal["counterpart_domain"].reveal() == "below.partner.example"
    assert "below" not in str(decision.to_json())
    assert "eve@" not in str(decision.to_json())
