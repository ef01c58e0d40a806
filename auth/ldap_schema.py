"""What OpenLDAP and Active Directory call things, and what they say about the state of an account."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from auth.directory import EntryState
from auth.ldap_filter import equals
from auth.ldap_link import BindResult, LdapRecord

_FILETIME_EPOCH_SECONDS = 11_644_473_600  # 1601 to 1970
_FILETIME_PER_SECOND = 10_000_000
_NEVER = (0, 0x7FFFFFFFFFFFFFFF)
_DISABLED = 0x2
_LOCKED = 0x10
_PASSWORD_EXPIRED = 0x800000
_DATA_CODE = re.compile(r"\bdata ([0-9a-f]{3,4})\b")
_LOCKED_BY_HAND = b"000001010000Z"
_SECONDS_PER_DAY = 86400


class LdapSchema(Protocol):
    """One kind of directory. Attribute names are as in a search; records have them in lower case."""

    people_filter: str
    login_attribute: str
    id_attribute: str
    dn_attribute: str
    """The attribute in which an entry's distinguished name can be searched for."""
    group_filter: str
    group_name_attribute: str
    state_attributes: Sequence[str]
    """What `state` looks at, and when the password was changed."""

    def stable_id(self, record: LdapRecord) -> str | None:
        """The entry's id for ever; None where it has none that we could look for again."""

    def id_filter(self, stable_id: UUID) -> str:
        """Finds the entry of this id."""

    def state(self, record: LdapRecord, now_unix_seconds: float) -> EntryState:
        """Disabled counts before expired, expired before locked, locked before a due change of password. A
        value that is not understood disables."""

    def refusal(self, result: BindResult) -> tuple[str, bool]:
        """Of a bind that is refused: a code for the log, and whether the password was right."""


class OpenLdap:
    """inetOrgPerson entries, and the password policy overlay where there is one (slapo-ppolicy)."""

    people_filter = "(objectClass=inetOrgPerson)"
    login_attribute = "uid"
    id_attribute = "entryUUID"
    dn_attribute = "entryDN"
    group_filter = "(objectClass=groupOfNames)"
    group_name_attribute = "cn"
    state_attributes: Sequence[str] = (
        "pwdAccountLockedTime",
        "pwdStartTime",
        "pwdEndTime",
        "pwdReset",
        "shadowExpire",
        "pwdChangedTime",
    )

    def stable_id(self, record: LdapRecord) -> str | None:
        text = record.text(self.id_attribute)
        try:
            return str(UUID(text)) if text else None
        except ValueError:
            return None

    def id_filter(self, stable_id: UUID) -> str:
        return equals(self.id_attribute, str(stable_id))

    def state(self, record: LdapRecord, now_unix_seconds: float) -> EntryState:
        locked = record.first("pwdAccountLockedTime")
        try:
            starts = _generalized_time(record.first("pwdStartTime"))
            ends = _generalized_time(record.first("pwdEndTime"))
            shadow_days = int(record.first("shadowExpire") or -1)
        except ValueError:
            return EntryState.DISABLED
        if locked == _LOCKED_BY_HAND or (starts is not None and now_unix_seconds < starts):
            return EntryState.DISABLED
        if ends is not None and now_unix_seconds >= ends:
            return EntryState.EXPIRED
        if shadow_days >= 0 and now_unix_seconds >= shadow_days * _SECONDS_PER_DAY:
            return EntryState.EXPIRED
        if locked is not None:
            return EntryState.LOCKED
        must_change = (record.first("pwdReset") or b"").upper() == b"TRUE"
        return EntryState.PASSWORD_CHANGE_REQUIRED if must_change else EntryState.ACTIVE

    def refusal(self, result: BindResult) -> tuple[str, bool]:
        return f"result_{result.code}", False


class ActiveDirectory:
    """User objects of Active Directory and Samba. The name of a group is its sAMAccountName, which no two
    groups of a domain share wherever they are kept; `cn` could be taken twice."""

    people_filter = "(&(objectCategory=person)(objectClass=user))"
    login_attribute = "sAMAccountName"
    id_attribute = "objectGUID"
    dn_attribute = "distinguishedName"
    group_filter = "(objectClass=group)"
    group_name_attribute = "sAMAccountName"
    state_attributes: Sequence[str] = (
        "userAccountControl",
        "msDS-User-Account-Control-Computed",
        "accountExpires",
        "pwdLastSet",
    )

    def stable_id(self, record: LdapRecord) -> str | None:
        raw = record.first(self.id_attribute)
        return str(UUID(bytes_le=raw)) if raw is not None and len(raw) == 16 else None

    def id_filter(self, stable_id: UUID) -> str:
        return equals(self.id_attribute, stable_id.bytes_le)

    def state(self, record: LdapRecord, now_unix_seconds: float) -> EntryState:
        try:
            control = int(record.first("userAccountControl") or b"")
            computed = int(record.first("msDS-User-Account-Control-Computed") or 0)
            expires = int(record.first("accountExpires") or 0)
            password_set = int(record.first("pwdLastSet") or 0)
        except ValueError:
            return EntryState.DISABLED
        if control & _DISABLED:
            return EntryState.DISABLED
        if expires not in _NEVER and now_unix_seconds >= _from_filetime(expires):
            return EntryState.EXPIRED
        # Lock-outs show in the computed attribute alone: lockoutTime stays after they have ended.
        if computed & _LOCKED:
            return EntryState.LOCKED
        if password_set == 0 or computed & _PASSWORD_EXPIRED:
            return EntryState.PASSWORD_CHANGE_REQUIRED
        return EntryState.ACTIVE

    def refusal(self, result: BindResult) -> tuple[str, bool]:
        found = _DATA_CODE.search(result.diagnostic)
        code = found[1] if found else ""
        return (f"ad_{code}", code in _RIGHT_PASSWORD_CODES) if code else (f"result_{result.code}", False)


_RIGHT_PASSWORD_CODES = ("530", "531", "532", "533", "701", "773")
"""Active Directory says these of a password that is right: hours, workstation, password expired, disabled,
account expired, must change. It locks (775) without looking."""


def _generalized_time(value: bytes | None) -> float | None:
    """Unix seconds of a GeneralizedTime in UTC (RFC 4517 section 3.3.13). Raises ValueError."""
    if value is None:
        return None
    text = value.decode("ascii").partition(".")[0].rstrip("Z")
    return datetime.strptime(f"{text:0<14}", "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()


def _from_filetime(ticks: int) -> float:
    return ticks / _FILETIME_PER_SECOND - _FILETIME_EPOCH_SECONDS
