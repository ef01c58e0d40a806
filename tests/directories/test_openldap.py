"""The directory that is an OpenLDAP, as the rest of the product sees it: asked of Debian's slapd."""

from __future__ import annotations

import pytest

from auth.directory import CredentialOutcome, EntryState
from auth.ldap import LdapDirectory
from tests.directories.conftest import Newcomer, OpenDirectory
from tests.directories.population import ODD_NAME, PASSWORD
from tests.directories.slapd import BASE, Slapd, person


@pytest.fixture
def directory(slapd: Slapd, open_directory: OpenDirectory) -> LdapDirectory:
    return open_directory("openldap", slapd.ldaps_url)


async def test_the_right_password_is_accepted_and_names_the_person_and_their_groups(
    directory: LdapDirectory,
) -> None:
    checked = await directory.check("ada", PASSWORD)
    assert checked.outcome is CredentialOutcome.ACCEPTED
    assert checked.entry is not None
    assert checked.entry.login.reveal() == "ada"
    assert checked.entry.name.reveal() == "Ada Byron"
    assert checked.entry.groups == {"inner", "outer", "outermost", "left", "right"}


async def test_a_wrong_password_is_wrong_and_names_the_person_for_the_record(
    directory: LdapDirectory,
) -> None:
    checked = await directory.check("bert", "not his password")
    assert checked.outcome is CredentialOutcome.WRONG
    assert checked.entry is not None
    assert checked.code == "result_49"
    assert (await directory.check("bert", PASSWORD)).outcome is CredentialOutcome.ACCEPTED


async def test_nobody_has_an_unknown_login(directory: LdapDirectory) -> None:
    checked = await directory.check("nobody", PASSWORD)
    assert (checked.outcome, checked.entry) == (CredentialOutcome.UNKNOWN, None)
    assert await directory.find("nobody") is None


async def test_starttls_on_the_plain_port_does_as_well(slapd: Slapd, open_directory: OpenDirectory) -> None:
    directory = open_directory("openldap", slapd.url)
    assert (await directory.check("ada", PASSWORD)).outcome is CredentialOutcome.ACCEPTED


@pytest.mark.parametrize(
    "login",
    [
        "*",
        "a*",
        "ada)(uid=*",
        "*)(objectClass=*",
        "ada\\2a",
        "ada\0",
        "\\61da",
        "(",
        ")",
        "\udc80",
        "ä" * 256,
    ],
)
async def test_what_is_special_in_a_filter_is_only_text_in_a_login(
    directory: LdapDirectory, login: str
) -> None:
    assert (await directory.check(login, PASSWORD)).outcome is CredentialOutcome.UNKNOWN


async def test_a_name_full_of_special_characters_is_found_and_bound_as(
    slapd: Slapd, directory: LdapDirectory
) -> None:
    checked = await directory.check("odd", PASSWORD)
    assert checked.outcome is CredentialOutcome.ACCEPTED
    assert checked.entry is not None
    assert checked.entry.name.reveal() == ODD_NAME
    assert checked.entry.groups == {"inner", "outer", "outermost"}


async def test_control_characters_in_a_name_are_not_shown(directory: LdapDirectory) -> None:
    found = await directory.find("robot")
    assert found is not None
    assert found.name.reveal() == "Ron [31mred"


@pytest.mark.parametrize(
    ("login", "state"),
    [
        ("locked", EntryState.DISABLED),
        ("mustchange", EntryState.PASSWORD_CHANGE_REQUIRED),
        ("expired", EntryState.EXPIRED),
        ("early", EntryState.DISABLED),
    ],
)
async def test_the_password_policy_says_who_may_not_sign_in(
    directory: LdapDirectory, login: str, state: EntryState
) -> None:
    found = await directory.find(login)
    assert found is not None
    assert found.state is state
    assert (await directory.check(login, PASSWORD)).outcome is not CredentialOutcome.ACCEPTED


async def test_guessing_locks_an_account_which_shows_as_locked(
    newcomer: Newcomer, directory: LdapDirectory
) -> None:
    login = newcomer()
    for _ in range(5):
        assert (await directory.check(login, "a guess")).outcome is CredentialOutcome.WRONG
    assert (await directory.check(login, PASSWORD)).outcome is CredentialOutcome.WRONG
    found = await directory.find(login)
    assert found is not None
    assert found.state is EntryState.LOCKED


async def test_a_login_that_two_have_is_nobodys(slapd: Slapd, open_directory: OpenDirectory) -> None:
    assert await open_directory("openldap", slapd.ldaps_url).find("twin") is not None
    everybody = open_directory("openldap", slapd.ldaps_url, people_base=BASE)
    assert await everybody.find("twin") is None
    assert (await everybody.check("twin", PASSWORD)).outcome is CredentialOutcome.UNKNOWN


async def test_the_person_is_found_by_their_id_whatever_else_changes(
    slapd: Slapd, newcomer: Newcomer, directory: LdapDirectory
) -> None:
    login = newcomer()
    before = await directory.find(login)
    assert before is not None
    slapd.replace(person(login), "uid", login, "dora-maar")
    slapd.replace(person(login), "displayName", "Theodora Maar")
    now = (await directory.read([before.stable_id]))[before.stable_id]
    assert now.name.reveal() == "Theodora Maar"
    assert now.version != before.version
    assert await directory.get(before.stable_id) == now


async def test_a_person_who_is_removed_is_not_there_any_more(
    slapd: Slapd, newcomer: Newcomer, directory: LdapDirectory
) -> None:
    login = newcomer()
    found = await directory.find(login)
    assert found is not None
    slapd.delete(person(login))
    assert await directory.read([found.stable_id]) == {}
    assert await directory.get(found.stable_id) is None


async def test_an_id_of_another_kind_of_directory_is_nobodys(directory: LdapDirectory) -> None:
    assert await directory.read(["not-a-uuid", "*"]) == {}
    assert await directory.get("not-a-uuid") is None
