"""Doctor: what a server of the directory is told to be, from how far one comes with it to who is in it."""

from __future__ import annotations

import dataclasses

import pytest

from auth.directory import DirectoryEntry, EntryState
from auth.ldap_link import BindResult
from auth.ldap_lockout import LockoutPolicy
from auth.personal import Personal
from broker.shell.doctor.certificate import CertificateFacts
from broker.shell.doctor.directory_groups import (
    GroupFacts,
    MembershipFacts,
    NestedFacts,
    Nesting,
    judge_groups,
    judge_membership,
    judge_nested,
    judge_policy_groups,
    judge_roles,
)
from broker.shell.doctor.directory_lockout import judge_lockout
from broker.shell.doctor.directory_people import (
    DisabledFacts,
    LoginFacts,
    PeopleFacts,
    Refused,
    judge_disabled,
    judge_login,
    judge_people,
)
from broker.shell.doctor.directory_reach import Connected, ReachFacts, judge_reach, refused_password
from broker.shell.doctor.finding import Finding, Verdict
from config.sign_in import SignInSettings

WELL, LOOK, ILL = Verdict
NOW = 1_800_000_000.0
GOOD = CertificateFacts("CN=dc1", "CN=authority", ("dc1.example",), NOW - 1, NOW + 1e7)
REACHED = ReachFacts("dc1.example", None, (Connected("10.0.0.1", ""),), certificate=GOOD)


def reach(**facts: object) -> dict[str, Finding]:
    told = judge_reach("server", dataclasses.replace(REACHED, **facts), NOW, 14)  # type: ignore[arg-type]
    return {found.check.removeprefix("server: "): found for found in told}


class TestHowFarOneComes:
    def test_a_server_that_lets_the_service_account_in_is_well(self) -> None:
        found = reach(bound=BindResult(0, ""))
        assert {check: one.verdict for check, one in found.items()} == {
            "network": WELL,
            "certificate": WELL,
            "bind": WELL,
        }

    def test_a_name_without_address_is_all_that_is_told(self) -> None:
        found = reach(unresolved="Name or service not known", addresses=())
        assert found.keys() == {"name"}
        assert found["name"].found == "The name dc1.example has no address: Name or service not known."

    def test_no_connection_is_ill_and_says_of_which_addresses(self) -> None:
        found = reach(
            addresses=(Connected("10.0.0.1", "Connection refused"), Connected("10.0.0.2", "no answer"))
        )
        assert found.keys() == {"network"}
        assert found["network"].verdict is ILL
        assert found["network"].found == (
            "No connection: 10.0.0.1 (Connection refused), 10.0.0.2 (no answer)."
        )

    def test_one_dead_address_of_two_is_to_be_looked_at(self) -> None:
        found = reach(
            addresses=(Connected("10.0.0.1", ""), Connected("10.0.0.2", "no answer")), bound=BindResult(0, "")
        )
        assert found["network"].verdict is LOOK
        assert found["bind"].verdict is WELL

    def test_a_port_that_speaks_no_tls_is_ill(self) -> None:
        found = reach(certificate=None, failed="socket ssl wrapping error")
        assert found["TLS"].verdict is ILL
        assert "bind" not in found

    def test_behind_a_certificate_that_is_refused_nothing_is_told_of_the_account(self) -> None:
        found = reach(fault=20, fault_words="unable to get local issuer certificate")
        assert found["certificate"].verdict is ILL
        assert "bind" not in found

    def test_no_answer_to_the_bind_is_ill(self) -> None:
        assert reach(bind_failed="it took too long")["bind"].found == (
            "The service account got no answer: it took too long."
        )

    @pytest.mark.parametrize(
        ("code", "diagnostic", "words"),
        [
            (49, "", "name or password is wrong"),
            (49, "80090308: LdapErr: DSID-0C09, comment: AcceptSecurityContext error, data 52e, v3839",
             "name or password is wrong"),
            (49, "error, data 775, v3839", "the account is locked"),
            (49, "error, data 533, v3839", "the account is disabled"),
            (49, "error, data 532, v3839", "its password has expired"),
            (49, "error, data 773, v3839", "its password must be changed first"),
            (49, "error, data fff, v3839", "name or password is wrong"),
            (8, "", "it wants a stronger way to sign in than a password"),
            (13, "", "it wants TLS"),
            (32, "", "it has no entry of this name"),
            (80, "data 775", "it gives the result 80"),
        ],
    )  # fmt: skip
    def test_a_refused_service_account_is_told_why_in_words(
        self, code: int, diagnostic: str, words: str
    ) -> None:
        found = reach(bound=BindResult(code, diagnostic))["bind"]
        assert (found.verdict, found.found) == (ILL, f"The service account is refused: {words}.")
        assert found.change

    def test_only_a_password_that_counted_as_wrong_spares_the_other_servers(self) -> None:
        assert refused_password(dataclasses.replace(REACHED, bound=BindResult(49, "")))
        assert not refused_password(dataclasses.replace(REACHED, bound=BindResult(13, "")))
        assert not refused_password(dataclasses.replace(REACHED, bound=BindResult(0, "")))
        assert reach(bind_spared=True)["bind"].verdict is LOOK


def people(facts: PeopleFacts | Refused) -> dict[str, Finding]:
    return {found.check: found for found in judge_people("s", facts, "ou=people", "uid")}


class TestPeople:
    def test_they_are_counted_by_state(self) -> None:
        found = people(PeopleFacts(3, True, states={EntryState.LOCKED: 1, EntryState.ACTIVE: 2}))
        assert found["s: people"] == Finding("s: people", WELL, "3 people: 2 active, 1 locked.")
        assert found["s: logins"].verdict is WELL

    def test_nobody_is_ill(self) -> None:
        assert people(PeopleFacts(0, True))["s: people"].found == (
            "There is nobody below ou=people: nobody can sign in."
        )

    def test_a_base_that_is_not_there_names_its_setting(self) -> None:
        found = people(Refused(32))["s: people"]
        assert found.verdict is ILL
        assert found.change.startswith("Correct ldap.people_base, ")

    @pytest.mark.parametrize(("code", "words"), [(4, "too many entries"), (50, "the account may not")])
    def test_a_search_that_is_refused_is_told_why(self, code: int, words: str) -> None:
        found = people(Refused(code))["s: people"]
        assert (found.verdict, found.found) == (ILL, f"The search is answered with result {code}, {words}.")

    def test_where_nobody_is_active_their_states_cannot_be_read(self) -> None:
        found = people(PeopleFacts(2, True, states={EntryState.DISABLED: 2}))["s: people"]
        assert found.verdict is ILL
        assert "userAccountControl" in found.change

    def test_logins_that_two_have_are_named(self) -> None:
        facts = PeopleFacts(4, True, states={EntryState.ACTIVE: 4}, logins_taken_twice=("a", "b"))
        found = people(facts)["s: logins"]
        assert (found.verdict, found.found) == (
            ILL,
            "2 logins are taken twice (a, b): none of these people can sign in.",
        )

    def test_some_without_login_are_to_be_looked_at_and_all_of_them_are_ill(self) -> None:
        some = PeopleFacts(4, True, without_login=1, states={EntryState.ACTIVE: 3})
        assert people(some)["s: logins"].verdict is LOOK
        assert people(PeopleFacts(4, True, without_login=4))["s: logins"].verdict is ILL

    def test_people_without_a_lasting_id_are_ill(self) -> None:
        assert people(PeopleFacts(4, True, without_id=4))["s: ids"].verdict is ILL

    def test_somebody_disabled_there_and_enabled_here_is_ill(self) -> None:
        found = judge_disabled("s", DisabledFacts(3, 2), 2)
        assert (found.verdict, found.found) == (
            ILL,
            "1 of 3 whom the server calls disabled seem enabled from here.",
        )

    def test_disabled_people_whom_both_call_so_are_well(self) -> None:
        assert judge_disabled("s", DisabledFacts(3, 3), 3).verdict is WELL
        assert judge_disabled("s", DisabledFacts(0, 0), 1).verdict is WELL

    def test_without_anybody_disabled_it_could_not_be_tried(self) -> None:
        assert judge_disabled("s", DisabledFacts(0, 0), 0).verdict is LOOK


def login(state: EntryState | None, count: int = 1, zones: frozenset[str] = frozenset()) -> Finding:
    entry = None
    if state is not None:
        attributes = (("departmentNumber", "registry"), ("title", "secret"))
        groups = frozenset({"b", "a"})
        entry = DirectoryEntry("id", Personal("ada"), Personal("Ada B"), attributes, groups, state, "1")
    return judge_login("login ada", LoginFacts(count, entry), zones)


class TestOnePerson:
    def test_state_and_groups_are_told_and_of_attributes_those_that_zones_name(self) -> None:
        found = login(EntryState.ACTIVE, zones=frozenset({"DepartmentNumber"}))
        assert found == Finding(
            "login ada", WELL, "State: active; groups: a, b; for zones: departmentNumber=registry."
        )

    def test_nothing_else_is_told_of_them(self) -> None:
        found = login(EntryState.ACTIVE)
        assert found.found == "State: active; groups: a, b."

    def test_who_is_not_active_nobody_and_several_are_no_success(self) -> None:
        assert login(EntryState.LOCKED).verdict is LOOK
        assert login(None, count=0).verdict is LOOK
        assert login(None, count=2).verdict is ILL


def nested(mode: Nesting, facts: NestedFacts | None, follows: bool | None = None) -> Verdict:
    return judge_nested("s", facts, mode, follows_chains=follows).verdict


class TestGroups:
    def test_no_group_is_to_be_looked_at_and_no_base_is_ill(self) -> None:
        assert [one.verdict for one in judge_groups("s", GroupFacts(0, True), "ou=groups")] == [LOOK]
        (found,) = judge_groups("s", Refused(32), "ou=groups")
        assert (found.verdict, found.change.split(",")[0]) == (ILL, "Correct ldap.groups_base")

    def test_two_groups_of_one_name_are_ill(self) -> None:
        (found,) = judge_groups("s", GroupFacts(2, True, ("staff",)), "ou=groups")
        assert found.verdict is ILL

    def test_a_membership_that_the_people_do_not_name_is_ill(self) -> None:
        assert judge_membership("s", MembershipFacts(6, 6)).verdict is WELL
        found = judge_membership("s", MembershipFacts(6, 0))
        assert found.verdict is ILL
        assert "overlay memberof" in found.change
        assert judge_membership("s", MembershipFacts(0, 0)).verdict is LOOK

    @pytest.mark.parametrize("mode", ["expand", "chain"])
    def test_a_group_in_a_group_is_followed_or_ill(self, mode: Nesting) -> None:
        assert nested(mode, NestedFacts("inner", "outer", resolved=True)) is WELL
        assert nested(mode, NestedFacts("inner", "outer", resolved=False)) is ILL

    def test_without_a_group_in_a_group_it_could_not_be_tried(self) -> None:
        assert nested("expand", None) is LOOK

    def test_groups_in_groups_that_the_settings_do_not_follow_are_to_be_looked_at(self) -> None:
        assert nested("off", NestedFacts("inner", "outer", resolved=False)) is LOOK

    def test_a_server_that_follows_no_chain_is_ill_where_the_settings_want_it(self) -> None:
        found = judge_nested("s", None, "chain", follows_chains=False)
        assert (found.verdict, found.change) == (ILL, "Set ldap.nested_groups = `expand`.")

    def test_a_role_whose_group_is_not_there_is_one_that_nobody_can_have(self) -> None:
        wanted = {"admin.operator_group": "ops", "admin.auditor_group": "audit", "x": "empty"}
        found = list(judge_roles("roles", wanted, {"ops": 2, "audit": None, "empty": 0}))
        assert [one.verdict for one in found] == [WELL, ILL, LOOK]
        assert "nobody has the role of admin.auditor_group" in found[1].found

    def test_a_rule_about_a_group_that_is_not_there_is_to_be_looked_at(self) -> None:
        assert judge_policy_groups("p", {"a": 0, "b": 2}).verdict is WELL
        found = judge_policy_groups("p", {"a": None, "b": 2})
        assert found.verdict is LOOK
        assert found.found.startswith("The directory lacks 1 group of the policy (a): ")

    def test_without_any_role_nobody_is_there_for_the_console(self) -> None:
        assert [one.verdict for one in judge_roles("roles", {}, {})] == [LOOK]


def lockout(
    *policies: LockoutPolicy, told: int | None = None, failures: int = 5, window: int = 300
) -> Finding:
    sign_in = SignInSettings(max_failures_per_login=failures, failure_window_seconds=window)
    return judge_lockout("s", policies, sign_in, told)


class TestLockOut:
    @pytest.mark.parametrize(("threshold", "verdict"), [(4, ILL), (5, ILL), (6, WELL)])
    def test_the_throttle_must_refuse_before_the_directory_locks(
        self, threshold: int, verdict: Verdict
    ) -> None:
        found = lockout(LockoutPolicy(threshold, 300))
        assert found.verdict is verdict

    def test_the_sentence_names_both_figures_and_what_to_set(self) -> None:
        found = lockout(LockoutPolicy(5, 300))
        assert found.found.startswith(
            "It locks an account after 5 wrong passwords, and 5 are let through here"
        )
        assert found.change == "Set sign_in.max_failures_per_login below 5."

    @pytest.mark.parametrize(("window", "verdict"), [(299, ILL), (300, WELL), (600, WELL)])
    def test_the_window_must_be_as_long_as_theirs(self, window: int, verdict: Verdict) -> None:
        assert lockout(LockoutPolicy(10, 300), window=window).verdict is verdict

    def test_a_shorter_window_does_where_all_that_it_lets_through_is_too_few(self) -> None:
        assert lockout(LockoutPolicy(100, 1800)).verdict is WELL
        assert (
            lockout(LockoutPolicy(30, 1800)).change == "Set sign_in.failure_window_seconds to 1800 or more."
        )

    def test_failures_that_are_never_forgotten_are_to_be_looked_at(self) -> None:
        assert lockout(LockoutPolicy(10, 0)).verdict is LOOK

    def test_the_strictest_of_several_policies_counts(self) -> None:
        assert lockout(LockoutPolicy(100, 300), LockoutPolicy(3, 300), LockoutPolicy(0, 0)).verdict is ILL

    def test_a_directory_that_locks_nobody_is_well(self) -> None:
        assert lockout(LockoutPolicy(0, 1800)).verdict is WELL

    def test_what_it_does_not_show_has_to_be_asked_for_once(self) -> None:
        assert lockout().verdict is LOOK
        assert lockout(told=10).verdict is WELL
