"""decide(): zones, guests, the parties an action exists between, and what a decision keeps."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from auth.principal import Anonymous, Guest, Insider
from broker.policy.decision import Code, FailedCondition, LosingRule, Obligation
from config.policy.action import ADMINISTRATION, Action
from tests.spec.questions import ANYTHING, HOME, LAB, NOW, OFFICE, ask, guest, insider, policy, rule


class TestZones:
    def test_a_rule_for_a_zone_needs_the_insider_in_it(self) -> None:
        loaded = policy(rule("z", who='{ any = true, zone = "office" }'))
        assert ask(loaded, Action.CHAT_SEND, insider(), guest()).allowed
        assert ask(loaded, Action.CHAT_SEND, insider(), guest(), source="fd00:1::9").allowed
        decision = ask(loaded, Action.CHAT_SEND, insider(), guest(), source=HOME, explained=True)
        assert {losing.condition for losing in decision.losing_rules} == {FailedCondition.WHO_ZONE}

    def test_an_ipv4_address_seen_through_a_dual_stack_socket_is_in_the_same_zone(self) -> None:
        loaded = policy(rule("z", who='{ any = true, zone = "office" }'))
        assert ask(loaded, Action.CHAT_SEND, insider(), guest(), source="::ffff:10.1.2.3").allowed

    @pytest.mark.parametrize(
        ("person", "source"),
        [
            (insider(), LAB),
            (insider(ou="Lab"), OFFICE),
            (insider(ou="Lab"), HOME),
            (insider(ou="Lab", clearance="top"), LAB),
            (insider(), "not an address"),
            (insider(), ""),
        ],
        ids=["unmarked in a marked zone", "elsewhere", "outside", "two marks", "unreadable", "empty"],
    )
    def test_network_and_directory_that_disagree_are_refused(self, person: Insider, source: str) -> None:
        for decision in (
            ask(ANYTHING, Action.CHAT_SEND, person, guest(), source=source),
            ask(ANYTHING, Action.CHAT_SEND, guest(), person, counterpart_source=source),
            ask(ANYTHING, Action.CHAT_SEND, insider("u-bob"), person, counterpart_source=source),
            ask(ANYTHING, Action.EDGE_SIGNIN, person, source=source),
        ):
            assert (decision.allowed, decision.code) == (False, Code.ZONE_MISMATCH)

    def test_network_and_directory_that_agree_are_accepted(self) -> None:
        decision = ask(ANYTHING, Action.CHAT_SEND, insider(OU="lab"), guest(), source=LAB)
        assert decision.allowed
        assert decision.inputs.actor.zone == "lab"

    @pytest.mark.parametrize(
        ("person", "source"),
        [
            (insider(), "10.66.1.1"),
            (insider(clearance="top"), "10.67.1.1"),
            (insider(clearance="top"), None),
        ],
    )
    def test_a_zone_of_high_sensitivity_has_no_external_communication(
        self, person: Insider, source: str | None
    ) -> None:
        decisions = [
            ask(ANYTHING, action, person, guest(), source=source)
            for action in (Action.CHAT_SEND, Action.PRESENCE_SEE, Action.CALL_VIDEO, Action.GUEST_ADMIT)
        ]
        decisions += [
            ask(ANYTHING, action, guest(), person, counterpart_source=source)
            for action in (Action.CHAT_SEND, Action.PRESENCE_SEE, Action.EDGE_JOIN)
        ]
        decisions.append(ask(ANYTHING, Action.GUEST_INVITE, person, source=source))
        assert {decision.code for decision in decisions} == {Code.ZONE_HIGH}

    def test_a_zone_of_high_sensitivity_still_talks_inside(self) -> None:
        assert ask(ANYTHING, Action.EDGE_SIGNIN, insider(), source="10.66.1.1").allowed
        assert ask(ANYTHING, Action.CHAT_SEND, insider(), insider("u-bob"), source="10.66.1.1").allowed

    def test_where_the_zone_cannot_be_told_a_deny_for_a_zone_applies_and_an_allow_does_not(self) -> None:
        deny = policy(rule("y"), rule("n", who='{ any = true, zone = "office" }', effect="deny"))
        assert ask(deny, Action.EDGE_JOIN, guest(), insider(), counterpart_source=HOME).allowed
        assert not ask(deny, Action.EDGE_JOIN, guest(), insider(), counterpart_source=None).allowed
        allow = policy(rule("y", who='{ any = true, zone = "office" }'))
        assert not ask(allow, Action.EDGE_JOIN, guest(), insider(), counterpart_source=None).allowed


class TestGuests:
    @pytest.mark.parametrize("action", [Action.CHAT_SEND, Action.CALL_AUDIO, Action.PRESENCE_SEE])
    def test_a_guest_reaches_only_the_insider_who_invited_them(self, action: Action) -> None:
        assert ask(ANYTHING, action, guest(), insider()).allowed
        for actor, other in (
            (guest(), insider("u-bob")),
            (insider("u-bob"), guest()),
            (guest("g-1"), guest("g-2")),
        ):
            assert ask(ANYTHING, action, actor, other).code is Code.NOT_YOUR_HOST

    def test_only_the_host_admits_their_guest(self) -> None:
        assert ask(ANYTHING, Action.GUEST_ADMIT, insider(), guest()).allowed
        assert ask(ANYTHING, Action.GUEST_ADMIT, insider("u-bob"), guest()).code is Code.NOT_YOUR_HOST

    def test_a_guest_holds_no_rights_of_insiders(self) -> None:
        for action in (Action.EDGE_SIGNIN, Action.GUEST_INVITE):
            assert ask(ANYTHING, action, guest()).code is Code.WRONG_PARTIES
        for action in (Action.GUEST_INVITE, Action.GUEST_ADMIT, Action.EDGE_SIGNIN):
            assert ask(ANYTHING, action, guest(), insider()).code is Code.WRONG_PARTIES

    def test_an_invitation_is_decided_before_the_guest_exists(self) -> None:
        assert ask(ANYTHING, Action.GUEST_INVITE, insider()).allowed
        inward = policy(rule("in", direction="in"))
        assert not ask(inward, Action.GUEST_INVITE, insider()).allowed
        colleagues = policy(rule("c", with_='{ kind = "insider" }'))
        assert not ask(colleagues, Action.GUEST_INVITE, insider()).allowed

    def test_joining_needs_an_inviter_who_may_still_invite(self) -> None:
        join, invite = rule("j", '"edge.join"', direction="in"), rule("i", '"guest.invite"', direction="out")
        assert ask(policy(join, invite), Action.EDGE_JOIN, guest(), insider()).determining_rules == ("i", "j")
        assert not ask(policy(join), Action.EDGE_JOIN, guest(), insider()).allowed
        assert not ask(policy(invite), Action.EDGE_JOIN, guest(), insider()).allowed
        barred = policy(join, invite, rule("no", '"guest.invite"', effect="deny"))
        assert ask(barred, Action.EDGE_JOIN, guest(), insider()).determining_rules == ("no",)

    def test_nobody_joins_on_another_insiders_invitation(self) -> None:
        assert ask(ANYTHING, Action.EDGE_JOIN, guest(), insider("u-bob")).code is Code.NOT_YOUR_HOST


@pytest.mark.parametrize("action", list(Action))
def test_who_has_not_signed_in_is_denied_everything(action: Action) -> None:
    for actor, other in ((Anonymous(), None), (Anonymous(), insider()), (insider(), Anonymous())):
        assert ask(ANYTHING, action, actor, other).code is Code.ANONYMOUS


@pytest.mark.parametrize(
    "action", sorted(set(Action) - ADMINISTRATION - {Action.EDGE_SIGNIN, Action.GUEST_INVITE})
)
def test_an_action_that_needs_a_counterpart_is_denied_without_one(action: Action) -> None:
    assert ask(ANYTHING, action, insider()).code is Code.WRONG_PARTIES
    assert ask(ANYTHING, action, guest()).code is Code.WRONG_PARTIES


def test_insiders_do_not_join_invite_or_admit_each_other() -> None:
    for action in (Action.EDGE_JOIN, Action.GUEST_INVITE, Action.GUEST_ADMIT):
        assert ask(ANYTHING, action, insider(), insider("u-bob")).code is Code.WRONG_PARTIES


class TestTheAnswer:
    def test_calls_oblige_to_say_that_their_media_is_not_inspected(self) -> None:
        for action in (Action.CALL_AUDIO, Action.CALL_VIDEO, Action.SCREEN_SHARE):
            allowed = ask(ANYTHING, action, insider(), guest())
            assert allowed.obligations == (Obligation.SHOW_NOT_INSPECTED,)
        assert ask(ANYTHING, Action.CHAT_SEND, insider(), guest()).obligations == ()
        assert ask(policy(), Action.CALL_AUDIO, insider(), guest()).obligations == ()

    def test_the_user_learns_nothing_of_the_policy(self) -> None:
        loaded = policy(rule("very-secret-rule", effect="deny", who='{ any = true, zone = "office" }'))
        for source in (OFFICE, HOME, LAB, "10.66.0.1"):
            for actor, other in ((insider(), guest()), (guest(), insider())):
                decision = ask(
                    loaded, Action.CHAT_SEND, actor, other, source=source, counterpart_source=source
                )
                outside = isinstance(actor, Guest)
                assert decision.user_sentence == (
                    "The organisation you are visiting does not allow this."
                    if outside
                    else "Your organisation's policy does not allow this."
                )

    def test_the_administrator_learns_rules_parties_and_zones(self) -> None:
        decision = ask(ANYTHING, Action.CHAT_SEND, insider(), guest())
        assert decision.admin_sentence == (
            "Allowed chat.send by insider u-ada in zone office with guest g-1: "
            "every inside party is allowed (rule all)."
        )

    def test_json_and_sentences_hold_no_personal_data_and_personal_holds_the_addresses(self) -> None:
        person = insider(ou="Lab", mail="ada@example.org")
        decision = ask(ANYTHING, Action.CHAT_SEND, person, guest(), source=LAB, counterpart_source=HOME)
        text = json.dumps(decision.to_json())
        for private in (LAB, HOME, "login", "name", "Gus", "ada@example.org"):
            assert private not in text.replace("user_sentence", "").replace("admin_sentence", "")
        assert {key: value.reveal() for key, value in decision.inputs.personal.items()} == {
            "actor_source_address": LAB,
            "counterpart_source_address": HOME,
        }

    def test_the_json_of_a_decision_is_complete(self) -> None:
        decision = ask(ANYTHING, Action.CHAT_SEND, insider(groups=("b", "a")), guest())
        assert json.loads(json.dumps(decision.to_json())) == {
            "id": "d-1",
            "effect": "allow",
            "code": "POLICY_ALLOWED",
            "determining_rules": ["all"],
            "losing_rules": [],
            "losing_rules_omitted": 0,
            "policy_revision": 41,
            "policy_sha256": ANYTHING.loaded.sha256,
            "inputs": {
                "action": "chat.send",
                "at_unix_seconds": NOW,
                "actor": {
                    "kind": "insider",
                    "party": "u-ada",
                    "groups": ["a", "b"],
                    "groups_omitted": 0,
                    "attributes": [],
                    "directory_version": "7",
                    "zone": "office",
                    "zone_known": True,
                    "invitation_id": None,
                    "invited_by": None,
                    "verified_by": None,
                    "peer": None,
                },
                "counterpart": {
                    "kind": "guest",
                    "party": "g-1",
                    "groups": [],
                    "groups_omitted": 0,
                    "attributes": [],
                    "directory_version": None,
                    "zone": None,
                    "zone_known": None,
                    "invitation_id": "inv-1",
                    "invited_by": "u-ada",
                    "verified_by": "invitation-link",
                    "peer": None,
                },
            },
            "obligations": [],
            "limits": {
                "minutes": None,
                "bits_per_second": None,
                "until_unix_seconds": int(datetime(2027, 2, 1, tzinfo=UTC).timestamp()),
            },
            "user_sentence": "This is allowed.",
            "admin_sentence": decision.admin_sentence,
        }

    def test_a_decision_stays_small_whatever_the_size_of_policy_and_directory(self) -> None:
        rules = [rule(f"r-{number:03}", who='{ groups = ["x"] }', direction="out") for number in range(200)]
        loaded = policy(*rules, rule("near", direction="in"), rule("named", who='{ groups = ["zz"] }'))
        member = insider(groups=(*(f"a-{number:03}" for number in range(500)), "zz"))
        assert ask(loaded, Action.CHAT_SEND, member, guest()).losing_rules == ()
        decision = ask(loaded, Action.CHAT_SEND, member, guest(), explained=True)
        assert decision.losing_rules[0] == LosingRule("near", "u-ada", "chat.send", FailedCondition.DIRECTION)
        assert len(decision.losing_rules) + decision.losing_rules_omitted == 201
        assert decision.inputs.actor.groups[:2] == ("zz", "a-000")
        assert len(decision.inputs.actor.groups) + decision.inputs.actor.groups_omitted == 501
        assert len(json.dumps(decision.to_json())) < 16_384

    @pytest.mark.parametrize("at", [-(10**30), -1, 0, 10**30])
    def test_any_moment_has_an_answer(self, at: int) -> None:
        assert ask(ANYTHING, Action.CHAT_SEND, insider(), guest(), at=at).allowed is (at < 10**10)


def test_the_same_question_has_the_same_answer() -> None:
    first = ask(ANYTHING, Action.CHAT_SEND, insider(), guest())
    assert first == ask(ANYTHING, Action.CHAT_SEND, insider(), guest())
    assert first != replace(first, id="d-2")
