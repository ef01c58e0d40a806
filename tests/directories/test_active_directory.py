"""The directory that is an Active Directory, as the rest of the product sees it: asked of Samba's."""

from __future__ import annotations

import time
from itertools import count

import pytest

from auth.directory import CredentialOutcome, DirectoryUnavailable, EntryState
from auth.ldap import LdapDirectory
from auth.ldap_filter import equals
from auth.ldap_link import LdapLink, LdapServer, verifying_context
from tests.directories.authority import Authority
from tests.directories.conftest import OpenDirectory
from tests.directories.ldif import entry
from tests.directories.population import ODD_NAME, PASSWORD, SERVICE_PASSWORD
from tests.directories.samba import BASE, GROUPS, PEOPLE, SERVICE, Samba, group_dn, person

NOT_DISABLED = "(!(userAccountControl:1.2.840.113556.1.4.803:=2))"
_numbers = count()


@pytest.fixture
def directory(samba: Samba, open_directory: OpenDirectory) -> LdapDirectory:
    return open_directory("active_directory", samba.ldaps_url)


@pytest.fixture
def newcomer(samba: Samba) -> str:
    """The login of a person whom no other test knows."""
    login = f"newcomer{next(_numbers)}"
    samba.add_user(login)
    return login


async def test_the_right_password_is_accepted_and_names_the_person_and_their_groups(
    directory: LdapDirectory,
) -> None:
    checked = await directory.check("ada", PASSWORD)
    assert checked.outcome is CredentialOutcome.ACCEPTED
    assert checked.entry is not None
    assert checked.entry.login.reveal() == "ada"
    assert checked.entry.name.reveal() == "Ada Byron"
    assert checked.entry.groups == {"inner", "outer", "outermost", "left", "right"}


async def test_starttls_on_the_plain_port_does_as_well(samba: Samba, open_directory: OpenDirectory) -> None:
    directory = open_directory("active_directory", samba.url)
    assert (await directory.check("ada", PASSWORD)).outcome is CredentialOutcome.ACCEPTED


@pytest.mark.parametrize(
    ("login", "password", "outcome", "code", "state"),
    [
        ("ada", "a guess", CredentialOutcome.WRONG, "ad_52e", EntryState.ACTIVE),
        ("disabled", PASSWORD, CredentialOutcome.NOT_ACTIVE, "ad_533", EntryState.DISABLED),
        ("disabled", "a guess", CredentialOutcome.WRONG, "ad_52e", EntryState.DISABLED),
        ("expired", PASSWORD, CredentialOutcome.NOT_ACTIVE, "ad_701", EntryState.EXPIRED),
        ("locked", PASSWORD, CredentialOutcome.WRONG, "ad_775", EntryState.LOCKED),
        ("locked", "a guess", CredentialOutcome.WRONG, "ad_775", EntryState.LOCKED),
        (
            "mustchange",
            PASSWORD,
            CredentialOutcome.NOT_ACTIVE,
            "ad_773",
            EntryState.PASSWORD_CHANGE_REQUIRED,
        ),
    ],
)
async def test_who_may_not_sign_in_is_told_with_the_code_of_the_server(
    directory: LdapDirectory,
    login: str,
    password: str,
    outcome: CredentialOutcome,
    code: str,
    state: EntryState,
) -> None:
    checked = await directory.check(login, password)
    assert (checked.outcome, checked.code) == (outcome, code)
    assert checked.entry is not None
    assert checked.entry.state is state


async def test_nobody_has_an_unknown_login(directory: LdapDirectory) -> None:
    checked = await directory.check("nobody", PASSWORD)
    assert (checked.outcome, checked.entry) == (CredentialOutcome.UNKNOWN, None)


@pytest.mark.parametrize(
    "login",
    [
        "*",
        "a*",
        "ada)(sAMAccountName=*",
        "*)(objectClass=*",
        "ada\\2a",
        "\\61da",
        "(",
        ")",
        "ä" * 256,
        "ada\0",
        "ada\0\0",
        "ada\0x",
        "\udc80",
        "$",
        "ada@ad.example",
        "AD\\ada",
    ],
)
async def test_what_is_special_to_a_server_is_only_text_in_a_login(
    directory: LdapDirectory, login: str
) -> None:
    """Samba reads a value up to its first NUL: whoever appends some would guess uncounted."""
    checked = await directory.check(login, "a guess")
    assert (checked.outcome, checked.entry) == (CredentialOutcome.UNKNOWN, None)
    assert await directory.find(login) is None


async def test_case_and_spaces_around_it_do_not_matter_in_a_login(directory: LdapDirectory) -> None:
    for login in ("ADA", " ada  "):
        assert (await directory.check(login, PASSWORD)).outcome is CredentialOutcome.ACCEPTED


async def test_names_full_of_special_characters_are_found_and_bound_as(directory: LdapDirectory) -> None:
    checked = await directory.check("odd", PASSWORD)
    assert checked.outcome is CredentialOutcome.ACCEPTED
    assert checked.entry is not None
    assert checked.entry.name.reveal() == ODD_NAME
    assert checked.entry.groups == {"inner", "outer", "outermost"}
    checked = await directory.check("robot", PASSWORD)
    assert checked.outcome is CredentialOutcome.ACCEPTED
    assert checked.entry is not None
    assert checked.entry.name.reveal() == "Ron [31mred"


# --- groups ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nested", "groups"),
    [
        ("off", {"inner", "left"}),
        ("expand", {"inner", "outer", "outermost", "left", "right"}),
        ("chain", {"inner", "outer", "outermost", "left", "right"}),
    ],
)
async def test_groups_in_groups_count_as_the_settings_say(
    samba: Samba, open_directory: OpenDirectory, nested: str, groups: set[str]
) -> None:
    directory = open_directory("active_directory", samba.ldaps_url, nested_groups=nested)
    found = await directory.find("ada")
    assert found is not None
    assert found.groups == groups


async def test_a_group_goes_by_its_account_name_and_counts_below_the_base_alone(
    samba: Samba, newcomer: str, directory: LdapDirectory
) -> None:
    inside, outside = f"{newcomer}-inside", f"{newcomer}-outside"
    samba.add(entry(group_dn("a name"), {"objectClass": "group", "sAMAccountName": inside}))
    samba.add(entry(f"CN={outside},{PEOPLE}", {"objectClass": "group", "sAMAccountName": outside}))
    samba.add_members("a name", person(newcomer))
    samba.modify(
        f"dn: CN={outside},{PEOPLE}\nchangetype: modify\nadd: member\nmember: {person(newcomer)}\n-\n\n"
    )
    found = await directory.find(newcomer)
    assert found is not None
    assert found.groups == {inside}


@pytest.mark.parametrize(("nested", "groups"), [("expand", set()), ("chain", {"bridged"})])
async def test_a_group_outside_the_base_is_a_bridge_for_a_chain_alone(
    samba: Samba, open_directory: OpenDirectory, newcomer: str, nested: str, groups: set[str]
) -> None:
    bridge, inside = f"CN={newcomer}-bridge,{PEOPLE}", f"{newcomer}-bridged"
    samba.add(entry(bridge, {"objectClass": "group", "sAMAccountName": f"{newcomer}-bridge"}))
    samba.modify(f"dn: {bridge}\nchangetype: modify\nadd: member\nmember: {person(newcomer)}\n-\n\n")
    samba.add_group(inside)
    samba.add_members(inside, bridge)
    directory = open_directory("active_directory", samba.ldaps_url, nested_groups=nested)
    found = await directory.find(newcomer)
    assert found is not None
    assert found.groups == {f"{newcomer}-{name}" for name in groups}


async def test_whoever_is_put_into_other_groups_is_in_others_at_the_next_look(
    samba: Samba, newcomer: str, directory: LdapDirectory
) -> None:
    samba.add_members("lonely", person(newcomer))
    before = await directory.find(newcomer)
    assert before is not None
    assert before.groups == {"lonely"}
    samba.remove_members("lonely", person(newcomer))
    samba.add_members("outermost", person(newcomer))
    now = (await directory.read([before.stable_id]))[before.stable_id]
    assert now.groups == {"outermost"}
    assert now.version != before.version


async def test_a_group_that_is_renamed_has_its_new_name_at_the_next_look(
    samba: Samba, newcomer: str, directory: LdapDirectory
) -> None:
    group = f"{newcomer}-group"
    samba.add_group(group)
    samba.add_members(group, person(newcomer))
    found = await directory.find(newcomer)
    assert found is not None
    samba.replace(group_dn(group), "sAMAccountName", f"{newcomer}-renamed")
    now = (await directory.read([found.stable_id]))[found.stable_id]
    assert now.groups == {f"{newcomer}-renamed"}


# --- people ----------------------------------------------------------------------------------------------


async def test_a_person_stays_the_same_through_rename_and_move(
    samba: Samba, newcomer: str, directory: LdapDirectory
) -> None:
    before = await directory.find(newcomer)
    assert before is not None
    samba.add(entry(f"OU={newcomer},{PEOPLE}", {"objectClass": "organizationalUnit"}))
    samba.rename(person(newcomer), "CN=Somebody Else", f"OU={newcomer},{PEOPLE}")
    samba.replace(f"CN=Somebody Else,OU={newcomer},{PEOPLE}", "sAMAccountName", f"{newcomer}-now")
    now = (await directory.read([before.stable_id]))[before.stable_id]
    assert now.stable_id == before.stable_id
    assert now.login.reveal() == f"{newcomer}-now"
    assert await directory.find(newcomer) is None
    assert (await directory.check(f"{newcomer}-now", PASSWORD)).outcome is CredentialOutcome.ACCEPTED


async def test_a_person_who_is_removed_is_gone_and_a_new_one_of_that_name_is_somebody_else(
    samba: Samba, newcomer: str, directory: LdapDirectory
) -> None:
    before = await directory.find(newcomer)
    assert before is not None
    samba.delete(person(newcomer))
    assert await directory.read([before.stable_id]) == {}
    assert await directory.get(before.stable_id) is None
    samba.add_user(newcomer)
    after = await directory.find(newcomer)
    assert after is not None
    assert after.stable_id != before.stable_id
    assert await directory.read([before.stable_id]) == {}


async def test_what_an_administrator_does_shows_at_the_next_look(
    samba: Samba, newcomer: str, directory: LdapDirectory
) -> None:
    found = await directory.find(newcomer)
    assert found is not None

    async def state() -> EntryState:
        return (await directory.read([found.stable_id]))[found.stable_id].state

    samba.disable(newcomer)
    assert await state() is EntryState.DISABLED
    samba.enable(newcomer)
    assert await state() is EntryState.ACTIVE
    samba.expire(newcomer)
    assert await state() is EntryState.EXPIRED
    samba.expire(newcomer, at=time.time() + 3600)
    assert await state() is EntryState.ACTIVE
    samba.unexpire(newcomer)
    assert await state() is EntryState.ACTIVE
    samba.must_change(newcomer)
    assert await state() is EntryState.PASSWORD_CHANGE_REQUIRED
    samba.set_password(newcomer, PASSWORD)
    assert await state() is EntryState.ACTIVE
    samba.lock(newcomer)
    assert await state() is EntryState.LOCKED
    samba.unlock(newcomer)
    assert await state() is EntryState.ACTIVE


async def test_a_people_filter_of_the_settings_replaces_ours(
    samba: Samba, open_directory: OpenDirectory, directory: LdapDirectory
) -> None:
    enabled = open_directory(
        "active_directory", samba.ldaps_url, people_filter=f"(&(objectClass=user){NOT_DISABLED})"
    )
    assert await directory.find("disabled") is not None
    assert await enabled.find("disabled") is None
    assert await enabled.find("ada") is not None


async def test_the_whole_domain_as_base_works_in_spite_of_its_references(
    samba: Samba, open_directory: OpenDirectory
) -> None:
    directory = open_directory("active_directory", samba.ldaps_url, people_base=BASE)
    assert (await directory.check("ada", PASSWORD)).outcome is CredentialOutcome.ACCEPTED


async def test_a_base_that_is_not_there_is_no_empty_directory(
    samba: Samba, open_directory: OpenDirectory, directory: LdapDirectory
) -> None:
    found = await directory.find("ada")
    assert found is not None
    wrong = open_directory("active_directory", samba.ldaps_url, people_base=f"OU=Nobody,{BASE}")
    with pytest.raises(DirectoryUnavailable, match="result 32"):
        await wrong.read([found.stable_id])


async def test_who_is_listed_can_sign_in(directory: LdapDirectory) -> None:
    listed = {one.login.reveal() for one in await directory.list_entries(200)}
    assert {"ada", "bert", "carl", "dora", "odd", "robot"} <= listed
    assert listed.isdisjoint({"disabled", "expired", "locked", "mustchange", "Turngate"})


# --- the wire --------------------------------------------------------------------------------------------


@pytest.fixture
def link(samba: Samba, authority: Authority) -> LdapLink:
    opened = LdapLink(LdapServer(samba.address, 636, start_tls=False), verifying_context(authority.path), 5)
    opened.open()
    return opened


async def test_direct_and_nested_members_are_told_apart_by_the_server(link: LdapLink) -> None:
    with_rule = equals("memberOf", group_dn("outer"), "1.2.840.113556.1.4.1941")
    try:
        assert link.bind(SERVICE, SERVICE_PASSWORD.encode()).accepted
        names = ["sAMAccountName"]
        direct = link.search(PEOPLE, equals("memberOf", group_dn("outer")), names)
        nested = link.search(PEOPLE, with_rule, names)
        enabled = link.search(PEOPLE, f"(&(objectClass=user){NOT_DISABLED})", names)
        assert [one.text("sAMAccountName") for one in direct] == ["bert"]
        assert {one.text("sAMAccountName") for one in nested} == {"ada", "bert", "odd"}
        assert "disabled" not in {one.text("sAMAccountName") for one in enabled}
        assert link.search(GROUPS, "(objectClass=group)", names, limit=2, page=1)[1].text(names[0])
    finally:
        link.close()
