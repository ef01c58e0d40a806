"""Administration: one role for each sign-in, asked about at each request, and an end that never waits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auth.personal import Personal
from auth.principal import Insider
from broker.core.admin_events import (
    AdminSignInProved,
    AdminSignOutRequested,
    AdminViewRequested,
    SessionEndRequested,
)
from broker.core.commands import ReplyDone, ReplyGranted, ReplyRefused, RequestId, SaveCodeStep, WithdrawMedia
from broker.core.errors import ENDED_BY_OPERATOR
from broker.core.events import CommitFailed, Started
from broker.core.frames import CallEnded
from broker.core.overview import live_sessions
from broker.policy.administration import ACTIONS_OF_VIEW, Role, View, administration_policy
from config.policy.action import ADMINISTRATION, Action
from config.policy.loading import load_policy
from tests.spec.outcome import Outcome, effect
from tests.spec.playbook import Playbook
from tests.spec.policies import OPEN_POLICY, SIGN_IN

GROUPS = {
    Role.OPERATOR: "ops",
    Role.POLICY_ADMINISTRATOR: "policy",
    Role.AUDITOR: "audit",
    Role.RECOVERY: "recovery",
    Role.BREAK_GLASS: "glass",
}
SOURCE = Personal("10.7.9.9")
ASKED = RequestId("r-asked")


def house(policy: str = OPEN_POLICY) -> Playbook:
    play = Playbook(policy)
    play.house.gate.administrators = GROUPS
    play.house.gate.policy = play.house.gate.policy
    return play


def signs_in(play: Playbook, person: Insider, role: Role) -> Outcome:
    return play >> AdminSignInProved(RequestId("r-in"), person, SOURCE, f"t-{role}", role)


def looks(play: Playbook, person: Insider | None, role: Role, view: View | None) -> Outcome:
    return play >> AdminViewRequested(ASKED, f"t-{role}", person, SOURCE, view)


def ends(play: Playbook, person: Insider | None, role: Role, session_id: str) -> Outcome:
    return play >> SessionEndRequested(ASKED, f"t-{role}", person, SOURCE, session_id)


def is_done(outcome: Outcome) -> bool:
    return ReplyDone(ASKED) in outcome.effects


@pytest.mark.parametrize("role", list(Role))
def test_a_member_of_the_roles_group_is_signed_in_once_it_is_on_record(role: Role) -> None:
    play = house()
    olga = play.insider("olga", GROUPS[role].upper())
    outcome = signs_in(play, olga, role)
    (opening,) = outcome.openings
    assert opening.effects == (ReplyGranted(RequestId("r-in")),)
    assert opening.decisions[0].determining_rules == (f"admin.{role}",)
    assert outcome.record("admin.signed_in").fields["role"] == role.value


def test_a_sign_in_whose_record_could_not_be_written_never_was() -> None:
    play = house()
    olga = play.insider("olga", "ops")
    play >> play.failed(signs_in(play, olga, Role.OPERATOR))
    assert not is_done(looks(play, olga, Role.OPERATOR, None))


def test_who_is_in_two_roles_acts_in_the_one_they_signed_in_for() -> None:
    play = house()
    both = play.insider("both", "ops", "policy")
    signs_in(play, both, Role.OPERATOR)
    assert is_done(looks(play, both, Role.OPERATOR, View.SESSIONS))
    denied = looks(play, both, Role.OPERATOR, View.POLICY_APPLY)
    assert not is_done(denied)
    assert denied.record_types == ["decision.denied"]


@pytest.mark.parametrize("view", list(View))
@pytest.mark.parametrize("role", list(Role))
def test_each_role_sees_what_its_action_gives(role: Role, view: View) -> None:
    play = house()
    person = play.insider("one", GROUPS[role])
    signs_in(play, person, role)
    own = {
        "operator": {"admin.operate"},
        "policy_administrator": {"admin.set_policy"},
        "auditor": {"admin.audit"},
        "recovery": {"admin.emergency"},
        "break_glass": {"admin.operate", "admin.set_policy"},
    }
    assert is_done(looks(play, person, role, view)) is bool(own[role] & set(ACTIONS_OF_VIEW[view]))


def test_looking_is_on_record_once_for_each_sign_in_and_thing() -> None:
    play = house()
    aude = play.insider("aude", "audit")
    signs_in(play, aude, Role.AUDITOR)
    types = [
        looks(play, aude, Role.AUDITOR, view).record_types
        for view in (View.SESSIONS, View.SESSIONS, View.POLICY, None)
    ]
    assert types == [["admin.viewed"], [], ["admin.viewed"], []]


def test_a_look_whose_record_failed_is_looked_at_anew() -> None:
    play = house()
    aude = play.insider("aude", "audit")
    signs_in(play, aude, Role.AUDITOR)
    looks(play, aude, Role.AUDITOR, View.SESSIONS)
    play >> CommitFailed((), outage=True)
    for _ in range(3):
        during = looks(play, aude, Role.AUDITOR, View.SESSIONS)
        assert during.record_types == ["admin.viewed"]
        play >> play.failed(during)


def test_leaving_the_group_or_the_directory_ends_it_at_the_next_request() -> None:
    play = house()
    olga = play.insider("olga", "ops")
    signs_in(play, olga, Role.OPERATOR)
    assert not is_done(looks(play, replace(olga, groups=frozenset()), Role.OPERATOR, View.SESSIONS))
    assert not is_done(looks(play, None, Role.OPERATOR, View.SESSIONS))
    assert not is_done(looks(play, play.insider("another", "ops"), Role.OPERATOR, View.SESSIONS))


def test_it_ends_by_signing_out_and_by_its_time() -> None:
    play = house()
    olga = play.insider("olga", "ops")
    signs_in(play, olga, Role.OPERATOR)
    assert (play >> AdminSignOutRequested(f"t-{Role.OPERATOR}")).record_types == ["admin.signed_out"]
    assert not is_done(looks(play, olga, Role.OPERATOR, None))
    signs_in(play, olga, Role.OPERATOR)
    play.later(3600)
    assert not is_done(looks(play, olga, Role.OPERATOR, None))


class TestEndingASession:
    def test_a_call_ends_at_once_and_both_sides_are_told_by_whom(self) -> None:
        play = house()
        ada, bob = play.person("ada"), play.person("bob")
        call_id = play.talking(ada, bob)
        olga = play.insider("olga", "ops")
        signs_in(play, olga, Role.OPERATOR)
        outcome = ends(play, olga, Role.OPERATOR, call_id)
        assert (
            outcome
            << effect(WithdrawMedia, session_id=call_id)
            << ada.told(CallEnded, reason="operator")
            << bob.told(CallEnded, reason="operator")
            << effect(ReplyDone, request_id=ASKED)
        )
        assert outcome.openings == []
        assert outcome.record("admin.session_ended").fields["user"] == olga.party

    def test_a_connection_and_a_visit_end_too(self) -> None:
        play = house()
        ada = play.person("ada")
        guest = play.admitted(ada)
        olga = play.insider("olga", "ops")
        signs_in(play, olga, Role.OPERATOR)
        assert is_done(ends(play, olga, Role.OPERATOR, guest.party))
        assert guest.party not in play.house.visits
        closed = ends(play, olga, Role.OPERATOR, ada.connection_id)
        assert closed << ada.closed(ENDED_BY_OPERATOR) << effect(ReplyDone, request_id=ASKED)

    @pytest.mark.parametrize("role", [Role.AUDITOR, Role.POLICY_ADMINISTRATOR])
    def test_no_other_role_ends_anything(self, role: Role) -> None:
        play = house()
        call_id = play.talking(play.person("ada"), play.person("bob"))
        person = play.insider("one", GROUPS[role])
        signs_in(play, person, role)
        assert not is_done(ends(play, person, role, call_id))
        assert call_id in play.house.calls


class TestTheRulesOfAdministration:
    def test_they_speak_of_nothing_else_and_share_the_organisations_revision_and_zones(self) -> None:
        organisation = load_policy(SIGN_IN.replace("= 1", "= 7", 1), "p")
        rules = administration_policy(organisation, GROUPS)
        assert rules.policy.revision == 7
        assert frozenset(a for rule in rules.policy.rules for a in rule.actions) == ADMINISTRATION
        assert rules.sha256 != organisation.sha256
        assert administration_policy(organisation, {}).policy.rules == ()


class TestTheOverview:
    def test_it_has_every_session_with_its_parties_and_what_allowed_it(self) -> None:
        play = house()
        ada = play.person("ada")
        guest = play.admitted(ada)
        call_id = play.talking(guest, ada, ("audio", "video"))
        play.later(5)
        sessions, omitted = live_sessions(play.house)
        rows = {row["id"]: row for row in (one.to_json(play.now) for one in sessions)}
        assert omitted == 0
        assert set(rows) == {call_id, guest.party, ada.connection_id, guest.connection_id}
        call = rows[call_id]
        assert (call["state"], call["external"], call["age_seconds"]) == ("active", True, 5)
        assert call["rules"] == ["everything"]
        assert [(p["role"], p["kind"]) for p in call["parties"]] == [
            ("caller", "guest"),
            ("callee", "insider"),
        ]
        assert rows[guest.party]["state"] == "admitted"


# --- one-time codes -----------------------------------------------------------------------------------------


def with_code(play: Playbook, person: Insider, step: int | None, role: Role = Role.OPERATOR) -> Outcome:
    return play >> AdminSignInProved(RequestId("r-in"), person, SOURCE, f"t-{step}", role, code_step=step)


def is_refused(outcome: Outcome) -> bool:
    (answer,) = outcome.effects
    return isinstance(answer, ReplyRefused) and answer.error.code == "SIGN_IN_REFUSED"


def test_a_code_is_good_once_and_no_earlier_one_after_it() -> None:
    play = house()
    olga, otto = play.insider("olga", "ops"), play.insider("otto", "ops")
    first = with_code(play, olga, 100)
    assert first.openings[0].writes == (SaveCodeStep(olga.party, 100),)
    assert first.record("admin.signed_in").fields["method"] == "password and code"
    for step in (100, 99):
        again = with_code(play, olga, step)
        assert is_refused(again)
        assert again.record_types == []
    assert with_code(play, otto, 100).openings
    assert with_code(play, olga, 101).openings


def test_a_code_is_used_up_also_where_the_gate_denies_or_the_record_fails() -> None:
    play = house()
    olga = play.insider("olga", "ops")
    assert with_code(play, olga, 100, Role.AUDITOR).record_types == ["decision.denied"]
    assert is_refused(with_code(play, olga, 100))
    play >> play.failed(with_code(play, olga, 101))
    assert is_refused(with_code(play, olga, 101))


def test_a_code_that_was_used_before_a_restart_is_used_after_it() -> None:
    play = house()
    olga = play.insider("olga", "ops")
    play >> Started((), (), (), code_steps=((olga.party, 100),))
    assert is_refused(with_code(play, olga, 100))
    assert with_code(play, olga, 101).openings


def test_a_sign_in_without_a_code_says_so() -> None:
    play = house()
    signed_in = with_code(play, play.insider("safe", "recovery"), None, Role.RECOVERY)
    assert signed_in.record("admin.signed_in").fields["method"] == "password"
    assert signed_in.openings[0].writes == ()


# --- breaking the glass -------------------------------------------------------------------------------------


def test_the_break_glass_account_ends_sessions_and_sets_the_policy_and_audits_nothing() -> None:
    play = house()
    safe = play.insider("safe", "glass")
    signs_in(play, safe, Role.BREAK_GLASS)
    assert is_done(looks(play, safe, Role.BREAK_GLASS, View.SESSIONS))
    assert is_done(looks(play, safe, Role.BREAK_GLASS, View.POLICY_APPLY))
    call_id = play.talking(play.person("ada"), play.person("bob"))
    ended = ends(play, safe, Role.BREAK_GLASS, call_id)
    assert ended.record("admin.session_ended").fields["role"] == "break_glass"
    rules = administration_policy(load_policy(OPEN_POLICY.encode(), "t"), GROUPS).policy.rules
    (own,) = (rule for rule in rules if rule.id == "admin.break_glass")
    assert own.actions == {Action.ADMIN_OPERATE, Action.ADMIN_SET_POLICY, Action.ADMIN_EMERGENCY}


def test_nobody_of_the_directory_is_the_break_glass_account() -> None:
    play = house()
    everything = play.insider("olga", "ops", "policy", "audit", "recovery")
    assert signs_in(play, everything, Role.BREAK_GLASS).record_types == ["decision.denied"]
    assert play.house.break_glass_used_at is None
