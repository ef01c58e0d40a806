"""Which groups people of an LDAP directory are in.

Entries carry the names of the groups that list them (`memberOf`), and so do groups in groups. Followed level
by level with one search for many groups, each group is read once, and circles end by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from auth.distinguished_name import DistinguishedNameError, distinguished_name_key
from auth.ldap_filter import IN_CHAIN, all_of, any_of, equals
from auth.ldap_link import LdapLink, LdapRecord
from auth.ldap_schema import LdapSchema

NAMES_PER_SEARCH = 50
MAX_PROBED_GROUPS = 20
ACTIVE_DIRECTORY = "1.2.840.113556.1.4.800"
"""LDAP_CAP_ACTIVE_DIRECTORY_OID, among the capabilities that a server tells."""


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    within: tuple[str, ...]
    """Distinguished names of the groups that list it."""


class GroupGraph:
    """The groups read so far, for people who are asked about at about the same time."""

    def __init__(self, schema: LdapSchema, base: str, *, nested: bool) -> None:
        self._schema = schema
        self._base = base
        self._nested = nested
        self._groups: dict[str, _Group | None] = {}
        """By distinguished name as the server spells it; None for what is no group below the base."""

    def read(self, link: LdapLink, names: Iterable[str]) -> None:
        """Know these groups, and with `nested` all that they are in. Raises what the link raises.

        What is known already is followed too: another thread may be in the middle of it.
        """
        level, seen = set(names), set[str]()
        while level:
            for some in _slices(sorted(name for name in level if name not in self._groups)):
                self._read_level(link, some)
            if not self._nested:
                return
            seen |= level
            found = [group for name in level if (group := self._groups[name]) is not None]
            level = {outer for group in found for outer in group.within} - seen

    def groups_of(self, names: Iterable[str]) -> frozenset[str]:
        """The names of these groups, which have been read, and with `nested` of all that they are in."""
        waiting, seen = list(names), set[str]()
        found = set[str]()
        while waiting:
            name = waiting.pop()
            group = self._groups[name]
            if name in seen or group is None:
                continue
            seen.add(name)
            found.add(group.name)
            if self._nested:
                waiting += group.within
        return frozenset(found)

    def _read_level(self, link: LdapLink, names: Sequence[str]) -> None:
        schema = self._schema
        wanted = any_of(equals(schema.dn_attribute, name) for name in names)
        records = link.search(
            self._base, all_of(schema.group_filter, wanted), (schema.group_name_attribute, "memberOf")
        )
        as_spelled = {record.dn: record for record in records}
        as_compared = {comparable(record.dn): record for record in records}
        for name in names:
            # We may hold two names for one that the server tells apart.
            record = as_spelled.get(name) or as_compared.get(comparable(name))
            self._groups[name] = _group(schema, record) if record is not None else None


def _group(schema: LdapSchema, record: LdapRecord) -> _Group | None:
    name = record.text(schema.group_name_attribute)
    return _Group(name, member_of(record)) if name is not None else None


def member_of(record: LdapRecord) -> tuple[str, ...]:
    """The distinguished names of the groups that list this entry."""
    return tuple(value.decode("utf-8", "replace") for value in record.all("memberOf"))


def in_chain(link: LdapLink, schema: LdapSchema, base: str, dn: str) -> frozenset[str]:
    """The names of all groups the entry is in, as the server follows them itself."""
    wanted = all_of(schema.group_filter, equals("member", dn, IN_CHAIN))
    records = link.search(base, wanted, (schema.group_name_attribute,))
    names = (record.text(schema.group_name_attribute) for record in records)
    return frozenset(name for name in names if name is not None)


def follows_chains(link: LdapLink, schema: LdapSchema, people_base: str, groups_base: str) -> bool:
    """Whether the server follows chains. One that does not answers that nobody is in any group, or names the
    direct groups alone, and no error: so it is asked about somebody who is known to be in a group within a
    group. Where there is nobody like that, its word is taken for what it is."""
    nested = all_of(schema.group_filter, "(memberOf=*)")
    for inner in link.search(groups_base, nested, ("memberOf",), limit=MAX_PROBED_GROUPS):
        members = link.search(people_base, equals("memberOf", inner.dn), (schema.id_attribute,), limit=1)
        for member in members:
            outer = GroupGraph(schema, groups_base, nested=False)
            outer.read(link, member_of(inner))
            if expected := outer.groups_of(member_of(inner)):
                return expected <= in_chain(link, schema, groups_base, member.dn)
    return ACTIVE_DIRECTORY.encode() in link.root().all("supportedCapabilities")


def comparable(name: str) -> object:
    """Equal for two spellings of one distinguished name."""
    try:
        return distinguished_name_key(name)
    except DistinguishedNameError:
        return name.casefold()


def _slices(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), NAMES_PER_SEARCH):
        yield names[start : start + NAMES_PER_SEARCH]
