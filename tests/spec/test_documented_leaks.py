"""What other brokers are documented to leak, row by row: none of it leaks here.

Each test is one row of a table of such reports: what is blocked on one path and open on another, what is
inferred where nothing was said, what is skipped for those outside. Files, of which one row speaks (a type
that is not known passes, or nothing unknown does), do not exist here yet."""

from __future__ import annotations

from typing import Any

import pytest

from broker.core.client_frames import CallInvite, ChatSend, InvitationCreate, LobbyAdmit
from broker.core.events import PolicyApplied, Started
from broker.core.stored import StoredVisit
from broker.policy.decision import Code
from broker.policy.index import PolicyIndex
from config.policy.action import Action
from config.policy.loading import PolicyErrors, load_policy
from tests.spec.playbook import START_WALL_SECONDS, Playbook
from tests.spec.policies import EVERYTHING, OPEN_POLICY, SIGN_IN, rule, without
from tests.spec.questions import ask, guest, insider, policy
from tests.spec.questions import rule as asked_rule

BLOCKED = (
    '[[peers]]\nid = "foe"\nmode = "block"\ndomains = ["foe.example", "*.foe.example"]\n'
    'verified = "invitation-link"\n'
)
OUTSIDE = [Action.GUEST_INVITE, Action.EDGE_JOIN, Action.GUEST_ADMIT, Action.PRESENCE_SEE]
OUTSIDE += [Action.CHAT_SEND, Action.CALL_AUDIO, Action.CALL_VIDEO, Action.SCREEN_SHARE]


class TestDomainsAreIgnoredWhereAnonymousJoiningIsOn:
    """There is no path on which a blocked domain gets in: not by invitation, link, lobby, chat or call."""

    def test_a_blocked_domain_cannot_be_invited(self) -> None:
        play = Playbook(OPEN_POLICY + BLOCKED)
        ada = play.person("ada")
        for email in ("eve@foe.example", "eve@deep.foe.example", None):
            frame = InvitationCreate(ref="1", guest_name="Eve", purpose="A talk", guest_email=email)
            assert (play >> ada.says(frame)).record_types == ["decision.denied"]

    def test_an_invitation_made_before_the_block_redeems_nothing_after_it(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        invitation = play.invitation(ada, guest_email="eve@foe.example")
        play >> PolicyApplied(PolicyIndex(load_policy(OPEN_POLICY + BLOCKED, "p")), "file")
        outcome = play >> play.redeems(invitation, ada.insider)
        assert outcome.openings == []
        assert outcome.record_types == ["decision.denied"]

    def test_a_visit_made_before_the_block_opens_nothing_after_it(self) -> None:
        first = Playbook()
        ada = first.person("ada")
        invitation = first.invitation(ada, guest_email="eve@foe.example")
        eve = first.redeemed(invitation, ada)
        again = Playbook(OPEN_POLICY + BLOCKED)
        again.person("ada")
        again >> Started((), (StoredVisit(eve, "t-eve", True, START_WALL_SECONDS + 99),), ())
        assert (again >> again.connects(eve, "t-eve").arrives()).openings == []

    def test_a_guest_who_is_there_when_the_block_comes_is_shown_out(self) -> None:
        play = Playbook()
        ada = play.person("ada")
        eve = play.joined(play.redeemed(play.invitation(ada, guest_email="eve@foe.example"), ada))
        play >> ada.says(LobbyAdmit(guest=eve.party))
        play.talking(eve, ada)
        play >> PolicyApplied(PolicyIndex(load_policy(OPEN_POLICY + BLOCKED, "p")), "file")
        assert play.house.calls == {}
        assert play.house.connections[eve.connection_id].closing


class TestAnEmptyListAllowsEveryone:
    @pytest.mark.parametrize(
        "empty",
        [
            {"who": "{ groups = [] }"},
            {"with_": '{ kind = "guest", peers = [] }'},
            {"when": '{ tz = "UTC", days = [] }'},
        ],
    )
    def test_an_empty_list_is_nobody_and_never(self, empty: dict[str, str]) -> None:
        loaded = policy(asked_rule("e", **empty))
        assert not ask(loaded, Action.CHAT_SEND, insider(), guest()).allowed

    def test_an_empty_policy_allows_nothing_and_one_without_a_revision_does_not_load(self) -> None:
        empty = PolicyIndex(load_policy("revision = 1", "p"))
        assert not ask(empty, Action.EDGE_SIGNIN, insider()).allowed
        with pytest.raises(PolicyErrors):
            load_policy("", "p")

    @pytest.mark.parametrize("key", ["who", "actions", "effect", "with", "direction", "expires"])
    def test_a_missing_key_does_not_load(self, key: str) -> None:
        lines = [line for line in rule("r", "chat.send").splitlines() if not line.startswith(f"{key} =")]
        with pytest.raises(PolicyErrors, match=r"rules\[0\]"):
            load_policy("revision = 1\n" + "\n".join(lines), "p")


class TestAMeetingHasTheOrganisersPolicy:
    """Whoever starts it: both inside parties are asked about, and the strictest limit counts."""

    def test_a_restricted_person_is_restricted_in_everybody_elses_call(self) -> None:
        no_video = rule("no-video", "call.video", effect='"deny"', who='{ groups = ["counter"] }')
        play = Playbook(OPEN_POLICY + no_video)
        ada, bob = play.person("ada"), play.person("bob", "counter")
        for caller, callee in ((ada, bob), (bob, ada)):
            frame = CallInvite(ref="1", to=callee.party, media=["video"])
            assert (play >> caller.says(frame)).record_types == ["decision.denied"]

    def test_the_strictest_limit_of_both_counts(self) -> None:
        slow = rule("slow", "call.audio", who='{ groups = ["slow"] }', limits="{ minutes = 5 }")
        fast = rule("fast", "call.audio presence.see", limits="{ minutes = 60 }")
        play = Playbook(SIGN_IN + slow + fast)
        ada, bob = play.person("ada"), play.person("bob", "slow")
        call_id = play.talking(ada, bob)
        assert play.house.calls[call_id].grant.until_unix_seconds == START_WALL_SECONDS + 300


class TestVersionsAreControlledInsideOnly:
    @pytest.mark.parametrize("side", ["guest", "both"])
    def test_a_guests_program_is_refused_like_anybodys(self, side: str) -> None:
        clients = (
            '[clients]\notherwise = "allow"\n[[clients.programs]]\nname = "playbook"\n'
            f'side = "{side}"\neffect = "refuse"\nversions = "<2"\nlink = "https://get.example"\n'
        )
        play = Playbook()
        ada = play.person("ada")
        eve = play.redeemed(play.invitation(ada), ada)
        play >> PolicyApplied(PolicyIndex(load_policy(OPEN_POLICY + clients, "p")), "file")
        guest_side = play.connects(eve)
        play >> guest_side.arrives()
        outcome = play >> guest_side.hello()
        assert outcome.openings == []
        assert outcome.record_types == ["client.refused"]


def test_denials_are_logged_at_debug_level_only() -> None:
    """Every denial is a record of its own, with the whole decision."""
    play = Playbook(without(Action.CHAT_SEND))
    ada, bob = play.person("ada"), play.person("bob")
    for _ in range(3):
        outcome = play >> ada.says(ChatSend(ref="m", to=bob.party, text="no"))
        decisions: Any = outcome.record("decision.denied").fields["decisions"]
        assert [decision["determining_rules"] for decision in decisions] == [["but-not"]]


class TestTurningExternalAccessOffLeavesAnotherWayIn:
    def test_one_rule_closes_every_way_to_and_from_outside(self) -> None:
        closed = rule("closed", EVERYTHING, effect='"deny"', **{"with": '{ kind = "guest" }'})
        loaded = PolicyIndex(load_policy(OPEN_POLICY + closed, "p"))
        for action in OUTSIDE:
            for actor, other in ((insider(), guest()), (guest(), insider())):
                assert not ask(loaded, action, actor, other).allowed, action

    def test_a_zone_of_high_sensitivity_has_no_way_in_or_out_at_all(self) -> None:
        loaded = policy(asked_rule("all"))
        for action in OUTSIDE:
            for actor, other in ((insider(), guest()), (guest(), insider())):
                source = {"source": "10.66.1.1", "counterpart_source": "10.66.1.1"}
                assert not ask(loaded, action, actor, other, **source).allowed, action  # type: ignore[arg-type]
        to_be = ask(loaded, Action.GUEST_INVITE, insider(), source="10.66.1.1")
        assert to_be.code is Code.ZONE_HIGH


class TestWhetherAListAllowsOrBlocksIsGuessed:
    def test_a_peer_without_a_mode_and_a_rule_without_an_effect_do_not_load(self) -> None:
        for text in (
            BLOCKED.replace('mode = "block"\n', ""),
            rule("r", "chat.send").replace('effect = "allow"', ""),
        ):
            with pytest.raises(PolicyErrors, match="required"):
                load_policy("revision = 1\n" + text, "p")
