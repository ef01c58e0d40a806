"""From an entry of an LDAP directory to a person."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from auth.directory import DirectoryEntry, EntryState
from auth.ldap_link import LdapRecord
from auth.ldap_people import (
    MAX_LOGIN_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_VALUE_CHARACTERS,
    LdapPeople,
)
from auth.ldap_schema import ActiveDirectory, OpenLdap

ID = UUID("00112233-4455-6677-8899-aabbccddeeff")
PEOPLE = LdapPeople(OpenLdap(), "dc=example", "(x=y)", "uid", "displayName", ("title", "ou"))


def record(**attributes: bytes | list[bytes] | None) -> LdapRecord:
    """Ada, but for these."""
    ada: dict[str, bytes | list[bytes] | None] = {
        "entryUUID": str(ID).encode(),
        "uid": b"ada",
        "cn": b"Ada",
        "displayName": b"Ada Byron",
    }
    held = {
        name.lower(): value if isinstance(value, list) else [value]
        for name, value in {**ada, **attributes}.items()
        if value is not None
    }
    return LdapRecord("uid=ada,dc=example", held)


def person(groups: frozenset[str] = frozenset(), **attributes: bytes | list[bytes] | None) -> DirectoryEntry:
    found = PEOPLE.person(record(**attributes), groups, 0)
    assert found is not None
    return found


def test_a_person_is_what_the_entry_says() -> None:
    found = person(frozenset({"staff"}), title=b"Analyst", ou=[b"b", b"a"])
    assert found.stable_id == str(ID)
    assert (found.login.reveal(), found.name.reveal()) == ("ada", "Ada Byron")
    assert found.attributes == (("ou", "a"), ("ou", "b"), ("title", "Analyst"))
    assert found.groups == {"staff"}
    assert found.state is EntryState.ACTIVE


def test_nothing_about_a_person_is_printed_by_accident() -> None:
    shown = repr(person(title=b"Analyst")) + repr(record())
    assert not any(word in shown for word in ("ada", "Ada", "Byron", "Analyst"))


@pytest.mark.parametrize(
    "attributes",
    [
        {"entryUUID": None},
        {"entryUUID": b""},
        {"entryUUID": b"not a uuid"},
        {"entryUUID": b"\xff"},
        {"uid": None},
        {"uid": b""},
        {"uid": b" \t"},
        {"uid": b"\xff"},
        {"uid": b"a\0da"},
        {"uid": b"ada\n"},
        {"uid": "a\u2028da".encode()},
        {"uid": b"x" * (MAX_LOGIN_CHARACTERS + 1)},
    ],
)
def test_an_entry_without_an_id_or_a_login_that_could_be_shown_is_nobody(
    attributes: dict[str, bytes | None],
) -> None:
    assert PEOPLE.person(record(**attributes), frozenset(), 0) is None


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"displayName": None}, "Ada"),
        ({"displayName": b""}, "Ada"),
        ({"displayName": b"\xff"}, "Ada"),
        ({"displayName": None, "cn": None}, "ada"),
        ({"displayName": b"\x1b\x07"}, "ada"),
        ({"displayName": b"Ada\r\n\x1b[31mred"}, "Ada [31mred"),
        ({"displayName": b"  Ada   Byron "}, "Ada Byron"),
        ({"displayName": b"x" * 1000}, "x" * MAX_NAME_CHARACTERS),
    ],
)
def test_there_is_always_a_name_that_can_be_shown(attributes: dict[str, bytes | None], name: str) -> None:
    assert person(frozenset(), **attributes).name.reveal() == name


def test_of_the_attributes_of_policy_only_plain_text_counts() -> None:
    long = b"x" * (MAX_VALUE_CHARACTERS + 1)
    assert person(title=[b"\xff\xfe", b"a\nb", long, b"plain"], mail=b"a@b").attributes == (
        ("title", "plain"),
    )


def test_the_version_changes_with_whatever_changes() -> None:
    versions = [
        person().version,
        person(frozenset({"staff"})).version,
        person(frozenset({"staff", "other"})).version,
        person(uid=b"ada2").version,
        person(displayName=b"Ada King").version,
        person(title=b"Analyst").version,
        person(ou=b"Analyst").version,
        person(pwdReset=b"TRUE").version,
        person(pwdChangedTime=b"20260101000000Z").version,
        person(pwdChangedTime=b"20260101000001Z").version,
        person(entryUUID=str(replace_last(ID)).encode()).version,
    ]
    assert len(set(versions)) == len(versions)
    assert person(ou=[b"a", b"b"]).version == person(ou=[b"b", b"a"]).version


def replace_last(one: UUID) -> UUID:
    return UUID(int=one.int ^ 1)


def test_no_password_is_asked_for_and_every_attribute_once() -> None:
    for schema in (OpenLdap(), ActiveDirectory()):
        asked = replace(PEOPLE, schema=schema).attributes
        assert len({name.lower() for name in asked}) == len(asked)
        assert not {"userpassword", "unicodepwd", "*", "+"} & {name.lower() for name in asked}


@pytest.mark.parametrize("login", ["ada", "ADA", " ada ", "ａｄａ"])  # noqa: RUF001
def test_a_login_is_compared_as_the_throttle_counts_it(login: str) -> None:
    assert PEOPLE.goes_by(record(), login)


@pytest.mark.parametrize("login", ["", "ada\0", "ada\0\0", "ad", "a da", "á", "adá", "*", "ada*"])
def test_what_the_throttle_counts_apart_is_another_login_whatever_the_server_holds(login: str) -> None:
    assert not PEOPLE.goes_by(record(), login)


def test_of_several_logins_the_first_counts_or_each_would_have_guesses_of_its_own() -> None:
    both = record(uid=[b"ada", b"byron"])
    assert PEOPLE.goes_by(both, "ada")
    assert not PEOPLE.goes_by(both, "byron")


@pytest.mark.parametrize("values", [None, [b"\xff", b"ada"], [b"x" * 100_000, b"ada"]])
def test_who_has_no_login_that_could_be_shown_goes_by_none(values: list[bytes] | None) -> None:
    assert not PEOPLE.goes_by(record(uid=values), "ada")
