"""Doctor: what it says of a directory that is well, and of each that is not, asked of real servers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.shell.doctor.directory import Wanted, examine_servers
from broker.shell.doctor.finding import Finding, Verdict
from config.settings import Settings
from tests.directories import samba as ad
from tests.directories import slapd as openldap
from tests.directories.authority import Authority, ServerCertificate
from tests.directories.conftest import ldap_settings
from tests.directories.population import PASSWORD
from tests.directories.samba import Samba
from tests.directories.server_process import free_port
from tests.directories.slapd import Slapd, running_slapd
from tests.directories.stub import SERVICE as STUB_SERVICE
from tests.directories.stub import Fault, running_stub

WELL, LOOK, ILL = Verdict
Examine = Callable[..., dict[str, Finding]]
ROLES = {"admin.operator_group": "outer", "admin.auditor_group": "nosuch"}


@pytest.fixture
def examine(authority: Authority) -> Examine:
    """(kind, servers, settings by name) -> findings by what was looked at, without the server where there is
    one."""

    def examined(
        kind: str,
        *servers: str,
        login: str | None = None,
        failures: int = 4,
        window_seconds: int = 1800,
        **more: object,
    ) -> dict[str, Finding]:
        settings = Settings.model_validate(
            {
                "directory": {"kind": kind},
                "ldap": ldap_settings(kind, authority.path, *servers, **more).model_dump(),
                "sign_in": {"max_failures_per_login": failures, "failure_window_seconds": window_seconds},
                "alarms": {"certificate_days": 1},
            }
        )
        found = list(examine_servers(settings, Wanted(ROLES, ("inner", "left"), (), login)))
        one = len(servers) == 1
        return {each.check.partition(": ")[2] if one else each.check: each for each in found}

    return examined


@pytest.fixture(scope="module")
def odd_certificates(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, ServerCertificate]:
    """Certificates that nobody should accept for 127.0.0.1, and what is wrong with each."""
    stranger = Authority(tmp_path_factory.mktemp("stranger"), "stranger")
    return {
        "expired": authority.expired("expired", "127.0.0.1"),
        "future": authority.not_yet_valid("future", "127.0.0.1"),
        "name": authority.certificate("name", "dc2.example"),
        "chain": stranger.certificate("chain", "127.0.0.1"),
    }


def verdicts(found: dict[str, Finding], verdict: Verdict) -> set[str]:
    return {check for check, one in found.items() if one.verdict is verdict}


class TestAnOpenLdapThatIsWell:
    def test_everything_is_well_but_what_the_tests_made_odd(self, slapd: Slapd, examine: Examine) -> None:
        found = examine("openldap", slapd.ldaps_url)
        assert verdicts(found, ILL) == {"roles"}  # one group of the two is not there
        assert verdicts(found, LOOK) == {"certificate", "lock-out"}  # a day; counted for ever
        assert found["people"].found.endswith("2 disabled, 1 expired, 1 password_change_required.")
        assert found["disabled people"].found == "1 whom the server calls disabled are so from here."
        assert found["groups in groups"].verdict is WELL
        assert found["groups of the policy"].found == "The directory has every group that rules name (2)."

    def test_somebody_is_told_by_state_and_groups(self, slapd: Slapd, examine: Examine) -> None:
        found = examine("openldap", slapd.url, login="ada")
        assert found["login ada"].found == "State: active; groups: inner, left, outer, outermost, right."
        assert examine("openldap", slapd.url, login="locked")["login locked"].verdict is LOOK
        assert examine("openldap", slapd.url, login="*")["login *"].found.startswith("Nobody has this login")


def test_a_base_that_is_not_there_is_ill(slapd: Slapd, examine: Examine) -> None:
    found = examine("openldap", slapd.url, people_base="ou=nowhere,dc=agency,dc=example")
    assert found["people"].verdict is ILL
    assert found["people"].change.startswith("Correct ldap.people_base")


def test_a_filter_that_nobody_matches_is_ill(slapd: Slapd, examine: Examine) -> None:
    assert examine("openldap", slapd.url, people_filter="(uid=nobody)")["people"].verdict is ILL


def test_a_login_that_two_have_is_named(slapd: Slapd, examine: Examine) -> None:
    found = examine("openldap", slapd.url, people_base=openldap.BASE)["logins"]
    assert (found.verdict, found.found.split(":")[0]) == (ILL, "1 login is taken twice (twin)")


def test_an_attribute_that_nobody_signs_in_by_is_ill(slapd: Slapd, examine: Examine) -> None:
    assert examine("openldap", slapd.url, login_attribute="employeeNumber")["logins"].verdict is ILL


def test_chains_that_openldap_does_not_follow_are_ill(slapd: Slapd, examine: Examine) -> None:
    found = examine("openldap", slapd.url, nested_groups="chain")["groups in groups"]
    assert (found.verdict, found.change) == (ILL, "Set ldap.nested_groups = `expand`.")


def test_groups_in_groups_that_the_settings_leave_out_are_to_be_looked_at(
    slapd: Slapd, examine: Examine
) -> None:
    assert examine("openldap", slapd.url, nested_groups="off")["groups in groups"].verdict is LOOK


def test_a_threshold_at_which_the_directory_locks_first_is_ill(slapd: Slapd, examine: Examine) -> None:
    found = examine("openldap", slapd.url, failures=5)["lock-out"]
    assert (found.verdict, found.change) == (ILL, "Set sign_in.max_failures_per_login below 5.")


def test_a_wrong_password_of_the_service_account_is_told_and_sent_to_one_server(
    slapd: Slapd, certificate: ServerCertificate, examine: Examine
) -> None:
    with running_stub(tls=certificate.server_context()) as second:
        found = examine("openldap", slapd.url, second.url, bind_password="not the service's own")
        refused = found[f"directory 127.0.0.1:{slapd.port}: bind"]
        assert refused.found == "The service account is refused: name or password is wrong."
        assert found[f"directory 127.0.0.1:{second.port}: bind"].verdict is LOOK
        assert second.binds == []


@pytest.mark.parametrize(
    ("fault", "begins"),
    [
        ("expired", "It expired at 20"),
        ("future", "It is not valid before 20"),
        ("name", "It is for dc2.example, and not for 127.0.0.1, "),
        ("chain", "It is signed by CN=Turngate test stranger, and no authority "),
    ],
)
@pytest.mark.parametrize("ldaps", [True, False])
def test_what_is_wrong_with_a_certificate_is_told_and_no_password_is_sent(
    odd_certificates: dict[str, ServerCertificate], examine: Examine, fault: str, begins: str, ldaps: bool
) -> None:
    with running_stub(tls=odd_certificates[fault].server_context(), ldaps=ldaps) as server:
        found = examine("active_directory", server.url)
        assert found["certificate"].found.startswith(begins)
        assert verdicts(found, ILL) == {"certificate"}
        assert "bind" not in found
        assert server.binds == []


def test_a_port_where_nothing_listens_is_ill(examine: Examine) -> None:
    found = examine("openldap", f"ldaps://127.0.0.1:{free_port('127.0.0.1')}")
    assert found["network"].found == "No connection: 127.0.0.1 (Connection refused)."


def test_a_name_that_nobody_knows_is_ill(examine: Examine) -> None:
    assert examine("openldap", "ldaps://dc1.invalid")["name"].verdict is ILL


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.RESET])
def test_a_server_that_says_nothing_costs_its_timeout_and_is_ill(
    certificate: ServerCertificate, examine: Examine, fault: Fault
) -> None:
    with running_stub(fault=fault, tls=certificate.server_context(), ldaps=True) as server:
        found = examine("active_directory", server.url, timeout_seconds=1)
    # A reset may come before TLS has begun.
    assert verdicts(found, ILL) in ({"TLS"}, {"network"})


@pytest.mark.parametrize("fault", [Fault.GARBAGE, Fault.DISCONNECT_ON_SEARCH, Fault.ENDLESS])
def test_a_server_that_breaks_off_is_ill(
    certificate: ServerCertificate, examine: Examine, fault: Fault
) -> None:
    with running_stub(fault=fault, tls=certificate.server_context(), ldaps=True) as server:
        found = examine("active_directory", server.url, timeout_seconds=1, bind_dn=STUB_SERVICE)
        assert found[""].found.startswith("There is no further answer: ")


@pytest.mark.parametrize(
    ("fault", "words"), [(Fault.HUGE_LENGTH, "too many entries"), (Fault.REFERRAL, "on another server")]
)
def test_a_server_whose_answer_is_none_is_ill_and_it_is_told_why(
    certificate: ServerCertificate, examine: Examine, fault: Fault, words: str
) -> None:
    with running_stub(fault=fault, tls=certificate.server_context(), ldaps=True) as server:
        found = examine("active_directory", server.url, bind_dn=STUB_SERVICE)["people"]
    assert found.verdict is ILL
    assert words in found.found


def test_one_that_answers_byte_by_byte_is_cut_off(
    certificate: ServerCertificate, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.shell.doctor.directory_facts.SERVER_SECONDS", 2.0)
    with running_stub(fault=Fault.DRIP, tls=certificate.server_context(), ldaps=True) as server:
        assert examine("active_directory", server.url)["bind"].verdict is ILL


def test_the_groups_of_people_are_lost_without_the_overlay_which_is_named(
    tmp_path: Path, certificate: ServerCertificate, examine: Examine
) -> None:
    with running_slapd(tmp_path / "bare", certificate, keeps_member_of=False) as bare:
        found = examine("openldap", bare.url)
    assert found["memberOf"].verdict is ILL
    assert found["memberOf"].found.startswith("6 of 6 memberships that groups list are not in memberOf ")
    assert "overlay memberof" in found["memberOf"].change
    assert found["groups in groups"].verdict is ILL


def test_a_directory_that_forgets_within_the_window_is_well(
    tmp_path: Path, certificate: ServerCertificate, examine: Examine
) -> None:
    with running_slapd(tmp_path / "l", certificate, failure_count_interval_seconds=300) as server:
        assert examine("openldap", server.url)["lock-out"].verdict is WELL


class TestAnActiveDirectory:
    def test_everything_is_well_but_what_the_tests_made_odd(self, samba: Samba, examine: Examine) -> None:
        found = examine("active_directory", samba.ldaps_url)
        assert verdicts(found, ILL) == {"roles"}
        assert found["clock"].verdict is WELL
        assert found["disabled people"].found == "1 whom the server calls disabled are so from here."
        # Other tests have added some who are active.
        assert re.match(r"\d+ people: \d+ active, 1 disabled, 1 expired, 1 locked, ", found["people"].found)
        assert found["groups in groups"].verdict is WELL

    def test_a_window_in_which_more_gets_through_than_it_bears_is_ill(
        self, samba: Samba, examine: Examine
    ) -> None:
        found = examine("active_directory", samba.url, window_seconds=300)["lock-out"]
        assert found.verdict is ILL
        assert found.change == "Set sign_in.failure_window_seconds to 1800 or more."

    def test_it_follows_chains(self, samba: Samba, examine: Examine) -> None:
        found = examine("active_directory", samba.ldaps_url, nested_groups="chain", login="ada")
        assert found["groups in groups"].verdict is WELL
        assert found["login ada"].found == "State: active; groups: inner, left, outer, outermost, right."

    def test_a_locked_service_account_is_called_so(self, samba: Samba, examine: Examine) -> None:
        found = examine("active_directory", samba.url, bind_dn=ad.person("locked"), bind_password=PASSWORD)
        assert found["bind"].found == "The service account is refused: the account is locked."

    def test_a_clock_that_is_off_is_ill(
        self, samba: Samba, examine: Examine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("broker.shell.doctor.directory_facts.time", _Ahead())
        found = examine("active_directory", samba.url)["clock"]
        assert found.verdict is ILL
        assert found.found.endswith(" s ahead of the server's.")


class _Ahead:
    """A clock that is ten minutes fast."""

    def time(self) -> float:
        import time

        return time.time() + 600
