"""What [ldap] accepts, refuses and normalises."""

from __future__ import annotations

import pytest

from config.errors import ConfigurationErrors
from config.ldap import LdapSettings
from config.loading import load_settings
from config.search_filter import MAX_DEPTH, search_filter


def ldap(*flags: str) -> LdapSettings:
    return load_settings(None, {}, [f"ldap.{flag}" for flag in flags]).ldap


def refusal(*flags: str) -> str:
    with pytest.raises(ConfigurationErrors) as raised:
        ldap(*flags)
    return str(raised.value)


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("ldaps://dc1.example.org", "ldaps://dc1.example.org:636"),
        ("LDAPS://DC1.Example.org/", "ldaps://dc1.example.org:636"),
        ("ldap://dc1.example.org", "ldap://dc1.example.org:389"),
        ("ldaps://dc1.example.org:3269", "ldaps://dc1.example.org:3269"),
        ("ldaps://192.0.2.1", "ldaps://192.0.2.1:636"),
        ("ldaps://[2001:DB8:0::1]", "ldaps://[2001:db8::1]:636"),
        ("ldap://[::1]:1389", "ldap://[::1]:1389"),
    ],
)
def test_a_server_is_a_scheme_a_host_and_perhaps_a_port(url: str, normal: str) -> None:
    assert ldap(f'servers=["{url}"]').servers == (normal,)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "dc1.example.org",
        "ldaps:dc1.example.org",
        "ldapi://%2Ftmp%2Fldapi",
        "https://dc1.example.org",
        "ldaps://",
        "ldaps://:636",
        "ldaps://dc1.example.org:0",
        "ldaps://dc1.example.org:65536",
        "ldaps://dc1.example.org:-1",
        "ldaps://dc1.example.org:six",
        "ldaps://dc1.example.org:6\uff136",
        "ldaps://user@dc1.example.org",
        "ldaps://user:secret@dc1.example.org",
        "ldaps://@dc1.example.org",
        "ldaps://dc1.example.org/dc=example",
        "ldaps://dc1.example.org/?uid",
        "ldaps://dc1.example.org#here",
        "ldaps://dc1 example.org",
        "ldaps://dc1.example.org,dc2.example.org",
        "ldaps://[::1",
        "ldaps://[dc1.example.org]",
        "ldaps://2001:db8::1",
        "ldaps://300.300.300.300",
        "ldaps://0.0.0.0",
    ],
)
def test_a_server_is_nothing_else(url: str) -> None:
    assert refusal(f'servers=["{url}"]').startswith("--set: ldap.servers")


def test_no_secret_that_was_put_into_a_url_is_told() -> None:
    assert "hunter2" not in refusal('servers=["ldaps://user:hunter2@dc1.example.org"]')


@pytest.mark.parametrize(
    "servers",
    [
        '["ldaps://dc1.example.org", "ldaps://DC1.example.org:636"]',
        '["ldaps://dc1.example.org:636", "ldap://dc1.example.org:636"]',
    ],
)
def test_no_server_is_named_twice(servers: str) -> None:
    assert "names one server twice" in refusal(f"servers={servers}")


@pytest.mark.parametrize("attribute", ["uid", "sAMAccountName", "x-login", "a"])
def test_an_attribute_is_a_name(attribute: str) -> None:
    assert ldap(f"login_attribute={attribute}").login_attribute == attribute


@pytest.mark.parametrize(
    "attribute", ["", "uid;lang-de", "1.2.3", "-uid", "uid)(x=y", "uid=", "*", "ü", "uid\n"]
)
def test_an_attribute_is_nothing_else(attribute: str) -> None:
    assert refusal(f"login_attribute={attribute}").startswith("--set: ldap.login_attribute")
    assert "ldap.policy_attributes" in refusal(f'policy_attributes=["{attribute!s}"]'.replace("\n", "\\n"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "(objectClass=person)",
        "(mail=*)",
        "(cn=a*b*c)",
        "(cn=*a)",
        "(cn=)",
        "(cn=Müller)",
        r"(cn=\28odd\29\2a\20)",
        "(cn~=ada)",
        "(uidNumber>=1000)",
        "(uidNumber<=1000)",
        "(cn;lang-de=ada)",
        "(2.5.4.3=ada)",
        "(cn:=ada)",
        "(cn:dn:=ada)",
        "(cn:caseExactMatch:=ada)",
        "(:dn:2.5.13.5:=ada)",
        "(!(userAccountControl:1.2.840.113556.1.4.803:=2))",
        "(&(objectClass=person)(|(l=Rome)(l=Oslo))(!(cn=x)))",
        "(memberOf:1.2.840.113556.1.4.1941:=cn=staff,dc=example)",
    ],
)
def test_a_filter_is_one_of_rfc_4515(text: str) -> None:
    assert ldap(f"people_filter={text}").people_filter == text


@pytest.mark.parametrize(
    ("text", "character"),
    [
        ("objectClass=person", 1),
        ("(!userAccountControl:1.2.840.113556.1.4.803:=2)", 3),
        ("(!(a=b)(c=d))", 8),
        ("(!)", 3),
        ("(&)", 3),
        ("()", 2),
        ("((a=b))", 2),
        ("(a=b)(c=d)", 6),
        ("(a=b))(|(c=d)", 6),
        ("(a=b", 2),
        ("(&(a=b)", 8),
        ("(a=b))", 6),
        ("(=b)", 2),
        ("(a b=c)", 2),
        ("(a=b(c)", 2),
        (r"(a=\2)", 2),
        ("(a=**)", 2),
        ("(a= b)", 2),
        ("(a=b )", 2),
        ("(a>= b)", 2),
        ("(a:=b )", 2),
        ("(a>=*)", 2),
        ("(a:=b*)", 2),
        ("(a=b)\n", 6),
        ("(a=b\0)", 2),
        (" (a=b)", 1),
        ("(!" * MAX_DEPTH + "(a=b)" + ")" * MAX_DEPTH, 2 * MAX_DEPTH + 1),
    ],
)
def test_another_filter_is_refused_where_it_goes_wrong(text: str, character: int) -> None:
    with pytest.raises(ValueError, match=f"at character {character}:"):
        search_filter(text)


def test_a_bit_test_without_its_own_parentheses_is_told_before_any_server_is_asked() -> None:
    told = refusal("people_filter=(!userAccountControl:1.2.840.113556.1.4.803:=2)")
    assert told == (
        "--set: ldap.people_filter: must be a search filter such as (objectClass=person); "
        "at character 3: a filter in parentheses is expected"
    )


def test_a_long_filter_is_read_in_no_time() -> None:
    for text in ("(a=" + "b" * 4000 + "(", "(a=" + "*b" * 2000 + "(", "(&" * 2000, r"(a=" + r"\2" * 2000):
        with pytest.raises(ValueError, match="at character"):
            search_filter(text)
