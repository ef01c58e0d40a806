"""What is asked of LDAP servers and what they say, whatever the text and the bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from ldap3.operation.search import compile_filter, parse_filter
from ldap3.utils.asn1 import encode  # type: ignore[attr-defined]

from auth.directory import EntryState
from auth.ldap_filter import IN_CHAIN, all_of, any_of, equals
from auth.ldap_link import BindResult, LdapRecord
from auth.ldap_people import LdapPeople
from auth.ldap_schema import ActiveDirectory, LdapSchema, OpenLdap
from config.search_filter import search_filter
from tests.directories import ber

AND, OR, NOT, EQUALS, EXTENSIBLE = 0xA0, 0xA1, 0xA2, 0xA3, 0xA9

Tree = tuple[Any, ...]
"""An operator and those it joins, or attribute, value and matching rule."""

hostile = st.text(st.sampled_from("()*\\\0&|!=~<>: \t\n,+\"#;/'aé\udc80\U0001f600"), max_size=30)
values = st.one_of(st.text(max_size=30), hostile, st.binary(max_size=30))
attributes = st.sampled_from(["uid", "memberOf", "objectGUID", "sAMAccountName"])
rules = st.sampled_from(["", IN_CHAIN])
leaves = st.tuples(attributes, values, rules)
trees = st.recursive(
    leaves, lambda inner: st.tuples(st.sampled_from([AND, OR]), st.lists(inner, min_size=1, max_size=4))
)


def sent(text: str) -> bytes:
    """The filter as ldap3 writes it into a search, with the settings of our links."""
    root = parse_filter(text, None, True, True, None, False)  # type: ignore[no-untyped-call]
    return bytes(encode(compile_filter(root.elements[0])))  # type: ignore[no-untyped-call]


def received(encoded: bytes) -> Tree:
    """As a server reads it."""
    ((tag, body),) = ber.elements(encoded)
    return _tree(tag, body)


def _tree(tag: int, body: bytes) -> Tree:
    parts = list(ber.elements(body))
    if tag in (AND, OR, NOT):
        return tag, tuple(_tree(*part) for part in parts)
    if tag == EQUALS:
        (_, name), (_, value) = parts
        return name.decode(), value, ""
    assert tag == EXTENSIBLE
    named = dict(parts)
    assert named.get(0x84, b"\0") == b"\0"
    return named[0x82].decode(), named[0x83], named.get(0x81, b"").decode()


def written(tree: Tree) -> str:
    if isinstance(tree[0], int):
        parts = [written(part) for part in tree[1]]
        return all_of(*parts) if tree[0] == AND else any_of(parts)
    name, value, rule = tree
    return equals(name, value, rule)


def expected(tree: Tree) -> Tree:
    if isinstance(tree[0], int):
        return tree[0], tuple(expected(part) for part in tree[1])
    name, value, rule = tree
    raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return name, raw, rule


@given(trees)
@example((AND, [("uid", "*", ""), ("uid", ")(uid=*", ""), (OR, [("memberOf", "cn=\\2a,\0", IN_CHAIN)])]))
@example(("uid", " \\ ", ""))
@example(("uid", b"\\2a", IN_CHAIN))
def test_a_server_receives_the_structure_we_mean_and_exactly_the_bytes_of_the_values(
    tree: Tree,
) -> None:
    assert received(sent(written(tree))) == expected(tree)


@given(values)
def test_a_filter_of_ours_is_plain_text_that_no_parser_can_misread(value: str | bytes) -> None:
    text = equals("uid", value)
    assert text.isascii()
    assert text.isprintable()
    assert search_filter(text) == text


# --- filters of the settings -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Spelled:
    text: str
    means: Tree


names = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,5}(;[a-z-]{1,4})?", fullmatch=True).filter(
    lambda name: name.lower() != "dn"
)
plain = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="()*\\"), max_size=12
).filter(lambda text: text == text.strip())
items = st.one_of(
    st.builds(lambda name, text: Spelled(f"({name}={text})", (name, text.encode(), "")), names, plain),
    st.builds(
        lambda name, raw: Spelled(f"({name}={''.join(f'{chr(92)}{b:02X}' for b in raw)})", (name, raw, "")),
        names,
        st.binary(max_size=8),
    ),
    st.builds(
        lambda name, text: Spelled(f"({name}:1.2.3:={text})", (name, text.encode(), "1.2.3")), names, plain
    ),
)


def _joined(operator: str, tag: int, parts: list[Spelled]) -> Spelled:
    text = "".join(part.text for part in parts)
    return Spelled(f"({operator}{text})", (tag, tuple(part.means for part in parts)))


spelled = st.recursive(
    items,
    lambda inner: st.one_of(
        st.builds(lambda parts: _joined("&", AND, parts), st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: _joined("|", OR, parts), st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: _joined("!", NOT, [part]), inner),
    ),
    max_leaves=6,
)


@given(spelled, values)
def test_a_filter_of_the_settings_reaches_the_server_as_it_is_meant_and_beside_our_own(
    one: Spelled, login: str | bytes
) -> None:
    if one.text.count("(") > 7:  # perhaps nested deeper than is accepted
        return
    assert search_filter(one.text) == one.text
    assert received(sent(one.text)) == one.means
    raw = login.encode("utf-8", "surrogatepass") if isinstance(login, str) else login
    both = received(sent(all_of(one.text, equals("uid", login))))
    assert both == (AND, (one.means, ("uid", raw, "")))


@given(st.text(st.sampled_from("()&|!=*\\:~<>a2 \n;."), max_size=16))
def test_whatever_the_settings_accept_the_library_can_send_and_ours_stays_beside_it(text: str) -> None:
    try:
        search_filter(text)
    except ValueError as refused:
        assert re.search(r"at character [0-9]+: ", str(refused))
        return
    if text:
        ((tag, body),) = ber.elements(sent(all_of(text, equals("uid", "ada"))))
        *_, ours = parts = list(ber.elements(body))
        assert (tag, len(parts)) == (AND, 2)
        assert _tree(*ours) == ("uid", b"ada", "")


# --- records ---------------------------------------------------------------------------------------------

SCHEMAS: tuple[LdapSchema, ...] = (OpenLdap(), OpenLdap(900), ActiveDirectory())
KNOWN = sorted({name for schema in SCHEMAS for name in (*schema.state_attributes, schema.id_attribute)})
telling = st.sampled_from(
    [
        b"",
        b"0",
        b"1",
        b"2",
        b"512",
        b"514",
        b"-1",
        b"9223372036854775807",
        b"9" * 400,
        b"TRUE",
        b"FALSE",
        b"20260101000000Z",
        b"000001010000Z",
        b"99991231235959Z",
        b"00112233-4455-6677-8899-aabbccddeeff",
        b"0" * 16,
        b"\xff" * 16,
        b"ada",
        b"\x1b[0m",
        b"\xc3",
    ]
)
texts = st.one_of(telling, st.binary(max_size=20), st.text(max_size=20).map(lambda text: text.encode()))
records = st.dictionaries(
    st.sampled_from(
        [name.lower() for name in (*KNOWN, "uid", "sAMAccountName", "cn", "displayName", "title")]
    ),
    st.lists(texts, max_size=3),
).map(lambda held: LdapRecord("cn=somebody", held))
moments = st.floats(allow_nan=False, allow_infinity=False)


@given(records, moments)
def test_any_record_is_a_person_or_nobody(record: LdapRecord, now: float) -> None:
    for schema in SCHEMAS:
        people = LdapPeople(schema, "dc=x", "(x=y)", schema.login_attribute, "displayName", ("title", "cn"))
        found = people.person(record, frozenset({"staff"}), now)
        if found is None:
            continue
        assert found.stable_id == schema.stable_id(record)
        assert found.state is schema.state(record, now)
        assert people.goes_by(record, found.login.reveal())
        assert found.name.reveal()
        again = people.person(record, frozenset({"staff"}), now)
        assert again == found


@given(records, moments)
def test_nobody_is_active_by_what_is_not_understood(record: LdapRecord, now: float) -> None:
    integer, times = rb"-?[0-9]{1,20}", rb"[0-9]{10,14}([.,][0-9]+)?(Z|[+-][0-9]{2,4})"
    forms = {
        "useraccountcontrol": integer,
        "msds-user-account-control-computed": integer,
        "accountexpires": integer,
        "pwdlastset": integer,
        "shadowexpire": integer,
        "pwdaccountlockedtime": times,
        "pwdstarttime": times,
        "pwdendtime": times,
        "pwdreset": rb"(?i:true|false)",
    }
    for schema in SCHEMAS:
        state = schema.state(record, now)
        held = {name.lower(): record.first(name) for name in schema.state_attributes}
        understood = all(
            re.fullmatch(forms[name], value)
            for name, value in held.items()
            if value is not None and name in forms
        )
        assert understood or state is EntryState.DISABLED


@given(st.integers(), st.text())
def test_any_refusal_has_a_plain_code(code: int, diagnostic: str) -> None:
    for schema in SCHEMAS:
        told, was_right = schema.refusal(BindResult(code, diagnostic))
        assert re.fullmatch(r"ad_[0-9a-f]{3,4}|result_-?[0-9]+", told)
        assert not was_right or told.startswith("ad_")
