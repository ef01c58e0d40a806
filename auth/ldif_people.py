"""What an LDIF file says about people: inetOrgPerson and groupOfNames entries turned into directory
entries."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from auth.case_ignore import case_ignore_key
from auth.control_characters import has_control_characters
from auth.directory import DirectoryEntry, EntryState
from auth.distinguished_name import DistinguishedNameError, DistinguishedNameKey, distinguished_name_key
from auth.ldif_groups import GroupMembership, LdifGroup
from auth.ldif_records import LdifError, LdifRecord, LdifValue, parse_ldif
from auth.password_hash import PasswordHash, PasswordHashError, parse_user_password
from auth.personal import Personal

_Key = TypeVar("_Key")

MAX_LOGIN_CHARACTERS = 256
MAX_NAME_CHARACTERS = 256

_CONTAINERS = {"country", "dcobject", "domain", "locality", "organization", "organizationalunit"}
_ENTRY_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_BOOLEANS = {"TRUE": True, "FALSE": False}
# Attributes that hold passwords, hashed or not, under the names that common directory exports use.
_SECRET_ATTRIBUTE = re.compile(r"password|pwd|secret|krbprincipalkey|sambanthash|olcrootpw", re.IGNORECASE)
# They would end an account at a date, and this directory has no clock: reading over them would let people in.
_EXPIRY_ATTRIBUTES = {
    "pwdstarttime",
    "pwdendtime",
    "shadowexpire",
    "krbprincipalexpiration",
    "accountexpires",
}


@dataclass(frozen=True, slots=True)
class LdifPerson:
    entry: DirectoryEntry
    password: PasswordHash | None = field(repr=False)
    """None: the person is known but cannot sign in."""


@dataclass(frozen=True, slots=True)
class LdifContent:
    """Everyone in the file, ready to be looked up. Prints without the people."""

    by_login: Mapping[str, LdifPerson] = field(repr=False)
    """By `case_ignore_key` of the login."""
    by_stable_id: Mapping[str, LdifPerson] = field(repr=False)
    active: Sequence[DirectoryEntry] = field(repr=False)
    """Sorted by name as people read it, then by stable id."""
    decoy: PasswordHash | None = field(repr=False)
    """Matches nothing and costs what most passwords of the file cost; None when the file has no password."""


def read_people(data: bytes) -> LdifContent:
    """Raises LdifError and nothing else."""
    attributes_of = [_Attributes(record) for record in parse_ldif(data)]
    lines: dict[DistinguishedNameKey, int] = {}
    for attributes in attributes_of:
        _unique(lines, attributes.key, attributes.line_number, "dn")
    kinds = [(attributes, attributes.kind()) for attributes in attributes_of]
    membership = GroupMembership((_group(item) for item, kind in kinds if kind == "groupofnames"), lines)
    return _content((item for item, kind in kinds if kind == "inetorgperson"), membership)


class _Attributes:
    """A record by attribute: lower-case name without options, then the values."""

    def __init__(self, record: LdifRecord) -> None:
        self.line_number = record.line_number
        self.key = _key(record.line_number, record.dn)
        self.all = record.values
        self._by_name: dict[str, list[LdifValue]] = {}
        for value in record.values:
            self._by_name.setdefault(value.name.lower(), []).append(value)

    def values(self, name: str) -> Sequence[LdifValue]:
        return self._by_name.get(name.lower(), ())

    def one(self, name: str) -> LdifValue | None:
        values = self.values(name)
        if len(values) > 1:
            raise LdifError(values[1].line_number, f"a second {name}")
        return values[0] if values else None

    def required(self, name: str, max_characters: int) -> tuple[int, str]:
        """Line number and text of the single value, which is more than spaces."""
        value = self.one(name)
        if value is None:
            raise LdifError(self.line_number, f"the entry has no {name}")
        return value.line_number, _short_text(value, max_characters)

    def flag(self, name: str) -> bool:
        value = self.one(name)
        if value is None:
            return False
        try:
            return _BOOLEANS[value.text().upper()]
        except KeyError:
            raise LdifError(value.line_number, f"{name} is neither TRUE nor FALSE") from None

    def kind(self) -> str:
        """Structural class, lower case. An entry of a class that is not understood is refused: a group in
        another form must not vanish quietly."""
        classes = {value.text().lower() for value in self.values("objectClass")}
        kinds = classes & {"inetorgperson", "groupofnames"}
        if len(kinds) > 1:
            raise LdifError(self.line_number, "the entry is a person and a group at once")
        if not kinds and not classes & _CONTAINERS:
            raise LdifError(
                self.line_number,
                "objectClass has none of inetOrgPerson, groupOfNames, organizationalUnit, domain",
            )
        return kinds.pop() if kinds else ""


def _group(attributes: _Attributes) -> LdifGroup:
    _, name = attributes.required("cn", MAX_NAME_CHARACTERS)
    members = tuple(
        (value.line_number, _key(value.line_number, value.text())) for value in attributes.values("member")
    )
    return LdifGroup(attributes.line_number, attributes.key, name, members)


def _content(people: Iterable[_Attributes], membership: GroupMembership) -> LdifContent:
    by_login: dict[str, LdifPerson] = {}
    by_stable_id: dict[str, LdifPerson] = {}
    login_lines: dict[str, int] = {}
    id_lines: dict[str, int] = {}
    for attributes in people:
        login_line, login = attributes.required("uid", MAX_LOGIN_CHARACTERS)
        _unique(login_lines, case_ignore_key(login), login_line, "uid")
        id_line, entry_uuid = attributes.required("entryUUID", 36)
        if not _ENTRY_UUID.fullmatch(entry_uuid):
            raise LdifError(id_line, "entryUUID is no UUID")
        stable_id = entry_uuid.lower()
        _unique(id_lines, stable_id, id_line, "entryUUID")
        person = _person(attributes, login, stable_id, membership.names(attributes.key))
        by_login[case_ignore_key(login)] = by_stable_id[stable_id] = person
    active = [person.entry for person in by_login.values() if person.entry.state is EntryState.ACTIVE]
    active.sort(key=lambda entry: (case_ignore_key(entry.name.reveal()), entry.stable_id))
    hashes = [person.password for person in by_login.values() if person.password]
    return LdifContent(by_login, by_stable_id, active, _decoy(hashes))


def _decoy(hashes: Sequence[PasswordHash]) -> PasswordHash | None:
    by_cost = {stored.cost: stored for stored in hashes}
    usual = Counter(stored.cost for stored in hashes).most_common(1)
    return by_cost[usual[0][0]].decoy() if usual else None


def _person(attributes: _Attributes, login: str, stable_id: str, groups: frozenset[str]) -> LdifPerson:
    stored = attributes.one("userPassword")
    try:
        password = parse_user_password(stored.text()) if stored else None
    except PasswordHashError as error:
        raise LdifError(stored.line_number if stored else 0, str(error)) from None
    name = _name(attributes)
    state = _state(attributes)
    visible = tuple(sorted(set(_visible(attributes))))
    # The password is part of the version, so that whoever holds a session under an old password is looked at
    # again.
    said = [stable_id, login, name, visible, sorted(groups), state, password.encoded if password else None]
    version = hashlib.sha256(json.dumps(said).encode("ascii")).hexdigest()
    entry = DirectoryEntry(stable_id, Personal(login), Personal(name), visible, groups, state, version)
    return LdifPerson(entry, password)


def _name(attributes: _Attributes) -> str:
    if attributes.values("displayName"):
        return attributes.required("displayName", MAX_NAME_CHARACTERS)[1]
    names = attributes.values("cn")
    if not names:
        raise LdifError(attributes.line_number, "the entry has neither displayName nor cn")
    return _short_text(names[0], MAX_NAME_CHARACTERS)


def _state(attributes: _Attributes) -> EntryState:
    for value in attributes.all:
        if value.name.lower() in _EXPIRY_ATTRIBUTES:
            raise LdifError(value.line_number, f"{value.name} is not understood here: use loginDisabled")
    must_change = attributes.flag("pwdReset")
    if attributes.flag("loginDisabled"):
        return EntryState.DISABLED
    if attributes.values("pwdAccountLockedTime"):
        return EntryState.LOCKED
    return EntryState.PASSWORD_CHANGE_REQUIRED if must_change else EntryState.ACTIVE


def _visible(attributes: _Attributes) -> Iterable[tuple[str, str]]:
    """What policy may look at: neither secrets nor anything that is not plain text."""
    for value in attributes.all:
        if _SECRET_ATTRIBUTE.search(value.name) or value.name.lower().endswith(";binary"):
            continue
        try:
            text = value.value.decode("utf-8")
        except UnicodeDecodeError:
            continue
        if not has_control_characters(text):
            yield value.name, text


def _short_text(value: LdifValue, max_characters: int) -> str:
    text = value.text()
    if not text.strip() or len(text) > max_characters:
        raise LdifError(value.line_number, f"{value.name} has not 1 to {max_characters} characters")
    return text


def _key(line_number: int, name: str) -> DistinguishedNameKey:
    try:
        return distinguished_name_key(name)
    except DistinguishedNameError as error:
        raise LdifError(line_number, str(error)) from None


def _unique(lines: dict[_Key, int], key: _Key, line_number: int, what: str) -> None:
    if key in lines:
        raise LdifError(line_number, f"line {lines[key]} has this {what} already")
    lines[key] = line_number
