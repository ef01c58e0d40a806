"""The directory that is an OpenLDAP, as the rest of the product sees it: asked of Debian's slapd."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from auth import ldap_link, ldap_servers
from auth.case_ignore import case_ignore_key
from auth.directory import CredentialOutcome, DirectoryUnavailable, EntryState
from auth.ldap import LdapDirectory
from auth.ldap_link import LdapLink, LdapServer, verifying_context
from tests.directories.authority import Authority, ServerCertificate
from tests.directories.conftest import Newcomer, OpenDirectory
from tests.directories.ldif import entry
from tests.directories.population import ODD_NAME, PASSWORD, SERVICE_PASSWORD
from tests.directories.slapd import BASE, BRANCH, PEOPLE, SERVICE, Slapd, person, running_slapd


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


# --- groups ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nested", "groups"),
    [("off", {"inner", "left"}), ("expand", {"inner", "outer", "outermost", "left", "right"})],
)
async def test_groups_in_groups_count_as_the_settings_say(
    slapd: Slapd, open_directory: OpenDirectory, nested: str, groups: set[str]
) -> None:
    directory = open_directory("openldap", slapd.ldaps_url, nested_groups=nested)
    found = await directory.find("ada")
    assert found is not None
    assert found.groups == groups


async def test_a_server_that_does_not_follow_chains_is_told_instead_of_believed(
    slapd: Slapd, open_directory: OpenDirectory
) -> None:
    directory = open_directory("openldap", slapd.ldaps_url, nested_groups="chain")
    for ask in (directory.find("ada"), directory.check("ada", PASSWORD), directory.list_entries(10)):
        with pytest.raises(DirectoryUnavailable, match="does not follow groups in a chain"):
            await ask
    assert all(directory.servers().values())


async def test_groups_outside_the_base_give_nobody_anything(
    slapd: Slapd, open_directory: OpenDirectory, newcomer: Newcomer
) -> None:
    login = newcomer()
    slapd.add(
        entry(f"cn={login},{BRANCH}", {"objectClass": "groupOfNames", "cn": "staff", "member": person(login)})
    )
    slapd.add_member("lonely", f"cn={login},{BRANCH}")
    for nested in ("off", "expand"):
        directory = open_directory("openldap", slapd.ldaps_url, nested_groups=nested)
        found = await directory.find(login)
        assert found is not None
        assert found.groups == frozenset()


async def test_whoever_is_put_into_other_groups_is_in_others_at_the_next_look(
    slapd: Slapd, newcomer: Newcomer, directory: LdapDirectory
) -> None:
    login = newcomer()
    slapd.add_member("lonely", person(login))
    before = await directory.find(login)
    assert before is not None
    assert before.groups == {"lonely"}
    slapd.remove_member("lonely", person(login))
    slapd.add_member("outermost", person(login))
    now = (await directory.read([before.stable_id]))[before.stable_id]
    assert now.groups == {"outermost"}
    assert now.version != before.version


# --- accounts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "outcome", "code"),
    [
        ("ada", CredentialOutcome.ACCEPTED, "active"),
        ("locked", CredentialOutcome.WRONG, "result_49"),
        ("mustchange", CredentialOutcome.NOT_ACTIVE, "password_change_required"),
        ("expired", CredentialOutcome.WRONG, "result_49"),
        ("early", CredentialOutcome.WRONG, "result_49"),
    ],
)
async def test_openldap_tells_of_a_right_password_only_to_who_may_use_it(
    directory: LdapDirectory, login: str, outcome: CredentialOutcome, code: str
) -> None:
    checked = await directory.check(login, PASSWORD)
    assert (checked.outcome, checked.code) == (outcome, code)
    assert checked.entry is not None


async def test_a_person_stays_the_same_through_rename_and_move(
    slapd: Slapd, newcomer: Newcomer, directory: LdapDirectory
) -> None:
    login = newcomer()
    before = await directory.find(login)
    assert before is not None
    slapd.rename(person(login), f"uid={login}-now", PEOPLE)
    now = (await directory.read([before.stable_id]))[before.stable_id]
    assert (now.stable_id, now.login.reveal()) == (before.stable_id, f"{login}-now")
    assert (await directory.check(f"{login}-now", PASSWORD)).outcome is CredentialOutcome.ACCEPTED
    slapd.rename(person(f"{login}-now"), f"uid={login}", BRANCH)
    assert await directory.read([before.stable_id]) == {}  # not below the base of people


async def test_a_filter_that_means_active_directory_finds_nobody_here(
    slapd: Slapd, open_directory: OpenDirectory
) -> None:
    bits = "(!(userAccountControl:1.2.840.113556.1.4.803:=2))"
    directory = open_directory("openldap", slapd.ldaps_url, people_filter=bits)
    assert await directory.find("ada") is None


async def test_the_service_account_may_read_no_password(slapd: Slapd, authority: Authority) -> None:
    link = LdapLink(LdapServer("127.0.0.1", slapd.ldaps_port, False), verifying_context(authority.path), 5)
    link.open()
    assert link.bind(SERVICE, SERVICE_PASSWORD.encode()).accepted
    (ada,) = link.search(PEOPLE, "(uid=ada)", ["*", "userPassword"])
    link.close()
    assert ada.text("uid") == "ada"
    assert ada.all("userPassword") == ()


async def test_a_server_that_dies_and_comes_back_with_its_data_is_used_again(
    slapd: Slapd, newcomer: Newcomer, directory: LdapDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ldap_servers, "LOOK_AGAIN_SOON_SECONDS", 0)
    login = newcomer()
    found = await directory.find(login)
    assert found is not None
    slapd.process.kill()
    with pytest.raises(DirectoryUnavailable):
        await directory.read([found.stable_id])
    slapd.process.restart()
    async with asyncio.timeout(5):
        while True:
            try:
                assert await directory.read([found.stable_id]) == {found.stable_id: found}
                break
            except DirectoryUnavailable:
                await asyncio.sleep(0.02)


async def test_a_server_that_is_frozen_costs_one_timeout_and_what_was_known_lasts_for_the_grace(
    slapd: Slapd, newcomer: Newcomer, open_directory: OpenDirectory
) -> None:
    now = [1000.0]
    directory = open_directory("openldap", slapd.ldaps_url, timeout_seconds=1, grace=60, clock=lambda: now[0])
    found = await directory.find(newcomer())
    assert found is not None
    slapd.process.pause()
    try:
        now[0] += 59
        assert await directory.get(found.stable_id) == found
        now[0] += 1
        with pytest.raises(DirectoryUnavailable):
            await directory.get(found.stable_id)
    finally:
        slapd.process.resume()


# --- another server --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory, certificate: ServerCertificate) -> Iterator[Slapd]:
    """It has 1,200 people more, tells 500 entries at once, and locks for a second."""
    with running_slapd(
        tmp_path_factory.mktemp("crowded"), certificate, max_failures=3, lockout_duration_seconds=1
    ) as server:
        server.add_people(*(f"p{number}" for number in range(1200)))
        yield server


async def test_more_people_than_the_server_tells_at_once_are_read_in_pages(
    crowded: Slapd, open_directory: OpenDirectory
) -> None:
    directory = open_directory("openldap", crowded.ldaps_url, poll_seconds=60)
    some = await directory.list_entries(200)
    assert len(some) == 200
    everybody = await directory.list_entries(10_000)
    names = [one.name.reveal() for one in everybody]
    assert len({one.stable_id for one in everybody}) == len(everybody) >= 1200
    assert names == sorted(names, key=case_ignore_key)
    # What was read is told again, and of it as much as is asked for.
    crowded.process.kill()
    assert await directory.list_entries(300) == everybody[:300]
    crowded.process.restart()
    ids = [one.stable_id for one in everybody]
    fresh = open_directory("openldap", crowded.ldaps_url)
    assert set(await fresh.read([*ids, "not-an-id"])) == set(ids)


async def test_all_pages_together_have_a_bound(
    monkeypatch: pytest.MonkeyPatch, crowded: Slapd, open_directory: OpenDirectory
) -> None:
    directory = open_directory("openldap", crowded.ldaps_url)
    monkeypatch.setattr(ldap_link, "MAX_ANSWER_BYTES", 200_000)
    assert len(await directory.list_entries(500)) == 500
    with pytest.raises(DirectoryUnavailable, match="more bytes than are read"):
        await directory.list_entries(10_000)


async def test_a_lock_that_is_over_shows_until_the_right_password_comes(
    crowded: Slapd, open_directory: OpenDirectory
) -> None:
    now = [time.time()]
    directory = open_directory("openldap", crowded.ldaps_url)
    telling = open_directory("openldap", crowded.ldaps_url, lockout_seconds=900, wall_clock=lambda: now[0])

    async def state(of: LdapDirectory) -> EntryState:
        found = await of.find("p7")
        assert found is not None
        return found.state

    for _ in range(3):
        assert (await directory.check("p7", "a guess")).outcome is CredentialOutcome.WRONG
    assert await state(telling) is EntryState.LOCKED
    now[0] += 1000
    assert await state(telling) is EntryState.ACTIVE
    # The server's own second is over when it takes the password.
    async with asyncio.timeout(10):
        while True:
            assert await state(directory) is EntryState.LOCKED
            checked = await directory.check("p7", PASSWORD)
            if checked.outcome is CredentialOutcome.ACCEPTED:
                break
            await asyncio.sleep(0.1)
    assert checked.entry is not None
    assert checked.entry.state is EntryState.ACTIVE
    assert await state(directory) is EntryState.ACTIVE
