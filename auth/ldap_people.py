"""From an entry of an LDAP directory to a person."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from auth.case_ignore import case_ignore_key
from auth.control_characters import has_control_characters, without_control_characters
from auth.directory import DirectoryEntry
from auth.ldap_link import LdapRecord
from auth.ldap_schema import LdapSchema
from auth.personal import Personal
from config.ldap import LdapSettings

MAX_LOGIN_CHARACTERS = 256
MAX_NAME_CHARACTERS = 256
MAX_VALUE_CHARACTERS = 1024


@dataclass(frozen=True, slots=True)
class LdapPeople:
    """How people are read; `filter_text` is what an entry must match to be one."""

    schema: LdapSchema
    base: str
    filter_text: str
    login_attribute: str
    name_attribute: str
    policy_attributes: Sequence[str]

    @staticmethod
    def configured(schema: LdapSchema, settings: LdapSettings) -> LdapPeople:
        """As the settings have it."""
        return LdapPeople(
            schema,
            settings.people_base or "",
            settings.people_filter or schema.people_filter,
            settings.login_attribute or schema.login_attribute,
            settings.name_attribute,
            settings.policy_attributes,
        )

    @property
    def attributes(self) -> list[str]:
        """All that is read of an entry."""
        own = ("cn", "memberOf", self.schema.id_attribute, self.login_attribute, self.name_attribute)
        return sorted({*own, *self.schema.state_attributes, *self.policy_attributes}, key=str.lower)

    def goes_by(self, record: LdapRecord, login: str) -> bool:
        """Whether that is the login of the entry as we compare them: the first where it has several, for each
        would have guesses of its own, and the directory counts them together. Servers find more: Samba reads
        a value up to its first NUL."""
        own = record.text(self.login_attribute)
        if own is None or len(own) > MAX_LOGIN_CHARACTERS:
            return False
        return case_ignore_key(own) == case_ignore_key(login)

    def person(
        self, record: LdapRecord, groups: frozenset[str], now_unix_seconds: float
    ) -> DirectoryEntry | None:
        """The person; None for an entry without an id or a login that could be shown."""
        stable_id = self.schema.stable_id(record)
        login = record.text(self.login_attribute)
        if stable_id is None or login is None or len(login) > MAX_LOGIN_CHARACTERS:
            return None
        if not login.strip() or has_control_characters(login):
            return None
        name = _shown(record.text(self.name_attribute) or record.text("cn") or login) or login
        visible = tuple(sorted(set(self._visible(record))))
        state = self.schema.state(record, now_unix_seconds)
        raw = [[value.hex() for value in record.all(each)] for each in self.schema.state_attributes]
        said = [stable_id, login, name, visible, sorted(groups), state, raw]
        version = hashlib.sha256(json.dumps(said).encode("ascii")).hexdigest()
        return DirectoryEntry(stable_id, Personal(login), Personal(name), visible, groups, state, version)

    def _visible(self, record: LdapRecord) -> list[tuple[str, str]]:
        """What policy may look at, where it is plain text."""
        found = []
        for attribute in self.policy_attributes:
            for value in record.all(attribute):
                try:
                    text = value.decode("utf-8")
                except UnicodeDecodeError:
                    continue
                if len(text) <= MAX_VALUE_CHARACTERS and not has_control_characters(text):
                    found.append((attribute, text))
        return found


def _shown(name: str) -> str:
    """The name without what a terminal or a page could take for something else."""
    return " ".join(without_control_characters(name).split())[:MAX_NAME_CHARACTERS]
