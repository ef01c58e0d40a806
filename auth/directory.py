"""Directory: the contract every source of internal users fulfils (LDIF file now, LDAP servers behind the same
one).

A directory answers questions about people; it never decides and never raises for what a user typed. Trouble
with the directory itself is `DirectoryUnavailable`, the only exception of this room's directories.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from auth.personal import Personal


class EntryState(StrEnum):
    """Whether the entry may be used at all, in the words administrators know from directories."""

    ACTIVE = "active"
    DISABLED = "disabled"
    LOCKED = "locked"
    EXPIRED = "expired"
    PASSWORD_CHANGE_REQUIRED = "password_change_required"  # noqa: S105 (a state, not a secret)

    @property
    def ends_access(self) -> bool:
        """Whether it ends what the person has open. Nobody signs in but in state ACTIVE; a change of password
        that falls due in the middle of a call does not end the call."""
        return self in (EntryState.DISABLED, EntryState.LOCKED, EntryState.EXPIRED)


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """One person as the directory knows them now."""

    stable_id: str
    """Never reused and independent of name, mail and DN (entryUUID, objectGUID)."""
    login: Personal
    name: Personal
    attributes: tuple[tuple[str, str], ...] = field(repr=False)
    """Sorted (name, value) pairs; a multi-valued attribute appears once per value. Never contains a password.
    """
    groups: frozenset[str]
    """Names of the groups the person is in, nested groups resolved."""
    state: EntryState
    version: str
    """Changes whenever anything above changes; opaque (entryCSN, uSNChanged, a digest)."""


class CredentialOutcome(StrEnum):
    """What became of a password check. Users are shown one text for everything but ACCEPTED; records keep the
    code."""

    ACCEPTED = "accepted"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    NOT_ACTIVE = "not_active"


@dataclass(frozen=True, slots=True)
class CredentialCheck:
    outcome: CredentialOutcome
    entry: DirectoryEntry | None
    """The person whenever the directory knows one, also for WRONG and NOT_ACTIVE (records name them)."""
    code: str = ""
    """Why, as the directory itself says it (`ad_533`, `result_49`); for logs, never for users."""


class DirectoryUnavailable(Exception):  # noqa: N818 (the outcome is the name callers speak of)
    """The directory gave no answer in time. Nobody new signs in; the message is for operators and holds no
    secret."""

    def __init__(self, message: str, *, may_have_counted: bool = False) -> None:
        """`may_have_counted`: a password was on its way, and the directory may count it as a wrong one."""
        super().__init__(message)
        self.may_have_counted = may_have_counted


class Directory(Protocol):
    """Frozen contract: stable id, attributes, groups, state, version."""

    async def check(self, login: str, password: str) -> CredentialCheck:
        """Check a password. Takes about the same time whether or not the login exists; an empty password is
        WRONG."""

    async def get(self, stable_id: str) -> DirectoryEntry | None:
        """The person as they are now, whatever their state; None when the directory no longer has them."""

    async def find(self, login: str) -> DirectoryEntry | None:
        """The person who signs in by this name, whatever their state; None when there is nobody."""

    async def list_entries(self, limit: int) -> Sequence[DirectoryEntry]:
        """At most `limit` ACTIVE entries in a stable order, for contact lists."""

    async def read(self, stable_ids: Iterable[str]) -> Mapping[str, DirectoryEntry]:
        """Those of these people whom the directory has at this moment, by stable id; nothing is remembered.
        What many sign-ins wait for does not hold it up."""

    async def close(self) -> None:
        """Release connections and threads."""
