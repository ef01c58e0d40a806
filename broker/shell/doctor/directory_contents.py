"""Contents: the questions about people and groups that one server of the directory is asked, over a link of
the service account. The answers are read as the product reads them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from auth.case_ignore import case_ignore_key
from auth.directory import DirectoryEntry, EntryState
from auth.ldap_filter import all_of, any_of, equals
from auth.ldap_groups import NAMES_PER_SEARCH, GroupGraph, comparable, follows_chains, in_chain, member_of
from auth.ldap_link import LdapLink, LdapRecord
from auth.ldap_people import MAX_LOGIN_CHARACTERS, LdapPeople
from auth.ldap_schema import schema_of
from broker.shell.doctor.directory_groups import GroupFacts, MembershipFacts, NestedFacts
from broker.shell.doctor.directory_people import DisabledFacts, LoginFacts, PeopleFacts
from config.ldap import LdapSettings

MAX_PEOPLE = 5000
MAX_GROUPS = 1000
MAX_DISABLED = 50
MAX_SAMPLE = 50
MAX_TRIED_PAIRS = 20
NOBODYS = frozenset[str]()

DISABLED = "(|(userAccountControl:1.2.840.113556.1.4.803:=2)(pwdAccountLockedTime=000001010000Z))"
"""Whom Active Directory, or OpenLDAP's password policy, calls disabled."""


class Questions:
    """Each raises what the link raises."""

    def __init__(self, link: LdapLink, kind: str, settings: LdapSettings) -> None:
        self.link = link
        self.mode = settings.nested_groups
        self._schema = schema_of(kind, settings)
        self._people = LdapPeople.configured(self._schema, settings)
        self._people_base, self._groups_base = self._people.base, settings.groups_base or ""

    def people(self) -> PeopleFacts:
        """Everybody, up to a number."""
        own, schema = self._people, self._schema
        records = self.link.search(own.base, own.filter_text, own.attributes, limit=MAX_PEOPLE)
        people = [self._person(record) for record in records]
        logins = Counter(case_ignore_key(one.login.reveal()) for one in people if one is not None)
        no_id = [record for record in records if schema.stable_id(record) is None]
        unusable = sum(one is None for one in people)
        return PeopleFacts(
            len(records),
            is_all=len(records) < MAX_PEOPLE,
            without_login=unusable - len(no_id),
            without_id=len(no_id),
            states=Counter(one.state for one in people if one is not None),
            logins_taken_twice=tuple(login for login, count in logins.items() if count > 1),
        )

    def disabled(self) -> DisabledFacts:
        """Some whom the server itself calls disabled, as we read them."""
        own = self._people
        wanted = all_of(own.filter_text, DISABLED)
        records = self.link.search(own.base, wanted, own.attributes, limit=MAX_DISABLED)
        people = [one for record in records if (one := self._person(record)) is not None]
        return DisabledFacts(len(people), sum(one.state is EntryState.DISABLED for one in people))

    def groups(self) -> GroupFacts:
        names = Counter(case_ignore_key(name) for one in self._groups if (name := self._name(one)))
        return GroupFacts(
            len(self._groups),
            is_all=len(self._groups) < MAX_GROUPS,
            names_taken_twice=tuple(name for name, count in names.items() if count > 1),
        )

    def membership(self) -> MembershipFacts:
        """Some people whom groups list: whether they name these groups."""
        pairs = [(member, group.dn) for group in self._groups for member in _members(group)[:3]][:MAX_SAMPLE]
        people = self._people_named(dict.fromkeys(member for member, _ in pairs))
        listed = [(people[key], group) for member, group in pairs if (key := comparable(member)) in people]
        named = [comparable(group) in map(comparable, member_of(person)) for person, group in listed]
        return MembershipFacts(len(listed), sum(named))

    def follows_chains(self) -> bool:
        return follows_chains(self.link, self._schema, self._people_base, self._groups_base)

    def nested(self) -> NestedFacts | None:
        """A group that another one lists, and whether somebody of the inner one is found in both."""
        for inner, outer in self._pairs():
            inner_name, outer_name = self._name(inner), self._name(outer)
            for person in self._people_named(_members(inner)[:MAX_SAMPLE]).values():
                if inner_name is not None and outer_name is not None:
                    return NestedFacts(inner_name, outer_name, outer_name in self._groups_of(person))
        return None

    def named(self, groups: Sequence[str]) -> dict[str, int | None]:
        """How many members each of these groups has; None for one that is not there."""
        name, found = self._schema.group_name_attribute, dict[str, int]()
        for start in range(0, len(groups), NAMES_PER_SEARCH):
            some = any_of(equals(name, group) for group in groups[start : start + NAMES_PER_SEARCH])
            wanted = all_of(self._schema.group_filter, some)
            for record in self.link.search(self._groups_base, wanted, (name, "member")):
                found[case_ignore_key(self._name(record) or "")] = len(_members(record))
        return {group: found.get(case_ignore_key(group)) for group in groups}

    def login(self, login: str) -> LoginFacts:
        """Who signs in by this name."""
        own = self._people
        if not login.strip() or len(login) > MAX_LOGIN_CHARACTERS:
            return LoginFacts(0, None)
        wanted = all_of(own.filter_text, equals(own.login_attribute, login))
        records = self.link.search(own.base, wanted, own.attributes, limit=2)
        people = [own.person(record, self._groups_of(record), time.time()) for record in records]
        return LoginFacts(len(records), people[0] if len(people) == 1 else None)

    # --- pieces of them -------------------------------------------------------------------------------------

    def _person(self, record: LdapRecord) -> DirectoryEntry | None:
        return self._people.person(record, NOBODYS, time.time())

    def _name(self, group: LdapRecord) -> str | None:
        return group.text(self._schema.group_name_attribute)

    @cached_property
    def _groups(self) -> Sequence[LdapRecord]:
        attributes = (self._schema.group_name_attribute, "member", "memberOf")
        return self.link.search(self._groups_base, self._schema.group_filter, attributes, limit=MAX_GROUPS)

    def _pairs(self) -> Iterator[tuple[LdapRecord, LdapRecord]]:
        """Some groups in groups, the inner one first."""
        groups = {comparable(group.dn): group for group in self._groups}
        pairs = (
            (groups[key], outer)
            for outer in self._groups
            for member in _members(outer)
            if (key := comparable(member)) in groups
        )
        for _, pair in zip(range(MAX_TRIED_PAIRS), pairs, strict=False):
            yield pair

    def _people_named(self, names: Iterable[str]) -> Mapping[object, LdapRecord]:
        """Those of these distinguished names that are people, by their comparable name."""
        wanted = [equals(self._schema.dn_attribute, name) for name in names]
        if not wanted:
            return {}
        found = all_of(self._people.filter_text, any_of(wanted))
        records = self.link.search(self._people_base, found, ("memberOf", self._people.login_attribute))
        return {comparable(record.dn): record for record in records}

    def _groups_of(self, person: LdapRecord) -> frozenset[str]:
        if self.mode == "chain":
            return in_chain(self.link, self._schema, self._groups_base, person.dn)
        graph = GroupGraph(self._schema, self._groups_base, nested=self.mode == "expand")
        graph.read(self.link, member_of(person))
        return graph.groups_of(member_of(person))


def _members(group: LdapRecord) -> Sequence[str]:
    return [value.decode("utf-8", "replace") for value in group.all("member")]
