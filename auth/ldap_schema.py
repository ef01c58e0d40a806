"""What OpenLDAP and Active Directory call things, and what they say about the state of an account."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Protocol
from uuid import UUID

from auth.directory import EntryState
from auth.ldap_filter import equals
from auth.ldap_link import BindResult, LdapRecord
from config.ldap import LdapSettings

_FILETIME_EPOCH_SECONDS = 11_644_473_600  # 1601 to 1970
_FILETIME_PER_SECOND = 10_000_000
_NEVER = (0, 0x7FFFFFFFFFFFFFFF)
_DISABLED = 0x2
_LOCKED = 0x10
_PASSWORD_EXPIRED = 0x800000
_INTEGER = re.compile(rb"-?[0-9]{1,20}")
_GENERALIZED_TIME = re.compile(
    rb"(?P<date>[0-9]{10})(?:(?P<minute>[0-9]{2})(?P<second>[0-9]{2})?)?(?:[.,](?P<fraction>[0-9]{1,9}))?"
    rb"(?:Z|(?P<sign>[+-])(?P<hours>[0-9]{2})(?P<minutes>[0-9]{2})?)"
)
_DATA_CODE = re.compile(r"\bdata ([0-9a-f]{3,4})\b")
_LOCKED_BY_HAND = b"0000"  # the year 0: until somebody takes the lock off
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
    """inetOrgPerson entries, and the password policy overlay where there is one (slapo-ppolicy).

    pwdAccountLockedTime stays when a lock is over, until the right password comes. How long it holds is in
    the policy, whose default no entry names.
    """

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

    def __init__(self, lockout_seconds: int | None = None) -> None:
        """After `lockout_seconds` a lock is over; with None when its time is gone from the entry."""
        self._lockout_seconds = lockout_seconds

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
        if locked is not None and locked.startswith(_LOCKED_BY_HAND):
            return EntryState.DISABLED
        try:
            locked_at = generalized_time(locked)
            starts = generalized_time(record.first("pwdStartTime"))
            ends = generalized_time(record.first("pwdEndTime"))
            shadow_days = _integer(record.first("shadowExpire"), -1)
            must_change = _boolean(record.first("pwdReset"))
        except ValueError:
            return EntryState.DISABLED
        if starts is not None and now_unix_seconds < starts:
            return EntryState.DISABLED
        if ends is not None and now_unix_seconds >= ends:
            return EntryState.EXPIRED
        if shadow_days != -1 and now_unix_seconds >= shadow_days * _SECONDS_PER_DAY:
            return EntryState.EXPIRED
        lasts = math.inf if self._lockout_seconds is None else self._lockout_seconds
        if locked_at is not None and now_unix_seconds < locked_at + lasts:
            return EntryState.LOCKED
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
            control = _integer(record.first("userAccountControl"), _DISABLED)
            computed = _integer(record.first("msDS-User-Account-Control-Computed"), 0)
            expires = _integer(record.first("accountExpires"), 0)
            password_set = _integer(record.first("pwdLastSet"), 0)
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


def schema_of(kind: str, settings: LdapSettings) -> LdapSchema:
    """That of a `kind` of [directory]."""
    return ActiveDirectory() if kind == "active_directory" else OpenLdap(settings.lockout_seconds)


_RIGHT_PASSWORD_CODES = ("530", "531", "532", "533", "701", "773")
"""Active Directory says these of a password that is right: hours, workstation, password expired, disabled,
account expired, must change. It locks (775) without looking."""


def _integer(value: bytes | None, missing: int) -> int:
    """Raises ValueError."""
    if value is None:
        return missing
    if not _INTEGER.fullmatch(value):
        raise ValueError("no integer of a directory")
    return int(value)


def _boolean(value: bytes | None) -> bool:
    """False where it is missing. Raises ValueError."""
    if value is not None and value.upper() not in (b"TRUE", b"FALSE"):
        raise ValueError("no boolean")
    return value is not None and value.upper() == b"TRUE"


def generalized_time(value: bytes | None) -> float | None:
    """Unix seconds of a GeneralizedTime (RFC 4517 section 3.3.13). Raises ValueError."""
    if value is None:
        return None
    found = _GENERALIZED_TIME.fullmatch(value)
    if found is None:
        raise ValueError("no GeneralizedTime")
    offset = timedelta(hours=int(found["hours"] or 0), minutes=int(found["minutes"] or 0))
    zone = timezone(-offset if found["sign"] == b"-" else offset)
    hour = datetime.strptime(found["date"].decode(), "%Y%m%d%H").replace(tzinfo=zone)
    unit = 1 if found["second"] else 60 if found["minute"] else 3600
    minute, second = int(found["minute"] or 0), int(found["second"] or 0)
    if minute > 59 or second > 60:
        raise ValueError("no time of day")
    fraction = float(b"0." + (found["fraction"] or b"0"))
    return hour.timestamp() + 60 * minute + second + unit * fraction


def _from_filetime(ticks: int) -> float:
    return ticks / _FILETIME_PER_SECOND - _FILETIME_EPOCH_SECONDS
